"""Trades are kept as they come, know where they are whole, and make the same candles again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import attrs
import pytest

import wickwire_kraken
from wickwire import (
    DAY_NS,
    MINUTE_NS,
    SECOND_NS,
    Candle,
    Collector,
    ConfigError,
    MemoryStore,
    Series,
    StoreError,
    Stretch,
    Timeframe,
    Trade,
    TradeBatch,
    Utc,
)
from wickwire.registry import Registry
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.simulate.server import VenueServer
from wickwire.tape import Keeper, rebuilt

TRADES = Series.parse("kraken:BTC/USD@trades")
MINUTE = Timeframe.parse("1m")


class Kept(MemoryStore):
    """A store that outlives its collector, and may be locked."""

    locked = False

    async def aclose(self) -> None:
        """Keep everything."""

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        if self.locked:
            raise StoreError("store: locked")
        return await super().put_trades(batches)


@attrs.define(eq=False)
class Stage:
    """Kraken, simulated, and one that collects its trades."""

    store: Kept = attrs.field(factory=Kept)
    market: SeededMarket = attrs.field(factory=lambda: SeededMarket(1, VIRTUAL_START_NS - DAY_NS))

    def play(self, test: Callable[[Collector, VenueServer], Awaitable[None]]) -> None:
        async def main() -> None:
            clock, venue = running_clock(), wickwire_kraken.simulate(self.market)
            async with Collector(
                self.store,
                registry=Registry(installed=False, adapters={"kraken": wickwire_kraken}),
                transport=MemoryTransport([venue], clock, latency_s=0.05),
                clock=clock,
                rng=random.Random(1),
                world="simulated venues, seed 1",
                keep_trades=True,
            ) as collector:
                await test(collector, venue)

        run_virtual(main())

    def stretches(self) -> Sequence[Stretch]:
        return asyncio.run(self._tapes())

    async def _tapes(self) -> Sequence[Stretch]:
        return (await self.store.tapes())[TRADES]

    def candles(self, since_ns: int = 0, until_ns: int = 2**62) -> list[Candle]:
        async def main() -> list[Candle]:
            found = rebuilt(self.store, TRADES, MINUTE, Utc(), since_ns, until_ns)
            return [candle async for candle in found]

        return asyncio.run(main())

    def check_candles(self, least: int) -> None:
        """See that what is made again is what the venue says, and that it is all that lies in stretches."""
        made = self.candles()
        assert len(made) >= least
        true = {
            one.open_ns: one
            for one in self.market.candles("BTC/USD", MINUTE, made[0].open_ns, made[-1].close_ns, grid=Utc())
        }
        for one in made:
            assert one.same_values(true[one.open_ns]), (one, true[one.open_ns])
        whole = [
            ns
            for ns in true
            if any(each.since_ns < ns and ns + MINUTE_NS <= each.until_ns for each in self.stretches())
        ]
        assert whole == [one.open_ns for one in made]


def test_trades_that_are_kept_make_the_candles_of_the_venue_again() -> None:
    stage = Stage()

    async def test(collector: Collector, _: object) -> None:
        await collector.add(TRADES)
        await asyncio.sleep(600)
        assert collector.health().stored_trades > 50

    stage.play(test)
    assert 1 == len(stage.stretches())
    stage.check_candles(7)
    [first, second, *_] = stage.candles()
    assert [first] == stage.candles(first.open_ns, second.open_ns)


def test_where_a_connection_was_lost_a_stretch_ends_and_no_candle_is_made_of_half_a_bucket() -> None:
    stage = Stage()

    async def test(collector: Collector, venue: VenueServer) -> None:
        await collector.add(TRADES)
        for _ in range(3):
            await asyncio.sleep(300)
            venue.inject("hangup", code=1006)
        await asyncio.sleep(300)

    stage.play(test)
    assert 4 == len(stage.stretches())
    stage.check_candles(10)


def test_the_next_start_begins_a_new_stretch_and_stores_nothing_twice() -> None:
    stage = Stage()

    async def test(collector: Collector, _: object) -> None:
        await collector.add(TRADES)
        await asyncio.sleep(200)

    stage.play(test)
    before = len(asyncio.run(stage.store.trades(TRADES, 0, 2**62, limit=10**6)))
    stage.play(test)  # the same minutes again, as virtual time begins anew
    assert before == len(asyncio.run(stage.store.trades(TRADES, 0, 2**62, limit=10**6)))
    assert 1 == len(stage.stretches())


def test_a_store_that_takes_nothing_for_minutes_gets_it_all_later() -> None:
    stage = Stage()

    async def test(collector: Collector, _: object) -> None:
        await collector.add(TRADES)
        await asyncio.sleep(60)
        stage.store.locked = True
        await asyncio.sleep(300)
        [waits] = [one for one in collector.health().consumers if one.name == "trades to be stored"]
        assert waits.waiting > 0
        assert "store: locked" == collector.health().store_trouble
        stage.store.locked = False
        await asyncio.sleep(240)

    stage.play(test)
    assert 1 == len(stage.stretches())
    stage.check_candles(7)


def trade(number: int, second: int) -> Trade:
    return Trade("BTC/USD", str(number), Decimal(10), Decimal(1), None, second * SECOND_NS)


def test_what_was_lost_as_the_store_was_too_slow_ends_the_stretch() -> None:
    async def main() -> None:
        store = Kept()
        keeper = Keeper(store, random.Random(1))
        keeper.bound = 10
        for number in range(5):
            keeper.put(TRADES, trade(number, number))
        await keeper.flush()
        for number in range(5, 30):
            keeper.put(TRADES, trade(number, number))
        assert (10, 15) == (keeper.waiting, keeper.dropped)
        await keeper.flush()
        told = [Stretch(since * SECOND_NS, until * SECOND_NS) for since, until in ((0, 4), (20, 29))]
        assert told == list((await store.tapes())[TRADES])

    asyncio.run(main())


def test_a_break_between_two_trades_ends_the_stretch_wherever_the_batch_ends() -> None:
    async def main() -> None:
        store = Kept()
        keeper = Keeper(store, random.Random(1))
        for number in range(3):
            keeper.put(TRADES, trade(number, number))
        keeper.broken(TRADES)
        for number in range(3, 6):
            keeper.put(TRADES, trade(number, number))
        await keeper.flush()
        keeper.put(TRADES, trade(6, 6))
        await keeper.flush()
        told = [Stretch(since * SECOND_NS, until * SECOND_NS) for since, until in ((0, 2), (3, 6))]
        assert told == list((await store.tapes())[TRADES])

    asyncio.run(main())


class Candles(MemoryStore):
    """A store of somebody else, which keeps candles alone."""

    put_trades = None  # type: ignore[assignment]  # it has none


def test_a_store_that_keeps_no_trades_is_refused() -> None:
    async def main() -> None:
        async with Collector(Candles(), keep_trades=True):
            pass

    with pytest.raises(ConfigError, match="a Candles keeps no trades; name another store"):
        asyncio.run(main())
