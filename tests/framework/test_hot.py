"""Two layers are read as one: what comes is what the store alone would say, whatever the hot one holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
    Loaded,
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
from wickwire.hot import Bound, HotMemory, SeriesReader

START = 30_000_000
"""The first minute, in 2027."""
ALL = [Series("kraken", symbol, Timeframe.parse("1m")) for symbol in ("A", "B", "C")]


class Counted(MemoryStore):
    """A store that counts how often candles are read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = self.loads = 0
        self.away = False
        self.between: Callable[[], Awaitable[None]] | None = None

    async def load(self, series: Series) -> Loaded | None:
        self.loads += 1
        loaded = await super().load(series)
        if self.between is not None:
            between, self.between = self.between, None
            await between()
        return loaded

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
        self.hot.attach(self.store, 0)
        self.collected: dict[Series, None] = {}
        self.strangers = False

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    @rule(one=series_)
    def begin(self, one) -> None:
        self.hot.begin(one)
        self.collected[one] = None

    @rule(one=series_)
    def forget(self, one) -> None:
        self.hot.forget(one)
        self.collected.pop(one, None)

    @rule(one=series_, minutes=minutes_, price=st.integers(1, 3))
    def commit(self, one, minutes, price) -> None:
        self.hot.commit(self.run(self.store.commit([change(one, minutes, price)])))
        self.strangers = False

    @rule(one=series_, minutes=minutes_, price=st.integers(1, 3))
    def another_process_commits(self, one, minutes, price) -> None:
        """Which is noticed with the next commit of this one."""
        self.strangers = bool(self.run(self.store.commit([change(one, minutes, price)]))) or self.strangers

    @rule(one=series_, seconds=st.sampled_from([1, 30, 100]))
    def time_passes(self, one, seconds) -> None:
        self.now_s += seconds

    @precondition(lambda self: not self.strangers)
    @rule(one=series_, since=st.integers(-1, 32), length=st.integers(0, 32))
    def read(self, one, since, length) -> None:
        since_ns, until_ns = at(since), at(since + length)
        reader = SeriesReader(one, self.store, self.hot)
        expected = self.run(self.store.candles(one, since_ns, until_ns, limit=10**6))
        assert told(expected) == told(self.run(reader.range(since_ns, until_ns)))

    @precondition(lambda self: not self.strangers)
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


def test_what_is_hot_is_read_without_the_store() -> None:
    async def main() -> None:
        store, hot = Counted(), HotMemory()
        await store.commit([change(ALL[0], range(100), 1)])
        hot.attach(store, await store.last_seq())
        hot.begin(ALL[0])
        reader = SeriesReader(ALL[0], store, hot)
        assert 60 == len(await reader.range(at(40), at(200)))
        hot.commit(await store.commit([change(ALL[0], [100], 1)]))
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


@pytest.mark.parametrize(("bound", "limit"), [(Bound.LRU, 2), (Bound.SIZE, 2 * 61)])
def test_who_is_read_stays_however_much_is_committed_of_others(bound: Bound, limit: int) -> None:
    async def main() -> None:
        store, hot = Counted(), HotMemory(bound, limit)
        hot.attach(store, 0)
        for one in ALL:
            hot.begin(one)
            await SeriesReader(one, store, hot).latest()
        store.loads = 0
        for minute in range(100):
            hot.commit(await store.commit([change(one, [minute], 1) for one in ALL]))
            assert await SeriesReader(ALL[2], store, hot).latest() is not None
        assert 0 == store.loads
        assert 2 * 61 == len(hot), "an hour of each of two"

    asyncio.run(main())


def test_who_is_quiet_for_too_long_goes_and_comes_back_when_it_is_read() -> None:
    async def main() -> None:
        now_s, store = 0.0, Counted()
        hot = HotMemory(Bound.TTL, 60, timer=lambda: now_s)
        hot.attach(store, 0)
        hot.begin(ALL[0])
        reader = SeriesReader(ALL[0], store, hot)
        assert await reader.latest() is None
        now_s = 100.0
        hot.commit(await store.commit([change(ALL[0], [1], 1)]))
        assert 0 == len(hot)
        assert await reader.latest() is not None
        assert 1 == len(hot)

    asyncio.run(main())


def test_what_is_committed_while_the_store_is_asked_is_not_missed() -> None:
    async def main() -> None:
        store, hot = Counted(), HotMemory()
        hot.attach(store, 0)
        hot.begin(ALL[0])
        reader = SeriesReader(ALL[0], store, hot)

        async def between() -> None:
            hot.commit(await store.commit([change(ALL[0], [1], 1)]))

        store.between = between
        await reader.range(at(0))
        assert [at(1)] == [one.open_ns for one in await reader.range(at(0))]

    asyncio.run(main())


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
