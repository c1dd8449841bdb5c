"""Calls a host with the trades or the ticks of one symbol, as they come."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import attrs

from wickwire import Clock, FeedReader, Quote, SeriesQuote, SeriesTrade, Trade, TradeAction
from wickwire_fullon.calling import HostCall
from wickwire_fullon.shapes import tick_of

__all__ = ["TickCalls", "TradeCalls"]

REMEMBERED: Final = 10_000
"""So many ids are known: after a reconnect a venue tells its last trades again."""


@attrs.define(eq=False)
class TradeCalls:
    """One function of the host, called with every trade once.

    Attributes:
        call: The function.
        reader: What brings them.
        since_ns: What happened before, and is told at the beginning, is no news.
    """

    call: HostCall
    reader: FeedReader[SeriesTrade]
    since_ns: int
    _known: OrderedDict[str, None] = attrs.field(factory=OrderedDict)

    def end(self) -> None:
        """Call it no more; a call that is under way comes to its end."""
        self.call.ended = True
        self.reader.stop()

    async def run(self) -> None:
        """Call back until somebody ends it."""
        async for trade in self.reader:
            if self._is_news(trade):
                await self.call(trade)

    def _is_news(self, trade: Trade) -> bool:
        if trade.action is not TradeAction.NEW or (trade.snapshot and trade.time_ns < self.since_ns):
            return False
        if not trade.id:
            return not trade.snapshot
        if trade.id in self._known:
            return False
        self._known[trade.id] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True


@attrs.define(eq=False)
class TickCalls:
    """One function of the host, called with the newest price whenever a quote or a trade comes.

    Attributes:
        call: The function.
        quotes: What brings quotes, where the venue streams them.
        trades: What brings trades, where it streams those.
        exchange: Name of the exchange, as the host spells it.
        symbol: The same of the symbol.
        clock: What stamps where the venue does not.
    """

    call: HostCall
    quotes: FeedReader[SeriesQuote] | None
    trades: FeedReader[SeriesTrade] | None
    exchange: str
    symbol: str
    clock: Clock
    _quote: Quote | None = None
    _trade: Trade | None = None
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    def end(self) -> None:
        """Call it no more; a call that is under way comes to its end."""
        self.call.ended = True
        for reader in (self.quotes, self.trades):
            if reader is not None:
                reader.stop()

    async def run(self) -> None:
        """Call back until somebody ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_quotes(), name=f"quotes for ticks of {self.symbol}")
            tasks.create_task(self._run_trades(), name=f"trades for ticks of {self.symbol}")

    async def _run_quotes(self) -> None:
        if self.quotes is not None:
            async for quote in self.quotes:
                self._quote = quote
                await self._tell()

    async def _run_trades(self) -> None:
        if self.trades is not None:
            async for trade in self.trades:
                self._trade = trade
                await self._tell()

    async def _tell(self) -> None:
        async with self._turn:  # one at a time: the host sees no older tick after a newer one
            tick = tick_of(self.exchange, self.symbol, self._quote, self._trade, self.clock.now_ns())
            if tick is not None:
                await self.call(tick)
