"""The life of one collector: what it runs is started in order, watched, and stopped in order."""

from __future__ import annotations

import asyncio
import logging
import random
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final

from wickwire.audience import Audience
from wickwire.binding import kind_of
from wickwire.clock import Clock, running_loop
from wickwire.deliveries import Deliveries
from wickwire.errors import ConfigError, GivenUp, UsageError
from wickwire.given import Given
from wickwire.held_stores import held
from wickwire.hot import Hot, HotMemory
from wickwire.logs import speak
from wickwire.memory_store import MemoryStore
from wickwire.model import Feed, Series, SeriesCandle
from wickwire.newsroom import Newsroom
from wickwire.registry import Registry
from wickwire.retention import Forgetter
from wickwire.roster import DRAIN_S, Roster
from wickwire.scope import children, closed, unwrapped
from wickwire.sharing import Sharing
from wickwire.sink import Follower, Sink
from wickwire.status import StatusReports
from wickwire.store import Store, other_world
from wickwire.tape import Keeper
from wickwire.trade_store import TradeStore
from wickwire.transport import Transport
from wickwire.venues import ELSEWHERE, Venues
from wickwire.watchdog import Watchdog
from wickwire.writer import Writer

__all__ = ["Lifetime"]

log = logging.getLogger(__name__)

HOT: Final = "hot"
"""Under this name the store keeps how far a hot layer in another process is."""


class Lifetime:
    """Everything that a collector runs, from opening its store to closing it.

    Attributes:
        start_seq: The last `seq` of the store when it was opened.
        keeper: What stores trades; None where these are not kept.
        hot: What the newest candles are read from before the store is asked; None where there is none.
        sharing: What shares the limits with other processes; None where nobody does.
        statuses: What tells a host's register of processes; None where there is none.
    """

    def __init__(
        self,
        given: Given,
        registry: Registry,
        clock: Clock,
        rng: random.Random,
        watchdog: Watchdog,
        *,
        venues: Venues,
        roster: Roster,
        audience: Audience,
        deliveries: Deliveries,
        newsroom: Newsroom,
    ) -> None:
        """Prepare; nothing runs before `begin`.

        Args:
            given: What to run on.
            registry: Where stores are found.
            clock: What stamps.
            rng: Where jitter comes from.
            watchdog: What looks for plugins that hold the event loop.
            venues: What collects.
            roster: What says what is collected.
            audience: Who listens.
            deliveries: What feeds the sinks.
            newsroom: What tells what happens.
        """
        self.start_seq = 0
        self._given = given
        self._registry = registry
        self._clock = clock
        self._rng = rng
        self._watchdog = watchdog
        self._venues = venues
        self._roster = roster
        self._audience = audience
        self._deliveries = deliveries
        self._newsroom = newsroom
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._transport: Transport | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self.keeper: Keeper | None = None
        self.hot: Hot | None = None
        self._memory: HotMemory | None = None
        self.sharing: Sharing | None = None
        self._reporting: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.statuses: StatusReports | None = None
        self._telling: asyncio.Task[None] | None = None
        self._given_up: GivenUp | None = None
        self._ending = asyncio.Event()
        self._stopped = False
        self._stack = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __del__(self) -> None:
        if self._tasks is not None:  # its loop has gone, and nobody can end it any more
            log.warning("collector was never left", extra={"why": "its block did not end; use `async with`"})
            what = "a Collector was entered and never left; use `async with`"
            warnings.warn(what, ResourceWarning, stacklevel=2, source=self)

    # ------------------------------------------------------------------------------------------ what there is

    def check_running(self) -> None:
        """Raise UsageError unless it runs, between `begin` and `end`, and in the loop that asks."""
        if self._tasks is None:
            raise UsageError(self._venues.not_running)
        self.check_loop()

    def check_loop(self) -> None:
        """Raise UsageError where it runs in another loop than the one that asks, or where none asks."""
        if self._loop is not None and self._loop is not running_loop():
            raise UsageError(ELSEWHERE)

    @property
    def tasks(self) -> asyncio.TaskGroup:
        """In which everything runs; raises UsageError while nothing does."""
        self.check_running()
        assert self._tasks is not None
        return self._tasks

    @property
    def store(self) -> Store:
        """The store; raises UsageError before it was opened."""
        if self._store is None:
            raise UsageError(self._venues.not_running)
        return self._store

    @property
    def writer(self) -> Writer:
        """What writes to it; raises UsageError before it was made."""
        if self._writer is None:
            raise UsageError(self._venues.not_running)
        return self._writer

    # ----------------------------------------------------------------------------------------- begin and end

    async def begin(self) -> None:
        """Open the store and start; raises as `async with Collector(...)` does."""
        if self._loop is not None:
            raise UsageError("a collector runs once, and this one was entered already; make another")
        self._loop = asyncio.get_running_loop()
        try:
            await self._begin()
        except BaseException:  # nothing runs, so that it may be tried again
            self._loop = None
            raise

    async def _begin(self) -> None:
        speak()
        async with AsyncExitStack() as stack:
            if not getattr(self._loop, "virtual", False):
                stack.enter_context(self._watchdog.watching())
            self._store = self._open_store()
            stack.enter_context(held(self._store))
            await self._store.open()
            stack.push_async_callback(closed, self._store.aclose)
            world = await self._store.world()
            if world not in {"", self._given.world}:
                raise ConfigError(other_world(str(self._given.store), world, self._given.world))
            await self._store.claim(self._given.world)
            if self._given.keep_trades and not isinstance(self._store, TradeStore):
                raise ConfigError(f"{kind_of(self._store)} keeps no trades; name another store")
            self.start_seq = await self._store.last_seq()
            sinks: Mapping[str, Sink | Follower] = {
                **self._open_sinks(),
                **self._open_hot(self._store, stack),
            }
            await self._deliveries.open(sinks, self._store, self.start_seq, stack, self._child_rng)
            self.sharing = await self._open_budget(stack)
            self._transport = self._given.transport or self._open_transport()
            if self._given.transport is None:
                stack.push_async_callback(closed, self._transport.aclose)
            news = self._newsroom
            self._writer = Writer(
                self._store,
                self._hand_on,
                self._child_rng(),
                troubled=news.store_troubled,
                shared=news.series_shared,
            )
            stack.enter_context(unwrapped())
            self._tasks = await stack.enter_async_context(children())
            self._writing = self._tasks.create_task(self._writer.run(), name="writer")
            self._venues.start(
                self._transport,
                self._tasks,
                committer=self._writer.notice,
                tell=news.tell,
                given_up=self._give_up,
                sharing=self.sharing,
            )
            if self.sharing is not None:
                self._reporting = self._tasks.create_task(self.sharing.run(), name="shared budget")
            self._alarm = self._tasks.create_task(self._end_loudly(), name="alarm")
            self._looking = self._tasks.create_task(news.run(), name="newsroom")
            if self._given.status is not None:
                rng = self._child_rng()
                self.statuses = StatusReports(self._given.status, self._venues.scopes, self._clock, rng)
                self._telling = self._tasks.create_task(self.statuses.run(), name="status")
            self._deliveries.start(self._tasks)
            self._keep_trades(self._tasks)
            self._forgetting = self._tasks.create_task(self._forgetter().run(), name="retention")
            for taken in self._deliveries.quotes.values():
                self._audience.attach(taken.quotes, Feed.QUOTES, None, ())
            self._roster.start(self._store, self._writer)
            self._stack = stack.pop_all()

    async def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop in order: venues, then the writer, then readers and sinks, transport and store."""
        try:
            if not self._stopped:
                await self._stop(DRAIN_S)
        finally:
            if self._given_up is None:
                self._alarm.cancel()
            self._audience.cancel()
            self._deliveries.cancel()
            if self._keeping is not None:
                self._keeping.cancel()
            if self._reporting is not None:
                self._reporting.cancel()
            self._writing.cancel()
            self._looking.cancel()
            self._forgetting.cancel()
            self._venues.end()
            self._tasks = None
            self._audience.leave()  # also when the store took nothing: nobody waits for what never comes
            await self._stack.__aexit__(kind, error, trace)

    async def stop(self, drain_s: float) -> None:
        """Stop before the block ends, and let nothing be asked for any more."""
        self.check_loop()
        if self._tasks is None:
            return
        self._tasks = None
        await self._stop(drain_s)
        self._venues.end()
        self._audience.leave()

    async def _stop(self, drain_s: float) -> None:
        self._stopped = True
        if self._telling is not None:
            self._telling.cancel()
        self._venues.stop()
        await self._drain(drain_s)
        if self.statuses is not None:
            await self.statuses.end()

    def _give_up(self, error: GivenUp) -> None:
        """Note why the collector ends."""
        self._given_up = self._given_up or error
        self._ending.set()

    async def _end_loudly(self) -> None:
        """Wait for the day on which a venue is given up; then stop in order, and raise why."""
        await self._ending.wait()
        assert self._given_up is not None
        self._venues.stop()
        await self._drain(DRAIN_S)
        raise self._given_up

    async def _drain(self, drain_s: float) -> None:
        assert self._writer is not None
        try:
            async with asyncio.timeout(drain_s):
                if self._venues.tasks:
                    await asyncio.wait(self._venues.tasks)
                await self._writer.drain()
                if self.keeper is not None:
                    await self.keeper.flush()
                self._audience.end()
                await self._audience.ended()
                await self._deliveries.drained()
        except TimeoutError:
            log.error(  # noqa: TRY400 - it says what was lost; there is nothing to trace
                "stopped before everything was stored and delivered; the next start completes it",
                extra={"why": self._writer.trouble or "a listener, a sink or a connection did not end"},
            )

    def _hand_on(self, news: Sequence[SeriesCandle]) -> None:
        if self._memory is not None:
            self._memory.commit(news)
        self._audience.deliver(news)
        self._deliveries.committed(news)

    def _keep_trades(self, tasks: asyncio.TaskGroup) -> None:
        """Have trades stored, where that is wanted."""
        if self._given.keep_trades:
            store: object = self._store
            assert isinstance(store, TradeStore), "looked at when it was opened"
            self.keeper = Keeper(store, self._child_rng())
            self._keeping = tasks.create_task(self.keeper.run(), name="keeper of trades")
            self._audience.attach(self.keeper, Feed.TRADES, None, ())

    def _forgetter(self) -> Forgetter:
        return Forgetter(
            self.store,
            self._given.retention,
            self._clock,
            closer_of=self._venues.closer,
            learned=self._read_anew,
        )

    def _read_anew(self, series: Series) -> None:
        """Hold nothing of a series that the store may have forgotten."""
        if self._memory is not None:
            self._memory.forget(series)
            self._memory.begin(series)

    def _open_hot(self, store: Store, stack: AsyncExitStack) -> Mapping[str, Follower]:
        """Make the hot layer ready, to be closed by *stack*; return what has to be fed, by its name."""
        given = self._given.hot
        self._memory = self.hot = given if isinstance(given, HotMemory) else None
        if given is None:
            return {}
        if isinstance(given, HotMemory):
            given.attach(store, self.start_seq)
            stack.callback(given.detach)
            return {}
        if HOT in self._given.sinks:
            raise ConfigError(f"sink {HOT!r}: what feeds the hot layer is called so; name the sink otherwise")
        cache = self._registry.open_cache(given) if isinstance(given, str) else given
        reader = cache.reader(store)
        stack.push_async_callback(closed, reader.aclose)
        self.hot = reader
        return {HOT: cache.follower()}

    async def _open_budget(self, stack: AsyncExitStack) -> Sharing | None:
        """Open the shared budget, to be closed by *stack*, where one was given."""
        given = self._given.budget
        if given is None:
            return None
        shared = self._registry.open_budget(given) if isinstance(given, str) else given
        sharing = Sharing(shared, self._clock, self._child_rng(), self._newsroom.tell, self._given.world)
        stack.push_async_callback(closed, sharing.close)
        await sharing.open()
        return sharing

    def _open_sinks(self) -> Mapping[str, Sink]:
        return {
            name: self._registry.open_sink(given) if isinstance(given, str) else given
            for name, given in self._given.sinks.items()
        }

    def _open_store(self) -> Store:
        given = self._given.store
        if given is None:
            return MemoryStore()
        return self._registry.open_store(given) if isinstance(given, str) else given

    def _open_transport(self) -> Transport:
        from wickwire.transport.net import NetTransport  # noqa: PLC0415 - httpx and websockets load when used

        return NetTransport(redirects=self._given.redirects, confined=self._given.confined, clock=self._clock)

    def _child_rng(self) -> random.Random:
        return random.Random(self._rng.random())
