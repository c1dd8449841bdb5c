"""Walking through the past: oldest first, the venue's own pages, nothing kept, and the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from tests.simulation.world import World, simulate
from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    PastCandles,
    PastTrades,
    PlanError,
    Series,
    SeriesCandle,
    UsageError,
    VenueError,
)
from wickwire.simulate.loops import running_clock

STREAMED = ("kraken:BTC/USD@5m", "coinbase:BTC/USD@5m", "yahoo:BTC/USD@5m")
"""So that there are venues; what is walked through is another series."""


def walking(play: Callable[[World], Awaitable[None]]) -> None:
    simulate(play, *STREAMED)


async def walked(world: World, series: str, since_ns: int, until_ns: int | None = None) -> list[PastCandles]:
    return [page async for page in world.collector.walk(series, since_ns, until_ns)]


def closed(pages: list[PastCandles]) -> list[SeriesCandle]:
    return [row for page in pages for row in page.candles]


@pytest.mark.parametrize(
    "series", ["kraken:ETH/USD@1m", "coinbase:ETH/USD@1m", "yahoo:ETH/USD@1m", "coinbase:ETH/USD@3m"]
)
def test_a_walk_is_the_truth_up_to_the_forming_candle(series: str) -> None:
    """Of more than one page of the venue, each closed candle once, in order, and none that may change yet."""

    async def play(world: World) -> None:
        await asyncio.sleep(20)
        since_ns = running_clock().now_ns() - 11 * HOUR_NS - 17
        pages = await walked(world, series, since_ns)

        rows = closed(pages)
        timeframe = Series.parse(series).timeframe
        over_ns = running_clock().now_ns() - 10 * 10**9  # what is younger may not have settled
        truth = [row for row in world.truth(series, since_ns, over_ns) if row.close_ns <= over_ns]
        assert [row.open_ns for row in truth] == [row.open_ns for row in rows]
        assert all(one.same_values(other) for one, other in zip(truth, rows, strict=True))
        assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
        assert all(one.until_ns == other.since_ns for one, other in pairwise(pages))
        assert pages[-1].forming is not None
        assert pages[-1].forming.open_ns == rows[-1].close_ns
        assert running_clock().now_ns() - rows[-1].close_ns < timeframe.nominal_ns
        assert await world.collector.latest(series) is None
        assert series not in {str(each.series) for each in world.collector.health().series}

    walking(play)


def test_a_walk_ends_where_it_is_told_to() -> None:
    async def play(world: World) -> None:
        day_ns = running_clock().now_ns() // DAY_NS * DAY_NS
        since_ns, until_ns = day_ns + HOUR_NS, day_ns + 2 * HOUR_NS
        pages = await walked(world, "coinbase:ETH/USD@1m", since_ns, until_ns)

        truth = world.truth("coinbase:ETH/USD@1m", since_ns, until_ns)
        assert [row.open_ns for row in truth] == [row.open_ns for row in closed(pages)]
        assert pages[-1].forming is None

    walking(play)


def test_what_history_does_not_reach_is_told_and_not_asked_for() -> None:
    """Kraken serves the last 720 buckets, whatever is asked for."""

    async def play(world: World) -> None:
        before = world.transport.requested
        pages = await walked(world, "kraken:ETH/USD@1m", running_clock().now_ns() - 20 * HOUR_NS)

        assert 690 <= len(closed(pages)) <= 721  # minutes without a trade have no candle
        assert pages[0].since_ns > running_clock().now_ns() - 13 * HOUR_NS
        assert world.transport.requested - before <= 3

    walking(play)


def test_a_walk_waits_for_a_venue_that_is_away_and_goes_on() -> None:
    async def play(world: World) -> None:
        server = world.servers["coinbase"]
        since_ns = running_clock().now_ns() - 3 * HOUR_NS
        server.inject("rest_error", status=503)
        async with asyncio.TaskGroup() as tasks:
            walk = tasks.create_task(walked(world, "coinbase:ETH/USD@1m", since_ns))
            await asyncio.sleep(600)
            assert not walk.done()
            server.inject("rest_error", on=False)
        truth = world.truth("coinbase:ETH/USD@1m", since_ns, running_clock().now_ns() - 5 * MINUTE_NS)
        known = {row.open_ns for row in closed(walk.result())}
        assert {row.open_ns for row in truth} <= known

    walking(play)


def test_a_walk_through_an_unknown_symbol_says_so() -> None:
    async def play(world: World) -> None:
        with pytest.raises((VenueError, PlanError)):
            await walked(world, "kraken:NOSUCH/USD@1m", running_clock().now_ns() - HOUR_NS)
        with pytest.raises(UsageError, match="carries trades"):
            await walked(world, "kraken:BTC/USD@trades", 0)

    walking(play)


@pytest.mark.parametrize("venue", ["kraken", "coinbase"])
def test_trades_of_the_past_are_those_of_the_market(venue: str) -> None:
    async def play(world: World) -> None:
        now_ns = running_clock().now_ns()
        since_ns, until_ns = now_ns - 3 * HOUR_NS, now_ns - HOUR_NS
        pages: list[PastTrades] = [
            page async for page in world.collector.walk_trades(f"{venue}:BTC/USD@trades", since_ns, until_ns)
        ]

        truth = world.market.trades("BTC/USD", since_ns, until_ns)
        rows = [trade for page in pages for trade in page.trades]
        assert [(one.price, one.size) for one in truth] == [(one.price, one.size) for one in rows]
        assert len({one.id for one in rows}) == len(rows)
        assert pages[-1].last

    walking(play)


def test_a_venue_without_trades_of_the_past_says_so() -> None:
    async def play(world: World) -> None:
        with pytest.raises(PlanError, match="yahoo serves no trades of the past"):
            await anext(world.collector.walk_trades("yahoo:BTC/USD@trades", 0))

    walking(play)


def test_walks_that_wait_long_for_their_turn_come_to_an_end() -> None:
    """Kraken takes a request a second: while a hundred wait, minutes pass between two pages of one."""

    async def play(world: World) -> None:
        since_ns = running_clock().now_ns() - HOUR_NS
        before = world.transport.requested
        walks = await asyncio.gather(*(walked(world, "kraken:ETH/USD@1m", since_ns) for _ in range(100)))

        assert all(pages[-1].last for pages in walks)
        assert world.transport.requested - before < 3 * 100 + 50

    walking(play)
