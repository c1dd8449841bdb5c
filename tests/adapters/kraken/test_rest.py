"""Kraken's history: what is asked, and what a reply proves."""

from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
import msgspec
import pytest

import wickwire_kraken
from wickwire import (
    MINUTE_NS,
    SECOND_NS,
    Candle,
    FaultKind,
    Finality,
    HttpReply,
    OhlcvQuery,
    Side,
    Stopped,
    Timeframe,
    Trade,
    TradeQuery,
    VenueError,
    WireError,
    parse_instant,
)

WIRE: Final = Path(__file__).parent / "wire"
MINUTE: Final = Timeframe.parse("1m")
OPEN_NS: Final = 1_795_237_200 * SECOND_NS  # 2026-11-21T05:00Z, when the transcribed bucket begins
NOW: Final = OPEN_NS + 30 * SECOND_NS


def wire(name):
    return (WIRE / f"{name}.json").read_bytes().strip()


def ok(body, **fields):
    return HttpReply(status=200, body=body, **fields)


def converse(conversation, *replies):
    """Run a conversation; return what it asked and what it returned."""
    asked = [next(conversation)]
    for reply in replies:
        try:
            asked.append(conversation.send(reply))
        except StopIteration as stop:
            return asked, stop.value
    raise AssertionError(f"not finished after {len(replies)} replies")


def candles(
    reply, since_ns=OPEN_NS - MINUTE_NS, until_ns=OPEN_NS + MINUTE_NS, *, symbol="BTC/USD", timeframe=MINUTE
):
    query = OhlcvQuery(symbol=symbol, timeframe=timeframe, since_ns=since_ns, until_ns=until_ns, now_ns=NOW)
    return converse(wickwire_kraken.fetch_ohlcv(query), reply)


def rows(*minutes, count=5, width=1):
    """A reply with one row for each of *minutes* (before or after the transcribed bucket)."""
    made = [
        [OPEN_NS // SECOND_NS + 60 * width * at, "2", "4", "1", "3", "2.5", "7.50", count] for at in minutes
    ]
    return ok(msgspec.json.encode({"error": [], "result": {"XXBTZUSD": made, "last": 0}}))


# ------------------------------------------------------------------------------------------------ candles


def test_since_is_exclusive_so_one_interval_less_is_asked():
    [request], _ = candles(ok(wire("rest_ohlc")))

    assert request.url == "https://api.kraken.com/0/public/OHLC"
    assert request.params == {"pair": "BTC/USD", "interval": "1", "since": str(OPEN_NS // SECOND_NS - 120)}


def test_a_tokenized_stock_says_so():
    [request], _ = candles(ok(wire("rest_ohlc").replace(b"XXBTZUSD", b"AAPLxUSD")), symbol="AAPLx/USD")

    assert request.params["asset_class"] == "tokenized_asset"


def test_rows_become_candles_and_the_last_one_is_always_running():
    _, page = candles(ok(wire("rest_ohlc")))

    closed, running = page.candles
    assert closed == Candle(
        "BTC/USD",
        MINUTE,
        OPEN_NS - MINUTE_NS,
        OPEN_NS,
        Decimal("95010.1"),
        Decimal("95040.0"),
        Decimal("95000.0"),
        Decimal("95020.0"),
        Decimal("3.20110000"),
        41,
        Decimal("95018.2"),
    )
    assert str(closed.volume) == "3.20110000"
    assert (OPEN_NS, Finality.FORMING) == (running.open_ns, running.finality)
    assert (page.covered, page.stopped) == ((OPEN_NS - MINUTE_NS, OPEN_NS), Stopped.UNTIL)


def test_the_last_row_is_running_also_when_it_is_the_only_one_or_old():
    """A reply may come late or from a cache: the next one will tell."""
    _, page = candles(rows(-1))

    assert [Finality.FORMING] == [candle.finality for candle in page.candles]
    assert page.covered == (OPEN_NS - MINUTE_NS, OPEN_NS - MINUTE_NS)


@pytest.mark.parametrize("key", [b"XBTUSD", b"BTC/USD", b"WHATEVER"])
def test_the_venue_calls_the_pair_as_it_likes(key):
    body = wire("rest_ohlc")

    assert candles(ok(body.replace(b"XXBTZUSD", key)))[1] == candles(ok(body))[1]


@pytest.mark.parametrize(
    ("key", "symbol"),
    [
        (b"XXBTZUSD", "BTC/USD"),
        (b"XDGUSD", "DOGE/USD"),
        (b"XETHXXBT", "ETH/BTC"),
        (b"USDTZUSD", "USDT/USD"),
        (b"XRPRLUSD", "XRPRL/USD"),
        (b"XBTPYUSD", "BTC/PYUSD"),
        (b"ZEURZUSD", "EUR/USD"),
    ],
)
def test_every_name_that_the_venue_has_for_a_pair_means_that_pair(key, symbol):
    assert candles(ok(wire("rest_ohlc").replace(b"XXBTZUSD", key)), symbol=symbol)[1].candles


@pytest.mark.parametrize("key", [b"XETHZUSD", b"ETH/USD", b"XBTUSDT", b"XXBTZEUR"])
def test_a_reply_about_another_pair_is_never_taken_for_the_one_asked(key):
    """F62: two instruments are never joined silently."""
    with pytest.raises(WireError, match="asked for BTC/USD, got"):
        candles(ok(wire("rest_ohlc").replace(b"XXBTZUSD", key)))


def test_a_reply_with_rows_of_another_interval_proves_nothing():
    with pytest.raises(WireError, match="1 min apart, asked for were 60 min"):
        candles(ok(wire("rest_ohlc")), timeframe=Timeframe.parse("1h"))


def test_a_reply_without_its_cursor_is_understood():
    """Recorded replies lack it, and nothing depends on it."""
    body = wire("rest_ohlc")

    assert candles(ok(body.replace(b',"last":1795237140', b"")))[1] == candles(ok(body))[1]


def test_rows_without_trades_are_left_out_and_proven_empty():
    """The stream leaves out the same buckets."""
    flat = [OPEN_NS // SECOND_NS - 60, "3", "3", "3", "3", "0.0", "0.00000000", 0]
    body = msgspec.json.decode(rows(-2, 0).body)
    body["result"]["XXBTZUSD"].insert(1, flat)

    _, page = candles(ok(msgspec.json.encode(body)), since_ns=OPEN_NS - 2 * MINUTE_NS)

    assert [OPEN_NS - 2 * MINUTE_NS, OPEN_NS] == [candle.open_ns for candle in page.candles]
    assert page.covered == (OPEN_NS - 2 * MINUTE_NS, OPEN_NS)


def test_a_row_that_is_there_twice_is_one_candle_with_its_last_words():
    made = rows(-1, 0).body.replace(
        b"]],", b'],[%d,"2","4","1","3.5","2.5","8.00",6]],' % (OPEN_NS // SECOND_NS - 60)
    )

    _, page = candles(ok(made))

    closes = {one.open_ns: one.close for one in page.candles}
    assert (2, Decimal("3.5")) == (len(page.candles), closes[OPEN_NS - MINUTE_NS])


def test_only_what_was_asked_for_is_returned():
    _, page = candles(rows(-3, -2, -1, 0), since_ns=OPEN_NS - 2 * MINUTE_NS, until_ns=OPEN_NS - MINUTE_NS)

    assert [OPEN_NS - 2 * MINUTE_NS] == [candle.open_ns for candle in page.candles]
    assert page.covered == (OPEN_NS - 2 * MINUTE_NS, OPEN_NS - MINUTE_NS)


def test_a_full_reply_that_begins_later_has_reached_its_limit():
    since_ns = OPEN_NS - 1_000 * MINUTE_NS
    _, page = candles(rows(*range(-720, 1)), since_ns=since_ns)

    assert page.covered == (OPEN_NS - 720 * MINUTE_NS, OPEN_NS)
    assert page.stopped is Stopped.VENUE_LIMIT
    assert len(page.candles) == 721


def test_what_is_older_than_all_that_is_served_is_beyond_the_limit():
    since_ns = OPEN_NS - 2_000 * MINUTE_NS
    until_ns = since_ns + 10 * MINUTE_NS
    _, page = candles(rows(*range(-720, 1)), since_ns=since_ns, until_ns=until_ns)

    assert page.candles == []
    assert page.covered == (until_ns, until_ns)
    assert page.stopped is Stopped.VENUE_LIMIT


def test_a_short_reply_that_begins_later_shows_where_the_pair_begins():
    _, page = candles(rows(-3, -2, -1, 0), since_ns=OPEN_NS - 100 * MINUTE_NS)

    assert page.covered == (OPEN_NS - 3 * MINUTE_NS, OPEN_NS)
    assert page.stopped is Stopped.VENUE_START


def test_a_missing_row_proves_nothing():
    """Buckets without trades have rows: one that is absent is unknown, and so is what lies before."""
    _, page = candles(rows(-5, -4, -2, -1, 0), since_ns=OPEN_NS - 5 * MINUTE_NS)

    assert len(page.candles) == 5
    assert page.covered == (OPEN_NS - 2 * MINUTE_NS, OPEN_NS)
    assert page.stopped is Stopped.VENUE_LIMIT


def test_a_missing_row_before_or_after_what_was_asked_for_does_not_matter():
    _, page = candles(
        rows(-9, -4, -3, -1, 0), since_ns=OPEN_NS - 4 * MINUTE_NS, until_ns=OPEN_NS - 2 * MINUTE_NS
    )

    assert page.covered == (OPEN_NS - 4 * MINUTE_NS, OPEN_NS - 2 * MINUTE_NS)
    assert page.stopped is Stopped.UNTIL


def test_a_pair_without_any_row_proves_nothing():
    _, page = candles(rows())

    assert page.candles == []
    assert page.covered == (OPEN_NS - MINUTE_NS, OPEN_NS - MINUTE_NS)
    assert page.stopped is Stopped.VENUE_LIMIT


def test_weeks_begin_where_their_rows_begin():
    """Asked from any instant: no bucket opens between it and the first row after it."""
    since_ns = OPEN_NS - 2 * 10_080 * MINUTE_NS - 5
    _, page = candles(rows(-2, -1, 0, width=10_080), since_ns=since_ns, timeframe=Timeframe.parse("1w"))

    assert page.covered == (since_ns, OPEN_NS)
    assert page.stopped is Stopped.UNTIL


def altered(*rows_of_reply):
    return ok(msgspec.json.encode({"error": [], "result": {"XXBTZUSD": rows_of_reply, "last": 0}}))


def row(minute, *, count=5):
    return [OPEN_NS // SECOND_NS + 60 * minute, "2", "4", "1", "3", "2.5", "7.50", count]


@pytest.mark.parametrize("field", [1, 5, 6])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "n/a", "", None])
def test_a_row_that_is_no_candle_is_left_out_alone_and_its_bucket_is_not_proven_empty(field, number):
    bad = row(-2)
    bad[field] = number

    _, page = candles(altered(row(-3), bad, row(-1), row(0)), since_ns=OPEN_NS - 3 * MINUTE_NS)

    assert [-3, -1, 0] == [(candle.open_ns - OPEN_NS) // MINUTE_NS for candle in page.candles]
    assert (page.covered, page.stopped) == ((OPEN_NS - 3 * MINUTE_NS, OPEN_NS), Stopped.UNTIL)
    [left_out] = page.bad_rows
    assert (left_out.open_ns, left_out.close_ns) == (OPEN_NS - 2 * MINUTE_NS, OPEN_NS - MINUTE_NS)
    assert "$.result.XXBTZUSD[1]" in left_out.why


@pytest.mark.parametrize("bad", [[], ["x"], "x", {}, None, 7, [None, "2", "4", "1", "3", "2.5", "7.50", 5]])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_row_that_does_not_say_its_time_stands_where_its_neighbours_say(bad, place):
    whole = [row(-3), row(-2), row(-1), row(0)]
    whole[place] = bad

    _, page = candles(altered(*whole), since_ns=OPEN_NS - 3 * MINUTE_NS)

    assert [OPEN_NS + (place - 3) * MINUTE_NS] == [left_out.open_ns for left_out in page.bad_rows]
    assert page.covered == (OPEN_NS - 3 * MINUTE_NS, OPEN_NS)


def test_a_bad_row_of_another_time_than_was_asked_for_is_nobodys_business():
    reply = altered([*row(-4)[:-1], "many"], row(-3), row(-2), row(-1), [*row(0)[:-1], "many"], row(1))
    _, page = candles(reply, since_ns=OPEN_NS - 3 * MINUTE_NS, until_ns=OPEN_NS - MINUTE_NS)

    assert page.bad_rows == []
    assert [OPEN_NS - 3 * MINUTE_NS, OPEN_NS - 2 * MINUTE_NS] == [one.open_ns for one in page.candles]


def test_a_running_row_that_is_bad_is_still_the_running_one():
    _, page = candles(altered(row(-2), row(-1), [*row(0)[:-1], "many"]), since_ns=OPEN_NS - 2 * MINUTE_NS)

    assert [Finality.UNSAID] * 2 == [candle.finality for candle in page.candles]


@pytest.mark.parametrize("time", [-9, 0])
def test_a_bad_row_that_nobody_can_place_refuses_the_reply(time):
    with pytest.raises(WireError):
        candles(altered(row(-3), [*row(time)[:-1], "many"], row(-1), row(0)))


def test_rows_without_a_good_one_are_refused():
    with pytest.raises(WireError):
        candles(altered(["x"], ["y"]))


# ------------------------------------------------------------------------------------------------- trades


def trades(*replies, since_ns=OPEN_NS, until_ns=OPEN_NS + MINUTE_NS):
    query = TradeQuery(symbol="BTC/USD", since_ns=since_ns, until_ns=until_ns, now_ns=NOW)
    return converse(wickwire_kraken.fetch_trades(query), *replies)


def test_trades_keep_digits_and_time_to_the_last_decimal():
    [request], page = trades(ok(wire("rest_trades")))

    assert request.url == "https://api.kraken.com/0/public/Trades"
    assert request.params == {"pair": "BTC/USD", "since": str(OPEN_NS - 1), "count": "1000"}
    assert page.trades == [
        Trade(
            "BTC/USD",
            "70000001",
            Decimal("95019.90000"),
            Decimal("0.00500000"),
            Side.SELL,
            OPEN_NS + 5_440_295_200,
        ),
        Trade(
            "BTC/USD",
            "70000002",
            Decimal("95025.50000"),
            Decimal("0.10000000"),
            Side.BUY,
            OPEN_NS + 13_500_001_000,
        ),
    ]
    assert (page.covered, page.stopped) == ((OPEN_NS, NOW), Stopped.UNTIL)


def test_a_reply_that_is_not_full_holds_everything_up_to_the_servers_clock():
    _, page = trades(ok(wire("rest_trades"), date_ns=OPEN_NS + 14 * SECOND_NS))

    assert page.covered == (OPEN_NS, OPEN_NS + 14 * SECOND_NS)


def test_a_very_old_trade_has_no_id():
    _, page = trades(ok(wire("rest_trades").replace(b',"m","",70000001]', b',"m",""]')))

    assert ["", "70000002"] == [trade.id for trade in page.trades]


def test_a_row_may_have_more_fields_than_are_documented():
    _, page = trades(ok(wire("rest_trades").replace(b"70000001]", b'70000001,"1795237205440295259"]')))

    assert ["70000001", "70000002"] == [trade.id for trade in page.trades]


def full(seconds, first, last):
    """A full reply: 1000 trades of one instant."""
    row = '["1","1",%s,"b","m","",%d]'
    made = ",".join(row % (seconds, first + number) for number in range(1_000))
    return ok(f'{{"error":[],"result":{{"XXBTZUSD":[{made}],"last":"{last}"}}}}'.encode())


def test_a_full_reply_is_proven_up_to_its_last_instant():
    """There may be more trades of that instant on the next page."""
    _, page = trades(full("1795237210.5", 1, 0))

    assert page.covered == (OPEN_NS, OPEN_NS + 10_500_000_000)
    assert page.stopped is Stopped.VENUE_LIMIT


def test_a_full_reply_reaches_to_the_last_of_its_trades():
    early = full("1795237210.5", 1, 0)
    body = early.body.replace(b"1795237210.5", b"1795237204", 999)
    _, page = trades(attrs.evolve(early, body=body))

    assert page.covered == (OPEN_NS, OPEN_NS + 10_500_000_000)


def test_a_thousand_trades_of_one_instant_do_not_stop_progress():
    requests, page = trades(full("1795237200", 1, OPEN_NS + 7), full("1795237201", 1_001, 0))

    assert str(OPEN_NS + 7) == requests[1].params["since"]
    assert (len(page.trades), page.covered) == (2_000, (OPEN_NS, OPEN_NS + SECOND_NS))


def test_a_cursor_that_stands_still_is_refused():
    with pytest.raises(WireError, match="stands still"):
        trades(full("1795237200", 1, OPEN_NS - 1))


@pytest.mark.parametrize("time", ["1e999999", "-1", '"NaN"', "1795237200000"])
def test_a_trade_at_no_sensible_time_is_refused(time):
    with pytest.raises(WireError, match="time in seconds"):
        trades(ok(wire("rest_trades").replace(b"1795237205.4402952", time.encode())))


# -------------------------------------------------------------------------------------------- instruments


def instruments(query, body=None):
    return converse(wickwire_kraken.list_instruments(query), ok(body or wire("rest_asset_pairs")))


def test_instruments_are_listed_by_their_canonical_names():
    """The dark pool and the delisted pair are not among them."""
    [request], symbols = instruments("")

    assert request.url == "https://api.kraken.com/0/public/AssetPairs"
    assert symbols == ["BTC/USD", "BTC/USDT", "DOGE/USD", "ETH/BTC"]


def test_what_may_not_be_traded_hides_nothing_that_stands_behind_it():
    pairs = {
        "XBTUSD.d": {"altname": "XBTUSD.d"},
        "OLDUSD": {"altname": "OLDUSD", "wsname": "OLD/USD", "status": "delisted"},
        "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "status": "online"},
    }
    body = msgspec.json.encode({"error": [], "result": pairs})

    assert instruments("", body)[1] == ["BTC/USD"]


@pytest.mark.parametrize("query", ["doge", "XDG", "xdgusd", "DOGE/USD"])
def test_instruments_are_found_by_any_of_their_names(query):
    assert instruments(query)[1] == ["DOGE/USD"]


# -------------------------------------------------------------------------------------------------- errors


def failing(reply):
    with pytest.raises(VenueError) as caught:
        candles(reply)
    return caught.value.kind, caught.value.retry_after_s


@pytest.mark.parametrize(
    ("text", "kind", "wait_s"),
    [
        ("EQuery:Unknown asset pair", FaultKind.SYMBOL, None),
        ("EQuery:Invalid asset pair", FaultKind.SYMBOL, None),
        ("EGeneral:Invalid arguments", FaultKind.REQUEST, None),
        ("EGeneral:Invalid arguments:interval", FaultKind.REQUEST, None),
        ("EGeneral:Unknown method", FaultKind.REQUEST, None),
        ("EGeneral:Too many requests", FaultKind.WAIT, 1.0),
        ("EAPI:Rate limit exceeded", FaultKind.WAIT, 5.0),
        ("EGeneral:Temporary lockout", FaultKind.WAIT, 900.0),
        ("EService: Throttled: 1795237242", FaultKind.WAIT, 12.0),
        ("EService: Throttled: 1795237000", FaultKind.WAIT, 0.0),
        ("EService:Unavailable", FaultKind.OUTAGE, None),
        ("EService:Busy", FaultKind.OUTAGE, None),
        ("EService:Market in cancel_only mode", FaultKind.OUTAGE, None),
        ("EGeneral:Internal error", FaultKind.OUTAGE, None),
        ("EAPI:Invalid key", FaultKind.CREDENTIALS, None),
        ("EQuantum:Never heard of", FaultKind.OUTAGE, None),
    ],
)
def test_an_error_in_a_reply_with_status_200_says_what_to_do(text, kind, wait_s):
    assert failing(ok(msgspec.json.encode({"error": [text]}))) == (kind, wait_s)


def test_an_error_names_the_venue_the_words_and_the_request():
    with pytest.raises(VenueError, match=r"kraken: EQuery:Unknown asset pair \(OHLC of BTC/USD\)"):
        candles(ok(b'{"error":["EQuery:Unknown asset pair"]}'))


def test_throttling_is_measured_by_the_servers_clock():
    reply = ok(b'{"error":["EService: Throttled: 1795237242"]}', date_ns=NOW + 10 * SECOND_NS)

    assert failing(reply) == (FaultKind.WAIT, 2.0)


def test_without_any_clock_a_wait_is_of_unsaid_length():
    """A list of instruments is asked for without the time; the reply may not say it either."""
    with pytest.raises(VenueError) as caught:
        instruments("", b'{"error":["EService: Throttled: 1795237242"]}')

    assert (caught.value.kind, caught.value.retry_after_s) == (FaultKind.WAIT, None)


def test_a_warning_stands_beside_a_usable_result():
    body = wire("rest_ohlc")

    assert candles(ok(body.replace(b'"error":[]', b'"error":["WGeneral:Danger"]')))[1] == candles(ok(body))[1]


def test_an_error_after_a_warning_still_counts():
    reply = ok(b'{"error":["WGeneral:Danger","EQuery:Unknown asset pair"]}')

    assert failing(reply) == (FaultKind.SYMBOL, None)


@pytest.mark.parametrize("status", [200, 403, 502, 503, 520, 525])
def test_a_page_of_cloudflares_is_an_outage(status):
    assert failing(HttpReply(status=status, body=b"\n<!DOCTYPE html><html>")) == (FaultKind.OUTAGE, None)


def test_status_429_waits_as_long_as_it_says():
    reply = HttpReply(status=429, body=b"error code: 1015", headers={"retry-after": "37"})

    assert failing(reply) == (FaultKind.WAIT, 37.0)


def test_status_503_waits_as_long_as_it_says():
    reply = HttpReply(status=503, body=b"", headers={"retry-after": "5"})

    assert failing(reply) == (FaultKind.OUTAGE, 5.0)


def test_a_kraken_error_counts_more_than_its_status():
    assert failing(HttpReply(status=500, body=b'{"error":["EService:Busy"]}')) == (FaultKind.OUTAGE, None)


@pytest.mark.parametrize("status", [400, 404, 405, 414])
def test_what_http_says_of_a_request_is_our_fault(status):
    assert failing(HttpReply(status=status, body=b"not found")) == (FaultKind.REQUEST, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"error":[]}',
        b'{"error":"EGeneral"}',
        b'{"error":[],"result":{}}',
        b'{"error":[],"result":{"last":1}}',
        b'{"error":[],"result":{"A":[],"B":[]}}',
        b'{"error":[],"result":{"A":[[1]]}}',
        b'{"error":[],"result":{"A":{}}}',
        b'{"error":[],"result":{"A":' + b"[" * 100_000,
        b'{"error":[],"result":{"\xff":[]}}',
    ],
)
def test_a_reply_that_is_not_documented_is_refused(body):
    with pytest.raises(WireError):
        candles(ok(body))


def test_a_refused_reply_names_the_place():
    with pytest.raises(WireError) as caught:
        candles(altered([*row(0)[:6], "n/a", 5]))

    assert caught.value.at == "$.result.XXBTZUSD[0][6]"


def test_the_fixture_is_where_it_says():
    assert parse_instant("2026-11-21T05:00:00Z") == OPEN_NS
