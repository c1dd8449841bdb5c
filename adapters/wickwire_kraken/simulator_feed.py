"""The data of one connection to the simulated WebSocket v2: snapshots, and what each trade causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from wickwire.simulate.server import Outgoing
from wickwire_kraken.simulator_book import DEPTHS, TURN_NS, Book, book_at, changes, checksum
from wickwire_kraken.simulator_exchange import GRID, INTERVALS, Exchange
from wickwire_kraken.simulator_frames import book_frame, book_snapshot, ohlc_frame, ticker_frame, trade_frame
from wickwire_kraken.simulator_history import last_trades
from wickwire_kraken.simulator_pairs import Pair

__all__ = ["Feed", "Subscription"]

SNAPSHOT_BUCKETS: Final = 12
"""How far an ohlc snapshot reaches back before the running bucket."""
SNAPSHOT_TRADES: Final = 50
REPEATED_TRADES: Final = 5


@attrs.define
class Subscription:
    """What one symbol was subscribed for on one channel.

    Attributes:
        pair: The symbol, under all its names.
        channel: Which channel.
        value: Interval, depth or trigger; None where the channel has no such thing.
        silent: It was acked and brings nothing.
        book: The client's book after the last message.
        quoted: The best levels that were told last.
    """

    pair: Pair
    channel: str
    value: int | str | None
    silent: bool = False
    book: Book | None = None
    quoted: object = None


class Feed:
    """What the subscriptions of one connection bring, by channel and symbol."""

    def __init__(self, exchange: Exchange, now_ns: int) -> None:
        self._exchange = exchange
        self._turn_ns = now_ns
        self.subscriptions: dict[tuple[str, str], Subscription] = {}

    @property
    def turn_ns(self) -> int | None:
        """When books may change next without a trade; None where nobody looks at one."""
        looked_at = any(channel == "book" for channel, _ in self.subscriptions)
        return self._turn_ns + TURN_NS if looked_at else None

    def first(
        self, subscription: Subscription, at_ns: int, now_ns: int, *, snapshot: bool
    ) -> Sequence[Outgoing]:
        """Return the snapshot: candles of buckets with trades, the last trades, the quote or the book."""
        pair = subscription.pair
        if subscription.silent or self._exchange.silent(pair.symbol):
            return []
        match subscription.channel:
            case "ohlc" if snapshot:
                interval = int(subscription.value or 1)
                timeframe = INTERVALS[interval]
                since_ns = timeframe.open_at(at_ns, GRID) - SNAPSHOT_BUCKETS * timeframe.nominal_ns
                candles = [
                    candle
                    for candle in self._exchange.candles(pair.symbol, timeframe, since_ns, at_ns + 1)
                    if (pair.symbol, interval, candle.open_ns) not in self._exchange.dropped
                ]
                return [ohlc_frame(pair, interval, candles, now_ns, "snapshot")]
            case "trade":
                out: list[Outgoing] = []
                if snapshot:
                    newest = last_trades(self._exchange, pair.symbol, at_ns, SNAPSHOT_TRADES)
                    out.append(trade_frame(pair, newest, "snapshot"))
                repeat = self._exchange.faults.on("duplicate_trades")
                if repeat is not None:
                    count = int(repeat.get("count", REPEATED_TRADES))
                    again = last_trades(self._exchange, pair.symbol, at_ns, count)
                    out.append(trade_frame(pair, again, "update"))
                return out
            case "ticker" if snapshot:
                return [ticker_frame(self._exchange, pair, at_ns, "snapshot")]
            case "book":
                return self._book(subscription, at_ns, told=snapshot)
            case _:
                return []

    def traded(self, symbol: str, at_ns: int, now_ns: int) -> Sequence[Outgoing]:
        """Return what one instant of trading causes on every channel of *symbol*."""
        out: list[Outgoing] = []
        if self._exchange.silent(symbol):
            return out
        for channel in ("trade", "ohlc", "ticker", "book"):
            subscription = self.subscriptions.get((channel, symbol))
            if subscription is None or subscription.silent:
                continue
            if channel == "ohlc":
                out += self._candle(subscription, at_ns, now_ns)
            elif channel == "ticker":
                out += self._ticker(subscription, at_ns)
            elif channel == "book":
                out += self._book(subscription, at_ns)
            elif at_ns not in self._exchange.lost.get(symbol, ()):
                trades = self._exchange.market.trades(symbol, at_ns, at_ns + 1)
                out.append(trade_frame(subscription.pair, trades, "update"))
        return out

    def _candle(self, subscription: Subscription, at_ns: int, now_ns: int) -> Sequence[Outgoing]:
        """Return one row, the running bucket; the bucket that ended is never sent again."""
        interval, symbol = int(subscription.value or 1), subscription.pair.symbol
        open_ns = INTERVALS[interval].open_at(at_ns, GRID)
        if (symbol, interval, open_ns) in self._exchange.dropped:
            return []
        candles = self._exchange.candles(symbol, INTERVALS[interval], open_ns, at_ns + 1)
        return [ohlc_frame(subscription.pair, interval, candles, now_ns, "update")]

    def _ticker(self, subscription: Subscription, at_ns: int) -> Sequence[Outgoing]:
        if subscription.value == "bbo":
            quote = self._exchange.market.quote(subscription.pair.symbol, at_ns)
            best = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
            if best == subscription.quoted:
                return []
            subscription.quoted = best
        return [ticker_frame(self._exchange, subscription.pair, at_ns, "update")]

    def _book(self, subscription: Subscription, at_ns: int, *, told: bool = True) -> list[Outgoing]:
        """Return what changed in the book since the last message; all of it the first time."""
        pair, depth = subscription.pair, int(subscription.value or DEPTHS[0])
        before, after = (
            subscription.book,
            book_at(pair, self._exchange.market.quote(pair.symbol, at_ns), depth),
        )
        subscription.book = after
        if before is None:
            return [book_snapshot(pair, after)] if told else []
        changed = [changes(before.bids, after.bids, depth), changes(before.asks, after.asks, depth)]
        if not any(changed):
            return []
        wrong = self._exchange.faults.on("bad_checksum") is not None
        return [book_frame(pair, changed, at_ns, checksum(pair, after) ^ wrong)]

    def turned(self, at_ns: int) -> Sequence[Outgoing]:
        """Return what changes in books without a trade, at most once each half second."""
        if at_ns - self._turn_ns < TURN_NS:
            return []
        self._turn_ns = at_ns
        out: list[Outgoing] = []
        for (channel, symbol), subscription in self.subscriptions.items():
            if channel == "book" and not subscription.silent and not self._exchange.silent(symbol):
                out += self._book(subscription, at_ns)
        return out
