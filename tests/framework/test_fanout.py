"""What a consumer gets that is slower than what it consumes: by each policy, beside a plain model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.scripted import MINUTE_NS
from tests.framework.stepping import Stepped
from wickwire import (
    CandleState,
    Evidence,
    Policy,
    Quote,
    Series,
    SeriesCandle,
    SeriesQuote,
    SeriesTrade,
    StoreError,
    Trade,
    UsageError,
)
from wickwire.audience import Audience
from wickwire.fanout import PAGE, CandleReader, FeedReader, Reader
from wickwire.memory_store import MemoryStore
from wickwire.queues import Latest, Newest
from wickwire.simulate.loops import run_virtual, running_clock

SERIES = [Series.parse(f"scripted:{base}/USD@1m") for base in "ABC"]
WANTED = SERIES[:2]
LOSSY = [Policy.CONFLATE, Policy.DROP_OLDEST]
WHOLE = [Policy.SPILL, Policy.WAIT]


class Log(MemoryStore):
    """A store that holds what a test says was committed, and takes its time to show it."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.rows: list[SeriesCandle] = []
        self.delay_s = delay_s
        self.reads = 0
        self.broken = False

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        if self.broken:
            raise StoreError("closed")
        self.reads += 1
        rows = [row for row in self.rows if row.seq > after_seq][:limit]
        await asyncio.sleep(self.delay_s)
        return rows

    def add(self, *whose: Series) -> list[SeriesCandle]:
        """Commit a candle of each."""
        news = [candle(series, len(self.rows) + number) for number, series in enumerate(whose, 1)]
        self.rows += news
        return news


def candle(series: Series, seq: int) -> SeriesCandle:
    price, opens = Decimal(seq), seq * MINUTE_NS
    bucket, prices = (series, opens, opens + MINUTE_NS), (price, price, price, price)
    state, evidence = CandleState.CLOSED, Evidence.VENUE
    return SeriesCandle(*bucket, *prices, Decimal(1), None, None, state, evidence, seq=seq)


def reader(store: Log, policy: Policy, bound: int) -> CandleReader:
    return CandleReader(store, set(WANTED), 0, policy=policy, bound=bound)


async def taken(one: Reader[SeriesCandle]) -> SeriesCandle | None:
    """The next candle; None where it has to be waited for."""
    try:
        async with asyncio.timeout(10):
            return await anext(one)
    except TimeoutError:
        return None


TAKE = None
STEPS = st.lists(st.one_of(st.just(TAKE), st.lists(st.sampled_from(SERIES), max_size=6)), max_size=25)


@given(st.sampled_from(WHOLE), st.integers(1, 4), STEPS)
def test_who_goes_on_from_the_store_gets_everything_once_in_order_and_holds_little(
    policy: Policy, bound: int, steps: list[list[Series] | None]
) -> None:
    async def main() -> None:
        store = Log()
        consumer, model = reader(store, policy, bound), list[SeriesCandle]()
        for step in steps:
            if step is TAKE:
                assert (model.pop(0) if model else None) == await taken(consumer)
            else:
                news = store.add(*step)
                consumer.deliver(news)
                model += [one for one in news if one.series in WANTED]
            assert consumer.waiting <= bound
            assert len(model) == consumer.waiting + consumer.unread, "what waits is known, wherever it does"
            assert bool(model) == (consumer.behind_s(0.0) is not None)
        assert (0, 0) == (consumer.dropped, consumer.conflated)
        consumer.end()
        assert model == [one async for one in consumer]

    run_virtual(main())


@given(st.sampled_from(LOSSY), st.integers(1, 4), STEPS)
def test_who_would_rather_lose_gets_what_the_queue_would_hold(
    policy: Policy, bound: int, steps: list[list[Series] | None]
) -> None:
    """Also at the start, when it reads what was committed before: as if it had been there."""

    async def main() -> None:
        store = Log()
        model: Latest[SeriesCandle] | Newest[SeriesCandle]
        model = Latest(bound) if policy is Policy.CONFLATE else Newest(bound)
        consumer = reader(store, policy, bound)
        for step in steps:
            if step is TAKE:
                assert (model.take() if len(model) else None) == await taken(consumer)
                assert (len(model), model.dropped, model.conflated) == (
                    consumer.waiting,
                    consumer.dropped,
                    consumer.conflated,
                )
            else:
                news = store.add(*step)
                consumer.deliver(news)
                for one in news:
                    if one.series in WANTED:
                        model.put(one.series, one)
            assert consumer.waiting <= bound

    run_virtual(main())


MOMENTS = st.lists(st.tuples(st.integers(0, 9), st.lists(st.sampled_from(SERIES), max_size=3)), max_size=20)


@given(st.sampled_from(Policy), st.integers(1, 3), MOMENTS, st.integers(0, 9), st.sampled_from([0.05, 0.7]))
def test_what_is_committed_while_the_store_is_read_is_neither_doubled_nor_out_of_order(
    policy: Policy, bound: int, commits: list[tuple[int, list[Series]]], slowness: int, lag_s: float
) -> None:
    """The store takes its time, and shows rows before the news of them was handed on, as a writer may."""

    async def main() -> None:
        store = Log(delay_s=0.25)
        consumer, seen = reader(store, policy, bound), list[SeriesCandle]()

        async def write() -> None:
            for pause, whose in commits:
                await asyncio.sleep(pause / 10)
                news = store.add(*whose)
                await asyncio.sleep(lag_s)
                consumer.deliver(news)
            await asyncio.sleep(60)
            consumer.end()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            async for one in consumer:
                seen.append(one)
                assert consumer.waiting <= bound
                assert 0 <= consumer.unread <= len(store.rows)
                await asyncio.sleep(slowness / 10)
        assert 0 == consumer.unread
        wanted = [one for one in store.rows if one.series in WANTED]
        if policy in WHOLE:
            assert wanted == seen
            return
        assert len(wanted) == len(seen) + consumer.dropped + consumer.conflated
        assert {one.seq for one in seen} <= {one.seq for one in wanted}
        for series in WANTED:
            of_one = [one.seq for one in seen if one.series == series]
            assert of_one == sorted(set(of_one))
        assert not wanted or wanted[-1] in seen, "the newest is never lost"

    run_virtual(main())


@pytest.mark.parametrize("policy", Policy)
def test_news_of_what_was_read_already_is_none(policy: Policy) -> None:
    async def main() -> None:
        store = Log()
        consumer = reader(store, policy, 8)
        news = store.add(SERIES[0], SERIES[1])
        assert news == [await taken(consumer), await taken(consumer)]
        assert None is await taken(consumer)
        consumer.deliver(news)
        consumer.deliver([*news, *store.add(SERIES[0])])
        assert store.rows[2] == await taken(consumer)
        assert None is await taken(consumer)

    run_virtual(main())


def test_who_waits_is_handed_nothing_before_it_took_what_it_has() -> None:
    async def main() -> None:
        store = Log()
        waiting, spilling = reader(store, Policy.WAIT, 2), reader(store, Policy.SPILL, 2)
        assert (None, None) == (await taken(waiting), await taken(spilling))
        for consumer in (waiting, spilling):
            consumer.deliver(store.add(SERIES[0]))
        assert (0, 1) == (waiting.waiting, spilling.waiting)
        reads = store.reads
        assert store.rows[1] == (await taken(spilling))
        assert reads == store.reads, "who keeps up needs no store"
        assert store.rows[0] == await taken(waiting)
        assert reads < store.reads

    run_virtual(main())


def test_for_how_long_something_has_waited_is_counted_from_when_nothing_did() -> None:
    async def main() -> None:
        store, loop = Log(), asyncio.get_running_loop()
        consumer = reader(store, Policy.WAIT, 2)
        assert consumer.behind_s(loop.time()) is None
        for waits_s in (10.0, 20.0, 30.0):
            consumer.deliver(store.add(SERIES[0]))
            await asyncio.sleep(10)
            assert waits_s == consumer.behind_s(loop.time())
        for left in (2, 1):
            await anext(consumer)
            assert (left, 30.0) == (consumer.waiting + consumer.unread, consumer.behind_s(loop.time()))
        await anext(consumer)
        assert consumer.behind_s(loop.time()) is None, "what it has in hand waits for nothing"
        consumer.deliver(store.add(SERIES[2]))
        assert consumer.behind_s(loop.time()) is None, "others' candles are not waited with"

    run_virtual(main())


def test_a_candle_that_is_revised_while_it_waits_is_counted_for_each_time_until_it_is_read() -> None:
    """The store shows the last version alone; whoever reads past it knows that nothing else waits."""

    async def main() -> None:
        store = Log()
        consumer = reader(store, Policy.WAIT, 4)
        consumer.deliver(store.add(SERIES[0]))
        consumer.deliver(store.add(SERIES[0]))
        del store.rows[0]
        assert 2 == consumer.unread
        assert store.rows[0] == await anext(consumer)
        assert (0, 0) == (consumer.waiting, consumer.unread)

    run_virtual(main())


def test_a_small_bound_does_not_make_the_store_be_read_for_each_candle_of_others() -> None:
    async def main() -> None:
        store = Log()
        store.add(*[SERIES[2]] * (3 * PAGE), SERIES[0])
        assert store.rows[-1] == await taken(reader(store, Policy.SPILL, 1))
        assert 4 == store.reads

    run_virtual(main())


@pytest.mark.parametrize("policy", Policy)
def test_a_stopped_consumer_ends_at_once_forgets_what_waits_and_takes_nothing(policy: Policy) -> None:
    async def main() -> None:
        store = Log(delay_s=1)
        consumer = reader(store, policy, 8)
        assert None is await taken(consumer)
        consumer.deliver(store.add(*SERIES))
        consumer.stop()
        consumer.deliver(store.add(*SERIES))
        assert [] == [one async for one in consumer]
        assert 0 == consumer.waiting

        late = reader(store, policy, 8)  # stopped while it reads
        asyncio.get_running_loop().call_later(0.5, late.stop)
        assert [] == [one async for one in late]
        assert 0 == late.waiting

    run_virtual(main())


@pytest.mark.parametrize("policy", Policy)
def test_a_store_that_is_closed_ends_the_iteration_of_who_was_told_so(policy: Policy) -> None:
    async def main() -> None:
        store = Log()
        consumer = reader(store, policy, 8)
        store.broken = True
        with pytest.raises(StoreError):
            await anext(consumer)
        consumer.leave()
        assert [] == [one async for one in consumer]

    run_virtual(main())


# ------------------------------------------------------------------------------------- trades and quotes


TRADES = Series.parse("scripted:BTC/USD@trades")


def trade(number: int, symbol: str = "BTC/USD") -> Trade:
    return Trade(symbol, str(number), Decimal(number), Decimal(1), None, number)


def test_of_quotes_that_are_conflated_the_latest_of_each_series_comes() -> None:
    async def main() -> None:
        quotes = FeedReader[SeriesQuote](Policy.CONFLATE)
        for at in range(100):
            for symbol in ("BTC/USD", "ETH/USD"):
                key = Series.parse(f"scripted:{symbol}@quotes")
                quotes.put(key, Quote(symbol, Decimal(at), Decimal(1), Decimal(at), Decimal(1), at))
        quotes.end()
        assert [("BTC/USD", 99), ("ETH/USD", 99)] == [(one.symbol, one.time_ns) async for one in quotes]
        assert (198, 0) == (quotes.conflated, quotes.dropped)

    run_virtual(main())


def test_that_a_consumer_begins_to_lose_is_told_once_and_again_after_it_had_caught_up() -> None:
    async def main() -> None:
        told: list[int] = []
        trades = FeedReader[SeriesTrade](bound=3)
        trades.loses = lambda consumer: told.append(consumer.dropped)
        for number in range(10):
            trades.put(TRADES, trade(number))
        assert [1] == told
        assert "7" == (await anext(trades)).id
        for number in range(10, 13):
            trades.put(TRADES, trade(number))
        assert [1] == told, "it never caught up"
        for _ in range(3):
            await anext(trades)
        for number in range(4):
            trades.put(TRADES, trade(number))
        assert 2 == len(told)

    run_virtual(main())


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy.WAIT, "the venue goes on talking.*use Policy.DROP_OLDEST or Policy.CONFLATE"),
        (Policy.SPILL, "not stored.*use Policy.DROP_OLDEST or Policy.CONFLATE"),
        ("drop", "not a policy: 'drop'; write Policy.SPILL, Policy.WAIT"),
    ],
)
def test_what_a_feed_cannot_do_is_refused_with_what_to_use(policy: Policy, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        FeedReader[SeriesTrade](policy)


def test_nobody_is_woken_for_candles_that_others_want() -> None:
    """A host with hundreds of readers would wake them all for each candle."""

    async def main() -> None:
        store, audience = Log(), Audience(running_clock(), lambda _: None)
        readers = [CandleReader(store, {series}, 0, name=str(series)) for series in SERIES]
        everything = CandleReader(store, None, 0, name="everything")
        for one in (*readers, everything):
            audience.seat(one)
        woken = [Stepped(_read(one)) for one in (*readers, everything)]
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(_driven(one), name="reads") for one in woken]
            await asyncio.sleep(1)
            begun = [one.steps for one in woken]
            for _ in range(10):
                audience.deliver(store.add(SERIES[0]))
                await asyncio.sleep(1)
            assert [10, 0, 0, 10] == [one.steps - before for one, before in zip(woken, begun, strict=True)]
            for task in reading:
                task.cancel()

    run_virtual(main())


async def _read(reader: CandleReader) -> None:
    async for _ in reader:
        pass


async def _driven(stepped: Stepped[None]) -> None:
    await stepped


def test_those_who_want_a_candle_get_it_in_the_order_in_which_they_came() -> None:
    class Told(CandleReader):
        def deliver(self, news: Sequence[SeriesCandle]) -> None:
            order.append(self.name)

    order: list[str] = []

    async def main() -> None:
        store, audience = Log(), Audience(running_clock(), lambda _: None)
        wants = [{SERIES[1]}, None, {SERIES[0]}, {*SERIES[:2]}, {SERIES[2]}, None]
        readers = [Told(store, series, 0, name=f"{place}") for place, series in enumerate(wants)]
        for one in readers:
            audience.seat(one)
        audience.deliver(store.add(SERIES[0], SERIES[1]))

    run_virtual(main())
    assert [*"01235"] == order
