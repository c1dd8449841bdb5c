"""Compares what a store holds of a series with history, over a range, and mends it.

The state of a ledger says what is missing, and a store that lost rows says nothing at all: somebody deleted
them, or a disk broke. Only history can tell. An audit reads it again, newest first, a page at a time, after
everything else that the venue's budget is wanted for; each page mends what it shows before the next is asked
for. What could not be read is told, and nothing of it counts as done: the next audit begins there.
"""

from __future__ import annotations

import asyncio
import bisect
import random
from collections.abc import Sequence
from typing import Final

import attrs

from wickwire.budget import Priority
from wickwire.closer import Closer
from wickwire.conversation import Stopped
from wickwire.errors import WickwireError
from wickwire.history import FetchedPage
from wickwire.holes import without
from wickwire.ledger import Want
from wickwire.model import Candle, Evidence, Finality, Hole, Series, SeriesCandle
from wickwire.pages import stored_candles
from wickwire.range_audit import Placement
from wickwire.retry import Advice, Backoff, Retries, advise
from wickwire.store import Store, Verdict, judge
from wickwire.wants import page_of
from wickwire.writer import Writer

__all__ = ["Audit", "Audited"]

ATTEMPTS: Final = 5
"""How often in a row a page may fail before an audit ends with what it has."""

_ROWS: Final = 1_000
"""Rows that are read from the store at once."""


@attrs.frozen(kw_only=True)
class Audited:
    """What an audit found, by open times in nanoseconds, oldest first.

    Attributes:
        series: Of which series.
        since_ns: From when on; not before its origin.
        until_ns: Until when; not after what is known of it.
        candles: How many candles history holds in what was read.
        lost: History holds them and the store did not, though no hole said so. They are stored now.
        revised: History said otherwise than the store, and the store says so too now.
        disputed: History says otherwise, and what is stored has better evidence.
        unconfirmed: They are stored, and history proves the buckets empty. They are kept.
        misplaced: They are stored, and no bucket of the grid opens or ends there, or the one before
            ends later. They are kept.
        left: What was not read, in order: history does not reach back that far, or did not answer.
        why: Why not; empty when all was read.
    """

    series: Series
    since_ns: int
    until_ns: int
    candles: int = 0
    lost: Sequence[int] = ()
    revised: Sequence[int] = ()
    disputed: Sequence[int] = ()
    unconfirmed: Sequence[int] = ()
    misplaced: Sequence[int] = ()
    left: Sequence[tuple[int, int]] = ()
    why: str = ""

    @property
    def sound(self) -> bool:
        """Whether all was read, and the store agreed with history before."""
        return not (
            self.lost or self.revised or self.disputed or self.unconfirmed or self.misplaced or self.left
        )


@attrs.define(eq=False)
class Audit:
    """One audit of one series, which something keeps meanwhile.

    Attributes:
        closer: What keeps the series.
        store: What is compared.
        writer: What brings corrections there.
        rng: Where jitter comes from.
        backoff: How long to wait after a page that failed.
    """

    closer: Closer
    store: Store
    writer: Writer
    rng: random.Random
    backoff: Backoff = attrs.field(factory=Backoff)
    _candles: int = 0
    _lost: list[int] = attrs.field(factory=list)
    _revised: list[int] = attrs.field(factory=list)
    _disputed: list[int] = attrs.field(factory=list)
    _unconfirmed: list[int] = attrs.field(factory=list)
    _beyond: list[Hole] = attrs.field(factory=list)  # history does not reach back there
    _why: str = ""

    async def run(self, since_ns: int, until_ns: int) -> Audited:
        """Compare and mend what opens in `[since_ns, until_ns)`; return when it is stored.

        Raises:
            StoreError: The store cannot be read.
        """
        ledger = self.closer.ledger
        since_ns = ledger.buckets.first_from(max(since_ns, ledger.origin_ns))
        until_ns = max(since_ns, min(until_ns, ledger.frontier_ns))
        misplaced = await self._misplaced(since_ns, until_ns)
        left = await self._read([Hole(since_ns, until_ns)] if since_ns < until_ns else [])
        await self.writer.landed(self.closer)
        return Audited(
            series=self.closer.series,
            since_ns=since_ns,
            until_ns=until_ns,
            candles=self._candles,
            lost=sorted(self._lost),
            revised=sorted(self._revised),
            disputed=sorted(self._disputed),
            unconfirmed=sorted(self._unconfirmed),
            misplaced=misplaced,
            left=[(hole.since_ns, hole.until_ns) for hole in sorted([*left, *self._beyond])],
            why=self._why,
        )

    async def _read(self, left: list[Hole]) -> list[Hole]:
        """Read *left* again, newest first; return what of it could not be."""
        retries = Retries(self.backoff, self.rng)
        while left:
            newest = left[-1]
            want = page_of(self.closer.ledger, newest.since_ns, newest.until_ns, "audit", live=False)
            want = attrs.evolve(want, known=True)
            try:
                fetched = await self.closer.fetch(want, Priority.BACKFILL)
            except WickwireError as exc:
                wait_s, self._why = retries.failed(exc), str(exc)
                if retries.attempt >= ATTEMPTS or advise(exc) is Advice.FIX:
                    return left
                await asyncio.sleep(wait_s)
                continue
            read = self._decided(want, fetched)
            if read is None:
                if self._is_beyond(want, fetched, left):
                    return []
                self._why = "history proves nothing about what was asked for"
                return left
            retries.succeeded()
            self._why = ""
            await self._compare(want, fetched, read)
            left = without(left, [read])
            if self._is_beyond(want, fetched, left):
                return []
        return left

    def _decided(self, want: Want, fetched: FetchedPage) -> Hole | None:
        """Return which part of what was asked for a page decides; None where it is nothing."""
        since_ns, until_ns = fetched.page.covered
        since_ns, until_ns = max(since_ns, want.since_ns), min(until_ns, want.until_ns)
        return Hole(since_ns, until_ns) if since_ns < until_ns else None

    def _is_beyond(self, want: Want, fetched: FetchedPage, left: Sequence[Hole]) -> bool:
        """Say whether history has nothing before this page; note what of *left* nobody can tell of."""
        head_ns = min(fetched.page.covered[0], want.until_ns)
        if fetched.page.stopped is Stopped.UNTIL or head_ns <= want.since_ns:
            return False
        after = [hole for hole in left if hole.since_ns >= head_ns]
        if after:
            return False  # the page did not reach up to the end: it goes on there
        if fetched.page.stopped is Stopped.VENUE_LIMIT:
            self._beyond = [attrs.evolve(hole, until_ns=min(hole.until_ns, head_ns)) for hole in left]
            self._why = "the venue's history does not reach back so far"
        return True

    async def _compare(self, want: Want, fetched: FetchedPage, read: Hole) -> None:
        """Mend what one page shows; what was lost is a hole, until a row closes it that is no nonsense."""
        ledger = self.closer.ledger
        await self.writer.landed(self.closer)  # what is on its way to the store is no loss
        stored = {row.open_ns: row for row in await self._stored(read.since_ns, read.until_ns)}
        settled_ns = fetched.as_of_ns - round(ledger.support.settle_s * 1e9)
        rows = {
            row.open_ns: row
            for row in fetched.page.candles
            if read.since_ns <= row.open_ns < read.until_ns
            and row.finality is not Finality.FORMING
            and row.close_ns <= settled_ns
        }
        holes, agreed = list(ledger.holes), set()
        for open_ns, row in rows.items():
            known = stored.get(open_ns)
            if known is None:
                if not _in(holes, open_ns):
                    self._lost.append(open_ns)
                ledger.lost_row(row)
            elif row.same_values(known):
                if known.evidence is Evidence.IMPORTED:
                    ledger.altered_row(open_ns)  # what a file said alone, the venue says now
                else:
                    agreed.add(open_ns)
            elif self._is_revised(known, row):
                self._revised.append(open_ns)
                ledger.altered_row(open_ns)
            else:
                self._disputed.append(open_ns)
                agreed.add(open_ns)
        told = {
            *(row.open_ns for row in fetched.page.candles),
            *(row.open_ns for row in fetched.page.bad_rows),
        }
        self._unconfirmed += [
            open_ns for open_ns, row in stored.items() if open_ns not in told and row.close_ns <= settled_ns
        ]
        self._candles += len(rows)
        news = [row for row in fetched.page.candles if row.open_ns not in agreed]
        self.closer.take(want, attrs.evolve(fetched, page=attrs.evolve(fetched.page, candles=news)))

    def _is_revised(self, known: SeriesCandle, row: Candle) -> bool:
        return judge(known, row, self.closer.ledger.evidence_of(row)) is Verdict.REVISE

    async def _stored(self, since_ns: int, until_ns: int) -> list[SeriesCandle]:
        pages = stored_candles(self.store, self.closer.series, since_ns, until_ns, rows=_ROWS)
        return [row async for page in pages for row in page]

    async def _misplaced(self, since_ns: int, until_ns: int) -> list[int]:
        """Return the open times of stored candles that lie off the grid or over another one."""
        placement, wrong = Placement(self.closer.ledger.buckets), list[int]()
        async for page in stored_candles(self.store, self.closer.series, since_ns, until_ns, rows=_ROWS):
            wrong += [row.open_ns for row in page if [*placement.faults(row)]]
        return wrong


def _in(holes: Sequence[Hole], ns: int) -> bool:
    """Say whether *ns* lies in one of *holes*, which are in order."""
    place = bisect.bisect_right(holes, ns, key=lambda hole: hole.since_ns)
    return place > 0 and ns < holes[place - 1].until_ns
