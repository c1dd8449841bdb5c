"""Where what a collector finds comes out: iterators, and functions that are called."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime

from wickwire.accounts import Accounts
from wickwire.audience import Audience, EventListener, EventReader, Listener
from wickwire.budget import Priority
from wickwire.clock import Clock
from wickwire.fanout import AnyFeedReader, CandleReader, FeedReader
from wickwire.health import SeriesHealth
from wickwire.instants import LAST_NS, instant_of
from wickwire.lifetime import Lifetime
from wickwire.listener_errors import check_callable
from wickwire.model import Feed, Series, SeriesCandle, SeriesQuote, SeriesTrade
from wickwire.news import Switch
from wickwire.newsroom import Newsroom
from wickwire.queues import BOUND, Policy
from wickwire.roster import Roster
from wickwire.settling import settled
from wickwire.unfinished import checked_pause, unfinished_candles
from wickwire.venues import Venues
from wickwire.walk import PastCandles, PastTrades

__all__ = ["Outlet"]


class Outlet:
    """Hands on what is true to whoever listens. What there is to hand on is decided by its `Collector`."""

    def __init__(
        self,
        life: Lifetime,
        roster: Roster,
        venues: Venues,
        audience: Audience,
        newsroom: Newsroom,
        rng: random.Random,
        clock: Clock,
        accounts: Accounts,
    ) -> None:
        """Begin with nobody who listens.

        Args:
            life: Says whether it runs, and holds the store.
            roster: Knows series by any name.
            venues: What trades and quotes come from.
            audience: Who listens.
            newsroom: Woken when somebody wants to know what happens.
            rng: Where jitter comes from.
            clock: What stamps.
            accounts: What a venue is asked with.
        """
        self._life = life
        self._roster = roster
        self._venues = venues
        self._audience = audience
        self._newsroom = newsroom
        self._rng = rng
        self._clock = clock
        self._accounts = accounts

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
            UsageError: The collector is not running, one of *series* carries no candles, or is not collected,
                and no *after_seq* says that stored ones are wanted; there is no such *policy*, or nothing
                fits *bound*.
        """
        self._life.check_running()
        if after_seq is None:  # else there may be stored ones, of an earlier run
            self._roster.check_collected(map(self._roster.candles_of, series))
        name = self._audience.name("candles", name)
        return self.later_candles(*series, after_seq=after_seq, policy=policy, bound=bound, name=name)

    def later_candles(
        self,
        *series: str | Series,
        after_seq: int | None = None,
        policy: Policy,
        bound: int,
        name: str,
    ) -> CandleReader:
        """Return the same for a function, whose series may be added later: nobody waits for it."""
        self._life.check_running()
        only = {self._roster.candles_of(text) for text in series} or None
        start = self._life.start_seq if after_seq is None else after_seq
        reader = CandleReader(self._life.store, only, start, policy=policy, bound=bound, name=name)
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

        What it raises is counted, here and in health, and logged where it is news; the next candle comes
        all the same. A function that is slow is a slow consumer: `candles` tells of *policy*, *bound* and
        *name*, and of what is raised.

        Returns:
            What ends that when it is called; the call that is under way comes to its end.

        Raises:
            UsageError: *listener* cannot be called; or as `candles`, but for series that are not collected
                yet: these may be added later.
        """
        check_callable(listener)
        name = self._audience.name("on_candle", name)
        reader = self.later_candles(*series, policy=policy, bound=bound, name=name)
        return self._audience.call(listener, reader, self._life.tasks, self._child_rng())

    def forming(self, *series: str | Series, every_s: float = 1.0) -> AsyncGenerator[SeriesCandle]:
        """Return an iterator over running candles: each as it is now, whenever it has become another.

        Their `state` is `FORMING`, their `seq` 0, and nothing of them is stored: what becomes of one comes
        from `candles`. Of a series that is polled the running candle is known while it has priority; where a
        venue streams closed ones alone, it is not.

        Args:
            series: Only these; all when none is named, also those that are added later.
            every_s: How many seconds lie between two looks; what changes in between is seen once.

        Raises:
            UsageError: The collector is not running, one of *series* carries no candles, or is not collected;
                or *every_s* is no time.
        """
        self._life.check_running()
        only = {self._roster.candles_of(text) for text in series} or None
        self._roster.check_collected(only or ())
        return unfinished_candles(self._venues, only, checked_pause(every_s))

    async def settled(self, *series: str | Series) -> Sequence[SeriesHealth]:
        """Return how series are doing once each of them is collected, or refused.

        A `condition` is `LIVE`, `QUIET` or `POLLED`, or it is `REFUSED` and `trouble` says why. A stream that
        is refused settles nothing as long as history may have the same. While a venue is away it waits: best
        put it under `asyncio.timeout`; `health` says what it waits for. So does a venue that confirms
        nothing before the first event.

        Args:
            series: These; all that are collected when none is named.

        Returns:
            One for each, in the order in which they were named, or added.

        Raises:
            UsageError: One of them is not collected here, or was removed meanwhile; or the collector is not
                running, or was stopped meanwhile.
        """
        self._life.check_running()
        names = [self._roster.canonical(one) for one in series]
        names = names or [plan.series for plan in self._roster.plans()]
        return await settled(names, self._venues, self._clock, self._life.check_running)

    def on_switch(self, listener: Callable[[Switch], None]) -> Callable[[], None]:
        """Call *listener* whenever a series changes its route, at that very moment; it must be quick.

        What it raises is logged and counted in `listener_errors`.

        Returns:
            What ends that when it is called.
        """
        check_callable(listener)
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
        self._life.check_running()
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
            UsageError: *listener* cannot be called, the collector is not running, or nothing fits *bound*.
        """
        check_callable(listener)
        reader = self._event_reader(bound, self._audience.name("on_event", name))
        return self._audience.call(listener, reader, self._life.tasks, self._child_rng())

    def _child_rng(self) -> random.Random:
        return random.Random(self._rng.random())

    @property
    def listener_errors(self) -> int:
        """How often a function that was given to `on_candle`, `on_trade` and so on raised."""
        return self._audience.errors

    def walk(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
        *,
        urgent: bool = False,
    ) -> AsyncGenerator[PastCandles]:
        """Return pages of the past straight from the venue, oldest first; nothing of it is stored.

        Unlike `history` it begins with the oldest page at once, whatever lies between that and the present,
        and shows the forming candle too, where it comes so far. While the venue is away it waits: best put it
        under `asyncio.timeout`.

        Args:
            series: A candle series, collected or not.
            since: Candles that open from here on.
            until: And before this; the present where it is None.
            urgent: Ask before what heals holes, as for what just ended.

        Raises:
            UsageError: *since* or *until* is not an instant, *series* carries no candles, or the collector
                is not running.
            PlanError: From the iterator: the venue serves no history for it.
            VenueError: The same: the venue refuses, and asking again will not help.
        """
        name = self._roster.candles_of(series)
        self._life.check_running()
        since_ns, until_ns = self._span(since, until)
        priority = Priority.LIVE if urgent else Priority.BACKFILL
        return self._walked(name, since_ns, until_ns, priority)

    async def _walked(
        self, name: Series, since_ns: int, until_ns: int, priority: Priority
    ) -> AsyncGenerator[PastCandles]:
        await self._accounts.learn(name.venue)
        walk = self._roster.walk(name, self._child_rng(), priority)
        async with aclosing(walk.pages(since_ns, until_ns)) as pages:
            async for page in pages:
                yield page

    def walk_trades(
        self,
        series: str | Series,
        since: str | datetime | int,
        until: str | datetime | int | None = None,
    ) -> AsyncGenerator[PastTrades]:
        """Return pages of trades of the past straight from the venue, oldest first; as `walk`.

        Raises:
            UsageError: *since* or *until* is not an instant, *series* carries no trades, or the collector
                is not running.
            PlanError: From the iterator: the venue serves no trades of the past.
            VenueError: The same: the venue refuses, and asking again will not help.
        """
        name = self._roster.feed_of(series, Feed.TRADES)
        self._life.check_running()
        since_ns, until_ns = self._span(since, until)
        return self._walked_trades(name, since_ns, until_ns)

    async def _walked_trades(self, name: Series, since_ns: int, until_ns: int) -> AsyncGenerator[PastTrades]:
        await self._accounts.learn(name.venue)
        walk = self._roster.walk_trades(name, self._child_rng())
        async with aclosing(walk.pages(since_ns, until_ns)) as pages:
            async for page in pages:
                yield page

    def _span(self, since: str | datetime | int, until: str | datetime | int | None) -> tuple[int, int]:
        now_ns = self._clock.now_ns()
        until_ns = LAST_NS if until is None else instant_of(until, now_ns, ago=True)
        return instant_of(since, now_ns, ago=True), until_ns

    def trades(
        self,
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> FeedReader[SeriesTrade]:
        """Return an iterator over the trades of the trade series, as they come; each names its series.

        Args:
            series: Only these; all when none is named.
            policy: What happens when the consumer is too slow: it loses the oldest, or, with `CONFLATE`,
                all but the latest of each series; counted in `dropped` and `conflated`. It cannot wait, as
                the venue does not, and trades are not stored.
            bound: How many trades wait at most.
            name: What it is called in health and in the log; by default "trades" and a number.

        Raises:
            UsageError: The collector is not running, one of *series* carries no trades or is not collected,
                *policy* is none for trades, or nothing fits *bound*.
        """
        self._life.check_running()
        self._roster.check_collected(self._roster.feed_of(text, Feed.TRADES) for text in series)
        name = self._audience.name("trades", name)
        return self.later_trades(*series, policy=policy, bound=bound, name=name)

    def later_trades(
        self, *series: str | Series, policy: Policy, bound: int, name: str
    ) -> FeedReader[SeriesTrade]:
        """Return the same for a function; see `later_candles`."""
        reader = FeedReader[SeriesTrade](policy, bound, name)
        self._attach(reader, Feed.TRADES, series)
        return reader

    def on_trade(
        self,
        listener: Callable[[SeriesTrade], Awaitable[None] | None],
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> Callable[[], None]:
        """Call *listener* with every trade as it comes; as `on_candle`, and for the rest as `trades`."""
        check_callable(listener)
        name = self._audience.name("on_trade", name)
        reader = self.later_trades(*series, policy=policy, bound=bound, name=name)
        return self._audience.call(listener, reader, self._life.tasks, self._child_rng())

    def quotes(
        self,
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> FeedReader[SeriesQuote]:
        """Return an iterator over the quotes of the quote series, as they come; each names its series.

        Args:
            series: Only these; all when none is named.
            policy: What happens when the consumer is too slow: it loses the oldest, or, with `CONFLATE`,
                all but the latest of each series; counted in `dropped` and `conflated`. It cannot wait, as
                the venue does not, and quotes are not stored.
            bound: How many quotes wait at most.
            name: What it is called in health and in the log; by default "quotes" and a number.

        Raises:
            UsageError: The collector is not running, one of *series* carries no quotes or is not collected,
                *policy* is none for quotes, or nothing fits *bound*.
        """
        self._life.check_running()
        self._roster.check_collected(self._roster.feed_of(text, Feed.QUOTES) for text in series)
        name = self._audience.name("quotes", name)
        return self.later_quotes(*series, policy=policy, bound=bound, name=name)

    def later_quotes(
        self, *series: str | Series, policy: Policy, bound: int, name: str
    ) -> FeedReader[SeriesQuote]:
        """Return the same for a function; see `later_candles`."""
        reader = FeedReader[SeriesQuote](policy, bound, name)
        self._attach(reader, Feed.QUOTES, series)
        return reader

    def on_quote(
        self,
        listener: Callable[[SeriesQuote], Awaitable[None] | None],
        *series: str | Series,
        policy: Policy = Policy.DROP_OLDEST,
        bound: int = BOUND,
        name: str = "",
    ) -> Callable[[], None]:
        """Call *listener* with every quote as it comes; as `on_candle`, and for the rest as `quotes`."""
        check_callable(listener)
        name = self._audience.name("on_quote", name)
        reader = self.later_quotes(*series, policy=policy, bound=bound, name=name)
        return self._audience.call(listener, reader, self._life.tasks, self._child_rng())

    def _attach(self, reader: AnyFeedReader, feed: Feed, series: Sequence[str | Series]) -> None:
        self._life.check_running()
        routes = [route for venue in self._venues.scopes.values() for route in venue.feeds.values()]
        only = {self._roster.feed_of(text, feed) for text in series} or None
        self._audience.attach(reader, feed, only, routes)
