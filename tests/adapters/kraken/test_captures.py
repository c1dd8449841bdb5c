"""Kraken as others recorded it, against what an independent client read in the same frames.

The recordings are third-party data and stay outside the repository; WICKWIRE_CAPTURES names their folder.
"""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

import wickwire_kraken
from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Accepted,
    Candle,
    Fault,
    FaultKind,
    Feed,
    Finality,
    Heartbeat,
    HttpReply,
    OhlcvQuery,
    Quote,
    Refused,
    Side,
    Timeframe,
    Topic,
    TradeQuery,
    VenueStatus,
    WireError,
    parse_instant,
)
from wickwire_kraken.dialogue import Dialogue

CAPTURES = Path(os.environ.get("WICKWIRE_CAPTURES", "/nonexistent"), "kraken")

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="WICKWIRE_CAPTURES is not set, or has no folder kraken: no captures here"
)


def events(name):
    """All that the frames of a recorded connection mean, heard by a client that asked for nothing."""
    memory = Dialogue()
    lines = (CAPTURES / f"{name}.jsonl").read_bytes().splitlines()
    return [event for line in lines for event in wickwire_kraken.parse(line, memory)]


def expected(name):
    return json.loads((CAPTURES / f"{name}.expect.json").read_text())


def page(name, symbol, since_ns, until_ns, *, timeframe="1m"):
    query = OhlcvQuery(
        symbol=symbol,
        timeframe=Timeframe.parse(timeframe),
        since_ns=since_ns,
        until_ns=until_ns,
        now_ns=until_ns,
    )
    return answered(wickwire_kraken.fetch_ohlcv(query), name)


def answered(conversation, name):
    next(conversation)
    try:
        conversation.send(HttpReply(status=200, body=(CAPTURES / f"{name}.json").read_bytes()))
    except StopIteration as stop:
        return stop.value
    raise AssertionError("more than one request")


def as_ccxt(candle):
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [candle.open_ns // 1_000_000, *numbers]


def as_decimals(row):
    return [row[0], *(Decimal(str(number)) for number in row[1:])]


# ------------------------------------------------------------------------------------------------- streams


def test_the_candles_of_a_snapshot_are_those_that_ccxt_read():
    candles = [event for event in events("ws.ccxt.ohlc") if isinstance(event, Candle)]

    assert [as_decimals(row) for row in expected("ws.ccxt.ohlc")["candles"]] == [
        as_ccxt(candle) for candle in candles if candle.snapshot
    ]
    [update] = [candle for candle in candles if not candle.snapshot]
    assert (Decimal("63297.7"), 27) == (update.close, update.trade_count)


def test_the_quote_of_a_snapshot_is_the_one_that_ccxt_read():
    first, second = [event for event in events("ws.ccxt.ticker") if isinstance(event, Quote)]
    ticker = expected("ws.ccxt.ticker")["ticker"]

    assert [Decimal(str(ticker[key])) for key in ("bid", "bidVolume", "ask", "askVolume")] == [
        first.bid,
        first.bid_size,
        first.ask,
        first.ask_size,
    ]
    assert (True, False) == (first.snapshot, second.snapshot)
    assert second.time_ns == parse_instant("2026-08-12T19:29:02.066592Z")


def test_a_recorded_connection_reads_from_status_to_heartbeat():
    """A refusal without a number, a snapshot, and one candle twice: the last word wins."""
    status, refused, accepted, *candles, heartbeat = events("ws.capture_20261006")

    assert status == VenueStatus(None, "online")
    assert isinstance(refused, Refused)
    assert (FaultKind.SYMBOL, {"XBT/USD"}) == (refused.kind, {topic.symbol for topic in refused.topics})
    assert accepted == Accepted((Topic("BTC/USD", Timeframe.parse("1m")),))
    assert [17 * 60 + 57, 17 * 60 + 58, 18 * 60 + 6, 18 * 60 + 6] == [
        candle.open_ns % DAY_NS // MINUTE_NS for candle in candles
    ]
    assert Decimal("85754.7") == candles[-1].close
    assert heartbeat == Heartbeat()


def test_a_snapshot_leaves_out_minutes_without_trades():
    *candles, refused = events("ws.capture_20260910")

    assert [40, 41, 43] == [candle.open_ns % HOUR_NS // MINUTE_NS for candle in candles]
    assert "XBT/USDT" in refused.text


def test_a_daily_candle_keeps_its_trailing_zeros():
    [candle] = events("ws.daily_update_20250626")

    assert (Timeframe.parse("1d"), parse_instant("2025-06-26T00:00:00Z")) == (
        candle.timeframe,
        candle.open_ns,
    )
    assert ("759.97804600", 22_607) == (str(candle.volume), candle.trade_count)


@pytest.mark.parametrize("name", ["ws.ccxt.book_btc", "ws.ccxt.book_doge", "ws.ccxt.book_resnapshot"])
def test_books_that_others_subscribed_to_mean_nothing_to_us(name):
    assert events(name) == [VenueStatus(None, "online")]


def test_no_recorded_frame_is_junk():
    names = sorted(path.stem for path in CAPTURES.glob("ws.*.jsonl"))

    assert names
    assert [name for name in names if any(isinstance(event, Fault) for event in events(name))] == []


# ---------------------------------------------------------------------------------------------------- REST


def test_recorded_history_is_what_ccxt_read():
    """Its request began after the first row, and asked for three."""
    since_ns = expected("rest.ccxt.ohlc")["request"]["since"] * 1_000_000
    since_ns += -since_ns % HOUR_NS

    found = page("rest.ccxt.ohlc", "BTC/USDT", since_ns, since_ns + 3 * HOUR_NS, timeframe="1h")

    assert [as_decimals(row) for row in expected("rest.ccxt.ohlc")["candles"]] == [
        as_ccxt(candle) for candle in found.candles
    ]
    assert found.covered == (since_ns, since_ns + 3 * HOUR_NS)


def test_the_last_of_twelve_recorded_rows_is_still_forming():
    first_ns = 1_791_318_900 * SECOND_NS
    found = page("rest.capture_20261006", "BTC/USD", first_ns, first_ns + 12 * MINUTE_NS)

    assert [Finality.UNSAID] * 11 + [Finality.FORMING] == [candle.finality for candle in found.candles]
    assert found.covered == (first_ns, first_ns + 11 * MINUTE_NS)


def test_twenty_recorded_minutes_are_nineteen_closed_ones():
    first_ns = 1_791_281_160 * SECOND_NS
    found = page("rest.clim_eth_1m", "ETH/USD", first_ns, first_ns + HOUR_NS)

    assert len(found.candles) == 20
    assert found.covered == (first_ns, first_ns + 19 * MINUTE_NS)
    assert [candle.open_ns for candle in found.candles if candle.finality is Finality.FORMING] == [
        first_ns + 19 * MINUTE_NS
    ]


def test_a_recorded_trade_is_the_one_that_ccxt_read():
    [told] = expected("rest.ccxt.trades")["trades"]
    since_ns = told["timestamp_ms"] * 1_000_000
    query = TradeQuery(
        symbol=told["symbol"], since_ns=since_ns, until_ns=since_ns + SECOND_NS, now_ns=since_ns + SECOND_NS
    )

    [trade] = answered(wickwire_kraken.fetch_trades(query), "rest.ccxt.trades").trades

    assert (told["id"], Decimal(told["price"]), Decimal(told["amount"])) == (
        trade.id,
        trade.price,
        trade.size,
    )
    assert (Side(told["side"]), told["timestamp_ms"]) == (trade.side, trade.time_ns // 1_000_000)


def test_a_reply_of_another_method_is_refused():
    """A recorded REST ticker, which we never ask for, has the envelope of all replies."""
    with pytest.raises(WireError):
        page("rest.ccxt.ticker", "BTC/USDT", 0, HOUR_NS)


def test_every_feed_and_interval_of_a_recording_is_one_that_we_could_ask_for():
    known = {*wickwire_kraken.describe().timeframes, *Feed}
    accepted = [
        topic.what
        for path in CAPTURES.glob("ws.*.jsonl")
        for event in events(path.stem)
        if isinstance(event, Accepted)
        for topic in event.topics
    ]

    assert accepted
    assert set(accepted) <= known
