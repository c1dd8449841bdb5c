"""Whether a store is what it should be: every table there, every row readable, every row somebody's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wickwire import Series
from wickwire_postgres.driver import Connection
from wickwire_postgres.rows import DamagedError, candle_of, hole_of, listed, series_of, trade_of
from wickwire_postgres.schema import things

__all__ = ["world_of", "wrongs"]

_MOST_NAMED: Final = 5
_PAGE: Final = 5_000
_LOOK_S: Final = 3_600.0
"""How long one statement may take that reads all there is."""


async def world_of(connection: Connection) -> str:
    """Return whose candles the schema holds; nothing where it knows of no series."""
    name = await connection.fetchval(
        "SELECT name FROM world WHERE EXISTS (SELECT FROM series) OR EXISTS (SELECT FROM tapes)"
    )
    return name or ""


async def wrongs(connection: Connection, schema: str) -> Sequence[str]:
    """Return what is wrong, a sentence each, of the worst kind only: the others follow."""
    found = list(await things(connection, schema))
    if not found:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = [*await _single_rows(connection), *await _rows(connection)]
    more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    return [*found[:_MOST_NAMED], *more]


async def _single_rows(connection: Connection) -> list[str]:
    found = []
    for table in ("sequence", "world", "wickwire_schema"):
        count = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - constants only
        if count != 1:
            found.append(f"the table {table!r} has {count} rows in place of one")
    beyond = await connection.fetchval(
        "SELECT max(seq) FROM closed HAVING max(seq) > (SELECT max(last_seq) FROM sequence)", timeout=_LOOK_S
    )
    if beyond is not None:
        found.append(f"the seq {beyond} was given, and the table 'sequence' does not know it")
    for seq, count in await connection.fetch(
        "SELECT seq, count(*) FROM closed GROUP BY seq HAVING count(*) > 1 ORDER BY seq LIMIT 6",
        timeout=_LOOK_S,
    ):
        found.append(f"the seq {seq} was given {count} times")
    return found


async def _rows(connection: Connection) -> list[str]:
    """Return which rows cannot be read, and which belong to nothing."""
    found = []
    known: dict[int, Series | None] = {}
    for number, *key in await connection.fetch("SELECT id, venue, variant, symbol, what FROM series"):
        try:
            known[number] = series_of(*key)
        except DamagedError as exc:
            found.append(str(exc))
            known[number] = None
    async for row in connection.cursor(
        "SELECT series, since_ns, until_ns, kind FROM holes", prefetch=_PAGE, timeout=_LOOK_S
    ):
        try:
            hole_of(*row[1:])
        except DamagedError as exc:
            found.append(str(exc))
    for table in ("closed", "superseded"):
        query = f"SELECT {listed()} FROM {table}"  # noqa: S608 - constants only
        async for row in connection.cursor(query, prefetch=_PAGE, timeout=_LOOK_S):
            if row[0] not in known:
                found.append(f"a candle in {table!r} belongs to the series {row[0]}, which is not there")
                continue
            series = known[row[0]]
            try:
                if series is not None:
                    candle_of(series, row)
            except DamagedError as exc:
                found.append(str(exc))
    return [*found, *await _trades(connection)]


async def _trades(connection: Connection) -> list[str]:
    """Return which trades cannot be read; the server itself sees to it that each belongs to a tape."""
    found = []
    tapes = await connection.fetch("SELECT id, venue, variant, symbol, 'trades' FROM tapes")
    known = {number: series_of(*key) for number, *key in tapes}
    query = "SELECT tape, time_ns, id, price, size, digits, side, action, replaces FROM trades"
    async for tape, *row in connection.cursor(query, prefetch=_PAGE, timeout=_LOOK_S):
        try:
            trade_of(known[tape], row)
        except DamagedError as exc:
            found.append(str(exc))
    return found
