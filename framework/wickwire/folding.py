"""The history of one candle series, which is folded from smaller candles where its venue serves no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import attrs

from wickwire.breaker import Asker
from wickwire.budget import Place, Priority
from wickwire.builder import folded
from wickwire.conversation import BadRow, OhlcvQuery, Page, Stopped
from wickwire.history import FetchedPage, History
from wickwire.laws import strange_number
from wickwire.model import Grid, Timeframe

__all__ = ["Fold", "SeriesHistory", "fold_page"]


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


@attrs.frozen
class Fold:
    """What larger candles are folded from.

    Attributes:
        piece: The timeframe of the smaller ones.
        grid: Where the larger ones open: each of them is a run of pieces.
    """

    piece: Timeframe
    grid: Grid

    def pieces(self, query: OhlcvQuery) -> OhlcvQuery:
        """Return what is asked for to answer *query*: the pieces of every bucket that it touches."""
        timeframe, grid = query.timeframe, self.grid
        until_ns = timeframe.open_at(query.until_ns, grid)
        if until_ns < query.until_ns:
            until_ns = timeframe.close_of(until_ns, grid)
        since_ns = timeframe.open_at(query.since_ns, grid)
        return attrs.evolve(query, timeframe=self.piece, since_ns=since_ns, until_ns=until_ns)


@final
class SeriesHistory:
    """The history of one candle series: the venue's, or folded from it.

    Attributes:
        words: How what the venue says is shown.
        clocks: What is known of the venue's time.
        breaker: Whether pages may be asked for now.
    """

    def __init__(self, history: History, asker: Asker, fold: Fold | None) -> None:
        """Ask *history* as *asker*; a *fold* says of what its pages are made, where the venue has none."""
        self._history = history
        self._asker = asker
        self._fold = fold
        self.words = history.words
        self.clocks = history.clocks
        self.breaker = history.breaker

    async def page(self, query: OhlcvQuery, priority: Priority, place: Place | None = None) -> FetchedPage:
        """Fetch one page; raises as `History.page`."""
        if self._fold is None:
            return await self._history.page(query, priority, self._asker, place)
        fetched = await self._history.page(self._fold.pieces(query), priority, self._asker, place)
        return FetchedPage(fold_page(fetched.page, query, self._fold.grid), fetched.as_of_ns)
