"""Candles in memory, and who is told when what is known of a series changes.

A hole that is proven empty is no candle: nobody who waits for candles would hear of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wickwire import Change, MemoryStore, Series, SeriesCandle

__all__ = ["ToldStore"]


class ToldStore(MemoryStore):
    """A `MemoryStore` that calls functions after commits."""

    def __init__(self) -> None:
        """Begin with nothing stored, and nobody to tell."""
        super().__init__()
        self._told: dict[Series, dict[Callable[[], None], None]] = {}

    def tell(self, series: Series, changed: Callable[[], None]) -> None:
        """Call *changed* after each commit of a series; it must be quick."""
        self._told.setdefault(series, {})[changed] = None

    def forget_about(self, series: Series, changed: Callable[[], None]) -> None:
        """Call it no more."""
        told = self._told.get(series, {})
        told.pop(changed, None)
        if not told:
            self._told.pop(series, None)

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Apply *changes*, tell, and return what is news."""
        news = await super().commit(changes)
        for change in changes:
            for changed in list(self._told.get(change.state.series, ())):
                changed()
        return news
