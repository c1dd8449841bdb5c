"""What crosses the border: limits that are no nonsense, secrets that are not shown, waits that are read."""

from __future__ import annotations

import math
from email.utils import formatdate

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import (
    SECOND_NS,
    Accepted,
    Account,
    Endpoint,
    FaultKind,
    Feed,
    Heartbeat,
    HttpReply,
    HttpRequest,
    Keepalive,
    Lane,
    Limits,
    OhlcvSupport,
    Page,
    Rate,
    Readiness,
    Refused,
    Removed,
    Send,
    StreamRequest,
    Timeframe,
    Topic,
    Unknown,
    VenueError,
    VenueStatus,
    parse_instant,
    retry_after_s,
)

URL = "wss://ws.example/v2"
NOW_NS = parse_instant("2026-11-21T07:28:00Z")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Rate(0),
        lambda: Rate(-1),
        lambda: Rate(1, 0.0),
        lambda: Rate(1, math.nan),
        lambda: Rate(1, 1.0, 0),
        lambda: Keepalive(every_s=0.0),
        lambda: Limits(connections=0),
        lambda: Limits(topics_per_connection=0),
        lambda: Endpoint(url=URL, silence_limit_s=0.0),
        lambda: Endpoint(url=URL, silence_limit_s=math.nan),
        lambda: Endpoint(url=URL, max_age_s=0.0),
        lambda: Endpoint(url=URL, max_frame_bytes=0),
        lambda: Endpoint(url=URL, max_send_bytes=0),
        lambda: Endpoint(url=URL, topics_per_frame=0),
        lambda: Endpoint(url=URL, changes_in_flight=0),
        lambda: OhlcvSupport(page_rows=0),
        lambda: OhlcvSupport(settle_s=-1.0),
        lambda: OhlcvSupport(grace_s=-1.0),
    ],
)
def test_a_limit_that_allows_nothing_is_refused_where_it_is_written(wrong):
    with pytest.raises(ValueError, match="must be"):
        wrong()


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (HttpRequest, {"url": None}),
        (HttpRequest, {"headers": {"X": 1}, "url": URL}),
        (HttpRequest, {"headers": None, "url": URL}),
        (HttpRequest, {"params": [("a", "b")], "url": URL}),
        (HttpRequest, {"method": "GET /y HTTP/1.1\r\nX: y", "url": URL}),
        (HttpRequest, {"body": {"a": 1}, "url": URL}),
        (HttpRequest, {"cost": "1", "url": URL}),
        (HttpRequest, {"timeout_s": None, "url": URL}),
        (StreamRequest, {"topic": "BTC/USD@1m", "since_ns": 0}),
        (Page, {"candles": [None], "covered": (0, 1)}),
        (Page, {"covered": (0, 10**40), "candles": ()}),
        (Page, {"stopped": "until", "candles": (), "covered": (0, 1)}),
        (Page, {"sessions": [[1, 2]], "candles": (), "covered": (0, 1)}),
        (Page, {"as_of_ns": "now", "candles": (), "covered": (0, 1)}),
        (Endpoint, {"url": b"wss://a"}),
        (Endpoint, {"silence_limit_s": "30", "url": URL}),
        (Endpoint, {"hello": ("hello",), "url": URL}),
        (Keepalive, {"frame": {"ping": 1}, "every_s": 1.0}),
        (Accepted, {"topics": ["BTC/USD@1m"]}),
        (Refused, {"kind": "symbol", "topics": [], "text": "no"}),
        (Heartbeat, {"time_ns": 1.8e9}),
        (VenueStatus, {"state": 1, "symbol": None}),
        (Removed, {"topic": "BTC/USD@1m", "open_ns": 0}),
        (VenueError, {"kind": "wait", "message": "later"}),
        (VenueError, {"retry_after_s": "5", "kind": FaultKind.WAIT, "message": "later"}),
        (VenueError, {"retry_after_s": math.nan, "kind": FaultKind.WAIT, "message": "later"}),
    ],
)
def test_a_field_of_a_wrong_type_names_itself(kind, wrong):
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\.{next(iter(wrong))} has to be "):
        kind(**wrong)


def test_text_that_nobody_can_send_is_refused_where_it_is_written():
    with pytest.raises(ValueError, match=r"Send\.frame holds a lone surrogate"):
        Send("\ud800")


def test_a_wrong_field_does_not_show_what_is_in_it():
    """It may be a secret."""
    with pytest.raises(TypeError) as caught:
        HttpRequest(url=URL, headers={"authorization": b"hunter2"})  # type: ignore[dict-item]  # the mistake

    assert "hunter2" not in str(caught.value)


def test_a_rate_allows_all_of_its_amount_at_once_unless_it_says_otherwise():
    assert (Rate(10).burst, Rate(10, 60.0).burst, Rate(10, 60.0, 1).burst) == (10, 10, 1)


def test_an_endpoint_needs_only_its_url():
    """Silence is limited, frames are bounded, and each connection gets a memory of its own."""
    endpoint = Endpoint(url=URL)

    assert (endpoint.ready, endpoint.silence_limit_s) == (Readiness.ON_OPEN, 30.0)
    assert endpoint.max_frame_bytes == 16 * 1024 * 1024
    assert endpoint.memory() is not endpoint.memory()


def test_support_promises_nothing_by_default():
    support = OhlcvSupport()

    assert (support.stream, support.trades, support.rest, support.grid) == (False, False, False, Unknown())


def test_secrets_are_never_shown():
    secret = "hunter2"
    values = (
        Account(secrets={"key": secret}),
        Endpoint(url=URL, headers={"authorization": secret}),
        HttpRequest(url="https://api.example/x", headers={"authorization": secret}, body=secret.encode()),
        Send(f'{{"token":"{secret}"}}', secret=True),
        Endpoint(url=URL, hello=(Send(secret.encode(), secret=True),)),
    )

    for value in values:
        assert secret not in repr(value)
        assert secret not in f"{value}"


def test_a_topic_is_written_as_people_write_it_and_equal_topics_are_one_key():
    minute = Topic("BTC/USD", Timeframe.parse("60s"))

    assert ["BTC/USD@1m", "BTC/USD@trades"] == [str(minute), str(Topic("BTC/USD", Feed.TRADES))]
    assert {minute: 1}[Topic("BTC/USD", Timeframe.parse("1m"))] == 1
    assert Lane() == Lane(key="", alone=None)


def test_descriptions_cannot_be_changed():
    for value, name in (
        (Rate(1), "amount"),
        (Endpoint(url=URL), "url"),
        (HttpReply(status=200, body=b""), "body"),
    ):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(value, name, 2)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 30 ", 30.0),
        ("Sat, 21 Nov 2026 07:28:05 GMT", 5.0),
        ("Saturday, 21-Nov-26 07:29:00 GMT", 60.0),
        ("Sat Nov 21 07:28:10 2026", 10.0),
        ("Sat, 21 Nov 2026 07:28:05 -0000", 5.0),
        ("Sat, 21 Nov 2026 08:28:05 +0100", 5.0),
        ("Sat, 21 Nov 2026 07:27:00 GMT", 0.0),
        ("9" * 5_000, 1e9),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("\u0665", None),
        ("Sat, 21 Nov 99999999999999 07:28:05 GMT", None),
        ("Sat, 21 Nov 2026 07:28:05 +9999999999999", None),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_never_negative(header, seconds):
    assert seconds == retry_after_s({"retry-after": header}, NOW_NS)


def test_without_the_header_there_is_nothing_to_wait_for():
    assert retry_after_s({}, NOW_NS) is None


dates = st.from_regex(
    r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,9} \d{1,3}:\d\d:\d\d [+-]?[0-9A-Z]{0,9}\Z"
)


@given(st.text() | dates, st.integers(0, 2**63 - 1))
def test_whatever_the_header_says_the_wait_is_finite(header, now_ns):
    wait = retry_after_s({"retry-after": header}, now_ns)

    assert wait is None or 0.0 <= wait < math.inf


@given(st.integers(0, 10**6), st.integers(0, 10**9))
def test_a_date_is_counted_from_the_given_present(wait_s, now_s):
    """No clock is read: the same header and present give the same wait."""
    header = formatdate(now_s + wait_s, usegmt=True)

    assert wait_s == retry_after_s({"retry-after": header}, now_s * SECOND_NS)
