"""Timeframes and the grids they lie on: all arithmetic of calendars and time zones is here."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Final, final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from wickwire.errors import UsageError
from wickwire.instants import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, ns_of, when

__all__ = ["Grid", "Session", "Timeframe", "Unit", "Unknown", "Utc", "Zone"]

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH_MONDAY: Final = date(1969, 12, 29).toordinal()
_MONTHS_A_YEAR: Final = 12
_ONE_DAY: Final = timedelta(days=1)
_FIRST_YEAR: Final = 100
_LAST_YEAR: Final = 9_900


# ------------------------------------------------------------------------------------------------ grids


@attrs.frozen
class Utc:
    """Buckets follow the calendar in UTC; seconds, minutes and hours count from 1970-01-01T00:00Z."""


@attrs.frozen
class Zone:
    """Buckets follow the calendar of a time zone; sub-day ones count the time since local midnight.

    A day begins at its first local midnight, or, where a clock change skips that, at the change; it may have
    23 or 25 hours. The last sub-day bucket of a day ends where the next day begins, so it may be short.
    Buckets of more than 24 hours, counted in hours or less, do not exist on this grid.

    Attributes:
        tz: IANA name, such as "America/New_York".
    """

    tz: str


@attrs.frozen
class Session:
    """Buckets follow trading sessions: sub-day ones count from the session's open.

    Attributes:
        calendar: Name of the exchange calendar (ISO 10383 MIC), where known.
        tz: IANA name of the venue's zone, where known.
    """

    calendar: str | None = None
    tz: str | None = None


@attrs.frozen
class Unknown:
    """Where buckets start is not documented: read it from the data, compute nothing."""


Grid = Utc | Zone | Session | Unknown
"""Where the buckets of a series open."""


# ------------------------------------------------------------------------------------------- timeframes


@final
class Unit(enum.Enum):
    """The unit that a timeframe counts in."""

    SECOND = "s"
    MINUTE = "m"
    HOUR = "h"
    DAY = "d"
    WEEK = "w"
    MONTH = "mo"


_FIXED_NS: Final = {Unit.SECOND: SECOND_NS, Unit.MINUTE: MINUTE_NS, Unit.HOUR: HOUR_NS}
_COARSER: Final = {Unit.SECOND: (60, Unit.MINUTE), Unit.MINUTE: (60, Unit.HOUR)}
_NOMINAL_NS: Final = _FIXED_NS | {Unit.DAY: DAY_NS, Unit.WEEK: 7 * DAY_NS, Unit.MONTH: 31 * DAY_NS}
_LONGEST_NS: Final = 3_660 * DAY_NS
_WORDS: Final = {
    "sec": "s",
    "second": "s",
    "min": "m",
    "minute": "m",
    "hr": "h",
    "hour": "h",
    "day": "d",
    "wk": "w",
    "week": "w",
    "mon": "mo",
    "month": "mo",
}
_ELSEWHERE: Final = re.compile(
    rf"([1-9]\d{{0,4}}) ?([SMHDW]|MO|(?:{'|'.join(_WORDS)})s?)", re.ASCII | re.IGNORECASE
)
_TIMEFRAME: Final = re.compile(r"([1-9]\d{0,4})(s|m|h|d|w|mo)", re.ASCII)


@final
class Timeframe:
    """How long a candle lasts: a count and a unit, calendar-aware, written `90s`, `1m`, `1d`, `1w`, `1mo`.

    One object per value, so comparing and hashing cost nothing on the hot path. 60 seconds are one minute
    and 60 minutes one hour; 24 hours are not a day, since a day can have 23 or 25.

    Attributes:
        n: How many units.
        unit: Of which length.
        fixed_ns: The length in nanoseconds where it never varies (seconds, minutes, hours), else None.
        nominal_ns: The longest that one bucket normally lasts: 24 hours a day, 31 days a month.
    """

    __slots__ = ("_text", "fixed_ns", "n", "nominal_ns", "unit")
    _known: ClassVar[dict[tuple[int, Unit], Timeframe]] = {}

    n: int
    unit: Unit
    fixed_ns: int | None
    nominal_ns: int
    _text: str

    def __new__(cls, n: int, unit: Unit) -> Timeframe:
        """Return the one timeframe of *n* units.

        Raises:
            UsageError: *n* is not positive, or it lasts more than ten years.
        """
        if n < 1:
            raise UsageError(f"a timeframe counts at least 1, got {n}{unit.value}")
        if n * _NOMINAL_NS[unit] > _LONGEST_NS:
            raise UsageError(f"a timeframe lasts ten years at most, got {n}{unit.value}")
        while unit in _COARSER and n % _COARSER[unit][0] == 0:
            size, coarser = _COARSER[unit]
            n, unit = n // size, coarser
        known = cls._known.get((n, unit))
        if known is None:
            known = super().__new__(cls)
            known.n, known.unit, known._text = n, unit, f"{n}{unit.value}"
            known.nominal_ns = n * _NOMINAL_NS[unit]
            known.fixed_ns = known.nominal_ns if unit in _FIXED_NS else None
            known = cls._known.setdefault((n, unit), known)
        return known

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Return the timeframe written as *text*.

        Raises:
            UsageError: *text* is not a count and one of s, m, h, d, w, mo, or lasts more than ten years.
        """
        match = _TIMEFRAME.fullmatch(text)
        if match is None:
            raise UsageError(
                f"not a timeframe: {text!r}{_meant(text)}; write a count and s, m, h, d, w or mo: "
                "90s, 5m, 1h, 1d, 1mo"
            )
        return cls(int(match[1]), Unit(match[2]))

    @classmethod
    def of_minutes(cls, minutes: int) -> Timeframe:
        """Return the timeframe of *minutes* minutes; whole days become days, and seven of them a week."""
        if minutes % 10_080 == 0:
            return cls(minutes // 10_080, Unit.WEEK)
        if minutes % 1_440 == 0:
            return cls(minutes // 1_440, Unit.DAY)
        return cls(minutes, Unit.MINUTE)

    def __str__(self) -> str:
        """Return the canonical text."""
        return self._text

    def __repr__(self) -> str:
        """Return the text that the command line would take, marked as a timeframe."""
        return f"Timeframe({self._text})"

    def __reduce__(self) -> tuple[Callable[[str], Timeframe], tuple[str]]:
        """Survive copy and pickle as the same object."""
        return (Timeframe.parse, (self._text,))

    def open_at(self, ns: int, grid: Grid) -> int:
        """Return when the bucket that holds *ns* opens.

        Raises:
            ValueError: The grid does not say (`Session` sub-day, `Unknown`), has no such bucket (`Zone`, more
                than 24 hours) or names no known time zone, or a calendar is needed beyond 100 to 9900.
        """
        fixed = self.fixed_ns
        if isinstance(grid, Utc) and fixed is not None:
            return ns - ns % fixed
        zone = self._zone(grid)
        if fixed is None:
            return self._calendar_open(ns, zone)
        return ns - (ns - _ONE_DAY_LONG.open_at(ns, grid)) % fixed

    def close_of(self, open_ns: int, grid: Grid) -> int:
        """Return when the bucket that opens at *open_ns* ends, which is when the next one opens.

        On an `Unknown` or `Session` grid this is the nominal end: the last bar of a session may be shorter.

        Raises:
            ValueError: As in `open_at`, where the calendar is needed.
        """
        fixed = self.fixed_ns
        if isinstance(grid, Utc) and fixed is not None:
            return open_ns + fixed
        if isinstance(grid, Unknown) or (
            isinstance(grid, Session) and (fixed is not None or grid.tz is None)
        ):
            return open_ns + self.nominal_ns
        zone = self._zone(grid)
        if fixed is None:
            return self._calendar_close(open_ns, zone)
        return min(open_ns + fixed, _ONE_DAY_LONG.close_of(open_ns, grid))

    def _zone(self, grid: Grid) -> ZoneInfo | None:
        if isinstance(grid, Utc):
            return None
        tz = grid.tz if isinstance(grid, Zone | Session) else None
        fixed = self.fixed_ns
        if tz is None or (fixed is not None and (isinstance(grid, Session) or fixed > DAY_NS)):
            raise ValueError(f"where {self} buckets open cannot be computed on {grid!r}")
        try:
            return ZoneInfo(tz)
        except (ZoneInfoNotFoundError, OSError) as exc:
            raise ValueError(f"no such time zone: {tz!r}") from exc

    def _calendar_open(self, ns: int, zone: ZoneInfo | None) -> int:
        # From a day later down: where clocks go back across midnight (America/St_Johns until 2011), a few
        # instants show the old date after the new day has begun.
        first = self._first_day(_date_at(ns, zone) + _ONE_DAY)
        while (opens := _day_ns(first, zone)) > ns:
            first = self._first_day(first - _ONE_DAY)
        return opens

    def _calendar_close(self, open_ns: int, zone: ZoneInfo | None) -> int:
        first = self._first_day(_date_at(open_ns, zone))
        while (opens := _day_ns(first, zone)) <= open_ns:  # a skipped date (Pacific/Apia) lasts no time
            first = self._next_first_day(first)
        return opens

    def _first_day(self, day: date) -> date:
        if self.unit is Unit.MONTH:
            months = (day.year - 1970) * _MONTHS_A_YEAR + day.month - 1
            year, month = divmod(months - months % self.n, _MONTHS_A_YEAR)
            return date(1970 + year, month + 1, 1)
        size, anchor = (self.n * 7, _EPOCH_MONDAY) if self.unit is Unit.WEEK else (self.n, _EPOCH_DAY)
        ordinal = day.toordinal()
        return date.fromordinal(ordinal - (ordinal - anchor) % size)

    def _next_first_day(self, first: date) -> date:
        if self.unit is Unit.MONTH:
            years, month = divmod(first.month - 1 + self.n, _MONTHS_A_YEAR)
            return date(first.year + years, month + 1, 1)
        return first + timedelta(days=self.n * (7 if self.unit is Unit.WEEK else 1))


_ONE_DAY_LONG: Final = Timeframe(1, Unit.DAY)


def _meant(text: str) -> str:
    """Return ` (did you mean ...?)` where others write it so, else nothing."""
    match = _ELSEWHERE.fullmatch(text)
    if match is None:
        return ""
    count, word = match[1], match[2]
    if word == "M":
        return f" (did you mean '{count}mo', months, or '{count}m', minutes?)"
    return f" (did you mean '{count}{_WORDS.get(word.lower().rstrip('s'), word.lower())}'?)"


def _date_at(ns: int, zone: ZoneInfo | None) -> date:
    moment = when(ns)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"no bucket is computed for the year {moment.year}, only from 100 to 9900")
    return moment.astimezone(zone or UTC).date()


@functools.lru_cache(maxsize=1_024)  # every question about a bucket of a day asks for the same days again
def _day_ns(day: date, zone: ZoneInfo | None) -> int:
    """Return the first instant of *day*: its first midnight, or the clock change that skips it."""
    if zone is None:
        return (day.toordinal() - _EPOCH_DAY) * DAY_NS
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    first = midnight.astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return ns_of(first)
    # Midnight is skipped. With fold=0 it is read with the offset before the change, which names the change
    # itself only if that is at midnight sharp; with fold=1, with the one after, an instant before the change.
    low, high = int(midnight.replace(fold=1).timestamp()), int(midnight.timestamp())
    before = when(low * SECOND_NS).astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if when(middle * SECOND_NS).astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high * SECOND_NS
