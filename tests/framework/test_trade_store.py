"""What every store promises of trades: the same tests for each of them, and a model beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.test_store import STORES
from wickwire import (
    REAL,
    Series,
    Side,
    Store,
    StoredTrade,
    StoreError,
    Stretch,
    Trade,
    TradeAction,
    TradeBatch,
    TradeStore,
    joined_stretches,
)

BTC, ETH = (Series.parse(f"kraken:{symbol}@trades") for symbol in ("BTC/USD", "ETH/USD"))


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> Store:
    return STORES[request.param](tmp_path)


@asynccontextmanager
async def opened(store: Store) -> AsyncGenerator[TradeStore]:
    await store.open()
    assert isinstance(store, TradeStore)
    try:
        yield store
    finally:
        await store.aclose()


def trade(number: int, name: str = "", **more) -> Trade:
    given = {"price": Decimal("10.50"), "size": Decimal("1.5"), "side": Side.BUY, "time_ns": number, **more}
    return Trade(symbol=BTC.symbol, id=name or str(number), **given)


def batch(*trades: Trade, series: Series = BTC, stretch: Stretch | None = None) -> TradeBatch:
    return TradeBatch(series=series, trades=trades, stretch=stretch)


def test_what_is_put_comes_back_exactly_in_the_order_in_which_it_came(store):
    said = [
        trade(5, price=Decimal("0.00000001"), size=Decimal("1E+3")),
        trade(3, side=None, price=Decimal("64001.10")),
        trade(9, "b'|\"", action=TradeAction.CORRECTED, replaces="5", side=Side.SELL, size=Decimal("-0.00")),
        trade(9, "c", action=TradeAction.CANCELED, replaces="3"),
        trade(11, price=Decimal("1E-50"), snapshot=True),
    ]

    async def main():
        async with opened(store) as trades:
            assert 5 == await trades.put_trades([batch(*said)])
            found = await trades.trades(BTC, 0, 100, limit=10)
            assert [repr(one.trade).replace("snapshot=True", "snapshot=False") for one in found] == [
                repr(one).replace("snapshot=True", "snapshot=False") for one in said
            ]
            assert sorted(one.number for one in found) == [one.number for one in found]
            assert [] == list(await trades.trades(ETH, 0, 100, limit=10))

    asyncio.run(main())


def test_what_has_an_id_is_stored_once_and_what_has_none_each_time(store):
    nameless = Trade(BTC.symbol, "", Decimal(1), Decimal(1), None, 7)

    async def main():
        async with opened(store) as trades:
            assert 3 == await trades.put_trades([batch(trade(1), trade(2), trade(1), nameless)])
            assert 2 == await trades.put_trades([batch(trade(2), trade(3), nameless)])
            assert 1 == await trades.put_trades([batch(trade(2, time_ns=4))]), "another exchange's"
            assert 1 == await trades.put_trades([batch(trade(2, action=TradeAction.CANCELED))])
            assert 1 == await trades.put_trades([batch(trade(1), series=ETH)])
            assert 7 == len(await trades.trades(BTC, 0, 100, limit=100))

    asyncio.run(main())


def test_a_range_is_half_open_and_read_in_pages(store):
    async def main():
        async with opened(store) as trades:
            await trades.put_trades([batch(*(trade(number % 10, str(number)) for number in range(40)))])
            found: list[StoredTrade] = []
            after = 0
            while page := await trades.trades(BTC, 3, 6, after=after, limit=4):
                assert len(page) <= 4
                found += page
                after = page[-1].number
            assert [str(number) for number in range(40) if 3 <= number % 10 < 6] == [
                one.trade.id for one in found
            ]
            assert 40 == len(await trades.trades(BTC, -(2**70), 2**70, limit=100))

    asyncio.run(main())


def test_stretches_that_touch_are_one(store):
    async def main():
        async with opened(store) as trades:
            assert {} == dict(await trades.tapes())
            for since, until in ((1, 5), (9, 12), (5, 7)):
                await trades.put_trades([batch(trade(since), stretch=Stretch(since, until))])
            await trades.put_trades([batch(trade(1), series=ETH)])
            told = {series: list(stretches) for series, stretches in (await trades.tapes()).items()}
            assert {BTC: [Stretch(1, 7), Stretch(9, 12)], ETH: []} == told
            await trades.put_trades([batch(stretch=Stretch(6, 10))])
            assert [Stretch(1, 12)] == list((await trades.tapes())[BTC])

    asyncio.run(main())


def test_trades_are_no_series_of_candles(store):
    async def main():
        async with opened(store) as trades:
            await trades.put_trades([batch(trade(1), stretch=Stretch(1, 1))])
            assert [] == list(await store.states())
            assert REAL == await store.world()
            assert [] == list(await store.check())

    asyncio.run(main())


def test_trades_of_two_worlds_never_get_into_one_store(store):
    async def main():
        async with opened(store) as trades:
            await store.claim("simulated venues, seed 7")
            await trades.put_trades([batch(trade(1))])
            await store.claim(REAL)
            with pytest.raises(StoreError, match="seed 7"):
                await trades.put_trades([batch(trade(2))])
            assert 1 == len(await trades.trades(BTC, 0, 100, limit=9))

    asyncio.run(main())


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=8))
def test_joined_stretches_cover_what_they_were_made_of_and_lie_apart(told):
    known: list[Stretch] = []
    for since, length in told:
        known = joined_stretches(known, Stretch(since, since + length))
    between = {half for since, length in told for half in range(2 * since, 2 * (since + length) + 1)}
    assert between == {half for one in known for half in range(2 * one.since_ns, 2 * one.until_ns + 1)}
    assert all(one.until_ns < other.since_ns for one, other in pairwise(known))
