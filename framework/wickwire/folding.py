"""History of candles that a venue does not serve, folded from smaller ones that it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, final

import attrs

from wickwire.breaker import Asker, Breaker
from wickwire.budget import Priority
from wickwire.builder import folded
from wickwire.conversation import BadRow, OhlcvQuery, Page, Stopped
from wickwire.history import FetchedPage, History
from wickwire.laws import strange_number
from wickwire.model import Grid, Timeframe
from wickwire.venue_time import VenueTime
from wickwire.words import Words

__all__ = ["FoldedHistory", "Pages", "RankedHistory", "fold_page"]


class Pages(Protocol):
    """What history is asked of: the venue, or something that folds what the venue says."""

    words: Words
    clocks: VenueTime
    breaker: Breaker

    async def page(self, query: OhlcvQuery, priority: Priority) -> FetchedPage:
        """Fetch one page; raises as `History.page`."""
        ...


def fold_page(page: Page, query: OhlcvQuery, grid: Grid) -> Page:
    """Return *page*, which holds smaller candles, as the answer to *query*.

    Only buckets of which the page tells everything are in it, and covered; a piece that could not be read, or
    is made of no numbers, makes the whole bucket a bad row. Where the venue's own history
    begins inside a bucket, what there is of it is all of it.
    """
    timeframe = query.timeframe
    since_ns, until_ns = page.covered
    first_ns = timeframe.open_at(since_ns, grid)
    if first_ns < since_ns and page.stopped is not Stopped.VENUE_START:
        first_ns = timeframe.close_of(first_ns, grid)
    last_ns = timeframe.open_at(until_ns, grid)
    bad = {bad.open_ns: bad for bad in _bad_buckets(page, timeframe, grid)}
    pieces = (
        piece
        for piece in page.candles
        if piece.open_ns >= first_ns and timeframe.open_at(piece.open_ns, grid) not in bad
    )
    rows = [
        row
        for row in folded(pieces, timeframe, grid)
        if row.close_ns <= until_ns or row.close_ns > query.now_ns
    ]
    covered = (first_ns, max(first_ns, last_ns))
    return attrs.evolve(page, candles=rows, covered=covered, bad_rows=[*bad.values()])


def _bad_buckets(page: Page, timeframe: Timeframe, grid: Grid) -> Iterator[BadRow]:
    """Yield the larger buckets in which a piece could not be read, or holds what nothing can be made of."""
    unfit = ((piece, strange_number(piece)) for piece in page.candles)
    read = [BadRow(piece.open_ns, piece.close_ns, why) for piece, why in unfit if why]
    for row in [*page.bad_rows, *read]:
        open_ns = timeframe.open_at(row.open_ns, grid)
        yield BadRow(open_ns, timeframe.close_of(open_ns, grid), row.why)


@final
class RankedHistory:
    """Asks as somebody of a certain importance. See `Pages`."""

    def __init__(self, history: History, asker: Asker) -> None:
        """Ask *history* as *asker*."""
        self._history = history
        self._asker = asker
        self.words = history.words
        self.clocks = history.clocks
        self.breaker = history.breaker

    async def page(self, query: OhlcvQuery, priority: Priority) -> FetchedPage:
        """Fetch one page; raises as `History.page`."""
        return await self._history.page(query, priority, self._asker)


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
        self.breaker = pages.breaker

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
