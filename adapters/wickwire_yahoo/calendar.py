"""Rows of days, weeks, months and quarters into candles.

A day is stamped at the open of its session, a week at Monday 00:00 of the exchange, a month at its 1st; the
running week, month or quarter comes as two rows, the second of which is today's session alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from wickwire import HOUR_NS, Candle, Finality, Unit, WireError, Zone, iso, when
from wickwire_yahoo.rows import Reading, Row, extended
from wickwire_yahoo.told import Told

__all__ = ["calendar", "morning"]

_EVENING: Final = 22
"""Around clock changes some days are stamped at 22:00 or 23:00 of the evening before."""


def calendar(rows: Sequence[Row], told: Told) -> Reading:
    """Return the candles of *rows*, each opening at the exchange's midnight, whatever its stamp says.

    They end at the midnight with which the next one opens, although the session ends earlier: so an old row,
    for which no session is told, has the same ends as a new one.

    Raises:
        WireError: A week, month or quarter does not begin where it should, or two rows are of one.
    """
    timeframe, zone = told.interval.timeframe, Zone(told.tz)
    candles: list[Candle] = []
    for number, row in enumerate(rows, 1):
        is_last = number == len(rows)
        live = is_last and row.stamp_ns == told.live_ns
        stamp_ns = row.stamp_ns if live else morning(row.stamp_ns, told)
        open_ns = timeframe.open_at(stamp_ns, zone)
        close_ns = timeframe.close_of(open_ns, zone)
        whole = timeframe.unit is Unit.DAY or told.date_of(stamp_ns) == told.date_of(open_ns)
        finality = told.finality(close_ns)
        if (live and row.is_tick) or (is_last and not whole):
            finality = Finality.FORMING  # it holds the last price, or the last session, and nothing before it
        candle = row.candle(told, open_ns, close_ns, finality)
        last = candles[-1] if candles else None
        if last is not None and last.open_ns == open_ns:
            candles[-1] = _joined(last, row, candle, told, is_last=is_last)
        elif whole or is_last or _listed_within(told, open_ns, close_ns):
            candles.append(candle)
        else:
            raise WireError(
                f"yahoo: no {told.interval.text} row of {told.symbol} begins at {iso(row.stamp_ns)}"
            )
    return Reading(candles)


def morning(stamp_ns: int, told: Told) -> int:
    """Return an instant on the day that a row means."""
    local = when(stamp_ns).astimezone(ZoneInfo(told.tz))
    evening = local.hour >= _EVENING and local.minute == local.second == 0
    return stamp_ns + 2 * HOUR_NS if evening else stamp_ns


def _joined(first: Candle, row: Row, second: Candle, told: Told, *, is_last: bool) -> Candle:
    """Return the one candle that two rows of a bucket make."""
    bare = first.open == first.high == first.low == first.close and not first.volume
    if row.is_tick and is_last and not bare:
        return extended(first, row, first.volume) if first.finality is Finality.FORMING else first
    if told.interval.timeframe.unit is Unit.DAY:
        return second  # of two rows of a day the last has the fuller volume
    if not is_last:
        raise WireError(
            f"yahoo: two {told.interval.text} rows of {told.symbol} in the one of {iso(first.open_ns)}"
        )
    # Yahoo splits the running period: the second row holds the last session alone, as captured. Whether the
    # first one's volume has it too is not established: the sum is approximate and the candle never closed.
    return extended(first, row, first.volume + row.volume)


def _listed_within(told: Told, open_ns: int, close_ns: int) -> bool:
    """Say whether history begins in this bucket: its row may be stamped at the first day of trading."""
    return told.listed_ns is not None and open_ns <= told.listed_ns < close_ns
