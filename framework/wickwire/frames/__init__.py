"""Stored candles as Arrow and as pandas frames, from any store, in pages.

This reads through the protocol of stores alone, so it serves all of them. pyarrow and pandas are loaded when
the first of these functions is called: `pip install 'wickwire[parquet]'`, or `'wickwire[pandas]'` for frames.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

from wickwire.frames.packages import brought_by
from wickwire.instants import FIRST_NS, LAST_NS, instant_of
from wickwire.model import Series
from wickwire.pages import PAGE_ROWS, stored_lines
from wickwire.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["arrow_table", "data_frame", "record_batches"]

Instant = str | datetime | int


async def record_batches(
    store: Store,
    series: Series | str,
    *,
    since: Instant | None = None,
    until: Instant | None = None,
    rows: int = PAGE_ROWS,
) -> AsyncIterator[pa.RecordBatch]:
    """Yield what *store* holds of a series as `pyarrow.RecordBatch`, oldest first.

    Every batch has the schema `wickwire.frames.arrow.SCHEMA`; docs/stores.md has its columns. What is
    committed meanwhile may come too, as long as it opens later than what was yielded.

    Args:
        store: An open store.
        series: Which one, such as `"kraken:BTC/USD@1m"`.
        since: When the first may open: text, an aware datetime, or nanoseconds; from the first by default.
        until: When they open no more; up to the last by default.
        rows: How many a batch has at most, which is what is held in memory.

    Raises:
        ConfigError: pyarrow is not installed.
        UsageError: *series* is none, or an instant is none.
        StoreError: The store cannot be read.
    """
    with brought_by("parquet", "Arrow"):
        from wickwire.frames.arrow import batch_of  # noqa: PLC0415 - an extra brings pyarrow
    named = _named(series)
    async for page in stored_lines(store, named, _ns(since, FIRST_NS), _ns(until, LAST_NS), rows=rows):
        yield batch_of(named, page)


async def arrow_table(
    store: Store, series: Series | str, *, since: Instant | None = None, until: Instant | None = None
) -> pa.Table:
    """Return what *store* holds of a series as one `pyarrow.Table`; the rest as in `record_batches`.

    All of it is in memory, about 200 bytes a candle.
    """
    with brought_by("parquet", "Arrow"):
        import pyarrow as pa  # noqa: PLC0415 - an extra brings it

        from wickwire.frames.arrow import schema_of  # noqa: PLC0415 - the same
    named = _named(series)
    batches = [batch async for batch in record_batches(store, named, since=since, until=until)]
    return pa.Table.from_batches(batches, schema=schema_of(named))


async def data_frame(
    store: Store,
    series: Series | str,
    *,
    since: Instant | None = None,
    until: Instant | None = None,
    floats: bool = False,
) -> pd.DataFrame:
    """Return what *store* holds of a series as a pandas frame, indexed by `open_time`.

    Prices and volumes are decimals of Arrow (`pandas.ArrowDtype`): exact, and with arithmetic. A number that
    has no place in them is missing there and whole in `beyond`.

    Args:
        store: An open store.
        series: Which one.
        since: As in `record_batches`.
        until: As in `record_batches`.
        floats: Round prices and volumes to floats, for charts and statistics; all of them are there then.

    Raises:
        ConfigError: pandas or pyarrow is not installed.
        UsageError: *series* is none, or an instant is none.
        StoreError: The store cannot be read.
    """
    with brought_by("pandas", "a pandas frame"):
        from wickwire.frames.pandas import frame_of  # noqa: PLC0415 - an extra brings pandas
    return frame_of(await arrow_table(store, series, since=since, until=until), floats=floats)


def _named(series: Series | str) -> Series:
    return Series.parse(series) if isinstance(series, str) else series


def _ns(moment: Instant | None, default_ns: int) -> int:
    return default_ns if moment is None else instant_of(moment, LAST_NS)
