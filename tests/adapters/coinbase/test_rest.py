"""Coinbase's REST: pages of candles and trades, listings, and what a no means."""

import json
from collections.abc import Generator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

import wickwire_coinbase
from tests.adapters.coinbase.wires import START, wire
from wickwire import (
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Candle,
    FaultKind,
    Finality,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Side,
    Stopped,
    Timeframe,
    TradePage,
    TradeQuery,
    VenueError,
    WireError,
    parse_instant,
)

NOON = parse_instant("2026-11-21T12:00:00Z")
MINUTE = Timeframe.parse("1m")


def row(start_s: int, volume: str = "1", **fields: object) -> dict[str, Any]:
    prices = {"low": "10", "high": "12", "open": "11", "close": "11.5"}
    return {"start": str(start_s), **prices, "volume": volume, **fields}


def reply(body: object, status: int = 200, *, date_ns: int | None = None, retry_after: str = "") -> HttpReply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"retry-after": retry_after} if retry_after else {}
    return HttpReply(status=status, body=raw, date_ns=date_ns, headers=headers)


def talk(conversation: Generator[Any, Any, Any], *replies: HttpReply) -> tuple[Any, list[HttpRequest]]:
    """Hold a conversation with these replies; return what came of it, and what was asked."""
    asked = [next(conversation)]
    for each in replies:
        try:
            request = conversation.send(each)
        except StopIteration as stop:
            return stop.value, asked
        asked.append(request)
    raise AssertionError(f"asked for more: {asked[-1].params}")


def query(
    minutes: int = 5, *, since_ns: int = NOON - 5 * MINUTE_NS, symbol: str = "BTC/USD", text: str = "1m"
) -> OhlcvQuery:
    timeframe = Timeframe.parse(text)
    until_ns = since_ns + minutes * MINUTE_NS
    return OhlcvQuery(symbol=symbol, timeframe=timeframe, since_ns=since_ns, until_ns=until_ns, now_ns=NOON)


def page(asked: OhlcvQuery, *replies: HttpReply) -> Page:
    told, _ = talk(wickwire_coinbase.fetch_ohlcv(asked), *replies)
    assert isinstance(told, Page)
    return told


def opens(told: Page) -> list[int]:
    return [candle.open_ns for candle in told.candles]


# ------------------------------------------------------------------------------------------------- candles


def test_a_page_is_asked_for_in_seconds_with_a_bucket_more_at_either_end():
    """Whether the bounds are inclusive is documented nowhere."""
    told, [asked] = talk(wickwire_coinbase.fetch_ohlcv(query()), reply({"candles": []}))

    assert asked.url == "https://api.coinbase.com/api/v3/brokerage/market/products/BTC-USD/candles"
    assert asked.params == {
        "start": str((NOON - 6 * MINUTE_NS) // SECOND_NS),
        "end": str(NOON // SECOND_NS),
        "granularity": "ONE_MINUTE",
        "limit": "350",
    }
    assert told.covered == (NOON - 5 * MINUTE_NS, NOON)


def test_the_widest_page_stays_below_350_rows_however_bounds_are_counted():
    rows = wickwire_coinbase.supports_ohlcv("BTC/USD", MINUTE).page_rows
    _, [asked] = talk(wickwire_coinbase.fetch_ohlcv(query(rows)), reply({"candles": []}))
    width_s = int(asked.params["end"]) - int(asked.params["start"])

    assert width_s // 60 + 1 == 349


def test_rows_come_newest_first_and_leave_oldest_first():
    start_ns = (START - 300) * SECOND_NS
    asked = OhlcvQuery(
        symbol="BTC/USD",
        timeframe=Timeframe.parse("5m"),
        since_ns=start_ns,
        until_ns=start_ns + 600 * SECOND_NS,
        now_ns=start_ns + 590 * SECOND_NS,
    )
    told = page(asked, reply(wire("rest_candles")))

    assert told.candles[0] == Candle(
        "BTC/USD",
        Timeframe.parse("5m"),
        start_ns,
        start_ns + 300 * SECOND_NS,
        Decimal(95000),
        Decimal(95040),
        Decimal(94990),
        Decimal(95020),
        Decimal("4.7011"),
    )
    assert [Finality.UNSAID, Finality.FORMING] == [candle.finality for candle in told.candles]
    assert (told.covered, told.stopped) == ((start_ns, start_ns + 300 * SECOND_NS), Stopped.UNTIL)


def test_a_missing_row_is_an_empty_bucket():
    since_s = (NOON - 5 * MINUTE_NS) // SECOND_NS
    told = page(query(), reply({"candles": [row(since_s + 240), row(since_s)]}))

    assert [since_s, since_s + 240] == [ns // SECOND_NS for ns in opens(told)]
    assert told.covered == (NOON - 5 * MINUTE_NS, NOON)


def test_rows_beyond_the_range_and_doubled_ones_are_left_out():
    since_s = (NOON - 5 * MINUTE_NS) // SECOND_NS
    rows = [row(since_s + 300), row(since_s + 60, "2"), row(since_s + 60, "1"), row(since_s - 60)]
    told = page(query(), reply({"candles": rows}))

    assert [(since_s + 60, "2")] == [(c.open_ns // SECOND_NS, str(c.volume)) for c in told.candles]


@pytest.mark.parametrize("broken", [{"low": "n/a"}, {"high": "NaN"}, {"close": None}, {"volume": "1e"}])
def test_a_row_that_cannot_be_read_is_a_hole_and_costs_no_other(broken):
    since_ns = NOON - 5 * MINUTE_NS
    rows = [row((since_ns + minute * MINUTE_NS) // SECOND_NS) for minute in (4, 2, 0)]
    rows[1] |= broken
    told = page(query(), reply({"candles": rows}))

    assert [since_ns, since_ns + 4 * MINUTE_NS] == opens(told)
    [bad] = told.bad_rows
    assert (since_ns + 2 * MINUTE_NS, since_ns + 3 * MINUTE_NS) == (bad.open_ns, bad.close_ns)
    assert f"$.candles[1].{next(iter(broken))}" in bad.why or "finite" in bad.why


def test_a_row_whose_bucket_nobody_can_tell_costs_the_reply():
    with pytest.raises(WireError, match=r"\$\.candles\[1\]|start"):
        page(query(), reply({"candles": [row((NOON - MINUTE_NS) // SECOND_NS), {"low": "1"}]}))


def test_the_servers_clock_says_which_bucket_is_running():
    since_s = (NOON - 5 * MINUTE_NS) // SECOND_NS
    rows = [row(since_s + 60 * minute) for minute in range(5)]
    told = page(query(), reply({"candles": rows}, date_ns=NOON - 90 * SECOND_NS))

    assert told.covered == (NOON - 5 * MINUTE_NS, NOON - 2 * MINUTE_NS)
    assert [False, False, False, True, True] == [c.finality is Finality.FORMING for c in told.candles]


def test_a_reply_that_may_have_been_cut_is_asked_to_its_end():
    """Older pages of the reference know a limit of 300 rows."""
    since_ns = NOON - 347 * MINUTE_NS
    newest = [row((NOON - minute * MINUTE_NS) // SECOND_NS) for minute in range(1, 301)]
    older = [row((NOON - minute * MINUTE_NS) // SECOND_NS) for minute in range(300, 348)]
    told, asked = talk(
        wickwire_coinbase.fetch_ohlcv(query(347, since_ns=since_ns)),
        reply({"candles": newest}),
        reply({"candles": older}),
    )

    assert asked[1].params["end"] == newest[-1]["start"]
    assert len(told.candles) == 347
    assert told.covered == (since_ns, NOON)


def test_a_reply_about_another_range_proves_nothing_empty():
    """A venue that ignored the range would send its newest rows."""
    since_ns = NOON - 4000 * MINUTE_NS
    rows = [row((NOON - minute * MINUTE_NS) // SECOND_NS) for minute in range(1, 351)]
    told = page(query(10, since_ns=since_ns), reply({"candles": rows}))

    assert not told.candles
    assert told.covered[0] == told.covered[1]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1m", "ONE_MINUTE"),
        ("5m", "FIVE_MINUTE"),
        ("15m", "FIFTEEN_MINUTE"),
        ("30m", "THIRTY_MINUTE"),
        ("1h", "ONE_HOUR"),
        ("2h", "TWO_HOUR"),
        ("4h", "FOUR_HOUR"),
        ("6h", "SIX_HOUR"),
        ("1d", "ONE_DAY"),
    ],
)
def test_each_length_has_its_word(text, name):
    _, [asked] = talk(wickwire_coinbase.fetch_ohlcv(query(text=text)), reply({"candles": []}))

    assert asked.params["granularity"] == name


NO_FOUR_HOURS = {"error": "INVALID_ARGUMENT", "message": "granularity argument is invalid"}


def hour(ago: int, volume: str = "1", **fields: str) -> dict[str, str]:
    return {**row((NOON - ago * HOUR_NS) // SECOND_NS), "volume": volume, **fields}


def four_hours(count: int, *answers: HttpReply, until_ns: int = NOON, now_ns: int = NOON) -> tuple[Page, Any]:
    since_ns = NOON - count * 4 * HOUR_NS
    asked = OhlcvQuery(
        symbol="BTC/USD",
        timeframe=Timeframe.parse("4h"),
        since_ns=since_ns,
        until_ns=until_ns,
        now_ns=now_ns,
    )
    return talk(wickwire_coinbase.fetch_ohlcv(asked), reply(NO_FOUR_HOURS, 400), *answers)


def test_four_hours_are_folded_from_hours_where_the_venue_does_not_serve_them():
    first = hour(8, "1", open="5", high="9", low="4", close="6")
    last = hour(5, "0.5", open="6", high="7", low="3", close="6.5")
    told, asked = four_hours(3, reply({"candles": [last, first]}))

    assert [each.params["granularity"] for each in asked] == ["FOUR_HOUR", "ONE_HOUR"]
    [candle] = told.candles
    assert (candle.open_ns, candle.close_ns) == (NOON - 8 * HOUR_NS, NOON - 4 * HOUR_NS)
    assert [str(n) for n in (candle.open, candle.high, candle.low, candle.close, candle.volume)] == [
        *("5", "9", "3", "6.5", "1.5")
    ]
    assert candle.finality is Finality.UNSAID
    assert told.covered == (NOON - 12 * HOUR_NS, NOON)


def test_a_bad_hour_costs_its_four_hours_alone():
    told, _ = four_hours(2, reply({"candles": [hour(1), hour(5, "NaN"), hour(8)]}))

    assert [candle.open_ns for candle in told.candles] == [NOON - 4 * HOUR_NS]
    assert [(bad.open_ns, bad.close_ns) for bad in told.bad_rows] == [
        (NOON - 8 * HOUR_NS, NOON - 4 * HOUR_NS)
    ]


def test_the_running_four_hours_are_forming_and_not_covered():
    rows = reply({"candles": [hour(-1), hour(0), hour(1)]}, date_ns=NOON + HOUR_NS + 1)
    told, _ = four_hours(1, rows, until_ns=NOON + 4 * HOUR_NS, now_ns=NOON + HOUR_NS + 1)

    assert [candle.finality for candle in told.candles] == [Finality.UNSAID, Finality.FORMING]
    assert told.candles[1].volume == 2
    assert told.covered == (NOON - 4 * HOUR_NS, NOON)


def test_four_hours_that_end_behind_the_range_are_asked_for_whole():
    told, asked = four_hours(2, reply({"candles": [hour(1), hour(5)]}), until_ns=NOON - HOUR_NS)

    assert asked[1].params["end"] == str(NOON // SECOND_NS)
    assert [candle.open_ns for candle in told.candles] == [NOON - 8 * HOUR_NS, NOON - 4 * HOUR_NS]
    assert told.covered == (NOON - 8 * HOUR_NS, NOON - HOUR_NS)


def test_four_hours_of_which_the_venue_sent_the_end_alone_are_neither_told_nor_covered():
    """A reply about a range of its own proves what it holds."""
    told, _ = four_hours(3, reply({"candles": [hour(ago) for ago in range(-2, 10)]}))

    assert [candle.open_ns for candle in told.candles] == [NOON - 8 * HOUR_NS, NOON - 4 * HOUR_NS]
    assert told.covered == (NOON - 8 * HOUR_NS, NOON)


def test_many_four_hours_are_folded_over_several_requests():
    older, newer = ([hour(ago) for ago in agos] for agos in (range(57, 401), range(1, 57)))
    told, asked = four_hours(100, reply({"candles": older}), reply({"candles": newer}))

    assert len(asked) == 3
    assert len(told.candles) == 100
    assert {candle.volume for candle in told.candles} == {4}
    assert told.covered == (NOON - 400 * HOUR_NS, NOON)


def test_no_other_refusal_and_no_other_length_is_folded():
    with pytest.raises(VenueError, match="BTC/USD"):
        page(query(text="4h"), reply({"error": "NOT_FOUND", "message": "no such thing"}, 404))
    with pytest.raises(VenueError, match="granularity"):
        page(query(text="6h"), reply(NO_FOUR_HOURS, 400))


def test_a_length_that_is_not_served_is_refused_with_those_that_are():
    with pytest.raises(VenueError, match="no 3m candles over REST; there are 1m 5m") as caught:
        next(wickwire_coinbase.fetch_ohlcv(query(text="3m")))

    assert caught.value.kind is FaultKind.REQUEST


def test_the_product_of_a_strange_symbol_cannot_leave_its_place_in_the_address():
    _, [asked] = talk(wickwire_coinbase.fetch_ohlcv(query(symbol="A?x=1#/../B")), reply({"candles": []}))

    assert asked.url.endswith("/products/A%3Fx%3D1%23-..-B/candles")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"candles":null}',
        b'{"candles":[{"start":"1795237200"}]}',
        b'{"candles":[[1,2,3,4,5,6]]}',
        {"candles": [row(30)]},
        {"candles": [row(60, "NaN")]},
        {"candles": [row(60, open="x")]},
        {"candles": [{**row(60), "start": 60}]},
        b'{"candles":[],"x":"\xff"}',
        b'{"candles":' + b"[" * 100_000,
    ],
    ids=lambda body: str(body)[:60],
)
def test_a_reply_that_is_not_documented_is_refused(body):
    with pytest.raises(WireError, match="coinbase: "):
        page(query(since_ns=0), reply(body))


# -------------------------------------------------------------------------------------------------- a no


def told_no(answer: HttpReply) -> VenueError:
    with pytest.raises(VenueError) as caught:
        page(query(), answer)
    return caught.value


def grpc(code: int, message: str) -> dict[str, object]:
    return {"error": message, "code": code, "message": message, "details": []}


def argument(message: str) -> dict[str, str]:
    return {"error": "INVALID_ARGUMENT", "error_details": message, "message": message}


TOO_WIDE = "start and end argument is invalid - number of candles requested should be less than 350"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, argument(TOO_WIDE), FaultKind.REQUEST),
        (400, argument("granularity argument is invalid"), FaultKind.REQUEST),
        (400, argument('ProductID "NOPE-USD" could not be found'), FaultKind.SYMBOL),
        (400, grpc(3, "granularity argument is invalid"), FaultKind.REQUEST),
        (404, {"error": "NOT_FOUND", "error_details": "", "message": "no such thing"}, FaultKind.SYMBOL),
        (404, b"<html>not here</html>", FaultKind.REQUEST),
        (401, b"Unauthorized", FaultKind.CREDENTIALS),
        (401, {"error": "unauthorized"}, FaultKind.CREDENTIALS),
        (403, {"error": "PERMISSION_DENIED", "message": "Missing required scopes"}, FaultKind.ENTITLEMENT),
        (403, b"<html>blocked</html>", FaultKind.OUTAGE),
        (429, {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}, FaultKind.WAIT),
        (429, b"", FaultKind.WAIT),
        (400, grpc(8, "slow down"), FaultKind.WAIT),
        (429, argument("granularity argument is invalid"), FaultKind.WAIT),
        *((status, b"no", FaultKind.REQUEST) for status in (400, 404, 405, 414, 422)),
        (500, argument("granularity argument is invalid"), FaultKind.OUTAGE),
        (300, {"candles": []}, FaultKind.OUTAGE),
        (400, {"error_response": {"error": "RESOURCE_EXHAUSTED"}}, FaultKind.WAIT),
        (500, {"error": "INTERNAL", "message": "oops"}, FaultKind.OUTAGE),
        (502, b"<html>Bad gateway</html>", FaultKind.OUTAGE),
        (503, b"no healthy upstream", FaultKind.OUTAGE),
        (200, b"<html>maintenance</html>", FaultKind.OUTAGE),
        (200, argument("granularity argument is invalid"), FaultKind.REQUEST),
        (418, b"[" * 100_000, FaultKind.OUTAGE),
    ],
)
def test_a_no_has_a_kind(status, body, kind):
    error = told_no(reply(body, status))

    assert error.kind is kind
    assert f"(HTTP {status}, 1m candles of BTC/USD)" in str(error)


def test_the_venues_words_are_handed_on():
    assert TOO_WIDE in str(told_no(reply(argument(TOO_WIDE), 400)))
    assert "Too many requests" in str(
        told_no(reply({"errors": [{"id": "x", "message": "Too many requests"}]}, 429))
    )
    assert "a page instead of data" in str(told_no(reply(b"<html>" + b"x" * 10_000, 503)))


def test_a_refused_key_that_nobody_sent_is_explained():
    assert "market data need no key and none was sent" in str(told_no(reply(b"Unauthorized", 401)))


def test_a_wait_lasts_as_long_as_the_venue_says():
    assert told_no(reply(b"", 429, retry_after="7")).retry_after_s == 7.0
    assert told_no(reply(b"", 429)).retry_after_s is None


# -------------------------------------------------------------------------------------------------- trades


def trade(number: int, second: float, side: str = "BUY") -> dict[str, str]:
    stamp = f"2026-11-21T11:59:{second:09.6f}Z"
    return {
        "trade_id": str(number),
        "product_id": "BTC-USD",
        "price": "11",
        "size": "2",
        "time": stamp,
        "side": side,
        "bid": "",
        "ask": "",
    }


def trade_page(
    asked: TradeQuery, *bodies: Sequence[Mapping[str, str]]
) -> tuple[TradePage, list[HttpRequest]]:
    replies = [reply({"trades": body, "best_bid": "1", "best_ask": "2"}) for body in bodies]
    return talk(wickwire_coinbase.fetch_trades(asked), *replies)


LAST_MINUTE = TradeQuery(symbol="BTC/USD", since_ns=NOON - MINUTE_NS, until_ns=NOON, now_ns=NOON)


def test_trades_come_newest_first_and_leave_oldest_first_with_the_takers_side():
    told, [asked] = trade_page(LAST_MINUTE, [trade(10, 5, "SELL"), trade(9, 4)])

    assert asked.url.endswith("/market/products/BTC-USD/ticker")
    assert asked.params == {
        "limit": "1000",
        "start": str(NOON // SECOND_NS - 60),
        "end": str(NOON // SECOND_NS),
    }
    assert [("9", Side.SELL), ("10", Side.BUY)] == [(each.id, each.side) for each in told.trades]
    assert (told.covered, told.stopped) == ((NOON - MINUTE_NS, NOON), Stopped.UNTIL)


def test_a_transcribed_trade_reads_to_the_microsecond():
    at_ns = parse_instant("2026-11-21T05:00:12.375232Z")
    asked = TradeQuery(symbol="BTC/USDC", since_ns=at_ns, until_ns=at_ns + 1, now_ns=NOON)
    told, _ = talk(wickwire_coinbase.fetch_trades(asked), reply(wire("rest_trades")))

    [found] = told.trades
    assert ("BTC/USDC", "995098701", at_ns, Side.BUY) == (found.symbol, found.id, found.time_ns, found.side)


def test_older_trades_are_asked_for_until_a_reply_is_short():
    first = [trade(number, 59 - (300 - number) * 0.1) for number in range(300, 100, -1)]
    second = [trade(number, 59 - (300 - number) * 0.1) for number in range(110, 90, -1)]
    told, asked = trade_page(LAST_MINUTE, first, second)

    oldest_s = NOON // SECOND_NS - 60 + 39
    assert asked[1].params["end"] == str(oldest_s + 1)
    assert [str(number) for number in range(91, 301)] == [each.id for each in told.trades]
    assert told.covered == (NOON - MINUTE_NS, NOON)


def test_a_second_with_more_trades_than_a_reply_is_not_covered():
    burst = [trade(number, 30 + number / 1_000) for number in range(200, 0, -1)]
    told, asked = trade_page(LAST_MINUTE, burst, burst)

    assert len(asked) == 2
    assert told.covered == (NOON - 29 * SECOND_NS, NOON)
    assert told.stopped is Stopped.VENUE_LIMIT


@pytest.mark.parametrize(
    "broken", [{"side": "BID"}, {"trade_id": "x"}, {"price": "NaN"}, {"time": "now"}, {"size": None}]
)
def test_a_trade_that_says_nonsense_is_refused(broken):
    with pytest.raises(WireError, match=r"\$\.trades\[0\]"):
        trade_page(LAST_MINUTE, [{**trade(1, 1), **broken}])


@pytest.mark.parametrize(
    ("broken", "first", "last"),
    [
        *[({name: value}, 2, 2) for name, value in (("side", "BID"), ("trade_id", "x"), ("price", "NaN"))],
        *[({name: None}, 2, 2) for name in ("side", "trade_id", "size")],
        *[({"time": value}, 1, 3) for value in ("now", None, "2026-13-01T00:00:00Z")],
    ],
)
def test_a_bad_trade_costs_itself_and_says_where_it_lacks(broken, first, last):
    told, _ = trade_page(LAST_MINUTE, [trade(3, 3), {**trade(2, 2), **broken}, trade(1, 1)])

    assert [each.id for each in told.trades] == ["1", "3"]
    assert told.covered == (NOON - MINUTE_NS, NOON)
    assert [(bad.open_ns, bad.close_ns) for bad in told.bad_rows] == [
        (NOON - (60 - first) * SECOND_NS, NOON - (60 - last) * SECOND_NS + 1)
    ]


def test_a_bad_trade_on_two_pages_is_one():
    first = [trade(number, 59 - (300 - number) * 0.1) for number in range(300, 100, -1)]
    first[-2]["price"] = "NaN"
    told, _ = trade_page(LAST_MINUTE, first, [first[-2], first[-1]])

    assert len(told.bad_rows) == 1


# ------------------------------------------------------------------------------------------------ listings


def listed(text: str, *replies: HttpReply) -> Any:
    symbols, _ = talk(wickwire_coinbase.list_instruments(text), *replies)
    return symbols


def test_all_kinds_of_products_are_listed_and_dead_ones_are_not():
    found = listed("", reply(wire("rest_products")), reply(wire("rest_futures")))

    assert found == ["BIT-27NOV26-CDE", "BTC-PERP-INTX", "BTC/USD", "BTC/USDC", "ETH/EUR", "USDT/USDC"]


def test_a_part_of_any_name_finds_a_product():
    both = reply(wire("rest_products")), reply(wire("rest_futures"))

    assert listed("eth", *both) == ["ETH/EUR"]
    assert listed("27 nov", *both) == ["BIT-27NOV26-CDE"]
    assert listed("btc-usd", *both) == ["BTC/USD", "BTC/USDC"]


def test_a_list_in_pages_is_read_to_its_end_and_one_that_stands_still_is_left():
    first = {"products": [{"product_id": "A-USD"}, {"product_id": "B-USD"}], "num_products": 4}
    second = {"products": [{"product_id": "B-USD"}, {"product_id": "C-USD"}], "num_products": 4}
    none = {"products": [], "num_products": 0}
    found, asked = talk(wickwire_coinbase.list_instruments(""), *map(reply, (first, second, second, none)))

    assert found == ["A/USD", "B/USD", "C/USD"]
    assert [None, "2", "3", None] == [each.params.get("offset") for each in asked]


def test_a_product_that_cannot_be_read_hides_no_other():
    bodies: tuple[object, ...] = (
        {"products": [{"product_id": 5}, {"product_id": "A-USD"}]},
        {"products": []},
    )
    assert listed("", *map(reply, bodies)) == ["A/USD"]


def test_a_list_without_one_readable_product_is_refused():
    with pytest.raises(WireError, match=r"\$\.products\[0\]"):
        listed("", reply({"products": [{"product_id": 5}]}))
