"""The collector: series in, true candles out. Made and owned by whoever embeds it; nothing here is global."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import attrs

from wickwire.audience import Audience, EventListener, EventReader, Listener
from wickwire.audit import Audit, Audited
from wickwire.calendars import Calendars
from wickwire.clock import Clock, SystemClock
from wickwire.closer import Closer
from wickwire.description import Account
from wickwire.errors import ConfigError, GivenUp, PlanError, UsageError
from wickwire.fallback import FallBack
from wickwire.fanout import AnyFeedReader, CandleReader, FeedReader
from wickwire.health import Health, of_closer, of_consumer, of_feed, of_venue
from wickwire.instants import instant_of
from wickwire.logs import speak
from wickwire.model import Feed, Quote, Rung, Series, SeriesCandle, Trade
from wickwire.news import News, Rotation, Switch
from wickwire.newsroom import Newsroom
from wickwire.places import Places
from wickwire.planner import Plan, pinned
from wickwire.queues import BOUND, Policy
from wickwire.registry import Registry
from wickwire.retry import Backoff
from wickwire.roster import DRAIN_S, Roster
from wickwire.scope import unwrapped
from wickwire.store import REAL, MemoryStore, Store, forming, other_world
from wickwire.transport import Transport
from wickwire.venues import NOT_RUNNING, Venues
from wickwire.watchdog import Watchdog
from wickwire.writer import Writer

__all__ = ["Collector", "EventListener", "Listener"]

log = logging.getLogger(__name__)

PAGE_ROWS: Final = 500


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
        confined: str = "",
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
            confined: Why the default transport may go only where *redirects* lead, and to loopback, such as
                "these are simulated venues,"; empty where it may ask venues themselves.
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
        self._confined = confined
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()
        self._watchdog = watchdog or Watchdog(self._registry)
        self._world = world
        self._audience = Audience(self._clock, self._tell)
        places = Places()
        calendars = Calendars(self._clock) if world == REAL else None
        self._venues = Venues(self._registry, accounts or {}, backoff, self._clock, self._rng, places)
        self._roster = Roster(
            self._registry, accounts or {}, self._clock, self._venues, self._audience, places, calendars
        )
        self._newsroom = Newsroom(self._venues.scopes, self._clock, self._audience)
        self._writer: Writer | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._given_up: GivenUp | None = None
        self._ending = asyncio.Event()
        self._stack = AsyncExitStack()
        self._start_seq = 0

    # ------------------------------------------------------------------------------------------ lifetime

    async def __aenter__(self) -> Self:
        """Open the store and start.

        Raises:
            ConfigError: The store's URL is wrong, or it holds candles of another world.
            StoreError: The store cannot be opened.
            GivenUp: Later, from within the block: a venue failed as often as its backoff allows. What was
                known by then is stored.
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
            news = self._newsroom
            self._writer = Writer(self._store, self._audience.deliver, self._child_rng(), news.store_troubled)
            stack.enter_context(unwrapped())
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._writing = self._tasks.create_task(self._writer.run(), name="writer")
            self._venues.start(
                self._transport,
                self._tasks,
                committer=self._writer.notice,
                tell=news.tell,
                given_up=self._give_up,
            )
            self._alarm = self._tasks.create_task(self._end_loudly(), name="alarm")
            self._looking = self._tasks.create_task(news.run(), name="newsroom")
            self._roster.start(self._store, self._writer)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop in order: venues, then the writer, then readers, transport and store."""
        self._venues.stop()
        try:
            await self._drain()
        finally:
            if self._given_up is None:
                self._alarm.cancel()
            self._audience.cancel()
            self._writing.cancel()
            self._looking.cancel()
            self._venues.end()
            self._tasks = None
            self._audience.leave()  # also when the store took nothing: nobody waits for what never comes
            await self._stack.__aexit__(kind, error, trace)

    def _tell(self, one: News) -> None:
        self._newsroom.tell(one)

    def _give_up(self, error: GivenUp) -> None:
        """Note why the collector ends."""
        self._given_up = self._given_up or error
        self._ending.set()

    async def _end_loudly(self) -> None:
        """Wait for the day on which a venue is given up; then stop in order, and raise why."""
        await self._ending.wait()
        assert self._given_up is not None
        self._venues.stop()
        await self._drain()
        raise self._given_up

    async def _drain(self) -> None:
        assert self._writer is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                if self._venues.tasks:
                    await asyncio.wait(self._venues.tasks)
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

        return NetTransport(redirects=self._redirects, confined=self._confined, clock=self._clock)

    def _child_rng(self) -> random.Random:
        return random.Random(self._rng.random())

    # -------------------------------------------------------------------------------------------- series

    async def add(
        self,
        series: str | Series,
        *,
        since: str | datetime | int | None = None,
        route: str | Rung | None = None,
        priority: bool | None = None,
    ) -> Series:
        """Collect *series* from now on; what the store knows of it already is completed. Idempotent.

        Args:
            series: `venue[.variant]:symbol@what`; native spellings of the symbol are accepted.
            since: Also everything from this instant on (text, aware datetime, or nanoseconds).
            route: Pin how it is collected: "stream", "resample" (from streamed smaller candles), "build"
                (from streamed trades) or "poll" (over REST).
            priority: As `prioritise`; None leaves it as it is, which is not, at first.

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
        collected = await self._roster.add(name, since_ns, pin, priority=priority)
        self._newsroom.wake()
        return collected

    def prioritise(self, series: str | Series, *, on: bool = True) -> None:
        """Serve a series before others from now on, or with *on* False not any more.

        Where requests are scarce its polls go first, and its holes heal before those of others. Polls are not
        spread over time, and while it is polled its running bucket is asked for too, at a quarter of its
        length (every 5 to 60 s), so that `latest` is fresh.

        Raises:
            UsageError: It is not collected, or the venue is not known.
        """
        self._roster.prioritise(self._canonical(series), on=on)

    async def remove(self, series: str | Series) -> None:
        """Stop collecting *series*; what is stored stays. Nothing happens when it is not collected."""
        self._roster.remove(self._canonical(series))

    async def rotate(self, venue: str, *, number: int | None = None) -> Sequence[Rotation]:
        """Replace the connections to a venue by new ones, one after the other, without a gap where possible.

        Where the venue allows one connection more, the new one is opened and proven before the old one ends;
        elsewhere the old one ends first, and history brings what was missed. Tokens and maximum ages have
        connections replaced without being asked.

        Args:
            venue: Its name, with the variant where it has one, such as "alpaca.sip".
            number: Only this one of its connections, as `health()` counts them.

        Returns:
            What came of each; nothing where the venue has no such connection.

        Raises:
            UsageError: The collector is not running, or collects nothing from that venue.
        """
        scope = self._venues.scopes.get(venue)
        if self._tasks is None or scope is None:
            collected = ", ".join(self._venues.scopes) or "nothing"
            raise UsageError(
                NOT_RUNNING if self._tasks is None else f"not collected from: {venue}; there is {collected}"
            )
        return await scope.rotator.rotate("somebody asked for it", number)

    def plan(self, *series: str | Series, route: str | Rung | None = None) -> Sequence[Plan]:
        """Say how *series* would be collected beside those at hand, or, without arguments, how those are.

        Nothing connects. A series that cannot be collected has the rung REFUSE and says why. One that is at
        hand is collected as it is, whatever *route* says.

        Raises:
            UsageError: Not a series, the venue is not known, or there is no such *route*.
            PluginError: The venue's adapter is broken.
        """
        if not series:
            return self._roster.plans()
        return self._roster.planned(series, None if route is None else pinned(route))

    def could_fall_back(self, *series: str | Series) -> FallBack:
        """Say whether *series* could be polled, all at once, if their streams were lost now; nothing happens.

        Beside what is polled already, within the venue's limit, and in the order in which they were added:
        what would not fit is named, with the reason. Without arguments all that is streamed counts.

        Raises:
            UsageError: One of them is not a series or not collected here, or the collector is not running.
        """
        if self._tasks is None:
            raise UsageError(NOT_RUNNING)
        return self._roster.fall_back(series)

    def _instant(self, moment: str | datetime | int) -> int:
        return instant_of(moment, self._clock.now_ns())

    def _canonical(self, series: str | Series) -> Series:
        return self._roster.canonical(series)

    def _candles_of(self, series: str | Series) -> Series:
        """Return the name of a candle series."""
        name = self._canonical(series)
        if isinstance(name.what, Feed):
            raise UsageError(f"{name} carries {name.what.value}, no candles; use {name.what.value}()")
        return name

    def _feed_of(self, series: str | Series, feed: Feed) -> Series:
        """Return the name of a series of *feed*."""
        name = self._canonical(series)
        if name.what is not feed:
            raise UsageError(f"{name} carries no {feed.value}; write {attrs.evolve(name, what=feed)}")
        return name

    # ------------------------------------------------------------------------------------------- listening

    def candles(
        self,
        *series: str | Series,
        after_seq: int | None = None,
        policy: Policy = Policy.SPILL,
        bound: int = BOUND,
        name: str = "",
    ) -> CandleReader:
        """Return an iterator over closed candles as they are committed.

        Each first close comes once; a revision comes again with its count. A consumer that falls behind
        reads on from the store and loses nothing. One that still is behind when the collector has ended gets
        what waits in memory; what it lacks is in the store, after the `seq` of its last candle.

        Args:
            series: Only these; all when none is named.
            after_seq: Start after this `seq` of the store, to go on where an earlier run ended; by default
                only what is committed from the start of this collector on.
            policy: What happens when the consumer is too slow: `SPILL` and `WAIT` lose nothing, `CONFLATE`
                and `DROP_OLDEST` do, counted in `dropped` and `conflated`.
            bound: How many candles wait in memory at most.
            name: What it is called in health and in the log; by default "candles" and a number.

        Raises:
            UsageError: The collector is not running, one of *series* carries no candles, there is no such
                *policy*, or nothing fits *bound*.
        """
        return self._candle_reader(series, after_seq, policy, bound, self._audience.name("candles", name))

    def _candle_reader(
        self, series: Sequence[str | Series], after_seq: int | None, policy: Policy, bound: int, name: str
    ) -> CandleReader:
        if self._store is None or self._tasks is None:
            raise UsageError(NOT_RUNNING)
        only: Container[Series] | None = {self._candles_of(text) for text in series} or None
        start = self._start_seq if after_seq is None else after_seq
        reader = CandleReader(self._store, only, start, policy=policy, bound=bound, name=name)
        self._audience.seat(reader)
        return reader

    def on_candle(
        self,
        listener: Listener,
        *series: str | Series,
        policy: Policy = Policy.SPILL,
        bound: int = BOUND,
        name: str = "",
    ) -> Callable[[], None]:
        """Call *listener* with every closed candle, in order, one at a time; it may be plain or async.

        What it raises is counted in `listener_errors`, and logged when that begins; the next candle comes
        all the same. A function that is slow is a slow consumer: `candles` tells of *policy*, *bound* and
        *name*, and of what is raised.

        Returns:
            What ends that when it is called; the call that is under way comes to its end.
        """
        if self._tasks is None:
            raise UsageError(NOT_RUNNING)
        reader = self._candle_reader(series, None, policy, bound, self._audience.name("on_candle", name))
        return self._audience.call(listener, reader, self._tasks, self._child_rng())

    def on_switch(self, listener: Callable[[Switch], None]) -> Callable[[], None]:
        """Call *listener* whenever a series changes its route, at that very moment; it must be quick.

        What it raises is logged and counted in `listener_errors`.

        Returns:
            What ends that when it is called.
        """
        return self._audience.call_on_switch(listener)

    def events(self, *, bound: int = BOUND, name: str = "") -> EventReader:
        """Return an iterator over what happens from now on: one value of `News` for each change.

        Changes of route, holes found and healed, refusals, doubts, connections that end, a store that fails:
        each as it happens. How a series is doing and how far a connection is are looked at once a second. A
        slow consumer loses the oldest, counted in `dropped`.

        Args:
            bound: How many events wait at most.
            name: What it is called in health and in the log; by default "events" and a number.

        Raises:
            UsageError: The collector is not running, or nothing fits *bound*.
        """
        return self._event_reader(bound, self._audience.name("events", name))

    def _event_reader(self, bound: int, name: str) -> EventReader:
        if self._tasks is None:
            raise UsageError(NOT_RUNNING)
        reader = EventReader(Policy.DROP_OLDEST, bound, name)
        self._audience.listen(reader)
        self._newsroom.wake()
        return reader

    def on_event(self, listener: EventListener, *, bound: int = BOUND, name: str = "") -> Callable[[], None]:
        """Call *listener* with everything that `events` tells, one at a time; it may be plain or async.

        What it raises is logged and counted in `listener_errors`.

        Returns:
            What ends that when it is called; the call that is under way comes to its end.

        Raises:
            UsageError: The collector is not running, or nothing fits *bound*.
        """
        reader = self._event_reader(bound, self._audience.name("on_event", name))
        assert self._tasks is not None
        return self._audience.call(listener, reader, self._tasks, self._child_rng())

    @property
    def listener_errors(self) -> int:
        """How often a function that was given to `on_candle`, `on_event` or `on_switch` raised."""
        return self._audience.errors

    def trades(
        self,
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> FeedReader[Trade]:
        """Return an iterator over the trades of the trade series, as they come.

        Args:
            series: Only these; all when none is named.
            policy: What happens when the consumer is too slow: it loses the oldest, or, with `CONFLATE`,
                all but the latest of each series; counted in `dropped` and `conflated`. It cannot wait, as
                the venue does not, and trades are not stored.
            bound: How many trades wait at most.
            name: What it is called in health and in the log; by default "trades" and a number.

        Raises:
            UsageError: The collector is not running, one of *series* carries no trades, *policy* is none for
                trades, or nothing fits *bound*.
        """
        reader = FeedReader[Trade](policy, bound, self._audience.name("trades", name))
        self._attach(reader, Feed.TRADES, series)
        return reader

    def quotes(
        self,
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> FeedReader[Quote]:
        """Return an iterator over the quotes of the quote series, as they come.

        Args:
            series: Only these; all when none is named.
            policy: What happens when the consumer is too slow: it loses the oldest, or, with `CONFLATE`,
                all but the latest of each series; counted in `dropped` and `conflated`. It cannot wait, as
                the venue does not, and quotes are not stored.
            bound: How many quotes wait at most.
            name: What it is called in health and in the log; by default "quotes" and a number.

        Raises:
            UsageError: The collector is not running, one of *series* carries no quotes, *policy* is none for
                quotes, or nothing fits *bound*.
        """
        reader = FeedReader[Quote](policy, bound, self._audience.name("quotes", name))
        self._attach(reader, Feed.QUOTES, series)
        return reader

    def _attach(self, reader: AnyFeedReader, feed: Feed, series: Sequence[str | Series]) -> None:
        if self._tasks is None:
            raise UsageError(NOT_RUNNING)
        routes = [route for venue in self._venues.scopes.values() for route in venue.feeds.values()]
        self._audience.attach(reader, feed, {self._feed_of(text, feed) for text in series} or None, routes)

    # ------------------------------------------------------------------------------------------- asking

    async def latest(self, series: str | Series) -> SeriesCandle | Trade | Quote | None:
        """Return the newest that is known of a series; None where that is nothing.

        Of candles it is the forming one, as far as it is known, else the last closed, which may be stored
        from an earlier run. Of trades and quotes it is the last that came while they were collected.
        """
        name = self._canonical(series)
        if self._store is None or self._tasks is None:
            raise UsageError(NOT_RUNNING)
        if isinstance(name.what, Feed):
            venue = self._venues.holding(name)
            route = None if venue is None else venue.feeds.get(name)
            return None if route is None else route.latest
        closer = self._venues.closer(name)
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
            UsageError: *since* or *until* is not an instant, *series* carries no candles, or the collector
                is not running.
            PlanError: The venue serves no history for it and the series is not collected.
            VenueError: The venue refuses, and asking again will not help.
        """
        if self._tasks is None:
            raise UsageError(NOT_RUNNING)
        since_ns = self._instant(since)
        until_ns = self._clock.now_ns() if until is None else self._instant(until)
        name = self._candles_of(series)
        async with self.past(name, since_ns) as closer:
            await self.history_is_whole(name)
            if closer.hopeless is not None:
                raise closer.hopeless
            assert self._store is not None
            while rows := await self._store.candles(name, since_ns, until_ns, limit=PAGE_ROWS):
                yield rows
                since_ns = rows[-1].open_ns + 1

    def past(self, series: str | Series, since: str | datetime | int) -> AbstractAsyncContextManager[Closer]:
        """Have what the store lacks of a series since *since* fetched for as long as the block runs.

        `history_is_whole` says when it is there. A series that is not collected takes no place among those
        that are, and is not collected afterwards.

        Raises:
            UsageError: *since* is not an instant, *series* carries no candles, or the collector is not
                running.
            PlanError: The venue serves no history for it and the series is not collected.
            StoreError: As `add` does.
        """
        if self._tasks is None:
            raise UsageError(NOT_RUNNING)
        return self._past(self._candles_of(series), self._instant(since))

    @asynccontextmanager
    async def _past(self, name: Series, since_ns: int) -> AsyncIterator[Closer]:
        async with self._roster.borrowing(name, since_ns):
            yield self.closer(name)

    async def history_is_whole(self, series: str | Series) -> None:
        """Return when nothing that the venue's history could bring now is missing, and all is stored.

        Raises:
            UsageError: The series is not collected here, or carries no candles.
        """
        if self._writer is None:
            raise UsageError(NOT_RUNNING)
        await self.closer(series).whole()
        await self._writer.drain()

    async def audit(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
    ) -> Audited:
        """Compare what the store holds of a series in `[since, until)` with the venue's history, and mend it.

        What was lost is fetched and stored, what differs is revised where history has the better evidence.
        Requests wait until nobody else wants to ask. What could not be read is in `left`; an audit of that
        range goes on there. A series that was not collected before is not collected afterwards.

        Raises:
            UsageError: *since* or *until* is not an instant, *series* carries no candles, the store knows
                nothing of it, or the collector is not running.
            PlanError: The venue serves no history for it and the series is not collected.
            StoreError: The store cannot be read.
        """
        if self._store is None or self._writer is None or self._tasks is None:
            raise UsageError(NOT_RUNNING)
        since_ns = self._instant(since)
        until_ns = self._clock.now_ns() if until is None else self._instant(until)
        name = self._candles_of(series)
        known = await self._store.load(name)
        if known is None and self._venues.closer(name) is None:
            raise UsageError(f"{name}: the store knows nothing of it, so there is nothing to audit")
        origin_ns = since_ns if known is None else max(since_ns, known.state.origin_ns)
        async with self._past(name, origin_ns) as closer:
            if not closer.ledger.support.rest:
                raise PlanError(f"{name}: the venue serves no history that it could be compared with")
            backoff = self._venues.backoff_of(name.venue)
            audit = Audit(closer, self._store, self._writer, self._child_rng(), backoff)
            return await audit.run(since_ns, until_ns)

    def closer(self, series: str | Series) -> Closer:
        """Return what keeps a candle series whole, for progress and diagnosis.

        Raises:
            UsageError: The series is not collected here, or carries no candles.
        """
        name = self._candles_of(series)
        closer = self._venues.closer(name)
        if closer is None:
            raise UsageError(f"{name} is not collected here; add it first")
        return closer

    def health(self) -> Health:
        """Say how everything is doing, at this moment."""
        if self._writer is None:
            raise UsageError(NOT_RUNNING)
        alarm = self._watchdog.alarm
        venues, now_s = self._venues.scopes, asyncio.get_running_loop().time()
        now_ns = self._clock.now_ns()
        candles = [
            of_closer(one, venue, now_ns) for venue in venues.values() for one in venue.closers.values()
        ]
        feeds = [of_feed(route, venue, now_s) for venue in venues.values() for route in venue.feeds.values()]
        return Health(
            at_ns=now_ns,
            series=[*candles, *feeds],
            venues=[of_venue(scope, venue, alarm) for scope, venue in venues.items()],
            committed=self._writer.committed,
            batches=self._writer.batches,
            store_trouble=self._writer.trouble,
            alarm="" if alarm is None else str(alarm),
            holds=self._watchdog.holds,
            consumers=[of_consumer(reader) for reader in self._audience.readers],
            events=dict(self._newsroom.counts),
        )
