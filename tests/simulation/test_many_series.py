"""Hundreds of series at once under one REST limit: none starves, one can be stopped, all can be stopped."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.world import World, simulate
from wickwire import MINUTE_NS, Account, Limits, Rate
from wickwire.simulate.loops import VIRTUAL_START_NS

STREAMED = "kraken:BTC/USD@1m"


@pytest.mark.parametrize(
    ("count", "every_s"),
    [(100, 5.0), pytest.param(500, 1.0, marks=pytest.mark.nightly)],
    ids=["a hundred", "five hundred"],
)
def test_no_polled_series_starves_and_each_can_be_stopped(count: int, every_s: float) -> None:
    """A round of all takes 500 s of the quarter of an hour in which they have to be asked once."""
    names = [f"kraken:SYNTH{number:03}/USD@15m" for number in range(count)]

    async def play(world: World) -> None:
        collector = world.collector
        await collector.remove(STREAMED)
        for name in names:
            await collector.add(name, route="poll")
        await world.minutes(26)
        closed_at = [at_ns for (_, open_ns), at_ns in world.handed_ns.items() if open_ns == VIRTUAL_START_NS]
        assert count == len(closed_at)
        assert max(closed_at) < VIRTUAL_START_NS + 25 * MINUTE_NS

        await collector.remove(names[0])
        await world.minutes(15)
        closed = Counter(str(candle.series) for candle in world.delivered)
        assert 1 == closed[names[0]]
        assert {2} == {closed[name] for name in names[1:]}

        for name in names:
            await collector.remove(name)
        asked = world.counted.requests["api.kraken.com"]
        before = len(asked)
        await world.minutes(30)
        assert before == len(asked)
        assert not collector.health().series

    account = Account(limits=Limits(rest=Rate(1, per_s=every_s, burst=1)))
    simulate(play, STREAMED, synthetic_count=count, accounts={"kraken": account})
