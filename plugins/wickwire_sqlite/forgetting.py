"""Forgetting: what was claimed before is claimed no more, and then rows go, some thousand a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from wickwire import FORGET_ROWS, Series, Stretch, remembered_stretches, series_key

__all__ = ["forget_candles", "forget_stretches", "forget_trades"]

_FIND: Final = "SELECT id, origin_ns FROM series WHERE venue = ? AND variant = ? AND symbol = ? AND what = ?"
_BATCH: Final = (
    "SELECT open_ns FROM closed WHERE series = ? AND open_ns < ? ORDER BY open_ns LIMIT 1 OFFSET ?"
)
_CLOSED: Final = "DELETE FROM closed WHERE series = ? AND open_ns < ?"
_SUPERSEDED: Final = "DELETE FROM superseded WHERE series = ? AND open_ns < ?"

_TAPES: Final = "SELECT id FROM tapes"
_TAPE: Final = "SELECT id FROM tapes WHERE venue = ? AND variant = ? AND symbol = ?"
_STRETCHES: Final = "SELECT since_ns, until_ns FROM stretches WHERE tape = ? ORDER BY since_ns"
_DROP_STRETCHES: Final = "DELETE FROM stretches WHERE tape = ?"
_PUT_STRETCH: Final = "INSERT INTO stretches VALUES (?, ?, ?)"
_NOTE: Final = "UPDATE tapes SET forgotten_ns = max(coalesce(forgotten_ns, ?1), ?1) WHERE id = ?2"
_KEEP_NUMBER: Final = """UPDATE tapes SET
last_number = max(last_number, (SELECT coalesce(max(number), 0) FROM trades WHERE tape = ?1)) WHERE id = ?1"""
_TRADES: Final = """DELETE FROM trades WHERE tape = ?1 AND number IN
(SELECT number FROM trades WHERE tape = ?1 AND time_ns < ?2 ORDER BY time_ns LIMIT ?3)"""


def forget_candles(series: Series, kept_ns: int, connection: sqlite3.Connection) -> int:
    """Take out some of what opens before *kept_ns*, and before all that the series claims; return how many.

    What it claims is read with each batch: somebody may have asked for the past again meanwhile.
    """
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        series_id, origin_ns = connection.execute(_FIND, series_key(series)).fetchone()
        until_ns = min(kept_ns, origin_ns)
        more = connection.execute(_BATCH, (series_id, until_ns, FORGET_ROWS)).fetchone()
        if more is not None:
            [until_ns] = more
        connection.execute(_SUPERSEDED, (series_id, until_ns))
        return connection.execute(_CLOSED, (series_id, until_ns)).rowcount


def forget_stretches(before_ns: int, series: Series | None, connection: sqlite3.Connection) -> Sequence[int]:
    """Let no stretch reach back before *before_ns*, now and later; return which tapes that concerns."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        query, key = (_TAPES, ()) if series is None else (_TAPE, series_key(series)[:3])
        tapes = [int(row[0]) for row in connection.execute(query, key)]
        for tape in tapes:
            known = [Stretch(*row) for row in connection.execute(_STRETCHES, (tape,))]
            left = remembered_stretches(known, before_ns)
            if left != known:
                connection.execute(_DROP_STRETCHES, (tape,))
                connection.executemany(_PUT_STRETCH, [(tape, one.since_ns, one.until_ns) for one in left])
            connection.execute(_NOTE, (before_ns, tape))
    return tapes


def forget_trades(tape: int, before_ns: int, connection: sqlite3.Connection) -> int:
    """Take out some of the trades that happened before *before_ns*; return how many.

    The last number is kept with each batch: the trade that has it may be one that came late, and go as well.
    """
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_KEEP_NUMBER, (tape,))
        return connection.execute(_TRADES, (tape, before_ns, FORGET_ROWS)).rowcount
