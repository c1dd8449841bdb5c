"""Who of a host is called back with what: made, found again, and ended."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs

from wickwire import SECOND_NS, Collector, Feed, PlanError, Rung, Series, UsageError
from wickwire_fullon.calling import HostCall
from wickwire_fullon.candle_calls import CandleCalls
from wickwire_fullon.feed_calls import TickCalls, TradeCalls
from wickwire_fullon.life import Life
from wickwire_fullon.past import Past
from wickwire_fullon.settings import Settings
from wickwire_fullon.shapes import trade_of
from wickwire_fullon.told_store import ToldStore

__all__ = ["Callback", "Subscriptions"]

log = logging.getLogger(__name__)

Callback = Callable[[Any], Any]

BOUND: Final = 10_000
"""So many trades wait for a slow callback."""

END_S: Final = 5.0
"""So long calls that are under way may take when a handler ends."""

SEAM_NS: Final = 24 * 3_600 * SECOND_NS
"""Live candles begin where the host's reading of history ended, if that is no longer ago."""


class _Calls(Protocol):
    """What calls one function of the host."""

    call: HostCall

    def end(self) -> None: ...

    async def run(self) -> None: ...


@attrs.define(eq=False)
class _Subscription:
    """One function of the host, and what is collected for it."""

    key: tuple[str, str, Callback]
    symbol: str
    calls: _Calls
    series: tuple[Series, ...]


class Subscriptions:
    """All functions of the host that one handler calls. The same one for the same thing is called once."""

    def __init__(
        self, name: str, collector: Collector, store: ToldStore, past: Past, life: Life, settings: Settings
    ) -> None:
        """Begin with none.

        Args:
            name: Of the exchange, as the host spells it.
            collector: What collects.
            store: Where it keeps candles.
            past: What the host has read of history.
            life: Where tasks are known in which the host is called.
            settings: Of the facade.
        """
        self._name = name
        self._collector = collector
        self._store = store
        self._past = past
        self._life = life
        self._settings = settings
        self._all: dict[str, _Subscription] = {}
        self._running: dict[asyncio.Task[None], None] = {}
        self._numbers = itertools.count(1)
        self._turn = asyncio.Lock()  # who subscribes twice at the same time does so once
        self._tasks: asyncio.TaskGroup | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Call back in *tasks* from now on."""
        self._tasks = tasks

    async def candles(
        self, symbol: str, series: Series, callback: Callback, shape: Callable[[Any], Any]
    ) -> str:
        """Call *callback* with the candles of a series; raises as `FullonHandler.subscribe_ohlcv`."""
        key = (str(series.what), symbol, callback)
        async with self._turn:
            known = self._known(key)
            if known is not None:
                return known
            if self._settings.native_only:
                [plan] = self._collector.plan(series)
                if plan.rung is Rung.POLL:
                    what = f"{self._name}: {symbol} {series.what}"
                    raise NotImplementedError(f"{what} is not streamed: {plan.why}")
            call = self._call(callback, shape, symbol)
            now_ns = self._settings.clock.now_ns()
            read_ns = self._past.read_until_ns.get(series, 0)
            since_ns = min(read_ns, now_ns) if now_ns - read_ns < SEAM_NS else now_ns
            await self._collector.add(series, since=since_ns if since_ns < now_ns else None)
            name = f"{symbol} {series.what} of a host"
            seq = await self._store.last_seq()  # what is committed already is read from the store
            calls = CandleCalls(
                call,
                series,
                self._store,
                self._collector.candles(series, after_seq=seq, name=name),
                self._settings.clock,
                since_ns,
                self._settings.order_patience_s,
            )
            return self._begin(key, symbol, calls, series)

    async def trades(self, symbol: str, series: Series, callback: Callback) -> str:
        """Call *callback* with the trades of a series; raises as `FullonHandler.subscribe_trades`."""
        key = (Feed.TRADES.value, symbol, callback)
        async with self._turn:
            known = self._known(key)
            if known is not None:
                return known
            made = self._settings.trade_factory
            call = self._call(callback, lambda trade: made(trade_of(trade, self._name, symbol)), symbol)
            await self._collector.add(series)
            reader = self._collector.trades(series, bound=BOUND, name=f"{symbol} trades of a host")
            calls = TradeCalls(call, reader, self._settings.clock.now_ns())
            return self._begin(key, symbol, calls, series)

    async def ticks(self, symbol: str, quotes: Series, trades: Series, callback: Callback) -> str:
        """Call *callback* with the newest price; raises as `FullonHandler.subscribe_ticker`."""
        key = ("ticker", symbol, callback)
        async with self._turn:
            known = self._known(key)
            if known is not None:
                return known
            call = self._call(callback, self._settings.tick_factory, symbol)
            plans = self._collector.plan(quotes, trades)
            there = [plan.series for plan in plans if plan.rung is not Rung.REFUSE]
            if not there:
                raise PlanError(f"{self._name}: {symbol} has no ticker: {plans[0].why}")
            for series in there:
                await self._collector.add(series)
            calls = TickCalls(
                call,
                self._collector.quotes(quotes, bound=BOUND) if quotes in there else None,
                self._collector.trades(trades, bound=BOUND) if trades in there else None,
                self._name,
                symbol,
                self._settings.clock,
            )
            return self._begin(key, symbol, calls, *there)

    def _call(self, function: object, shape: Callable[[Any], Any], symbol: str) -> HostCall:
        if not callable(function):
            kind = type(function).__name__
            raise UsageError(f"{self._name}: {symbol} needs a function to call, got {kind}")
        return HostCall(function, shape, self._name, symbol)

    def _known(self, key: tuple[str, str, Callback]) -> str | None:
        return next((number for number, one in self._all.items() if one.key == key), None)

    def _begin(self, key: tuple[str, str, Callback], symbol: str, calls: _Calls, *series: Series) -> str:
        if self._tasks is None:  # it ended meanwhile
            calls.end()
            raise UsageError(f"{self._name} is shut down; get a handler again")
        number = f"{self._name}:{key[0]}:{symbol}:{next(self._numbers)}"
        task = self._tasks.create_task(calls.run(), name=f"fullon {number}")
        for tasks in (self._running, self._life.consumers):
            tasks[task] = None
        task.add_done_callback(self._forget)
        self._all[number] = _Subscription(key, symbol, calls, series)
        return number

    def _forget(self, task: asyncio.Task[None]) -> None:
        for tasks in (self._running, self._life.consumers):
            tasks.pop(task, None)

    # --------------------------------------------------------------------------------------------- ending

    async def end(self, number: str) -> bool:
        """End one; return whether there was one. What nobody else wants is not collected any more."""
        one = self._all.pop(number, None)
        if one is None:
            return False
        one.calls.end()
        for series in one.series:
            if not any(series in other.series for other in self._all.values()):
                await self._collector.remove(series)
        return True

    async def end_candles(self, symbol: str) -> bool:
        """End those of the candles of a symbol; return whether there was one."""
        mine = [
            number
            for number, one in self._all.items()
            if one.symbol == symbol and isinstance(one.calls, CandleCalls)
        ]
        return any([await self.end(number) for number in mine])

    async def end_all(self) -> None:
        """End all of them."""
        for number in list(self._all):
            await self.end(number)

    def stop(self) -> None:
        """Call nobody any more."""
        self._tasks = None
        for one in self._all.values():
            one.calls.end()

    async def stopped(self) -> None:
        """Return when calls that were under way have ended; those that do not end in time are cancelled."""
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=END_S)
            for task in late:
                log.warning("callback did not end", extra={"exchange": self._name, "task": task.get_name()})
                task.cancel()
