"""Running candles are followed: each state once, of one series or of all, until the collector ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.framework.blocking_stage import KRAKEN, PATIENCE_S, quick
from tests.framework.blocking_stage import simulated as in_a_thread
from tests.framework.scripted import MINUTE_NS, SERIES
from tests.framework.test_bad_input import simulated
from tests.framework.test_cancelling import HOURS, MINUTES, OTHERS, TRADES
from tests.framework.test_collector import World, accepted, play
from tests.framework.virtual import virtual
from wickwire import BlockingCollector, CandleState, Collector, SeriesCandle, UsageError


def test_each_state_of_a_candle_is_told_once() -> None:
    async def test(world: World, collector: Collector) -> None:
        told: list[SeriesCandle] = []

        async def follow() -> None:
            async for candle in collector.forming(SERIES, every_s=0.5):
                told.append(candle)  # noqa: PERF401 - it has no end

        await collector.add(SERIES)
        await accepted(world)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follow())
            for close in (100, 101, 101, 99):
                world.trade(close)
                await asyncio.sleep(2)
            for close in (97, 98):  # between two looks
                world.trade(close)
            await asyncio.sleep(2)
            await world.next_minute(1)
            world.trade(98)
            await asyncio.sleep(2)
            await collector.stop()

        first = world.first_minute
        closes = [(first, 100), (first, 101), (first, 99), (first, 98), (first + 1, 98)]
        assert closes == [(one.open_ns // MINUTE_NS, int(one.close)) for one in told]
        assert {(SERIES, CandleState.FORMING, 0, False)} == {
            (one.series, one.state, one.seq, one.closed) for one in told
        }

    play(test)


@virtual
async def test_all_are_followed_also_those_that_are_added_later_until_the_end() -> None:
    async with simulated() as collector:
        everything, one = collector.forming(), None
        await collector.add(MINUTES)
        await collector.settled(MINUTES)
        seen = set()
        async with asyncio.timeout(600):
            async for one in everything:
                seen.add(str(one.series))
                if seen == {MINUTES}:
                    await collector.add(OTHERS)
                    await collector.add(HOURS, priority=True)
                if seen == {MINUTES, OTHERS, HOURS}:
                    break
        assert one is not None
        only = collector.forming(OTHERS)
        assert OTHERS == str((await anext(only)).series)
        newest = await collector.latest(OTHERS)
        assert isinstance(newest, SeriesCandle)
        await collector.stop()
        assert [] == [candle async for candle in only]


@virtual
async def test_what_cannot_be_followed_is_refused_at_once() -> None:
    async with simulated() as collector:
        await collector.add(TRADES)
        with pytest.raises(UsageError, match="is not collected here; add it first"):
            collector.forming(MINUTES)
        with pytest.raises(UsageError, match="carries trades, no candles"):
            collector.forming(TRADES)
        for wrong in (0, -1.0, float("nan"), float("inf"), True, "1s"):
            every_s: Any = wrong
            with pytest.raises(UsageError, match="every_s has to be a number of seconds above 0, got"):
                collector.forming(every_s=every_s)


def test_a_thread_follows_too() -> None:
    with BlockingCollector(in_a_thread(), loop_factory=quick, timeout=PATIENCE_S) as collector:
        collector.add(KRAKEN)
        with collector.forming(KRAKEN) as running:
            first, second = next(running), next(running)
        assert CandleState.FORMING is first.state
        assert (first.open_ns, first.close, first.volume) != (second.open_ns, second.close, second.volume)
