"""The only closer: decides which candle is closed, on what evidence, and what is missing.

One ledger per series; pure: it is told rows, doubts and pages, and collects what is to be committed. It
knows a *frontier*: everything from the origin up to it is closed, lies in a hole, or was proven empty. It
keeps one forming row of the current *epoch* (one uninterrupted subscription) and the evidence of the last
closes. The rules, numbered as in docs/one-candle.md:

1. a row with a later open closes the one before only within the same epoch with no doubt since;
2. a loss, cut or suspicion sets doubt: the forming row is no longer trusted, no data is touched;
3. closing a known open again revises it only with higher evidence, or equal evidence from history or venue;
4. closing beyond the frontier commits the hole and the close together; inside a hole it heals;
5. whoever drives the ledger asks it at each end of a bucket what it wants (`wants_live`, `wants_heal`);
6. a page closes its rows, takes what it covers out of the holes, and moves the frontier;
7. silence is only a question: history that holds what the stream did not bring is the answer.

The local clock alone never closes a candle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from wickwire.model import (
    Candle,
    Evidence,
    Finality,
    Hole,
    HoleKind,
    Rung,
    Series,
    Session,
    Unknown,
    broken_law,
    iso,
    wrong_unit,
)
from wickwire.store import TAIL, Change, Closing, Loaded, SeriesState, Verdict, judge_values
from wickwire.wire import OhlcvSupport, Page, Stopped

__all__ = ["Ledger", "PageOutcome", "Want", "cut"]

_WORK: Final = (HoleKind.MISSING, HoleKind.UNKNOWN)
_SURPRISE: Final = 0.05
"""An empty bucket is asked about when so improbable, by what was seen of the series before."""
_LONGEST_PATIENCE: Final = 10
_LEARNING: Final = 1 / 16
MOST_WAITING: Final = 2 * TAIL
"""Closes that may wait for a store that takes none; then the older half become holes again."""
_STREAM_EVIDENCE: Final = (Evidence.SIBLING, Evidence.SUCCESSOR, Evidence.SNAPSHOT)


@attrs.frozen
class Want:
    """A range of open times that history should be asked for, `[since_ns, until_ns)`, and why.

    Attributes:
        since_ns: First open time.
        until_ns: Open times before this.
        why: For people.
        live: It is about the newest buckets, not about an older hole.
        known: It is about buckets that are known already and are read again.
    """

    since_ns: int
    until_ns: int
    why: str
    live: bool = True
    known: bool = False


@attrs.frozen
class PageOutcome:
    """What a page said about the stream.

    Attributes:
        closed: Candles that the page closed first.
        agreed: Buckets that the stream had brought in this epoch, with the same values.
        missed: Open times that history holds and the stream, though subscribed, had not brought (whole).
    """

    closed: int = 0
    agreed: int = 0
    missed: Sequence[int] = ()


def cut(holes: Iterable[Hole], since_ns: int, until_ns: int) -> list[Hole]:
    """Return *holes* without what lies in `[since_ns, until_ns)`."""
    left: list[Hole] = []
    for hole in holes:
        if hole.until_ns <= since_ns or until_ns <= hole.since_ns:
            left.append(hole)
            continue
        if hole.since_ns < since_ns:
            left.append(attrs.evolve(hole, until_ns=since_ns))
        if until_ns < hole.until_ns:
            left.append(attrs.evolve(hole, since_ns=until_ns))
    return left


def _first_open(series: Series, support: OhlcvSupport, since_ns: int) -> int:
    """Return the first open time at or after *since_ns*: half a bucket in front would be a hole for ever."""
    timeframe, grid = series.timeframe, support.grid
    try:
        open_ns = timeframe.open_at(since_ns, grid)
    except ValueError:
        return since_ns
    return since_ns if open_ns == since_ns else timeframe.close_of(open_ns, grid)


@attrs.define(eq=False)
class Ledger:
    """What is known of one series, and what is to be committed next.

    Attributes:
        series: Which one.
        support: What the adapter says of it: grid, settle time, laws.
        origin_ns: Nothing before this is asked for.
        frontier_ns: See the module.
        holes: Without candles, in order.
        forming: The row of the running bucket in this epoch.
        epoch: Number of the current subscription; 0 while there is none.
        epoch_ns: When it was confirmed.
        epoch_count: Subscriptions so far.
        sessions: Trading sessions that pages told of, the latest few.
        emptiness: Learned share of buckets without a candle, 0 to 1.
        last_close: The candle that opens last among the closed ones.
        revisions: How many closes were revised.
        forgone: Closes given back as holes, because the store took nothing for too long.
        refused: Rows refused by the laws of candles.
        last_refusal: The last of them, for people.
    """

    series: Series
    support: OhlcvSupport
    origin_ns: int
    frontier_ns: int
    holes: list[Hole] = attrs.field(factory=list)
    forming: Candle | None = None
    epoch: int = 0
    epoch_ns: int = 0
    epoch_count: int = 0
    sessions: list[tuple[int, int]] = attrs.field(factory=list)
    emptiness: float = 0.0
    last_close: Candle | None = None
    closed_count: int = 0
    revisions: int = 0
    forgone: int = 0
    refused: int = 0
    last_refusal: str = ""
    _tail: dict[int, tuple[Candle, Evidence]] = attrs.field(factory=dict)
    _witnessed: dict[int, Candle] = attrs.field(factory=dict)
    _unsure: dict[int, Candle] = attrs.field(factory=dict)
    _closings: list[Closing] = attrs.field(factory=list)
    _dirty: bool = False

    @classmethod
    def start(cls, series: Series, support: OhlcvSupport, loaded: Loaded | None, origin_ns: int) -> Ledger:
        """Return the ledger of *series*: as the store knows it, or new from *origin_ns* on.

        An *origin_ns* before the stored one opens a hole in front, to be healed by backfill.
        """
        if loaded is None:
            origin_ns = _first_open(series, support, origin_ns)
            return cls(series, support, origin_ns, origin_ns, dirty=True)
        state = loaded.state
        ledger = cls(series, support, state.origin_ns, state.frontier_ns, list(state.holes))
        for row in loaded.tail:
            candle = Candle(
                series.symbol,
                series.timeframe,
                row.open_ns,
                row.close_ns,
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
                row.trade_count,
                row.vwap,
            )
            ledger._tail[row.open_ns] = (candle, row.evidence or Evidence.SIBLING)
            ledger.last_close = candle
        ledger.reach_back(origin_ns)
        return ledger

    # ------------------------------------------------------------------------------- what the stream says

    def row(self, candle: Candle) -> bool:
        """Take one row of the current epoch; say whether there is something to commit."""
        forming = self.forming
        if (
            forming is not None
            and candle.open_ns == forming.open_ns
            and candle.finality is not Finality.CLOSED
        ):
            self.forming = candle
            return False
        return self._turn(candle, forming)

    def _turn(self, candle: Candle, forming: Candle | None) -> bool:
        if candle.close_ns <= self.origin_ns:
            if wrong_unit(candle.open_ns, self.origin_ns):
                self.refuse(candle, "that is no time in nanoseconds")
            return False
        self._bound()
        self._unsure.pop(candle.open_ns, None)
        if candle.finality is Finality.CLOSED:
            if forming is not None and forming.open_ns <= candle.open_ns:
                if forming.open_ns < candle.open_ns:
                    self._distrust(forming)
                self.forming = None
            self._witness(candle)
            self._close(candle, Evidence.VENUE, Rung.STREAM)
        elif forming is None:
            self.forming = candle
        elif candle.open_ns > forming.open_ns:
            self._witness(forming)
            evidence = Evidence.SNAPSHOT if candle.snapshot else Evidence.SUCCESSOR
            self._close(forming, evidence, Rung.STREAM)
            self.forming = candle
        elif candle.snapshot:
            self._witness(candle)
            self._close(candle, Evidence.SNAPSHOT, Rung.STREAM)
        else:
            self._restated(candle)
        return self._dirty

    def _restated(self, candle: Candle) -> None:
        """A row of a bucket that was over already: only history can say what became of it."""
        known = self._tail.get(candle.open_ns)
        if known is None or not candle.same_values(known[0]):
            self._suspect(candle)

    def removed(self, open_ns: int) -> None:
        """The venue withdrew a row: forget it while it forms, ask history when it was closed."""
        if self.forming is not None and self.forming.open_ns == open_ns:
            self.forming = None
        elif open_ns in self._tail:
            self._suspect(self._tail[open_ns][0])

    def subscribed(self, epoch: int, now_ns: int) -> None:
        """A new subscription is confirmed: what was forming in the old one is no longer trusted."""
        self.doubt()
        self.epoch = self.epoch_count = epoch
        self.epoch_ns = now_ns
        self._witnessed.clear()

    def doubt(self) -> None:
        """Something may have been lost: the forming row is not trusted any more; later ones are."""
        if self.forming is not None:
            self._distrust(self.forming)
            self.forming = None

    def lost(self) -> None:
        """The subscription ended."""
        self.doubt()
        self.epoch = 0
        self._witnessed.clear()

    def sibling(self, venue_ns: int, heard_ns: int, grace_ns: int) -> bool:
        """Close the forming row when another topic of its connection has moved on.

        Args:
            venue_ns: The latest venue time that any other topic of the connection showed.
            heard_ns: When the connection last brought data, by the local clock.
            grace_ns: How long after the end the last row may still come.
        """
        forming = self.forming
        if forming is None or venue_ns < forming.close_ns or heard_ns < forming.close_ns + grace_ns:
            return False
        self._witness(forming)
        self._close(forming, Evidence.SIBLING, Rung.STREAM)
        self.forming = None
        return self._dirty

    def _witness(self, candle: Candle) -> None:
        self._witnessed[candle.open_ns] = candle
        while len(self._witnessed) > TAIL:
            forgotten = self._witnessed.pop(next(iter(self._witnessed)))
            self.epoch_ns = max(self.epoch_ns, forgotten.close_ns)  # not to be held against the stream

    def _distrust(self, candle: Candle) -> None:
        if candle.open_ns not in self._tail:
            self._suspect(candle)

    def _suspect(self, candle: Candle) -> None:
        self._unsure[candle.open_ns] = candle
        if len(self._unsure) > TAIL:
            del self._unsure[min(self._unsure)]

    # ---------------------------------------------------------------------------------- what history says

    def page(self, page: Page, want: Want, as_of_ns: int, *, route: Rung) -> PageOutcome:
        """Take one page of history that was asked for *want*.

        Args:
            page: Rows and what they cover.
            want: What was asked.
            as_of_ns: The venue's time when it answered: rows that ended less than the settling time before
                are not closed by it.
            route: How the series is collected now.
        """
        self._bound()
        settled_ns = as_of_ns - round(self.support.settle_s * 1e9)
        rows = sorted(page.candles, key=lambda row: row.open_ns)
        over = [row for row in rows if row.finality is not Finality.FORMING and row.close_ns <= settled_ns]
        running = [
            row.open_ns for row in rows if row.finality is Finality.FORMING or row.close_ns > settled_ns
        ]
        if page.sessions:
            self.sessions = sorted({*self.sessions, *page.sessions})[-10:]
        before = self.closed_count
        agreed, missed = self._compare(over)
        refused: list[Candle] = []
        for row in over:
            marked = self.support.marks_closed and row.finality is Finality.CLOSED
            late = not want.live or settled_ns - row.close_ns > self.series.timeframe.nominal_ns
            evidence = Evidence.VENUE if marked else Evidence.HISTORY
            if not self._close(row, evidence, route, healed=late):
                refused.append(row)
        self._cover(page, want, settled_ns, running)
        for row in refused:
            # a broken law does not make it empty; what was closed before, by a lawful row, stays closed
            if row.open_ns not in self._tail and self.origin_ns <= row.open_ns < self.frontier_ns:
                self._open_hole(row.open_ns, row.close_ns)
        return PageOutcome(self.closed_count - before, agreed, missed)

    def _compare(self, over: Sequence[Candle]) -> tuple[int, list[int]]:
        agreed, missed = 0, []
        for row in over:
            seen = self._witnessed.get(row.open_ns)
            if seen is not None:
                agreed += seen.same_values(row)
            elif self.epoch and row.open_ns >= self.epoch_ns:
                forming = self.forming
                if forming is not None and forming.open_ns == row.open_ns and forming.same_values(row):
                    agreed += 1
                else:
                    missed.append(row.open_ns)
            forming = self.forming
            if forming is not None and forming.open_ns == row.open_ns:
                self._witness(forming)
                self.forming = None
        return agreed, missed

    def _cover(self, page: Page, want: Want, settled_ns: int, running: Sequence[int]) -> None:
        since_ns, until_ns = page.covered
        head_ns = min(since_ns, want.until_ns)
        if page.stopped is not Stopped.UNTIL and want.since_ns < head_ns:
            self._unreachable(want.since_ns, head_ns, reached=page.stopped is Stopped.VENUE_START)
            since_ns = min(since_ns, max(head_ns, want.since_ns))
        since_ns, until_ns = self._whole_buckets(since_ns, until_ns, settled_ns, running)
        if until_ns <= since_ns:
            return
        for open_ns in [ns for ns in self._unsure if since_ns <= ns < until_ns]:
            del self._unsure[open_ns]
        self.holes = cut(self.holes, since_ns, until_ns)
        if since_ns > self.frontier_ns and until_ns > self.frontier_ns:
            self._open_hole(self.frontier_ns, since_ns)
        if until_ns > self.frontier_ns:
            self._learn_empties(self.frontier_ns, until_ns)
            self.frontier_ns = until_ns
        self._dirty = True

    def _whole_buckets(
        self, since_ns: int, until_ns: int, settled_ns: int, running: Sequence[int]
    ) -> tuple[int, int]:
        """Return the range of time in which every bucket is over and decided by the page."""
        timeframe, grid = self.series.timeframe, self.support.grid
        try:
            first_ns = timeframe.open_at(since_ns, grid)
            if first_ns < since_ns:
                first_ns = timeframe.close_of(first_ns, grid)
            last_ns = timeframe.open_at(until_ns, grid)
            if last_ns < until_ns:
                last_ns = timeframe.close_of(last_ns, grid)
            end_ns = timeframe.open_at(settled_ns, grid)
        except ValueError:  # the grid does not say: only what must be over whatever the grid is
            first_ns, last_ns = since_ns, until_ns
            end_ns = settled_ns - timeframe.nominal_ns
            newest = self.last_close
            if newest is not None and newest.close_ns <= settled_ns:
                end_ns = max(end_ns, newest.close_ns)
            if running:
                end_ns = max(end_ns, min(running))
        return first_ns, min(last_ns, end_ns, *running)

    def out_of_reach(self, before_ns: int) -> None:
        """Note that history does not reach back before *before_ns*: what lacks there is not asked for."""
        before_ns = _first_open(self.series, self.support, before_ns)
        missing = (hole.since_ns for hole in self.holes if hole.kind in _WORK)
        if min(self.frontier_ns, *missing, before_ns) < before_ns:
            self._unreachable(self.origin_ns, before_ns, reached=False)

    def _unreachable(self, since_ns: int, until_ns: int, *, reached: bool) -> None:
        since_ns = max(since_ns, self.origin_ns)
        if until_ns <= since_ns:
            return
        known = [hole for hole in self.holes if hole.kind in _WORK]
        parts = [
            Hole(max(hole.since_ns, since_ns), min(hole.until_ns, until_ns), HoleKind.UNREACHABLE)
            for hole in known
            if hole.since_ns < until_ns and since_ns < hole.until_ns
        ]
        self.holes = [hole for hole in self.holes if hole.kind not in _WORK] + cut(known, since_ns, until_ns)
        if until_ns > self.frontier_ns:
            parts.append(Hole(max(self.frontier_ns, since_ns), until_ns, HoleKind.UNREACHABLE))
            self.frontier_ns = until_ns
        if not reached:
            self.holes += parts
        self._tidy()
        for open_ns in [ns for ns in self._unsure if since_ns <= ns < until_ns]:
            del self._unsure[open_ns]
        self._dirty = True

    # ------------------------------------------------------------------------------------------- closing

    def refuse(self, candle: Candle, law: str) -> None:
        """Count a row that breaks a law, and keep which."""
        self.refused += 1
        try:
            opens = iso(candle.open_ns)
        except ValueError:
            opens = f"{candle.open_ns} ns"
        self.last_refusal = f"{self.series}: refused the candle of {opens}: {law}"

    def _on_grid(self, open_ns: int) -> bool:
        try:
            return self.series.timeframe.open_at(open_ns, self.support.grid) == open_ns
        except ValueError:  # the grid does not say
            return True

    def _close(self, candle: Candle, evidence: Evidence, route: Rung, *, healed: bool = False) -> bool:
        """Close a bucket; False when the row breaks a law, changes nothing, and its bucket is lacking."""
        open_ns = candle.open_ns
        if open_ns < self.origin_ns:
            return True
        law = broken_law(candle, signed_prices=self.support.signed_prices)
        if law is not None:
            self.refuse(candle, law)
            return False
        if not self._on_grid(open_ns):
            self.refuse(candle, f"no {self.series.timeframe} candle opens then")
            return True
        known = self._tail.get(open_ns)
        if known is not None:
            verdict = judge_values(known[0], known[1], candle, evidence)
            if verdict is Verdict.KEEP:
                return True
            if verdict is Verdict.REVISE:
                self.revisions += 1
            self._record(candle, evidence, route, healed=False)
            return True
        if open_ns >= self.frontier_ns:
            if open_ns > self.frontier_ns:
                self._open_hole(self.frontier_ns, open_ns)
            self.frontier_ns = candle.close_ns
            self.emptiness -= self.emptiness * _LEARNING
        else:
            self.holes = cut(self.holes, open_ns, candle.close_ns)
            healed = True
        self.closed_count += 1
        self._record(candle, evidence, route, healed=healed)
        return True

    def _record(self, candle: Candle, evidence: Evidence, route: Rung, *, healed: bool) -> None:
        self._tail[candle.open_ns] = (candle, evidence)
        if len(self._tail) > 2 * TAIL:
            for open_ns in sorted(self._tail)[:TAIL]:
                del self._tail[open_ns]
        if self.last_close is None or candle.open_ns >= self.last_close.open_ns:
            self.last_close = candle
        self._unsure.pop(candle.open_ns, None)
        self._closings.append(Closing(candle, evidence, route, healed))
        self._dirty = True

    def _bound(self) -> None:
        """Give back as holes what waits for the store for too long, to be had from history again.

        Never within a page: what the page covers is taken out of the holes, these too, and one page may hold
        more rows than the bound.
        """
        if len(self._closings) < MOST_WAITING:
            return
        given_back = self._closings[: -MOST_WAITING // 2]
        self._closings = self._closings[-MOST_WAITING // 2 :]
        self.forgone += len(given_back)
        for closing in given_back:
            candle = closing.candle
            self._tail.pop(candle.open_ns, None)
            if candle.open_ns < self.frontier_ns:
                self.holes.append(Hole(candle.open_ns, candle.close_ns, self._lacking))
        self._tidy()

    @property
    def _lacking(self) -> HoleKind:
        known = not isinstance(self.support.grid, Unknown | Session)
        return HoleKind.MISSING if known else HoleKind.UNKNOWN

    def _open_hole(self, since_ns: int, until_ns: int) -> None:
        self.holes.append(Hole(since_ns, until_ns, self._lacking))
        self._tidy()

    def _tidy(self) -> None:
        """Put the holes in order and join neighbours of one kind."""
        joined: list[Hole] = []
        for hole in sorted(self.holes):
            if joined and joined[-1].kind is hole.kind and joined[-1].until_ns >= hole.since_ns:
                joined[-1] = attrs.evolve(joined[-1], until_ns=max(joined[-1].until_ns, hole.until_ns))
            else:
                joined.append(hole)
        self.holes = joined

    def _learn_empties(self, since_ns: int, until_ns: int) -> None:
        buckets = min(64, (until_ns - since_ns) // self.series.timeframe.nominal_ns)
        for _ in range(buckets):
            self.emptiness += (1.0 - self.emptiness) * _LEARNING

    # ------------------------------------------------------------------------------------ what is wanted

    def reach_back(self, origin_ns: int) -> None:
        """Move the origin back to *origin_ns*; what lies between is a hole to be healed."""
        origin_ns = _first_open(self.series, self.support, origin_ns)
        if origin_ns < self.origin_ns:
            self._open_hole(origin_ns, self.origin_ns)
            self.origin_ns = origin_ns
            self._dirty = True

    def over_by(self, now_ns: int) -> int:
        """Return the end of the last bucket that is over at *now_ns*, at least the frontier."""
        timeframe, grid = self.series.timeframe, self.support.grid
        try:
            return max(self.frontier_ns, timeframe.open_at(now_ns, grid))
        except ValueError:
            buckets = (now_ns - self.frontier_ns) // timeframe.nominal_ns
            return max(self.frontier_ns, self.frontier_ns + buckets * timeframe.nominal_ns)

    def patience(self) -> int:
        """Return how many buckets may stay empty before history is asked, by what was learned: 1 to 10."""
        if self.emptiness <= _SURPRISE:
            return 1
        return min(_LONGEST_PATIENCE, math.ceil(math.log(_SURPRISE) / math.log(self.emptiness)))

    def wants_live(self, now_ns: int, *, polled: bool) -> Want | None:
        """Return what history should be asked for beyond the frontier, or None.

        Args:
            now_ns: The present, less the time to wait: grace for a stream, settling for a poll.
            polled: Ask for everything up to now; else trust a living stream as far as it may be trusted.
        """
        over_ns = self.over_by(now_ns)
        if over_ns <= self.frontier_ns:
            return None
        forming = self.forming
        unclosed = (forming is not None and forming.close_ns <= over_ns) or any(
            self.frontier_ns <= open_ns < over_ns for open_ns in self._unsure
        )
        empty = (over_ns - self.frontier_ns) // self.series.timeframe.nominal_ns
        if polled or unclosed or not self.epoch or empty >= self.patience():
            return self._page_of(self.frontier_ns, over_ns, "to close" if polled else "overdue", live=True)
        return None

    def wants_heal(self, now_ns: int, before_ns: int | None = None) -> Want | None:
        """Return what history should be asked for behind the frontier, newest first, or None.

        Args:
            now_ns: As in `wants_live`.
            before_ns: Only what opens before this: the rest was asked for in vain.
        """
        end_ns = now_ns if before_ns is None else min(now_ns, before_ns)
        for open_ns in sorted(self._unsure, reverse=True):
            close_ns = self._unsure[open_ns].close_ns
            if open_ns < min(end_ns, self.frontier_ns) and close_ns <= now_ns:
                first_ns = max(min(self._unsure), close_ns - self._page_ns)
                return Want(first_ns, close_ns, "doubtful", live=False)
        for hole in reversed(self.holes):
            if hole.kind in _WORK and hole.since_ns < end_ns:
                return self._page_of(hole.since_ns, min(hole.until_ns, end_ns), "hole", live=False)
        return None

    def recent(self, now_ns: int, buckets: int) -> Want | None:
        """Return the last *buckets* before the frontier, to be read again; None when there are none."""
        since_ns = max(self.origin_ns, self.frontier_ns - buckets * self.series.timeframe.nominal_ns)
        until_ns = min(self.frontier_ns, self.over_by(now_ns))
        if since_ns >= until_ns:
            return None
        return Want(since_ns, until_ns, "to compare", live=False, known=True)

    @property
    def _page_ns(self) -> int:
        return self.support.page_rows * self.series.timeframe.nominal_ns

    def _page_of(self, since_ns: int, until_ns: int, why: str, *, live: bool) -> Want:
        first_ns = max(since_ns, until_ns - self._page_ns)
        if first_ns > since_ns:
            first_ns = _first_open(self.series, self.support, first_ns)
        return Want(first_ns, until_ns, why, live=live)

    # ------------------------------------------------------------------------------------------ committing

    @property
    def progress(self) -> tuple[int, int, int]:
        """A value that changes whenever a page brought something forward."""
        work = sum(hole.until_ns - hole.since_ns for hole in self.holes if hole.kind in _WORK)
        return self.frontier_ns, work, len(self._unsure)

    @property
    def waiting(self) -> int:
        """How many closes wait for the store."""
        return len(self._closings)

    @property
    def dirty(self) -> bool:
        """Whether there is something to commit."""
        return self._dirty

    @property
    def unsure(self) -> int:
        """How many rows wait for history to say what became of them."""
        return len(self._unsure)

    def take(self) -> Change:
        """Return what is to be committed, and forget that it is."""
        closings, self._closings = self._closings, []
        self._dirty = False
        state = SeriesState(
            series=self.series,
            origin_ns=self.origin_ns,
            frontier_ns=self.frontier_ns,
            holes=tuple(self.holes),
        )
        return Change(state=state, closings=closings)
