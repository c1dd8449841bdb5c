"""What the channels of the simulated stream tell: first a snapshot, then what happened.

What is not established is chosen here: a snapshot of candles holds twelve buckets, newest first, as trades
are in snapshot and update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from wickwire import SECOND_NS
from wickwire_coinbase.simulator_frames import (
    EMPTY_TICKER,
    book_event,
    candle_row,
    levels,
    ticker_row,
    trade_row,
)
from wickwire_coinbase.simulator_products import Product
from wickwire_coinbase.simulator_venue import GRID, STREAMED, Venue, last_trades

__all__ = ["Subscription", "news", "snapshot"]

PERIODS: Final = {
    "candles": SECOND_NS,
    "market_trades": SECOND_NS // 4,
    "ticker": 1,
    "ticker_batch": 5 * SECOND_NS,
    "level2": 1,
}
"""How often a channel tells what happened; a nanosecond is at once."""
SNAPSHOT_BUCKETS: Final = 12
SNAPSHOT_TRADES: Final = 50

Event = Mapping[str, object]


@attrs.define
class Subscription:
    """One product on one channel.

    Attributes:
        channel: Which channel.
        product: What is told of.
        name: Under which id.
        told_ns: All up to then was told.
        silent: It was answered and brings nothing.
        book: The client's book after the last message.
    """

    channel: str
    product: Product
    name: str
    told_ns: int = 0
    silent: bool = False
    book: Any = None

    @property
    def period_ns(self) -> int:
        """How often the channel speaks."""
        return PERIODS[self.channel]


def snapshot(venue: Venue, sub: Subscription) -> Event:
    """Return what a new subscription is told first."""
    symbol, at_ns = sub.product.symbol, sub.told_ns
    match sub.channel:
        case "candles":
            since_ns = STREAMED.open_at(at_ns, GRID) - SNAPSHOT_BUCKETS * STREAMED.nominal_ns
            candles = venue.candles(symbol, STREAMED, since_ns, at_ns + 1)
            rows = [candle_row(sub.name, row) for row in reversed(candles)]
            return {"type": "snapshot", "candles": rows}
        case "market_trades":
            trades = last_trades(venue.market, symbol, at_ns, SNAPSHOT_TRADES)
            return {"type": "snapshot", "trades": [trade_row(sub.name, trade) for trade in reversed(trades)]}
        case "level2":
            sub.book = levels(sub.product, venue.market.quote(symbol, at_ns))
            return book_event(sub.name, None, sub.book, at_ns) or {}
        case _:
            return {"type": "snapshot", "tickers": _tickers(venue, sub)}


def news(venue: Venue, sub: Subscription, since_ns: int) -> Iterator[Event]:
    """Yield what happened after *since_ns*, each for a message of its own."""
    symbol, until_ns = sub.product.symbol, sub.told_ns
    match sub.channel:
        case "candles":
            for rows in _candles(venue, sub, since_ns):
                yield {"type": "update", "candles": rows}
        case "market_trades":
            lost = venue.lost.get(symbol, ())
            trades = venue.market.trades(symbol, since_ns + 1, until_ns + 1)
            told = [trade_row(sub.name, trade) for trade in reversed(trades) if trade.time_ns not in lost]
            if told:
                yield {"type": "update", "trades": told}
        case "level2":
            before, sub.book = sub.book, levels(sub.product, venue.market.quote(symbol, until_ns))
            event = book_event(sub.name, before, sub.book, until_ns)
            if event is not None:
                yield event
        case _:
            yield {"type": "update", "tickers": _tickers(venue, sub)}


def _candles(venue: Venue, sub: Subscription, since_ns: int) -> Iterator[Sequence[Mapping[str, str]]]:
    """Yield the buckets that changed; with the fault, an older state after the newest one."""
    symbol = sub.product.symbol
    open_ns = STREAMED.open_at(venue.market.next_trade_ns(symbol, since_ns), GRID)
    changed = [
        row
        for row in venue.candles(symbol, STREAMED, open_ns, sub.told_ns + 1)
        if (symbol, row.open_ns) not in venue.dropped
    ]
    if changed:
        yield [candle_row(sub.name, row) for row in changed]
        older = venue.candles(symbol, STREAMED, open_ns, since_ns + 1)
        if older and venue.fault("interleave") is not None:
            yield [candle_row(sub.name, row) for row in older]


def _tickers(venue: Venue, sub: Subscription) -> Sequence[Mapping[str, str]]:
    row = ticker_row(venue, sub.product, sub.name, sub.told_ns)
    return [EMPTY_TICKER, row] if venue.fault("empty_rows") is not None else [row]
