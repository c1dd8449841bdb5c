"""A store that did what was asked of it, and whose answer was lost: everything is told all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.framework.test_collector import World, accepted, play
from wickwire import MemoryStore, SeriesCandle, StoreError
from wickwire.collector import Collector


class Forgetful(MemoryStore):
    """A store that commits, and then cannot say so for a while."""

    lost = 0

    async def commit(self, changes: Any) -> Any:
        news = await super().commit(changes)
        if self.lost:
            self.lost -= 1
            raise StoreError("the connection was cut before the answer came")
        return news


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_candle_is_delivered_although_the_answer_to_its_commit_was_lost(lost: int) -> None:
    """The commit is repeated, and then nothing of it is news: readers look in the store."""
    store = Forgetful()

    async def test(world: World, collector: Collector) -> None:
        told: list[SeriesCandle] = []
        collector.on_candle(told.append)
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(1)
        store.lost = lost
        for price in (101, 102):
            await world.next_minute(1)
            world.trade(price)
            await asyncio.sleep(30)
        assert not store.lost
        assert [100, 101] == [int(candle.close) for candle in told]

    play(test, World(store=store))
