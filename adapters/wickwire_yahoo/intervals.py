"""The intervals of the chart endpoint, and how far back each reaches, as the texts of refusals have it."""

from __future__ import annotations

from typing import Final

import attrs

from wickwire import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Timeframe

__all__ = ["INTERVALS", "Interval"]

_LARGEST_PAGE: Final = 10_080
"""Rows a call: seven days of minutes, about a megabyte. Yahoo itself knows no cap."""

_CLAMP_NS: Final = HOUR_NS
"""A window that leaves the limit by a second is refused whole, so we stay an hour inside."""

_CENTURY_NS: Final = 99 * 365 * DAY_NS
"""`Only 100 years worth of day granularity data are allowed`: the window of a day and above."""


_SETTLE_S: Final = ((90 * MINUTE_NS, 10), (4 * HOUR_NS, 30), (_CENTURY_NS, 300))
"""Up to which length, how long rows still move: Yahoo says nothing of it, these are choices."""


@attrs.frozen(kw_only=True)
class Interval:
    """One interval.

    Attributes:
        timeframe: What we call it.
        text: What Yahoo calls it.
        answers: What `meta.dataGranularity` may say when it was served.
        depth_ns: How far back it may be asked for; None for the whole history.
        span_ns: The longest window of one call.
        settle_s: How long after its end a row may still move.
    """

    timeframe: Timeframe
    text: str
    answers: frozenset[str]
    depth_ns: int | None
    span_ns: int
    settle_s: int

    @property
    def page_rows(self) -> int:
        """Most buckets that one call asks for."""
        return min(_LARGEST_PAGE, self.span_ns // self.timeframe.nominal_ns)

    @property
    def depth_s(self) -> float | None:
        """How far back it may be asked for, in seconds."""
        return None if self.depth_ns is None else self.depth_ns / SECOND_NS

    @property
    def margins_ns(self) -> tuple[int, int]:
        """How far before and after a bucket's open its row may be stamped.

        A day's stamp is the open of its session; around clock changes some zones stamp it at 22:00 or 23:00
        of the evening before.
        """
        return (0, 0) if self.timeframe.nominal_ns < DAY_NS else (2 * HOUR_NS, DAY_NS)


def _interval(
    text: str, *, days: int | None = None, span_days: int | None = None, ours: str = "", also: str = ""
) -> Interval:
    timeframe = Timeframe.parse(ours or text)
    return Interval(
        timeframe=timeframe,
        text=text,
        answers=frozenset({text, also or text}),
        depth_ns=None if days is None else days * DAY_NS - _CLAMP_NS,
        span_ns=_CENTURY_NS if days is None else (span_days or days) * DAY_NS,
        settle_s=next(s for longest_ns, s in _SETTLE_S if timeframe.nominal_ns <= longest_ns),
    )


# `5d` is missing on purpose: its rows have no stable meaning, and yfinance refuses to repair them.
INTERVALS: Final = {
    interval.timeframe: interval
    for interval in (
        _interval("1m", days=30, span_days=7),
        _interval("2m", days=60),
        _interval("5m", days=60),
        _interval("15m", days=60),
        _interval("30m", days=60),
        _interval("1h", days=730, also="60m"),
        _interval("90m", days=60),
        _interval("4h", days=730),  # its depth is not established; it seems to share that of 1h
        _interval("1d"),
        _interval("1wk", ours="1w"),
        _interval("1mo"),
        _interval("3mo"),
    )
}
"""By timeframe, shortest first."""
