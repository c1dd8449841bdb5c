"""A table of candles as a pandas frame."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa

from wickwire.frames.arrow import NUMBERS

__all__ = ["frame_of"]

_WHOLE = {pa.int64(): pd.Int64Dtype()}


def frame_of(table: pa.Table, *, floats: bool) -> pd.DataFrame:
    """Return *table* as a frame indexed by `open_time`, with exact decimals or, with *floats*, rounded."""
    frame = table.to_pandas(
        types_mapper=lambda kind: pd.ArrowDtype(kind) if pa.types.is_decimal(kind) else _WHOLE.get(kind)
    )
    if floats:
        for name in NUMBERS:
            frame[name] = frame[name].astype("float64")
        for row, text in frame["beyond"].dropna().items():
            for name, number in json.loads(text).items():
                frame.loc[row, name] = float(number)
    return frame.set_index("open_time")
