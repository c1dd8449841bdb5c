"""The shapes that fullon collectors read: rows, stamps, trades and ticks. Pure."""

from __future__ import annotations

from typing import Any, Final

import attrs

from wickwire import SECOND_NS, Quote, SeriesCandle, Trade

__all__ = [
    "FullonTick",
    "FullonTrade",
    "Row",
    "as_dict",
    "placeholder",
    "row_of",
    "seconds",
    "stamp",
    "tick_of",
    "trade_of",
    "trade_row",
]

Row = list[float]
"""`[stamp, open, high, low, close, volume]`."""

MS_NS: Final = 1_000_000
MOST_SECONDS: Final = 1_000_000_000_000
"""A collector reads a larger number as milliseconds, and any other as seconds."""


def stamp(ns: int) -> float:
    """Return an instant as collectors read it: milliseconds, or seconds before 2001-09-09T01:46:40Z."""
    ms = ns // MS_NS
    return ms if ms > MOST_SECONDS else seconds(ns)


def seconds(ns: int) -> float:
    """Return an instant in seconds, to the millisecond; whole ones as an int."""
    ms = ns // MS_NS
    return ms // 1_000 if ms % 1_000 == 0 else ms / 1_000


def row_of(candle: SeriesCandle) -> Row:
    """Return a candle as a list of exactly six numbers."""
    values = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [stamp(candle.open_ns), *map(float, values)]


def placeholder(newest: SeriesCandle, now_ns: int) -> Row:
    """Return a row for the bucket that runs at *now_ns*, in which nothing was traded yet."""
    running_ns = now_ns - now_ns % newest.timeframe.nominal_ns
    price = float(newest.close)
    return [stamp(max(running_ns, newest.close_ns)), price, price, price, price, 0.0]


def as_dict(row: Row) -> dict[str, float]:
    """Return a row as the collectors of September 2025 read it."""
    return dict(zip(("timestamp", "open", "high", "low", "close", "volume"), row, strict=True))


@attrs.define(kw_only=True, slots=False)  # a host may set what its own models have
class FullonTrade:
    """A trade as collectors hand it on, where a host gives no model of its own.

    Attributes:
        symbol: As the host spelled it.
        exchange: Its name, as the host spelled it.
        side: The taker's: "buy" or "sell"; empty where the venue does not say.
        price: In units of the quote currency.
        volume: In units of the base.
        cost: Price times volume.
        time: When it happened, in seconds since 1970.
        ex_trade_id: The venue's id; empty where it has none.
    """

    symbol: str
    exchange: str
    side: str
    price: float
    volume: float
    cost: float
    time: float
    ex_trade_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return what can be written as JSON."""
        return attrs.asdict(self)


def trade_of(trade: Trade, exchange: str, symbol: str) -> FullonTrade:
    """Return a trade of *exchange* under the host's spelling of its symbol."""
    return FullonTrade(
        symbol=symbol,
        exchange=exchange,
        side="" if trade.side is None else trade.side.value,
        price=float(trade.price),
        volume=float(trade.size),
        cost=float(trade.price * trade.size),
        time=trade.time_ns / SECOND_NS,
        ex_trade_id=trade.id,
    )


def trade_row(trade: Trade, symbol: str) -> dict[str, Any]:
    """Return a trade of the past: `timestamp`, `price`, `amount`, `side`, and what else is known."""
    return {
        "timestamp": stamp(trade.time_ns),
        "symbol": symbol,
        "price": float(trade.price),
        "amount": float(trade.size),
        "cost": float(trade.price * trade.size),
        "side": "" if trade.side is None else trade.side.value,
        "id": trade.id,
    }


@attrs.define(kw_only=True, slots=False)  # a host may set what its own models have
class FullonTick:
    """The newest price of a symbol, where a host gives no model of its own.

    Attributes:
        symbol: As the host spelled it.
        exchange: Its name; a collector may set it.
        price: Of the last trade; before the first, the middle of bid and ask.
        time: When that was so, in seconds since 1970.
        bid: Best bid; None where the book is empty there, or not known.
        ask: Best ask; the same.
        last: Of the last trade; None before the first.
        volume: Of the last trade; None before the first.
        percentage: Not known: None.
    """

    symbol: str
    exchange: str
    price: float
    time: float
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    volume: float | None = None
    percentage: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what can be written as JSON."""
        return attrs.asdict(self)


def tick_of(
    exchange: str, symbol: str, quote: Quote | None, trade: Trade | None, now_ns: int
) -> FullonTick | None:
    """Return the tick that follows from the newest quote and trade; None while neither holds a price."""
    bid = None if quote is None or quote.bid is None else float(quote.bid)
    ask = None if quote is None or quote.ask is None else float(quote.ask)
    last = None if trade is None else float(trade.price)
    sides = [side for side in (bid, ask) if side is not None]
    if last is None and not sides:
        return None
    told = [one.time_ns for one in (quote, trade) if one is not None and one.time_ns is not None]
    return FullonTick(
        symbol=symbol,
        exchange=exchange,
        price=sum(sides) / len(sides) if last is None else last,
        time=max(told, default=now_ns) / SECOND_NS,
        bid=bid,
        ask=ask,
        last=last,
        volume=None if trade is None else float(trade.size),
    )
