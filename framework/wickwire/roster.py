"""What one collector collects: under which name, by which plan, in which place, and for whom.

A series is on the roster because somebody added it, or for as long as somebody reads its history in passing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs

from wickwire.audience import Audience
from wickwire.buckets import Buckets
from wickwire.budget import Priority
from wickwire.calendars import Calendar, Calendars
from wickwire.clock import Clock
from wickwire.closer import Closer
from wickwire.description import Account
from wickwire.errors import PlanError, PluginError, StoreError, UsageError, WickwireError
from wickwire.fallback import FallBack, RestRoom, fall_back
from wickwire.folding import Fold, SeriesHistory
from wickwire.forgetting import first_kept
from wickwire.given import checked_series
from wickwire.hot import HotMemory
from wickwire.knowledge import Kept
from wickwire.ledger import Ledger
from wickwire.model import Feed, Rung, Series, iso
from wickwire.places import Places
from wickwire.planner import Plan
from wickwire.registry import Registry
from wickwire.retention import Retention
from wickwire.store import Loaded, Store
from wickwire.venues import Venues
from wickwire.walk import CandleWalk, TradeWalk, trade_page
from wickwire.writer import Writer

__all__ = ["DRAIN_S", "Roster"]

log = logging.getLogger(__name__)

DRAIN_S: Final = 8.0
"""How long stopping waits for the store: SIGTERM to exit has to stay under 10 s. A series that is added again
waits as long for what was found of it before."""


class Roster:
    """The series of one collector. Names are canonical, except where it says otherwise."""

    def __init__(
        self,
        registry: Registry,
        accounts: Mapping[str, Account],
        clock: Clock,
        venues: Venues,
        audience: Audience,
        places: Places,
        calendars: Calendars | None = None,
        hot: HotMemory | None = None,
        *,
        retention: Retention | None = None,
    ) -> None:
        """Start empty; series can be planned, and are collected once `start` was called."""
        self._registry = registry
        self._accounts = accounts
        self._clock = clock
        self._venues = venues
        self._audience = audience
        self._calendars = calendars
        self._hot = hot
        self._retention = retention or Retention()
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._places = places
        self._borrowed: dict[Series, int] = {}
        self._left: dict[Series, Closer] = {}

    def start(self, store: Store, writer: Writer) -> None:
        """Collect from now on: what is known of a series is in *store*, and *writer* brings more."""
        self._store, self._writer = store, writer

    # --------------------------------------------------------------------------------------- names and plans

    def canonical(self, series: str | Series) -> Series:
        """Return the name under which a series is collected, however it is spelled.

        Raises:
            UsageError: It is not a series, or the venue is not known.
            PluginError: The venue's adapter is broken.
        """
        name = checked_series(series)
        adapter = self._registry.load(name.venue)
        try:
            return attrs.evolve(name, symbol=adapter.canonical(name.symbol))
        except PluginError:
            raise
        except WickwireError:  # what the venue could not have is collected under no other name
            return name

    def candles_of(self, series: str | Series) -> Series:
        """Return the name of a candle series; raises UsageError where it carries none."""
        name = self.canonical(series)
        if isinstance(name.what, Feed):
            raise UsageError(f"{name} carries {name.what.value}, no candles; use {name.what.value}()")
        return name

    def feed_of(self, series: str | Series, feed: Feed) -> Series:
        """Return the name of a series of *feed*; raises UsageError where it is none."""
        name = self.canonical(series)
        if name.what is not feed:
            raise UsageError(f"{name} carries no {feed.value}; write {attrs.evolve(name, what=feed)}")
        return name

    def check_collected(self, names: Iterable[Series]) -> None:
        """Raise UsageError where one of *names* is not collected: who waits for it would wait for ever."""
        for name in names:
            self._venues.collecting(name)

    def plans(self) -> list[Plan]:
        """Return how all that is collected is."""
        return [plan for venue in self._venues.scopes.values() for plan in venue.plans.values()]

    def planned(self, series: Sequence[str | Series], pin: Rung | None = None) -> list[Plan]:
        """Return how *series*, spelled as they may be, would be collected beside those at hand."""
        wanted = [checked_series(one) for one in series]
        with self._places.tried():
            return [self._placed(one, pin) for one in wanted]

    def fall_back(self, series: Sequence[str | Series]) -> FallBack:
        """Say whether *series*, or all that is streamed, could be polled now; see `Collector`."""
        held = {plan.series: plan for plan in self.plans()}
        names = [self.canonical(one) for one in series] or [one for one in held if held[one].rung.streams]
        self.check_collected(names)
        rooms = {}
        for venue in dict.fromkeys(plan.series.venue for plan in held.values()):
            scopes = [one for scope, one in self._venues.scopes.items() if scope.split(".")[0] == venue]
            fallen = [
                closer.plan.fall_cost.rest_per_hour
                for scope in scopes
                for closer in scope.closers.values()
                if closer.rung is Rung.POLL and closer.plan.fall_cost and closer.series not in names
            ]
            rooms[venue] = RestRoom(
                rate=scopes[0].limits.rest,
                polled_per_hour=self._places.polled_per_hour(venue) + sum(fallen),
                waiting=scopes[0].budget.rest_waiting,
                paused_s=scopes[0].budget.rest_paused_s,
            )
        return fall_back([held[name] for name in dict.fromkeys(names)], rooms)

    def _placed(
        self, series: Series, pin: Rung | None, *, past_only: bool = False, priority: bool = False
    ) -> Plan:
        """Return the plan of *series*, which takes the place that it needs."""
        adapter = self._registry.load(series.venue)
        account = self._accounts.get(series.venue, Account())
        pins = {} if pin is None else {series: pin}
        return self._places.place(series, adapter, account, pins, past_only=past_only, priority=priority)

    # ------------------------------------------------------------------------------------------- the past

    def walk(self, name: Series, rng: random.Random, priority: Priority) -> CandleWalk:
        """Return a walk through the venue's history of a candle series, which is not collected for that.

        Raises:
            UsageError: Nothing runs.
            PlanError: The venue serves no history for it.
        """
        [plan] = self.planned([name])
        support = plan.support
        if support is None or plan.rung is Rung.REFUSE or not support.rest:
            why = plan.why if plan.rung is Rung.REFUSE else "the venue serves no history for it"
            raise PlanError(f"{name}: {why}")
        venue = self._venues.of(plan.series)
        fold = None if plan.folds is None else Fold(plan.folds, support.grid)
        return CandleWalk(
            series=plan.series,
            support=support,
            history=lambda asker: SeriesHistory(venue.history, asker, fold),
            clock=self._clock,
            rng=rng,
            backoff=self._venues.backoff_of(name.venue),
            priority=priority,
            check_running=self._check_running,
        )

    def _check_running(self) -> None:
        if not self._venues.running:
            raise UsageError(self._venues.not_running)

    def walk_trades(self, name: Series, rng: random.Random) -> TradeWalk:
        """Return a walk through the past of a trades series; raises as `walk`."""
        venue = self._venues.of(name)
        return TradeWalk(
            series=name,
            ask=trade_page(venue.history, venue.adapter, venue.account),
            clock=self._clock,
            rng=rng,
            backoff=self._venues.backoff_of(name.venue),
            priority=Priority.BACKFILL,
            check_running=self._check_running,
        )

    # ---------------------------------------------------------------------------------------- come and leave

    async def add(
        self, name: Series, since_ns: int | None, pin: Rung | None, *, priority: bool | None = None
    ) -> Series:
        """Collect a series from now on, and also everything from *since_ns* on; return its name.

        Whether it goes before others is left as it is where *priority* is None.

        Raises:
            UsageError: It is collected already, by another rung than *pin*, or nothing runs.
            PlanError: It cannot be collected.
            StoreError: The store cannot be read, or does not take what was found of it before it was removed.
        """
        before = self._places.of(name)
        if before is not None and (name in self._borrowed or (pin is before.rung and not before.pinned)):
            self._replan(before, pin)
        self._borrowed.pop(name, None)
        name = await self._collect(name, since_ns, pin, priority=bool(priority))
        if priority is not None:
            self.prioritise(name, on=priority)
        return name

    def prioritise(self, name: Series, *, on: bool) -> None:
        """Serve a series before others from now on, or not any more.

        Raises:
            UsageError: It is not collected.
        """
        venue, plan = self._venues.collecting(name), self._places.of(name)
        assert plan is not None
        if plan.priority is not on:
            venue.prioritise(self._places.prioritise(name, on=on))

    def _replan(self, before: Plan, pin: Rung | None) -> None:
        """Collect by the rung that suits it, or *pin*, what is borrowed or had no pin."""
        name = before.series
        self._places.leave(name)
        plan = self._placed(name, pin, priority=before.priority)
        if plan.rung is Rung.REFUSE:
            self._places.leave(name)
            self._placed(name, before.rung, past_only=name in self._borrowed)
            raise PlanError(f"{name}: {plan.why}")
        if self._venues.closer(name) is not None:
            self._venues.of(name).replan(plan)

    async def _collect(
        self,
        series: Series,
        since_ns: int | None,
        pin: Rung | None,
        *,
        past_only: bool = False,
        priority: bool = False,
    ) -> Series:
        self._check_running()
        plan = self._placed(series, pin, past_only=past_only, priority=priority)
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
            venue = self._venues.holding(name)
            if venue is None or name not in venue.plans:
                self._places.leave(name)
            raise
        return name

    async def _start(self, plan: Plan, since_ns: int | None) -> None:
        """Collect by *plan*, unless it is collected already: then only what is missing since then counts."""
        name = plan.series
        venue = self._venues.of(name)
        kept = self._kept(name, since_ns)
        if kept is not None:
            since_ns = kept.first_ns(self._clock.now_ns())
        if name in venue.plans:
            if since_ns is not None and name in venue.closers:
                await self._reach_back(venue.closers[name], since_ns, kept)
            return
        if isinstance(name.what, Feed):
            self._audience.connect(venue.add_feed(plan))
            return
        loaded, calendar = await self._load(name), await self._calendar_of(plan)
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
            ledger = Ledger.start(name, plan.support, loaded, origin_ns)
            ledger.is_new, ledger.kept = loaded is None and since_ns is None, kept
            ledger.buckets.calendar = calendar
            if self._hot is not None:
                self._hot.begin(name)
            venue.add_candles(plan, ledger, past_ns)

    def _kept(self, name: Series, since_ns: int | None) -> Kept | None:
        """Return from when on to collect where more is asked for than is kept; the rest would go at once."""
        now_ns = self._clock.now_ns()
        before_ns = self._retention.candles_before(now_ns)
        if before_ns is None or since_ns is None or since_ns >= (kept_ns := first_kept(name, before_ns)):
            return None
        told = {"series": str(name), "since": iso(since_ns), "kept": f"{self._retention.candles}"}
        log.warning("older than what is kept is not asked for", extra=told)
        return Kept(since_ns, now_ns - kept_ns)

    async def _reach_back(self, closer: Closer, since_ns: int, kept: Kept | None) -> None:
        """Also collect from *since_ns* on, once it is known what was forgotten: else that would go, too."""
        assert self._store is not None
        loaded = await self._store.load(closer.series)
        if loaded is not None and loaded.state.forgotten is not None:
            closer.forget(loaded.state.forgotten)
        closer.reach_back(since_ns, kept)

    async def _calendar_of(self, plan: Plan) -> Calendar | None:
        """Return when a series is traded, as far as that is known; a simulated world keeps no holidays."""
        if self._calendars is None or plan.support is None:
            return None
        return await self._calendars.of(plan.support)

    def _first_open(self, plan: Plan) -> int:
        """Return the open time of the running bucket, which is the first that can be had whole."""
        assert plan.support is not None
        return Buckets(plan.series.timeframe, plan.support.grid).running(self._clock.now_ns())

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

    def remove(self, name: Series) -> None:
        """Stop collecting a series; nothing happens when it is not collected."""
        self._borrowed.pop(name, None)
        venue = self._venues.holding(name)
        if venue is None or name not in venue.plans:
            return
        closer = venue.closers.get(name)
        if self._hot is not None:
            self._hot.forget(name)
        venue.remove(name)
        self._places.leave(name)
        assert self._writer is not None
        holds = self._writer.holds
        self._left = {series: left for series, left in self._left.items() if holds(left)}
        if closer is not None and holds(closer):
            self._left[name] = closer

    @asynccontextmanager
    async def borrowing(self, name: Series, since_ns: int) -> AsyncIterator[None]:
        """Collect a series for as long as the block runs, by history alone, unless it is collected anyway.

        Raises:
            PlanError: The venue serves no history for it and it is not collected, or it cannot be.
            StoreError: As `add` does.
        """
        venue = self._venues.holding(name)
        past_only = venue is None or name not in venue.plans or name in self._borrowed
        if past_only:
            [plan] = self.planned([name])
            if plan.support is not None and plan.rung is not Rung.REFUSE and not plan.support.rest:
                raise PlanError(f"{name}: the venue serves no history for it, and it is not collected")
            self._borrowed[name] = self._borrowed.get(name, 0) + 1
        try:
            await self._collect(name, since_ns, None, past_only=past_only)
            yield
        finally:
            users = self._borrowed.get(name)
            if users == 1:
                self.remove(name)
            elif users is not None:
                self._borrowed[name] = users - 1
