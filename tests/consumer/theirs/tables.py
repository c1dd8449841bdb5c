"""What is stored, as Arrow and as a frame."""

# pyright: basic
# pyarrow brings no types, so that strictly nothing of it is known

from __future__ import annotations

from wickwire import Store
from wickwire.frames import arrow_table, data_frame, record_batches


async def rows(store: Store, series: str) -> tuple[int, int, int]:
    """Return how many rows there are: in a frame, in a table, in all batches."""
    batches = [batch.num_rows async for batch in record_batches(store, series)]
    frame, table = await data_frame(store, series), await arrow_table(store, series)
    return len(frame), table.num_rows, sum(batches)
