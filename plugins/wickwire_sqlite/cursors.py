"""How far every sink is: one row each, and one for each candle that it does not take."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from wickwire import Cursor, Parked, series_key
from wickwire_sqlite.rows import series_of

__all__ = ["cursors", "move"]

_SINKS: Final = "SELECT name, seq, left_out FROM sinks ORDER BY name"
_PARKED: Final = """SELECT sink, seq, open_ns, why, venue, variant, symbol, what
FROM parked JOIN series ON series.id = parked.series ORDER BY sink, seq"""
_MOVE: Final = """INSERT INTO sinks VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, left_out = excluded.left_out"""
_TAKE_BACK: Final = "DELETE FROM parked WHERE sink = ?"
_FORGET: Final = "DELETE FROM sinks WHERE name = ?"
_PARK: Final = """INSERT INTO parked SELECT ?, ?, id, ?, ? FROM series
WHERE venue = ? AND variant = ? AND symbol = ? AND what = ?"""


def cursors(connection: sqlite3.Connection) -> Mapping[str, Cursor]:
    """Return the cursors of all sinks."""
    with connection:
        connection.execute("BEGIN")  # one view of both tables
        sinks = connection.execute(_SINKS).fetchall()
        parked: dict[str, list[Parked]] = defaultdict(list)
        for sink, seq, open_ns, why, *key in connection.execute(_PARKED):
            parked[sink].append(Parked(series=series_of(*key), open_ns=open_ns, seq=seq, why=why))
    return {
        name: Cursor(seq=seq, parked=tuple(parked[name]), left_out=left_out) for name, seq, left_out in sinks
    }


def move(sink: str, cursor: Cursor | None, connection: sqlite3.Connection) -> None:
    """Keep how far *sink* is, in one transaction; None for that it is known no more."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TAKE_BACK, (sink,))
        if cursor is None:
            connection.execute(_FORGET, (sink,))
            return
        connection.execute(_MOVE, (sink, cursor.seq, cursor.left_out))
        rows = [(sink, one.seq, one.open_ns, one.why, *series_key(one.series)) for one in cursor.parked]
        connection.executemany(_PARK, rows)
