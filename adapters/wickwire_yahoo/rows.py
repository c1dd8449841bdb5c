"""The rows of a reply as they stand, and its splits; `intraday` and `calendar` turn rows into candles."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from wickwire import SECOND_NS, Candle, Finality, Split, WireError
from wickwire_yahoo.chart import Events, Result, SplitEvent

if TYPE_CHECKING:
    from wickwire_yahoo.told import Told

__all__ = ["Reading", "Row", "extended", "instant_ns", "rows_of", "splits_of"]

_FIRST_S: Final = -4_000_000_000  # 1843: the oldest share in the world is younger on Yahoo
_LAST_S: Final = 32_503_680_000  # the year 3000
_LARGEST: Final = 60
"""Most digits before the point, and after it, that a number may have."""


@attrs.frozen
class Row:
    """One row whose prices are all there; volume 0 where Yahoo has none."""

    stamp_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    @property
    def is_tick(self) -> bool:
        """Whether this may be one price and no bar: the form of the live row."""
        return self.open == self.high == self.low == self.close and not self.volume

    def candle(self, told: Told, open_ns: int, close_ns: int, finality: Finality) -> Candle:
        """Return this row as the candle of a bucket."""
        prices = (self.open, self.high, self.low, self.close)
        return Candle(
            told.symbol,
            told.interval.timeframe,
            open_ns,
            close_ns,
            *prices,
            self.volume,
            None,
            None,
            finality,
        )


@attrs.frozen
class Reading:
    """What was made of the rows.

    Attributes:
        candles: By open time, each once.
        doubts_ns: Where rows stand that could not be placed.
    """

    candles: Sequence[Candle]
    doubts_ns: Sequence[int] = ()


def rows_of(result: Result) -> tuple[list[Row], dict[int, str]]:
    """Return the rows that hold all four prices, by time; and by its stamp what is wrong with each bad one.

    Raises:
        WireError: The columns have different lengths, or a stamp is no time.
    """
    stamps = result.timestamp or []
    if not stamps:
        return [], {}
    quotes = result.indicators.quote[0] if result.indicators.quote else None
    if quotes is None:
        raise WireError("yahoo: rows without prices", at="$.chart.result[0].indicators.quote")
    columns = (quotes.open, quotes.high, quotes.low, quotes.close, quotes.volume or [None] * len(stamps))
    lengths = [len(column) for column in columns]
    if any(length != len(stamps) for length in lengths):
        raise WireError(
            f"yahoo: {len(stamps)} timestamps, but columns of {lengths}",
            at="$.chart.result[0].indicators.quote[0]",
        )
    rows: list[Row] = []
    bad: dict[int, str] = {}
    for stamp, *numbers in zip(stamps, *columns, strict=True):
        stamp_ns = instant_ns(stamp, "timestamp")
        try:
            first, high, low, last, volume = map(_number, numbers)
        except WireError as exc:
            bad[stamp_ns] = str(exc)
            continue
        if first is not None and high is not None and low is not None and last is not None:
            rows.append(Row(stamp_ns, first, high, low, last, volume or Decimal(0)))
        elif numbers[:4] != [None] * 4:  # a row of nulls is how Yahoo writes that nobody traded
            bad[stamp_ns] = "yahoo: a row that lacks some of its prices"
    return sorted(rows, key=lambda row: row.stamp_ns), bad


def splits_of(result: Result) -> list[Split]:
    """Return the splits of which *result* tells, by time. Rows of before are on the new scale already.

    What cannot be read is left out: the rows tell of a split too, and are wanted in any case.
    """
    try:
        told = msgspec.convert(result.events or {}, Events).splits or {}
        splits = [_split(event) for event in told.values()]
    except (ValueError, WireError):
        return []
    return sorted(splits, key=lambda split: split.at_ns)


def _split(event: SplitEvent) -> Split:
    shares, before = _number(event.numerator), _number(event.denominator)
    if shares is None or before is None or shares <= 0 or before <= 0:
        raise WireError(f"yahoo: no split: {event}")
    return Split(instant_ns(event.date, "the date of a split"), shares, before)


def extended(first: Candle, row: Row, volume: Decimal) -> Candle:
    """Return the forming candle that *first* and a later row of the same bucket make, with that *volume*."""
    high, low = max(first.high, row.high), min(first.low, row.low)
    return Candle(
        first.symbol,
        first.timeframe,
        first.open_ns,
        first.close_ns,
        first.open,
        high,
        low,
        row.close,
        volume,
        finality=Finality.FORMING,
    )


def instant_ns(seconds: int, name: str) -> int:
    """Return what the field *name* says.

    Raises:
        WireError: It is no Unix time.
    """
    if not _FIRST_S <= seconds <= _LAST_S:
        raise WireError(f"yahoo: {name} is no Unix time: {seconds!r:.40}")
    return seconds * SECOND_NS


def _number(value: Decimal | None) -> Decimal | None:
    """Return *value* with the digits received; None where it is no number."""
    if value is None or not value.is_finite():
        return None
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # it is a letter only for what is not finite
    if exponent < -_LARGEST or value.adjusted() >= _LARGEST:
        raise WireError(f"yahoo: a number beyond all reason: {str(value)[:40]}")
    return value
