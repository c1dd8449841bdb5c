"""Which window a request to the simulated Yahoo means, and in which words it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from wickwire import DAY_NS, SECOND_NS, Timeframe, when
from wickwire_yahoo.simulator_quotes import Quoted

__all__ = ["INTERVALS", "RANGES", "Refused", "Window", "window_of"]

INTERVALS: Final = {
    text: Timeframe.parse(text) for text in ("1m", "2m", "5m", "15m", "30m", "60m", "90m", "1h", "4h")
} | {
    "1d": Timeframe.parse("1d"),
    "5d": Timeframe.parse("5d"),
    "1wk": Timeframe.parse("1w"),
    "1mo": Timeframe.parse("1mo"),
    "3mo": Timeframe.parse("3mo"),
}
RANGES: Final = ("1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max")
SESSIONS_BACK: Final = {"1d": 1, "5d": 5}
MONTHS_BACK: Final = {"1mo": 1, "3mo": 3, "6mo": 6, "1y": 12, "2y": 24, "5y": 60, "10y": 120}
DEPTH_DAYS: Final = {"1m": 30, "60m": 730, "1h": 730, "4h": 730} | dict.fromkeys(
    ("2m", "5m", "15m", "30m", "90m"), 60
)
"""How far each interval of less than a day reaches back. The depth of 4h is not established."""
MINUTE_SPAN_DAYS: Final = 8
"""What one request for 1m may span."""
DAILY_SPAN_YEARS: Final = 100
ANSWERED_AS: Final = {"60m": "1h"}
"""Intervals whose `dataGranularity` is another word."""


class Refused(Exception):
    """A request that gets no rows.

    Attributes:
        status: HTTP status.
        code: Yahoo's word for it.
    """

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.code = code


@attrs.frozen
class Window:
    """What is asked for: rows stamped in `[since_s, until_s)`.

    Attributes:
        interval: As asked.
        since_s: First second.
        until_s: Where it ends.
        range: The range asked for; empty with period1 and period2.
    """

    interval: str
    since_s: int
    until_s: int
    range: str

    @property
    def timeframe(self) -> Timeframe:
        """The interval's length."""
        return INTERVALS[self.interval]

    @property
    def intraday(self) -> bool:
        """Whether rows last less than a day."""
        return self.timeframe.fixed_ns is not None

    @property
    def granularity(self) -> str:
        """What `dataGranularity` says."""
        return ANSWERED_AS.get(self.interval, self.interval)


def window_of(query: Mapping[str, str], quoted: Quoted, start_ns: int, now_ns: int) -> Window:
    """Return the window that *query* means.

    Raises:
        Refused: 400 for what cannot be meant, 422 for what reaches too far.
    """
    interval = query.get("interval", "1d")
    if interval not in INTERVALS:
        raise _bad(f"interval={interval} is not supported. Valid intervals: [{', '.join(INTERVALS)}]")
    text = query.get("range", "")
    if "period1" in query or "period2" in query:
        window = Window(interval, _int(query, "period1", 0), _int(query, "period2", now_ns // SECOND_NS), "")
    elif (text or "1d") in RANGES:
        text = text or "1d"
        window = Window(interval, _since_s(text, quoted, start_ns, now_ns), now_ns // SECOND_NS + 1, text)
    else:
        raise _bad(f"range={text} is not supported. Valid ranges: [{', '.join(RANGES)}]")
    if window.until_s <= window.since_s:
        raise _bad(
            f"start date cannot be after end date. startDate = {window.since_s}, endDate = {window.until_s}"
        )
    _check_reach(window, now_ns)
    return window


def _check_reach(window: Window, now_ns: int) -> None:
    """Refuse all of a window of which only a part reaches too far: nothing is clamped."""
    span_s, day_s = window.until_s - window.since_s, DAY_NS // SECOND_NS
    if window.interval == "1m" and span_s > MINUTE_SPAN_DAYS * day_s:
        raise _too_far(window, f"Only {MINUTE_SPAN_DAYS} days worth of 1m granularity data", spans=True)
    depth = DEPTH_DAYS.get(window.interval)
    if depth is not None and window.since_s < now_ns // SECOND_NS - depth * day_s:
        raise _too_far(window, f"The requested range must be within the last {depth} days.")
    if depth is None and span_s > DAILY_SPAN_YEARS * 366 * day_s:
        raise _too_far(window, f"Only {DAILY_SPAN_YEARS} years worth of day granularity data", spans=True)


def _since_s(text: str, quoted: Quoted, start_ns: int, now_ns: int) -> int:
    local = when(now_ns).astimezone(quoted.zone)
    if text in SESSIONS_BACK:
        number = quoted.hours.number_at(now_ns) - SESSIONS_BACK[text] + 1
        return quoted.hours.open_ns(number) // SECOND_NS
    if text == "max":
        return start_ns // SECOND_NS
    first = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if text == "ytd":
        return _unix(first.replace(month=1, day=1))
    year, month = divmod(first.year * 12 + first.month - 1 - MONTHS_BACK[text], 12)
    following = datetime(year + (month + 1) // 12, (month + 1) % 12 + 1, 1, tzinfo=UTC)
    last_day = (following - timedelta(days=1)).day
    return _unix(first.replace(year=year, month=month + 1, day=min(first.day, last_day)))


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())


def _int(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise _bad(f"{name}={text} is not a number") from None


def _bad(text: str) -> Refused:
    return Refused(400, "Bad Request", f"Invalid input - {text}")


def _too_far(window: Window, text: str, *, spans: bool = False) -> Refused:
    rest = f"{text} are allowed to be fetched per request." if spans else text
    said = (
        f"{window.interval} data not available for startTime={window.since_s} and endTime={window.until_s}."
    )
    return Refused(422, "Unprocessable Entity", f"{said} {rest}")
