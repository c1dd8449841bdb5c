"""Candles of files in a store: what is known afterwards is true, after each commit of it."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.files.stocked import (
    BTC,
    all_of,
    candle,
    candle_rows,
    changes,
    known,
    run,
    shown,
    stocked,
)
from wickwire import Candle, Change, MemoryStore, OhlcvSupport, Series, SeriesState, StoreError, Utc
from wickwire.files.importing import examine, take
from wickwire.files.rows import BadRow, FileRow, Known


def support_of(_: Series) -> OhlcvSupport:
    return OhlcvSupport(grid=Utc())


@attrs.frozen
class Rows:
    """A file that is a list of candles of one series, and tells nothing else."""

    candles: Sequence[Candle]
    series: Series = BTC
    name: str = "rows"
    world: str | None = None

    def rows(self) -> Iterator[FileRow | BadRow]:
        for number, one in enumerate(self.candles, 1):
            yield FileRow(number, self.series, one)

    def known(self) -> Sequence[Known]:
        return ()


class Watched(MemoryStore):
    """A store that looks at what is known after each commit, and may fail at one of them."""

    def __init__(self, fails_at: int = -1) -> None:
        super().__init__()
        self.commits = 0
        self.fails_at = fails_at
        self.before: SeriesState | None = None

    async def commit(self, changes):
        self.commits += 1
        if self.commits == self.fails_at:
            raise StoreError("store 'watched': the disk is full")
        news = await super().commit(changes)
        for change in changes:
            await self.look(change.state)
        return news

    async def look(self, state: SeriesState) -> None:
        """Each bucket has a candle, lies in a hole, or was known to be empty before."""
        closed = {row.open_ns for row in await all_of(self, state.series)}
        for opens in range(state.origin_ns, state.frontier_ns, state.series.timeframe.nominal_ns):
            lacks = any(hole.since_ns <= opens < hole.until_ns for hole in state.holes)
            assert lacks is (opens not in closed and not was_empty(self.before, opens))


def was_empty(state: SeriesState | None, opens: int) -> bool:
    """Whether nothing lacked there; that there was no candle is seen elsewhere."""
    if state is None or not state.origin_ns <= opens < state.frontier_ns:
        return False
    return not any(hole.since_ns <= opens < hole.until_ns for hole in state.holes)


@given(st.data())
def test_whatever_is_known_before_what_lacks_afterwards_is_what_nobody_knows(data):
    before = data.draw(st.none() | changes(BTC))
    rows = data.draw(candle_rows(BTC))
    page_rows = data.draw(st.integers(1, 5))

    async def bring_in():
        store = Watched()
        if before is not None:
            store.before = before.state
            await store.commit([Change(state=before.state)])  # what it closed counts as empty here
        await take(store, [Rows(rows)], support_of, page_rows=page_rows)
        return await all_of(store)

    assert [row.open_ns for row in rows] == [row.open_ns for row in run(bring_in())]


@given(st.data())
def test_what_was_interrupted_is_done_again_and_comes_to_the_same(data):
    rows, fails_at = data.draw(candle_rows(BTC)), data.draw(st.integers(1, 4))

    async def bring_in(store):
        return await take(store, [Rows(rows)], support_of, page_rows=2)

    async def both():
        one, other = Watched(), Watched(fails_at)
        await bring_in(one)
        try:
            await bring_in(other)
        except StoreError:
            await bring_in(other)
        return [(shown(await all_of(store)), await store.states()) for store in (one, other)]

    one, other = run(both())

    assert one == other


def test_what_is_there_already_is_no_news():
    async def bring_in():
        store = await stocked(known([candle(0), candle(1, "5")]))
        return await take(store, [Rows([candle(0), candle(1, "6"), candle(2)])], support_of)

    [done] = run(bring_in())

    assert (BTC, 3, 1, 0) == (done.series, done.rows, done.added, done.revised)


def test_looking_stores_nothing_and_names_the_first_hundred_only():
    rows = [candle(0), *(candle(minute, volume=Decimal(-1)) for minute in range(1, 150))]

    found = examine([Rows(rows)], support_of)

    assert ({BTC: 1}, 149, 100) == (found.rows, found.refused, len(found.refusals))
    assert "rows:2: volume -1 is negative" == str(found.refusals[0])


def test_what_breaks_a_law_gets_into_no_store_even_when_nobody_looked():
    async def bring_in():
        store = await stocked()
        await take(store, [Rows([candle(0), candle(0), candle(1, volume=Decimal(-1))])], support_of)
        return await all_of(store)

    assert 1 == len(run(bring_in()))


def test_prices_below_zero_are_for_whom_the_venue_has_them():
    rows = [candle(0, "-37.63")]

    assert 1 == examine([Rows(rows)], support_of).refused
    assert 0 == examine([Rows(rows)], lambda _: OhlcvSupport(grid=Utc(), signed_prices=True)).refused


def test_a_store_that_takes_nothing_says_so():
    with pytest.raises(StoreError, match="the disk is full"):
        run(take(Watched(fails_at=1), [Rows([candle(0)])], support_of))
