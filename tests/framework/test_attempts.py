"""How often a venue is tried that ends connections, for minutes and for hours: counted, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise

import attrs
import pytest

from tests.framework.scripted import Scripted, ScriptedStream
from tests.framework.test_collector import World, play
from wickwire import Limits, Rate, TransportError
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.retry import PRESETS, Backoff
from wickwire.simulate.loops import run_virtual, running_clock

HOUR_S = 3_600.0


@attrs.define(eq=False)
class Closing:
    """A venue that accepts every connection and ends it at once, and when it did.

    Attributes:
        code: With which close code.
        at_s: When each connection was opened, in the loop's time.
    """

    code: int
    at_s: list[float] = attrs.field(factory=list)

    def __call__(self, stream: ScriptedStream) -> None:
        self.at_s.append(asyncio.get_running_loop().time())
        stream.hang_up(self.code)

    @property
    def waits_s(self) -> Sequence[float]:
        """The times between one attempt and the next."""
        return [later - earlier for earlier, later in pairwise(self.at_s)]


def closed(code: int, lasts_s: float, backoff: Backoff | None = None) -> Closing:
    """Collect one series for *lasts_s* from a venue that ends every connection with *code*."""
    venue, world = Closing(code), World()
    world.transport.greet = venue

    async def test(_: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(lasts_s)

    play(test, world, **({} if backoff is None else {"backoff": backoff}))
    return venue


def most_within(at_s: Sequence[float], window_s: float) -> int:
    """Return the most of *at_s* that lie in any window of *window_s*."""
    return max(sum(first <= one < first + window_s for one in at_s) for first in at_s)


def test_a_policy_violation_is_tried_twice_a_minute_at_most() -> None:
    """F32: 1008 is for a person to mend."""
    venue = closed(1008, HOUR_S)

    assert 2 >= most_within(venue.at_s, 60.0)
    assert 10 <= len(venue.at_s), "it is never given up"


def test_a_server_error_is_tried_by_the_schedule() -> None:
    """F33: without a lot, half a second doubling, to the millisecond."""
    venue = closed(1011, 600.0, Backoff(jitter=0.0))

    assert [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0] == [round(each, 3) for each in venue.waits_s[:8]]


@pytest.mark.parametrize("code", [1012, 1013])
def test_a_restart_and_a_try_later_wait_five_seconds_first(code: int) -> None:
    """F34, F35."""
    assert 5.0 <= min(closed(code, 600.0).waits_s)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013])
def test_who_accepts_and_closes_is_tried_thirty_times_in_ten_minutes_at_most(code: int) -> None:
    """F36."""
    assert 5 <= len(closed(code, 600.0).at_s) <= 30


def test_a_hundred_clients_come_back_from_a_restart_over_ten_seconds() -> None:
    """F34: each is a program of its own, and knows nothing of the others."""
    back_s: list[float] = []

    async def main() -> None:
        worlds = [World() for _ in range(100)]
        async with AsyncExitStack() as stack:
            for number, world in enumerate(worlds):
                client = Collector(
                    registry=Registry(adapters={"scripted": world.plugin}),
                    transport=world.transport,
                    clock=running_clock(),
                    rng=random.Random(number),
                )
                await stack.enter_async_context(client)
                await client.add("scripted:BTC/USD@trades")
            await asyncio.sleep(60)
            cut_s = asyncio.get_running_loop().time()
            for world in worlds:
                world.transport.greet = lambda _: back_s.append(asyncio.get_running_loop().time() - cut_s)
                world.stream.hang_up(1012)
            await asyncio.sleep(60)

    run_virtual(main())
    assert 100 == len(back_s)
    assert 5.0 <= min(back_s)
    assert 10.0 <= max(back_s) - min(back_s)
    assert 20 >= most_within(sorted(back_s), 1.0), "nor do many of them come in one second"


def test_two_hundred_streams_that_are_cut_at_once_come_back_at_the_venues_rate() -> None:
    """F64: the rate is the venue's, of which the collector never uses more, and all are back."""
    rate, count = Rate(10, 1.0, burst=5), 200
    at_s: list[float] = []

    def greet(stream: ScriptedStream) -> None:
        at_s.append(asyncio.get_running_loop().time())
        stream.say({"trade": [f"S{len(at_s)}/USD", 1, "1"]})

    async def test(world: World, collector: Collector) -> None:
        world.transport.greet = greet
        for number in range(count):
            await collector.add(f"scripted:S{number}/USD@trades")
        await asyncio.sleep(60)
        assert count == collector.health().venues[0].connections
        at_s.clear()
        for stream in world.transport.streams:
            stream.hang_up(1006)
        await asyncio.sleep(120)
        assert count == collector.health().venues[0].connections

    play(test, World(plugin=Scripted(limits=Limits(topics_per_connection=1, connects=rate))))
    assert count <= len(at_s)
    assert rate.burst + rate.amount >= most_within(at_s, 1.0)
    assert max(at_s) - min(at_s) <= 2 * count / rate.amount, "nor slower than twice as long as that takes"


@pytest.mark.parametrize(("name", "most"), [("default", 60), ("patient", 60)])
def test_hours_of_maintenance_are_tried_ever_more_rarely(name: str, most: int) -> None:
    """F63: six hours in which nothing can be reached."""
    world, at_s = World(), list[float]()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(60)
        world.down = True
        world.transport.requests.clear()

        def refused(stream: ScriptedStream) -> None:
            at_s.append(asyncio.get_running_loop().time())
            raise TransportError("down for maintenance")

        world.transport.greet = refused
        world.stream.hang_up(1001)
        await asyncio.sleep(6 * HOUR_S)
        assert most >= most_within(at_s, HOUR_S)
        assert most >= len(world.transport.requests) / 6

    play(test, world, backoff=PRESETS[name])
