"""What lacks behind the frontier, and what of it was asked for in vain. Pure: it asks nobody.

Holes and doubts are asked for newest first, and at once what never was. What history does not have may never
be had: that is gone through again, newest first too, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from wickwire.holes import joined, within, without
from wickwire.ledger import Ledger, Want
from wickwire.model import Hole
from wickwire.wants import doubtful_ranges, lacking, missing_ranges

__all__ = ["LONGEST_UNRESOLVED_S", "Healing"]

LONGEST_UNRESOLVED_S: Final = 3_600.0
"""What history may never say is asked for at least so often."""


class Healing:
    """The holes and doubts of one ledger, as questions."""

    def __init__(self, ledger: Ledger) -> None:
        """Begin with nothing tried."""
        self._ledger = ledger
        self._tried: list[Hole] = []  # where pages healed nothing
        self._vain = 0  # pages in a row that healed nothing
        self._before_ns: int | None = None  # what opens from here on was asked for again

    def untried(self, due_ns: int) -> Want | None:
        """Return the newest of what was never asked for in vain, or None; *due_ns* as in `overdue`."""
        return lacking(self._ledger, due_ns, tried=self._tried)

    def next(self, due_ns: int) -> Want | None:
        """Return the newest before what was asked for in vain last, or None; after the oldest begin anew."""
        older = lacking(self._ledger, due_ns, before_ns=self._before_ns)
        if older is None and self._before_ns is not None:
            self._before_ns = None
            return lacking(self._ledger, due_ns)
        return older

    def unreadable(self, opens: Iterable[int]) -> None:
        """Note open times of rows that came and are no good: each would be asked for alone, and at once."""
        size_ns = self._ledger.buckets.size_ns
        bad = (Hole(open_ns, open_ns + size_ns) for open_ns in opens)
        self._tried = joined([*self._tried, *bad])

    def progressed(self) -> None:
        """Note that a page healed something."""
        self._vain = 0

    def in_vain(self, want: Want) -> float:
        """Note that the page that *want* got healed nothing; return for how many seconds to wait."""
        asked = Hole(want.since_ns, want.until_ns)
        lacks = joined([*doubtful_ranges(self._ledger), *missing_ranges(self._ledger)])
        again = not without(within(lacks, asked.since_ns, asked.until_ns), self._tried)
        self._vain = self._vain + 1 if again else max(self._vain, 1)
        self._before_ns = want.since_ns
        tried = joined([*self._tried, asked])
        healed = without(tried, lacks)
        self._tried = without(tried, healed)
        return min(2.0 ** min(self._vain, 12), LONGEST_UNRESOLVED_S)

    def anew(self) -> None:
        """Forget what was asked for in vain."""
        self._before_ns, self._vain, self._tried = None, 0, []
