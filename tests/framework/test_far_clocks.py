"""A clock that is hours or years off when a series is added, or when a process starts: nothing is lost by it.

It is what machines without a battery come up with, until somebody tells them the time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import World
from wickwire import Change, Conversation, OhlcvQuery, Page, SeriesState, Stopped, hookimpl
from wickwire.budget import Place, Priority
from wickwire.closer import Closer
from wickwire.collector import Collector
from wickwire.history import FetchedPage
from wickwire.instants import DAY_NS, HOUR_NS
from wickwire.ledger import Want
from wickwire.registry import Registry
from wickwire.retention import Retention
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock

YEAR_NS = 365 * DAY_NS
KEPT_NS = 30 * MINUTE_NS


@attrs.define
class SetClock:
    """The clock of a machine, which somebody may set."""

    off_ns: int

    def now_ns(self) -> int:
        return running_clock().now_ns() + self.off_ns


@attrs.define(eq=False)
class Market(World):
    """A venue on which something is traded every twenty seconds, and a client whose clock may be off."""

    clock: SetClock = attrs.field(factory=lambda: SetClock(0))

    def __attrs_post_init__(self) -> None:
        World.__attrs_post_init__(self)
        self.transport.greet = lambda stream: stream.say({"accepted": ["BTC/USD@1m"]})

    def collector(self, **more: Any) -> Collector:
        self.first_minute = self.minute
        return Collector(
            self.store,
            registry=Registry(adapters={"scripted": self.plugin}),
            transport=self.transport,
            clock=self.clock,
            rng=random.Random(1),
            **more,
        )

    async def minutes(self, count: int) -> None:
        """Let trades come for so long."""
        for number in range(3 * count):
            self.trade(number % 1_000, streamed=bool(self.transport.streams))
            await asyncio.sleep(20)

    async def holds_all_since(self, minute: int) -> None:
        """Say that all that ended is stored, and that no time before is claimed, or after the present."""
        over = {each: close for each, close in self.truth.items() if minute <= each < self.minute - 1}
        stored = {one.open_ns // MINUTE_NS: int(one.close) for one in await self.stored()}
        assert over.items() <= stored.items()
        [state] = await self.store.states()
        assert minute * MINUTE_NS == state.origin_ns
        assert state.frontier_ns <= running_clock().now_ns()
        assert () == state.holes


def play(market: Market, test: Callable[[Collector], Awaitable[None]], *, after_s: float = 10) -> None:
    """Collect from *market* on virtual time for as long as *test* runs; not begun at the turn of a minute."""

    async def main() -> None:
        await asyncio.sleep(after_s)
        async with market.collector() as collector:
            await collector.add(SERIES)
            await test(collector)

    run_virtual(main())


@pytest.mark.parametrize("off_ns", [HOUR_NS, YEAR_NS, -HOUR_NS, -YEAR_NS])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "polled"])
def test_a_series_that_nobody_knew_begins_when_it_was_added_by_the_venues_clock(
    off_ns: int, *, stream: bool
) -> None:
    async def test(_: Collector) -> None:
        await market.minutes(8)
        await market.holds_all_since(market.first_minute)
        assert len(market.transport.requests) < 20

    market = Market(plugin=Scripted(stream=stream), clock=SetClock(off_ns))
    play(market, test)


@pytest.mark.parametrize("off_ns", [DAY_NS, YEAR_NS])
@pytest.mark.parametrize("known", [False, True], ids=["nobody knew it", "it is collected already"])
def test_what_is_kept_counts_from_the_venues_clock_when_the_past_is_asked_for(
    off_ns: int, *, known: bool
) -> None:
    """The store holds nothing yet, so it cannot tell that our clock is ahead."""
    wanted_ns = VIRTUAL_START_NS - VIRTUAL_START_NS % DAY_NS - 2 * DAY_NS
    market = Market(clock=SetClock(off_ns))

    async def main() -> None:
        await asyncio.sleep(10)
        market.truth |= dict.fromkeys(range(wanted_ns // MINUTE_NS, market.minute), 7)
        async with market.collector(retention=Retention(candles="2d")) as collector:
            if known:
                await collector.add(SERIES)
                await market.minutes(2)
            await collector.add(SERIES, since=wanted_ns)
            await market.minutes(5)
            await market.holds_all_since(wanted_ns // MINUTE_NS)

    run_virtual(main())


@pytest.mark.parametrize("off_ns", [0, YEAR_NS])
def test_what_just_ended_goes_before_the_past_however_far_ahead_our_clock_is(
    off_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Priority] = []

    async def fetch(closer: Closer, want: Want, priority: Priority, place: Place | None) -> FetchedPage:
        asked.append(priority)
        return await real(closer, want, priority, place)

    async def main() -> None:
        await asyncio.sleep(10)
        market.truth |= {market.minute - ago: 7 for ago in range(1, 10)}
        async with market.collector() as collector:
            await collector.add(SERIES, since=running_clock().now_ns() - 9 * MINUTE_NS)
            await market.minutes(5)

    real = Closer.fetch
    monkeypatch.setattr(Closer, "fetch", fetch)
    market = Market(plugin=Scripted(stream=False), clock=SetClock(off_ns))
    run_virtual(main())

    past, *later = asked
    assert past is Priority.BACKFILL
    assert Priority.LIVE in later
    assert Priority.BACKFILL not in later


def test_a_clock_that_is_set_right_is_gone_by_though_the_venue_told_no_time() -> None:
    async def test(_: Collector) -> None:
        market.down = True
        await market.minutes(3)
        market.clock.off_ns, market.down = 0, False
        await market.minutes(5)
        await market.holds_all_since(market.first_minute)

    market = Market(clock=SetClock(YEAR_NS))
    play(market, test)


def test_what_a_process_before_left_in_the_future_begins_now() -> None:
    """It had collected by a clock that was a year ahead, and nothing came of it."""
    ahead_ns = VIRTUAL_START_NS + YEAR_NS
    market = Market()
    left = SeriesState(series=SERIES, origin_ns=ahead_ns, frontier_ns=ahead_ns)
    run_virtual(market.store.commit([Change(state=left)]))

    async def test(_: Collector) -> None:
        await market.minutes(5)
        await market.holds_all_since(market.first_minute)

    play(market, test)


@attrs.define
class Short(Scripted):
    """A venue that keeps no more than half an hour, and an adapter that asks for no more than that."""

    __hash__ = object.__hash__

    @hookimpl
    def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
        since_ns = min(max(query.since_ns, query.now_ns - KEPT_NS), query.until_ns)
        stopped = Stopped.UNTIL if since_ns == query.since_ns else Stopped.VENUE_LIMIT
        if since_ns == query.until_ns:
            return Page(candles=(), covered=(since_ns, since_ns), stopped=stopped)
        page = yield from Scripted.fetch_ohlcv(self, attrs.evolve(query, since_ns=since_ns))
        return attrs.evolve(page, covered=(since_ns, query.until_ns), stopped=stopped)


@pytest.mark.parametrize("off_ns", [20 * MINUTE_NS, HOUR_NS, YEAR_NS])
@pytest.mark.parametrize(
    "plugin",
    [
        Short(),
        Short(stream=False),
        Scripted(support={"depth_rows": 30}),
        Scripted(stream=False, support={"depth_rows": 30}),
    ],
    ids=["cut", "cut and polled", "declared", "declared and polled"],
)
def test_a_process_that_starts_by_a_clock_that_is_ahead_gives_up_nothing(
    off_ns: int, plugin: Scripted
) -> None:
    """History that ends half an hour before the present does so by the venue's, not by ours."""

    async def before(_: Collector) -> None:
        await market.minutes(5)

    async def test(_: Collector) -> None:
        await market.minutes(5)
        await market.holds_all_since(first)

    market = Market(plugin=plugin)
    play(market, before)
    first = market.first_minute
    market.truth |= {first + number: 7 for number in range(5, 15)}
    market.clock.off_ns = off_ns
    play(market, test, after_s=900)
