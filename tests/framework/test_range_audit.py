"""What every store says of a range: what is there, what is not, and what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.framework.test_forgetting import known, state_of
from tests.framework.test_store import BTC, ETH, STORES, closing, opened, row
from wickwire import (
    MINUTE_NS,
    Candle,
    CandleFault,
    Change,
    Closing,
    Evidence,
    Hole,
    HoleKind,
    MemoryStore,
    RangeAudit,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Session,
    Store,
    Unknown,
    Utc,
    Zone,
)
from wickwire.range_audit import MOST_NAMED

SUCCESSOR, HISTORY, VENUE = Evidence.SUCCESSOR, Evidence.HISTORY, Evidence.VENUE


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> Store:
    return STORES[request.param](tmp_path)


async def audited(store: Store, since: int, until: int, series: Series = BTC, **more) -> RangeAudit:
    grid = more.pop("grid", Utc())
    found = await store.audit(series, since * MINUTE_NS, until * MINUTE_NS, grid=grid, **more)
    assert found is not None
    return found


def in_minutes(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(since // MINUTE_NS, until // MINUTE_NS) for since, until in ranges]


def test_it_says_what_is_there_and_whence(store):
    async def main():
        async with opened(store):
            closings = [
                Closing(row(1), SUCCESSOR, Rung.STREAM),
                Closing(row(2), VENUE, Rung.STREAM),
                Closing(row(3), HISTORY, Rung.POLL, healed=True),
                Closing(row(4), SUCCESSOR, Rung.STREAM),
            ]
            await store.commit([Change(state=known(1, 5), closings=closings)])
            await store.commit([Change(state=known(1, 5), closings=[closing(4, "11", HISTORY)])])
            found = await audited(store, 2, 9)

            assert (BTC, 2 * MINUTE_NS, 9 * MINUTE_NS) == (found.series, found.since_ns, found.until_ns)
            assert (3, 2 * MINUTE_NS, 4 * MINUTE_NS) == (found.candles, found.first_ns, found.last_ns)
            assert {VENUE: 1, HISTORY: 2} == dict(found.evidence)
            assert {Rung.STREAM: 2, Rung.POLL: 1} == dict(found.routes)
            assert (1, 1, {}) == (found.revised, found.healed, dict(found.faults))
            assert (0, []) == (found.empty_buckets, list(found.empty))

    asyncio.run(main())


def test_of_a_series_that_was_never_committed_it_says_nothing(store):
    async def main():
        async with opened(store):
            assert await store.audit(BTC, 0, 10**18, grid=Utc()) is None
            await store.commit([Change(state=known(3, 3))])
            found = await audited(store, 0, 9)
            assert (0, None, None, 0) == (found.candles, found.first_ns, found.last_ns, found.empty_buckets)
            assert [(0, 3), (3, 9)] == in_minutes(found.never_known)

    asyncio.run(main())


def test_it_says_what_is_not_there_and_why(store):
    """Holes are clipped; before the origin and beyond the frontier nothing is known; the rest was empty."""
    holes = (
        Hole(2 * MINUTE_NS, 4 * MINUTE_NS),
        Hole(4 * MINUTE_NS, 5 * MINUTE_NS, HoleKind.UNREACHABLE),
        Hole(15 * MINUTE_NS, 30 * MINUTE_NS),
    )
    state = SeriesState(series=BTC, origin_ns=0, frontier_ns=30 * MINUTE_NS, holes=holes)

    async def main():
        async with opened(store):
            await store.commit([Change(state=state, closings=[closing(at) for at in (0, 5, 8, 9, 14)])])

            found = await audited(store, -10, 40)
            assert list(holes) == list(found.holes)
            assert [(-10, 0), (30, 40)] == in_minutes(found.never_known)
            assert (7, [(1, 2), (6, 8), (10, 14)]) == (found.empty_buckets, in_minutes(found.empty))

            part = await audited(store, 3, 20)
            clipped = [(3, 4, HoleKind.MISSING), (4, 5, HoleKind.UNREACHABLE), (15, 20, HoleKind.MISSING)]
            assert clipped == [
                (one.since_ns // MINUTE_NS, one.until_ns // MINUTE_NS, one.kind) for one in part.holes
            ]
            assert (6, []) == (part.empty_buckets, list(part.never_known))

            beyond = await audited(store, 50, 60)
            assert ([(50, 60)], [], 0) == (
                in_minutes(beyond.never_known),
                list(beyond.holes),
                beyond.empty_buckets,
            )

    asyncio.run(main())


def faulty(open_ns: int, close_ns: int, *, high: str = "10", low: str = "10") -> Closing:
    prices = (Decimal(10), Decimal(high), Decimal(low), Decimal(10), Decimal(1))
    return Closing(Candle(BTC.symbol, BTC.timeframe, open_ns, close_ns, *prices), HISTORY, Rung.POLL)


def test_it_names_candles_that_are_wrong(store):
    """Off the grid, over another one, against a law, and where the store itself says that there is none."""
    half = MINUTE_NS // 2
    closings = [
        faulty(0, MINUTE_NS),
        faulty(half, half + MINUTE_NS),
        faulty(2 * MINUTE_NS, 5 * MINUTE_NS),
        faulty(3 * MINUTE_NS, 4 * MINUTE_NS),
        faulty(6 * MINUTE_NS, 7 * MINUTE_NS, high="9"),
        faulty(8 * MINUTE_NS, 9 * MINUTE_NS),
        faulty(20 * MINUTE_NS, 21 * MINUTE_NS, low="-1"),
    ]

    async def main():
        async with opened(store):
            await store.commit([Change(state=known(0, 10, (8, 9)), closings=closings)])
            found = await audited(store, 0, 30)

            assert [
                (half, CandleFault.OFF_GRID),
                (half, CandleFault.OVERLAP),
                (2 * MINUTE_NS, CandleFault.OFF_GRID),
                (3 * MINUTE_NS, CandleFault.OVERLAP),
                (6 * MINUTE_NS, CandleFault.LAW),
                (8 * MINUTE_NS, CandleFault.UNCLAIMED),
                (20 * MINUTE_NS, CandleFault.LAW),
                (20 * MINUTE_NS, CandleFault.UNCLAIMED),
            ] == [(one.open_ns, one.fault) for one in found.faulty]
            assert "outside low 10 and high 9" in found.faulty[4].why
            signed = await audited(store, 0, 30, signed_prices=True)
            assert (2, 1) == (found.faults[CandleFault.LAW], signed.faults[CandleFault.LAW])

    asyncio.run(main())


def test_what_it_names_is_bounded_and_what_it_counts_is_not(store):
    count = MOST_NAMED + 20
    closings = [faulty(2 * at * MINUTE_NS, (2 * at + 1) * MINUTE_NS, high="9") for at in range(count)]

    async def main():
        async with opened(store):
            await store.commit([Change(state=known(0, 2 * count), closings=closings)])
            found = await audited(store, 0, 2 * count)

            assert (count, MOST_NAMED) == (found.faults[CandleFault.LAW], len(found.faulty))
            assert (count, MOST_NAMED) == (found.empty_buckets, len(found.empty))

    asyncio.run(main())


def test_it_reads_page_by_page():
    """No more is in memory than a page, however long the range is."""

    class Paged(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.limits: list[int] = []

        async def candles(
            self, series: Series, since_ns: int, until_ns: int, *, limit: int
        ) -> Sequence[SeriesCandle]:
            self.limits.append(limit)
            return await super().candles(series, since_ns, until_ns, limit=min(limit, 7))

    async def main():
        store = Paged()
        closings = [closing(at) for at in range(0, 100, 2)]
        await store.commit([Change(state=known(0, 100), closings=closings)])
        found = await audited(store, 0, 100)
        assert (50, 50) == (found.candles, found.empty_buckets)
        assert len(store.limits) == 9
        assert max(store.limits) <= 5_000

    asyncio.run(main())


def test_what_is_committed_while_it_looks_is_no_fault():
    class Busy(MemoryStore):
        late = True

        async def candles(
            self, series: Series, since_ns: int, until_ns: int, *, limit: int
        ) -> Sequence[SeriesCandle]:
            if self.late:
                self.late = False
                await self.commit([Change(state=known(0, 11), closings=[closing(10)])])
            return await super().candles(series, since_ns, until_ns, limit=limit)

    async def main():
        store = Busy()
        await store.commit([Change(state=known(0, 10), closings=[closing(at) for at in range(10)])])
        found = await audited(store, 0, 20)
        assert (11, {}) == (found.candles, dict(found.faults))

    asyncio.run(main())


@pytest.mark.parametrize("grid", [Unknown(), Session(calendar="XNYS", tz="America/New_York")])
def test_where_the_grid_does_not_say_nobody_knows_which_buckets_are_empty(grid):
    async def main():
        store = MemoryStore()
        await store.commit([Change(state=known(0, 10), closings=[closing(1)])])
        found = await audited(store, 0, 10, grid=grid)
        assert (None, []) == (found.empty_buckets, list(found.empty))

    asyncio.run(main())


@pytest.mark.parametrize(("text", "count"), [("1m", 25 * 60), ("1h", 25), ("4h", 7), ("1d", 1), ("1mo", 0)])
def test_a_day_of_25_hours_has_as_many_buckets_as_it_has(text, count):
    """Clocks went back in New York on 2026-11-01."""
    series = Series("kraken", "X", Series.parse(f"kraken:X@{text}").timeframe)
    since_ns = 1_793_505_600_000_000_000  # 2026-11-01T04:00Z, midnight there
    until_ns = since_ns + 25 * 60 * MINUTE_NS

    async def main():
        store = MemoryStore()
        state = SeriesState(series=series, origin_ns=since_ns + (text == "1mo"), frontier_ns=until_ns)
        await store.commit([Change(state=state)])
        found = await store.audit(series, since_ns, until_ns, grid=Zone("America/New_York"))
        assert found is not None
        assert count == found.empty_buckets

    asyncio.run(main())


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 30)),
    st.tuples(st.integers(0, 15), st.integers(16, 31)),
    st.lists(st.integers(0, 30), max_size=3, unique=True),
    st.tuples(st.integers(-3, 35), st.integers(-3, 35)).map(sorted),
)
def test_every_bucket_of_the_range_is_exactly_one_thing(candles, span, lacking, asked):
    """A candle, a hole, empty, or never known: together they are the range."""
    held = {at for at in candles if span[0] <= at < span[1] and at not in lacking}
    holes = sorted((at, at + 1) for at in lacking if span[0] <= at < span[1])

    async def main() -> RangeAudit:
        store = MemoryStore()
        closings = [closing(at) for at in sorted(held)]
        await store.commit([Change(state=known(*span, *holes), closings=closings)])
        return await audited(store, *asked)

    found = asyncio.run(main())
    of_holes = [(one.since_ns, one.until_ns) for one in found.holes]
    parts = [
        at for ranges in (of_holes, found.empty, found.never_known) for one in in_minutes(ranges)
        for at in range(*one)
    ]  # fmt: skip
    assert sorted([*parts, *(at for at in held if asked[0] <= at < asked[1])]) == [*range(*asked)]
    assert found.empty_buckets == sum(until - since for since, until in in_minutes(found.empty))
    assert {} == dict(found.faults)


def test_two_series_are_two():
    async def main():
        store = MemoryStore()
        await store.commit([Change(state=known(0, 2), closings=[closing(0)])])
        await store.commit([Change(state=known(0, 2, series=ETH), closings=[closing(1)])])
        found = await audited(store, 0, 2, series=ETH)
        assert (ETH, 1, MINUTE_NS) == (found.series, found.candles, found.first_ns)
        assert (await state_of(store)).series == BTC

    asyncio.run(main())
