"""What a store holds of a series, page by page: whoever reads a year of it holds a page in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from wickwire.errors import StoreError
from wickwire.instants import FIRST_NS, LAST_NS
from wickwire.lines import LineStore, line_of
from wickwire.model import Series, SeriesCandle
from wickwire.store import Store

__all__ = ["PAGE_ROWS", "stored_candles", "stored_lines"]

PAGE_ROWS: Final = 5_000


async def stored_candles(
    store: Store,
    series: Series,
    since_ns: int = FIRST_NS,
    until_ns: int = LAST_NS,
    *,
    rows: int = PAGE_ROWS,
) -> AsyncGenerator[Sequence[SeriesCandle]]:
    """Yield the candles that open in `[since_ns, until_ns)`, at most *rows* at a time, oldest first.

    What is committed meanwhile comes too, as long as it opens later than what was yielded.

    Raises:
        StoreError: They cannot be read.
    """
    while page := await store.candles(series, since_ns, until_ns, limit=rows):
        yield page
        since_ns = page[-1].open_ns + 1


async def stored_lines(
    store: Store,
    series: Series,
    since_ns: int = FIRST_NS,
    until_ns: int = LAST_NS,
    *,
    rows: int = PAGE_ROWS,
) -> AsyncGenerator[Sequence[str]]:
    """Yield the same as lines of `wickwire.lines`, which some stores write out themselves.

    Raises:
        StoreError: They cannot be read.
    """
    if not isinstance(store, LineStore):
        async for candles in stored_candles(store, series, since_ns, until_ns, rows=rows):
            yield [line_of(candle) for candle in candles]
        return
    while page := await store.lines(series, since_ns, until_ns, limit=rows):
        yield page
        opens, _, _ = page[-1].partition(",")
        try:
            since_ns = int(opens) + 1
        except ValueError:
            raise StoreError(f"a candle of {series} is damaged: it opens at {opens!r}") from None
