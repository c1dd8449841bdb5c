"""What a no of Alpaca's REST means, and its trades."""

import json
import re
from decimal import Decimal

import pytest

import wickwire_alpaca
from tests.adapters.alpaca.talk import IEX, M1, NOBODY, NOW, answered, frame, ns, query, refusal
from wickwire import (
    SECOND_NS,
    Account,
    FaultKind,
    HttpReply,
    Side,
    Stopped,
    TradeQuery,
    VenueError,
    WireError,
)

FOUR = query("AAPL", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z")
PAGE1, PAGE2 = frame("rest_bars_page1"), frame("rest_bars_page2")


def fetch(*replies):
    asked = query("AAPL", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z")
    return answered(wickwire_alpaca.fetch_ohlcv(asked, IEX), *replies)


# ------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(400, "invalid symbol: CSP1"), FaultKind.SYMBOL),
        (refusal(400, "invalid timeframe: 30Sec"), FaultKind.REQUEST),
        (
            HttpReply(status=422, body=b'{"code":42210000,"message":"invalid symbol: CSP1"}'),
            FaultKind.SYMBOL,
        ),
        (refusal(400, "Invalid location: loc"), FaultKind.REQUEST),
        (HttpReply(status=401, body=b""), FaultKind.CREDENTIALS),
        (refusal(403, "forbidden."), FaultKind.CREDENTIALS),
        (refusal(403, "subscription does not permit querying recent SIP data"), FaultKind.ENTITLEMENT),
        (
            refusal(422, "your subscription does not permit querying data from the past 15 minutes"),
            FaultKind.ENTITLEMENT,
        ),
        (refusal(422, "end is too late for subscription"), FaultKind.ENTITLEMENT),
        (refusal(422, "start is no date"), FaultKind.REQUEST),
        (HttpReply(status=422, body=b'{"code":42210000,"message":"x"}'), FaultKind.REQUEST),
        *((HttpReply(status=status, body=b"no"), FaultKind.REQUEST) for status in (400, 404, 405, 414, 422)),
        (refusal(429, "too many requests."), FaultKind.WAIT),
        (refusal(500, "internal server error"), FaultKind.OUTAGE),
        (HttpReply(status=502, body=b"<html>Bad Gateway</html>"), FaultKind.OUTAGE),
        (HttpReply(status=504, body=b""), FaultKind.OUTAGE),
        (HttpReply(status=200, body=b"<html>Back soon</html>"), FaultKind.OUTAGE),
        (HttpReply(status=301, body=b""), FaultKind.OUTAGE),
    ],
)
def test_every_no_has_its_kind(reply, kind):
    with pytest.raises(VenueError, match="bars of AAPL") as caught:
        fetch(reply)

    assert caught.value.kind is kind
    assert caught.value.retry_after_s is None


def test_refused_keys_are_named_with_what_works_without_them():
    with pytest.raises(VenueError, match=r"HTTP 403 forbidden\..*secrets key and secret.*crypto candles"):
        fetch(refusal(403, "forbidden."))


def test_the_quarter_of_an_hour_is_explained_with_the_next_step():
    with pytest.raises(VenueError, match=r"from 15 minutes ago on; alpaca\.iex"):
        fetch(refusal(403, "subscription does not permit querying recent SIP data"))


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset": str(NOW // SECOND_NS + 9)}, 9.0),
        ({"x-ratelimit-reset": str(NOW // SECOND_NS - 9)}, 0.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "9" * 400}, None),
        ({"retry-after": "3", "x-ratelimit-reset": str(NOW // SECOND_NS + 60)}, 3.0),
    ],
)
def test_headers_say_how_long_to_wait_where_they_are_there(headers, wait_s):
    """The one 429 that somebody recorded had none of them."""
    with pytest.raises(VenueError) as caught:
        fetch(refusal(429, "too many requests.", **headers))

    assert caught.value.retry_after_s == wait_s


# --------------------------------------------------------------------------------------------------- trades


def trades(*bodies, account=IEX, symbol="AAPL", until="2026-11-20T14:32:00Z"):
    asked = TradeQuery(symbol=symbol, since_ns=ns("2026-11-20T14:31:00Z"), until_ns=ns(until), now_ns=NOW)
    return answered(wickwire_alpaca.fetch_trades(asked, account), *bodies)


def test_trades_that_were_taken_back_are_gone_and_corrected_ones_are_as_they_are_now():
    page, [request] = trades(frame("rest_trades"))

    assert [(trade.id, trade.price) for trade in page.trades] == [
        ("52983525029461", Decimal("227.31")),
        ("52983525029499", Decimal("227.13")),
    ]
    assert page.trades[0].time_ns == ns("2026-11-20T14:31:02.123456789Z")
    assert page.stopped is Stopped.UNTIL
    assert request.url == "https://data.alpaca.markets/v2/stocks/trades"
    assert "timeframe" not in request.params


def test_trades_of_crypto_know_the_taker_and_the_whole_id():
    body = (
        b'{"next_page_token":null,"trades":{"BTC/USD":'
        b'[{"i":3447222699101865076,"p":64625.4,"s":0.015,"t":"2026-11-20T14:31:01Z","tks":"B"}]}}'
    )
    page, _ = trades(body, account=NOBODY, symbol="BTC/USD")

    assert [(trade.id, trade.side) for trade in page.trades] == [("3447222699101865076", Side.BUY)]


def test_trades_up_to_now_prove_no_more_than_now():
    page, _ = trades(frame("rest_trades"), until="2026-11-20T18:00:00Z")

    assert (page.covered[1], page.stopped) == (NOW, Stopped.VENUE_LIMIT)


def test_junk_is_no_page_of_trades():
    with pytest.raises(WireError, match="finite"):
        trades(re.sub(rb'"p":[\d.]+', b'"p":"NaN"', frame("rest_trades")))
    with pytest.raises(VenueError):
        trades(refusal(403, "forbidden."))
    with pytest.raises(VenueError):
        trades(account=Account(feed="iex"))


def test_bad_trades_whose_time_nobody_can_read_reach_to_the_ends_of_the_range():
    rows = [{"t": f"2026-11-20T14:31:0{number}Z", "i": number, "p": 1.5, "s": 2} for number in range(3)]
    rows[0]["t"] = rows[2]["t"] = "now"
    page, _ = trades(json.dumps({"trades": {"AAPL": rows}, "next_page_token": None}).encode())

    spans = [
        ("2026-11-20T14:31:00Z", "2026-11-20T14:31:01.000000001Z"),
        ("2026-11-20T14:31:01Z", "2026-11-20T14:32:00Z"),
    ]
    assert [(row.open_ns, row.close_ns) for row in page.bad_rows] == [tuple(map(ns, span)) for span in spans]


@pytest.mark.parametrize(
    ("wrong", "span"),
    [
        ({"p": "NaN"}, ("2026-11-20T14:31:01Z", "2026-11-20T14:31:01.000000001Z")),
        ({"i": "x"}, ("2026-11-20T14:31:01Z", "2026-11-20T14:31:01.000000001Z")),
        ({"t": "now"}, ("2026-11-20T14:31:00Z", "2026-11-20T14:31:02.000000001Z")),
        ({"t": None}, ("2026-11-20T14:31:00Z", "2026-11-20T14:31:02.000000001Z")),
    ],
)
def test_a_trade_that_cannot_be_read_costs_itself_and_says_where_it_lacks(wrong, span):
    rows = [{"t": f"2026-11-20T14:31:0{number}Z", "i": number, "p": 1.5, "s": 2} for number in range(3)]
    rows[1] |= wrong
    page, _ = trades(json.dumps({"trades": {"AAPL": rows}, "next_page_token": None}).encode())

    assert [trade.id for trade in page.trades] == ["0", "2"]
    assert page.covered[1] == ns("2026-11-20T14:32:00Z")
    assert [(row.open_ns, row.close_ns) for row in page.bad_rows] == [tuple(map(ns, span))]
