"""A venue that answers for a symbol that it does not know as for one that was not traded."""

from __future__ import annotations

import pytest

from tests.framework.scripted import SERIES, Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire.cli.collect import never_seen
from wickwire.collector import Collector


@pytest.mark.parametrize("streamed", [False, True])
def test_a_series_of_which_nobody_has_a_candle_is_asked_about(*, streamed: bool) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        if streamed:
            await accepted(world)
        assert [] == never_seen(collector, [SERIES], collector.health()), "no bucket is over yet"
        await world.next_minute(0)
        await world.next_minute(30)
        [line] = never_seen(collector, [SERIES], collector.health())
        assert line.startswith("scripted:BTC/USD@1m: the venue has no candle of it from ")
        assert line.endswith("Z; does the symbol exist?")

        world.trade(100, streamed=streamed)
        await world.next_minute(30)
        assert [] == never_seen(collector, [SERIES], collector.health())

    play(test, World(plugin=Scripted(stream=streamed)))


def test_a_series_of_which_the_store_has_a_candle_is_known_to_exist() -> None:
    async def first(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        world.trade(100, streamed=False)
        await world.next_minute(30)

    async def second(world: World, collector: Collector) -> None:
        world.truth.clear()
        await collector.add(SERIES)
        await world.next_minute(30)
        assert [] == never_seen(collector, [SERIES], collector.health())

    play(second, play(first, World(plugin=Scripted(stream=False))))
