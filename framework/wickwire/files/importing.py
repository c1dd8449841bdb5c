"""Candles of files into a store: first all of them are looked at, then they are committed, page by page.

What is known afterwards is what a collector would know that closed these candles: what lies between two of
them is a hole, unless the file proves that nothing is lacking there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from wickwire.buckets import Buckets
from wickwire.closes import Closes
from wickwire.description import OhlcvSupport
from wickwire.files.rows import BadRow, FileRow, Known, RowSource
from wickwire.holes import WORK, joined, within, without
from wickwire.knowledge import Knowledge
from wickwire.laws import broken_law
from wickwire.model import Candle, Series, iso
from wickwire.store import Store

__all__ = ["Examined", "Imported", "Refusal", "Supports", "examine", "take"]

PAGE_ROWS: Final = 1_000
"""Of a commit, which is what is held in memory."""
_MOST_NAMED: Final = 100

Supports = Callable[[Series], OhlcvSupport]
"""What is known of a series: its grid, and whether its prices may be negative."""


@attrs.frozen
class Refusal:
    """A row that is no candle.

    Attributes:
        source: The file.
        number: Its line or row.
        why: What is wrong with it.
    """

    source: str
    number: int
    why: str

    def __str__(self) -> str:
        """Return it as compilers do."""
        return f"{self.source}:{self.number}: {self.why}"


@attrs.define
class Examined:
    """What files hold.

    Attributes:
        rows: Good rows, by series.
        refused: How many are none.
        refusals: The first of them.
    """

    rows: dict[Series, int] = attrs.field(factory=dict)
    refused: int = 0
    refusals: list[Refusal] = attrs.field(factory=list)


@attrs.define(kw_only=True)
class Imported:
    """What became of one series.

    Attributes:
        series: Which one.
        rows: Rows of it that were taken.
        added: Candles that the store did not have.
        revised: Candles that replaced others.
    """

    series: Series
    rows: int = 0
    added: int = 0
    revised: int = 0


# -------------------------------------------------------------------------------------------------- look


def examine(sources: Sequence[RowSource], support_of: Supports) -> Examined:
    """Read all of *sources* and say what would be imported and what refused; nothing is stored."""
    found = Examined()
    for source in sources:
        for row in _judged(source, support_of):
            match row:
                case FileRow():
                    found.rows[row.series] = found.rows.get(row.series, 0) + 1
                case BadRow():
                    found.refused += 1
                    if len(found.refusals) < _MOST_NAMED:
                        found.refusals.append(Refusal(source.name, row.number, row.why))
    return found


def _judged(source: RowSource, support_of: Supports) -> Iterator[FileRow | BadRow]:
    """Yield the rows of a file; those that break a law of candles, or of files, as bad ones."""
    judges: dict[Series, _Judge] = {}
    for row in source.rows():
        if isinstance(row, FileRow):
            judge = judges.get(row.series)
            if judge is None:
                judge = judges[row.series] = _Judge(support_of(row.series), row.series)
            why = judge.why_not(row)
            if why is not None:
                yield BadRow(row.number, why)
                continue
        yield row


class _Judge:
    """What one series of a file may hold: candles of its grid, in order, each once."""

    def __init__(self, support: OhlcvSupport, series: Series) -> None:
        self._signed_prices = support.signed_prices
        self._series = series
        self._buckets = Buckets(series.timeframe, support.grid)
        self._last: FileRow | None = None

    def why_not(self, row: FileRow) -> str | None:
        """Return what is wrong with a row; None where it is good, and what comes must open later."""
        candle = row.candle
        why = broken_law(candle, signed_prices=self._signed_prices) or self._off_grid(candle)
        if why is None:
            why = self._out_of_order(candle)
        if why is None:
            self._last = row
        return why

    def _off_grid(self, candle: Candle) -> str | None:
        if not self._buckets.opens(candle.open_ns):
            return f"off the grid: no {self._series.timeframe} candle opens at {iso(candle.open_ns)}"
        if not self._buckets.ends(candle.open_ns, candle.close_ns):
            return f"it ends at {iso(candle.close_ns)}, not when the next one opens"
        return None

    def _out_of_order(self, candle: Candle) -> str | None:
        last = self._last
        if last is None or candle.open_ns >= last.candle.close_ns:
            return None
        opens = iso(candle.open_ns)
        if candle.open_ns == last.candle.open_ns:
            return f"it is there twice: {last.number} is the candle of {opens} too"
        if candle.open_ns < last.candle.open_ns:
            return f"not in order: it opens at {opens}, before that of {last.number}; sort the file"
        return f"it opens at {opens}, before that of {last.number} is over"


# -------------------------------------------------------------------------------------------------- take


async def take(
    store: Store, sources: Sequence[RowSource], support_of: Supports, *, page_rows: int = PAGE_ROWS
) -> Sequence[Imported]:
    """Commit the good rows of *sources* and what is known by them; bad ones are passed over.

    Each commit is whole, and repeating changes nothing: what was interrupted may be done again.

    Args:
        store: An open store, which was told whose candles these are.
        sources: Files that `examine` has read, so that they know whether they were changed.
        support_of: As for `examine`.
        page_rows: Rows of one commit.

    Raises:
        StoreError: A page could not be committed; those before it are stored.
    """
    taking = _Taking(store, support_of, page_rows)
    for source in sources:
        for row in _judged(source, support_of):
            if isinstance(row, FileRow):
                await taking.take(row)
        for known in source.known():
            await taking.believe(known)
        await taking.commit()
    return taking.done


class _Taking:
    """What is known of each series, and what waits to be committed."""

    def __init__(self, store: Store, support_of: Supports, page_rows: int) -> None:
        self._store = store
        self._page_rows = page_rows
        self._support_of = support_of
        self._series: dict[Series, Knowledge] = {}
        self._imported: dict[Series, Imported] = {}
        self._waiting = 0

    @property
    def done(self) -> Sequence[Imported]:
        """What became of each series, in order."""
        return [self._imported[series] for series in sorted(self._imported)]

    async def take(self, row: FileRow) -> None:
        """Close a candle; commit when there are enough of them."""
        knowledge = await self._known(row.series, row.candle.open_ns)
        knowledge.close(row.candle, row.evidence, row.route, healed=True)  # it comes later than live
        self._imported[row.series].rows += 1
        self._waiting += 1
        if self._waiting >= self._page_rows:
            await self.commit()

    async def believe(self, known: Known) -> None:
        """Take over what the writer of a file knew: what is in no hole is closed or proven to be empty."""
        knowledge = await self._known(known.series, known.since_ns)
        since_ns = known.since_ns
        for hole in sorted(known.holes):
            knowledge.cover(since_ns, hole.since_ns)
            since_ns = max(since_ns, hole.until_ns)
        knowledge.cover(since_ns, known.until_ns)
        knowledge.reach_on(known.until_ns)
        _name_holes(knowledge, known)

    async def commit(self) -> None:
        """Commit what waits."""
        changes = [knowledge.take() for knowledge in self._series.values() if knowledge.dirty]
        self._waiting = 0
        if not changes:
            return
        for news in await self._store.commit(changes):
            imported = self._imported[news.series]
            imported.revised += news.revision > 0
            imported.added += news.revision == 0

    async def _known(self, series: Series, open_ns: int) -> Knowledge:
        """Return what is known of *series*, from *open_ns* on at the latest."""
        knowledge = self._series.get(series)
        if knowledge is None:
            support, loaded = self._support_of(series), await self._store.load(series)
            if loaded is None:
                knowledge = Knowledge(series, support, open_ns, open_ns, dirty=True)
            else:
                state = loaded.state
                knowledge = Knowledge(
                    series,
                    support,
                    state.origin_ns,
                    state.frontier_ns,
                    list(state.holes),
                    closes=Closes.of(loaded.tail),
                    forgotten=state.forgotten,
                )
            self._series[series] = knowledge
            self._imported[series] = Imported(series=series)
        knowledge.reach_back(open_ns)
        return knowledge


def _name_holes(knowledge: Knowledge, known: Known) -> None:
    """Call what lacks as the writer of a file knew it: out of reach, say, which is not asked for again."""
    named = [hole for hole in known.holes if hole.kind not in WORK]
    for hole in named:
        work = [one for one in knowledge.holes if one.kind in WORK]
        parts = [attrs.evolve(one, kind=hole.kind) for one in within(work, hole.since_ns, hole.until_ns)]
        if parts:
            knowledge.holes = joined([*without(knowledge.holes, parts), *parts])
            knowledge.dirty = True
