"""A store that did what was asked of it, and whose answer was lost: everything is told all the same."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any, cast

import attrs
import pytest

from tests.framework.scripted import MINUTE, MINUTE_NS, SERIES
from tests.framework.test_collector import World, accepted, play
from wickwire import Candle, MemoryStore, Page, Rung, Series, SeriesCandle, StoreError, Utc
from wickwire.closer import Closer
from wickwire.collector import Collector
from wickwire.description import OhlcvSupport
from wickwire.ledger import Ledger, Want
from wickwire.simulate.loops import run_virtual
from wickwire.writer import Writer


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


def test_a_close_that_was_revised_before_it_could_be_stored_is_told_beside_its_revision() -> None:
    """The store keeps the newest row of a bucket alone; its answer holds both."""

    @attrs.define(eq=False)
    class Keeper:
        ledger: Ledger
        series: Series = SERIES
        shared: bool = False

    class Full(MemoryStore):
        full = True

        async def commit(self, changes: Any) -> Any:
            if self.full:
                self.full = False
                raise StoreError("the disk is full")
            return await super().commit(changes)

    told: list[SeriesCandle] = []

    async def main() -> None:
        support = OhlcvSupport(stream=True, rest=True, grid=Utc())
        ledger = Ledger.start(SERIES, support, None, 0)
        ledger.subscribed(1, 0)
        first, second, revised = (
            Candle("BTC/USD", MINUTE, open_ns, open_ns + MINUTE_NS, price, price, price, price, Decimal(1))
            for open_ns, price in ((0, Decimal(100)), (MINUTE_NS, Decimal(101)), (0, Decimal(102)))
        )
        ledger.row(first)
        ledger.row(second)
        want = Want(0, MINUTE_NS, "to compare", known=True)
        page = Page(candles=[revised], covered=(0, MINUTE_NS))
        ledger.page(page, want, 10 * MINUTE_NS, route=Rung.STREAM)

        writer = Writer(Full(), told.extend, random.Random(1), lambda why: None, lambda series: None)
        writer.notice(cast("Closer", Keeper(ledger)))
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(writer.run())
            await writer.drain()
            writing.cancel()
        assert 2 == writer.committed

    run_virtual(main())
    assert [(0, 100), (1, 102)] == [(candle.revision, int(candle.close)) for candle in told]


def test_a_commit_whose_answer_was_lost_is_nobody_elses() -> None:
    store = Forgetful()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for price in range(100, 106):
            world.trade(price)
            store.lost = price % 3
            await world.next_minute(1)
            await asyncio.sleep(30)
        assert not collector.health().series[0].shared
        assert len(await store.committed(0, limit=100)) >= 5

    play(test, World(store=store))
