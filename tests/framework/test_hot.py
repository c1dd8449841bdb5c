"""Two layers are read as one: what comes is what the store alone would say, whatever the hot one holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.framework.scripted import SERIES
from tests.framework.test_collector import World, accepted, play
from wickwire import (
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Evidence,
    MemoryStore,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    StoreError,
    Timeframe,
    UsageError,
)
from wickwire.collector import Collector
from wickwire.hot import Bound, Held, HotMemory, SeriesReader

START = 30_000_000
"""The first minute, in 2027."""
ALL = [Series("kraken", symbol, Timeframe.parse("1m")) for symbol in ("A", "B", "C")]


class Counted(MemoryStore):
    """A store that counts how often candles are read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.away = False

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        self.reads += 1
        if self.away:
            raise StoreError("store: away")
        return await super().candles(series, since_ns, until_ns, limit=limit)

    async def latest(self, series: Series) -> SeriesCandle | None:
        self.reads += 1
        return await super().latest(series)


def at(minute: int) -> int:
    return (START + minute) * MINUTE_NS


def change(series: Series, minutes: Sequence[int], price: int) -> Change:
    value = Decimal(price)
    closings = []
    for minute in minutes:
        opens = at(minute)
        candle = Candle(
            series.symbol, series.timeframe, opens, opens + MINUTE_NS, value, value, value, value, value
        )
        closings.append(Closing(candle, Evidence.HISTORY, Rung.POLL))
    return Change(state=SeriesState(series=series, origin_ns=0, frontier_ns=0), closings=closings)


def told(candles: Sequence[SeriesCandle]) -> list[tuple[int, int, str, int]]:
    return [(one.open_ns, one.revision, str(one.close), one.seq) for one in candles]


series_ = st.sampled_from(ALL)
minutes_ = st.lists(st.integers(0, 30), min_size=1, max_size=5)


class TwoLayers(RuleBasedStateMachine):
    """Commits of this process and of others before it, what is forgotten, and time that passes."""

    bound: ClassVar[Bound]
    limit: ClassVar[float]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = Counted()
        self.now_s = 0.0
        self.hot = HotMemory(self.bound, self.limit, window_ns=10 * MINUTE_NS, timer=lambda: self.now_s)
        self.collected: dict[Series, None] = {}

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    @rule(one=series_)
    def begin(self, one) -> None:
        self.hot.begin(one, self.run(self.store.load(one)))
        self.collected[one] = None

    @rule(one=series_)
    def forget(self, one) -> None:
        self.hot.forget(one)
        self.collected.pop(one, None)

    @rule(
        one=series_,
        minutes=minutes_,
        price=st.integers(1, 3),
    )
    def commit(self, one, minutes, price) -> None:
        """What is not collected here another process may commit, of which nothing is heard."""
        news = self.run(self.store.commit([change(one, minutes, price)]))
        if one in self.collected:
            self.hot.commit(news)

    @rule(one=series_, seconds=st.sampled_from([1, 30, 100]))
    def time_passes(self, one, seconds) -> None:
        self.now_s += seconds

    @precondition(lambda self: self.collected)
    @rule(one=series_, since=st.integers(-1, 32), length=st.integers(0, 32))
    def read(self, one, since, length) -> None:
        since_ns, until_ns = at(since), at(since + length)
        reader = SeriesReader(one, self.store, self.hot)
        expected = self.run(self.store.candles(one, since_ns, until_ns, limit=10**6))
        assert told(expected) == told(self.run(reader.range(since_ns, until_ns)))

    @rule(one=series_)
    def read_the_latest(self, one) -> None:
        found = self.run(SeriesReader(one, self.store, self.hot).latest())
        expected = self.run(self.store.latest(one))
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert told([expected]) == told([found])

    @invariant()
    def it_is_bounded(self) -> None:
        if self.bound is Bound.SIZE:
            assert len(self.hot) <= self.limit
        assert len(self.hot) <= 11 * len(ALL)

    def teardown(self) -> None:
        self.loop.close()


class BySize(TwoLayers):
    bound, limit = Bound.SIZE, 12.0


class ByUse(TwoLayers):
    bound, limit = Bound.LRU, 2.0


class ByAge(TwoLayers):
    bound, limit = Bound.TTL, 60.0


for machine in (BySize, ByUse, ByAge):
    machine.TestCase.settings = settings(stateful_step_count=30)
TestBySize, TestByUse, TestByAge = BySize.TestCase, ByUse.TestCase, ByAge.TestCase


def held(hot: HotMemory, series: Series) -> Held | None:
    return asyncio.run(hot.held(series, 0, 2**62))


def test_what_is_hot_is_read_without_the_store() -> None:
    async def main() -> None:
        store, hot = Counted(), HotMemory()
        await store.commit([change(ALL[0], range(100), 1)])
        hot.begin(ALL[0], await store.load(ALL[0]))
        hot.commit(await store.commit([change(ALL[0], [100], 1)]))
        reader = SeriesReader(ALL[0], store, hot)
        assert 61 == len(await reader.range(at(40), at(200)))
        latest = await reader.latest()
        assert latest is not None
        assert at(100) == latest.open_ns
        assert 0 == store.reads
        assert 101 == len(await reader.range(at(0), at(200)))
        assert 0 < store.reads
        store.away = True
        with pytest.raises(StoreError, match="away"):
            await reader.range(at(0), at(200))
        assert 61 == len(await reader.range(at(40), at(200)))

    asyncio.run(main())


def test_of_a_series_the_last_hour_is_held_and_who_is_not_used_goes() -> None:
    hot, store = HotMemory(Bound.LRU, 2), MemoryStore()
    for one in ALL[:2]:
        hot.begin(one, None)
        hot.commit(asyncio.run(store.commit([change(one, range(600), 1)])))
    assert 2 * 61 == len(hot)
    assert held(hot, ALL[0]) is not None  # used later than the second
    hot.begin(ALL[2], None)
    assert held(hot, ALL[1]) is None
    assert held(hot, ALL[0]) is not None


@pytest.mark.parametrize(
    ("bound", "limit", "text"),
    [
        ("fifo", 5, "not a bound of a hot layer: 'fifo'; there are ttl, lru, size"),
        ("lru", 0, "has to have room"),
    ],
)
def test_what_cannot_be_meant_is_refused(bound, limit, text) -> None:
    with pytest.raises(UsageError, match=text):
        HotMemory(bound, limit)


def test_a_collector_reads_what_it_collects_from_memory_and_never_what_still_forms() -> None:
    store = Kept()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        for close in (101, 102, 103):
            await world.next_minute(1)
            world.trade(close)
        await asyncio.sleep(1)
        reads = store.reads
        found = await collector.reader("scripted:BTC/USD@1m").range("2020-01-01")
        assert ["100", "101", "102"] == [str(one.close) for one in found]
        latest = await collector.reader(SERIES).latest()
        assert latest is not None
        assert "102" == str(latest.close)
        assert reads == store.reads
        await collector.remove(SERIES)
        assert 3 == len(await collector.reader(SERIES).range("2020-01-01"))
        assert reads < store.reads
        with pytest.raises(UsageError, match="no candles"):
            collector.reader("scripted:BTC/USD@trades")

    play(test, World(store=store), hot=HotMemory(timer=lambda: 0.0))


class Kept(Counted):
    """A store that outlives its collector."""

    async def aclose(self) -> None:
        """Keep everything."""
