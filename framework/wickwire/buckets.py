"""Where the buckets of one series open and end, as far as that is known. Pure.

Most grids say so for every instant. Where buckets follow trading sessions, or nobody documents them, only
what pages of history told of sessions is known; beyond that there is what must be over whatever the grid is.

A calendar, where there is one, says when nothing is traded: then nothing is due, but for a look now and then,
since calendars are wrong some day. What it says decides nothing about any bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from wickwire.calendars import Calendar
from wickwire.model import DAY_NS, HOUR_NS, SECOND_NS, Grid, HoleKind, Session, Timeframe, Unknown

__all__ = ["Buckets"]

LONGEST_PERIOD_NS: Final = 900 * SECOND_NS
"""Where the grid does not say when a bucket ends, it is looked for at least so often."""

SESSIONS_KEPT: Final = 10

LOOK_NS: Final = 6 * HOUR_NS
"""How often it is asked between two sessions whether the calendar is right: exchanges open on days on which
nobody expected it, and half days become whole ones. A weekend costs eight looks that way."""

_HORIZON_NS: Final = 21 * DAY_NS
"""How far sessions are looked for: no exchange has been closed for longer in our time."""

_OFF_HOURS_NS: Final = HOUR_NS
"""How long a trade outside of every session makes the calendar count for nothing."""


@attrs.define(eq=False)
class Buckets:
    """The buckets of one series.

    Attributes:
        timeframe: How long one lasts.
        grid: Where they open, as the adapter says.
        sessions: Trading sessions `(open_ns, end_ns)` that pages told of, the latest few, in order.
        calendar: Further sessions, ahead too; None where nobody knows them.
    """

    timeframe: Timeframe
    grid: Grid
    sessions: list[tuple[int, int]] = attrs.field(factory=list)
    calendar: Calendar | None = None
    _off_hours_ns: int = 0  # the calendar counts for nothing before this

    @property
    def size_ns(self) -> int:
        """The longest that one normally lasts."""
        return self.timeframe.nominal_ns

    @property
    def lacking(self) -> HoleKind:
        """What a range is called in which there may be candles that nobody has."""
        return HoleKind.UNKNOWN if isinstance(self.grid, Unknown | Session) else HoleKind.MISSING

    def told(self, sessions: Iterable[tuple[int, int]]) -> None:
        """Keep what a page told of trading sessions."""
        self.sessions = sorted({*self.sessions, *sessions})[-SESSIONS_KEPT:]

    # ---------------------------------------------------------------------------------------- sessions

    def _around(self, ns: int) -> list[tuple[int, int]]:
        """Return the sessions that are known around an instant, in order; pages win over the calendar."""
        if self.calendar is None:
            return self.sessions
        ahead = self.calendar.sessions(ns - _HORIZON_NS, ns + _HORIZON_NS)
        told = self.sessions
        return sorted([*told, *(one for one in ahead if not any(_overlap(one, other) for other in told))])

    def rest(self, ns: int) -> tuple[int, int] | None:
        """Return the time between two sessions that holds *ns*, as the calendar has it.

        Returns:
            When the last bucket before it ends and the first one after it opens; None within a bucket of a
            session, and where it is not known.
        """
        return None if ns < self._off_hours_ns else self._between(ns)

    def _between(self, ns: int) -> tuple[int, int] | None:
        """As `rest`, whatever was traded."""
        if self.calendar is None:
            return None
        around = self._around(ns)
        ended = max((until_ns for since_ns, until_ns in around if since_ns <= ns), default=None)
        opens = min((since_ns for since_ns, _ in around if since_ns > ns), default=None)
        if ended is None or opens is None:
            return None
        last_ns, first_ns = self._end_at(ended - 1), self._open_at(opens)
        since_ns = ended if last_ns is None else last_ns
        until_ns = opens if first_ns is None else first_ns
        return (since_ns, until_ns) if since_ns <= ns < until_ns else None

    def _is_told(self, rest: tuple[int, int]) -> bool:
        """Say whether the venue itself told when the session after *rest* opens: nobody needs to look."""
        return any(since_ns >= rest[1] for since_ns, _ in self.sessions)

    def opens_next(self, now_ns: int) -> int | None:
        """Return when the next session opens; None in one, and where that is not known."""
        around = self._around(now_ns)
        if any(since_ns <= now_ns < until_ns for since_ns, until_ns in around):
            return None
        return min((since_ns for since_ns, _ in around if since_ns > now_ns), default=None)

    def saw(self, open_ns: int) -> None:
        """Note that something was traded in the newest bucket: the calendar may not have known."""
        if self.calendar is not None and self._between(open_ns) is not None:
            self._off_hours_ns = open_ns + max(_OFF_HOURS_NS, 2 * self.size_ns)

    # ----------------------------------------------------------------------------------------- the grid

    def _open_at(self, ns: int) -> int | None:
        """Return when the bucket that holds *ns* opens; None where the grid does not say."""
        try:
            return self.timeframe.open_at(ns, self.grid)
        except ValueError:
            return None

    def _end_at(self, ns: int) -> int | None:
        """Return when the bucket that holds *ns* ends; None where the grid does not say."""
        try:
            return self.timeframe.close_of(self.timeframe.open_at(ns, self.grid), self.grid)
        except ValueError:
            return None

    def running(self, now_ns: int) -> int:
        """Return when the bucket opened that runs at *now_ns*; where no grid says, when it may have."""
        open_ns = self._open_at(now_ns)
        if open_ns is None:
            before_ns = now_ns - self.size_ns
            return before_ns - before_ns % self.size_ns
        return open_ns

    def first_from(self, since_ns: int) -> int:
        """Return the first open time at or after *since_ns*: half a bucket would be a hole for ever."""
        open_ns = self._open_at(since_ns)
        if open_ns is None or open_ns == since_ns:
            return since_ns
        return self.timeframe.close_of(open_ns, self.grid)

    def opens(self, open_ns: int) -> bool:
        """Say whether a bucket may open at *open_ns*."""
        return self._open_at(open_ns) in (open_ns, None)

    def ends(self, open_ns: int, close_ns: int) -> bool:
        """Say whether the bucket that opens at *open_ns* may end at *close_ns*.

        Where sessions or nobody says when it does, it may be cut short.
        """
        if isinstance(self.grid, Unknown | Session):
            return close_ns - open_ns <= self.size_ns
        return self._end_at(open_ns) in (close_ns, None)

    def end_of(self, open_ns: int, close_ns: int) -> int:
        """Return when the bucket that opens at *open_ns* ends; *close_ns*, where the grid is silent."""
        end_ns = self._end_at(open_ns)
        if end_ns is None:
            latest_ns = open_ns + self.size_ns
            end_ns = min(close_ns, latest_ns) if close_ns > open_ns else latest_ns
        return end_ns

    def over_at(self, now_ns: int) -> int:
        """Return the end of the last bucket that is over at *now_ns*; that itself where no grid says."""
        open_ns = self._open_at(now_ns)
        return now_ns if open_ns is None else open_ns

    def over_by(self, now_ns: int, frontier_ns: int) -> int:
        """Return the end of the last bucket that is over at *now_ns*, at least *frontier_ns*.

        Where the grid does not say, buckets are counted from *frontier_ns* on. Between two sessions it is the
        end of the last bucket before, and every `LOOK_NS` what is over then.
        """
        rest = self.rest(now_ns)
        if rest is not None:
            now_ns = rest[0] if self._is_told(rest) else now_ns - (now_ns - rest[0]) % LOOK_NS
            if now_ns == rest[0]:
                return max(frontier_ns, now_ns)
        open_ns = self._open_at(now_ns)
        if open_ns is None:
            open_ns = frontier_ns + (now_ns - frontier_ns) // self.size_ns * self.size_ns
        return max(frontier_ns, open_ns)

    def next_end(self, after_ns: int, frontier_ns: int) -> int:
        """Return when the bucket that holds *after_ns* ends, or when to look whether one did.

        Between two sessions: when the first bucket of the next one does, or when to look whether that is so.
        """
        rest = self.rest(after_ns)
        if rest is not None:
            first_ns = self._end_at(rest[1])
            if first_ns is None:
                first_ns = rest[1] + self.size_ns
            look_ns = after_ns + LOOK_NS - (after_ns - rest[0]) % LOOK_NS
            return first_ns if look_ns >= rest[1] or self._is_told(rest) else look_ns
        end_ns = self._end_at(after_ns)
        return self._session_end(after_ns, frontier_ns) if end_ns is None else end_ns

    def _session_end(self, after_ns: int, frontier_ns: int) -> int:
        """As `next_end`, by the sessions that are known."""
        size_ns, sessions = self.size_ns, self._around(after_ns)
        for since_ns, until_ns in sessions:
            if since_ns <= after_ns < until_ns:
                return min(until_ns, after_ns + size_ns - (after_ns - since_ns) % size_ns)
        later_ns = [since_ns + size_ns for since_ns, _ in sessions if since_ns > after_ns]
        if later_ns and not any(frontier_ns < until_ns <= after_ns for _, until_ns in sessions):
            return min(later_ns)
        period_ns = min(size_ns, LONGEST_PERIOD_NS)
        if sessions:  # when the next begins is not known, or the end of the last one is not proven yet
            period_ns = LONGEST_PERIOD_NS
        return after_ns + period_ns - (after_ns - frontier_ns) % period_ns

    def _session_boundary(self, ns: int) -> int | None:
        """Return when the latest bucket boundary was that lies at *ns* or before, as sessions tell."""
        begun = [session for session in self.sessions if session[0] <= ns]
        if not begun:
            return None
        since_ns, until_ns = begun[-1]
        return until_ns if until_ns <= ns else ns - (ns - since_ns) % self.size_ns

    def due(self, verified_ns: int, asked_ns: int) -> int:
        """Return when the next bucket should be verified, after all up to *verified_ns* were.

        Args:
            verified_ns: Everything before this is known.
            asked_ns: The venue's time when history answered last.
        """
        later = [since_ns for since_ns, until_ns in self._around(verified_ns) if until_ns > verified_ns]
        from_ns = max([verified_ns, *later[:1]])  # nothing is due before the next session
        end_ns = self._end_at(from_ns)
        if end_ns is not None:
            return end_ns
        # history proves such a bucket only when the next one is over as well
        size_ns = self.size_ns
        next_ns = max(self._session_end(from_ns, verified_ns), from_ns + size_ns) + size_ns
        return min(next_ns, max(self._session_end(asked_ns, verified_ns), asked_ns + size_ns))

    def decided(
        self, covered: tuple[int, int], settled_ns: int, running: Sequence[int], over_ns: int | None
    ) -> tuple[int, int]:
        """Return the range of time in which every bucket is over and decided by a page.

        Args:
            covered: What the page covers; half a bucket at either end is not decided by it.
            settled_ns: Buckets that ended before this are final.
            running: Open times of the page's rows that are not.
            over_ns: A bucket ended then for certain, as far as that is known.

        Returns:
            Begin and end; the end may lie before the begin, and then nothing is decided.
        """
        since_ns, until_ns = covered
        end_ns = self._open_at(settled_ns)
        if end_ns is not None:
            since_ns = self.first_from(since_ns)
            until_ns = self.first_from(until_ns)
            return since_ns, min(until_ns, end_ns, *running)
        boundary_ns = self._session_boundary(settled_ns) if isinstance(self.grid, Session) else None
        known = [ns for ns in (over_ns, boundary_ns) if ns is not None and ns <= settled_ns]
        end_ns = max([settled_ns - self.size_ns, *known, *sorted(running)[:1]])
        return since_ns, min(until_ns, end_ns, *running)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Say whether two sessions share an instant."""
    return one[0] < other[1] and other[0] < one[1]
