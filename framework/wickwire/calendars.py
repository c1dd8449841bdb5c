"""When exchanges trade: sessions, holidays and half days that are known ahead.

A calendar only says when asking is worth while. What it says proves nothing: that a bucket is empty is for
history to say, and sessions that a page of history told of win over those of a calendar.
"""

from __future__ import annotations

import asyncio
import bisect
import datetime as dt
import itertools
import logging
import operator
import warnings
from collections.abc import Sequence
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import attrs

from wickwire.clock import Clock
from wickwire.description import FOREIGN_EXCHANGE, Hours, OhlcvSupport
from wickwire.instants import DAY_NS, SECOND_NS, ns_of, when
from wickwire.timeframe import Session

__all__ = ["Calendar", "Calendars", "Exchange", "Extended", "Week"]

log = logging.getLogger(__name__)

_MONDAY: Final = dt.date(1969, 12, 29).toordinal()
_WEEK_DAYS: Final = 7
_SPAN_NS: Final = 2 * DAY_NS
"""Longer than any session: one may begin on the day before that of its year."""


class Calendar(Protocol):
    """The sessions of one market."""

    @property
    def name(self) -> str:
        """What it is called, such as `XNYS`."""
        ...

    def sessions(self, since_ns: int, until_ns: int) -> Sequence[tuple[int, int]]:
        """Return `(open_ns, end_ns)` of each session that shares an instant with a range, in order.

        Nothing where it is not known: years for which there is no calendar have no sessions.
        """
        ...


@attrs.frozen
class Week:
    """The same session every week, from one local time to another: no holidays.

    Attributes:
        name: What it is called.
        tz: IANA name of the zone.
        opens: Day of the week, 0 for Monday, and hour.
        ends: The same, after *opens* in the week that begins on Sunday.
    """

    name: str
    tz: str
    opens: tuple[int, int]
    ends: tuple[int, int]

    def sessions(self, since_ns: int, until_ns: int) -> Sequence[tuple[int, int]]:
        """Return the sessions of the weeks that a range touches."""
        zone = ZoneInfo(self.tz)
        first = (when(since_ns).toordinal() - _MONDAY) // _WEEK_DAYS - 1
        last = (when(until_ns).toordinal() - _MONDAY) // _WEEK_DAYS + 1
        weeks = [_MONDAY + week * _WEEK_DAYS for week in range(first, last + 1)]
        lasting = (self.ends[0] - self.opens[0]) % _WEEK_DAYS
        found = [
            (_local_ns(day + self.opens[0], self.opens[1], zone), _local_ns(end, self.ends[1], zone))
            for day in weeks
            for end in [day + self.opens[0] + lasting]
        ]
        return [each for each in found if each[0] < until_ns and since_ns < each[1]]


def _local_ns(day: int, hour: int, zone: ZoneInfo) -> int:
    date = dt.date.fromordinal(day)
    return ns_of(dt.datetime(date.year, date.month, date.day, hour, tzinfo=zone).astimezone(dt.UTC))


class Exchange:
    """The sessions of one exchange, as the package `exchange_calendars` knows them.

    Some exchanges publish their holidays a year ahead: of the years after that nothing is known.

    Attributes:
        name: ISO 10383 code of the exchange (MIC), such as `XNYS`.
    """

    def __init__(self, name: str) -> None:
        """Know of no year; `load` does."""
        self.name = name
        self._years: dict[int, Sequence[tuple[int, int]]] = {}
        self._last = 0

    def load(self, first: int, last: int) -> bool:
        """Learn the years *first* to *last*, which takes about 0.1 s; say whether any is known.

        The first calendar of a process takes half a second and 50 MiB more, for the package and pandas.

        Raises:
            ImportError: The package is not installed.
        """
        found = _sessions(self.name, first, last)
        for year in range(first, last + 1):
            if found is None:  # one of them is not known
                self._years[year] = _sessions(self.name, year, year) or ()
            else:
                self._years[year] = [one for one in found if when(one[0]).year == year]
        self._last = max(self._last, last)
        return any(self._years.values())

    def sessions(self, since_ns: int, until_ns: int) -> Sequence[tuple[int, int]]:
        """Return the sessions that a range touches, in the years that were loaded and those after them."""
        first, last = when(since_ns - _SPAN_NS).year, when(until_ns + _SPAN_NS).year
        if self._last < last <= self._last + 1 and self._years.get(self._last):
            self.load(last, last)  # a year is over
        years = [self._years.get(year, ()) for year in range(first, last + 1)]
        return list(
            itertools.chain.from_iterable(
                year[
                    bisect.bisect_right(year, since_ns, key=operator.itemgetter(1)) : bisect.bisect_left(
                        year, until_ns, key=operator.itemgetter(0)
                    )
                ]
                for year in years
            )
        )


def _sessions(name: str, first: int, last: int) -> Sequence[tuple[int, int]] | None:
    """Return the sessions of some years; None where there is no calendar for all of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of what pandas will change, not of the calendar
        import exchange_calendars  # noqa: PLC0415 - an extra, and it loads pandas

        try:
            known = exchange_calendars.get_calendar(name, start=f"{first}-01-01", end=f"{last}-12-31")
        except (exchange_calendars.errors.CalendarError, ValueError):  # no such name, or not that far ahead
            return None
        return [(opens.value, ends.value) for opens, ends in zip(known.opens, known.closes, strict=True)]


@attrs.frozen
class Extended:
    """A calendar whose sessions begin earlier and end later: with early and late trading.

    Attributes:
        calendar: The regular sessions.
        hours: How much earlier and later.
    """

    calendar: Calendar
    hours: Hours

    @property
    def name(self) -> str:
        """The name of the regular calendar."""
        return self.calendar.name

    def sessions(self, since_ns: int, until_ns: int) -> Sequence[tuple[int, int]]:
        """Return the longer sessions that a range touches."""
        before_ns = round(self.hours.before_s * SECOND_NS)
        after_ns = round(self.hours.after_s * SECOND_NS)
        regular = self.calendar.sessions(since_ns - after_ns, until_ns + before_ns)
        return [(open_ns - before_ns, end_ns + after_ns) for open_ns, end_ns in regular]


BUILT_IN: Final = (Week(FOREIGN_EXCHANGE, "America/New_York", (6, 16), (4, 20)),)
"""Currencies trade from Sunday to Friday, 17:00 in New York. Venues differ by some hours, and a calendar that
is too long costs a few requests, one that is too short delays candles."""


class Calendars:
    """Finds the calendar of a series: by the name that its adapter gives, built in or from the package."""

    def __init__(self, clock: Clock) -> None:
        """Know what is built in; the package is looked for when an exchange is first named."""
        self._clock = clock
        self._known: dict[str, Calendar | None] = {calendar.name: calendar for calendar in BUILT_IN}
        self._loading = asyncio.Lock()

    async def of(self, support: OhlcvSupport) -> Calendar | None:
        """Return when a series is traded, as far as that is known ahead; None where it is not."""
        hours = hours_of(support)
        if hours is None:
            return None
        async with self._loading:
            if hours.calendar not in self._known:
                self._known[hours.calendar] = await self._load(hours.calendar)
        calendar = self._known[hours.calendar]
        return (
            calendar
            if calendar is None or not (hours.before_s or hours.after_s)
            else Extended(calendar, hours)
        )

    async def _load(self, name: str) -> Calendar | None:
        exchange, year = Exchange(name), when(self._clock.now_ns()).year
        try:
            if getattr(asyncio.get_running_loop(), "virtual", False):
                found = exchange.load(year - 1, year + 1)
            else:
                found = await asyncio.to_thread(exchange.load, year - 1, year + 1)
        except ImportError:  # without the extra it is found out by asking
            log.debug("no calendars", extra={"why": "the extra `sessions` is not installed"})
            return None
        return exchange if found else None


def hours_of(support: OhlcvSupport) -> Hours | None:
    """Return when a series is traded, as its adapter says: in so many words, or by its grid."""
    if support.hours is not None:
        return support.hours
    grid = support.grid
    return Hours(grid.calendar) if isinstance(grid, Session) and grid.calendar else None
