"""What is known of series: how far, which holes they have, and what was forgotten."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Final

from wickwire import Hole, Series, SeriesState, series_key
from wickwire_sqlite.commit import forgotten_of
from wickwire_sqlite.rows import hole_of, series_of

__all__ = ["states_of"]

_KEY: Final = "WHERE venue = ? AND variant = ? AND symbol = ? AND what = ?"
_ALL: Final = """
SELECT id, origin_ns, frontier_ns, forgotten_ns, times_forgotten, venue, variant, symbol, what FROM series"""
_ONE: Final = f"{_ALL} {_KEY}"
_HOLES: Final = "SELECT series, since_ns, until_ns, kind FROM holes"
_HOLES_OF_ALL: Final = f"{_HOLES} ORDER BY series, since_ns"
_HOLES_OF_ONE: Final = f"{_HOLES} WHERE series = (SELECT id FROM series {_KEY}) ORDER BY since_ns"  # noqa: S608 - constants only


def states_of(connection: sqlite3.Connection, series: Series | None = None) -> list[SeriesState]:
    """Return the state of every series, or of one where it is known; call it inside a transaction."""
    key = () if series is None else series_key(series)
    states, lacking = (_ALL, _HOLES_OF_ALL) if series is None else (_ONE, _HOLES_OF_ONE)
    rows = connection.execute(states, key).fetchall()
    holes: dict[int, list[Hole]] = defaultdict(list)
    for series_id, *hole in connection.execute(lacking, key):
        holes[series_id].append(hole_of(*hole))
    return [
        SeriesState(
            series=series_of(*named),
            origin_ns=origin_ns,
            frontier_ns=frontier_ns,
            holes=tuple(holes[series_id]),
            forgotten=forgotten_of(before_ns, times),
        )
        for series_id, origin_ns, frontier_ns, before_ns, times, *named in rows
    ]
