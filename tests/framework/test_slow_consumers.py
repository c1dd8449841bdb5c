"""One slow, one stuck, one quick consumer beside a flood: nobody waits for anybody, and little is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import attrs

from tests.framework.scripted import Scripted
from tests.framework.test_collector import World, play
from wickwire import ConsumerHealth, ConsumerLoses, Policy, SeriesCandle, SeriesTrade
from wickwire.collector import Collector
from wickwire.fanout import FeedReader, Reader

ONE = "scripted:BTC/USD@1m"
TRADES = "scripted:BTC/USD@trades"
A_SECOND = 50
MINUTES = 6
BOUND = 64


@attrs.define
class Seen:
    """What the quick ones got, and when, in the loop's time."""

    trades: list[tuple[str, float]] = attrs.field(factory=list)
    candles: list[tuple[int, float]] = attrs.field(factory=list)
    said: dict[str, float] = attrs.field(factory=dict)
    most: int = 0
    consumers: Sequence[ConsumerHealth] = ()
    losses: list[ConsumerLoses] = attrs.field(factory=list)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def flood(crowd: Callable[[Collector, asyncio.TaskGroup], list[Reader[SeriesTrade]]]) -> Seen:
    """Let trades and candles come for some minutes, read by the quick ones and by *crowd*."""
    seen = Seen()

    async def quick(trades: FeedReader[SeriesTrade]) -> None:
        async for trade in trades:
            seen.trades.append((trade.id, now_s()))

    def candle(one: SeriesCandle) -> None:
        seen.candles.append((one.open_ns, now_s()))

    def loss(one: object) -> None:
        if isinstance(one, ConsumerLoses):
            seen.losses.append(one)

    async def test(world: World, collector: Collector) -> None:
        await collector.add(ONE)
        await collector.add(TRADES)
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "BTC/USD@trades"]})
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(quick(collector.trades(name="quick")))
            collector.on_candle(candle, bound=BOUND, name="quick candles")
            collector.on_event(loss)
            readers = crowd(collector, tasks)
            for second in range(MINUTES * 60):
                for number in range(A_SECOND):
                    name = f"{second * A_SECOND + number}"
                    seen.said[name] = now_s()
                    world.stream.say({"trade": ["BTC/USD", name, "1"]})
                    world.trade(100 + number)
                await asyncio.sleep(1)
                seen.most = max([seen.most, *(one.waiting for one in collector.health().consumers)])
            seen.consumers = collector.health().consumers
            for one in readers:
                one.stop()
            reading.cancel()

    play(test, World(plugin=Scripted(endpoint={"silence_limit_s": 1_000.0})))
    return seen


def crowd(collector: Collector, tasks: asyncio.TaskGroup) -> list[Reader[SeriesTrade]]:
    """One that takes a second for each, one that never comes back, one that never begins."""
    slow = collector.trades(bound=BOUND, name="slow")
    latest = collector.trades(policy=Policy.CONFLATE, bound=BOUND, name="latest")
    stuck = collector.trades(bound=BOUND, name="stuck")

    async def read(trades: FeedReader[SeriesTrade], pause_s: float) -> None:
        async for _ in trades:
            await asyncio.sleep(pause_s)

    async def hang(_: SeriesCandle) -> None:
        await asyncio.Event().wait()

    tasks.create_task(read(slow, 1.0))
    tasks.create_task(read(latest, 1.0))
    for policy in Policy:
        collector.on_candle(hang, policy=policy, bound=2, name=f"hangs: {policy}")
    return [slow, latest, stuck]


def test_who_is_quick_gets_everything_when_it_comes_whoever_is_slow_beside_it() -> None:
    alone, beside = flood(lambda *_: []), flood(crowd)

    assert MINUTES * 60 * A_SECOND == len(beside.trades)
    assert {at_s - beside.said[name] for name, at_s in beside.trades} == {0.0}
    assert MINUTES - 1 <= len(beside.candles)
    assert (alone.trades, alone.candles) == (beside.trades, beside.candles)

    assert beside.most <= BOUND
    by_name = {one.name: one for one in beside.consumers}
    assert (0, 0) == (by_name["quick"].dropped, by_name["quick"].waiting)
    assert BOUND == by_name["stuck"].waiting
    assert by_name["slow"].waiting in {BOUND - 1, BOUND}, "it may have taken one this very moment"
    total, taken = MINUTES * 60 * A_SECOND, MINUTES * 60
    assert total - BOUND == by_name["stuck"].dropped
    assert abs(total - BOUND - taken - by_name["slow"].dropped) <= 2
    assert by_name["latest"].dropped == 0
    assert abs(total - taken - by_name["latest"].conflated) <= 2
    assert by_name["hangs: drop_oldest"].dropped > 0
    assert by_name["hangs: conflate"].conflated > 0
    assert by_name["hangs: spill"].spilled == 1
    taken = 1  # it hangs in the first
    for policy in (Policy.SPILL, Policy.WAIT):
        told = by_name[f"hangs: {policy}"]
        assert (len(beside.candles) - taken, True) == (told.waiting, told.unread > 0), policy
        assert MINUTES - 3 <= (told.behind_s or 0) / 60 <= MINUTES
    assert (0, None) == (by_name["quick candles"].waiting, by_name["quick candles"].behind_s)
    assert {"slow", "stuck", "hangs: drop_oldest"} == {one.consumer for one in beside.losses}
    assert 3 == len(beside.losses), "once each: they never caught up"
