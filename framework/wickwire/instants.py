"""Instants: integer nanoseconds since 1970-01-01T00:00Z, as text and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from wickwire.errors import UsageError

__all__ = [
    "DAY_NS",
    "EPOCH",
    "FIRST_NS",
    "HOUR_NS",
    "LAST_NS",
    "MINUTE_NS",
    "SECOND_NS",
    "duration_ns",
    "instant_of",
    "is_duration",
    "iso",
    "iso_second",
    "ns_of",
    "parse_instant",
    "when",
    "wrong_unit",
]

SECOND_NS: Final = 1_000_000_000
"""A second in nanoseconds."""
MINUTE_NS: Final = 60 * SECOND_NS
"""A minute in nanoseconds."""
HOUR_NS: Final = 60 * MINUTE_NS
"""An hour in nanoseconds."""
DAY_NS: Final = 24 * HOUR_NS
"""24 hours in nanoseconds."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_NS: Final = -(2**63)
LAST_NS: Final = 2**63 - 1
"""What 64 bits hold: no instant lies before the one, and none after the other."""


def when(ns: int) -> datetime:
    """Return *ns* as an aware datetime in UTC, cut to whole microseconds.

    Raises:
        ValueError: It lies outside the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(microseconds=ns // 1_000)
    except OverflowError as exc:
        raise ValueError(f"no instant between the years 1 and 9999: {ns} ns") from exc


def iso(ns: int) -> str:
    """Return *ns* as RFC 3339 in UTC, with as many decimals (0, 3, 6 or 9) as it needs.

    Raises:
        ValueError: It lies outside the years 1 to 9999.
    """
    rest = ns % SECOND_NS
    # not strftime: glibc writes the year 999 with three digits
    text = when(ns - rest).replace(tzinfo=None).isoformat()
    if not rest:
        return f"{text}Z"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"


def iso_second(ns: int) -> str:
    """Return the second that *ns* lies in, as `iso` writes it.

    Raises:
        ValueError: It lies outside the years 1 to 9999.
    """
    return iso(ns - ns % SECOND_NS)


def ns_of(moment: datetime) -> int:
    """Return an aware datetime as nanoseconds."""
    since = moment - EPOCH  # taken apart: to divide one timedelta by another takes four times as long
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1_000


_INSTANT: Final = re.compile(
    # hours are spelled out because Python 3.13 and newer read 24:00 as the next day
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ]((?:[01]\d|2[0-3]):\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


def parse_instant(text: str) -> int:
    """Return the nanoseconds of an RFC 3339 instant or a date; without an offset it is UTC.

    A leap second (23:59:60) has no nanosecond of its own and is refused.

    Raises:
        UsageError: *text* is neither, or lies outside of what 64 bits hold (1677-09-21 to 2262-04-11).
    """
    match = _INSTANT.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        day, clock, fraction, offset = match.groups()
        offset = "+00:00" if offset in (None, "Z") else offset
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{offset}")
        ns = ns_of(moment) + int((fraction or "0").ljust(9, "0"))
    except ValueError as exc:
        raise UsageError(
            f"not an instant: {text!r}; write 2026-11-21, 2026-11-21T14:30:00Z or 2026-11-21T14:30:00.5+01:00"
        ) from exc
    except OverflowError:
        ns = LAST_NS + 1
    return _within_range(ns, text)


def wrong_unit(time_ns: int, since_ns: int) -> bool:
    """Say whether *time_ns*, beside *since_ns* of the same series, must be a time in another unit.

    Today's seconds, milliseconds and microseconds, taken for nanoseconds, all lie in January 1970.
    """
    return 0 < time_ns < 30 * DAY_NS and since_ns > 365 * DAY_NS


def instant_of(moment: str | datetime | int, now_ns: int, *, ago: bool = False) -> int:
    """Return the nanoseconds of an instant that somebody may give as text, aware datetime or nanoseconds.

    Args:
        moment: What was given.
        now_ns: The present.
        ago: Whether text may also say how long ago it was: `90m`, `12h`, `3d`.

    Raises:
        UsageError: It is none of these, or, beside *now_ns*, must be a number of seconds or the like.
    """
    given: object = moment  # type checkers do not see every caller
    if isinstance(given, str):
        return now_ns - duration_ns(given) if ago and is_duration(given) else parse_instant(given)
    if isinstance(given, datetime):
        if given.utcoffset() is None:
            raise UsageError(f"not an instant: {given!r} has no time zone; use an aware datetime")
        return _within_range(ns_of(given), given.isoformat())
    if not isinstance(given, int) or isinstance(given, bool):
        raise UsageError(
            f"not an instant: {given!r:.80}; use an aware datetime, a text such as 2026-11-21T14:30:00Z, "
            "or an int of nanoseconds"
        )
    if wrong_unit(given, now_ns):
        raise UsageError(
            f"not an instant: {given} nanoseconds are {iso(given)}; multiply seconds by SECOND_NS, "
            "or use an aware datetime"
        )
    return _within_range(given, given)


_UNITS: Final = {"s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", re.ASCII)


def is_duration(text: str) -> bool:
    """Say whether *text* is written as a duration is: `30s`, `5m`, `1.5h`, `3d`."""
    return _DURATION.fullmatch(text.strip()) is not None


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration.

    Raises:
        UsageError: *text* is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"not a duration: {text!r}; write a number and s, m, h or d: 30s, 5m, 1.5h, 3d")
    return round(float(match[1]) * _UNITS[match[2]])


def _within_range(ns: int, shown: object) -> int:
    if not FIRST_NS <= ns <= LAST_NS:
        raise UsageError(f"out of range: {shown!r}; instants reach from 1677-09-22 to 2262-04-11")
    return ns
