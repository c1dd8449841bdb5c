"""Stores on the tests' server, and the batches that are committed to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.plugins.batches import WIDTH, batch, both
from tests.plugins.postgres.server import fresh_url
from wickwire import MINUTE_NS, SeriesCandle
from wickwire_postgres import PostgresStore
from wickwire_postgres.address import parse_address


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
