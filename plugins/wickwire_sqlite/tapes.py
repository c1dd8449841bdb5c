"""Trades in SQLite: a log for each series, and where nothing is missing in it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wickwire import (
    Series,
    StoredTrade,
    Stretch,
    TradeBatch,
    joined_stretches,
    remembered_stretches,
    series_key,
)
from wickwire_sqlite.rows import series_of, trade_of, trade_row

__all__ = ["put", "read", "tapes"]

_FIND: Final = "SELECT id FROM tapes WHERE venue = ? AND variant = ? AND symbol = ?"
_ADD: Final = "INSERT INTO tapes (venue, variant, symbol) VALUES (?, ?, ?)"
_LAST: Final = """
SELECT max(last_number, (SELECT coalesce(max(number), 0) FROM trades WHERE tape = ?1)), forgotten_ns
FROM tapes WHERE id = ?1"""
_PUT: Final = "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_STRETCHES: Final = "SELECT since_ns, until_ns FROM stretches WHERE tape = ? ORDER BY since_ns"
_FORGET: Final = "DELETE FROM stretches WHERE tape = ? AND since_ns = ?"
_REMEMBER: Final = "INSERT INTO stretches VALUES (?, ?, ?)"
_READ: Final = """SELECT number, time_ns, id, price, size, side, action, replaces FROM trades
WHERE tape = ? AND number > ? AND time_ns >= ? AND time_ns < ? ORDER BY number LIMIT ?"""
_ALL: Final = """SELECT venue, variant, symbol, since_ns, until_ns
FROM tapes LEFT JOIN stretches ON tape = id ORDER BY venue, variant, symbol, since_ns"""


def put(batches: Sequence[TradeBatch], connection: sqlite3.Connection) -> int:
    """Store *batches* inside a transaction; return how many trades were new."""
    new = 0
    for batch in batches:
        tape = _tape(batch.series, connection)
        if tape is None:
            tape = connection.execute(_ADD, series_key(batch.series)[:3]).lastrowid
            assert tape is not None
        [last, forgotten_ns] = connection.execute(_LAST, (tape,)).fetchone()
        rows = [(tape, last + place, *trade_row(one)) for place, one in enumerate(batch.trades, 1)]
        new += connection.executemany(_PUT, rows).rowcount if rows else 0
        for stretch in remembered_stretches([batch.stretch] if batch.stretch else [], forgotten_ns):
            _stretch(tape, stretch, connection)
    return new


def _tape(series: Series, connection: sqlite3.Connection) -> int | None:
    found = connection.execute(_FIND, series_key(series)[:3]).fetchone()
    return None if found is None else int(found[0])


def _stretch(tape: int, stretch: Stretch, connection: sqlite3.Connection) -> None:
    known = [Stretch(*row) for row in connection.execute(_STRETCHES, (tape,))]
    wanted = joined_stretches(known, stretch)
    gone, come = (
        [one for one in some if one not in others] for some, others in ((known, wanted), (wanted, known))
    )
    connection.executemany(_FORGET, [(tape, one.since_ns) for one in gone])
    connection.executemany(_REMEMBER, [(tape, one.since_ns, one.until_ns) for one in come])


def read(
    series: Series, bounds: tuple[int, int, int, int], connection: sqlite3.Connection
) -> Sequence[StoredTrade]:
    """Return what the log of *series* holds: after which number, since and until when, and how many."""
    tape = _tape(series, connection)
    rows: Sequence[tuple[Any, ...]] = ()
    if tape is not None:
        rows = connection.execute(_READ, (tape, *bounds)).fetchall()
    return [StoredTrade(number, trade_of(series, row)) for number, *row in rows]


def tapes(connection: sqlite3.Connection) -> Mapping[Series, Sequence[Stretch]]:
    """Return every series of trades, with its stretches."""
    found: dict[Series, list[Stretch]] = defaultdict(list)
    for venue, variant, symbol, since_ns, until_ns in connection.execute(_ALL):
        stretches = found[series_of(venue, variant, symbol, "trades")]
        if since_ns is not None:
            stretches.append(Stretch(since_ns, until_ns))
    return dict(found)
