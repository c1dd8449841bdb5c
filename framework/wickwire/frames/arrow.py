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

from wickwire.model import CandleState, Evidence, Rung, Series, SeriesCandle

__all__ = ["NUMBERS", "PRICE", "SCHEMA", "VOLUME", "batch_of", "candle_of", "rows_in", "schema_of"]

PRECISION: Final = 38
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

_EXACT: Final = Context(prec=PRECISION)  # what a column holds has no more, so no step of it rounds
_EVIDENCE: Final = {str(evidence): evidence for evidence in Evidence}


def schema_of(series: Series) -> pa.Schema:
    """Return the schema of what is read of *series*, which its metadata names."""
    return SCHEMA.with_metadata({"wickwire.series": str(series)})


def batch_of(series: Series, candles: Sequence[SeriesCandle]) -> pa.RecordBatch:
    """Return *candles* of *series* as rows of `SCHEMA`."""
    beyond: dict[int, dict[str, str]] = {}
    numbers = {name: _held(name, candles, beyond) for name in NUMBERS}
    columns = {
        "open_time": [candle.open_ns for candle in candles],
        "close_time": [candle.close_ns for candle in candles],
        **numbers,
        "trade_count": [candle.trade_count for candle in candles],
        "state": [candle.state.value for candle in candles],
        "evidence": [None if candle.evidence is None else str(candle.evidence) for candle in candles],
        "revision": [candle.revision for candle in candles],
        "healed": [candle.healed for candle in candles],
        "route": [candle.route.value for candle in candles],
        "seq": [candle.seq for candle in candles],
        "decimals": [_decimals(candle) for candle in candles],
        "beyond": [
            json.dumps(beyond[row], separators=(",", ":")) if row in beyond else None
            for row in range(len(candles))
        ],
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[field.name], field.type) for field in SCHEMA], schema=schema_of(series)
    )


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


def _held(
    name: str, candles: Sequence[SeriesCandle], beyond: dict[int, dict[str, str]]
) -> list[Decimal | None]:
    """Return what the column *name* holds of each candle, and put into *beyond* what it cannot."""
    scale = NUMBERS[name].scale
    held: list[Decimal | None] = []
    for row, candle in enumerate(candles):
        number: Decimal | None = getattr(candle, name)
        if number is not None and not _fits(number, scale):
            beyond.setdefault(row, {})[name] = str(number)
            number = None
        held.append(number)
    return held


def _fits(number: Decimal, scale: int) -> bool:
    """Say whether a column with *scale* decimals holds all of *number*; none knows minus zero."""
    if not number.is_finite() or (not number and number.is_signed()):
        return False
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -scale and number.adjusted() < PRECISION - scale


def _decimals(candle: SeriesCandle) -> str:
    return " ".join(_decimals_of(getattr(candle, name)) for name in NUMBERS)


def _decimals_of(number: Decimal | None) -> str:
    exponent = None if number is None else number.as_tuple().exponent
    return str(-exponent) if isinstance(exponent, int) else "-"


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
