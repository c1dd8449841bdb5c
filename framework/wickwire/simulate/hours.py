"""When an instrument trades: sessions as arithmetic, without a table of days.

No holidays, half days or lunch breaks: the simulated world has none.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from wickwire.model import HOUR_NS, MINUTE_NS, when

__all__ = ["ALWAYS", "TradingHours"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY: Final = date(1969, 12, 29).toordinal()
_WEEK_DAYS: Final = 7
_DAY_MINUTES: Final = 1_440


@attrs.frozen(cache_hash=True)
class TradingHours:
    """Sessions that open at one local time on some days of the week and last equally long.

    Sessions are numbered without gaps, so that the number of trades up to any instant is a sum and no walk.
    A session must not hold a change of the clocks, or it would meet its neighbour; those of real venues
    do not, as clocks change on Sunday mornings.

    Attributes:
        tz: IANA name of the zone that the opening time is told in.
        open_minute: Minutes after local midnight at which a session opens.
        minutes: How long it lasts, at most a day.
        weekdays: Days of the week on which one opens, 0 for Monday, ascending.
    """

    tz: str
    open_minute: int = attrs.field(validator=[attrs.validators.ge(0), attrs.validators.lt(_DAY_MINUTES)])
    minutes: int = attrs.field(validator=[attrs.validators.gt(0), attrs.validators.le(_DAY_MINUTES)])
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __attrs_post_init__(self) -> None:
        if not self.weekdays or sorted(set(self.weekdays) & set(range(_WEEK_DAYS))) != list(self.weekdays):
            raise ValueError(f"weekdays have to be ascending numbers from 0 to 6, got {self.weekdays}")

    def sessions(self, since_ns: int, until_ns: int) -> Sequence[tuple[int, int]]:
        """Return `(open_ns, end_ns)` of every session that shares an instant with `[since_ns, until_ns)`."""
        found: list[tuple[int, int]] = []
        number = self.number_at(since_ns)
        while (open_ns := self.open_ns(number)) < until_ns:
            end_ns = open_ns + self.length_ns
            if end_ns > since_ns:
                found.append((open_ns, end_ns))
            number += 1
        return found

    def session_at(self, ns: int) -> tuple[int, int] | None:
        """Return `(open_ns, end_ns)` of the session that holds *ns*, or None between two sessions."""
        open_ns = self.open_ns(self.number_at(ns))
        return (open_ns, open_ns + self.length_ns) if ns < open_ns + self.length_ns else None

    @property
    def length_ns(self) -> int:
        """How long a session lasts."""
        return self.minutes * MINUTE_NS

    def number_at(self, ns: int) -> int:
        """Return the number of the session that opened last, at or before *ns*; it may be over."""
        number = _number_at(self, ns // HOUR_NS)
        return number + 1 if self.open_ns(number + 1) <= ns else number

    def open_ns(self, number: int) -> int:
        """Return when the session of that number opens."""
        return _open_ns(self, number)


@functools.lru_cache(maxsize=8_192)
def _number_at(hours: TradingHours, hour: int) -> int:
    """Return the number of the session that opened last when an hour since 1970 began."""
    ns = hour * HOUR_NS
    day = when(ns).astimezone(_zone(hours.tz)).date()
    weeks, weekday = divmod(day.toordinal() - _MONDAY, _WEEK_DAYS)
    number = weeks * len(hours.weekdays) + sum(other <= weekday for other in hours.weekdays) - 1
    return number if hours.open_ns(number) <= ns else number - 1


@functools.lru_cache(maxsize=8_192)
def _open_ns(hours: TradingHours, number: int) -> int:
    weeks, position = divmod(number, len(hours.weekdays))
    day = date.fromordinal(_MONDAY + weeks * _WEEK_DAYS + hours.weekdays[position])
    hour, minute = divmod(hours.open_minute, 60)
    opening = datetime(day.year, day.month, day.day, hour, minute, tzinfo=_zone(hours.tz))
    return (opening.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1_000


@functools.lru_cache(maxsize=64)
def _zone(tz: str) -> ZoneInfo:
    return ZoneInfo(tz)


ALWAYS: Final = TradingHours("UTC", 0, _DAY_MINUTES, (0, 1, 2, 3, 4, 5, 6))
"""Round the clock; a session is a UTC day."""
