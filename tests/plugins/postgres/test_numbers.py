"""Every number reads back to its last digit, and the columns hold the same number or none."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.postgres.server import fresh_url, shared_server
from wickwire import MINUTE_NS, Candle, Change, Closing, Evidence, Rung, Series, SeriesState, settled
from wickwire_postgres import PostgresStore
from wickwire_postgres.address import parse_address
from wickwire_postgres.rows import candle_of, row_of

SERIES = Series.parse("kraken:BTC/USD@1m")

numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=60),
        st.one_of(st.integers(-40, 10), st.sampled_from([-16_384, -16_383, -999_999, 131_000, 131_072])),
    ),
)


def stored(prices: list[Decimal]) -> list[Decimal]:
    """Commit a candle for each of *prices* and read them all."""
    address = parse_address(fresh_url())
    assert address is not None
    closings = [
        Closing(
            Candle(SERIES.symbol, SERIES.timeframe, at, at + MINUTE_NS, *(price,) * 5, None, price),
            Evidence.HISTORY,
            Rung.POLL,
        )
        for at, price in zip(range(0, len(prices) * MINUTE_NS, MINUTE_NS), prices, strict=True)
    ]

    async def main() -> list[Decimal]:
        store = PostgresStore(address)
        await store.open()
        state = SeriesState(series=SERIES, origin_ns=0, frontier_ns=0)
        await store.commit([Change(state=state, closings=closings)])
        found = await store.candles(SERIES, 0, 10**18, limit=10**6)
        await store.aclose()
        assert [one.vwap for one in found] == [one.volume for one in found]
        return [one.close for one in found]

    found = asyncio.run(main())
    shared_server().psql(f"DROP SCHEMA {address.schema} CASCADE")
    return found


@settings(max_examples=20)
@given(st.lists(numbers, min_size=1, max_size=50))
def test_what_goes_in_comes_out(prices):
    assert [price.as_tuple() for price in prices] == [price.as_tuple() for price in stored(prices)]


def test_the_columns_hold_the_number_or_say_that_they_cannot():
    """psql sees 1000 for 1E+3; what PostgreSQL has no number for is NaN, and stands in `digits`."""
    texts = ["64001.10", "1E-8", "1E+3", "-0.00", "0E+5", "1E-999999", "1E+200000", "7E-16383"]
    address = parse_address(fresh_url())
    assert address is not None

    async def main() -> None:
        store = PostgresStore(address)
        await store.open()
        for minute, text in enumerate(texts):
            price, at = Decimal(text), minute * MINUTE_NS
            candle = Candle("BTC/USD", SERIES.timeframe, at, at + MINUTE_NS, *(price,) * 5)
            state = SeriesState(series=SERIES, origin_ns=0, frontier_ns=0)
            await store.commit([Change(state=state, closings=[Closing(candle, Evidence.HISTORY, Rung.POLL)])])
        await store.aclose()

    asyncio.run(main())
    seen = shared_server().psql(
        "SELECT left(close::text, 12), split_part(digits, ' ', 4) "
        f"FROM {address.schema}.candles ORDER BY open_ns"
    )
    assert seen.splitlines() == [
        "64001.10|",
        "0.00000001|",
        "1000|1E+3",
        "0.00|-0.00",
        "0|0E+5",
        "NaN|1E-999999",
        "NaN|1E+200000",
        "0.0000000000|",
    ]


@given(numbers)
def test_a_row_is_read_as_it_was_written(price):
    candle = Candle("BTC/USD", SERIES.timeframe, 0, MINUTE_NS, *(price,) * 5)
    closing = Closing(candle, Evidence.HISTORY, Rung.POLL)
    row = settled(SERIES, closing, None, 1)

    found = candle_of(SERIES, row_of(1, row))

    assert price.as_tuple() == found.close.as_tuple()
    assert found == row
