"""Forgetting: what was claimed before is claimed no more, then partitions go, and rows where none is whole.

Each step is a transaction of its own that locks what a commit locks first, so that nobody claims meanwhile
what goes. Between two steps commits have their turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wickwire import FORGET_ROWS, Change, Series, Stretch, once_forgotten, remembered_stretches, series_key
from wickwire_postgres.driver import Connection
from wickwire_postgres.partitions import over_before
from wickwire_postgres.schema import Layout, quoted
from wickwire_postgres.states import states_of
from wickwire_postgres.timescale import drop_chunks

__all__ = ["drop_whole", "forget_candles", "forget_stretches", "forget_trades", "outdated", "present_ns"]

LOCK_S: Final = 2.0

_LOCK: Final = "SELECT FROM sequence FOR UPDATE"
_CLAIMED: Final = "SELECT min(origin_ns) FROM series"
# the server's clock, but never later than the newest candle: a clock that was set ahead makes nothing old,
# and the frontier of a series that was added by such a clock lies as far ahead
_PRESENT: Final = """
SELECT least((extract(epoch FROM now()) * 1000000)::bigint * 1000, max(newest_ns)) FROM series
HAVING max(newest_ns) IS NOT NULL"""
_FIND: Final = """
SELECT id, origin_ns FROM series WHERE venue = $1 AND variant = $2 AND symbol = $3 AND what = $4"""
_BATCH: Final = """
SELECT open_ns FROM closed WHERE series = $1 AND open_ns < $2 ORDER BY open_ns LIMIT 1 OFFSET $3"""
_COUNT: Final = "SELECT count(*) FROM closed WHERE open_ns < $1"
_CLOSED: Final = "DELETE FROM closed WHERE series = $1 AND open_ns < $2"
_SUPERSEDED: Final = "DELETE FROM superseded WHERE series = $1 AND open_ns < $2"

_TAPES: Final = "SELECT id FROM tapes ORDER BY venue, variant, symbol FOR UPDATE"
_TAPE: Final = "SELECT id FROM tapes WHERE venue = $1 AND variant = $2 AND symbol = $3 FOR UPDATE"
_STRETCHES: Final = "SELECT since_ns, until_ns FROM stretches WHERE tape = $1 ORDER BY since_ns"
_DROP_STRETCHES: Final = "DELETE FROM stretches WHERE tape = $1"
_PUT_STRETCH: Final = "INSERT INTO stretches VALUES ($1, $2, $3)"
_NOTE: Final = "UPDATE tapes SET forgotten_ns = greatest(forgotten_ns, $1) WHERE id = $2"
_LOCK_TAPE: Final = "SELECT FROM tapes WHERE id = $1 FOR UPDATE"
_KEEP_NUMBER: Final = """
UPDATE tapes SET
    last_number = greatest(last_number, (SELECT max(number) FROM trades WHERE tape = $1)) WHERE id = $1"""
_TRADES: Final = """
DELETE FROM trades WHERE tape = $1 AND number = ANY (ARRAY(
    SELECT number FROM trades WHERE tape = $1 AND time_ns < $2 ORDER BY time_ns LIMIT $3))"""


async def present_ns(connection: Connection) -> int | None:
    """Return what ages count from; None where no candle was ever stored."""
    now_ns: int | None = await connection.fetchval(_PRESENT)
    return now_ns


async def outdated(
    connection: Connection, before_ns: int, series: Series | None
) -> tuple[Sequence[Series], Sequence[Change]]:
    """Return of which series there may be old candles, and what has to be committed before they may go."""
    states = await states_of(connection, series)
    forgotten = [(state, once_forgotten(state, before_ns)) for state in states]
    return [state.series for state in states], [Change(state=new) for old, new in forgotten if new is not old]


async def drop_whole(connection: Connection, before_ns: int, layout: Layout) -> int:
    """Drop the partitions that hold nothing but what is older than *before_ns*, and that no series claims.

    Readers are waited for, and those that come later wait with it: not for long. Returns how many candles
    were in them, which is counted before: nobody waits for that.
    """
    claimed_ns = await connection.fetchval(_CLAIMED)
    if claimed_ns is None:
        return 0
    cutoff_ns = min(before_ns, claimed_ns)
    old = await over_before(connection, cutoff_ns) if layout.native else {}
    # by way of the whole table: a partition may be another role's, which only that table's rights reach
    count = await connection.fetchval(_COUNT, max(old.values())) if old else 0
    async with connection.transaction():
        await connection.execute("SELECT set_config('lock_timeout', $1, true)", f"{LOCK_S * 1000:.0f}ms")
        await connection.execute(_LOCK)
        if await connection.fetchval(_CLAIMED) < cutoff_ns:  # somebody asked for the past meanwhile
            return 0
        for name in old:
            await connection.execute(f"DROP TABLE {quoted(name)}")
        if not layout.native:
            await drop_chunks(connection, quoted(layout.timescale), cutoff_ns)
    return int(count)


async def forget_candles(connection: Connection, series: Series, kept_ns: int) -> int:
    """Take out some of what opens before *kept_ns*, and before all that the series claims; return how many.

    What it claims is read with each batch: somebody may have asked for the past again meanwhile.
    """
    async with connection.transaction():
        await connection.execute(_LOCK)
        series_id, origin_ns = await connection.fetchrow(_FIND, *series_key(series))
        until_ns = min(kept_ns, origin_ns)
        more = await connection.fetchval(_BATCH, series_id, until_ns, FORGET_ROWS)
        if more is not None:
            until_ns = more
        await connection.execute(_SUPERSEDED, series_id, until_ns)
        return _count(await connection.execute(_CLOSED, series_id, until_ns))


async def forget_stretches(connection: Connection, before_ns: int, series: Series | None) -> Sequence[int]:
    """Let no stretch reach back before *before_ns*, now and later; return which tapes that concerns."""
    async with connection.transaction():
        query, key = (_TAPES, ()) if series is None else (_TAPE, series_key(series)[:3])
        tapes = [row[0] for row in await connection.fetch(query, *key)]
        for tape in tapes:
            known = [Stretch(*row) for row in await connection.fetch(_STRETCHES, tape)]
            left = remembered_stretches(known, before_ns)
            if left != known:
                await connection.execute(_DROP_STRETCHES, tape)
                for one in left:
                    await connection.execute(_PUT_STRETCH, tape, one.since_ns, one.until_ns)
            await connection.execute(_NOTE, before_ns, tape)
    return tapes


async def forget_trades(connection: Connection, tape: int, before_ns: int) -> int:
    """Take out some of the trades that happened before *before_ns*; return how many.

    The last number is kept with each batch: the trade that has it may be one that came late, and go as well.
    """
    async with connection.transaction():
        await connection.execute(_LOCK_TAPE, tape)  # before anybody's numbers are read
        await connection.execute(_KEEP_NUMBER, tape)
        return _count(await connection.execute(_TRADES, tape, before_ns, FORGET_ROWS))


def _count(told: str) -> int:
    """Return how many rows the server says it has taken out."""
    return int(told.rsplit(" ", 1)[1])
