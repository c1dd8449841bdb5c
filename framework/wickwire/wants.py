"""What a ledger wants to be asked of history: pure functions of what is known and the time. See `asking`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from wickwire.holes import WORK, without
from wickwire.ledger import Ledger, Want
from wickwire.model import Hole

__all__ = [
    "LOOK_BUCKETS",
    "doubtful_ranges",
    "first_look",
    "known_from",
    "lacking",
    "missing_ranges",
    "overdue",
    "page_ns",
    "page_of",
    "rescaled",
]

LOOK_BUCKETS: Final = 3
"""How many buckets the first look asks for, the running one included."""


def overdue(ledger: Ledger, due_ns: int, *, polled: bool) -> Want | None:
    """Return what history should be asked for beyond the frontier, or None.

    Args:
        ledger: What is known.
        due_ns: The present, less the time to wait: grace for a stream, settling for a poll.
        polled: Ask for everything up to now; else trust a living stream as far as it may be trusted.
    """
    over_ns = ledger.buckets.over_by(due_ns, ledger.frontier_ns)
    if over_ns <= ledger.frontier_ns:
        return None
    forming = ledger.forming
    unclosed = (forming is not None and forming.close_ns <= over_ns) or any(
        ledger.frontier_ns <= open_ns < over_ns for open_ns in ledger.doubtful
    )
    empty = (over_ns - ledger.frontier_ns) // ledger.buckets.size_ns
    if polled or unclosed or not ledger.epoch or empty >= ledger.patience.buckets:
        return page_of(ledger, ledger.frontier_ns, over_ns, "to close" if polled else "overdue", live=True)
    return None


def lacking(
    ledger: Ledger, due_ns: int, *, before_ns: int | None = None, tried: Sequence[Hole] = ()
) -> Want | None:
    """Return what history should be asked for behind the frontier, newest first, or None.

    Args:
        ledger: What is known.
        due_ns: As in `overdue`.
        before_ns: Only what opens before this.
        tried: Nothing that lies in one of these; in order, not overlapping.
    """
    end_ns = ledger.buckets.over_at(due_ns)  # the past of a young series has a running bucket too
    if before_ns is not None:
        end_ns = min(end_ns, before_ns)
    doubtful = without(doubtful_ranges(ledger), tried)
    for row in reversed(doubtful):
        if row.since_ns < min(end_ns, ledger.frontier_ns) and row.until_ns <= due_ns:
            first_ns = max(doubtful[0].since_ns, row.until_ns - page_ns(ledger))
            return Want(first_ns, row.until_ns, "doubtful", live=False)
    holes = without(missing_ranges(ledger), tried)
    for hole in reversed(holes):
        if hole.since_ns < end_ns:
            want = page_of(ledger, hole.since_ns, min(hole.until_ns, end_ns), "hole", live=False)
            back_ns = want.until_ns - page_ns(ledger)
            others = [one.since_ns for one in holes if back_ns <= one.since_ns < want.since_ns]
            return attrs.evolve(want, since_ns=min([want.since_ns, *others]))  # one page has them all
    return None


def doubtful_ranges(ledger: Ledger) -> list[Hole]:
    """Return where the doubtful rows are, as ranges."""
    return [Hole(open_ns, ledger.doubtful[open_ns].close_ns) for open_ns in sorted(ledger.doubtful)]


def missing_ranges(ledger: Ledger) -> list[Hole]:
    """Return the holes that may be healed; their kind is of no interest here."""
    return [Hole(hole.since_ns, hole.until_ns) for hole in ledger.holes if hole.kind in WORK]


def known_from(ledger: Ledger, due_ns: int, since_ns: int) -> Want | None:
    """Return the first page of what is behind the frontier from *since_ns* on, to be read again, or None."""
    size_ns = ledger.buckets.size_ns
    behind = -(-(ledger.frontier_ns - since_ns) // size_ns)  # whole buckets, whatever the grid says of them
    since_ns = ledger.buckets.first_from(max(ledger.origin_ns, ledger.frontier_ns - behind * size_ns))
    over_ns = min(ledger.frontier_ns, ledger.buckets.over_by(due_ns, ledger.frontier_ns))
    until_ns = min(over_ns, since_ns + page_ns(ledger))
    if since_ns >= until_ns:
        return None
    return Want(since_ns, until_ns, "to compare", live=False, known=True)


def first_look(ledger: Ledger, now_ns: int) -> Want:
    """Return the running bucket and some before it; what is known of them already changes nothing."""
    size_ns, buckets = ledger.buckets.size_ns, min(LOOK_BUCKETS, ledger.support.page_rows)
    until_ns = min(ledger.buckets.next_end(now_ns, ledger.frontier_ns), now_ns + size_ns)
    since_ns = ledger.buckets.first_from(until_ns - buckets * size_ns)
    return Want(since_ns, until_ns, "first look", live=False, first=True)


def rescaled(ledger: Ledger) -> Want | None:
    """Return what is to be read again because history has another scale now, newest first, or None."""
    found = ledger.rescaling
    if not found.pending:
        return None
    return attrs.evolve(page_of(ledger, found.since_ns, found.until_ns, "rescaled", live=False), known=True)


def page_ns(ledger: Ledger) -> int:
    """Return how much time one page covers."""
    return ledger.support.page_rows * ledger.buckets.size_ns


def page_of(ledger: Ledger, since_ns: int, until_ns: int, why: str, *, live: bool) -> Want:
    """Return the newest page of a range, which begins at the open of a bucket."""
    first_ns = max(since_ns, until_ns - page_ns(ledger))
    if first_ns > since_ns:
        first_ns = ledger.buckets.first_from(first_ns)
    return Want(first_ns, until_ns, why, live=live)
