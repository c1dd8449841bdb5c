"""Who has which place of what a venue allows, while series come and go."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import Limits, OhlcvSupport, PlanError, Rate, UsageError, hookimpl, parse_instant
from wickwire.collector import Collector
from wickwire.instants import instant_of
from wickwire.memory_store import MemoryStore
from wickwire.model import Rung
from wickwire.simulate.loops import run_virtual

ONE_PLACE = Limits(connections=1, topics_per_connection=1)
A, B, C = (f"scripted:{symbol}/USD@1m" for symbol in "ABC")


def routes(collector: Collector) -> dict[str, Rung]:
    return {str(series.series): series.rung for series in collector.health().series}


def test_a_place_that_is_given_back_goes_to_who_comes_next_and_nobody_moves() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(A)
        await collector.add(B)
        assert {A: Rung.STREAM, B: Rung.POLL} == routes(collector)
        await collector.remove(A)
        await collector.add(C)
        assert {B: Rung.POLL, C: Rung.STREAM} == routes(collector)
        await asyncio.sleep(1)
        assert [["C/USD@1m"]] == world.stream.asked

    play(test, World(plugin=Scripted(limits=ONE_PLACE)))


def test_asking_for_a_plan_takes_no_place() -> None:
    async def test(_: World, collector: Collector) -> None:
        assert [Rung.STREAM, Rung.POLL] == [plan.rung for plan in collector.plan(A, B)]
        await collector.add(C)
        assert [Rung.POLL, Rung.STREAM] == [plan.rung for plan in collector.plan(A, C)]

    play(test, World(plugin=Scripted(limits=ONE_PLACE)))


def test_a_series_that_is_refused_takes_no_place() -> None:
    async def test(_: World, collector: Collector) -> None:
        await collector.add(A)
        with pytest.raises(PlanError, match="no place is left"):
            await collector.add(B)
        await collector.remove(A)
        await collector.add(B)

    play(test, World(plugin=Scripted(limits=ONE_PLACE, rest=False)))


class Counting(Scripted):
    """Counts how often it is asked what it supports."""

    __hash__ = object.__hash__
    asked = 0

    @hookimpl
    def supports_ohlcv(self) -> OhlcvSupport:
        self.asked += 1
        return Scripted.supports_ohlcv(self)


def test_adding_a_series_asks_the_adapter_about_that_one_alone() -> None:
    plugin = Counting()

    async def test(_: World, collector: Collector) -> None:
        costs = []
        for number in range(20):
            before = plugin.asked
            await collector.add(f"scripted:S{number}/USD@1m")
            costs.append(plugin.asked - before)
        assert 1 == len({*costs}), "the twentieth costs what the first did"

    play(test, World(plugin=plugin))


# ------------------------------------------------------------------------------------- a route of one's own


def test_a_route_that_there_is_not_is_refused_with_what_is_close() -> None:
    async def test(_: World, collector: Collector) -> None:
        with pytest.raises(UsageError, match=r"stream, .*poll, .* got 'polll' \(did you mean 'poll'\?\)"):
            await collector.add(A, route="polll")
        with pytest.raises(UsageError, match="did you mean 'stream'"):
            collector.plan(A, route="steam")

    play(test)


def test_a_series_that_is_collected_changes_its_route_for_nobody() -> None:
    async def test(_: World, collector: Collector) -> None:
        await collector.add(A)
        with pytest.raises(UsageError, match=f"{A} is collected already, by stream; remove it first"):
            await collector.add(A, route="poll")
        assert {A: Rung.STREAM} == routes(collector)
        await collector.add(A, route="stream")
        [plan] = collector.plan()
        assert plan.pinned
        assert plan.falls_to is None

    play(test)


# ------------------------------------------------------------------------------------- history in passing


def test_history_of_a_series_that_is_not_collected_opens_no_stream() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.truth |= {world.minute - ago: ago for ago in range(1, 11)}
        since_ns = (world.minute - 10) * MINUTE_NS
        sizes = [len(page) async for page in collector.history(SERIES, since_ns)]
        assert [10] == sizes
        await asyncio.sleep(1)
        assert [] == world.transport.streams

    play(test)


def test_who_adds_a_series_while_its_history_is_read_gets_the_stream() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.truth |= {world.minute - ago: ago for ago in range(1, 11)}
        async for _ in collector.history(SERIES, (world.minute - 10) * MINUTE_NS):
            await collector.add(SERIES)
        assert {str(SERIES): Rung.STREAM} == routes(collector)
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.trade(101)
        await asyncio.sleep(0.1)
        newest = (await world.stored())[-1]
        assert (100, Rung.STREAM) == (int(newest.close), newest.route)

    play(test)


def test_who_adds_a_series_while_its_history_is_fetched_gets_the_stream_and_the_history() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.truth |= {world.minute - ago: ago for ago in range(1, 11)}
        world.down = True
        pages: list[int] = []

        async def read() -> None:
            since_ns = (world.minute - 10) * MINUTE_NS
            pages.extend([len(page) async for page in collector.history(SERIES, since_ns)])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            await asyncio.sleep(0.1)
            await collector.add(SERIES)
            world.down = False
        assert [10] == pages
        assert {str(SERIES): Rung.STREAM} == routes(collector)

    play(test)


# ------------------------------------------------------------------------------------- instants, and the end


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (1_700_000_000, "multiply seconds by SECOND_NS"),
        (1_700_000_000_000, "nanoseconds are 1970-01-01T00:28:20Z"),
        (1.7e9, "use an aware datetime, a text such as"),
        (True, "not an instant: True"),
        (None, "not an instant: None"),
        (2**63, "out of range"),
        (dt.datetime(2026, 11, 21), "has no time zone"),  # noqa: DTZ001 - the mistake
        (dt.datetime(9999, 1, 1, tzinfo=dt.UTC), "out of range"),
        ("yesterday", "not an instant"),
    ],
)
def test_what_is_no_instant_is_refused_and_nothing_is_collected(since: object, words: str) -> None:
    async def test(_: World, collector: Collector) -> None:
        with pytest.raises(UsageError, match=words):
            await anext(collector.history(SERIES, since))  # type: ignore[arg-type]  # the mistake
        if since is not None:
            with pytest.raises(UsageError, match=words):
                await collector.add(SERIES, since=since)  # type: ignore[arg-type]  # the mistake
        assert [] == collector.plan()

    play(test)


def test_a_datetime_of_any_offset_is_an_instant() -> None:
    zone = dt.timezone(dt.timedelta(hours=-3, minutes=-6, seconds=-28))
    moment = dt.datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=zone)

    assert instant_of(moment, 0) == parse_instant("2026-11-21T15:06:28.000001Z")


def test_an_instant_may_be_how_long_ago_where_the_present_is_known() -> None:
    now_ns = parse_instant("2026-11-21T15:00:00Z")

    assert instant_of("1.5h", now_ns, ago=True) == parse_instant("2026-11-21T13:30:00Z")
    with pytest.raises(UsageError, match="not an instant: '12h'"):
        instant_of("12h", now_ns)


def test_after_the_end_iterators_end_and_nothing_more_can_be_asked() -> None:
    world = World()

    async def main() -> None:
        store = MemoryStore()
        world.store = store  # one that is closed with its collector
        async with world.collector() as collector:
            await collector.add(SERIES)
            candles, trades = collector.candles(), collector.trades()
        assert [] == [candle async for candle in candles]
        assert [] == [trade async for trade in trades]
        for late in (
            collector.candles,
            collector.trades,
            collector.quotes,
            lambda: collector.on_candle(print),
            lambda: collector.history(SERIES, 0),
        ):
            with pytest.raises(UsageError, match="not running"):
                late()
        for again in (collector.add(SERIES), collector.latest(SERIES)):
            with pytest.raises(UsageError, match="not running"):
                await again

    run_virtual(main())


def test_history_in_passing_takes_no_place_of_those_who_are_polled() -> None:
    """Who asks for the past alone asks when there is room; it needs none every minute."""

    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 11)}
        await collector.add(A)
        with pytest.raises(PlanError, match="REST calls an hour that are allowed are taken"):
            await collector.add(SERIES, route="poll")
        async with collector.past(SERIES, (first - 10) * MINUTE_NS) as closer:
            await collector.history_is_whole(SERIES)
            assert 10 == closer.ledger.closed_count
            with pytest.raises(PlanError, match="REST calls an hour that are allowed are taken"):
                await collector.add(SERIES, route="poll")
        assert {A: Rung.POLL} == routes(collector)

    play(test, World(plugin=Scripted(stream=False, limits=Limits(rest=Rate(60, 3_600.0, burst=10)))))
