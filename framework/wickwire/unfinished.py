"""Follows candles that are not closed yet: each as it is now, whenever it has become another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection

from wickwire.errors import UsageError
from wickwire.model import Candle, Series, SeriesCandle
from wickwire.store import forming
from wickwire.venues import Venues

__all__ = ["checked_pause", "unfinished_candles"]


def checked_pause(every_s: float) -> float:
    """Return how long to wait between two looks; raises UsageError where that is no time."""
    told: object = every_s
    if not isinstance(told, int | float) or isinstance(told, bool) or not 0 < told < float("inf"):
        raise UsageError(f"every_s has to be a number of seconds above 0, got {told!r:.40}")
    return every_s


async def unfinished_candles(
    venues: Venues, only: Collection[Series] | None, every_s: float
) -> AsyncGenerator[SeriesCandle]:
    """Yield running candles for as long as *venues* runs; see `Outlet.forming`.

    Nothing is handed over by the stream, and nothing waits: who is slow sees fewer states of a candle.
    """
    told: dict[Series, Candle] = {}
    while venues.running:
        closers = [one for venue in venues.scopes.values() for one in venue.closers.values()]
        for closer in closers:
            name, row = closer.series, closer.forming
            if row is None or (only is not None and name not in only):
                continue
            before = told.get(name)
            if before is None or before.open_ns != row.open_ns or not before.same_values(row):
                told[name] = row
                yield forming(name, row, closer.rung)
        await asyncio.sleep(every_s)
