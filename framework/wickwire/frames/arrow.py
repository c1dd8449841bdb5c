"""Candles as Arrow: one schema for all series, exact to the digit and the nanosecond.

`decimal128` has 38 digits, of which 24 stand after the point in prices and 18 in volumes. That holds what
venues send: doubles of coins worth a millionth have 21 decimals, tokens are counted in steps of 1e-18, and
volumes reach 1e15. More than 38 digits (`decimal256`) is what most readers of Parquet turn into a float.

A column of decimals forgets how many of them were written, so `decimals` keeps that, and what does not fit is
null in its column and whole in `beyond`: nothing is ever rounded.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from wickwire.errors import StoreError
from wickwire.frames.numbers import PRECISION, all_decimals, column_of
from wickwire.lines import LINE
from wickwire.model import CandleState, Evidence, Rung, Series, SeriesCandle

__all__ = ["NUMBERS", "PRICE", "SCHEMA", "VOLUME", "batch_of", "candle_of", "rows_in", "schema_of"]

PRICE: Final = pa.decimal128(PRECISION, 24)
VOLUME: Final = pa.decimal128(PRECISION, 18)
_TIME: Final = pa.timestamp("ns", tz="UTC")

NUMBERS: Final = {
    "open": PRICE,
    "high": PRICE,
    "low": PRICE,
    "close": PRICE,
    "volume": VOLUME,
    "vwap": PRICE,
}
"""The columns of decimals, in the order in which `decimals` counts theirs."""

SCHEMA: Final = pa.schema(
    [
        pa.field("open_time", _TIME, nullable=False),
        pa.field("close_time", _TIME, nullable=False),
        pa.field("open", PRICE),
        pa.field("high", PRICE),
        pa.field("low", PRICE),
        pa.field("close", PRICE),
        pa.field("volume", VOLUME),
        pa.field("trade_count", pa.int64()),
        pa.field("vwap", PRICE),
        pa.field("state", pa.string(), nullable=False),
        pa.field("evidence", pa.string()),
        pa.field("revision", pa.int64(), nullable=False),
        pa.field("healed", pa.bool_(), nullable=False),
        pa.field("route", pa.string(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("decimals", pa.string()),
        pa.field("beyond", pa.string()),
    ]
)
"""One row is a closed candle of one series, oldest first.

`decimals` has the decimals that were written of open, high, low, close, volume and vwap, such as
`"1 1 1 1 8 -"`; 1E+3 has -3. `beyond` is null, or a JSON object of the numbers that their columns cannot
hold,
such as `{"vwap":"0.0000000000000000000000000001"}`.
"""

_FIELDS: Final = {
    name: pa.string() if name in {*NUMBERS, "evidence", "route"} else pa.int64() for name in LINE
}
_MAY_LACK: Final = {"trade_count", "vwap"}
_EXACT: Final = Context(prec=PRECISION)  # what a column holds has no more, so no step of it rounds
_EVIDENCE: Final = {str(evidence): evidence for evidence in Evidence}


def schema_of(series: Series) -> pa.Schema:
    """Return the schema of what is read of *series*, which its metadata names."""
    return SCHEMA.with_metadata({"wickwire.series": str(series)})


def batch_of(series: Series, lines: Sequence[str]) -> pa.RecordBatch:
    """Return candles of *series*, as `wickwire.lines` writes them, as rows of `SCHEMA`.

    Raises:
        StoreError: A value in them is not what any store writes.
    """
    try:
        return _batch_of(schema_of(series), _columns_of(lines))
    except ValueError as exc:
        raise StoreError(
            f"a candle of {series} is damaged: {exc}; `wickwire doctor --store URL` says which"
        ) from exc


def _columns_of(lines: Sequence[str]) -> Mapping[str, pa.Array]:
    """Return what stands in *lines*, by the name of the field."""
    if not lines:
        return {name: pa.array([], kind) for name, kind in _FIELDS.items()}
    table = csv.read_csv(
        pa.py_buffer("\n".join(lines).encode()),
        read_options=csv.ReadOptions(column_names=LINE, use_threads=False),
        parse_options=csv.ParseOptions(quote_char=False),
        convert_options=csv.ConvertOptions(column_types=_FIELDS, strings_can_be_null=True, null_values=[""]),
    )
    if table.num_rows != len(lines):
        raise ValueError("there is a line break in it")
    for name in LINE:
        if name not in _MAY_LACK and table[name].null_count:
            raise ValueError(f"it has no {name}")
    return {name: table[name].combine_chunks() for name in LINE}


def _batch_of(schema: pa.Schema, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    numbers = {name: column_of(columns[name], NUMBERS[name]) for name in NUMBERS}
    revised = pc.greater(columns["revision"], 0)
    said = {
        **columns,
        **{name: number.numbers for name, number in numbers.items()},
        "open_time": columns["open_ns"].cast(_TIME),
        "close_time": columns["close_ns"].cast(_TIME),
        "state": pc.if_else(revised, CandleState.REVISED.value, CandleState.CLOSED.value),
        "healed": columns["healed"].cast(pa.bool_()),
        "decimals": all_decimals([number.decimals for number in numbers.values()]),
        "beyond": _beyond({name: number.beyond for name, number in numbers.items()}, len(revised)),
    }
    return pa.RecordBatch.from_arrays([said[name] for name in schema.names], schema=schema)


def rows_in(batch: pa.RecordBatch) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a batch with the columns of `SCHEMA` as they stand there, times in nanoseconds."""
    columns: dict[str, list[Any]] = {
        name: (
            batch.column(name).cast(pa.int64()) if name.endswith("_time") else batch.column(name)
        ).to_pylist()
        for name in SCHEMA.names
    }
    for row in range(batch.num_rows):
        yield {name: values[row] for name, values in columns.items()}


def candle_of(series: Series, said: Mapping[str, Any]) -> SeriesCandle:
    """Return the candle of a row of `SCHEMA`, with the digits that were written.

    Raises:
        ValueError: A value in it is not what `batch_of` writes.
    """
    try:
        numbers = _written(said)
    except (ArithmeticError, TypeError, ValueError) as exc:
        raise ValueError(
            f"decimals {said['decimals']!r} and beyond {said['beyond']!r} are no numbers"
        ) from exc
    try:
        evidence = None if said["evidence"] is None else _EVIDENCE[said["evidence"]]
    except KeyError as exc:
        raise ValueError(f"there is no evidence {said['evidence']!r}") from exc
    return SeriesCandle(
        series,
        said["open_time"],
        said["close_time"],
        _there("open", numbers),
        _there("high", numbers),
        _there("low", numbers),
        _there("close", numbers),
        _there("volume", numbers),
        said["trade_count"],
        numbers["vwap"],
        CandleState(said["state"]),
        evidence,
        said["revision"],
        said["healed"],
        Rung(said["route"]),
        said["seq"],
        said["seq"],
    )


def _there(name: str, numbers: Mapping[str, Decimal | None]) -> Decimal:
    number = numbers[name]
    if number is None:
        raise ValueError(f"it has no {name}")
    return number


def _beyond(found: Mapping[str, Mapping[int, str]], rows: int) -> pa.Array:
    by_row: dict[int, dict[str, str]] = {}
    for name, beyond in found.items():
        for row, text in beyond.items():
            by_row.setdefault(row, {})[name] = text
    said = {row: json.dumps(numbers, separators=(",", ":")) for row, numbers in by_row.items()}
    return pa.array(map(said.get, range(rows)), pa.string())


def _written(said: Mapping[str, Any]) -> dict[str, Decimal | None]:
    """Return the numbers of a row as they were written."""
    words = (said["decimals"] or "").split() or ["-"] * len(NUMBERS)
    if len(words) != len(NUMBERS):
        raise ValueError(f"the decimals of {len(NUMBERS)} numbers are not {said['decimals']!r}")
    beyond = json.loads(said["beyond"]) if said["beyond"] else {}
    return {
        name: Decimal(beyond[name]) if name in beyond else _rewritten(said[name], word)
        for name, word in zip(NUMBERS, words, strict=True)
    }


def _rewritten(number: Decimal | None, decimals: str) -> Decimal | None:
    if number is None:
        return None
    if decimals == "-":  # whoever made this row did not say, and zeros at the end say nothing
        return _plain(number)
    written = number.quantize(_last_digit(decimals), context=_EXACT)
    return written if written == number else _plain(number)


@functools.lru_cache(maxsize=256)
def _last_digit(decimals: str) -> Decimal:
    return Decimal(1).scaleb(-int(decimals))


def _plain(number: Decimal) -> Decimal:
    """Return *number* without zeros at its end, and without an exponent."""
    short = number.normalize(_EXACT)
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1), context=_EXACT) if isinstance(exponent, int) and exponent > 0 else short
