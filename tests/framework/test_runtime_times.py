"""Times that cannot be true, and clocks that are wrong: they are refused, and nothing is closed by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, Scripted, brief
from tests.framework.test_collector import World, accepted, play
from wickwire import SECOND_NS, Event, Heartbeat, HttpReply, HttpRequest, Side, Trade, hookimpl
from wickwire.collector import Collector
from wickwire.simulate.loops import running_clock


@attrs.define
class Timed(Scripted):
    """A venue whose trades and heartbeats carry times."""

    __hash__ = object.__hash__

    @hookimpl
    def parse(self, frame: bytes) -> Sequence[Event]:
        said = json.loads(frame)
        if isinstance(said, dict) and "told_ns" in said:
            return [Heartbeat(said["told_ns"])]
        if isinstance(said, dict) and "traded_ns" in said:
            return [Trade("ETH/USD", "1", Decimal(1), Decimal(1), Side.BUY, said["traded_ns"])]
        return Scripted.parse(self, frame)


@attrs.define
class OffClock:
    """A clock of ours that is off."""

    off_s: int

    def now_ns(self) -> int:
        return running_clock().now_ns() + self.off_s * SECOND_NS


@pytest.mark.parametrize("rest", [True, False])
def test_a_row_of_the_future_closes_nothing_and_stops_nothing(*, rest: bool) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        first = world.minute
        for number in range(8):
            world.trade(number)
            if number == 3:
                world.stream.say({"candle": {"minute": world.minute + 120, "close": 1}})
            await asyncio.sleep(20)
            world.trade(number + 100)
            await world.next_minute()
        await asyncio.sleep(10)

        closes = [(candle.open_ns // MINUTE_NS - first, candle.close) for candle in await world.stored()]
        assert [(number, Decimal(number + 100)) for number in range(7)] == closes[:7]
        [series] = collector.health().series
        assert 1 == series.refused_rows

    play(test, World(plugin=Scripted(rest=rest)))


def test_one_wrong_time_does_not_close_what_other_topics_bring() -> None:
    """A trade of the year 58000 is no sign that the venue's clock has passed the end of the minute."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await collector.add("scripted:ETH/USD@trades")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "ETH/USD@trades"]})
        await asyncio.sleep(1)
        world.trade(100)
        world.stream.say({"traded_ns": running_clock().now_ns() * 1_000})
        await world.next_minute(2.5)
        world.stream.say({"traded_ns": world.minute * MINUTE_NS - SECOND_NS})  # the venue is late
        await asyncio.sleep(8)
        assert [] == await world.stored()
        world.stream.say({"traded_ns": world.minute * MINUTE_NS + SECOND_NS})
        await asyncio.sleep(60)
        assert ["SIBLING"] == [brief(candle)[2] for candle in await world.stored()]

    play(test, World(plugin=Timed(rest=False)))


@pytest.mark.parametrize("dated", [True, False])
def test_a_clock_that_is_ahead_closes_no_running_bucket(*, dated: bool) -> None:
    """Whether the venue's replies say what time it is or not: ours alone proves nothing."""
    asked: list[int] = []

    async def test(world: World, collector: Collector) -> None:
        world.transport.dated = dated
        world.transport.answer = answer
        first = world.minute
        await collector.add("scripted:BTC/USD@1m", since=first * MINUTE_NS)
        for _ in range(3):
            await asyncio.sleep(59)
            assert all(candle.open_ns < world.minute * MINUTE_NS for candle in await world.stored())
        await asyncio.sleep(300)
        assert len(asked) > 3
        stored = await world.stored()
        assert len(stored) > 3
        assert all(candle.close == Decimal(candle.open_ns // MINUTE_NS % 1000) for candle in stored)

    def answer(request: HttpRequest) -> HttpReply:
        """The running minute has a price of its own until it is over."""
        now_ns = running_clock().now_ns()
        asked.append(now_ns)
        since, until = (int(request.params[name]) // MINUTE_NS for name in ("since", "until"))
        told: list[Any] = [
            {"minute": minute, "close": minute % 1000 if (minute + 1) * MINUTE_NS <= now_ns else 7_777}
            for minute in range(since, min(until, now_ns // MINUTE_NS + 1))
        ]
        return HttpReply(status=200, body=json.dumps(told).encode())

    class AheadWorld(World):
        def collector(self, **more: Any) -> Collector:
            return super().collector(clock=OffClock(300), **more)

    play(test, AheadWorld(plugin=Scripted(stream=False)))


@pytest.mark.parametrize("off_s", [-3, 0])
def test_what_tells_the_time_late_makes_no_old_row_the_last_word(off_s: int) -> None:
    """Whole seconds, two of them under way: by those a bucket ended after the subscription (seed 2010)."""

    async def test(world: World, collector: Collector) -> None:
        first = world.minute
        world.transport.dated = False
        world.transport.takes_s = 52.0  # a page comes after the heartbeat that follows the subscription
        world.truth |= {first - 1: 104, first: 105}
        await collector.add("scripted:BTC/USD@1m", since=(first - 1) * MINUTE_NS)
        await asyncio.sleep(1.8)
        tell_time(world)
        await world.next_minute(1)
        world.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.8)
        tell_time(world)
        await asyncio.sleep(0.7)
        world.stream.say({"candle": {"minute": first, "close": 100}})
        await asyncio.sleep(0.5)
        world.trade(106)
        await asyncio.sleep(0.1)
        [before] = await world.stored()
        assert (first - 1, Decimal(104), "HISTORY") == brief(before), "how the next ended nobody knows"
        world.transport.takes_s = 0.0
        await world.next_minute()

        assert (first, Decimal(105), "HISTORY") == brief((await world.stored())[1])

    def tell_time(world: World) -> None:
        world.stream.say({"told_ns": (running_clock().now_ns() // SECOND_NS - 2) * SECOND_NS})

    class OffWorld(World):
        def collector(self, **more: Any) -> Collector:
            return super().collector(clock=OffClock(off_s), **more)

    play(test, OffWorld(plugin=Timed()))
