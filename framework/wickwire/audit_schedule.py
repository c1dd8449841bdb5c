"""When what is closed is read again, and from where. Pure: it is told the time, and asks nobody.

A stream that stalled across a boundary and resumed, and a venue that rewrites its history, are found by
nothing else. An *audit* reads the recent buckets again in pages, oldest first, so that none slips between
two audits. What could not be compared, as the question failed or as a row was unreadable, is where the next
one begins.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

from wickwire.clock import Moment
from wickwire.ledger import Ledger, Want
from wickwire.model import SECOND_NS
from wickwire.wants import known_from

__all__ = [
    "AUDIT_BUCKETS",
    "AUDIT_POLLED_S",
    "AUDIT_S",
    "FIRST_AUDIT_BUCKETS",
    "LATE_S",
    "REREAD_BUCKETS",
    "AuditSchedule",
]

AUDIT_S: Final = 900.0
"""How often a streamed series re-reads its recent buckets, on average; also while it is polled meanwhile, as
nobody knows for how long: a stream that never lives for a whole bucket is never trusted again."""

AUDIT_POLLED_S: Final = 3_600.0
"""How often a polled one does: what is there came from history already, but history may be rewritten."""

AUDIT_BUCKETS: Final = 60
"""How many buckets an audit reads again at least; more where more have ended since the one before."""

FIRST_AUDIT_BUCKETS: Final = 300
"""How many buckets the first audit of a process reads again, as far as one page holds them: nobody knows how
far the process before had compared what it closed, and half a page costs a venue as much as a whole one."""

REREAD_BUCKETS: Final = 2
"""How many closed buckets each poll reads again: it costs no request more."""

LATE_S: Final = 1_800.0
"""For so long after a session history may still be late or wrong about its end, so what was compared before
that is compared again: within a session the next audits do that, and after it there would be none."""

UNREADABLE_AUDITS: Final = 4
"""For so many intervals audits go back to a row that could not be read; then it is one that never can be."""


class AuditSchedule:
    """The audits of one series.

    Attributes:
        due_s: When the next one is due, by the loop; whoever cannot ask now puts it off.
    """

    def __init__(self, ledger: Ledger, now: Moment, rng: random.Random, *, streamed: bool) -> None:
        """Begin soon, and far back: the process before may have died before it compared what it closed."""
        self._ledger = ledger
        self._rng = rng
        self._every_s = AUDIT_S if streamed else AUDIT_POLLED_S
        self.due_s = now.s + self._every_s * 0.5 * rng.random()
        self._back_ns = max(
            round(1.5 * self._every_s * SECOND_NS),
            min(FIRST_AUDIT_BUCKETS, ledger.support.page_rows) * ledger.buckets.size_ns,
        )
        self._read_ns = self._begin_ns = ledger.frontier_ns - self._back_ns
        self._known_ns: int | None = ledger.frontier_ns  # where what is known from before ends
        self._started = now
        self._unread: list[int] = []  # open times of rows that this audit, or the one that ended, found bad
        self._ended = False
        self._asked: Want | None = None

    def planned(self, *, streamed: bool) -> None:
        """Go on by another plan, which has a stream or has none."""
        self._every_s = AUDIT_S if streamed else AUDIT_POLLED_S

    def is_lacking(self, due_ns: int) -> bool:
        """Say whether a bucket was decided that no audit has read, or only one that came soon after its end.

        One that history left out counts as much as a candle: at the end of a session a venue may be late.
        """
        decided_ns = min(self._ledger.frontier_ns, self._awake_ns(due_ns))
        return decided_ns > max(self._read_ns, self._ledger.origin_ns)

    def _awake_ns(self, due_ns: int) -> int:
        """Return *due_ns*, or where the session ended in which it would be."""
        rest = self._ledger.buckets.rest(due_ns)
        return due_ns if rest is None else min(due_ns, rest[0])

    def next(self, due_ns: int, now: Moment) -> Want | None:
        """Return the next page of what was not compared yet; after the last one the next audit waits."""
        self._asked = self._page(due_ns, now)
        return self._asked

    def _page(self, due_ns: int, now: Moment) -> Want | None:
        ledger = self._ledger
        if self._ended:
            self._ended = False
            self._begin_ns = min([self._begin_ns, *self._unread])
            self._unread.clear()
        want = known_from(ledger, due_ns, self._begin_ns)
        if self._known_ns is not None and want is not None and want.since_ns >= self._known_ns:
            # what was missed while nobody ran came from history since: of that the newest is enough
            self._known_ns, self._begin_ns = None, max(want.since_ns, self._started_ns(now) - self._back_ns)
            want = known_from(ledger, due_ns, self._begin_ns)
        if want is not None and want.until_ns < ledger.buckets.over_by(due_ns, ledger.frontier_ns):
            self._begin_ns = want.until_ns
            return want
        buckets = min(AUDIT_BUCKETS, ledger.support.page_rows)
        # beyond the frontier nothing was compared, though our clock be hours ahead
        compared_ns = min(self._awake_ns(due_ns), ledger.frontier_ns)
        self._begin_ns = compared_ns - max(buckets, REREAD_BUCKETS) * ledger.buckets.size_ns
        self._read_ns = min([due_ns - round(LATE_S * SECOND_NS), *self._unread])
        self.due_s = now.s + self._every_s * (0.5 + self._rng.random())
        self._ended, self._known_ns = True, None
        return want

    def _started_ns(self, now: Moment) -> int:
        """Return when this process began, at the latest: our clock may have been ahead then."""
        ago_ns = round((now.s - self._started.s) * SECOND_NS)
        return min(self._started.ns, now.ns - ago_ns)

    def answered(self, want: Want, unreadable: Iterable[int], now: Moment) -> None:
        """Note the open times of those rows of the page that *want* got which could not be compared."""
        oldest_ns = max(want.since_ns, now.ns - round(UNREADABLE_AUDITS * self._every_s * SECOND_NS))
        unread = [open_ns for open_ns in unreadable if oldest_ns <= open_ns < want.until_ns]
        self._unread += unread
        self._read_ns = min([self._read_ns, *unread])

    def failed(self, want: Want, again_s: float) -> None:
        """Note that nothing of *want* was compared; it is asked for again at *again_s* by the loop.

        Not what a stream on trial is compared with: that is asked for with its next candle.
        """
        if want is not self._asked:
            return
        self._begin_ns = min(want.since_ns, self._begin_ns)
        self._read_ns = min(want.since_ns, self._read_ns)
        self.due_s = again_s
