"""Rows to values and back: decimals as the digits received, times as integers, names for everything else."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from wickwire import (
    CandleState,
    Evidence,
    Hole,
    HoleKind,
    Rung,
    Series,
    SeriesCandle,
    Side,
    Trade,
    TradeAction,
    UsageError,
    series_of_key,
)

__all__ = ["COLUMNS", "PLACES", "candle_of", "hole_of", "row_of", "series_of", "trade_of", "trade_row"]

COLUMNS: Final = (
    "series, open_ns, close_ns, open, high, low, close, volume, trade_count, vwap, "
    "evidence, revision, healed, route, seq, first_seq"
)
PLACES: Final = ", ".join("?" * len(COLUMNS.split(",")))

_SMALLEST_WRITTEN_OUT: Final = -40  # so that 1E-999999 does not become a million zeros

# Names, not ranks: a rank may shift when a later version learns a new kind of evidence.
_EVIDENCE: Final = {evidence.name.lower(): evidence for evidence in Evidence}
_EVIDENCE_NAMES: Final = {evidence: name for name, evidence in _EVIDENCE.items()}
_RUNGS: Final = {rung.value: rung for rung in Rung}


def series_of(venue: str, variant: str, symbol: str, what: str) -> Series:
    """Return the series of a row of the table `series`; errors as in `candle_of`."""
    try:
        return series_of_key(venue, variant, symbol, what)
    except UsageError as exc:
        raise sqlite3.DataError(f"a series is damaged: {exc}") from exc


def row_of(series_id: int, candle: SeriesCandle) -> tuple[Any, ...]:
    """Return *candle* in the order of `COLUMNS`."""
    assert candle.evidence is not None, "only closed candles are stored"
    return (
        series_id,
        candle.open_ns,
        candle.close_ns,
        _digits(candle.open),
        _digits(candle.high),
        _digits(candle.low),
        _digits(candle.close),
        _digits(candle.volume),
        candle.trade_count,
        None if candle.vwap is None else _digits(candle.vwap),
        _EVIDENCE_NAMES[candle.evidence],
        candle.revision,
        candle.healed,
        candle.route.value,
        candle.seq,
        candle.first_seq,
    )


def _digits(number: Decimal) -> str:
    """Return *number* so that it reads back exactly, written out as venues do: 0.00000001, not 1E-8."""
    text = str(number)
    if "E-" in text and number.adjusted() > _SMALLEST_WRITTEN_OUT:
        return format(number, "f")
    return text


def candle_of(series: Series, row: Sequence[Any]) -> SeriesCandle:
    """Return the candle of a row in the order of `COLUMNS`.

    Raises:
        sqlite3.DataError: A value in it is not what this plugin writes.
    """
    (_, opens, ends, first, high, low, last, volume, count, vwap, *rest) = row
    evidence, revision, healed, route, seq, first_seq = rest
    try:
        return SeriesCandle(
            series,
            opens,
            ends,
            Decimal(first),
            Decimal(high),
            Decimal(low),
            Decimal(last),
            Decimal(volume),
            count,
            None if vwap is None else Decimal(vwap),
            CandleState.REVISED if revision else CandleState.CLOSED,
            _EVIDENCE[evidence],
            revision,
            bool(healed),
            _RUNGS[route],
            seq,
            first_seq,
        )
    except (ArithmeticError, KeyError, TypeError) as exc:
        raise sqlite3.DataError(f"a candle of {series} is damaged: {row!r}") from exc


def trade_row(trade: Trade) -> tuple[Any, ...]:
    """Return *trade* as the last seven columns of the table `trades`."""
    return (
        trade.time_ns,
        trade.id,
        _digits(trade.price),
        _digits(trade.size),
        None if trade.side is None else trade.side.value,
        trade.action.value,
        trade.replaces,
    )


def trade_of(series: Series, row: Sequence[Any]) -> Trade:
    """Return the trade of a row as `trade_row` makes it; errors as in `candle_of`."""
    time_ns, name, price, size, side, action, replaces = row
    try:
        return Trade(
            series.symbol,
            name,
            Decimal(price),
            Decimal(size),
            None if side is None else Side(side),
            time_ns,
            TradeAction(action),
            replaces,
        )
    except (ArithmeticError, TypeError, ValueError) as exc:
        raise sqlite3.DataError(f"a trade of {series} is damaged: {row!r}") from exc


def hole_of(since_ns: int, until_ns: int, kind: str) -> Hole:
    """Return the hole of a row of the table `holes`; errors as in `candle_of`."""
    try:
        return Hole(since_ns, until_ns, HoleKind(kind))
    except ValueError as exc:
        raise sqlite3.DataError(f"a hole is damaged: {exc}") from exc
