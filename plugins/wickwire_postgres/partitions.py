"""Which piece of `closed` holds which times, where TimescaleDB does not cut: months, and longer ago years."""

from __future__ import annotations

import datetime as dt
from typing import Final

import attrs

from wickwire_postgres.address import DAY_NS
from wickwire_postgres.driver import Connection
from wickwire_postgres.schema import quoted

__all__ = ["Partition", "attach", "over_before", "partition_of", "partitions"]

_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_LOWEST_NS: Final = -(2**63)
_HIGHEST_NS: Final = 2**63 - 1
_FIRST_YEAR: Final = 2_000
_NAMES: Final = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = to_regclass('closed')"
)


@attrs.frozen
class Partition:
    """A range of open times, `[since_ns, until_ns)`; without an end where 64 bits end.

    Attributes:
        name: The table.
        since_ns: Its first nanosecond, None for the beginning of time.
        until_ns: The first that is not in it, None for the end of time.
    """

    name: str
    since_ns: int | None
    until_ns: int | None


def _midnight(date: dt.date) -> int:
    return (date.toordinal() - _EPOCH) * DAY_NS


def _span(name: str, first: dt.date, next_first: dt.date) -> Partition:
    since, until = _midnight(first), _midnight(next_first)
    return Partition(name, since if since > _LOWEST_NS else None, until if until <= _HIGHEST_NS else None)


def partition_of(open_ns: int, now_ns: int, there: frozenset[str] = frozenset()) -> Partition:
    """Return where a candle that opens at *open_ns* goes, given the partitions that are *there*.

    A month; a year where it is older than last year and no month of that year was made while it was young;
    and one for all before 2000. So sixty years of daily candles make fifty partitions in place of seven
    hundred, all of which every look at the newest commits has to visit.
    """
    date = dt.date.fromordinal(open_ns // DAY_NS + _EPOCH)
    if date.year < _FIRST_YEAR:
        return Partition("closed_before_2000", None, _midnight(dt.date(_FIRST_YEAR, 1, 1)))
    whole = f"closed_{date.year}"
    young = date.year >= dt.date.fromordinal(now_ns // DAY_NS + _EPOCH).year - 1
    months = any(name.startswith(f"{whole}_") for name in there)
    if whole in there or not (young or months):
        return _span(whole, dt.date(date.year, 1, 1), dt.date(date.year + 1, 1, 1))
    first = date.replace(day=1)
    following = (first + dt.timedelta(days=31)).replace(day=1)
    return _span(f"{whole}_{date.month:02}", first, following)


async def partitions(connection: Connection) -> frozenset[str]:
    """Return the names of the partitions that are there."""
    return frozenset(row[0] for row in await connection.fetch(_NAMES))


async def attach(connection: Connection, partition: Partition) -> None:
    """Make *partition*, inside a commit. It is made aside and attached, which stops no reader."""
    since = "MINVALUE" if partition.since_ns is None else str(partition.since_ns)
    until = "MAXVALUE" if partition.until_ns is None else str(partition.until_ns)
    await connection.execute(
        f"CREATE TABLE {quoted(partition.name)} (LIKE closed INCLUDING DEFAULTS INCLUDING CONSTRAINTS) "
        "WITH (fillfactor = 90)"
    )
    await connection.execute(
        f"ALTER TABLE closed ATTACH PARTITION {quoted(partition.name)} FOR VALUES FROM ({since}) TO ({until})"
    )


def _spanned(name: str) -> Partition:
    """Return the partition that is called *name*."""
    match name.split("_")[1:]:
        case [year]:
            return _span(name, dt.date(int(year), 1, 1), dt.date(int(year) + 1, 1, 1))
        case [year, month] if year.isdigit():
            first = dt.date(int(year), int(month), 1)
            return _span(name, first, (first + dt.timedelta(days=31)).replace(day=1))
        case _:
            return Partition(name, None, _midnight(dt.date(_FIRST_YEAR, 1, 1)))


async def over_before(connection: Connection, cutoff_ns: int) -> dict[str, int]:
    """Return the partitions that hold nothing at or after *cutoff_ns*, and where each ends."""
    ends = {name: _spanned(name).until_ns for name in sorted(await partitions(connection))}
    return {
        name: until_ns for name, until_ns in ends.items() if until_ns is not None and until_ns <= cutoff_ns
    }
