"""What every store promises of what it forgets: what is gone is known to be gone, whoever commits next."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.test_store import BTC, ETH, STORES, closing, opened, row, told
from wickwire import (
    DAY_NS,
    FORGET_ROWS,
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Cursor,
    Evidence,
    Forgotten,
    Hole,
    MemoryStore,
    Rung,
    Series,
    SeriesState,
    Store,
    Trade,
    TradeBatch,
    TradeStore,
    Unknown,
    once_forgotten,
    reconciled,
    remembered_stretches,
)
from wickwire.instants import FIRST_NS
from wickwire.trade_store import Stretch

HISTORY = Evidence.HISTORY
TRADES = Series.parse("kraken:BTC/USD@trades")


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> Store:
    return STORES[request.param](tmp_path)


def known(
    since: int, until: int, *holes: tuple[int, int], series: Series = BTC, forgotten: Forgotten | None = None
) -> SeriesState:
    """A state in minutes."""
    return SeriesState(
        series=series,
        origin_ns=since * MINUTE_NS,
        frontier_ns=until * MINUTE_NS,
        holes=tuple(Hole(begin * MINUTE_NS, end * MINUTE_NS) for begin, end in holes),
        forgotten=forgotten,
    )


def filled(state: SeriesState, price: str = "10", evidence: Evidence = Evidence.SUCCESSOR) -> Change:
    """A change that closes every minute of *state* that lies in no hole."""
    minutes = range(state.origin_ns // MINUTE_NS, state.frontier_ns // MINUTE_NS)
    lacking = {ns // MINUTE_NS for one in state.holes for ns in range(one.since_ns, one.until_ns, MINUTE_NS)}
    closings = [closing(minute, price, evidence) for minute in minutes if minute not in lacking]
    return Change(state=state, closings=closings)


async def minutes(store: Store, series: Series = BTC) -> list[int]:
    return [one.open_ns // MINUTE_NS for one in await store.candles(series, -(2**62), 2**62, limit=10**6)]


async def state_of(store: Store, series: Series = BTC) -> SeriesState:
    loaded = await store.load(series)
    assert loaded is not None
    return loaded.state


# ------------------------------------------------------------------------------------------- what goes


def test_what_is_older_goes_from_every_place_in_which_it_is_found(store):
    """Kept is what opened within a bucket before: its bucket was not over then, or only just."""

    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10)), Change(state=known(0, 3, series=ETH))])
            await store.commit([Change(state=known(0, 10), closings=[closing(1, "11", HISTORY)])])

            assert 5 == await store.forget(6 * MINUTE_NS)

            assert [5, 6, 7, 8, 9] == await minutes(store)
            loaded = await store.load(BTC)
            assert loaded is not None
            assert [5, 6, 7, 8, 9] == [one.open_ns // MINUTE_NS for one in loaded.tail]
            assert [(minute, "10", 0, minute + 1) for minute in range(5, 10)] == told(
                await store.committed(0, limit=99)
            )
            latest = await store.latest(BTC)
            assert latest is not None
            assert latest.open_ns == 9 * MINUTE_NS
            assert 11 == await store.last_seq(), "no number is given twice"
            assert [] == list(await store.check())
            assert 0 == await store.forget(6 * MINUTE_NS)

    asyncio.run(main())


def test_the_state_says_what_was_forgotten_and_begins_there(store):
    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 20, (1, 3), (4, 8), (10, 12)))])

            await store.forget(7 * MINUTE_NS)
            once = known(6, 20, (6, 8), (10, 12), forgotten=Forgotten(6 * MINUTE_NS, 1))
            assert once == await state_of(store)
            assert [once] == list(await store.states())

            await store.forget(7 * MINUTE_NS)
            assert once == await state_of(store), "there was nothing more to forget"

            await store.forget(14 * MINUTE_NS)
            assert known(13, 20, forgotten=Forgotten(13 * MINUTE_NS, 2)) == await state_of(store)

    asyncio.run(main())


def test_a_series_that_ended_long_ago_is_known_to_have_been(store):
    """Nobody asks for it again: where it goes on one day, it goes on from there."""

    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 3))])
            assert 3 == await store.forget(100 * MINUTE_NS)

            assert [] == await minutes(store)
            assert known(99, 99, forgotten=Forgotten(99 * MINUTE_NS, 1)) == await state_of(store)
            assert await store.latest(BTC) is None

    asyncio.run(main())


def test_one_series_can_be_forgotten_alone(store):
    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 4)), filled(known(0, 4, series=ETH))])
            assert 3 == await store.forget(4 * MINUTE_NS, series=BTC)
            assert ([3], [0, 1, 2, 3]) == (await minutes(store), await minutes(store, ETH))
            assert (await state_of(store, ETH)).forgotten is None
            assert 0 == await store.forget(4 * MINUTE_NS, series=Series.parse("kraken:LTC/USD@1m"))
            assert await store.load(Series.parse("kraken:LTC/USD@1m")) is None

    asyncio.run(main())


def test_the_last_candle_of_a_long_timeframe_stays_while_its_bucket_runs(store):
    month = Series.parse("kraken:BTC/USD@1mo")
    day_ns = 1_440 * MINUTE_NS

    async def main():
        async with opened(store):
            closings = [
                Closing(
                    Candle(
                        month.symbol,
                        month.timeframe,
                        at * day_ns,
                        (at + 31) * day_ns,
                        *(Decimal(1),) * 5,
                    ),
                    HISTORY,
                    Rung.POLL,
                )
                for at in (0, 31)
            ]
            state = SeriesState(series=month, origin_ns=0, frontier_ns=62 * day_ns)
            await store.commit([Change(state=state, closings=closings)])

            await store.forget((62 - 7) * day_ns)

            found = await store.candles(month, 0, 2**62, limit=9)
            assert [31] == [one.open_ns // day_ns for one in found]

    asyncio.run(main())


def test_more_than_one_batch_goes_while_others_commit(store):
    count = 2 * FORGET_ROWS + 10

    async def main():
        async with opened(store):
            await store.commit([filled(known(0, count))])
            async with asyncio.TaskGroup() as tasks:
                forgetting = tasks.create_task(store.forget((count - 5) * MINUTE_NS))
                latest = known(0, count + 1)
                await store.commit([Change(state=latest, closings=[closing(count)])])

            assert count - 6 == forgetting.result()
            assert [*range(count - 6, count + 1)] == await minutes(store)

    asyncio.run(main())


# --------------------------------------------------------------------------------- who commits afterwards


def test_who_does_not_know_of_it_cannot_claim_it_again(store):
    """A collector in another process, or a change that was on its way: its ledger knows the old origin."""

    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10, (2, 4)))])
            await store.forget(7 * MINUTE_NS)

            late = Change(state=known(0, 11, (2, 4)), closings=[closing(3, "11"), closing(10)])
            news = await store.commit([late])

            assert [10] == [one.open_ns // MINUTE_NS for one in news]
            assert known(6, 11, forgotten=Forgotten(6 * MINUTE_NS, 1)) == await state_of(store)
            assert [6, 7, 8, 9, 10] == await minutes(store)

    asyncio.run(main())


def test_who_knows_of_it_may_ask_for_the_past_again_and_that_stays(store):
    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10))])
            await store.forget(7 * MINUTE_NS)
            seen = (await state_of(store)).forgotten

            again = known(2, 10, (4, 6), forgotten=seen)
            await store.commit([Change(state=again, closings=[closing(2), closing(3)])])

            assert again == await state_of(store)
            assert [2, 3, 6, 7, 8, 9] == await minutes(store)

    asyncio.run(main())


def test_forgetting_the_same_time_again_is_news_to_who_knew_of_the_first(store):
    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10))])
            await store.forget(7 * MINUTE_NS)
            seen = (await state_of(store)).forgotten
            again = known(2, 10, forgotten=seen)
            await store.commit([filled(again)])

            assert 4 == await store.forget(7 * MINUTE_NS)
            await store.commit([Change(state=again)])

            assert known(6, 10, forgotten=Forgotten(6 * MINUTE_NS, 2)) == await state_of(store)
            assert [6, 7, 8, 9] == await minutes(store)

    asyncio.run(main())


def test_a_sink_that_has_not_had_it_goes_on_behind_it(store):
    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10))])
            await store.move("redis", Cursor(seq=2))
            await store.forget(7 * MINUTE_NS)

            assert {"redis": Cursor(seq=2)} == await store.cursors()
            assert [7, 8, 9, 10] == [one.seq for one in await store.committed(2, limit=99)]

    asyncio.run(main())


def test_an_audit_takes_what_is_forgotten_for_no_fault(store):
    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10, (1, 3)))])
            await store.forget(7 * MINUTE_NS)
            found = await store.audit(BTC, 0, 10 * MINUTE_NS, grid=Unknown())

            assert found is not None
            assert (4, [], {}) == (found.candles, list(found.holes), dict(found.faults))
            assert ([(0, 6 * MINUTE_NS)], 6 * MINUTE_NS) == (list(found.never_known), found.forgotten_ns)

    asyncio.run(main())


# ---------------------------------------------------------------------------------------------- trades


def trade(at: int, name: str = "") -> Trade:
    return Trade(TRADES.symbol, name or str(at), Decimal(1), Decimal(1), None, at)


def test_old_trades_go_and_no_stretch_reaches_back_to_them(store):
    async def main():
        async with opened(store):
            assert isinstance(store, TradeStore)
            await store.put_trades(
                [
                    TradeBatch(series=TRADES, trades=[trade(at) for at in range(5)], stretch=Stretch(0, 4)),
                    TradeBatch(series=TRADES, trades=[trade(9), trade(20)], stretch=Stretch(9, 20)),
                ]
            )
            assert 6 == await store.forget_trades(12)

            assert [20] == [one.trade.time_ns for one in await store.trades(TRADES, 0, 99, limit=99)]
            assert {TRADES: [Stretch(12, 20)]} == {
                series: list(stretches) for series, stretches in (await store.tapes()).items()
            }
            late = TradeBatch(series=TRADES, trades=[trade(25)], stretch=Stretch(4, 25))
            assert 1 == await store.put_trades([late])
            assert [Stretch(12, 25)] == list((await store.tapes())[TRADES]), "what goes on from there too"

    asyncio.run(main())


def test_numbers_grow_although_all_trades_are_gone(store):
    """Who reads on from the last number that he saw would miss what came with a lower one."""

    async def main():
        async with opened(store):
            assert isinstance(store, TradeStore)
            await store.put_trades([TradeBatch(series=TRADES, trades=[trade(at) for at in range(5)])])
            last = (await store.trades(TRADES, 0, 99, limit=99))[-1].number
            assert 5 == await store.forget_trades(50, series=TRADES)
            await store.put_trades([TradeBatch(series=TRADES, trades=[trade(60)])])

            assert [60] == [
                one.trade.time_ns for one in await store.trades(TRADES, 0, 99, after=last, limit=9)
            ]
            assert 0 == await store.forget_trades(99, series=Series.parse("kraken:ETH/USD@trades"))

    asyncio.run(main())


def test_a_number_is_not_given_again_where_a_late_trade_goes_with_the_others(store):
    """It came while old ones were taken out, and was as old as they are."""

    async def main():
        async with opened(store):
            assert isinstance(store, TradeStore)
            await store.put_trades([TradeBatch(series=TRADES, trades=[trade(at) for at in range(5)])])
            async with asyncio.TaskGroup() as tasks:
                forgetting = tasks.create_task(store.forget_trades(50))
                await asyncio.sleep(0)
                await store.put_trades([TradeBatch(series=TRADES, trades=[trade(9)])])
            assert 5 <= forgetting.result() <= 6
            await store.forget_trades(50)

            await store.put_trades([TradeBatch(series=TRADES, trades=[trade(60)])])
            [left] = await store.trades(TRADES, 0, 99, limit=9)
            assert (60, 7) == (left.trade.time_ns, left.number)

    asyncio.run(main())


def test_an_age_of_more_years_than_there_are_makes_nothing_old(store):
    """A million days ago no 64 bits hold the time."""
    before_ns = -1_000_000 * DAY_NS

    async def main():
        async with opened(store):
            await store.commit([filled(known(0, 10))])
            assert 0 == await store.forget(before_ns)
            assert [] == list(await store.candles(BTC, FIRST_NS, before_ns, limit=9))
            assert known(0, 10) == await state_of(store)

            assert isinstance(store, TradeStore)
            await store.put_trades([TradeBatch(series=TRADES, trades=[trade(5)], stretch=Stretch(0, 5))])
            assert 0 == await store.forget_trades(before_ns)
            assert [] == list(await store.trades(TRADES, FIRST_NS, before_ns, limit=9))
            assert 1 == len(await store.trades(TRADES, 0, 99, limit=9))
            assert [Stretch(0, 5)] == list((await store.tapes())[TRADES])

    asyncio.run(main())


def test_many_trades_go_in_batches(store):
    async def main():
        async with opened(store):
            assert isinstance(store, TradeStore)
            trades = [trade(at) for at in range(2 * FORGET_ROWS + 3)]
            await store.put_trades([TradeBatch(series=TRADES, trades=trades)])
            assert 2 * FORGET_ROWS + 1 == await store.forget_trades(2 * FORGET_ROWS + 1)
            assert 2 == len(await store.trades(TRADES, 0, 2**62, limit=9))

    asyncio.run(main())


# ---------------------------------------------------------------------------------------- what is pure

spans = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted)


@given(spans, st.lists(spans, max_size=4), st.integers(0, 50), st.integers(0, 50))
def test_a_change_that_does_not_know_never_claims_what_is_gone(span, lacking, before, other):
    """Whatever it says of the time before is left out; of the time after, nothing is."""
    apart, end = [], 0
    for begin, until in sorted(lacking):
        if end <= begin < until <= span[1]:
            apart.append((begin, until))
            end = until
    state = known(span[0], span[1], *apart)
    change = Change(state=state, closings=[Closing(row(at), HISTORY, Rung.POLL) for at in range(span[1])])
    forgotten = Forgotten(before * MINUTE_NS, 1)

    made = reconciled(change, forgotten)

    assert made.state.origin_ns >= forgotten.before_ns
    assert made.state.origin_ns <= made.state.frontier_ns
    assert all(hole.since_ns >= forgotten.before_ns for hole in made.state.holes)
    assert [one for one in change.closings if one.candle.open_ns >= forgotten.before_ns] == list(
        made.closings
    )
    knowing = attrs.evolve(change, state=attrs.evolve(state, forgotten=Forgotten(other * MINUTE_NS, 1)))
    assert reconciled(knowing, forgotten) is knowing
    assert reconciled(change, None) is change


@given(spans, st.integers(-5, 50))
def test_once_forgotten_nothing_is_old_any_more(span, before):
    state = known(*span)
    once = once_forgotten(state, before * MINUTE_NS)

    assert once_forgotten(once, before * MINUTE_NS) is once
    assert (once is state) == (state.origin_ns >= (before - 1) * MINUTE_NS)
    assert once.frontier_ns >= once.origin_ns


@given(st.lists(spans, max_size=4), st.integers(0, 50))
def test_what_is_left_of_stretches_is_what_lies_behind(told_spans, before):
    stretches = [Stretch(begin, end) for begin, end in told_spans]
    left = remembered_stretches(stretches, before)

    assert {at for one in stretches for at in range(one.since_ns, one.until_ns + 1) if at >= before} == {
        at for one in left for at in range(one.since_ns, one.until_ns + 1)
    }
    assert stretches == remembered_stretches(stretches, None)


def test_memory_forgets_ids_with_their_trades():
    """A process that runs for months would remember each for ever."""

    async def main():
        store = MemoryStore()
        await store.put_trades([TradeBatch(series=TRADES, trades=[trade(1), trade(9)])])
        await store.forget_trades(5)
        assert 1 == await store.put_trades([TradeBatch(series=TRADES, trades=[trade(1), trade(9)])])

    asyncio.run(main())
