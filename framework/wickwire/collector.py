"""The collector: series in, true candles out. Made and owned by whoever embeds it; nothing here is global."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Final, Self

from wickwire.accounts import AccountResolver, Accounts
from wickwire.audience import Audience, EventListener, Listener
from wickwire.audit import Audit, Audited
from wickwire.cache import Cache
from wickwire.calendars import Calendars
from wickwire.clock import Clock, SystemClock, loop_s
from wickwire.closer import Closer
from wickwire.deliveries import Deliveries
from wickwire.description import Account
from wickwire.errors import PlanError, UsageError
from wickwire.fallback import FallBack
from wickwire.fanout import named
from wickwire.given import Given, check_secrets, check_venues
from wickwire.health import Health, of_closer, of_consumer, of_feed, of_sink, of_venue
from wickwire.history_reader import Covered, HistoryReader
from wickwire.hot import HotMemory, SeriesReader
from wickwire.instants import instant_of
from wickwire.lifetime import Lifetime
from wickwire.model import Feed, Rung, Series, SeriesCandle, SeriesQuote, SeriesTrade
from wickwire.news import News, Rotation
from wickwire.newsroom import Newsroom
from wickwire.outlet import Outlet
from wickwire.pages import stored_candles
from wickwire.places import Places
from wickwire.planner import Plan, pinned
from wickwire.registry import Registry
from wickwire.retention import Retention
from wickwire.retry import Backoff
from wickwire.room import LEAST_MOVED
from wickwire.roster import DRAIN_S, Roster
from wickwire.shared import SharedBudget
from wickwire.sink import Sink
from wickwire.status import StatusSink
from wickwire.store import REAL, Store, forming
from wickwire.transport import Transport
from wickwire.venues import Venues
from wickwire.watchdog import Watchdog

__all__ = ["Collector", "EventListener", "Listener"]

PAGE_ROWS: Final = 500


class Collector(Outlet):
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
        sinks: Mapping[str, str | Sink] | None = None,
        hot: str | Cache | HotMemory | None = None,
        keep_trades: bool = False,
        retention: Retention | None = None,
        budget: str | SharedBudget | None = None,
        registry: Registry | None = None,
        transport: Transport | None = None,
        redirects: Mapping[str, str] | None = None,
        confined: str = "",
        accounts: Mapping[str, Account] | AccountResolver | None = None,
        backoff: Backoff | Mapping[str, Backoff] | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        watchdog: Watchdog | None = None,
        world: str = REAL,
        least_moved: float = LEAST_MOVED,
        status: StatusSink | None = None,
    ) -> None:
        """Make a collector; nothing connects before `async with`.

        What it could not work with raises UsageError.

        Args:
            store: Where closed candles live: a URL such as "sqlite:wickwire.db", a Store, or None for memory.
            sinks: Where committed candles go beside the store, and the latest quotes too: URLs such as
                "redis://127.0.0.1", or Sinks, each by the name under which the store keeps how far it is.
            hot: Where the newest candles are kept to be read without asking the store: HotMemory, a URL such
                as "redis://127.0.0.1", which other processes read too, or a Cache; by default nowhere.
            keep_trades: Store the trades of all trade series that are collected, too.
            retention: How long candles and trades are kept; by default for ever. What is older is not asked
                for either, whatever *since* says.
            budget: Where the venues' limits are counted together with other processes: a URL such as
                "redis://127.0.0.1", or a SharedBudget; by default this process counts alone.
            registry: Where adapters are found; by default all that are installed.
            transport: How to reach venues; by default the network.
            redirects: Origin to origin, for the default transport: `{"wss://ws.kraken.com":
                "ws://127.0.0.1:9000"}` sends that venue's stream to a simulated one.
            confined: Why the default transport may go only where *redirects* lead, and to loopback, such as
                "these are simulated venues,"; empty where it may ask venues themselves.
            accounts: By venue, `Account()` for the others; or a plain or async function that returns the
                account of a venue, asked once, when that is first added, read or planned. `plan` cannot ask
                an async one.
            backoff: How long to wait between attempts, for all or by venue.
            clock: What stamps; by default the system's.
            rng: Where jitter comes from; seed it to repeat a run.
            watchdog: What looks for plugins that hold the event loop; by default one that reports them and
                leaves the process alone.
            world: Whose candles these are, in a few words; name it where the venues are not the real ones, as
                a store takes candles of one world only.
            least_moved: Events a second: topics move away from a connection only where it carries more.
            status: Told how each series is doing, whenever that changes and once a minute.
        """
        registry, clock, rng = registry or Registry(), clock or SystemClock(), rng or random.Random()
        watchdog = watchdog or Watchdog(registry)
        audience, places = Audience(clock, self._tell), Places(least_moved)
        calendars = Calendars(clock) if world == REAL else None
        known = Accounts({} if accounts is None else accounts, partial(check_secrets, registry=registry))
        venues = Venues(registry, known, backoff, clock, rng, places)
        kept, memory = retention or Retention(), hot if isinstance(hot, HotMemory) else None
        roster = Roster(registry, known, clock, venues, audience, places, calendars, memory, retention=kept)
        deliveries = Deliveries(clock, self._tell)
        newsroom = Newsroom(venues.scopes, clock, audience)
        life = Lifetime(
            Given(
                store=store,
                sinks=dict(sinks or {}),
                transport=transport,
                redirects=dict(redirects or {}),
                confined=confined,
                world=world,
                hot=hot,
                keep_trades=keep_trades,
                retention=kept,
                budget=budget,
                status=status,
            ),
            registry,
            clock,
            rng,
            watchdog,
            venues=venues,
            roster=roster,
            audience=audience,
            deliveries=deliveries,
            newsroom=newsroom,
        )
        super().__init__(life, roster, venues, audience, newsroom, rng, clock, known)
        self._registry = registry
        self._watchdog = watchdog
        self._deliveries = deliveries

    # ------------------------------------------------------------------------------------------ lifetime

    async def __aenter__(self) -> Self:
        """Open the store and start; once.

        Raises:
            UsageError: It was entered before, or the store that it was given is that of another one.
            ConfigError: The URL of the store, a sink, the hot layer or the budget is wrong, the store holds
                candles of another world, or there is no such venue as one of *accounts*.
            StoreError: The store cannot be opened.
            BudgetError: The shared budget will not work until somebody mends it; as with sinks.
            SinkError: A sink will not work until somebody mends it; one that is merely away is waited for.
            GivenUp: Later, from within the block: a venue failed as often as its backoff allows. What was
                known by then is stored.
        """
        check_venues(self._accounts, self._registry)
        await self._life.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop in order: venues, then the writer, then readers, transport and store."""
        await self._life.end(kind, error, trace)

    async def stop(self, *, drain: float = DRAIN_S) -> None:
        """Stop now, in the order in which leaving the block does; what follows in the block collects nothing.

        When it returns, connections are closed, what was known is stored, functions were called with it,
        sinks have it, and iterators end. A second call does nothing. Called from within a function given to
        `on_candle` or `on_event` it does not wait for that one.

        Args:
            drain: How many seconds that may take at most; what is not stored by then is completed by the next
                start.
        """
        await self._life.stop(drain)

    def _tell(self, one: News) -> None:
        self._newsroom.tell(one)

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
            since: Also everything from this instant on: text, aware datetime, nanoseconds, or how long ago
                it was, such as "90m", "12h", "3d". So wherever an instant is asked for here.
            route: Pin how it is collected: "stream", "resample" (from streamed smaller candles), "build"
                (from streamed trades) or "poll" (over REST).
            priority: As `prioritise`; None leaves it as it is, which is not, at first.

        Returns:
            The series under its canonical name, which is what candles carry.

        Raises:
            UsageError: It is not a series, the venue is not known, *since* is not an instant, there is no
                such *route*, or it is collected already, by another one; or the collector is not running.
            PluginError: The venue's adapter is broken.
            ConfigError: The function given as *accounts* failed, or a secret that is needed has another name.
            PlanError: It cannot be collected; the text says why and what could be.
            StoreError: The store cannot be read, or does not take what was found of it before it was removed.
        """
        since_ns = None if since is None else self._instant(since)
        pin = None if route is None else pinned(route)
        name = self._roster.canonical(series)
        self._life.check_running()
        await self._accounts.learn(name.venue)
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
        self._life.check_loop()
        self._roster.prioritise(self._roster.canonical(series), on=on)

    async def remove(self, series: str | Series) -> None:
        """Stop collecting *series*; what is stored stays. Nothing happens when it is not collected."""
        self._life.check_loop()
        self._roster.remove(self._roster.canonical(series))

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
        self._life.check_running()
        scope = self._venues.scopes.get(venue)
        if scope is None:
            collected = ", ".join(self._venues.scopes) or "nothing"
            raise UsageError(f"not collected from: {venue}; there is {collected}")
        return await scope.rotator.rotate("somebody asked for it", number)

    def plan(self, *series: str | Series, route: str | Rung | None = None) -> Sequence[Plan]:
        """Say how *series* would be collected beside those at hand, or, without arguments, how those are.

        Nothing connects. A series that cannot be collected has the rung REFUSE and says why. One that is at
        hand is collected as it is, whatever *route* says. Where *accounts* is an async function and was not
        asked for the venue yet, what is said is true without an account.

        Raises:
            UsageError: Not a series, the venue is not known, or there is no such *route*.
            ConfigError: As `add` does.
            PluginError: The venue's adapter is broken.
        """
        self._life.check_loop()
        if not series:
            return self._roster.plans()
        for venue in dict.fromkeys(self._roster.canonical(one).venue for one in series):
            self._accounts.learn_now(venue)
        return self._roster.planned(series, None if route is None else pinned(route))

    def could_fall_back(self, *series: str | Series) -> FallBack:
        """Say whether *series* could be polled, all at once, if their streams were lost now; nothing happens.

        Beside what is polled already, within the venue's limit, and in the order in which they were added:
        what would not fit is named, with the reason. Without arguments all that is streamed counts.

        Raises:
            UsageError: One of them is not a series or not collected here, or the collector is not running.
        """
        self._life.check_running()
        return self._roster.fall_back(series)

    def _instant(self, moment: str | datetime | int) -> int:
        return instant_of(moment, self._clock.now_ns(), ago=True)

    # ------------------------------------------------------------------------------------------- asking

    async def latest(self, series: str | Series) -> SeriesCandle | SeriesTrade | SeriesQuote | None:
        """Return the newest that is known of a series; None where that is nothing.

        Of candles it is the forming one, as far as it is known, else the last closed, which may be stored
        from an earlier run. Of trades and quotes it is the last that came while they were collected.
        """
        name = self._roster.canonical(series)
        self._life.check_running()
        if isinstance(name.what, Feed):
            venue = self._venues.holding(name)
            route = None if venue is None else venue.feeds.get(name)
            return None if route is None or route.latest is None else named(name, route.latest)
        closer = self._venues.closer(name)
        if closer is not None and closer.forming is not None:
            return forming(name, closer.forming, closer.rung)
        return await self._life.store.latest(name)

    def reader(self, series: str | Series) -> SeriesReader:
        """Return what reads the closed candles of a series, from the hot layer where one was given.

        Unlike `latest` and `history` it asks the store alone, or not even that: no venue, and nothing that
        is not closed.

        Raises:
            UsageError: *series* carries no candles, the venue is not known, or the collector is not running.
        """
        name = self._roster.candles_of(series)
        self._life.check_running()
        return SeriesReader(name, self._life.store, self._life.hot, clock=self._clock)

    def history(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
    ) -> HistoryReader:
        """Return pages of closed candles that open in `[since, until)`, oldest first; the end is the end.

        What the store lacks is fetched from the venue first, paged and within its limits, and stored. What
        lacks afterwards is in `holes` of what is returned, and why. A series that was not collected before
        is not collected afterwards.

        Raises:
            UsageError: *since* or *until* is not an instant, *series* carries no candles, or the collector
                is not running. From the iterator: it was stopped, or the series removed, before its history
                was there.
            PlanError: From the iterator: the venue serves no history for it and the series is not collected.
            VenueError: The same: the venue refuses, and asking again will not help.
        """
        self._life.check_running()
        since_ns = self._instant(since)
        until_ns = self._clock.now_ns() if until is None else self._instant(until)
        name = self._roster.candles_of(series)
        return HistoryReader(since_ns, until_ns, partial(self._past_pages, name, since_ns, until_ns))

    async def _past_pages(
        self, name: Series, since_ns: int, until_ns: int, covered: Covered
    ) -> AsyncGenerator[Sequence[SeriesCandle]]:
        async with self.past(name, since_ns) as closer:
            await self.history_is_whole(name)
            if closer.hopeless is not None:
                raise closer.hopeless
            if closer.stopped:
                raise UsageError(f"{name}: removed, or the collector stopped, before its history was there")
            covered.learn(closer.ledger)
            pages = stored_candles(self._life.store, name, since_ns, until_ns, rows=PAGE_ROWS)
            async with aclosing(pages):  # who stops listening in the middle leaves nothing half read
                async for rows in pages:
                    yield rows

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
        self._life.check_running()
        return self._past(self._roster.candles_of(series), self._instant(since))

    @asynccontextmanager
    async def _past(self, name: Series, since_ns: int) -> AsyncIterator[Closer]:
        await self._accounts.learn(name.venue)
        async with self._roster.borrowing(name, since_ns):
            yield self.closer(name)

    async def history_is_whole(self, series: str | Series) -> None:
        """Return when nothing that the venue's history could bring now is missing, and all is stored.

        Raises:
            UsageError: The series is not collected here, or carries no candles.
        """
        self._life.check_loop()
        writer = self._life.writer
        await self.closer(series).whole()
        await writer.drain()

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
        self._life.check_running()
        since_ns = self._instant(since)
        until_ns = self._clock.now_ns() if until is None else self._instant(until)
        name = self._roster.candles_of(series)
        known = await self._life.store.load(name)
        if known is None and self._venues.closer(name) is None:
            raise UsageError(f"{name}: the store knows nothing of it, so there is nothing to audit")
        origin_ns = since_ns if known is None else max(since_ns, known.state.origin_ns)
        async with self._past(name, origin_ns) as closer:
            if not closer.ledger.support.rest:
                raise PlanError(f"{name}: the venue serves no history that it could be compared with")
            backoff = self._venues.backoff_of(name.venue)
            audit = Audit(closer, self._life.store, self._life.writer, self._child_rng(), backoff)
            return await audit.run(since_ns, until_ns)

    def closer(self, series: str | Series) -> Closer:
        """Return what keeps a candle series whole, for progress and diagnosis.

        Raises:
            UsageError: The series is not collected here, or carries no candles.
        """
        name = self._roster.candles_of(series)
        return self._venues.collecting(name).closers[name]

    def health(self) -> Health:
        """Say how everything is doing, at this moment.

        Raises:
            UsageError: The collector was never entered, or runs in another event loop.
        """
        self._life.check_loop()
        writer, alarm, keeper = self._life.writer, self._watchdog.alarm, self._life.keeper
        sharing = self._life.sharing
        venues, now_s = self._venues.scopes, loop_s()
        now_ns = self._clock.now_ns()
        candles = [
            of_closer(one, venue, now_ns) for venue in venues.values() for one in venue.closers.values()
        ]
        feeds = [of_feed(route, venue, now_s) for venue in venues.values() for route in venue.feeds.values()]
        return Health(
            at_ns=now_ns,
            series=[*candles, *feeds],
            venues=[of_venue(scope, venue, alarm) for scope, venue in venues.items()],
            committed=writer.committed,
            batches=writer.batches,
            store_trouble=writer.trouble or ("" if keeper is None else keeper.trouble),
            budget_trouble="" if sharing is None else sharing.trouble,
            alarm="" if alarm is None else str(alarm),
            holds=self._watchdog.holds,
            consumers=[of_consumer(reader, now_s) for reader in self._audience.readers],
            stored_trades=0 if keeper is None else keeper.stored,
            sinks=[
                of_sink(one, self._deliveries.quotes.get(one.name), now_s) for one in self._deliveries.all
            ],
            events=dict(self._newsroom.counts),
        )
