"""A collector for programs without an event loop: its calls block, and it lives in a thread of its own."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from wickwire.audit import Audited
from wickwire.blocking_readers import (
    BlockingHistoryReader,
    BlockingPages,
    BlockingReader,
    BlockingSeriesReader,
)
from wickwire.collector import Collector
from wickwire.collector_thread import CollectorThread
from wickwire.fallback import FallBack
from wickwire.fanout import Reader
from wickwire.health import Health, SeriesHealth
from wickwire.listener_errors import ListenerErrors
from wickwire.listening import checked_listener
from wickwire.model import Rung, Series, SeriesCandle, SeriesQuote, SeriesTrade
from wickwire.news import News, Rotation
from wickwire.planner import Plan
from wickwire.portal import LoopFactory
from wickwire.queues import BOUND, Policy
from wickwire.roster import DRAIN_S
from wickwire.walk import PastCandles, PastTrades

__all__ = ["BlockingCollector"]

T = TypeVar("T")


class BlockingCollector:
    """A `Collector` for programs without an event loop: a thread of its own, with a loop, runs it.

    ```python
    with BlockingCollector(Collector("sqlite:candles.db")) as collector:
        collector.add("kraken:BTC/USD@1m")
        for candle in collector.candles():
            print(candle.open_time, candle.close, candle.evidence)
    ```

    Each method does what that of `Collector` does, and raises what it raises, in the thread that calls it;
    any number of threads may call, but not the event loop's own. *timeout* is in seconds of real time: None
    takes what the constructor was given, `math.inf` waits for as long as it takes. What took longer raises
    TimeoutError and is cancelled. Where a failure ends the collector, every call and every iterator raises
    it.

    Leaving the block closes every connection, commits what is known, and ends all iterators and the thread.

    Attributes:
        timeout: How many seconds a call may take where it does not say it itself; None for no limit.
    """

    def __init__(
        self,
        collector: Collector | Callable[[], Collector],
        *,
        timeout: float | None = None,
        loop_factory: LoopFactory | None = None,
    ) -> None:
        """Take a collector that nobody else runs; no thread is started before `with`, or `start`.

        Args:
            collector: What to run; or a function that makes it, called in the thread, for what has to be made
                where the loop runs.
            timeout: How many seconds a call may take where it does not say it itself; by default no limit.
            loop_factory: Makes the event loop, such as `uvloop.new_event_loop`; by default asyncio's own.
        """
        self.timeout = timeout
        make = (lambda: collector) if isinstance(collector, Collector) else collector
        self._life = CollectorThread(make, loop_factory)

    def __repr__(self) -> str:
        portal = self._life.portal
        state = "running" if portal.running else "ended" if portal.started else "not started"
        return f"<BlockingCollector {state}>"

    # ------------------------------------------------------------------------------------------ lifetime

    def __enter__(self) -> Self:
        """Start; see `start`."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what ended the collector is raised, or noted on what the block raises itself."""
        try:
            self.stop()
        except Exception as exc:
            if error is None:
                raise
            if exc is not error:
                error.add_note(f"the collector ended, too: {type(exc).__name__}: {exc}")

    def start(self, *, timeout: float | None = None) -> None:
        """Start the thread, open the store and begin, as entering a `Collector` does; once.

        Raises:
            UsageError: It was started before, or its collector runs already.
            TimeoutError: That took longer than *timeout*; it is given up.
            WickwireError: As `async with Collector(...)`.
        """
        self._life.start(self._most(timeout))

    def stop(self, *, drain: float = DRAIN_S) -> None:
        """Stop in order, as a `Collector` does, and end the thread. A second call does nothing.

        When it returns, connections are closed, what was known is stored, functions were called with it,
        sinks have it, and iterators end once they gave what waited for them. Before the start, and in a
        process that was forked off, nothing happens. Called from a function given to `on_candle` or
        `on_event` it does not wait for that one.

        Args:
            drain: How many seconds delivering may take at most; what is not stored by then is completed by
                the next start.

        Raises:
            UsageError: This is the thread of the event loop.
            WickwireError: What ended the collector before, where no other `stop` or `close` has said so.
        """
        self._life.stop(drain)

    def close(self) -> None:
        """Stop with the usual time to drain; the same as leaving the `with` block. Raises as `stop`."""
        self.stop()

    # -------------------------------------------------------------------------------------------- series

    def add(
        self,
        series: str | Series,
        *,
        since: str | datetime | int | None = None,
        route: str | Rung | None = None,
        priority: bool | None = None,
        timeout: float | None = None,
    ) -> Series:
        """Collect *series* from now on; arguments, result and errors are those of `Collector.add`."""
        return self.run(
            lambda it: it.add(series, since=since, route=route, priority=priority),
            timeout=timeout,
            what=f"add {series}",
        )

    def settled(self, *series: str | Series, timeout: float | None = None) -> Sequence[SeriesHealth]:
        """Return how *series* are doing once each is collected, or refused; see `Collector.settled`."""
        return self.run(lambda it: it.settled(*series), timeout=timeout, what="settled")

    def remove(self, series: str | Series, *, timeout: float | None = None) -> None:
        """Stop collecting *series*; see `Collector.remove`."""
        self.run(lambda it: it.remove(series), timeout=timeout, what=f"remove {series}")

    def prioritise(self, series: str | Series, *, on: bool = True, timeout: float | None = None) -> None:
        """Serve a series before others from now on, or not any more; see `Collector.prioritise`."""
        self._do(lambda it: it.prioritise(series, on=on), timeout, f"prioritise {series}")

    def rotate(
        self, venue: str, *, number: int | None = None, timeout: float | None = None
    ) -> Sequence[Rotation]:
        """Replace the connections to a venue by new ones; see `Collector.rotate`."""
        return self.run(lambda it: it.rotate(venue, number=number), timeout=timeout, what=f"rotate {venue}")

    def plan(
        self, *series: str | Series, route: str | Rung | None = None, timeout: float | None = None
    ) -> Sequence[Plan]:
        """Say how *series* would be collected, or those at hand are; see `Collector.plan`."""
        return self._do(lambda it: it.plan(*series, route=route), timeout, "plan")

    def could_fall_back(self, *series: str | Series, timeout: float | None = None) -> FallBack:
        """Say whether *series* could be polled, all at once, if streams were lost; as `Collector` does."""
        return self._do(lambda it: it.could_fall_back(*series), timeout, "could_fall_back")

    # ------------------------------------------------------------------------------------------- asking

    def latest(
        self, series: str | Series, *, timeout: float | None = None
    ) -> SeriesCandle | SeriesTrade | SeriesQuote | None:
        """Return the newest that is known of a series, forming or closed; see `Collector.latest`."""
        return self.run(lambda it: it.latest(series), timeout=timeout, what=f"latest of {series}")

    def health(self, *, timeout: float | None = None) -> Health:
        """Say how everything is doing, at this moment."""
        return self._do(lambda it: it.health(), timeout, "health")

    def reader(self, series: str | Series, *, timeout: float | None = None) -> BlockingSeriesReader:
        """Return what reads the stored candles of a series; *timeout* is for each of its answers."""
        most_s = self._most(timeout)
        reader = self._do(lambda it: it.reader(series), timeout, f"reader of {series}")
        return BlockingSeriesReader(self._life.portal, reader, most_s)

    def history(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
        *,
        timeout: float | None = None,
    ) -> BlockingHistoryReader:
        """Return pages of closed candles of the past, fetched where the store lacks them.

        Arguments and errors are those of `Collector.history`, and *timeout* is for each page.
        """
        most_s, what = self._most(timeout), f"history of {series}"
        return self._life.history(lambda it: it.history(series, since, until), most_s, self.timeout, what)

    def walk(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
        *,
        urgent: bool = False,
        timeout: float | None = None,
    ) -> BlockingPages[PastCandles]:
        """Return pages of the past straight from the venue: `Collector.walk`; *timeout* as in `history`."""
        return self._pages(
            lambda it: it.walk(series, since, until, urgent=urgent), timeout, f"walk of {series}"
        )

    def walk_trades(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
        *,
        timeout: float | None = None,
    ) -> BlockingPages[PastTrades]:
        """Return pages of trades of the past: `Collector.walk_trades`; *timeout* as in `history`."""
        return self._pages(lambda it: it.walk_trades(series, since, until), timeout, f"walk of {series}")

    def history_is_whole(self, series: str | Series, *, timeout: float | None = None) -> None:
        """Return when nothing that the venue's history could bring now is missing, and all is stored."""
        self.run(lambda it: it.history_is_whole(series), timeout=timeout, what=f"history of {series}")

    def audit(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
        *,
        timeout: float | None = None,
    ) -> Audited:
        """Compare what the store holds with the venue's history, and mend it: `Collector.audit`."""
        return self.run(lambda it: it.audit(series, since, until), timeout=timeout, what=f"audit of {series}")

    def run(
        self,
        ask: Callable[[Collector], Coroutine[Any, Any, T]],
        *,
        timeout: float | None = None,
        what: str = "run",
    ) -> T:
        """Run what an async function does with the collector in its event loop, and return what that returns.

        For what has no method here: `collector.run(lambda it: copy_days(it, "kraken:BTC/USD@1d"))`.

        Args:
            ask: Called in the thread of the loop; it must not block there.
            timeout: How many seconds it may take; then it is cancelled.
            what: What it is called in messages.

        Raises:
            UsageError: The collector is not running, or this is the thread of its event loop, or a process
                that was forked off since.
            TimeoutError: It took longer than *timeout*, and was cancelled.
        """
        life = self._life
        return life.portal.call(lambda: ask(life.collector), self._most(timeout), what)

    # ---------------------------------------------------------------------------------------- what comes out

    def candles(
        self,
        *series: str | Series,
        after_seq: int | None = None,
        policy: Policy = Policy.SPILL,
        bound: int = BOUND,
        name: str = "",
        timeout: float | None = None,
    ) -> BlockingReader[SeriesCandle]:
        """Return an iterator over closed candles as they are committed: `Collector.candles`.

        *timeout* is for each candle: TimeoutError says that none came, and the next call waits again.
        """
        return self._reader(
            lambda it: it.candles(*series, after_seq=after_seq, policy=policy, bound=bound, name=name),
            timeout,
            "candles",
        )

    def forming(
        self, *series: str | Series, every_s: float = 1.0, timeout: float | None = None
    ) -> BlockingPages[SeriesCandle]:
        """Return an iterator over running candles: `Collector.forming`; *timeout* as in `candles`."""
        return self._pages(lambda it: it.forming(*series, every_s=every_s), timeout, "forming")

    def trades(
        self,
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
        timeout: float | None = None,
    ) -> BlockingReader[SeriesTrade]:
        """Return an iterator over trades as they come: `Collector.trades`; *timeout* as in `candles`."""
        return self._reader(
            lambda it: it.trades(*series, policy=policy, bound=bound, name=name), timeout, "trades"
        )

    def quotes(
        self,
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
        timeout: float | None = None,
    ) -> BlockingReader[SeriesQuote]:
        """Return an iterator over quotes as they come: `Collector.quotes`; *timeout* as in `candles`."""
        return self._reader(
            lambda it: it.quotes(*series, policy=policy, bound=bound, name=name), timeout, "quotes"
        )

    def events(
        self, *, bound: int = BOUND, name: str = "", timeout: float | None = None
    ) -> BlockingReader[News]:
        """Return an iterator over what happens from now on: `Collector.events`; *timeout* as in `candles`."""
        return self._reader(lambda it: it.events(bound=bound, name=name), timeout, "events")

    def on_candle(
        self,
        listener: Callable[[SeriesCandle], object],
        *series: str | Series,
        policy: Policy = Policy.SPILL,
        bound: int = BOUND,
        name: str = "",
    ) -> Callable[[], None]:
        """Call *listener* with every closed candle, in order, one at a time, in a thread of its own.

        It is a plain function and may block: its thread is no other's, and never the event loop's. What it
        raises is counted in `listener_errors`, and logged where it is news; the next candle comes all the
        same.

        Returns:
            What ends that when it is called; the call that is under way comes to its end.

        Raises:
            UsageError: *listener* is async; or as `candles`.
        """
        return self._call(
            "on_candle",
            name,
            listener,
            lambda it, name: it.later_candles(*series, policy=policy, bound=bound, name=name),
        )

    def on_trade(
        self,
        listener: Callable[[SeriesTrade], object],
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> Callable[[], None]:
        """Call *listener* with every trade as it comes: `trades`, and a thread of its own as `on_candle`."""
        return self._call(
            "on_trade",
            name,
            listener,
            lambda it, name: it.later_trades(*series, policy=policy, bound=bound, name=name),
        )

    def on_quote(
        self,
        listener: Callable[[SeriesQuote], object],
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> Callable[[], None]:
        """Call *listener* with every quote as it comes: `quotes`, and a thread of its own as `on_candle`."""
        return self._call(
            "on_quote",
            name,
            listener,
            lambda it, name: it.later_quotes(*series, policy=policy, bound=bound, name=name),
        )

    def on_event(
        self, listener: Callable[[News], object], *, bound: int = BOUND, name: str = ""
    ) -> Callable[[], None]:
        """Call *listener* with everything that `events` tells, one at a time; as `on_candle`."""
        return self._call("on_event", name, listener, lambda it, name: it.events(bound=bound, name=name))

    @property
    def listener_errors(self) -> int:
        """How often a function that was given to `on_candle`, `on_trade` and so on raised."""
        return self._life.listeners.errors

    # -------------------------------------------------------------------------------------------- within

    def _most(self, timeout: float | None) -> float | None:
        return self.timeout if timeout is None else timeout

    def _do(self, function: Callable[[Collector], T], timeout: float | None, what: str) -> T:
        async def doing(collector: Collector) -> T:
            return function(collector)

        return self.run(doing, timeout=timeout, what=what)

    def _call(
        self,
        kind: str,
        name: str,
        listener: Callable[[T], object],
        make: Callable[[Collector, str], Reader[T]],
    ) -> Callable[[], None]:
        """Call *listener* with what the reader brings that *make* makes under a name."""
        checked_listener(listener)
        called = self._life.listeners.name(kind, name)
        errors = ListenerErrors(called)

        def seat(it: Collector) -> Reader[T]:
            reader = make(it, called)
            reader.errors = errors
            return reader

        return self._life.listeners.call(listener, self._reader(seat, math.inf, called), errors)

    def _reader(
        self, make: Callable[[Collector], Reader[T]], timeout: float | None, what: str
    ) -> BlockingReader[T]:
        return self._life.reader(make, self._most(timeout), self.timeout, what)

    def _pages(
        self, make: Callable[[Collector], AsyncGenerator[T]], timeout: float | None, what: str
    ) -> BlockingPages[T]:
        return self._life.pages(make, self._most(timeout), self.timeout, what)
