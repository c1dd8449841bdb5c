"""Every fault that the simulated venues can show leaves the data whole: nothing missing, doubled or wrong."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.simulation.world import World, simulate
from wickwire import Rung
from wickwire.closer import Condition

NAMES = ("kraken:BTC/USD@1m", "kraken:ETH/USD@1m", "kraken:BTC/USD@5m")

# fault, details, whether the series has to fall back to polling meanwhile
FAULTS: list[tuple[str, dict[str, Any], bool]] = [
    ("mute", {}, True),
    ("mute_symbol", {"symbol": "BTC/USD"}, False),
    ("no_heartbeat", {}, False),
    ("refuse_connections", {}, False),
    ("html_520", {}, False),
    ("rest_error", {}, False),
    ("maintenance", {}, False),
    ("slow", {}, False),
    ("exceeded_rate", {}, False),
]


@pytest.mark.parametrize(("fault", "details", "falls"), FAULTS, ids=[name for name, _, _ in FAULTS])
def test_a_fault_of_ten_minutes_leaves_the_data_whole(
    fault: str, details: dict[str, Any], *, falls: bool
) -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject(fault, **details)
        await world.minutes(10)
        if falls:
            assert {Rung.POLL} == {health.rung for health in world.collector.health().series}
        world.servers["kraken"].inject(fault, on=False, **details)
        await world.minutes(20)

        assert [] == [line for name in NAMES for line in await world.differences(name)]
        health = world.collector.health()
        assert {Rung.STREAM} == {each.rung for each in health.series}
        assert {each.condition for each in health.series} <= {Condition.LIVE, Condition.QUIET}

    simulate(play, *NAMES)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 1012, 1013])
def test_a_cut_leaves_the_data_whole(code: int) -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        for _ in range(3):
            world.servers["kraken"].inject("hangup", code=code)
            await world.minutes(7.3)
        await world.minutes(5)
        assert [] == [line for name in NAMES for line in await world.differences(name)]

    simulate(play, *NAMES)


def test_a_stream_that_is_cut_and_refused_is_polled_until_it_is_back() -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("refuse_connections")
        world.servers["kraken"].inject("hangup", code=1006)
        await world.minutes(10)
        assert {Rung.POLL} == {health.rung for health in world.collector.health().series}
        world.servers["kraken"].inject("refuse_connections", on=False)
        await world.minutes(20)

        assert [] == [line for name in NAMES for line in await world.differences(name)]
        for name in NAMES:
            rungs = [switch.rung for switch in world.switches if str(switch.series) == name]
            assert [Rung.POLL, Rung.STREAM] == rungs

    simulate(play, *NAMES)


def test_a_bucket_that_the_stream_lost_is_healed() -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("drop_candle", symbol="BTC/USD")
        await world.minutes(30)
        assert [] == [line for name in NAMES for line in await world.differences(name)]

    simulate(play, *NAMES)


def test_a_trade_that_comes_late_is_a_revision_found_by_the_audit() -> None:
    """REST says another thing than the stream said: history has the better evidence."""

    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("late_trade", symbol="BTC/USD")
        await world.minutes(40)
        revised = [candle for candle in world.delivered if candle.revision]
        assert {"kraken:BTC/USD@1m", "kraken:BTC/USD@5m"} >= {str(c.series) for c in revised}
        assert revised
        assert not world.switches, "one revised candle is no reason to leave the stream"

    simulate(play, *NAMES)


def test_junk_is_counted_and_nothing_else_happens() -> None:
    async def play(world: World) -> None:
        await world.minutes(3)
        for frame in ("", "{", "[]", '{"channel":"ohlc"}', '{"channel":"nonsense","data":[]}', "null"):
            world.servers["kraken"].inject("junk", frame=frame)
            await world.minutes(0.5)
        await world.minutes(5)
        assert [] == [line for name in NAMES for line in await world.differences(name)]
        [venue] = world.collector.health().venues
        assert venue.junk
        assert venue.attempts == venue.wanted_connections, "no connection was lost over it"

    simulate(play, *NAMES)


def test_one_venue_in_trouble_is_no_trouble_for_the_other() -> None:
    """I8: what happens at Kraken changes nothing for Yahoo."""

    async def play(world: World) -> None:
        await world.minutes(3)
        world.servers["yahoo"].inject("outage")
        await world.minutes(10)
        world.servers["yahoo"].inject("outage", on=False)
        await world.minutes(10)
        assert [] == await world.differences("kraken:BTC/USD@1m")
        polled = next(each for each in world.collector.health().series if each.series.venue == "yahoo")
        assert polled.closed >= 20, "and what the outage kept back was fetched afterwards"

    simulate(play, "kraken:BTC/USD@1m", "yahoo:BTC/USD@1m")


def test_an_unknown_pair_is_refused_by_name_and_the_others_go_on() -> None:
    async def play(world: World) -> None:
        await world.minutes(10)
        assert [] == await world.differences("kraken:BTC/USD@1m")
        health = {str(each.series): each for each in world.collector.health().series}
        assert Condition.REFUSED is health["kraken:NOPE/USD@1m"].condition
        assert "NOPE/USD" in health["kraken:NOPE/USD@1m"].trouble

    simulate(play, "kraken:BTC/USD@1m", "kraken:NOPE/USD@1m")


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order_the_data_is_whole_in_the_end(seed: int) -> None:
    """Faults are drawn by the seed; so is the order in which ready tasks run."""
    rng = random.Random(seed)

    async def play(world: World) -> None:
        server = world.servers["kraken"]
        for _ in range(12):
            fault, details, _ = rng.choice(FAULTS)
            server.inject(fault, **details)
            if rng.random() < 0.5:
                server.inject("hangup", code=rng.choice([1000, 1006, 1012, 1013]))
            await world.minutes(rng.uniform(0.1, 6))
            server.inject(fault, on=False, **details)
            await world.minutes(rng.uniform(0.1, 6))
        await world.minutes(25)
        assert [] == [line for name in NAMES for line in await world.differences(name)]
        assert {Rung.STREAM} == {each.rung for each in world.collector.health().series}

    simulate(play, *NAMES, seed=seed, shuffle=True)
