"""Many connections to one venue on one account: together they are as patient as one would be."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

import attrs
import pytest

from tests.framework.scripted import Scripted, ScriptedStream, rows
from tests.framework.test_collector import World, play
from wickwire import (
    Description,
    FaultKind,
    HttpReply,
    HttpRequest,
    Limits,
    Rate,
    StreamClosed,
    TransportError,
    VenueError,
    hookimpl,
)
from wickwire.collector import Collector
from wickwire.dialing import TRIAL_S, Attempt, Dialing
from wickwire.errors import WickwireError
from wickwire.retry import SPREAD, Backoff
from wickwire.simulate.loops import run_virtual

LINKS = 12
ALONE = Limits(topics_per_connection=1)
SYMBOLS = [f"S{number}/USD" for number in range(LINKS)]


async def connected(world: World, collector: Collector) -> None:
    """Bring up a connection for each symbol, with data on each."""
    world.transport.greet = greet
    for symbol in SYMBOLS:
        await collector.add(f"scripted:{symbol}@trades")
    await asyncio.sleep(1)
    assert LINKS == collector.health().venues[0].connections


def greet(stream: ScriptedStream) -> None:
    """Say what makes any subscription flow."""
    for symbol in SYMBOLS:
        stream.say({"trade": [symbol, 1, "1"]})


def cut_all(world: World) -> None:
    for stream in world.transport.streams:
        stream.hang_up()


def test_a_venue_that_went_down_meets_one_patient_client() -> None:
    async def test(world: World, collector: Collector) -> None:
        await connected(world, collector)
        before = len(world.transport.streams)
        world.transport.greet = lambda stream: stream.hang_up()
        cut_all(world)
        await asyncio.sleep(600)

        assert 5 <= len(world.transport.streams) - before <= 30, "as one connection alone may try (F36)"

    play(test, World(plugin=Scripted(limits=ALONE)))


def test_when_it_is_back_all_are() -> None:
    async def test(world: World, collector: Collector) -> None:
        await connected(world, collector)
        world.transport.refuse = TransportError("unreachable")
        cut_all(world)
        await asyncio.sleep(600)
        world.transport.refuse = None
        await asyncio.sleep(2 * Backoff().cap_s)

        assert LINKS == collector.health().venues[0].connections

    play(test, World(plugin=Scripted(limits=ALONE)))


def test_after_a_short_cut_all_are_back_within_two_seconds() -> None:
    async def test(world: World, collector: Collector) -> None:
        await connected(world, collector)
        cut_all(world)
        await asyncio.sleep(2)

        assert LINKS == collector.health().venues[0].connections
        assert 2 * LINKS == len(world.transport.streams)

    play(test, World(plugin=Scripted(limits=ALONE)))


def test_an_outage_of_long_ago_makes_nobody_wait_whose_connection_we_closed_ourselves() -> None:
    """The venue still counts it, and refuses the next one, as if it were the first failure of all."""

    async def test(world: World, collector: Collector) -> None:
        world.transport.greet = greet
        await collector.add(f"scripted:{SYMBOLS[0]}@trades")
        await asyncio.sleep(1)
        world.transport.refuse = TransportError("unreachable")
        cut_all(world)
        await asyncio.sleep(600)
        world.transport.refuse = None
        await asyncio.sleep(2 * Backoff().cap_s)
        greet(world.transport.streams[-1])
        assert 1 == collector.health().venues[0].connections

        world.transport.refuse = VenueError(FaultKind.SLOT_TAKEN, "connection limit exceeded")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(collector.rotate("scripted"))
            await asyncio.sleep(3)
            world.transport.refuse = None
            await asyncio.sleep((1 + SPREAD) * Backoff().cautious_s)
            assert 1 == collector.health().venues[0].connections

    play(test, World(plugin=Scripted(limits=Limits(connections=1))))


def test_connections_are_opened_at_the_venues_rate() -> None:
    async def test(world: World, collector: Collector) -> None:
        for symbol in SYMBOLS:
            await collector.add(f"scripted:{symbol}@trades")
        await asyncio.sleep(31)
        assert 2 + 2 == len(world.transport.streams)

    slow = Limits(topics_per_connection=1, connects=Rate(4, 60.0, burst=2))
    play(test, World(plugin=Scripted(limits=slow)))


@attrs.define
class Variants(Scripted):
    """A venue with two variants, on one account."""

    __hash__ = object.__hash__

    @hookimpl
    def describe(self) -> Description:
        return attrs.evolve(Scripted.describe(self), variants=("a", "b"))


def test_variants_of_a_venue_share_its_limits() -> None:
    """One connection in 100 s and one request in 25 s, whichever of the two wants it."""
    asked_s: list[float] = []

    def answer(_: HttpRequest) -> HttpReply:
        asked_s.append(asyncio.get_running_loop().time())
        return rows()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted.a:BTC/USD@1m")
        await collector.add("scripted.b:BTC/USD@1m")
        await collector.add("scripted.b:BTC/USD@trades")
        await asyncio.sleep(90)
        assert 1 == len(world.transport.streams), "the second waits for its turn"
        await asyncio.sleep(210)
        assert 2 == len(world.transport.streams)
        assert len(asked_s) >= 6
        assert all(after - before >= 25 - 1e-6 for before, after in pairwise(asked_s))

    limits = Limits(connects=Rate(1, 100.0), rest=Rate(1, 25.0))
    world = World(plugin=Variants(limits=limits))
    world.transport.answer = answer
    play(test, world)


# ------------------------------------------------------------------------------------------------ the rules


def dialled(test: Callable[[Dialing], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(Dialing(Backoff(), random.Random(1)))

    run_virtual(main())


@attrs.define
class Tried:
    """Links that dial for ever, and when each got its turn."""

    dialing: Dialing
    outcome: Callable[[int, Attempt], Awaitable[WickwireError]]
    at_s: list[tuple[int, float]] = attrs.field(factory=list)

    async def link(self, number: int) -> None:
        tries = 0
        while True:
            async with self.dialing.turn() as attempt:
                self.at_s.append((number, asyncio.get_running_loop().time()))
                error = await self.outcome(number, attempt)
                tries += 1
                attempt.failed(error, 0.0, 0.5, tries)
            await asyncio.sleep(0.5)

    async def run(self, links: int, seconds: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            trying = [tasks.create_task(self.link(number)) for number in range(links)]
            await asyncio.sleep(seconds)
            for one in trying:
                one.cancel()


def test_what_fails_for_itself_while_data_flows_holds_up_nobody() -> None:
    async def test(dialing: Dialing) -> None:
        async def outcome(number: int, attempt: Attempt) -> WickwireError:
            if number == 0:
                attempt.flows()
                await asyncio.sleep(1_000)
            return TransportError("mine alone")

        tried = Tried(dialing, outcome)
        await tried.run(3, 60)
        assert 60 / 0.5 * 2 == pytest.approx(len(tried.at_s), abs=5), "each at its own pace"

    dialled(test)


def test_too_many_connections_is_said_to_all_of_them() -> None:
    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as first, dialing.turn() as second:
            first.flows()
            second.failed(VenueError(FaultKind.WAIT, "slow down"), 0.0, 40.0, 1)
            async with dialing.turn() as third:
                assert 40.0 == third.began_s

    dialled(test)


def test_when_to_come_back_is_said_to_all_of_them() -> None:
    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as first, dialing.turn() as second:
            first.flows()
            second.failed(VenueError(FaultKind.OUTAGE, "HTTP 503", retry_after_s=45.0), 0.0, 45.0, 1)
            async with dialing.turn() as third:
                assert 45.0 == third.began_s

    dialled(test)


@pytest.mark.parametrize(
    ("error", "began_s"),
    [(TransportError("cut"), 5.0), (VenueError(FaultKind.OUTAGE, "HTTP 503", retry_after_s=45.0), 45.0)],
    ids=["decided here", "asked for by the venue"],
)
def test_data_on_a_connection_that_lived_on_ends_what_was_decided_for_all(
    error: WickwireError, began_s: float
) -> None:
    """What failed in a quiet market looked like an outage. A wait that the venue asked for holds still."""

    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as quiet, dialing.turn() as other:
            other.failed(error, 0.0, 45.0, 1)
            await asyncio.sleep(5)
            quiet.flows()
            async with dialing.turn() as third:
                assert began_s == third.began_s

    dialled(test)


@pytest.mark.parametrize("kind", [FaultKind.SYMBOL, FaultKind.REQUEST, FaultKind.ENTITLEMENT])
def test_what_is_about_one_topic_concerns_no_other_connection(kind: FaultKind) -> None:
    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as first:
            first.failed(VenueError(kind, "no"), 0.0, 60.0, 1)
        async with dialing.turn() as second:
            assert 0.0 == second.began_s

    dialled(test)


def test_who_tries_and_is_ready_lets_the_others_in_though_the_market_is_quiet() -> None:
    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as first:
            first.failed(StreamClosed("cut"), 0.0, 0.0, 1)
        async with dialing.turn() as second:
            second.ready = lambda: True
            async with dialing.turn() as third, dialing.turn() as fourth:
                assert second.began_s + TRIAL_S == third.began_s == fourth.began_s

    dialled(test)


def test_who_tries_and_does_not_even_connect_is_joined_by_one_after_the_other() -> None:
    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as first:
            first.failed(StreamClosed("cut"), 0.0, 0.0, 1)
        async with dialing.turn() as second, dialing.turn() as third, dialing.turn() as fourth:
            assert second.began_s + 2 * TRIAL_S == third.began_s + TRIAL_S == fourth.began_s

    dialled(test)


def test_who_gives_up_leaves_the_turn_to_the_next() -> None:
    """As when its series is removed."""

    async def test(dialing: Dialing) -> None:
        async with dialing.turn() as first:
            first.failed(StreamClosed("cut"), 0.0, 0.0, 1)
        began_s = []

        async def hold(seconds: float) -> None:
            async with dialing.turn() as attempt:
                began_s.append(attempt.began_s)
                await asyncio.sleep(seconds)

        async with asyncio.TaskGroup() as tasks:
            [trying, waiting, _] = [tasks.create_task(hold(seconds)) for seconds in (100, 100, 0)]
            await asyncio.sleep(1)
            waiting.cancel()
            trying.cancel()
        assert [0.0, 1.0] == began_s

    dialled(test)
