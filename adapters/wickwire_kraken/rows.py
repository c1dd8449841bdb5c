"""The rows of Kraken's channels, WebSocket v2, and the event that each becomes.

Reference: Kraken API Center, Spot WebSocket v2: "Candles (OHLC)", "Trades", "Ticker", read 2026-11;
frames that public projects captured from 2024 to 2026 where the two disagree.

Prices are Decimals made from the digits of the message. A row whose fields have the right types and still say
nothing sensible (NaN, a month 13) is a `WireError` whose `at` is the field.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from wickwire import Candle, Finality, Quote, Side, Trade, TradeAction, UsageError, WireError, parse_instant
from wickwire_kraken.symbols import BUCKETS

__all__ = ["OhlcRow", "Seconds", "TickerRow", "TradeRow", "candle", "instant", "quote", "trade"]

Seconds = dict[str, int]
"""Whole seconds in nanoseconds, by their text `2026-11-21T05:00:10.`: most rows find theirs."""

_SECONDS_KEPT: Final = 1_024
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,9})?Z", re.ASCII)
# Attributes of an enum cost a look-up each time.
_UNSAID: Final = Finality.UNSAID
_NEW: Final = TradeAction.NEW


class OhlcRow(msgspec.Struct, gc=False):
    """One bucket. Its `timestamp`, which the venue calls deprecated, holds the end and is never read."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    trades: int
    volume: Decimal
    vwap: Decimal
    interval_begin: str
    interval: int


class TradeRow(msgspec.Struct, gc=False):
    """One trade; `side` is the taker's."""

    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    trade_id: int
    timestamp: str


class TickerRow(msgspec.Struct, gc=False):
    """Best bid and ask; the rest of it is about the last 24 hours. Older captures lack `timestamp`."""

    symbol: str
    bid: Decimal | None
    bid_qty: Decimal | None
    ask: Decimal | None
    ask_qty: Decimal | None
    timestamp: str | None = None


def candle(row: OhlcRow, seconds: Seconds, snapshot: bool) -> Candle:  # noqa: FBT001 - a keyword costs 0.05 µs
    """Return the candle of *row*; whether it is closed Kraken never says."""
    bucket = BUCKETS.get(row.interval)
    if bucket is None:
        raise WireError(f"kraken: no interval has {row.interval} minutes", at=".interval")
    timeframe, length_ns = bucket
    if not (
        row.open.is_finite()
        and row.high.is_finite()
        and row.low.is_finite()
        and row.close.is_finite()
        and row.volume.is_finite()
        and row.vwap.is_finite()
    ):
        raise WireError("kraken: expected finite numbers")
    begin = row.interval_begin
    open_ns = seconds.get(begin) or instant(
        begin, seconds, ".interval_begin"
    )  # the same text for a whole bucket
    return Candle(
        row.symbol,
        timeframe,
        open_ns,
        open_ns + length_ns,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.trades,
        row.vwap,
        _UNSAID,
        snapshot,
    )


def trade(row: TradeRow, seconds: Seconds, snapshot: bool) -> Trade:  # noqa: FBT001 - as above
    """Return the trade of *row*; its id is a sequence number of the pair, so a jump means lost trades."""
    if not (row.price.is_finite() and row.qty.is_finite()):
        raise WireError("kraken: expected finite numbers")
    time_ns = instant(row.timestamp, seconds, ".timestamp")
    return Trade(row.symbol, str(row.trade_id), row.price, row.qty, row.side, time_ns, _NEW, None, snapshot)


def quote(row: TickerRow, seconds: Seconds, snapshot: bool) -> Quote:  # noqa: FBT001 - as above
    """Return the quote of *row*; without a timestamp its time stays unsaid."""
    for number in (row.bid, row.bid_qty, row.ask, row.ask_qty):
        if number is not None and not number.is_finite():
            raise WireError("kraken: expected finite numbers")
    time_ns = None if row.timestamp is None else instant(row.timestamp, seconds, ".timestamp")
    return Quote(row.symbol, row.bid, row.bid_qty, row.ask, row.ask_qty, time_ns, snapshot)


def instant(text: str, seconds: Seconds, at: str) -> int:
    """Return the nanoseconds of `2026-11-21T05:00:10.805100Z`, which has six or nine decimals, exactly.

    Raises:
        WireError: *text* is no such instant; its `at` is *at*.
    """
    start_ns = seconds.get(text[:20])
    if start_ns is not None:
        decimals = text[20:-1]
        if decimals.isdigit() and decimals.isascii() and text[-1] == "Z":
            if len(decimals) == 6:  # noqa: PLR2004 - microseconds
                return start_ns + int(decimals) * 1_000
            if len(decimals) == 9:  # noqa: PLR2004 - nanoseconds
                return start_ns + int(decimals)
    return _read_instant(text, seconds, at)


def _read_instant(text: str, seconds: Seconds, at: str) -> int:
    if _INSTANT.fullmatch(text) is None:
        raise WireError(f"kraken: expected 2026-11-21T05:00:10.805100Z or the like, got {text[:40]!r}", at=at)
    try:
        start_ns = parse_instant(f"{text[:19]}Z")
        time_ns = parse_instant(text)
    except UsageError as exc:  # a 30th of February
        raise WireError(f"kraken: no such instant: {text}", at=at) from exc
    if len(seconds) >= _SECONDS_KEPT:
        seconds.clear()
    seconds[f"{text[:19]}."] = start_ns
    seconds[text] = time_ns
    return time_ns
