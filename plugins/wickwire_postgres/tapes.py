"""Trades in PostgreSQL: a log for each series, and where nothing is missing in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from wickwire import (
    Series,
    StoredTrade,
    Stretch,
    TradeBatch,
    joined_stretches,
    remembered_stretches,
    series_key,
)
from wickwire_postgres.driver import Connection
from wickwire_postgres.rows import series_of, trade_of, trade_row

__all__ = ["put", "read", "tapes"]

_FIND: Final = "SELECT id FROM tapes WHERE venue = $1 AND variant = $2 AND symbol = $3"
# also where it is there: its row is locked, so that the numbers of a log are given by one at a time
_LOCK: Final = """INSERT INTO tapes (venue, variant, symbol) VALUES ($1, $2, $3)
ON CONFLICT (venue, variant, symbol) DO UPDATE SET symbol = excluded.symbol RETURNING id"""
_LAST: Final = """
SELECT greatest(last_number, (SELECT max(number) FROM trades WHERE tape = $1)), forgotten_ns
FROM tapes WHERE id = $1"""
_PUT: Final = """INSERT INTO trades
SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::numeric[], $6::numeric[], $7::text[],
    $8::text[], $9::text[], $10::text[])
ON CONFLICT DO NOTHING"""
_STRETCHES: Final = "SELECT since_ns, until_ns FROM stretches WHERE tape = $1 ORDER BY since_ns"
_FORGET: Final = "DELETE FROM stretches WHERE tape = $1 AND since_ns = $2"
_REMEMBER: Final = "INSERT INTO stretches VALUES ($1, $2, $3)"
_READ: Final = """SELECT number, time_ns, id, price, size, digits, side, action, replaces FROM trades
WHERE tape = $1 AND number > $2 AND time_ns >= $3 AND time_ns < $4 ORDER BY number LIMIT $5"""
_ALL: Final = """SELECT venue, variant, symbol, since_ns, until_ns
FROM tapes LEFT JOIN stretches ON tape = id ORDER BY venue, variant, symbol, since_ns"""
_HIGHEST: Final = 2**63 - 1


async def put(connection: Connection, batches: Sequence[TradeBatch]) -> int:
    """Store *batches* inside a transaction; return how many trades were new."""
    new = 0
    for batch in sorted(batches, key=lambda one: one.series):  # all lock in one order
        tape = await connection.fetchval(_LOCK, *series_key(batch.series)[:3])
        last, forgotten_ns = await connection.fetchrow(_LAST, tape)
        if batch.trades:
            rows = [(last + place, *trade_row(one)) for place, one in enumerate(batch.trades, 1)]
            columns = [list(column) for column in zip(*rows, strict=True)]
            told = await connection.execute(_PUT, tape, *columns)
            new += int(told.rsplit(" ", 1)[1])
        for stretch in remembered_stretches([batch.stretch] if batch.stretch else [], forgotten_ns):
            await _stretch(connection, tape, stretch)
    return new


async def _stretch(connection: Connection, tape: int, stretch: Stretch) -> None:
    known = [Stretch(*row) for row in await connection.fetch(_STRETCHES, tape)]
    wanted = joined_stretches(known, stretch)
    for one in known:
        if one not in wanted:
            await connection.execute(_FORGET, tape, one.since_ns)
    for one in wanted:
        if one not in known:
            await connection.execute(_REMEMBER, tape, one.since_ns, one.until_ns)


async def read(
    connection: Connection, series: Series, since_ns: int, until_ns: int, after: int, limit: int
) -> Sequence[StoredTrade]:
    """Return what the log of *series* holds of a range, behind the number *after*."""
    tape = await connection.fetchval(_FIND, *series_key(series)[:3])
    if tape is None:
        return []
    rows = await connection.fetch(_READ, tape, min(after, _HIGHEST), since_ns, until_ns, limit)
    return [StoredTrade(number, trade_of(series, row)) for number, *row in rows]


async def tapes(connection: Connection) -> Mapping[Series, Sequence[Stretch]]:
    """Return every series of trades, with its stretches."""
    found: dict[Series, list[Stretch]] = defaultdict(list)
    for venue, variant, symbol, since_ns, until_ns in await connection.fetch(_ALL):
        stretches = found[series_of(venue, variant, symbol, "trades")]
        if since_ns is not None:
            stretches.append(Stretch(since_ns, until_ns))
    return dict(found)
