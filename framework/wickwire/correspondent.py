"""Tells what becomes of one candle series, as news and in the log: its holes, its refused rows, what fails.

The same trouble is told once, however often it comes, and rarely again while it lasts: see `repeats`.
"""

from __future__ import annotations

import logging
from typing import Literal

from wickwire.clock import Clock, loop_s
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind
from wickwire.holes import cut, difference
from wickwire.instants import FIRST_NS
from wickwire.ledger import Ledger
from wickwire.news import Doubted, HistoryFailed, HoleFound, HoleHealed, Rescaled, RowRefused, Tell
from wickwire.repeats import Repeats, counted, without_numbers

__all__ = ["Correspondent"]

log = logging.getLogger(__name__)

Source = Literal["stream", "history"]
"""Where rows come from."""


class Correspondent:
    """Tells of the series of one ledger, and knows what it told.

    Attributes:
        refused: How many refused rows were looked at so far.
    """

    def __init__(self, ledger: Ledger, clock: Clock, tell: Tell) -> None:
        """Tell *tell* of *ledger*, whose holes of now are no news; *clock* stamps that."""
        self.refused = 0
        self._ledger = ledger
        self._clock = clock
        self._tell = tell
        self._told_holes = [*ledger.holes]
        self._failing: dict[Source, object] = {}
        self._failures = Repeats()
        self._refusals = Repeats()

    def tell_holes(self) -> bool:
        """Tell which holes are new, which are of another kind, and which are none any more.

        Returns:
            Whether any is new, or of another kind.
        """
        before, now = self._told_holes, self._ledger.holes
        if now == before:
            return False
        self._told_holes = [*now]
        found, healed = difference(before, now)
        series, at_ns = self._ledger.series, self._clock.now_ns()
        for hole in found:
            self._tell(HoleFound(series=series, at_ns=at_ns, hole=hole))
        for hole in healed:
            self._tell(HoleHealed(series=series, at_ns=at_ns, hole=hole))
        return bool(found)

    def forget_before(self, ns: int) -> None:
        """Tell nothing of holes before *ns*: they were forgotten, and not healed."""
        self._told_holes = cut(self._told_holes, FIRST_NS, ns)

    def tell_refused(self) -> None:
        """Say that rows are refused, once for each reason.

        What differs only in its numbers is the same reason: each row has others.
        """
        ledger = self._ledger
        if ledger.refused == self.refused:
            return
        self.refused = ledger.refused
        times = self._refusals.failed(without_numbers(ledger.refusal_why), loop_s())
        if times:
            refusal, at_ns = ledger.last_refusal, self._clock.now_ns()
            said = {"series": str(ledger.series), "why": refusal, **counted(times)}
            log.warning("a row of the venue is no candle", extra=said)
            self._tell(RowRefused(series=ledger.series, at_ns=at_ns, why=refusal))

    def tell_rescaled(self) -> None:
        """Tell that history is on another scale now."""
        series, why = self._ledger.series, self._ledger.rescaling.why
        log.warning("history rescaled", extra={"series": str(series), "why": why})
        self._tell(Rescaled(series=series, at_ns=self._clock.now_ns(), why=why))

    def tell_gap(self, topic: Topic, why: str) -> None:
        """Tell that something of the topic it lives on was lost."""
        venue, at_ns = self._ledger.series.scope, self._clock.now_ns()
        self._tell(Doubted(venue=venue, topics=(topic,), at_ns=at_ns, why=why))

    def fails(self, where: Source, kind: object, why: str) -> None:
        """Say what fails once: the same trouble in other words, or from the other side too, is no news.

        Nor is one that comes again after another; that has a line for those who want to know everything.
        """
        series, times = self._ledger.series, self._failures.failed(kind, loop_s())
        is_other = self._failing.get(where) != kind
        if times or (is_other and where == "history"):
            level = logging.WARNING if times else logging.INFO
            log.log(level, "%s failed", where, extra={"series": str(series), "why": why, **counted(times)})
        if where == "history" and is_other:
            fault, at_ns = kind if isinstance(kind, FaultKind) else None, self._clock.now_ns()
            self._tell(HistoryFailed(series=series, at_ns=at_ns, kind=fault, why=why))
        self._failing[where] = kind

    def waits(self, why: str) -> None:
        """Tell that history is not asked because REST is away, unless it failed before.

        The log has one line of it for all series of the venue.
        """
        if "history" not in self._failing:
            kind, at_ns = FaultKind.OUTAGE, self._clock.now_ns()
            self._failing["history"] = kind
            self._tell(HistoryFailed(series=self._ledger.series, at_ns=at_ns, kind=kind, why=why))

    def works(self, where: Source) -> None:
        """Note that something works: when it fails after a while in which all did, that is news."""
        self._failing.pop(where, None)
        if not self._failing:
            self._failures.works(loop_s())
