"""What is known of one candle series: what is closed, what lacks, what is doubtful, what is to be committed.

Pure. It keeps a *frontier*: everything from the origin up to it is closed, lies in a hole, or was proven
empty. Which row may be believed, and on what evidence, is decided by the `ledger`.
"""

from __future__ import annotations

from typing import Final

import attrs

from wickwire.buckets import Buckets
from wickwire.closes import Closes
from wickwire.conversation import BadRow
from wickwire.description import OhlcvSupport
from wickwire.holes import WORK, add, bound, cut, joined, within
from wickwire.instants import FIRST_NS
from wickwire.laws import broken_law
from wickwire.model import Candle, Evidence, Hole, HoleKind, Rung, Series, iso
from wickwire.patience import Patience
from wickwire.rescaling import Rescaling
from wickwire.store import TAIL, Change, Forgotten, SeriesState, Verdict

__all__ = ["Kept", "Knowledge"]

MOST_HOLES: Final = 10_000
"""Of one series; beyond that the oldest become one, and what lies between them is asked for with them."""


@attrs.frozen
class Kept:
    """From when on a series is wanted of which only the last is kept.

    Attributes:
        since_ns: What was asked for.
        age_ns: How old the first candle may be.
    """

    since_ns: int
    age_ns: int

    def first_ns(self, now_ns: int) -> int:
        """Return from when on it is wanted, should it be *now_ns*."""
        return max(self.since_ns, now_ns - self.age_ns)


@attrs.define(eq=False)
class Knowledge:
    """What is known of one series, and what is to be committed next.

    Attributes:
        series: Which one.
        support: What the adapter says of it: grid, settle time, laws.
        origin_ns: Nothing before this is asked for.
        frontier_ns: See the module.
        holes: Without candles, in order.
        doubtful: Rows, by open time, of which history has to say what became of them.
        patience: How many buckets may be empty before history is asked.
        closes: The last closes, and those that wait for the store.
        closed_count: Candles closed since the start.
        refused: Rows refused by the laws of candles.
        last_refusal: The last of them, for people.
        refusal_why: The law that it broke, or why it could not be read.
        refused_in_vain: Rows refused since the last one that was taken.
        rescaling: Whether history is on another scale now, and what is read again because of that.
        dirty: Whether there is something to commit.
        forgotten: What the store has forgotten of it, as far as that is known here.
        buckets: Where its buckets open and end, as far as that is known.
        is_new: Nobody knew the series before, or said since when: it begins as our clock had it.
        kept: From when on it is wanted, where only our clock has said yet what that comes to.
    """

    series: Series
    support: OhlcvSupport
    origin_ns: int
    frontier_ns: int
    holes: list[Hole] = attrs.field(factory=list)
    doubtful: dict[int, Candle] = attrs.field(factory=dict)
    patience: Patience = attrs.field(factory=Patience)
    closes: Closes = attrs.field(factory=Closes)
    closed_count: int = 0
    refused: int = 0
    last_refusal: str = ""
    refusal_why: str = ""
    refused_in_vain: int = 0
    rescaling: Rescaling = attrs.field(factory=Rescaling)
    dirty: bool = False
    forgotten: Forgotten | None = None
    is_new: bool = False
    kept: Kept | None = None
    buckets: Buckets = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Know the buckets of the series."""
        self.buckets = Buckets(self.series.timeframe, self.support.grid)

    # ------------------------------------------------------------------------------------------- closing

    def close(self, candle: Candle, evidence: Evidence, route: Rung, *, healed: bool = False) -> bool:
        """Close a bucket; False when the row breaks a law, changes nothing, and its bucket is lacking."""
        open_ns = candle.open_ns
        if open_ns < self.origin_ns:
            return True
        law = broken_law(candle, signed_prices=self.support.signed_prices)
        if law is not None:
            self.refuse(candle, law)
            return False
        if not self.buckets.opens(open_ns):
            self.refuse(candle, f"no {self.series.timeframe} candle opens then")
            return True
        if not self.buckets.ends(open_ns, candle.close_ns):
            self.refuse(candle, f"it ends at {iso(candle.close_ns)}, not when the next one opens")
            return False
        self.refused_in_vain = 0
        verdict = self.closes.judge(candle, evidence)
        if verdict is not Verdict.INSERT:
            if verdict is not Verdict.KEEP:
                self.closes.revisions += verdict is Verdict.REVISE
                self._record(candle, evidence, route, healed=False)
            return True
        if open_ns >= self.frontier_ns:
            if open_ns > self.frontier_ns:
                self._open_hole(self.frontier_ns, open_ns)
            self.frontier_ns = candle.close_ns
            self.buckets.saw(open_ns)
            self.patience.traded()
        else:
            self.holes = cut(self.holes, open_ns, candle.close_ns)
            healed = True
        self.closed_count += not self.rescaling.holds(open_ns)  # that one is only read again
        self._record(candle, evidence, route, healed=healed)
        return True

    def _record(self, candle: Candle, evidence: Evidence, route: Rung, *, healed: bool) -> None:
        self.closes.add(candle, evidence, route, healed=healed)
        self.doubtful.pop(candle.open_ns, None)
        self.dirty = True

    def refuse(self, row: Candle | BadRow, why: str) -> None:
        """Count a row that breaks a law or cannot be read, and keep which."""
        self.refused += 1
        try:
            opens = iso(row.open_ns)
        except ValueError:
            opens = f"{row.open_ns} ns"
        self.refused_in_vain += 1
        self.refusal_why = why
        self.last_refusal = f"refused the candle of {opens}: {why}"

    def suspect(self, candle: Candle) -> None:
        """Doubt what became of a bucket, until history says it; *candle* is what was seen of it."""
        self.doubtful[candle.open_ns] = candle
        if len(self.doubtful) > TAIL:
            del self.doubtful[min(self.doubtful)]

    def lost_row(self, row: Candle) -> None:
        """The store does not hold a bucket that history does: it is a hole, until a page closes it again."""
        self.closes.forget(row.open_ns)
        self.reopen(row.open_ns, row.close_ns)
        self.dirty = True

    def altered_row(self, open_ns: int) -> None:
        """The store holds something else than history: it judges by what it holds, whatever is known here."""
        self.closes.forget(open_ns)
        self.closed_count -= 1  # it counts once

    def lacks(self, open_ns: int, *, known: bool) -> bool:
        """Say whether a bucket is not closed; of one that is *known* and long ago, by the holes alone."""
        if known:
            return any(hole.since_ns <= open_ns < hole.until_ns for hole in self.holes)
        return self.closes.at(open_ns) is None

    # ------------------------------------------------------------------------------------------ what lacks

    def cover(self, since_ns: int, until_ns: int) -> None:
        """Note that what opens in `[since_ns, until_ns)` is decided: closed, or proven empty."""
        if until_ns <= since_ns:
            return
        self.rescaling.read(since_ns, until_ns)
        for open_ns in [ns for ns in self.doubtful if since_ns <= ns < until_ns]:
            del self.doubtful[open_ns]
        self.holes = cut(self.holes, since_ns, until_ns)
        if since_ns > self.frontier_ns and until_ns > self.frontier_ns:
            self._open_hole(self.frontier_ns, since_ns)
        if until_ns > self.frontier_ns:
            self.patience.empty((until_ns - self.frontier_ns) // self.buckets.size_ns)
            self.frontier_ns = until_ns
        self.dirty = True

    def out_of_reach(self, before_ns: int) -> None:
        """Note that history does not reach back before *before_ns*: what lacks there is not asked for."""
        before_ns = self.buckets.first_from(before_ns)
        self.rescaling.out_of_reach(before_ns)
        missing = (hole.since_ns for hole in self.holes if hole.kind in WORK)
        if min(self.frontier_ns, *missing, before_ns) < before_ns:
            self.unreachable(self.origin_ns, before_ns, reached=False)

    def unreachable(self, since_ns: int, until_ns: int, *, reached: bool) -> None:
        """Note that history holds nothing of `[since_ns, until_ns)`: what lacks there is not asked for.

        Nor is it a hole where the venue's history only begins later, so that its begin was *reached*.
        """
        since_ns = max(since_ns, self.origin_ns)
        if until_ns <= since_ns:
            return
        known = [hole for hole in self.holes if hole.kind in WORK]
        parts = [attrs.evolve(hole, kind=HoleKind.UNREACHABLE) for hole in within(known, since_ns, until_ns)]
        self.holes = [hole for hole in self.holes if hole.kind not in WORK] + cut(known, since_ns, until_ns)
        if until_ns > self.frontier_ns:
            parts.append(Hole(max(self.frontier_ns, since_ns), until_ns, HoleKind.UNREACHABLE))
            self.frontier_ns = until_ns
        if not reached:
            self.holes += parts
        self.holes = joined(self.holes)
        for open_ns in [ns for ns in self.doubtful if since_ns <= ns < until_ns]:
            del self.doubtful[open_ns]
        self.dirty = True

    def give_back(self) -> None:
        """Give back as holes what waits for the store for too long, to be had from history again.

        Never within a page: what the page covers is taken out of the holes, these too, and one page may hold
        more rows than the bound.
        """
        given_back = [
            Hole(candle.open_ns, candle.close_ns, self.buckets.lacking)
            for candle in self.closes.give_back()
            if candle.open_ns < self.frontier_ns
        ]
        if given_back:
            self.holes = joined([*self.holes, *given_back])

    def _open_hole(self, since_ns: int, until_ns: int) -> None:
        add(self.holes, Hole(since_ns, until_ns, self.buckets.lacking))
        bound(self.holes, MOST_HOLES)

    def reopen(self, open_ns: int, close_ns: int) -> None:
        """Ask for a bucket again whose row was refused, unless it lies in a hole of another kind already."""
        lacking = [Hole(open_ns, self.buckets.end_of(open_ns, close_ns), self.buckets.lacking)]
        for hole in self.holes:
            lacking = cut(lacking, hole.since_ns, hole.until_ns)
        self.holes = joined([*self.holes, *lacking])

    @property
    def is_blank(self) -> bool:
        """Whether nothing is known but where it begins."""
        return self.frontier_ns == self.origin_ns and not self.closed_count and self.last_close is None

    def begin(self, added_ns: int) -> None:
        """Begin anew with the bucket that ran at *added_ns*, as long as nothing else is known."""
        self.origin_ns = self.frontier_ns = self.buckets.running(added_ns)
        self.dirty = True

    def reach_back(self, origin_ns: int) -> None:
        """Move the origin back to *origin_ns*; what lies between is a hole to be healed."""
        origin_ns = self.buckets.first_from(origin_ns)
        if origin_ns < self.origin_ns:
            self._open_hole(origin_ns, self.origin_ns)
            self.origin_ns = origin_ns
            self.dirty = True

    def forget(self, forgotten: Forgotten) -> None:
        """Note that the store has *forgotten* what opened before: nobody asks for it any more."""
        self.forgotten = forgotten
        self.closes.forget_before(forgotten.before_ns)  # what is asked for again is news
        before_ns = self.buckets.first_from(forgotten.before_ns)
        if before_ns <= self.origin_ns:
            return
        self.origin_ns, self.frontier_ns = before_ns, max(self.frontier_ns, before_ns)
        self.holes = cut(self.holes, FIRST_NS, before_ns)
        self.rescaling.out_of_reach(before_ns)
        for open_ns in [ns for ns in self.doubtful if ns < before_ns]:
            del self.doubtful[open_ns]
        self.dirty = True

    def reach_on(self, until_ns: int) -> None:
        """Move the frontier on to *until_ns*; what lies between is a hole to be healed."""
        if until_ns > self.frontier_ns:
            self._open_hole(self.frontier_ns, until_ns)
            self.frontier_ns = until_ns
            self.dirty = True

    # ------------------------------------------------------------------------------------------ committing

    @property
    def progress(self) -> tuple[int, int, int]:
        """A value that changes whenever a page brought something forward, by a bucket at least.

        Where the grid does not say when buckets open, a hole may shrink by the second, as time proves its
        begin empty: who took that for progress would ask for the rest again at once.
        """
        size_ns = self.buckets.size_ns
        work = sum(-(-(hole.until_ns - hole.since_ns) // size_ns) for hole in self.holes if hole.kind in WORK)
        return self.frontier_ns, work, len(self.doubtful)

    @property
    def last_close(self) -> Candle | None:
        """The candle that opens last among the closed ones."""
        return self.closes.newest

    @property
    def revisions(self) -> int:
        """How many closes were revised."""
        return self.closes.revisions

    @property
    def forgone(self) -> int:
        """How many closes were given back as holes, because the store took nothing for too long."""
        return self.closes.forgone

    @property
    def waiting(self) -> int:
        """How many closes wait for the store."""
        return self.closes.waiting

    def take(self) -> Change:
        """Return what is to be committed, and forget that it is."""
        self.dirty = False
        state = SeriesState(
            series=self.series,
            origin_ns=self.origin_ns,
            frontier_ns=self.frontier_ns,
            holes=tuple(self.holes),
            forgotten=self.forgotten,
        )
        return Change(state=state, closings=self.closes.take())
