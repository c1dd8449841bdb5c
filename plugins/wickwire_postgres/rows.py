"""Rows to values and back: decimals exact to the digit, times as integers, names for everything else."""

from __future__ import annotations

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

__all__ = [
    "COLUMNS",
    "EVIDENCE_NAMES",
    "DamagedError",
    "candle_of",
    "hole_of",
    "listed",
    "row_of",
    "series_of",
    "trade_of",
    "trade_row",
]

COLUMNS: Final = (
    "series", "open_ns", "close_ns", "open", "high", "low", "close", "volume", "trade_count", "vwap",
    "digits", "evidence", "revision", "healed", "route", "seq", "first_seq",
)  # fmt: skip

_MOST_DECIMALS: Final = 16_383
_MOST_WHOLE: Final = 131_072
_NO_NUMBER: Final = Decimal("NaN")

# Names, not ranks: a rank may shift when a later version learns a new kind of evidence.
_EVIDENCE: Final = {evidence.name.lower(): evidence for evidence in Evidence}
EVIDENCE_NAMES: Final = {evidence: name for name, evidence in _EVIDENCE.items()}
_RUNGS: Final = {rung.value: rung for rung in Rung}


class DamagedError(Exception):
    """A row is not what this plugin writes."""


def listed(prefix: str = "") -> str:
    """Return the columns for a statement, each with *prefix* before it."""
    return ", ".join(f"{prefix}{column}" for column in COLUMNS)


def series_of(venue: str, variant: str, symbol: str, what: str) -> Series:
    """Return the series of a row of the table `series`.

    Raises:
        DamagedError: It is none.
    """
    try:
        return series_of_key(venue, variant, symbol, what)
    except UsageError as exc:
        raise DamagedError(f"a series is damaged: {exc}") from exc


def row_of(series_id: int, candle: SeriesCandle) -> tuple[Any, ...]:
    """Return *candle* in the order of `COLUMNS`."""
    assert candle.evidence is not None, "only closed candles are stored"
    numbers: tuple[Decimal | None, ...] = (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.vwap,
    )
    digits = None
    if not all(number is None or _kept(number) for number in numbers):
        digits = " ".join("-" if number is None else str(number) for number in numbers)
        numbers = tuple(None if number is None else _nearest(number) for number in numbers)
    return (
        series_id,
        candle.open_ns,
        candle.close_ns,
        *numbers[:5],
        candle.trade_count,
        numbers[5],
        digits,
        EVIDENCE_NAMES[candle.evidence],
        candle.revision,
        candle.healed,
        candle.route.value,
        candle.seq,
        candle.first_seq,
    )


def _kept(number: Decimal) -> bool:
    """Say whether NUMERIC brings *number* back digit by digit: it knows neither 1E+3 nor -0.00."""
    text = str(number)
    if "E" not in text:
        return len(text) <= _MOST_DECIMALS and (text[0] != "-" or bool(number))
    sign, _, exponent = number.as_tuple()
    assert isinstance(exponent, int), "prices are finite"
    return -_MOST_DECIMALS <= exponent <= 0 and (not sign or bool(number))


def _nearest(number: Decimal) -> Decimal:
    """Return the same value as NUMERIC has it; NaN where it cannot hold it, rather than another value."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "prices are finite"
    if not number:
        return Decimal((0, (0,), max(-_MOST_DECIMALS, min(exponent, 0))))
    return number if exponent >= -_MOST_DECIMALS and number.adjusted() < _MOST_WHOLE else _NO_NUMBER


def candle_of(series: Series, row: Sequence[Any]) -> SeriesCandle:
    """Return the candle of a row in the order of `COLUMNS`.

    Raises:
        DamagedError: A value in it is not what this plugin writes.
    """
    (_, opens, ends, first, high, low, last, volume, count, vwap, digits, *rest) = row
    evidence, revision, healed, route, seq, first_seq = rest
    try:
        if digits is not None:
            numbers = [None if text == "-" else Decimal(text) for text in digits.split(" ")]
            first, high, low, last, volume, vwap = numbers
        return SeriesCandle(
            series,
            opens,
            ends,
            first,
            high,
            low,
            last,
            volume,
            count,
            vwap,
            CandleState.REVISED if revision else CandleState.CLOSED,
            _EVIDENCE[evidence],
            revision,
            healed,
            _RUNGS[route],
            seq,
            first_seq,
        )
    except (ArithmeticError, KeyError, TypeError, ValueError) as exc:
        raise DamagedError(f"a candle of {series} is damaged: {tuple(row)!r}") from exc


def trade_row(trade: Trade) -> tuple[Any, ...]:
    """Return *trade* as the last eight columns of the table `trades`."""
    exact = _kept(trade.price) and _kept(trade.size)
    return (
        trade.time_ns,
        trade.id,
        _nearest(trade.price),
        _nearest(trade.size),
        None if exact else f"{trade.price} {trade.size}",
        None if trade.side is None else trade.side.value,
        trade.action.value,
        trade.replaces,
    )


def trade_of(series: Series, row: Sequence[Any]) -> Trade:
    """Return the trade of a row as `trade_row` makes it; errors as in `candle_of`."""
    time_ns, name, price, size, digits, side, action, replaces = row
    try:
        if digits is not None:
            price, size = map(Decimal, digits.split(" "))
        taker = None if side is None else Side(side)
        return Trade(series.symbol, name, price, size, taker, time_ns, TradeAction(action), replaces)
    except (ArithmeticError, TypeError, ValueError) as exc:
        raise DamagedError(f"a trade of {series} is damaged: {[*row]!r}") from exc


def hole_of(since_ns: int, until_ns: int, kind: str) -> Hole:
    """Return the hole of a row of the table `holes`; errors as in `candle_of`."""
    try:
        return Hole(since_ns, until_ns, HoleKind(kind))
    except ValueError as exc:
        raise DamagedError(f"a hole is damaged: {exc}") from exc
