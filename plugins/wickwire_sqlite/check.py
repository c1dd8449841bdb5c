"""Whether a store is what it should be: every table there, every page sound, every row readable."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from wickwire import Feed, Series
from wickwire_sqlite.rows import COLUMNS, candle_of, hole_of, series_of, trade_of
from wickwire_sqlite.schema import MIGRATIONS, migrate

__all__ = ["world_of", "wrongs"]

_MOST_NAMED: Final = 5
_THINGS: Final = "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"


def world_of(connection: sqlite3.Connection) -> str:
    """Return whose candles the file holds; nothing where it knows of no series."""
    if connection.execute(
        "SELECT NOT EXISTS (SELECT 1 FROM series) AND NOT EXISTS (SELECT 1 FROM tapes)"
    ).fetchone()[0]:
        return ""
    [name] = connection.execute("SELECT name FROM world").fetchone()
    return str(name)


def wrongs(connection: sqlite3.Connection) -> Sequence[str]:
    """Return what is wrong with the file, a sentence each, of the worst kind only: the others follow.

    Raises:
        sqlite3.DatabaseError: It is so damaged that it cannot even be asked.
    """
    for look in (_pages, _things, _rows):
        found = list(look(connection))
        if found:
            more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
            return [*found[:_MOST_NAMED], *more]
    return ()


def _pages(connection: sqlite3.Connection) -> Iterator[str]:
    for [said] in connection.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield " ".join(str(said).split())


def _things(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield which tables, indexes and views are not there."""
    blank = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(blank, MIGRATIONS)
        wanted = blank.execute(_THINGS).fetchall()
    finally:
        blank.close()
    there = set(connection.execute(_THINGS))
    for kind, name in wanted:
        if (kind, name) not in there:
            yield f"the {kind} {name!r} is missing"


def _rows(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield which rows cannot be read, and which belong to nothing."""
    for table in ("sequence", "world"):
        [count] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - constants only
        if count != 1:
            yield f"the table {table!r} has {count} rows in place of one"
    known: dict[int, Series] = {}
    for number, *key in connection.execute("SELECT id, venue, variant, symbol, what FROM series"):
        known[number] = Series("unknown", "unknown", Feed.TRADES)
        try:
            known[number] = series_of(*key)
        except sqlite3.DataError as exc:
            yield str(exc)
    holes = connection.execute("SELECT series, since_ns, until_ns, kind FROM holes")
    yield from _unreadable("a hole", "series", holes, known, lambda _, row: hole_of(*row[1:]))
    for table in ("closed", "superseded"):
        rows = connection.execute(f"SELECT {COLUMNS} FROM {table}")  # noqa: S608 - constants only
        yield from _unreadable(f"a candle in {table!r}", "series", rows, known, candle_of)
    yield from _parked(connection, known)
    yield from _trades(connection)


def _parked(connection: sqlite3.Connection, known: Mapping[int, Series]) -> Iterator[str]:
    rows = connection.execute("SELECT series FROM parked")
    yield from _unreadable("a parked candle", "series", rows, known)
    for [sink] in connection.execute("SELECT sink FROM parked WHERE sink NOT IN (SELECT name FROM sinks)"):
        yield f"a parked candle belongs to the sink {sink!r}, which is not there"


def _trades(connection: sqlite3.Connection) -> Iterator[str]:
    tapes = connection.execute("SELECT id, venue, variant, symbol, 'trades' FROM tapes")
    known = {number: series_of(*key) for number, *key in tapes}
    rows = connection.execute("SELECT tape, time_ns, id, price, size, side, action, replaces FROM trades")
    yield from _unreadable("a trade", "tape", rows, known, lambda series, row: trade_of(series, row[1:]))
    rows = connection.execute("SELECT tape FROM stretches")
    yield from _unreadable("a stretch", "tape", rows, known)


def _unreadable(
    what: str,
    owner: str,
    rows: Iterable[tuple[Any, ...]],
    known: Mapping[int, Series],
    read: Callable[[Series, tuple[Any, ...]], object] = lambda *_: None,
) -> Iterator[str]:
    for row in rows:
        if row[0] not in known:
            yield f"{what} belongs to the {owner} {row[0]}, which is not there"
            continue
        try:
            read(known[row[0]], row)
        except sqlite3.DataError as exc:
            yield str(exc)
