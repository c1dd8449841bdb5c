"""Hundreds of Coinbase's products at once, on virtual time: connections, messages, requests, and the truth.

The simulated venue answers a ninth message of one second, on whatever connections, with an error, and a ninth
connection or an eleventh request with status 429.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.world import World, simulate
from wickwire import Account, Limits, Rung
from wickwire.closer import Condition
from wickwire.simulate.loops import running_clock

WELL = {Condition.LIVE, Condition.QUIET}
MOST_SILENT_MIN = 12
"""A series in which hardly anything is traded waits up to ten buckets until it asks whether it is quiet."""


def products(count: int, *timeframes: str) -> list[str]:
    return [f"coinbase:SYNTH{number:03}/USD@{text}" for number in range(count) for text in timeframes]


def rungs(world: World) -> Counter[Rung]:
    return Counter(each.rung for each in world.collector.health().series)


def conditions(world: World) -> set[Condition]:
    return {each.condition for each in world.collector.health().series}


async def broken_but_for_silence(world: World) -> list[str]:
    """Leave out what every series may lack: its last buckets, in which nothing seems to have been traded."""
    recent_ns = running_clock().now_ns() - MOST_SILENT_MIN * 60 * 10**9
    lines = await world.broken()
    for state in await world.store.states():
        excused = [str(hole) for hole in state.holes if hole.since_ns >= recent_ns]
        if state.frontier_ns >= recent_ns:
            excused.append("behind")
        lines = [
            line
            for line in lines
            if not (line.startswith(f"{state.series} ") and any(text in line for text in excused))
        ]
    return lines


@pytest.mark.parametrize(
    ("names", "routes"),
    [
        pytest.param(products(320, "5m"), {Rung.STREAM: 320}, id="320 streamed"),
        pytest.param(
            products(160, "1m", "5m"),
            {Rung.BUILD: 160, Rung.STREAM: 160},
            id="160 streamed and 160 built",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_320_series_take_four_connections_and_are_the_truth(
    names: list[str], routes: dict[Rung, int]
) -> None:
    """They live ten seconds after they were added: a connection a second, five messages on each at most."""

    async def play(world: World) -> None:
        await world.minutes(10 / 60)
        [venue] = world.collector.health().venues
        assert (4, 4, 4) == (venue.wanted_connections, venue.connections, venue.attempts)
        assert conditions(world) <= WELL
        await world.minutes(16)
        assert [] == await broken_but_for_silence(world)
        [venue] = world.collector.health().venues
        assert (4, 4, 0) == (venue.connections, venue.attempts, venue.failures)
        assert routes == rungs(world)
        assert conditions(world) <= WELL
        assert len({str(each.series) for each in world.delivered}) > 300
        assert {len(sent) for sent in [sent for _, sent in world.counted.messages]} <= {2, 3, 4, 5}

    simulate(play, *names, synthetic_count=320)


def test_300_products_over_20_connections_start_within_the_venues_limits() -> None:
    """A connection a second; fifteen products on each, by a setting that lowers the venue's limit."""
    spread = {"coinbase": Account(limits=Limits(topics_per_connection=15))}

    async def play(world: World) -> None:
        await world.minutes(0.5)
        [venue] = world.collector.health().venues
        assert (20, 20, 20) == (venue.wanted_connections, venue.connections, venue.attempts)
        assert {15} == {len(link.subscriptions) for link in venue.links}
        assert {"confirmed"} == {one.phase for link in venue.links for one in link.subscriptions}
        assert [] == world.over_budget()
        await world.minutes(11)
        assert [] == await broken_but_for_silence(world)
        assert {Rung.STREAM: 300} == rungs(world)

    simulate(play, *products(300, "5m"), synthetic_count=300, accounts=spread)


def test_all_of_them_come_back_when_the_venue_ends_every_connection() -> None:
    names = products(160, "1m", "5m")

    async def play(world: World) -> None:
        await world.minutes(7)
        world.servers["coinbase"].inject("hangup")
        await world.minutes(25 / 60)
        [venue] = world.collector.health().venues
        assert (4, 8) == (venue.connections, venue.attempts)
        assert conditions(world) <= WELL
        await world.minutes(14)
        assert [] == await broken_but_for_silence(world)
        assert {Rung.BUILD: 160, Rung.STREAM: 160} == rungs(world)

    simulate(play, *names, synthetic_count=160)
