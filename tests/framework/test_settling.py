"""A host waits until what it added is collected, or refused, and learns why."""

from __future__ import annotations

import asyncio

import pytest

from tests.framework.blocking_stage import KRAKEN, PATIENCE_S, quick
from tests.framework.blocking_stage import simulated as in_a_thread
from tests.framework.test_cancelling import HOURS, MINUTES, OTHERS, TRADES, servers
from tests.framework.virtual import virtual
from wickwire import BlockingCollector, Collector, Condition, Rung, UsageError
from wickwire.simulate import VenueServer
from wickwire.simulate.loops import running_clock
from wickwire.simulate.memory import MemoryTransport

UNKNOWN = "kraken:NONE/USD@1m"


def simulated() -> tuple[Collector, dict[str, VenueServer]]:
    clock, venues = running_clock(), servers()
    transport = MemoryTransport(list(venues.values()), clock, latency_s=0.05)
    return Collector(transport=transport, clock=clock, world="simulated"), venues


def now_s() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_each_is_told_once_all_are_collected_or_refused() -> None:
    collector, _ = simulated()
    async with collector:
        for name in (MINUTES, HOURS, TRADES, UNKNOWN):
            await collector.add(name)

        streamed, polled, trades, unknown = await collector.settled(MINUTES, HOURS, TRADES, UNKNOWN)

        assert streamed.condition in {Condition.LIVE, Condition.QUIET}
        assert Condition.POLLED is polled.condition
        assert Condition.LIVE is trades.condition
        assert (Condition.REFUSED, UNKNOWN) == (unknown.condition, str(unknown.series))
        assert "NONE/USD" in unknown.trouble
        names = [str(one.series) for one in await collector.settled()]
        assert sorted([MINUTES, HOURS, TRADES, UNKNOWN]) == sorted(names)
        before_s = now_s()
        await collector.settled(MINUTES)
        assert before_s == now_s(), "it was settled already"


@virtual
async def test_it_waits_for_a_venue_that_is_away_and_the_caller_says_for_how_long() -> None:
    collector, venues = simulated()
    async with collector:
        venues["kraken"].inject("refuse_connections")
        venues["kraken"].inject("html_520")
        await collector.add(MINUTES)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await collector.settled(MINUTES)
        [one] = collector.health().series
        assert Condition.STALE is one.condition
        assert "503" in one.trouble or "520" in one.trouble

        for fault in ("refuse_connections", "html_520"):
            venues["kraken"].inject(fault, on=False)
        [one] = await collector.settled(MINUTES)
        assert one.condition in {Condition.LIVE, Condition.QUIET, Condition.POLLED}


@virtual
async def test_a_stream_that_is_refused_settles_nothing_where_history_has_the_same() -> None:
    collector, venues = simulated()
    async with collector:
        venues["kraken"].inject("refuse", symbol="BTC/USD", text="not for you")
        for name in (MINUTES, TRADES):
            await collector.add(name)

        minutes, trades = await collector.settled(MINUTES, TRADES)

        assert (Condition.POLLED, Rung.POLL) == (minutes.condition, minutes.rung)
        assert Condition.REFUSED is trades.condition
        assert "not for you" in trades.trouble


@virtual
async def test_nobody_waits_for_what_is_not_collected() -> None:
    collector, venues = simulated()
    async with collector:
        venues["kraken"].inject("refuse_connections")
        venues["kraken"].inject("html_520")
        assert [] == list(await collector.settled())
        with pytest.raises(UsageError, match="kraken:BTC/USD@1m is not collected here; add it first"):
            await collector.settled(MINUTES)

        await collector.add(MINUTES)
        await collector.add(OTHERS)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(ended(collector, name)) for name in (MINUTES, OTHERS)]
            await asyncio.sleep(1)
            await collector.remove(MINUTES)
            await asyncio.sleep(1)
            assert [True, False] == [one.done() for one in waiting]
            await collector.stop()


async def ended(collector: Collector, name: str) -> None:
    with pytest.raises(UsageError, match=r"not collected here|not running|stopped"):
        await collector.settled(name)


def test_a_thread_waits_too() -> None:
    with BlockingCollector(in_a_thread(), loop_factory=quick, timeout=PATIENCE_S) as collector:
        collector.add(KRAKEN)
        collector.add(UNKNOWN)

        minutes, unknown = collector.settled(KRAKEN, UNKNOWN)

        assert minutes.condition in {Condition.LIVE, Condition.QUIET}
        assert Condition.REFUSED is unknown.condition
        with pytest.raises(UsageError, match="not collected here"):
            collector.settled("kraken:ETH/USD@1m")
