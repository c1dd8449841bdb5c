"""The collector: series in, true candles out. Made and owned by whoever embeds it; nothing here is global."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import attrs

from wickwire.audience import Audience, Listener
from wickwire.budget import Budget
from wickwire.clock import Clock, SystemClock
from wickwire.closer import Closer, Switch
from wickwire.description import Account, Limits
from wickwire.dialing import Dialing
from wickwire.errors import (
    ConfigError,
    PlanError,
    PluginError,
    StoreError,
    TransportError,
    UsageError,
    WickwireError,
)
from wickwire.fanout import AnyFeedReader, CandleReader, FeedReader
from wickwire.health import Health, of_closer, of_feed, of_venue
from wickwire.instants import instant_of
from wickwire.ledger import Ledger
from wickwire.limits import effective_limits
from wickwire.logs import speak
from wickwire.model import Feed, Quote, Rung, Series, SeriesCandle, Trade
from wickwire.places import Places
from wickwire.planner import Plan, pinned
from wickwire.registry import Registry
from wickwire.retry import Backoff, Retries
from wickwire.scope import unwrapped
from wickwire.store import REAL, Loaded, MemoryStore, Store, forming, other_world
from wickwire.transport import Transport
from wickwire.venue import Access, Venue
from wickwire.watchdog import Watchdog
from wickwire.writer import Writer

__all__ = ["Collector", "Listener"]

log = logging.getLogger(__name__)

PAGE_ROWS: Final = 500
_NOT_RUNNING: Final = "the collector is not running; use it inside `async with Collector(...)`"
DRAIN_S: Final = 8.0
"""How long stopping waits for the store: SIGTERM to exit has to stay under 10 s. A series that is added again
waits as long for what was found of it before."""


class Collector:
    """Collects series from their venues, keeps them whole, and hands on what is true.

    ```python
    async with Collector(store="sqlite:candles.db") as collector:
        await collector.add("kraken:BTC/USD@1m")
        async for candle in collector.candles():
            print(candle.open_time, candle.close, candle.evidence)
    ```

    Leaving the block closes every connection, commits what is known, and ends all iterators.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        registry: Registry | None = None,
        transport: Transport | None = None,
        redirects: Mapping[str, str] | None = None,
        accounts: Mapping[str, Account] | None = None,
        backoff: Backoff | Mapping[str, Backoff] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        watchdog: Watchdog | None = None,
        world: str = REAL,
    ) -> None:
        """Make a collector; nothing connects before `async with`.

        Args:
            store: Where closed candles live: a URL such as "sqlite:wickwire.db", a Store, or None for memory.
            registry: Where adapters are found; by default all that are installed.
            transport: How to reach venues; by default the network.
            redirects: Origin to origin, for the default transport: `{"wss://ws.kraken.com":
                "ws://127.0.0.1:9000"}` sends that venue's stream to a simulated one.
            accounts: By venue; `Account()` for the others.
            backoff: How long to wait between attempts, for all or by venue.
            clock: What stamps; by default the system's.
            rng: Where jitter comes from; seed it to repeat a run.
            watchdog: What looks for plugins that hold the event loop; by default one that reports them and
                leaves the process alone.
            world: Whose candles these are, in a few words; name it where the venues are not the real ones, as
                a store takes candles of one world only.
        """
        self._registry = registry or Registry()
        self._given_store = store
        self._store: Store | None = None
        self._given_transport = transport
        self._transport: Transport | None = None
        self._redirects = dict(redirects or {})
        self._accounts = dict(accounts or {})
        self._backoff = {} if backoff is None else backoff
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()
        self._watchdog = watchdog or Watchdog(self._registry)
        self._world = world
        self._venues: dict[str, Venue] = {}
        self._places = Places()
        self._accesses: dict[str, Access] = {}
        self._audience = Audience()
        self._scopes: list[asyncio.Task[None]] = []
        self._writer: Writer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._stack = AsyncExitStack()
        self._borrowed: dict[Series, int] = {}
        self._left: dict[Series, Closer] = {}
        self._start_seq = 0

    # ------------------------------------------------------------------------------------------ lifetime

    async def __aenter__(self) -> Self:
        """Open the store and start.

        Raises:
            ConfigError: The store's URL is wrong, or it holds candles of another world.
            StoreError: The store cannot be opened.
        """
        speak()
        async with AsyncExitStack() as stack:
            if not getattr(asyncio.get_running_loop(), "virtual", False):
                stack.enter_context(self._watchdog.watching())
            self._store = self._open_store()
            await self._store.open()
            stack.push_async_callback(self._store.aclose)
            held = await self._store.world()
            if held not in {"", self._world}:
                raise ConfigError(other_world(str(self._given_store), held, self._world))
            await self._store.claim(self._world)
            self._start_seq = await self._store.last_seq()
            self._transport = self._given_transport or self._open_transport()
            if self._given_transport is None:
                stack.push_async_callback(self._transport.aclose)
            self._writer = Writer(self._store, self._audience.deliver, self._child_rng())
            stack.enter_context(unwrapped())
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._writing = self._tasks.create_task(self._writer.run(), name="writer")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop in order: venues, then the writer, then readers, transport and store."""
        for venue in self._venues.values():
            venue.stop()
        try:
            await self._drain()
        finally:
            self._audience.cancel()
            for task in [self._writing, *self._scopes]:
                task.cancel()
            self._tasks = None
            self._audience.leave()  # also when the store took nothing: nobody waits for what never comes
            await self._stack.__aexit__(kind, error, trace)

    async def _drain(self) -> None:
        assert self._writer is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                if self._scopes:
                    await asyncio.wait(self._scopes)
                await self._writer.drain()
                self._audience.end()
                await self._audience.ended()
        except TimeoutError:
            log.error(  # noqa: TRY400 - it says what was lost; there is nothing to trace
                "stopped before everything was stored and delivered; the next start completes it",
                extra={"why": self._writer.trouble or "a listener or a connection did not end"},
            )

    def _open_store(self) -> Store:
        given = self._given_store
        if given is None:
            return MemoryStore()
        return self._registry.open_store(given) if isinstance(given, str) else given

    def _open_transport(self) -> Transport:
        from wickwire.transport.net import NetTransport  # noqa: PLC0415 - httpx and websockets load when used

        return NetTransport(redirects=self._redirects, clock=self._clock)

    def _child_rng(self) -> random.Random:
        return random.Random(self._rng.random())

    # -------------------------------------------------------------------------------------------- series

    async def add(
        self,
        series: str | Series,
        *,
        since: str | datetime | int | None = None,
        route: str | Rung | None = None,
    ) -> Series:
        """Collect *series* from now on; what the store knows of it already is completed. Idempotent.

        Args:
            series: `venue[.variant]:symbol@what`; native spellings of the symbol are accepted.
            since: Also everything from this instant on (text, aware datetime, or nanoseconds).
            route: Pin how it is collected: "stream" or "poll".

        Returns:
            The series under its canonical name, which is what candles carry.

        Raises:
            UsageError: It is not a series, the venue is not known, *since* is not an instant, there is no
                such *route*, or it is collected already, by another one; or the collector is not running.
            PluginError: The venue's adapter is broken.
            PlanError: It cannot be collected; the text says why and what could be.
            StoreError: The store cannot be read, or does not take what was found of it before it was removed.
        """
        since_ns = None if since is None else self._instant(since)
        pin = None if route is None else pinned(route)
        name = self._canonical(series)
        before = self._places.of(name)
        if before is not None and (name in self._borrowed or (pin is before.rung and not before.pinned)):
            self._replan(before, pin)
        self._borrowed.pop(name, None)
        return await self._collect(name, since_ns, pin)

    def _replan(self, before: Plan, pin: Rung | None) -> None:
        """Collect by the rung that suits it, or *pin*, what `history` collects in passing or had no pin."""
        name = before.series
        self._places.leave(name)
        plan = self._placed(name, pin)
        if plan.rung is Rung.REFUSE:
            self._places.leave(name)
            self._placed(name, before.rung)
            raise PlanError(f"{name}: {plan.why}")
        venue = self._venues.get(name.scope)
        if venue is not None and name in venue.closers:
            venue.replan(plan)

    def _placed(self, series: Series, pin: Rung | None) -> Plan:
        """Return the plan of *series*, which takes the place that it needs."""
        adapter = self._registry.load(series.venue)
        account = self._accounts.get(series.venue, Account())
        return self._places.place(series, adapter, account, {} if pin is None else {series: pin})

    async def _collect(self, series: Series, since_ns: int | None, pin: Rung | None) -> Series:
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        plan = self._placed(series, pin)
        name = plan.series
        if plan.rung is Rung.REFUSE:
            self._places.leave(name)
            raise PlanError(f"{name}: {plan.why}")
        if pin not in {None, plan.rung}:
            raise UsageError(
                f"{name} is collected already, by {plan.rung}; remove it first to have it by {pin}"
            )
        try:
            await self._start(plan, since_ns)
        except BaseException:
            venue = self._venues.get(name.scope)
            if venue is None or name not in venue.plans:
                self._places.leave(name)
            raise
        return name

    async def _start(self, plan: Plan, since_ns: int | None) -> None:
        """Collect by *plan*, unless it is collected already: then only what is missing since then counts."""
        name = plan.series
        venue = self._venue(name)
        if name in venue.plans:
            if since_ns is not None and name in venue.closers:
                venue.closers[name].reach_back(since_ns)
            return
        if isinstance(name.what, Feed):
            self._audience.connect(venue.add_feed(plan))
            return
        loaded = await self._load(name)
        plan = self._places.of(name) or plan  # somebody else may have wanted it otherwise meanwhile
        past_ns = 0
        if since_ns is not None:
            origin_ns = since_ns
            past_ns = self._first_open(plan) if loaded is None else loaded.state.origin_ns
        elif loaded is not None:
            origin_ns = loaded.state.origin_ns
        else:
            origin_ns = self._first_open(plan)
        if name not in venue.plans:  # somebody else may have added it while the store was asked
            assert plan.support is not None
            venue.add_candles(plan, Ledger.start(name, plan.support, loaded, origin_ns), past_ns)

    async def _load(self, name: Series) -> Loaded | None:
        """Return what the store knows of *name*, once all that was found of it before has landed there."""
        assert self._store is not None
        assert self._writer is not None
        before = self._left.get(name)
        if before is not None:
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._writer.landed(before)
            except TimeoutError as exc:
                raise StoreError(
                    f"{name}: what was found of it before it was removed is not stored yet"
                    f" ({self._writer.trouble or 'the store is slow'}); add it again once the store takes it"
                ) from exc
        return await self._store.load(name)

    async def remove(self, series: str | Series) -> None:
        """Stop collecting *series*; what is stored stays. Nothing happens when it is not collected."""
        self._drop(self._canonical(series))

    def _drop(self, name: Series) -> None:
        self._borrowed.pop(name, None)
        venue = self._venues.get(name.scope)
        if venue is None or name not in venue.plans:
            return
        closer = venue.closers.get(name)
        venue.remove(name)
        self._places.leave(name)
        assert self._writer is not None
        holds = self._writer.holds
        self._left = {series: left for series, left in self._left.items() if holds(left)}
        if closer is not None and holds(closer):
            self._left[name] = closer

    def plan(self, *series: str | Series, route: str | Rung | None = None) -> Sequence[Plan]:
        """Say how *series* would be collected beside those at hand, or, without arguments, how those are.

        Nothing connects. A series that cannot be collected has the rung REFUSE and says why. One that is at
        hand is collected as it is, whatever *route* says.

        Raises:
            UsageError: Not a series, the venue is not known, or there is no such *route*.
            PluginError: The venue's adapter is broken.
        """
        if not series:
            return [plan for venue in self._venues.values() for plan in venue.plans.values()]
        pin = None if route is None else pinned(route)
        wanted = [Series.parse(text) if isinstance(text, str) else text for text in series]
        with self._places.tried():
            return [self._placed(one, pin) for one in wanted]

    def _first_open(self, plan: Plan) -> int:
        """Return the open time of the running bucket, which is the first that can be had whole."""
        now_ns, timeframe = self._clock.now_ns(), plan.series.timeframe
        assert plan.support is not None
        try:
            return timeframe.open_at(now_ns, plan.support.grid)
        except ValueError:
            before_ns = now_ns - timeframe.nominal_ns
            return before_ns - before_ns % timeframe.nominal_ns

    def _instant(self, moment: str | datetime | int) -> int:
        return instant_of(moment, self._clock.now_ns())

    def account(self, series: Series) -> Account:
        """Return the account that *series* is collected with."""
        return attrs.evolve(self._accounts.get(series.venue, Account()), feed=series.variant)

    def _canonical(self, series: str | Series) -> Series:
        name = Series.parse(series) if isinstance(series, str) else series
        adapter = self._registry.load(name.venue)
        try:
            return attrs.evolve(name, symbol=adapter.canonical(name.symbol))
        except PluginError:
            raise
        except WickwireError:  # what the venue could not have is collected under no other name
            return name

    def _venue(self, series: Series) -> Venue:
        venue = self._venues.get(series.scope)
        if venue is None:
            if self._tasks is None or self._writer is None or self._transport is None:
                raise UsageError(_NOT_RUNNING)
            adapter, account = self._registry.load(series.venue), self.account(series)
            allowed = adapter.description_for(account).limits
            limits = effective_limits(allowed, account.limits, where=f"venues.{series.venue}.limits")
            rng = self._child_rng()
            venue = Venue(
                adapter,
                account,
                limits,
                self._access(series.venue, limits),
                self._transport,
                self._clock,
                rng,
                backoff=self._backoff_of(series.venue),
                committer=self._writer.notice,
                switched=self._audience.tell_switch,
            )
            self._venues[series.scope] = venue
            task = self._tasks.create_task(self._run_venue(series.scope, venue), name=f"venue {series.scope}")
            self._scopes.append(task)
        return venue

    def _access(self, venue: str, limits: Limits) -> Access:
        """Return what the variants of a venue share, since they speak to it on one account."""
        access = self._accesses.get(venue)
        if access is None:
            access = Access(Budget(limits), Dialing(self._backoff_of(venue), self._child_rng()))
            self._accesses[venue] = access
        access.budget.lower(limits)
        return access

    def _backoff_of(self, venue: str) -> Backoff:
        given = self._backoff
        return given if isinstance(given, Backoff) else given.get(venue, Backoff())

    async def _run_venue(self, scope: str, venue: Venue) -> None:
        """Run one venue; a bug in its scope ends it, is reported, and it starts again after a while."""
        retries = Retries(Backoff(first_s=1.0, cap_s=60.0), self._child_rng())
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            try:
                await venue.run()
            except Exception as exc:  # a bug ends one venue, not the others
                venue.failure = f"{type(exc).__name__}: {exc}"
                log.exception("venue failed", extra={"venue": scope, "why": venue.failure})
                wait_s = retries.failed(TransportError(venue.failure), loop.time() - started_s)
                if await venue.ended_within(wait_s):
                    return
                venue.failure = ""
            else:
                return

    # ------------------------------------------------------------------------------------------- listening

    def candles(self, *series: str | Series, after_seq: int | None = None) -> CandleReader:
        """Return an iterator over closed candles as they are committed.

        Each first close comes once; a revision comes again with its count. A consumer that falls behind
        reads on from the store and loses nothing. One that still is behind when the collector has ended gets
        what waits in memory; what it lacks is in the store, after the `seq` of its last candle.

        Args:
            series: Only these; all when none is named.
            after_seq: Start after this `seq` of the store, to go on where an earlier run ended; by default
                only what is committed from the start of this collector on.

        Raises:
            UsageError: The collector is not running.
        """
        if self._store is None or self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        only: Container[Series] | None = {self._canonical(text) for text in series} or None
        start = self._start_seq if after_seq is None else after_seq
        return self._audience.reader(self._store, only, start)

    def on_candle(self, listener: Listener, *series: str | Series) -> None:
        """Call *listener* with every closed candle, in order, one at a time; it may be plain or async.

        What it raises is logged and counted in `listener_errors`; the next candle comes all the same.
        """
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        self._audience.call(listener, self.candles(*series), self._tasks, self._child_rng())

    def on_switch(self, listener: Callable[[Switch], None]) -> None:
        """Call *listener* whenever a series changes its route; it must be quick.

        What it raises is logged and counted in `listener_errors`.
        """
        self._audience.call_on_switch(listener)

    @property
    def listener_errors(self) -> int:
        """How often a function that was given to `on_candle` or `on_switch` raised."""
        return self._audience.errors

    def trades(self, *series: str | Series) -> FeedReader[Trade]:
        """Return an iterator over the trades of the trade series; a slow consumer loses the oldest."""
        reader = FeedReader[Trade]()
        self._attach(reader, Feed.TRADES, series)
        return reader

    def quotes(self, *series: str | Series) -> FeedReader[Quote]:
        """Return an iterator over the quotes of the quote series; a slow consumer loses the oldest."""
        reader = FeedReader[Quote]()
        self._attach(reader, Feed.QUOTES, series)
        return reader

    def _attach(self, reader: AnyFeedReader, feed: Feed, series: Sequence[str | Series]) -> None:
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        routes = [route for venue in self._venues.values() for route in venue.feeds.values()]
        self._audience.attach(reader, feed, {self._canonical(text) for text in series} or None, routes)

    # ------------------------------------------------------------------------------------------- asking

    async def latest(self, series: str | Series) -> SeriesCandle | None:
        """Return the newest candle: the forming one, as far as it is known, else the last closed."""
        name = self._canonical(series)
        venue = self._venues.get(name.scope)
        closer = None if venue is None else venue.closers.get(name)
        if self._store is None or self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        if closer is not None and closer.forming is not None:
            return forming(name, closer.forming, closer.rung)
        return await self._store.latest(name)

    async def history(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
    ) -> AsyncIterator[Sequence[SeriesCandle]]:
        """Yield pages of closed candles that open in `[since, until)`, oldest first; the end is the end.

        What the store lacks is fetched from the venue first, paged and within its limits, and stored. A
        series that was not collected before is not collected afterwards.

        Raises:
            UsageError: *since* or *until* is not an instant, or the collector is not running.
            PlanError: The venue serves no history for it and the series is not collected.
            VenueError: The venue refuses, and asking again will not help.
        """
        if self._tasks is None:
            raise UsageError(_NOT_RUNNING)
        since_ns = self._instant(since)
        until_ns = self._clock.now_ns() if until is None else self._instant(until)
        name = self._canonical(series)
        async with self._borrowing(name, since_ns):
            closer = self.closer(name)
            await self.history_is_whole(name)
            if closer.hopeless is not None:
                raise closer.hopeless
            assert self._store is not None
            while rows := await self._store.candles(name, since_ns, until_ns, limit=PAGE_ROWS):
                yield rows
                since_ns = rows[-1].open_ns + 1

    @asynccontextmanager
    async def _borrowing(self, name: Series, since_ns: int) -> AsyncIterator[None]:
        """Collect a series for as long as the block runs, by history alone, unless it is collected anyway."""
        venue, pin = self._venues.get(name.scope), None
        if venue is None or name not in venue.plans or name in self._borrowed:
            [plan] = self.plan(name)
            if plan.support is not None and plan.rung is not Rung.REFUSE and not plan.support.rest:
                raise PlanError(f"{name}: the venue serves no history for it, and it is not collected")
            if plan.rung.streams and self.plan(name, route=Rung.POLL)[0].rung is Rung.POLL:
                pin = Rung.POLL
            self._borrowed[name] = self._borrowed.get(name, 0) + 1
        try:
            await self._collect(name, since_ns, pin)
            yield
        finally:
            users = self._borrowed.get(name)
            if users == 1:
                self._drop(name)
            elif users is not None:
                self._borrowed[name] = users - 1

    async def history_is_whole(self, series: str | Series) -> None:
        """Return when nothing that the venue's history could bring now is missing, and all is stored.

        Raises:
            UsageError: The series is not collected here, or carries no candles.
        """
        if self._writer is None:
            raise UsageError(_NOT_RUNNING)
        await self.closer(series).whole()
        await self._writer.drain()

    def closer(self, series: str | Series) -> Closer:
        """Return what keeps a candle series whole, for progress and diagnosis.

        Raises:
            UsageError: The series is not collected here, or carries no candles.
        """
        name = self._canonical(series)
        venue = self._venues.get(name.scope)
        if venue is None or name not in venue.closers:
            raise UsageError(f"{name} is not collected here; add it first")
        return venue.closers[name]

    def health(self) -> Health:
        """Say how everything is doing, at this moment."""
        if self._writer is None:
            raise UsageError(_NOT_RUNNING)
        alarm = self._watchdog.alarm
        venues, now_s = self._venues, asyncio.get_running_loop().time()
        candles = [of_closer(one, venue) for venue in venues.values() for one in venue.closers.values()]
        feeds = [of_feed(route, venue, now_s) for venue in venues.values() for route in venue.feeds.values()]
        return Health(
            at_ns=self._clock.now_ns(),
            series=[*candles, *feeds],
            venues=[of_venue(scope, venue, alarm) for scope, venue in venues.items()],
            committed=self._writer.committed,
            batches=self._writer.batches,
            store_trouble=self._writer.trouble,
            alarm="" if alarm is None else str(alarm),
            holds=self._watchdog.holds,
        )
