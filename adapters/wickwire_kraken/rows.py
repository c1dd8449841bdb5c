"""The rows of Kraken's channels, WebSocket v2, and the event that each becomes.

Reference: Kraken API Center, Spot WebSocket v2: "Candles (OHLC)", "Trades", "Ticker", read 2026-11;
frames that public projects captured from 2024 to 2026 where the two disagree.

Prices are Decimals made from the digits of the message. A row whose fields have the right types and still say
nothing sensible (NaN, a month 13) is a `WireError` whose `at` is the field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from wickwire import Candle, Finality, Quote, Side, Trade, TradeAction, UsageError, WireError, parse_instant
from wickwire_kraken.symbols import BUCKETS

__all__ = ["OhlcRow", "Seconds", "TickerRow", "TradeRow", "candles", "instant", "quotes", "trades"]

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


# The functions below run for every event there is: a call, a keyword and an attribute that is read twice cost
# 0.02 to 0.05 us each.


def candles(rows: Sequence[OhlcRow], seconds: Seconds, snapshot: bool) -> list[Candle]:  # noqa: FBT001 - above
    """Return the candles of *rows*; whether they are closed Kraken never says.

    Raises:
        WireError: A row says nothing sensible; none of them counts then.
    """
    made: list[Candle] = []
    for row in rows:
        try:
            timeframe, length_ns = BUCKETS[row.interval]
        except KeyError:
            raise WireError(f"kraken: no interval has {row.interval} minutes", at=".interval") from None
        begin, first, high, low, last = row.interval_begin, row.open, row.high, row.low, row.close
        volume, vwap = row.volume, row.vwap
        if not (
            first.is_finite()
            and high.is_finite()
            and low.is_finite()
            and last.is_finite()
            and volume.is_finite()
            and vwap.is_finite()
        ):
            raise WireError("kraken: expected finite numbers")
        # It is the same text for a whole bucket.
        open_ns = seconds.get(begin) or instant(begin, seconds, ".interval_begin")
        made.append(
            Candle(
                row.symbol,
                timeframe,
                open_ns,
                open_ns + length_ns,
                first,
                high,
                low,
                last,
                volume,
                row.trades,
                vwap,
                _UNSAID,
                snapshot,
            )
        )
    return made


def trades(rows: Sequence[TradeRow], seconds: Seconds, snapshot: bool) -> list[Trade]:  # noqa: FBT001 - above
    """Return the trades of *rows*; an id is a sequence number of the pair, so a jump means lost trades.

    Raises:
        WireError: A row says nothing sensible; none of them counts then.
    """
    made: list[Trade] = []
    for row in rows:
        price, size, text = row.price, row.qty, row.timestamp
        if not (price.is_finite() and size.is_finite()):
            raise WireError("kraken: expected finite numbers")
        start_ns, decimals = seconds.get(text[:20]), text[20:26]
        if start_ns is not None and text[26:] == "Z" and decimals.isdigit() and text.isascii():
            time_ns = start_ns + int(decimals) * 1_000  # what `instant` does with microseconds
        else:
            time_ns = instant(text, seconds, ".timestamp")
        made.append(
            Trade(row.symbol, str(row.trade_id), price, size, row.side, time_ns, _NEW, None, snapshot)
        )
    return made


def quotes(rows: Sequence[TickerRow], seconds: Seconds, snapshot: bool) -> list[Quote]:  # noqa: FBT001 - above
    """Return the quotes of *rows*; without a timestamp their time stays unsaid.

    Raises:
        WireError: A row says nothing sensible; none of them counts then.
    """
    made: list[Quote] = []
    for row in rows:
        for number in (row.bid, row.bid_qty, row.ask, row.ask_qty):
            if number is not None and not number.is_finite():
                raise WireError("kraken: expected finite numbers")
        time_ns = None if row.timestamp is None else instant(row.timestamp, seconds, ".timestamp")
        made.append(Quote(row.symbol, row.bid, row.bid_qty, row.ask, row.ask_qty, time_ns, snapshot))
    return made


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
    except UsageError as exc:  # a 30th of February
        raise WireError(f"kraken: no such instant: {text}", at=at) from exc
    if len(seconds) >= _SECONDS_KEPT:
        seconds.clear()
    time_ns = start_ns + int(text[20:-1].ljust(9, "0"))
    seconds[f"{text[:19]}."] = start_ns
    seconds[text] = time_ns
    return time_ns
