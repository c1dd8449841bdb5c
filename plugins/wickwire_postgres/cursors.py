"""How far every sink is: one row each, and one for each candle that it does not take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from wickwire import Cursor, Parked, series_key
from wickwire_postgres.driver import Connection
from wickwire_postgres.rows import series_of

__all__ = ["cursors", "move"]

_SINKS: Final = "SELECT name, seq, left_out FROM sinks ORDER BY name"
_PARKED: Final = """SELECT sink, seq, open_ns, why, venue, variant, symbol, what
FROM parked JOIN series ON series.id = parked.series ORDER BY sink, seq"""
_MOVE: Final = """INSERT INTO sinks VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, left_out = excluded.left_out"""
_LOCK: Final = "SELECT FROM sinks WHERE name = $1 FOR UPDATE"
_TAKE_BACK: Final = "DELETE FROM parked WHERE sink = $1"
_FORGET: Final = "DELETE FROM sinks WHERE name = $1"
_PARK: Final = """INSERT INTO parked SELECT $1, $2, id, $3, $4 FROM series
WHERE venue = $5 AND variant = $6 AND symbol = $7 AND what = $8"""


async def cursors(connection: Connection) -> Mapping[str, Cursor]:
    """Return the cursors of all sinks."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        sinks = await connection.fetch(_SINKS)
        parked: dict[str, list[Parked]] = defaultdict(list)
        for sink, seq, open_ns, why, *key in await connection.fetch(_PARKED):
            parked[sink].append(Parked(series=series_of(*key), open_ns=open_ns, seq=seq, why=why))
    return {
        name: Cursor(seq=seq, parked=tuple(parked[name]), left_out=left_out) for name, seq, left_out in sinks
    }


async def move(connection: Connection, sink: str, cursor: Cursor | None) -> None:
    """Keep how far *sink* is, in one transaction; None for that it is known no more."""
    async with connection.transaction():
        if cursor is None:
            await connection.execute(_LOCK, sink)
            await connection.execute(_TAKE_BACK, sink)
            await connection.execute(_FORGET, sink)
            return
        # its row is locked: who else moves it waits
        await connection.execute(_MOVE, sink, cursor.seq, cursor.left_out)
        await connection.execute(_TAKE_BACK, sink)
        for one in cursor.parked:
            await connection.execute(_PARK, sink, one.seq, one.open_ns, one.why, *series_key(one.series))
