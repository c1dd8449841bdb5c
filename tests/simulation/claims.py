"""What each commit claims: a bucket is stored, or lies in a hole, or is empty, and no two of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from wickwire import Change, HoleKind, Series, SeriesState

__all__ = ["Claims"]

Range = tuple[int, int]


@attrs.define(eq=False)
class _Known:
    """One series as its last commit left it."""

    frontier_ns: int
    lacking: list[Range]
    opens: set[int] = attrs.field(factory=set)


@attrs.define(eq=False)
class Claims:
    """Notes, commit by commit, which buckets a store calls empty; it outlives collectors, as the store does.

    Attributes:
        empty: By series, `(at_ns, open_ns)` of each bucket, when it was called empty first.
        denied: By series, the same of each bucket that a commit brought, and called a hole.
    """

    now_ns: Callable[[], int]
    empty: dict[Series, list[Range]] = attrs.field(factory=dict)
    denied: dict[Series, list[Range]] = attrs.field(factory=dict)
    _known: dict[Series, _Known] = attrs.field(factory=dict)

    def committed(self, changes: Sequence[Change]) -> None:
        """Note what a commit says, which is done whatever becomes of its answer."""
        for change in changes:
            self._note(change.state, [closing.candle.open_ns for closing in change.closings])

    def _note(self, state: SeriesState, closed: Sequence[int]) -> None:
        lacking = [
            (hole.since_ns, hole.until_ns) for hole in state.holes if hole.kind is not HoleKind.SESSION_CLOSED
        ]
        known = self._known.setdefault(state.series, _Known(state.origin_ns, []))
        known.opens.update(closed)
        size_ns = state.series.timeframe.nominal_ns
        decided = [
            (max(since_ns, state.origin_ns), until_ns)  # what lies before that was forgotten
            for since_ns, until_ns in (*known.lacking, (known.frontier_ns, state.frontier_ns))
        ]
        self.empty.setdefault(state.series, []).extend(
            (self.now_ns(), open_ns)
            for open_ns in _buckets(decided, size_ns)
            if open_ns not in known.opens and not _is_in(open_ns, lacking)
        )
        self.denied.setdefault(state.series, []).extend(
            (self.now_ns(), open_ns) for open_ns in closed if _is_in(open_ns, lacking)
        )
        known.frontier_ns, known.lacking = max(known.frontier_ns, state.frontier_ns), lacking


def _buckets(ranges: Iterable[Range], size_ns: int) -> Iterable[int]:
    for since_ns, until_ns in ranges:
        yield from range(-(-since_ns // size_ns) * size_ns, until_ns, size_ns)


def _is_in(open_ns: int, ranges: Sequence[Range]) -> bool:
    return any(since_ns <= open_ns < until_ns for since_ns, until_ns in ranges)
