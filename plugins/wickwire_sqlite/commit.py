"""One commit: what a batch of changes does to the tables, inside one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import attrs

from wickwire import (
    Change,
    Forgotten,
    Hole,
    Series,
    SeriesCandle,
    SeriesState,
    Verdict,
    changed_holes,
    confirmed,
    judge,
    reconciled,
    series_key,
    settled,
)
from wickwire_sqlite.rows import COLUMNS, PLACES, candle_of, hole_of, row_of

__all__ = ["Known", "Writer", "forgotten_of", "holes_of"]

_FIND_SERIES: Final = (
    "SELECT id, forgotten_ns, times_forgotten FROM series "
    "WHERE venue = ? AND variant = ? AND symbol = ? AND what = ?"
)
_ADD_SERIES: Final = (
    "INSERT INTO series (venue, variant, symbol, what, origin_ns, frontier_ns) VALUES (?, ?, ?, ?, ?, ?)"
)
_NEWEST: Final = "SELECT max(open_ns) FROM closed WHERE series = ?"
_STORED: Final = f"SELECT {COLUMNS} FROM closed WHERE series = ? AND open_ns = ?"  # noqa: S608 - constants only
_KEEP: Final = f"REPLACE INTO closed ({COLUMNS}) VALUES ({PLACES})"  # noqa: S608 - constants only
_SUPERSEDE: Final = f"INSERT INTO superseded ({COLUMNS}) VALUES ({PLACES})"  # noqa: S608 - constants only
_SET_STATE: Final = (
    "UPDATE series SET origin_ns = ?, frontier_ns = ?, forgotten_ns = ?, times_forgotten = ? WHERE id = ?"
)
_CLOSE_HOLE: Final = "DELETE FROM holes WHERE series = ? AND since_ns = ?"
_OPEN_HOLE: Final = "INSERT INTO holes (series, since_ns, until_ns, kind) VALUES (?, ?, ?, ?)"


@attrs.define
class Known:
    """A series as this process last committed it.

    Attributes:
        id: Its row in the table `series`.
        newest_ns: The last open time stored; nothing later has to be looked up.
        holes: What the table `holes` holds of it.
        forgotten: What was forgotten of it.
    """

    id: int
    newest_ns: int | None
    holes: tuple[Hole, ...]
    forgotten: Forgotten | None = None


def forgotten_of(before_ns: int | None, times: int) -> Forgotten | None:
    """Return what the columns say that was forgotten."""
    return None if before_ns is None else Forgotten(before_ns, times)


def holes_of(connection: sqlite3.Connection, series_id: int) -> tuple[Hole, ...]:
    """Return the holes of a series, in order."""
    rows = connection.execute(
        "SELECT since_ns, until_ns, kind FROM holes WHERE series = ? ORDER BY since_ns", (series_id,)
    )
    return tuple(hole_of(*row) for row in rows)


class Writer:
    """Turns one batch into statements. Lives as long as its transaction.

    Rows are judged one by one against what is stored, and written together at the end.
    """

    def __init__(self, connection: sqlite3.Connection, known: dict[Series, Known]) -> None:
        """Begin inside a transaction of *connection*; *known* is extended as series are met."""
        self._connection = connection
        self._known = known
        self._kept: dict[tuple[int, int], SeriesCandle] = {}
        self._superseded: list[tuple[int, SeriesCandle]] = []
        [self._seq] = connection.execute("SELECT last_seq FROM sequence").fetchone()

    def apply(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Write *changes* and return what is news, in order of `seq`."""
        news: list[SeriesCandle] = []
        states: list[tuple[int | None, ...]] = []
        for said in changes:
            known = self._series(said.state)
            change = reconciled(said, known.forgotten)
            if change.closings:
                news += self._closings(known, change)
            self._holes(known, change.state.holes)
            known.forgotten = change.state.forgotten
            states.append(_columns(known.id, change.state))
        write = self._connection.executemany
        write(_SET_STATE, states)
        write(_SUPERSEDE, [row_of(series_id, candle) for series_id, candle in self._superseded])
        write(_KEEP, [row_of(series_id, candle) for (series_id, _), candle in self._kept.items()])
        if news:
            self._connection.execute("UPDATE sequence SET last_seq = ?", (self._seq,))
        return news

    def _series(self, state: SeriesState) -> Known:
        known = self._known.get(state.series)
        if known is not None:
            return known
        key = series_key(state.series)
        found = self._connection.execute(_FIND_SERIES, key).fetchone()
        if found is None:
            added = self._connection.execute(_ADD_SERIES, (*key, state.origin_ns, state.frontier_ns))
            assert added.lastrowid is not None
            known = Known(added.lastrowid, None, ())
        else:
            series_id, *forgotten = found
            [newest_ns] = self._connection.execute(_NEWEST, (series_id,)).fetchone()
            known = Known(
                series_id, newest_ns, holes_of(self._connection, series_id), forgotten_of(*forgotten)
            )
        self._known[state.series] = known
        return known

    def _closings(self, known: Known, change: Change) -> list[SeriesCandle]:
        series, newest_ns = change.state.series, known.newest_ns
        news: list[SeriesCandle] = []
        for closing in change.closings:
            stored = self._stored(series, known, closing.candle.open_ns)
            verdict = judge(stored, closing.candle, closing.evidence)
            if verdict is Verdict.KEEP:
                continue
            if verdict is Verdict.CONFIRM and stored is not None:
                row = confirmed(stored, closing.evidence)
            else:
                self._seq += 1
                row = settled(series, closing, stored, self._seq)
                news.append(row)
                if stored is not None:
                    self._superseded.append((known.id, stored))
            self._kept[known.id, row.open_ns] = row
            if newest_ns is None or row.open_ns > newest_ns:
                newest_ns = row.open_ns
        known.newest_ns = newest_ns
        return news

    def _stored(self, series: Series, known: Known, open_ns: int) -> SeriesCandle | None:
        kept = self._kept.get((known.id, open_ns))
        if kept is not None or known.newest_ns is None or open_ns > known.newest_ns:
            return kept
        row = self._connection.execute(_STORED, (known.id, open_ns)).fetchone()
        return None if row is None else candle_of(series, row)

    def _holes(self, known: Known, holes: tuple[Hole, ...]) -> None:
        if known.holes == holes:
            return
        gone, come = changed_holes(known.holes, holes)
        write = self._connection.executemany
        write(_CLOSE_HOLE, [(known.id, hole.since_ns) for hole in gone])
        write(_OPEN_HOLE, [(known.id, hole.since_ns, hole.until_ns, hole.kind.value) for hole in come])
        known.holes = holes


def _columns(series_id: int, state: SeriesState) -> tuple[int | None, ...]:
    forgotten = state.forgotten
    past = (None, 0) if forgotten is None else (forgotten.before_ns, forgotten.times)
    return (state.origin_ns, state.frontier_ns, *past, series_id)
