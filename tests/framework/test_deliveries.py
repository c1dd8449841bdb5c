"""Sinks of a whole collector: what it closes and hears goes into them, and they hold up nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Self

import attrs
import pytest

from tests.framework.shelves import Prices, Shelf
from tests.framework.test_collector import World, accepted, play
from wickwire import (
    CacheReader,
    ConfigError,
    Follower,
    Held,
    Series,
    SeriesCandle,
    SinkError,
    Standing,
    Store,
    StoreError,
)
from wickwire.collector import Collector
from wickwire.simulate.loops import run_virtual


def test_a_collector_puts_what_it_closes_and_drains_its_sinks_when_it_ends() -> None:
    shelf = Shelf()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.trade(102)
        await asyncio.sleep(1)
        [health] = collector.health().sinks
        assert ("shelf", 1, 0, 1, (), "") == (
            health.name,
            health.seq,
            health.lag,
            health.delivered,
            health.parked,
            health.trouble,
        )
        await world.next_minute(1)
        world.trade(103)

    world = play(test, sinks={"shelf": shelf})
    assert asyncio.run(world.stored()) == shelf.got
    assert 2 == len(shelf.got)
    assert 0 == shelf.opened


def test_a_sink_that_is_away_holds_up_neither_candles_nor_the_end() -> None:
    shelf = Shelf(away=True)

    async def main() -> None:
        world = World()
        await asyncio.sleep(10)
        async with world.collector(sinks={"shelf": shelf}) as collector:
            await collector.add("scripted:BTC/USD@1m")
            candles = collector.candles()
            await accepted(world)
            world.trade(100)
            await world.next_minute(1)
            world.trade(102)
            assert Decimal(100) == (await anext(candles)).close
            await asyncio.sleep(1)
            assert "sink 'shelf': away" == collector.health().sinks[0].trouble
            ends_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - ends_s < 1

    run_virtual(main())
    assert [] == shelf.got


@pytest.mark.parametrize(
    ("sinks", "error", "text"),
    [
        ({"shelf": Shelf(unusable="sink 'shelf': wrong password")}, SinkError, "wrong password"),
        ({"two words": Shelf()}, ConfigError, "its name has to be of letters, digits"),
        ({"shelf": "nowhere:1"}, ConfigError, "sink 'nowhere:1': no plugin takes 'nowhere'"),
        ({"shelf": "what"}, ConfigError, "sink 'what' has no scheme"),
    ],
)
def test_a_sink_that_cannot_work_is_named_before_anything_connects(sinks, error, text) -> None:
    world = World()

    async def test(_: World, __: Collector) -> None:
        raise AssertionError("it began")

    with pytest.raises(error, match=text):
        play(test, world, sinks=sinks)
    assert [] == world.transport.streams


def test_however_many_sinks_do_not_answer_the_end_is_in_time() -> None:
    async def main() -> None:
        world = World()
        await asyncio.sleep(10)
        sinks = {f"shelf-{number}": Mute(mute=True) for number in range(3)}
        async with world.collector(sinks=sinks) as collector:
            await collector.add("scripted:BTC/USD@1m")
            await accepted(world)
            world.trade(100)
            await world.next_minute(1)
            world.trade(102)
            await asyncio.sleep(1)
            ends_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - ends_s < 10

    run_virtual(main())


@attrs.define(eq=False)
class Stubborn(Shelf):
    """One that goes on, or says that it is done, whenever it is cancelled."""

    ends: bool = False
    stays: bool = False

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        while True:
            try:
                await asyncio.sleep(10**9)
            except asyncio.CancelledError:
                if self.ends:
                    return

    async def aclose(self) -> None:
        if self.stays:
            await self.put(())


@pytest.mark.parametrize(
    "shelf", [Stubborn(), Stubborn(ends=True), Stubborn(stays=True)], ids=["goes on", "returns", "stays open"]
)
def test_a_sink_that_swallows_its_cancellation_does_not_hold_up_the_end(shelf, caplog) -> None:
    async def main() -> None:
        world = World()
        await asyncio.sleep(10)
        async with world.collector(sinks={"shelf": shelf}) as collector:
            await collector.add("scripted:BTC/USD@1m")
            await accepted(world)
            world.trade(100)
            await world.next_minute(1)
            world.trade(102)
            await asyncio.sleep(1)
            ends_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - ends_s < 10
        assert {asyncio.current_task()} == asyncio.all_tasks()

    run_virtual(main())
    named = [one.sink for one in caplog.records if one.message == "sink does not end"]
    assert named == ([] if shelf.ends else ["shelf"] * (1 + shelf.stays))


class Mute(Shelf):
    """One that does not even end."""

    async def aclose(self) -> None:
        await asyncio.sleep(10**9)


def test_who_begins_again_after_a_sink_was_mended_feeds_each_once() -> None:
    good, bad = Shelf(), Shelf(unusable="sink 'bad': wrong password")

    async def main() -> None:
        world = World()
        collector = world.collector(sinks={"good": good, "bad": bad})
        with pytest.raises(SinkError, match="wrong password"):
            async with collector:
                pass
        bad.unusable, bad.opened = "", 0
        async with collector:
            assert ["good", "bad"] == [one.name for one in collector.health().sinks]

    run_virtual(main())


class Stuck(Shelf):
    """One that never comes back from being opened."""

    async def open(self) -> None:
        await asyncio.sleep(10**9)


def test_a_sink_that_is_never_open_does_not_hold_up_the_start_for_ever() -> None:
    async def test(_: World, __: Collector) -> None:
        raise AssertionError("it began")

    with pytest.raises(SinkError, match="'shelf': no answer within 60 s"):
        play(test, sinks={"shelf": Stuck()})


def test_a_sink_gets_the_latest_quote_of_each_series() -> None:
    prices = Prices()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@quotes")
        await collector.add("scripted:ETH/USD@quotes")
        await asyncio.sleep(1)
        for bid in range(1, 4):
            world.stream.say({"quote": ["BTC/USD", bid, 9]})
            await asyncio.sleep(1)
        prices.slow_s = 10.0
        for bid in range(4, 9):
            world.stream.say({"quote": ["BTC/USD", bid, 9]})
            world.stream.say({"quote": ["ETH/USD", bid, 9]})
            await asyncio.sleep(1)
        await asyncio.sleep(30)
        prices.away = True
        world.stream.say({"quote": ["BTC/USD", 20, 29]})
        world.stream.say({"quote": ["ETH/USD", 20, 29]})
        await asyncio.sleep(20)
        world.stream.say({"quote": ["BTC/USD", 21, 29]})
        prices.away = False
        await asyncio.sleep(60)

    play(test, sinks={"prices": prices})
    btc, eth = "scripted:BTC/USD@quotes", "scripted:ETH/USD@quotes"
    assert [{btc: "1"}, {btc: "2"}, {btc: "3"}, {btc: "4", eth: "4"}] == prices.quotes[:4]
    assert {btc: "8", eth: "8"} in prices.quotes
    assert {btc: "21", eth: "20"} == prices.quotes[-1]
    assert len(prices.quotes) <= 8


@attrs.define(eq=False)
class Tracker:
    """A follower that remembers what it heard, and what befalls it."""

    heard: list[tuple[list[int], int, bool]] = attrs.field(factory=list)
    raises: list[Exception] = attrs.field(factory=list)

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    async def follow(
        self, store: Store, candles: Sequence[SeriesCandle], *, after_seq: int, whole: bool
    ) -> None:
        if self.raises:
            raise self.raises.pop(0)
        assert list(candles) == list(await store.committed(after_seq, limit=500))
        self.heard.append(([one.seq for one in candles], after_seq, whole))


@attrs.frozen(eq=False)
class Tracked:
    """A hot layer elsewhere, of which nothing can be read."""

    tracker: Tracker

    def follower(self) -> Follower:
        return self.tracker

    def reader(self, store: Store) -> CacheReader:
        return Away()


class Away:
    """A cache that is away."""

    closed = 0

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        return None

    async def latest(self, series: Series) -> SeriesCandle | None:
        return None

    async def standing(self) -> Standing | None:
        return None

    async def aclose(self) -> None:
        Away.closed += 1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def test_what_follows_the_store_hears_of_all_and_that_there_is_no_more_every_ten_seconds() -> None:
    """What it raises, and even a bug of it, is said, and the same comes again: nothing is parked."""
    tracker = Tracker()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        tracker.raises += [SinkError("hot layer: away"), ZeroDivisionError(), StoreError("store: busy")]
        await world.next_minute(1)
        world.trade(102)
        await asyncio.sleep(25)
        [health] = collector.health().sinks
        assert ("hot", 1, 0, (), "") == (health.name, health.seq, health.lag, health.parked, health.trouble)
        found = await collector.reader("scripted:BTC/USD@1m").range("2020-01-01")
        assert [1] == [one.seq for one in found]

    play(test, hot=Tracked(tracker))
    assert [] == tracker.raises
    heard = [one for one in tracker.heard if one[0]]
    assert [([1], 0, True)] == heard
    later = tracker.heard[tracker.heard.index(heard[0]) + 1 :]
    assert {((), 1, True)} == {(tuple(seqs), after, whole) for seqs, after, whole in later}
    assert 2 <= len(later) <= 5
    assert 1 == Away.closed


def test_no_sink_is_called_as_the_hot_layer_is() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="sink 'hot': what feeds the hot layer is called so"):
            async with World().collector(sinks={"hot": Shelf()}, hot=Tracked(Tracker())):
                pass

    run_virtual(main())
