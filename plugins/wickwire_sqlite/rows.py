"""Rows to values and back: decimals as the digits received, times as integers, names for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from wickwire import CandleState, Evidence, Feed, Rung, Series, SeriesCandle, Timeframe

__all__ = ["COLUMNS", "PLACES", "candle_of", "key_of", "row_of", "series_of"]

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
_FEEDS: Final = {feed.value: feed for feed in Feed}


def key_of(series: Series) -> tuple[str, str, str, str]:
    """Return venue, variant, symbol and what, as the table `series` holds them."""
    what = series.what.value if isinstance(series.what, Feed) else str(series.what)
    return (series.venue, series.variant, series.symbol, what)


def series_of(venue: str, variant: str, symbol: str, what: str) -> Series:
    """Return the series of a row of the table `series`."""
    return Series(venue, symbol, _FEEDS.get(what) or Timeframe.parse(what), variant)


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
    """Return the candle of a row in the order of `COLUMNS`."""
    (_, opens, ends, first, high, low, last, volume, count, vwap, *rest) = row
    evidence, revision, healed, route, seq, first_seq = rest
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
