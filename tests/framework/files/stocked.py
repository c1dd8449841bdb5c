"""Stores with candles of every kind in them, for whatever reads and writes files."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import strategies as st

from wickwire import (
    MINUTE_NS,
    REAL,
    Candle,
    Change,
    Closing,
    Evidence,
    Hole,
    HoleKind,
    MemoryStore,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
    parse_instant,
)

T = TypeVar("T")

BTC = Series.parse("kraken:BTC/USD@1m")
START_NS = parse_instant("2026-10-31T23:50Z")
"""Ten minutes before a month ends: what is cut by months is cut by a few candles."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def candle(minute: int, price: str = "64001.10", series: Series = BTC, **values: Any) -> Candle:
    """The candle that opens so many minutes after `START_NS`."""
    opens, number = START_NS + minute * MINUTE_NS, Decimal(price)
    said = {"open": number, "high": number, "low": number, "close": number, "volume": Decimal("0.50")}
    return Candle(
        series.symbol,
        series.timeframe,
        opens,
        opens + series.timeframe.nominal_ns,
        **{**said, **values},
    )


def known(
    candles: Sequence[Candle], series: Series = BTC, *, evidence: Evidence = Evidence.HISTORY
) -> Change:
    """What a collector would commit of these, in order: what is between them lacks."""
    holes = [
        Hole(one.close_ns, two.open_ns)
        for one, two in itertools.pairwise(candles)
        if one.close_ns < two.open_ns
    ]
    state = SeriesState(
        series=series,
        origin_ns=candles[0].open_ns,
        frontier_ns=candles[-1].close_ns,
        holes=tuple(holes),
    )
    return Change(state=state, closings=[Closing(one, evidence, Rung.POLL) for one in candles])


async def stocked(*changes: Change, into: Store | None = None, world: str = REAL) -> Store:
    """An open store in which *changes* were committed."""
    store = MemoryStore() if into is None else into
    await store.open()
    await store.claim(world)
    await store.commit(changes)
    return store


async def all_of(store: Store, series: Series = BTC) -> Sequence[SeriesCandle]:
    return await store.candles(series, -(2**63), 2**63 - 1, limit=1_000_000)


def shown(candles: Sequence[SeriesCandle]) -> list[tuple[Any, ...]]:
    """What two stores that hold the same agree on, to the digit and the nanosecond."""
    return [
        (
            *(one.series, one.open_ns, one.close_ns, one.trade_count),
            *map(str, (one.open, one.high, one.low, one.close, one.volume, one.vwap)),
        )
        for one in candles
    ]


# ---------------------------------------------------------------------------------------------- any of them

SYMBOLS = ("BTC/USD", "$x.y", "btc/usd", "/ESZ25:XCME", "^GSPC", "A&B=C#1", "SPY", "a_-@+")
all_series = st.builds(
    lambda symbol, what: Series.parse(f"kraken:{symbol}@{what}"),
    st.sampled_from(SYMBOLS),
    st.sampled_from(["1m", "7s", "1h"]),
)


def numbers(*, least_places: int, most_digits: int) -> st.SearchStrategy[Decimal]:
    """Decimals above zero as venues write them, and as nobody should."""
    return st.builds(
        lambda digits, exponent: Decimal(digits).scaleb(exponent),
        st.integers(1, 10**most_digits - 1),
        st.integers(-least_places, 6),
    )


@st.composite
def candle_rows(draw: st.DrawFn, series: Series, most: int = 8) -> list[Candle]:
    """Candles of one series in order, some buckets left out, over the end of a month."""
    length_ns = series.timeframe.nominal_ns
    first_ns = START_NS - START_NS % length_ns
    places = sorted(draw(st.sets(st.integers(0, 20), min_size=1, max_size=most)))
    price = numbers(least_places=draw(st.sampled_from([0, 2, 8, 30])), most_digits=17)
    rows = []
    for place in places:
        low, *between, high = sorted(draw(st.tuples(price, price, price, price)))
        opens = first_ns + place * length_ns
        rows.append(
            Candle(
                series.symbol,
                series.timeframe,
                opens,
                opens + length_ns,
                between[0],
                high,
                low,
                between[1],
                draw(st.just(Decimal("0.00")) | numbers(least_places=20, most_digits=20)),
                draw(st.none() | st.integers(0, 2**63 - 1)),
                draw(st.none() | price),
            )
        )
    return rows


@st.composite
def changes(draw: st.DrawFn, series: Series) -> Change:
    """What a collector might know of a series: candles of any evidence, and holes of every kind."""
    rows = draw(candle_rows(series))
    between = [
        Hole(one.close_ns, two.open_ns, kind)
        for one, two in itertools.pairwise(rows)
        if one.close_ns < two.open_ns and (kind := draw(st.sampled_from([None, *HoleKind])))
    ]
    closings = [
        Closing(row, draw(st.sampled_from(Evidence)), draw(st.sampled_from(Rung)), draw(st.booleans()))
        for row in rows
    ]
    state = SeriesState(
        series=series, origin_ns=rows[0].open_ns, frontier_ns=rows[-1].close_ns, holes=tuple(between)
    )
    return Change(state=state, closings=closings)
