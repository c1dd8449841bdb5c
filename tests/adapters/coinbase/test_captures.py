"""Coinbase as others recorded it, against what an independent client read in the same frames.

The recordings are third-party data and stay outside the repository; WICKWIRE_CAPTURES names their folder.
"""

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

import wickwire_coinbase
from wickwire import (
    MINUTE_NS,
    SECOND_NS,
    Fault,
    FaultKind,
    Finality,
    Heartbeat,
    HttpReply,
    OhlcvQuery,
    Quote,
    Side,
    Timeframe,
    Trade,
    TradeQuery,
    parse_instant,
)
from wickwire_coinbase.memory import Memory

CAPTURES = Path(os.environ.get("WICKWIRE_CAPTURES", "/nonexistent"), "coinbase")

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="WICKWIRE_CAPTURES is not set, or has no folder coinbase: no captures here"
)


def events(name):
    """All that the frames of a recorded connection mean, heard by a client that asked for nothing."""
    memory = Memory()
    lines = (CAPTURES / f"{name}.jsonl").read_bytes().splitlines()
    return [event for line in lines for event in wickwire_coinbase.parse(line, memory)]


def expected(name):
    return json.loads((CAPTURES / f"{name}.expect.json").read_text())


def answered(conversation, name):
    next(conversation)
    try:
        conversation.send(HttpReply(status=200, body=(CAPTURES / f"{name}.json").read_bytes()))
    except StopIteration as stop:
        return stop.value
    raise AssertionError("more than one request")


# ------------------------------------------------------------------------------------------------- streams


def test_the_trades_of_a_snapshot_are_those_that_ccxt_read_but_for_the_side():
    """ccxt hands the venue's side on, which is the maker's."""
    found = [event for event in events("ws.ccxt.trades") if isinstance(event, Trade)]
    told = expected("ws.ccxt.trades")["trades"]

    assert [(t["id"], Decimal(t["price"]), Decimal(t["amount"]), t["timestamp_ms"]) for t in told] == [
        (trade.id, trade.price, trade.size, trade.time_ns // 1_000_000) for trade in found if trade.snapshot
    ]
    assert {"buy"} == {each["side_as_ccxt"] for each in told}
    assert {Side.SELL} == {trade.side for trade in found}
    assert ["1069726292", "1069726293"] == [trade.id for trade in found if not trade.snapshot]


def test_the_quote_of_a_snapshot_is_the_one_that_ccxt_read():
    first, second = events("ws.ccxt.ticker")
    told = expected("ws.ccxt.ticker")["ticker"]

    assert isinstance(first, Quote)
    assert [Decimal(str(told[key])) for key in ("bid", "bidVolume", "ask", "askVolume")] == [
        first.bid,
        first.bid_size,
        first.ask,
        first.ask_size,
    ]
    assert first.time_ns == parse_instant("2026-08-12T19:27:33.489674268Z")
    assert told["timestamp_ms"] == first.time_ns // 1_000_000
    assert (True, False) == (first.snapshot, second.snapshot)


def test_a_recorded_session_of_books_brings_a_heartbeat_and_an_error():
    """The error says "authentication failure", which is what an unknown channel gets."""
    heartbeat, fault = events("ws.capture_20260907")

    assert heartbeat == Heartbeat(parse_instant("2026-09-07T23:37:22.675755362Z"))
    assert fault == Fault(FaultKind.PROTOCOL, "authentication failure")


def test_a_recording_that_left_out_a_message_shows_the_gap():
    gap, heartbeat, error = events("ws.capture_20260930")

    assert (FaultKind.GAP, "coinbase: lost message 2 of this connection, of whatever channel") == (
        gap.kind,
        gap.text,
    )
    assert heartbeat.time_ns == parse_instant("2026-09-30T02:37:15.057895263Z")
    assert error.text == "failure to subscribe"


def test_a_trade_of_october_2025_reads_as_one():
    [trade] = events("ws.trade_20251027")

    assert trade == Trade(
        "BTC/USD",
        "892262231",
        Decimal("115445.28"),
        Decimal("0.00015604"),
        Side.SELL,
        parse_instant("2025-10-27T16:44:39.600153Z"),
        snapshot=True,
    )


def test_no_recorded_frame_is_junk():
    names = sorted(path.stem for path in CAPTURES.glob("ws.*.jsonl"))

    assert names
    assert all(isinstance(events(name), list) for name in names)


# ---------------------------------------------------------------------------------------------------- REST


def test_recorded_minutes_are_what_the_file_says():
    rows = json.loads((CAPTURES / "rest.candles_20261006.json").read_bytes())["candles"]
    starts = sorted(int(row["start"]) for row in rows)
    since_ns, until_ns = starts[0] * SECOND_NS, starts[-1] * SECOND_NS + MINUTE_NS
    query = OhlcvQuery(
        symbol="ETH/USD",
        timeframe=Timeframe.parse("1m"),
        since_ns=since_ns,
        until_ns=until_ns,
        now_ns=until_ns - SECOND_NS,
    )
    page = answered(wickwire_coinbase.fetch_ohlcv(query), "rest.candles_20261006")

    by_start = {int(row["start"]): row for row in rows}
    assert starts == [candle.open_ns // SECOND_NS for candle in page.candles]
    for candle in page.candles:
        row = by_start[candle.open_ns // SECOND_NS]
        numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        assert tuple(row[name] for name in ("open", "high", "low", "close", "volume")) == tuple(
            map(str, numbers)
        )
    assert page.covered == (since_ns, until_ns - MINUTE_NS)
    assert [page.candles[-1]] == [c for c in page.candles if c.finality is Finality.FORMING]


def test_a_recorded_reply_about_usdc_is_one_trade():
    """The quote in it, which ccxt read, has no sizes; it is not collected from REST."""
    at_ns = parse_instant("2024-04-24T09:56:38.063595Z")
    query = TradeQuery(symbol="BTC/USDC", since_ns=at_ns, until_ns=at_ns + 1, now_ns=at_ns + SECOND_NS)
    [trade] = answered(wickwire_coinbase.fetch_trades(query), "rest.ccxt.ticker").trades
    told = expected("rest.ccxt.ticker")["ticker"]

    assert (told["symbol"], told["timestamp_ms"]) == (trade.symbol, trade.time_ns // 1_000_000)
    assert (Decimal(str(told["last"])), Side.SELL) == (trade.price, trade.side)
