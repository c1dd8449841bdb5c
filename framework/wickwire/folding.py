"""History of candles that a venue does not serve, folded from smaller ones that it does."""

from __future__ import annotations

from typing import Protocol, final

import attrs

from wickwire.budget import Priority
from wickwire.builder import folded
from wickwire.clock import Comparison
from wickwire.history import FetchedPage
from wickwire.model import Grid, Timeframe
from wickwire.wire import OhlcvQuery, Page, Stopped
from wickwire.words import Words

__all__ = ["FoldedHistory", "Pages", "fold_page"]


class Pages(Protocol):
    """What history is asked of: the venue, or something that folds what the venue says."""

    words: Words
    clocks: Comparison

    async def page(self, query: OhlcvQuery, priority: Priority) -> FetchedPage:
        """Fetch one page; raises as `History.page`."""
        ...


def fold_page(page: Page, query: OhlcvQuery, grid: Grid) -> Page:
    """Return *page*, which holds smaller candles, as the answer to *query*.

    Only buckets of which the page tells everything are in it, and covered; where the venue's own history
    begins inside a bucket, what there is of it is all of it.
    """
    timeframe = query.timeframe
    since_ns, until_ns = page.covered
    first_ns = timeframe.open_at(since_ns, grid)
    if first_ns < since_ns and page.stopped is not Stopped.VENUE_START:
        first_ns = timeframe.close_of(first_ns, grid)
    last_ns = timeframe.open_at(until_ns, grid)
    rows = [
        row
        for row in folded((piece for piece in page.candles if piece.open_ns >= first_ns), timeframe, grid)
        if row.close_ns <= until_ns or row.close_ns > query.now_ns
    ]
    return attrs.evolve(page, candles=rows, covered=(first_ns, max(first_ns, last_ns)))


@final
class FoldedHistory:
    """Asks for smaller candles, and answers with larger ones. See `Pages`."""

    def __init__(self, pages: Pages, piece: Timeframe, grid: Grid) -> None:
        """Fold what *pages* says of *piece*; every larger bucket is a run of pieces on *grid*."""
        self._pages = pages
        self._piece = piece
        self._grid = grid
        self.words = pages.words
        self.clocks = pages.clocks

    async def page(self, query: OhlcvQuery, priority: Priority) -> FetchedPage:
        """Fetch one page; raises as `History.page`."""
        timeframe, grid = query.timeframe, self._grid
        until_ns = timeframe.open_at(query.until_ns, grid)
        if until_ns < query.until_ns:
            until_ns = timeframe.close_of(until_ns, grid)
        since_ns = timeframe.open_at(query.since_ns, grid)
        pieces = attrs.evolve(query, timeframe=self._piece, since_ns=since_ns, until_ns=until_ns)
        fetched = await self._pages.page(pieces, priority)
        return FetchedPage(fold_page(fetched.page, query, grid), fetched.as_of_ns)
