"""What a store holds of a series, page by page: whoever reads a year of it holds a page in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from wickwire.model import Series, SeriesCandle
from wickwire.store import Store

__all__ = ["FIRST_NS", "LAST_NS", "PAGE_ROWS", "stored_candles"]

PAGE_ROWS: Final = 5_000
FIRST_NS: Final = -(2**63)
LAST_NS: Final = 2**63 - 1


async def stored_candles(
    store: Store, series: Series, since_ns: int, until_ns: int | None, *, rows: int = PAGE_ROWS
) -> AsyncIterator[Sequence[SeriesCandle]]:
    """Yield the candles that open in `[since_ns, until_ns)`, at most *rows* at a time, oldest first."""
    end_ns = LAST_NS if until_ns is None else until_ns
    while page := await store.candles(series, since_ns, end_ns, limit=rows):
        yield page
        since_ns = page[-1].open_ns + 1
