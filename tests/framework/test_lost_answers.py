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


def test_what_was_stored_unheard_comes_before_what_was_stored_after_it() -> None:
    """Tried series by series, the first one's answer is lost once more, and the second one's is not."""
    store = Forgetful()
    texts = ["BTC/USD", "ETH/USD"]

    async def test(world: World, collector: Collector) -> None:
        told: list[SeriesCandle] = []
        collector.on_candle(told.append)
        for text in texts:
            await collector.add(f"scripted:{text}@1m")
        await asyncio.sleep(1)
        world.stream.say({"accepted": [f"{text}@1m" for text in texts]})
        await asyncio.sleep(0.1)
        for minutes in range(4):
            store.lost = 4 if minutes else 0
            rows = [{"minute": world.minute, "close": 100 + minutes, "symbol": text} for text in texts]
            world.stream.say([{"candle": row} for row in rows])
            await world.next_minute(1)
        await asyncio.sleep(120)
        assert not store.lost
        stored = [row for row in await store.committed(0, limit=100) if row.close < 103]
        assert len(stored) == 6
        assert stored == [candle for candle in told if candle.close < 103]

    play(test, World(store=store))
