"""Connections are replaced while everything goes on: nothing is missed, nothing comes twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.adapters.alpaca.talk import SECRETS as ALPACA_SECRETS
from tests.simulation.test_dxlink import SECRETS as DXLINK_SECRETS
from tests.simulation.world import World, simulate
from wickwire import SECOND_NS, Account, Limits, Timeframe
from wickwire.news import Rotation
from wickwire.simulate.loops import running_clock

ACCOUNTS = {"alpaca": Account(secrets=ALPACA_SECRETS), "dxlink": Account(secrets=DXLINK_SECRETS)}
SERIES = {
    "kraken": ["BTC/USD@1m", "BTC/USD@5m", "ETH/USD@1m", "SOL/USD@1m", "BTC/USD@trades", "ETH/USD@quotes"],
    "coinbase": ["BTC/USD@5m", "BTC/USD@1m", "ETH/USD@1m", "ETH/USD@5m", "BTC/USD@trades"],
    "dxlink": ["BTC/USD@1m", "ETH/USD@5m", "SOL/USD@1m", "BTC/USD@trades"],
    "alpaca": ["BTC/USD@1m", "ETH/USD@1m"],
}


def names(venue: str) -> list[str]:
    return [f"{venue}:{text}" for text in SERIES[venue]]


def epochs(world: World) -> dict[str, int]:
    """Return how many uninterrupted subscriptions each candle series had so far."""
    series = [each.series for each in world.collector.health().series]
    return {
        str(one): world.collector.closer(one).ledger.epoch_count
        for one in series
        if isinstance(one.what, Timeframe)
    }


async def rotated(world: World, venue: str, times: int = 1) -> list[Rotation]:
    return [one for _ in range(times) for one in await world.collector.rotate(venue)]


def rotate_often(venue: str, *, times: int, seed: int) -> None:
    async def play(world: World) -> None:
        await world.minutes(3)
        since_ns, before = running_clock().now_ns(), epochs(world)
        events: list[Rotation] = []
        world.collector.on_event(lambda one: events.append(one) if isinstance(one, Rotation) else None)
        rotations = await rotated(world, venue, times)
        until_ns = running_clock().now_ns()
        await world.minutes(3)

        assert rotations == events
        assert {(True, 0, "")} == {(one.replaced, one.broken, one.trouble) for one in rotations}
        assert before == epochs(world), "no subscription was interrupted"
        assert [] == await world.broken()
        told = Counter(each.time_ns for each in world.trades if since_ns <= each.time_ns < until_ns)
        true = Counter(each.time_ns for each in world.market.trades("BTC/USD", since_ns, until_ns))
        assert told == true, "every trade came once"
        [health] = world.collector.health().venues
        assert health.connections == health.wanted_connections
        assert health.attempts == health.connections + len(rotations)
        assert len(world.transport.open_streams) <= health.connections + 1  # and one for history

    simulate(play, *names(venue), seed=seed, shuffle=True, latency_s=0.3, accounts=ACCOUNTS)


@pytest.mark.parametrize("venue", ["kraken", "coinbase", "dxlink"])
def test_where_two_connections_are_allowed_nobody_notices(venue: str) -> None:
    rotate_often(venue, times=20, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("venue", ["kraken", "coinbase", "dxlink"])
def test_where_two_connections_are_allowed_nobody_notices_a_thousand_times(venue: str) -> None:
    rotate_often(venue, times=1_000, seed=2)


def test_where_only_one_is_allowed_the_hole_is_told_and_healed() -> None:
    async def play(world: World) -> None:
        await world.minutes(3.5)
        [rotation] = await rotated(world, "alpaca")
        await world.minutes(5)
        assert "the venue allows 1 connection" == rotation.trouble
        assert (True, 2, 2) == (rotation.replaced, rotation.topics, rotation.broken)
        assert 0 < rotation.gap_s < 15, "the venue takes the old one for open for a while"
        assert rotation.healed_s is not None
        assert rotation.healed_s < 90, "once the bucket was over in which it happened"
        assert [] == await world.broken()

    simulate(play, *names("alpaca"), accounts=ACCOUNTS)


def test_a_connection_is_replaced_before_its_token_ends_and_nobody_notices() -> None:
    async def play(world: World) -> None:
        world.servers["dxlink"].inject("short_tokens", seconds=1_500)
        world.servers["dxlink"].inject("hangup", code=1001)
        await world.minutes(5)
        before = epochs(world)
        await world.minutes(50)
        [health] = world.collector.health().venues
        assert len(health.rotations) >= 3, "each lives for ten minutes less than its token does"
        assert {(True, 0)} == {(one.replaced, one.broken) for one in health.rotations}
        assert before == epochs(world)
        assert [] == await world.broken()

    simulate(play, *names("dxlink"), accounts=ACCOUNTS)


@pytest.mark.parametrize(
    ("fault", "details", "why"),
    [
        ("silent_ack", {}, "nothing came of it in time"),
        ("refuse", {}, ""),
        ("refuse_connections", {}, ""),
    ],
)
def test_what_is_not_proven_does_not_replace_anything(
    fault: str, details: dict[str, object], why: str
) -> None:
    async def play(world: World) -> None:
        await world.minutes(3)
        before = epochs(world)
        world.servers["kraken"].inject(fault, **details)
        rotations = await rotated(world, "kraken")
        world.servers["kraken"].inject(fault, **details, on=False)
        await world.minutes(3)
        assert {False} == {one.replaced for one in rotations}
        assert all(one.trouble and why in one.trouble for one in rotations)
        assert before == epochs(world), "the old ones went on"
        assert [] == await world.broken()
        [health] = world.collector.health().venues
        assert health.connections == health.wanted_connections == len(world.transport.open_streams)

    simulate(play, *names("kraken"))


def test_an_old_connection_that_ends_meanwhile_is_replaced_by_the_new_one_at_once() -> None:
    async def play(world: World) -> None:
        await world.minutes(3.5)
        streams = world.transport.open_streams
        async with asyncio.TaskGroup() as tasks:
            rotating = tasks.create_task(rotated(world, "kraken"))
            await asyncio.sleep(1.0)  # the first one's successor is open, and not proven
            streams[0].cut(1006, "")
            await asyncio.sleep(0.5)
            [health] = world.collector.health().venues
            assert health.connections >= health.wanted_connections
        assert all(one.replaced for one in rotating.result())
        await world.minutes(4)
        assert [] == await world.broken()

    simulate(play, *names("kraken"))


@pytest.mark.parametrize("after_s", [0.1, 0.6, 1.2, 1.9, 2.6, 3.4])
def test_series_come_and_leave_while_connections_are_replaced(after_s: float) -> None:
    async def play(world: World) -> None:
        await world.minutes(3.2)
        async with asyncio.TaskGroup() as tasks:
            rotating = tasks.create_task(rotated(world, "kraken"))
            await asyncio.sleep(after_s)
            await world.collector.remove("kraken:ETH/USD@1m")
            await world.collector.remove("kraken:BTC/USD@5m")
            await world.collector.add("kraken:XRP/USD@1m")
            await world.collector.add("kraken:ETH/USD@15m")
        assert 1 <= len(rotating.result()) <= 2
        await world.minutes(4)
        assert [] == await world.broken()
        [health] = world.collector.health().venues
        asked = [str(one.topic) for link in health.links for one in link.subscriptions]
        wanted = {"BTC/USD@1m", "SOL/USD@1m", "XRP/USD@1m", "ETH/USD@15m", "BTC/USD@trades", "ETH/USD@quotes"}
        assert sorted(wanted) == sorted(asked)
        assert health.connections == health.wanted_connections == len(world.transport.open_streams)

    simulate(play, *names("kraken"))


def test_removing_all_of_a_connection_while_it_is_replaced_leaves_none() -> None:
    async def play(world: World) -> None:
        await world.minutes(3.2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rotated(world, "kraken"))
            await asyncio.sleep(0.7)
            for name in names("kraken"):
                await world.collector.remove(name)
        await world.minutes(1)
        assert () == world.transport.open_streams

    simulate(play, *names("kraken"))


def test_the_collector_stops_while_a_connection_is_replaced() -> None:
    told: list[Sequence[Rotation]] = []

    async def play(world: World) -> None:
        await world.minutes(1)
        tasks = asyncio.get_running_loop()
        rotating = tasks.create_task(world.collector.rotate("kraken"))  # the host's own
        rotating.add_done_callback(lambda done: told.append(done.result()))
        await asyncio.sleep(0.7)

    simulate(play, *names("kraken"))
    [rotations] = told
    assert {(False, "the venue's scope ended")} == {(one.replaced, one.trouble) for one in rotations}


def test_busy_topics_move_to_connections_that_carry_less_and_nobody_notices() -> None:
    """Four busy ones share a connection, two quiet ones the other."""
    series = [f"kraken:{symbol}/USD@{what}" for symbol in ("BTC", "ETH") for what in ("trades", "quotes")]
    series += [f"kraken:{symbol}/USD@1m" for symbol in ("SOL", "XRP")]
    narrow = {"kraken": Account(limits=Limits(topics_per_connection=4))}

    async def play(world: World) -> None:
        await world.minutes(1)
        before = carried(world)
        since_ns, trades = running_clock().now_ns(), len(world.trades)
        await world.minutes(10)
        assert before != carried(world), "something moved"
        assert [] == await world.broken()
        [health] = world.collector.health().venues
        assert health.attempts == health.connections == 2, "no connection was opened for it"
        until_ns = running_clock().now_ns() - SECOND_NS
        told = Counter(each.time_ns for each in world.trades[trades:] if since_ns <= each.time_ns < until_ns)
        true = Counter(
            each.time_ns
            for symbol in ("BTC/USD", "ETH/USD")
            for each in world.market.trades(symbol, since_ns, until_ns)
        )
        assert told == true

    simulate(play, *series, accounts=narrow, least_moved=0.1)


def test_a_topic_that_could_not_be_moved_counts_where_it_is() -> None:
    """What is subscribed to anew is refused, so nothing moves; who comes then has to fit all the same."""
    series = [f"kraken:{symbol}/USD@{what}" for symbol in ("BTC", "ETH") for what in ("trades", "quotes")]
    series += [f"kraken:{symbol}/USD@1m" for symbol in ("SOL", "XRP")]
    narrow = {"kraken": Account(limits=Limits(topics_per_connection=4))}

    async def play(world: World) -> None:
        await world.minutes(0.3)
        before = carried(world)
        world.servers["kraken"].inject("refuse", text="EService:Unavailable")
        await world.minutes(5)
        world.servers["kraken"].inject("refuse", on=False)
        assert before == carried(world)
        for symbol in ("DOGE", "LTC"):
            await world.collector.add(f"kraken:{symbol}/USD@1m")
        await world.minutes(0.5)
        assert [4, 4] == [len(topics) for topics in carried(world).values()]

    simulate(play, *series, accounts=narrow, least_moved=0.1)


def carried(world: World) -> dict[int, set[str]]:
    """Return what rides on each connection."""
    [health] = world.collector.health().venues
    return {link.number: {str(one.topic) for one in link.subscriptions} for link in health.links}
