"""Which no is which: Yahoo's words matter more than the status."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from tests.adapters.yahoo.talk import at, bars, body, days, page, query, wire
from wickwire import SECOND_NS, FaultKind, Split, Stopped, VenueError, WireError

ASKED = query(1_795_185_000, 1_795_186_800)
OPEN, END = at("2026-11-20 09:30"), at("2026-11-20 16:00")


def refusal(content: bytes, status: int, headers: Mapping[str, str] | None = None) -> VenueError:
    with pytest.raises(VenueError) as caught:
        page(ASKED, content, status=status, headers=headers)
    return caught.value


@pytest.mark.parametrize(
    ("frame", "status", "kind"),
    [
        ("error_not_found", 404, FaultKind.SYMBOL),
        ("error_not_found", 200, FaultKind.SYMBOL),
        ("error_bad_interval", 400, FaultKind.REQUEST),
        ("error_span", 422, FaultKind.REQUEST),
        ("error_depth", 422, FaultKind.REQUEST),
        ("error_century", 422, FaultKind.REQUEST),
        ("error_crumb", 401, FaultKind.CREDENTIALS),
    ],
)
def test_a_refusal_is_classed_and_quoted(frame: str, status: int, kind: FaultKind):
    error = refusal(wire(frame), status)

    assert error.kind is kind
    assert "Yahoo says" in str(error)


@pytest.mark.parametrize("status", [400, 404, 200])
def test_no_data_is_an_answer_and_proves_the_window_empty(status: int):
    """Asked on the next day, a window in which data does not exist is empty, not wrong."""
    asked = query(1_795_185_000, 1_795_186_800, now=1_795_286_800)
    found = page(asked, wire("error_no_data"), status=status)

    assert (found.candles, found.covered, found.stopped) == (
        (),
        (asked.since_ns, asked.until_ns),
        Stopped.UNTIL,
    )


def test_no_data_proves_nothing_about_the_last_twenty_minutes():
    """Yahoo may be that late, so of half an hour only the first five minutes are known to be empty."""
    covered = page(ASKED, wire("error_no_data"), status=400).covered

    assert covered == (ASKED.since_ns, ASKED.since_ns + 300 * 10**9)


def test_no_data_proves_nothing_where_the_server_tells_no_time():
    asked = query(1_795_185_000, 1_795_186_800, now=1_795_286_800)

    assert page(asked, wire("error_no_data"), status=400, date=None).covered == (
        asked.since_ns,
        asked.since_ns,
    )


@pytest.mark.parametrize("text", [b"Too Many Requests\r\n", b"Edge: Too Many Requests"])
@pytest.mark.parametrize("status", [429, 200])
def test_too_many_requests_waits_a_minute_unless_told_otherwise(text: bytes, status: int):
    assert (refusal(text, status).kind, refusal(text, status).retry_after_s) == (FaultKind.WAIT, 60.0)
    assert refusal(text, status, {"retry-after": "7"}).retry_after_s == 7.0


@pytest.mark.parametrize("status", [200, 404, 500, 502, 503])
def test_a_web_page_is_an_outage(status: int):
    assert refusal(b"<!doctype html><h1>Will be right back...</h1>", status).kind is FaultKind.OUTAGE


@pytest.mark.parametrize("status", [401, 403])
def test_a_web_page_that_refuses_us_is_no_outage(status: int):
    assert refusal(b"<html>Forbidden</html>", status).kind is FaultKind.CREDENTIALS


@pytest.mark.parametrize(
    "content",
    [
        b'{"chart":null}',
        b'{"chart":{"result":null,"error":null}}',
        b'{"chart":{"result":[],"error":null}}',
        b'{"chart":{"result":null,"error":{"code":"Internal Server Error","description":"boom"}}}',
    ],
)
def test_an_answer_without_a_result_is_an_outage(content: bytes):
    assert refusal(content, 200).kind is FaultKind.OUTAGE


@pytest.mark.parametrize("status", [302, 307, 500, 503])
def test_redirects_to_consent_and_server_errors_are_outages(status: int):
    assert refusal(b"", status).kind is FaultKind.OUTAGE


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 503),
        (b"<!doctype html><h1>Will be right back...</h1>", 503),
        (b"oops", 503),
        (b'{"chart":{"result":null,"error":{"code":"Internal Server Error","description":"boom"}}}', 500),
        (b'{"chart":{"result":[],"error":null}}', 200),
    ],
)
def test_an_outage_lasts_as_long_as_the_reply_says(content: bytes, status: int):
    """RFC 9110, "Retry-After": with a 503 it says how long nobody serves."""
    assert refusal(content, status, {"retry-after": "7"}).retry_after_s == 7.0
    assert refusal(content, status).retry_after_s is None


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_what_waiting_does_not_mend_is_not_waited_for(status: int):
    assert refusal(b"", status, {"retry-after": "7"}).retry_after_s is None


def test_data_with_an_unhappy_status_is_not_trusted():
    assert refusal(body(bars(1_795_185_000)), 500).kind is FaultKind.OUTAGE


def test_control_characters_stay_out_of_messages():
    text = str(
        refusal(b'{"chart":{"error":{"code":"X\\u001b[31m\\r\\n","description":"' + b"y" * 999 + b'"}}}', 404)
    )

    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"hello", b'{"chart":', b'{"chart":{"result":7}}', b"\xff\xfe"]
)
def test_what_yahoo_never_sends_is_refused_by_name(content: bytes):
    with pytest.raises((WireError, VenueError)):
        page(ASKED, content)


def test_nesting_without_end_is_refused():
    for content in (b"[" * 100_000, b'{"x":' * 100_000, b'{"chart":{"x":Infinity,"y":' + b"[" * 100_000):
        with pytest.raises(WireError):
            page(ASKED, content)


def test_infinite_adjusted_closes_are_left_alone():
    """Bare Infinity is no JSON; it stands in a column that no candle uses."""
    asked = query(1_794_805_200, 1_795_237_200, timeframe="1d")
    broken = (
        wire("daily").replace(b"267.17999267578125", b"Infinity").replace(b"268.7900085449219", b"-Infinity")
    )

    assert page(asked, broken) == page(asked, wire("daily"))


DAYS = query(1_794_805_200, 1_795_237_200, timeframe="1d")
SECOND_DAY = (at("2026-11-17 00:00"), at("2026-11-18 00:00"))


@pytest.mark.parametrize(
    "number",
    [
        *(b"NaN", b"Infinity", b'"NaN"', b"null"),
        *(b"1e999999999", b"1" + b"0" * 5_000, b"1e-999", b"0." + b"1" * 10_000),
    ],
)
def test_a_row_with_a_price_that_is_none_is_left_out_alone_and_its_day_is_not_proven_empty(number: bytes):
    found = page(DAYS, wire("daily").replace(b"267.5,", number + b","))

    assert len(found.candles) == 4
    assert [SECOND_DAY] == [(row.open_ns // SECOND_NS, row.close_ns // SECOND_NS) for row in found.bad_rows]
    assert found.covered == page(DAYS, wire("daily")).covered


def test_a_row_of_nulls_is_no_bad_row():
    asked = query(OPEN, OPEN + 900)
    rows = [*bars(OPEN), (OPEN + 300, None, None, None, None, None), *bars(OPEN + 600)]

    assert not page(asked, body(rows)).bad_rows


def test_a_bad_row_at_the_end_of_a_session_ends_with_it():
    half_past = OPEN + 6 * 3_600
    rows = [*bars(OPEN), (half_past, 100, None, 98, 101, 5)]
    found = page(query(OPEN, END, timeframe="1h"), body(rows, tradingPeriods=days((OPEN, END))))

    assert [(half_past, END)] == [
        (row.open_ns // SECOND_NS, row.close_ns // SECOND_NS) for row in found.bad_rows
    ]


def test_a_bad_row_outside_of_the_session_or_the_window_is_nobodys():
    rows = [(OPEN - 300, 1, None, 1, 1, 0), (OPEN + 900, 1, None, 1, 1, 0), *bars(OPEN)]

    assert not page(query(OPEN - 600, OPEN + 900), body(rows, tradingPeriods=days((OPEN, END)))).bad_rows


def test_columns_of_different_lengths_are_refused():
    for instead in (b"[", b"[1.0,270.5,"):
        with pytest.raises(WireError, match="columns"):
            page(ASKED, wire("intraday_open").replace(b"[270.5,", instead))


def test_a_reply_about_another_symbol_is_refused():
    """A rename is never followed: old and new must not be joined."""
    with pytest.raises(WireError, match="asked for AAPL"):
        page(ASKED, body(bars(1_795_185_000), symbol="MSFT"))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "America", "EST"])
def test_a_time_zone_that_yahoo_never_names_is_refused(zone: str):
    with pytest.raises(WireError, match="time zone"):
        page(ASKED, body(bars(1_795_185_000), exchangeTimezoneName=zone))


@pytest.mark.parametrize(
    "zone",
    [
        *("America/Buenos_Aires", "America/Lima", "America/New_York", "Asia/Calcutta", "Asia/Colombo"),
        *("Asia/Karachi", "Asia/Saigon", "Etc/UTC", "Europe/Moscow", "GMT", "UTC"),
        *("America/Chicago", "Asia/Hong_Kong", "Europe/Berlin", "Asia/Tokyo", "Pacific/Auckland"),
    ],
)
def test_time_zones_that_yahoo_was_seen_to_name_are_taken_also_in_older_spellings(zone: str):
    """An exchange that is in no table of ours says itself where it is."""
    asked = query(OPEN, OPEN + 300, symbol="X.LM", now=END)
    found = page(asked, body(bars(OPEN), symbol="X.LM", exchangeTimezoneName=zone))

    assert [OPEN] == [candle.open_ns // SECOND_NS for candle in found.candles]


@pytest.mark.parametrize(
    ("symbol", "spelling", "zone"),
    [
        ("EUR/USD", "EURUSD=X", "UTC"),
        ("EUR/USD", "EURUSD=X", "America/New_York"),
        ("EUR/USD", "EURUSD=X", "Asia/Tokyo"),
        ("BTC/USD", "BTC-USD", "Asia/Tokyo"),
    ],
)
def test_a_market_that_is_everywhere_has_one_time_zone(symbol: str, spelling: str, zone: str):
    """Yahoo counts days of currencies in London, and those of coins in UTC."""
    with pytest.raises(WireError, match="time zone"):
        page(query(OPEN, END, symbol=symbol), body(bars(OPEN), symbol=spelling, exchangeTimezoneName=zone))


@pytest.mark.parametrize(("digits", "kept"), [(60, 1), (61, 0)])
def test_a_number_has_sixty_digits_at_most(digits: int, kept: int):
    """More are no price: who counts with them waits for ever."""
    content = body(bars(OPEN, OPEN + 300)).replace(b"98.0", b"0." + b"9" * digits, 1)
    found = page(query(OPEN, OPEN + 900), content)

    assert (1 + kept, 1 - kept) == (len(found.candles), len(found.bad_rows))


def test_a_split_is_told_with_the_page():
    told = {"1795185000": {"date": OPEN, "numerator": 4.0, "denominator": 1.0, "splitRatio": "4:1"}}
    found = page(query(OPEN, OPEN + 900), body(bars(OPEN), events={"splits": told}))

    [split] = found.splits
    assert split == Split(OPEN * SECOND_NS, Decimal(4), Decimal(1))
    assert str(split) == "4:1 at 2026-11-20T14:30:00Z"


@pytest.mark.parametrize(
    "events",
    [
        *(7, [], {}, {"splits": None}, {"splits": []}, {"splits": {"1": 5}}),
        {"splits": {"1": {"date": OPEN, "numerator": 0, "denominator": 1}}},
        {"splits": {"1": {"date": 10**30, "numerator": 4, "denominator": 1}}},
        {"splits": {"1": {"date": OPEN, "numerator": "four", "denominator": 1}}},
        {"splits": {"1": {"date": OPEN, "numerator": "NaN", "denominator": 1}}},
        {"splits": {"1": {"date": OPEN, "numerator": 4, "denominator": "NaN"}}},
        {"splits": {"1": {"date": OPEN, "numerator": 4, "denominator": 0}}},
        {"dividends": {"1795012200": {"amount": 0.26, "date": 1_795_012_200}}},
    ],
)
def test_events_that_tell_of_no_split_cost_no_row(events: object):
    found = page(query(OPEN, OPEN + 900), body(bars(OPEN), events=events))

    assert (len(found.candles), list(found.splits)) == (1, [])
