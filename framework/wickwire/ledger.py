"""The only closer: decides which candle is closed, on what evidence, and what is missing.

One ledger per series; pure: it is told rows, doubts and pages, and says of each what becomes of what is known
(`knowledge`): what is closed up to a *frontier*, what lacks before it, and what is to be committed. It keeps
one forming row of the current *epoch* (one uninterrupted subscription), and what the epoch brought.
The rules, numbered as in docs/one-candle.md:

1. a row with a later open closes the one before only within the same epoch with no doubt since;
2. a loss, cut or suspicion sets doubt: the forming row is no longer trusted, no data is touched;
3. closing a known open again revises it only with higher evidence, or equal evidence from history or venue;
4. closing beyond the frontier commits the hole and the close together; inside a hole it heals;
5. at each end of a bucket `asking` looks at the ledger, and says what history is to be asked for;
6. a page closes its rows, takes what it covers out of the holes, and moves the frontier;
7. silence is only a question: history that holds what the stream did not bring is the answer.

The local clock alone never closes a candle.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

from wickwire.buckets import Buckets
from wickwire.closes import Closes
from wickwire.conversation import BadRow, Page, Stopped
from wickwire.description import OhlcvSupport
from wickwire.knowledge import Knowledge
from wickwire.laws import broken_law
from wickwire.model import Candle, Evidence, Finality, Rung, Series, wrong_unit
from wickwire.store import Loaded
from wickwire.witness import Witness

__all__ = ["Ledger", "PageOutcome", "Want"]

_NOTHING: Final = Decimal(0)
_CLOSED: Final = Finality.CLOSED  # an attribute of an enum costs as much as the rest of `row`


@attrs.frozen
class Want:
    """A range of open times that history should be asked for, `[since_ns, until_ns)`, and why.

    Attributes:
        since_ns: First open time.
        until_ns: Open times before this.
        why: For people.
        live: It is about the newest buckets, not about an older hole.
        known: It is about buckets that are known already and are read again.
        first: Nothing lacks: it asks whether the venue answers at all, and what runs just now.
    """

    since_ns: int
    until_ns: int
    why: str
    live: bool = True
    known: bool = False
    first: bool = False


@attrs.frozen
class PageOutcome:
    """What a page said about the stream.

    Attributes:
        closed: Candles that the page closed first.
        agreed: Buckets that the stream had brought in this epoch, with the same values.
        missed: Open times that history holds and the stream, though subscribed, had not brought (whole).
        contradicted: When the newest bucket opens that the stream brought whole, and with other values than
            this page has or one before; 0 for none.
        refused: Open times of rows that could not be read, or break a law: nothing was compared with them.
    """

    closed: int = 0
    agreed: int = 0
    missed: Sequence[int] = ()
    contradicted: int = 0
    refused: Sequence[int] = ()


@attrs.define(eq=False)
class Ledger(Knowledge):
    """What one series' stream and history say, and what becomes known by it.

    Attributes:
        forming: The row of the running bucket in this epoch.
        running: The newest row of a bucket that was not over when history showed it; nothing is closed by it.
        epoch: Number of the current subscription; 0 while there is none.
        epoch_count: Subscriptions so far.
        rung: How the rows of the stream come about.
    """

    forming: Candle | None = None
    running: Candle | None = None
    epoch: int = 0
    epoch_count: int = 0
    rung: Rung = Rung.STREAM
    _witness: Witness = attrs.field(factory=Witness)
    _shrunk_ns: int = -1
    _lone: Candle | None = None
    _fullest: Candle | None = None

    @classmethod
    def start(cls, series: Series, support: OhlcvSupport, loaded: Loaded | None, origin_ns: int) -> Ledger:
        """Return the ledger of *series*: as the store knows it, or new from *origin_ns* on.

        An *origin_ns* before the stored one opens a hole in front, to be healed by backfill.
        """
        if loaded is None:
            origin_ns = Buckets(series.timeframe, support.grid).first_from(origin_ns)
            return cls(series, support, origin_ns, origin_ns, dirty=True)
        state = loaded.state
        ledger = cls(series, support, state.origin_ns, state.frontier_ns, list(state.holes))
        ledger.closes = Closes.of(loaded.tail)
        ledger.forgotten = state.forgotten
        if state.forgotten is not None and state.origin_ns >= state.forgotten.before_ns:
            ledger.forget(state.forgotten)  # the store does not know where buckets open
        if support.rest:
            ledger.doubt_siblings(state.frontier_ns)  # nobody lived to see whether the next one was missed
        ledger.reach_back(origin_ns)
        return ledger

    # ------------------------------------------------------------------------------- what the stream says

    def row(self, candle: Candle) -> bool:
        """Take one row of the current epoch; say whether there is something to commit."""
        forming = self.forming
        if forming is not None and candle.open_ns == forming.open_ns and candle.finality is not _CLOSED:
            if candle.volume < forming.volume:
                self._shrunk_ns = candle.open_ns
            if self._lone is not None and forming is self._lone and candle.same_values(forming):
                self._lone = candle  # once more is no more
            self.forming = candle
            return False
        return self._turn(candle, forming)

    def _turn(self, candle: Candle, forming: Candle | None) -> bool:
        if candle.close_ns <= self.origin_ns:
            if wrong_unit(candle.open_ns, self.origin_ns):
                self.refuse(candle, "that is no time in nanoseconds")
            return False
        self.give_back()
        self.buckets.saw(candle.open_ns)
        doubted = self.doubtful.pop(candle.open_ns, None)
        if doubted is not None and doubted.volume > self._held_before(candle.open_ns):
            self._fullest = doubted
        if candle.finality is Finality.CLOSED:
            if forming is not None and forming.open_ns <= candle.open_ns:
                if forming.open_ns < candle.open_ns:
                    self._distrust(forming)
                self.forming = None
            self._witness.saw(candle)
            self.close(candle, Evidence.VENUE if self._native else Evidence.BUILT, self.rung)
        elif forming is None:
            self._begun(candle)
        elif candle.open_ns > forming.open_ns:
            self._succeeded(forming, candle)
        elif candle.snapshot:
            self._witness.saw(candle)
            self.close(candle, Evidence.SNAPSHOT, self.rung)
        else:
            self._restated(candle)
        return self.dirty

    def late(self, candle: Candle) -> bool:
        """Take a row of a bucket that is over for the venue, while nothing forms; say if history decides.

        What was doubted before stays so: this one need not be the last of its bucket.
        """
        said = candle.snapshot or candle.finality is _CLOSED
        if said or candle.open_ns not in self.doubtful or not self.support.rest:
            return False
        self._restated(candle)
        return True

    def _begun(self, candle: Candle) -> None:
        """A row comes while nothing forms: of a bucket that was over before, it need not be the last."""
        if candle.snapshot or not self.support.rest:
            self.forming = candle
        elif self.closes.at(candle.open_ns) is not None:
            self._restated(candle)
        else:
            self.forming = candle
            if self._witness.came_after(candle) or self._witness.is_recalled(candle):
                self._lone = candle

    def _succeeded(self, forming: Candle, candle: Candle) -> None:
        """A row of a later bucket came, so that what formed is over."""
        if self._is_partial:
            self.leave_to_history()
        else:
            self._witness.saw(forming)
            evidence = Evidence.SNAPSHOT if candle.snapshot else Evidence.SUCCESSOR
            self.close(forming, Evidence.BUILT if self.rung is Rung.BUILD else evidence, self.rung)
        self.forming = candle
        if not candle.snapshot and self._witness.is_recalled(candle):
            self._lone = candle

    def _restated(self, candle: Candle) -> None:
        """A row of a bucket that was over already: only history can say what became of it."""
        known = self.closes.at(candle.open_ns)
        if known is None or not candle.same_values(known):
            self.suspect(candle)

    @property
    def _native(self) -> bool:
        return self.rung is Rung.STREAM

    @property
    def _is_partial(self) -> bool:
        """Whether the forming row need not be the last word.

        One before it held more, in this epoch or another: was this one late, or a correction? Or there is but
        one, which came when its bucket was over.
        """
        forming = self.forming
        if forming is None or not self.support.rest:
            return False
        is_less = forming.volume < self._held_before(forming.open_ns)
        return is_less or forming.open_ns == self._shrunk_ns or forming is self._lone

    def _held_before(self, open_ns: int) -> Decimal:
        """Return the most that a row of this bucket held before it was doubted; 0 where none was."""
        fullest = self._fullest
        return _NOTHING if fullest is None or fullest.open_ns != open_ns else fullest.volume

    def made_anew(self, candle: Candle) -> bool:
        """A candle that is made here came out differently after it was over; history is asked as well."""
        if self.closes.at(candle.open_ns) is not None:
            self._witness.saw(candle)
            self.close(candle, Evidence.BUILT, self.rung)
        if self.support.rest:
            self.suspect(candle)
        return self.dirty

    def expect(self, since_ns: int) -> None:
        """Only buckets that open from *since_ns* on should come over the stream: they are whole there."""
        self._witness.expect(since_ns)

    def removed(self, open_ns: int) -> None:
        """The venue withdrew a row: forget it while it forms, ask history when it was closed."""
        known = self.closes.at(open_ns)
        if self.forming is not None and self.forming.open_ns == open_ns:
            self.forming = None
        elif known is not None:
            self.suspect(known)

    def subscribed(self, epoch: int, now_ns: int) -> None:
        """A new subscription is confirmed: what was forming in the old one is no longer trusted."""
        self.doubt()
        self.epoch = self.epoch_count = epoch
        self._witness.begin(now_ns)

    def moved(self, now_ns: int) -> None:
        """Another connection carries it, subscribed by *now_ns*: it may recall what was over as it was."""
        self._witness.moved(now_ns)

    def began(self, begun_ns: int) -> None:
        """The subscription was confirmed at *begun_ns*, as the venue's clock turns out to say."""
        self._witness.began(begun_ns)

    def began_after(self, ns: int) -> None:
        """The subscription was confirmed at *ns* at the earliest, as the venue's feed turns out to show."""
        self._witness.began_after(ns)

    def doubt(self) -> None:
        """Something may have been lost: the forming row is not trusted any more; later ones are.

        Where none formed, nothing came since a sibling closed the last one: its end may have been lost too.
        """
        if self.forming is not None:
            self._distrust(self.forming)
            self.forming = None
        elif self.support.rest:
            self.doubt_siblings(self.frontier_ns)

    def leave_to_history(self) -> None:
        """The forming row may lack its end, as the stream stood still: history says, and of which of both."""
        if self.forming is not None:
            self._witness.saw(self.forming)
            self.doubt()

    def lost(self) -> None:
        """The subscription ended."""
        self.doubt()
        self.epoch = 0
        self._witness.end()

    def sibling(self, venue_ns: int, heard_ns: int, grace_ns: int) -> bool:
        """Close the forming row when another topic of its connection has moved on.

        Args:
            venue_ns: The latest venue time that any other topic of the connection showed.
            heard_ns: When the connection last brought data, by the local clock.
            grace_ns: How long after the end the last row may still come.
        """
        forming = self.forming
        if forming is None or not self.is_over(venue_ns, heard_ns, grace_ns):
            return False
        if self._is_partial:
            self.leave_to_history()
            return self.dirty
        self._witness.saw(forming)
        self.close(forming, Evidence.SIBLING, self.rung)
        self.forming = None
        return self.dirty

    def is_over(self, venue_ns: int, heard_ns: int, grace_ns: int) -> bool:
        """Say whether another topic of the connection moved past the forming row; see `sibling`."""
        forming = self.forming
        if forming is None:
            return False
        return venue_ns >= forming.close_ns and heard_ns >= forming.close_ns + grace_ns

    def doubt_siblings(self, missed_ns: int) -> None:
        """The stream may not have brought the bucket that opens at *missed_ns*: since when was it silent?

        What siblings closed shortly before may lack its end. It is asked for again.
        """
        since_ns = missed_ns - (self.patience.buckets + 1) * self.buckets.size_ns
        for candle in self.closes.by(Evidence.SIBLING, since_ns, missed_ns):
            self.suspect(candle)

    def _distrust(self, candle: Candle) -> None:
        if self.closes.at(candle.open_ns) is None:
            self.suspect(candle)

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
        self.give_back()
        settled_ns = as_of_ns - round(self.support.settle_s * 1e9)
        rows = sorted(page.candles, key=lambda row: row.open_ns)
        over = [row for row in rows if row.finality is not Finality.FORMING and row.close_ns <= settled_ns]
        running = [row for row in rows if row.finality is Finality.FORMING or row.close_ns > settled_ns]
        if running:
            law = broken_law(running[-1], signed_prices=self.support.signed_prices)
            if law is None:
                self.running = running[-1]
            else:
                self.refuse(running[-1], law)
        if page.sessions:
            self.buckets.told(page.sessions)
        before = self.closed_count
        self.rescaling.compare(over, self.closes.at, page.splits, self.origin_ns, self.frontier_ns)
        agreed, missed = self._compare(over)
        refused: list[Candle | BadRow] = list(page.bad_rows)
        for bad in page.bad_rows:
            self.refuse(bad, bad.why)
        for row in over:
            late = not want.live or settled_ns - row.close_ns > self.series.timeframe.nominal_ns
            if not self.close(row, self.evidence_of(row), route, healed=late):
                refused.append(row)
        # such a row does not make its bucket empty, and settles no doubt; what a good one closed stays closed
        doubts = {row.open_ns: self.doubtful[row.open_ns] for row in refused if row.open_ns in self.doubtful}
        lacking = [row for row in refused if self.lacks(row.open_ns, known=want.known)]
        self._cover(page, want, settled_ns, [row.open_ns for row in running])
        self.doubtful.update(doubts)
        for each in lacking:
            if self.origin_ns <= each.open_ns < self.frontier_ns:
                self.reopen(each.open_ns, each.close_ns)
        return PageOutcome(
            self.closed_count - before,
            agreed,
            missed,
            self._witness.contradicted_ns,
            [row.open_ns for row in refused],
        )

    def evidence_of(self, row: Candle) -> Evidence:
        """Return what a row of history proves once its bucket is over and settled."""
        marked = self.support.marks_closed and row.finality is Finality.CLOSED
        return Evidence.VENUE if marked else Evidence.HISTORY

    def _compare(self, over: Sequence[Candle]) -> tuple[int, list[int]]:
        """Compare what history holds with the stream, whose last row of an ended bucket history decides."""
        is_over = self.forming is not None and any(row.open_ns == self.forming.open_ns for row in over)
        if is_over and self._is_partial:  # it did come: judged as if the next one had come already
            self._end_forming()
        agreed, missed = self._witness.compare(over, self.forming)
        if is_over:
            self._end_forming()
        return agreed, missed

    def _end_forming(self) -> None:
        """History says how the forming row ended; the stream's last word is kept to be compared with it."""
        if self.forming is not None:
            self._witness.saw(self.forming)
            self.forming = None

    def _cover(self, page: Page, want: Want, settled_ns: int, running: Sequence[int]) -> None:
        since_ns, until_ns = page.covered
        head_ns = min(since_ns, want.until_ns)
        if page.stopped is not Stopped.UNTIL and want.since_ns < head_ns:
            self.unreachable(want.since_ns, head_ns, reached=page.stopped is Stopped.VENUE_START)
            since_ns = min(since_ns, max(head_ns, want.since_ns))
        newest_ns = None if self.last_close is None else self.last_close.close_ns
        since_ns, until_ns = self.buckets.decided((since_ns, until_ns), settled_ns, running, newest_ns)
        self.cover(since_ns, until_ns)
