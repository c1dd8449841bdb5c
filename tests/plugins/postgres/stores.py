"""Stores on the tests' server, and the batches that are committed to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.plugins.postgres.server import fresh_url
from wickwire import (
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Evidence,
    Hole,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Timeframe,
)
from wickwire_postgres import PostgresStore
from wickwire_postgres.address import parse_address

WIDTH = 3
"""New candles a series in a batch; from the second on, one more revises the last of the batch before."""
NEWS_OF_FIRST, NEWS_OF_OTHERS = 2 * WIDTH, 2 * (WIDTH + 1)


def store_at(url: str) -> PostgresStore:
    address = parse_address(url)
    assert address is not None
    return PostgresStore(address)


@asynccontextmanager
async def opened(url: str = "") -> AsyncGenerator[PostgresStore]:
    store = store_at(url or fresh_url())
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def schema_of(url: str) -> str:
    address = parse_address(url)
    assert address is not None
    return address.schema


def both(venue: str) -> list[Series]:
    """The two series that every batch changes together."""
    return [Series(venue, symbol, Timeframe.parse("1m")) for symbol in ("A", "B")]


def closing(series: Series, minute: int, number: int, evidence: Evidence = Evidence.SUCCESSOR) -> Closing:
    """One candle; its price tells which batch wrote it."""
    opens, price = minute * MINUTE_NS, Decimal(number) + Decimal("0.50")
    candle = Candle(
        series.symbol, series.timeframe, opens, opens + MINUTE_NS, price, price, price, price, Decimal(minute)
    )
    return Closing(candle, evidence, Rung.STREAM)


def batch(venue: str, number: int) -> list[Change]:
    """Batch *number*, always the same."""
    first = number * WIDTH
    changes = []
    for series in both(venue):
        closings = [closing(series, first + step, number) for step in range(WIDTH)]
        if number:
            closings.append(closing(series, first - 1, number, Evidence.HISTORY))
        holes = (Hole(-MINUTE_NS * (number + 1), 0),)
        state = SeriesState(
            series=series, origin_ns=-(10**15), frontier_ns=(first + WIDTH) * MINUTE_NS, holes=holes
        )
        changes.append(Change(state=state, closings=closings))
    return changes


async def check_holds(store: PostgresStore, venue: str, count: int) -> None:
    """See that the store holds *count* whole batches of *venue*, and nothing else of it."""
    states = {state.series: state for state in await store.states()}
    for place, series in enumerate(both(venue)):
        candles = await store.candles(series, -(10**18), 10**18, limit=10**6)
        assert [one.open_ns // MINUTE_NS for one in candles] == [*range(count * WIDTH)]
        for minute, candle in enumerate(candles):
            revised = minute % WIDTH == WIDTH - 1 and minute // WIDTH < count - 1
            assert (candle.revision, candle.close) == (revised, minute // WIDTH + revised + Decimal("0.50"))
        assert states[series] == batch(venue, count - 1)[place].state
    assert list(await store.check()) == []


def seqs(candles: Sequence[SeriesCandle]) -> list[int]:
    return [one.seq for one in candles]
