"""How a history ended: nothing lacks, the venue has no more of it, or some of it could not be read."""

from __future__ import annotations

import asyncio

import pytest

from tests.framework.blocking_stage import KRAKEN, PAST_NS, PATIENCE_S, YAHOO_HOURS, quick, simulated
from tests.framework.scripted import MINUTE_NS, SERIES
from tests.framework.test_collector import World, play
from wickwire import DAY_NS, HOUR_NS, BlockingCollector, Collector, Hole, HoleKind, Retention, UsageError
from wickwire.simulate.loops import VIRTUAL_START_NS


def test_nothing_lacks_where_the_venue_tells_of_all_of_it() -> None:
    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 + minute for minute in range(1, 700) if minute % 7}
        since_ns, until_ns = (first - 699) * MINUTE_NS, (first - 10) * MINUTE_NS
        pages = collector.history(SERIES, since_ns, until_ns)
        before = pages.holes

        assert await anext(pages)
        assert (None, ()) == (before, pages.holes)
        async for _ in pages:
            pass

        assert ((), since_ns, until_ns) == (pages.holes, pages.since_ns, pages.until_ns)

    play(test)


def test_the_running_bucket_is_told_of_by_nobody() -> None:
    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 10)}
        pages = collector.history(SERIES, (first - 9) * MINUTE_NS)
        assert 9 == sum([len(page) async for page in pages])
        assert ((), first * MINUTE_NS) == (pages.holes, pages.until_ns)

    play(test)


def test_what_the_venue_has_no_more_is_unreachable() -> None:
    """Kraken serves the newest 720 rows alone."""
    since_ns, until_ns = VIRTUAL_START_NS - 20 * HOUR_NS, VIRTUAL_START_NS - HOUR_NS
    with BlockingCollector(simulated(), loop_factory=quick, timeout=PATIENCE_S) as collector:
        pages = collector.history(KRAKEN, since_ns, until_ns)
        candles = [candle for page in pages for candle in page]

        assert pages.holes is not None
        [hole] = pages.holes
        assert (since_ns, HoleKind.UNREACHABLE) == (hole.since_ns, hole.kind)
        assert candles[0].open_ns == hole.until_ns
        assert (since_ns, until_ns) == (pages.since_ns, pages.until_ns)

        whole = collector.history(YAHOO_HOURS, PAST_NS, PAST_NS + 3 * HOUR_NS)
        assert 3 == sum(len(page) for page in whole)
        assert ((), PAST_NS, PAST_NS + 3 * HOUR_NS) == (whole.holes, whole.since_ns, whole.until_ns)


def test_what_could_not_be_read_is_missing() -> None:
    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 10)}
        world.truth[first - 5] = -1  # a row that breaks the laws of candles
        pages = collector.history(SERIES, (first - 9) * MINUTE_NS, first * MINUTE_NS)
        async with asyncio.timeout(3600):
            candles = [candle async for page in pages for candle in page]
        lacking = (first - 5) * MINUTE_NS
        assert [Hole(lacking, lacking + MINUTE_NS, HoleKind.MISSING)] == list(pages.holes or ())
        assert 8 == len(candles)

    play(test)


def test_what_is_not_kept_is_not_told_of() -> None:
    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 10)}
        pages = collector.history(SERIES, (first - 10 * 1_440) * MINUTE_NS, first * MINUTE_NS)
        assert 9 == sum([len(page) async for page in pages])
        assert () == pages.holes
        assert first * MINUTE_NS - pages.since_ns <= 3 * DAY_NS

    play(test, retention=Retention(candles="2d"))


def test_nothing_to_tell_of_is_an_end_too() -> None:
    async def test(world: World, collector: Collector) -> None:
        pages = collector.history(
            SERIES, (world.first_minute - 9) * MINUTE_NS, world.first_minute * MINUTE_NS
        )
        assert [] == [page async for page in pages]
        assert () == pages.holes

    play(test)


def test_who_stops_it_is_told_so_and_not_how_it_ended() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.down = True
        pages = collector.history(SERIES, (world.first_minute - 9) * MINUTE_NS)

        async def read() -> None:
            with pytest.raises(UsageError, match="before its history was there"):
                await anext(pages)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            await asyncio.sleep(1)
            await collector.stop()
        assert pages.holes is None

    play(test)
