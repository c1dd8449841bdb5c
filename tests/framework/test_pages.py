"""Stored candles, page by page: the rule by which one page goes on where the one before it ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.files.stocked import BTC, START_NS, all_of, candle, changes, known, run, stocked
from wickwire import MINUTE_NS, MemoryStore, StoreError
from wickwire.pages import stored_candles, stored_lines


@given(st.data())
def test_pages_of_any_size_hold_all_of_a_range_once_and_in_order(data):
    change, rows = data.draw(changes(BTC)), data.draw(st.integers(1, 9))
    since, until = (START_NS + data.draw(st.integers(-1, 21)) * MINUTE_NS for _ in range(2))

    async def read():
        store = await stocked(change)
        pages = [page async for page in stored_candles(store, BTC, since, until, rows=rows)]
        return await all_of(store), pages

    stored, pages = run(read())

    assert [one for one in stored if since <= one.open_ns < until] == [one for page in pages for one in page]
    assert all(0 < len(page) <= rows for page in pages)


def test_what_is_committed_meanwhile_comes_too_where_it_opens_later():
    async def read():
        store = await stocked(known([candle(1), candle(2)]))
        pages = stored_candles(store, BTC, rows=2)
        first = await anext(pages)
        await store.commit([known([candle(0), candle(3)])])
        return [one async for page in pages for one in page], first

    rest, first = run(read())

    assert [START_NS + minute * MINUTE_NS for minute in (1, 2)] == [one.open_ns for one in first]
    assert [START_NS + 3 * MINUTE_NS] == [one.open_ns for one in rest]


def test_a_line_that_says_no_time_ends_it_with_its_name():
    """Else the same page would be read for ever."""

    class Damaged(MemoryStore):
        async def lines(self, series, since_ns, until_ns, *, limit):
            return ["soon,1"]

    async def read():
        return [page async for page in stored_lines(Damaged(), BTC)]

    with pytest.raises(StoreError, match=r"a candle of kraken:BTC/USD@1m is damaged: it opens at 'soon'"):
        run(read())
