"""Rows shorter than a day into candles.

What makes it hard: the last row may be no bar but the last price, also outside of the window asked for; holes
are rows of nulls or no rows; requests for half hours were answered with hours; and there are rows from before
and after the session where none were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from wickwire import HOUR_NS, MINUTE_NS, Candle, Finality, Session
from wickwire_yahoo.rows import Reading, Row, extended
from wickwire_yahoo.told import Told

__all__ = ["close_of", "intraday", "looks_coarser"]

_COMB: Final = 12
"""So many gaps must agree before spacing proves anything: thin shares have odd gaps."""

_HALF_HOUR_NS: Final = 30 * MINUTE_NS


def intraday(rows: Sequence[Row], told: Told) -> Reading:
    """Return the candles of *rows*, whose time zone, sessions and clock are *told*.

    Rows outside their day's session fall away: Yahoo sends some even when told not to. The live row is no
    bar: it is folded into the running one, or becomes one where there is none yet.
    """
    candles: list[Candle] = []
    anchors: dict[date, int] = {}
    doubts: list[int] = []
    for number, row in enumerate(rows, 1):
        if told.is_outside(row.stamp_ns):
            continue
        last = candles[-1] if candles else None
        at_last_price = number == len(rows) and row.stamp_ns == told.live_ns
        placed = _is_placed(row, told, last, anchors, live=at_last_price)
        if (row.is_tick and at_last_price) or (not placed and number == len(rows)):
            doubts += _take_live(row, told, candles)
        elif placed:
            if last is not None and last.open_ns == row.stamp_ns:
                if row.is_tick:
                    continue
                candles.pop()
            close_ns = close_of(row.stamp_ns, told)
            candles.append(
                row.candle(told, row.stamp_ns, close_ns, told.finality(close_ns, live=at_last_price))
            )
        elif not row.is_tick:
            doubts.append(row.stamp_ns)
    return Reading(candles, doubts)


def looks_coarser(stamps: Sequence[int], interval_ns: int) -> bool:
    """Say whether the rows form a comb of at least twice the interval: 30m was once answered with hours.

    Args:
        stamps: All time stamps of a reply, in nanoseconds, holes included.
        interval_ns: What was asked for.
    """
    gaps = [after - before for before, after in pairwise(stamps) if 0 < after - before <= 6 * HOUR_NS]
    if len(gaps) < _COMB or min(gaps) < 2 * interval_ns:
        return False
    return all(gap % min(gaps) == 0 for gap in gaps)


def _is_placed(row: Row, told: Told, last: Candle | None, anchors: dict[date, int], *, live: bool) -> bool:
    """Say whether a bar may open at the row's stamp."""
    timeframe, stamp_ns = told.interval.timeframe, row.stamp_ns
    interval_ns = timeframe.nominal_ns
    if not isinstance(told.place.grid, Session):
        return timeframe.open_at(stamp_ns, told.place.grid) == stamp_ns
    session = told.session_at(stamp_ns)
    anchor_ns = anchors.setdefault(told.date_of(stamp_ns), stamp_ns) if session is None else session[0]
    if (stamp_ns - anchor_ns) % interval_ns == 0:
        return True
    # After a lunch break the longer bars may start anew, at a half hour, as the session does.
    reopens = interval_ns > _HALF_HOUR_NS and stamp_ns % _HALF_HOUR_NS == 0 and not live
    return reopens and (last is None or last.close_ns <= stamp_ns)


def close_of(open_ns: int, told: Told) -> int:
    """Return the end of the bar that opens at *open_ns*: the last one of a session is cut by its end."""
    close_ns = told.interval.timeframe.close_of(open_ns, told.place.grid)
    session = told.session_at(open_ns)
    return close_ns if session is None else min(close_ns, session[1])


def _take_live(row: Row, told: Told, candles: list[Candle]) -> list[int]:
    """Put the live row where it belongs; return its stamp when that is not known.

    A bar that is over has all that it will have: its row stays as it stands.
    """
    last = candles[-1] if candles else None
    if last is not None and last.open_ns <= row.stamp_ns < last.close_ns:
        if last.finality is Finality.FORMING:
            candles[-1] = extended(last, row, last.volume)
        return []
    session, interval = told.session_at(row.stamp_ns), told.interval
    if not isinstance(told.place.grid, Session):
        open_ns = interval.timeframe.open_at(row.stamp_ns, told.place.grid)
    elif session is not None:
        open_ns = row.stamp_ns - (row.stamp_ns - session[0]) % interval.timeframe.nominal_ns
    else:
        return [row.stamp_ns]
    candles.append(row.candle(told, open_ns, close_of(open_ns, told), Finality.FORMING))
    return []
