"""What history is to be asked for one series, and when. Pure: it is told the time, and asks nobody.

Four kinds of questions compete. *Overdue* is what just ended and is not closed; it comes first. *Lacking*
is what lies behind: holes and doubts, newest first, what was asked in vain ever more rarely. *Known* is what
is closed already and is read again: a sample now and then, and each candle of a stream that is on trial. The
*first look* is what a polled series begins with where nothing lacks: it asks for the running bucket, so that
a symbol, a key or a venue that does not work shows at once, and not when the bucket ends.

Whoever drives it repeats: `next` says what to ask now, `answered` or `failed` tells what came of it, until
`next` returns None; then it sleeps until `wake_ns`, at most.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final

import attrs

from wickwire.audit_schedule import REREAD_BUCKETS, AuditSchedule
from wickwire.clock import Moment
from wickwire.description import OhlcvSupport
from wickwire.errors import FaultKind, RestAway, VenueError, WickwireError
from wickwire.healing import LONGEST_UNRESOLVED_S, Healing
from wickwire.ledger import Ledger, Want
from wickwire.model import SECOND_NS
from wickwire.retry import Backoff, Retries, is_outage
from wickwire.store import TAIL
from wickwire.wants import first_look, known_from, lacking, overdue, page_ns, rescaled

__all__ = ["Asking"]

MARGIN_S: Final = 1.0
"""A Date header has whole seconds: a second more makes sure that it lies after the settling time."""

TRIAL_BUCKETS: Final = 10
"""How far back a stream on trial is compared with history where that could not be asked meanwhile."""

QUARANTINE_S: Final = 600.0
"""How long a symbol that the venue does not know is left alone, as on a stream."""

HASTY_ATTEMPTS: Final = 3
"""So many times it is asked for at the ordinary pace: venues that come back may know nobody for a minute."""

REFRESH_PARTS: Final = 4
SHORTEST_REFRESH_S: Final = 5.0
LONGEST_REFRESH_S: Final = 60.0
"""A polled series with priority is asked for its running bucket four times within it, though not more often
than every 5 s and not more rarely than every 60 s."""

EARLY_ASKS: Final = 3
"""How often history is asked at short intervals for a bucket that it does not have yet."""

SHORTEST_WAIT_S: Final = 0.1

SOONER_S: Final = 12.0
"""History that comes over a stream is polled by up to so much sooner, by lot, a fifth of a bucket at most: it
shows what time it is only by rows of a new bucket, and the sooner one is seen, the better that is known."""

CALLED_S: Final = 60.0
"""While REST is away whoever waits is called when it may ask, and asks by itself after so long at least."""

HOLD_S: Final = 5.0
"""How long history is left alone when the store takes nothing."""


def _reach_ns(support: OhlcvSupport, size_ns: int) -> int | None:
    """Return how far history reaches back, with a bucket to spare; None where that is not said."""
    if support.depth_rows is not None:
        return (support.depth_rows + 2) * size_ns
    return None if support.depth_s is None else round(support.depth_s * SECOND_NS) + size_ns


# ------------------------------------------------------------------------------------------ the schedule


@attrs.define(eq=False)
class _Track:
    """Questions of one kind: how often the last ones failed, and until when nothing is asked.

    Attributes:
        waits: The last one was not answered because the venue is away: all its series wait together.
    """

    retries: Retries
    after_s: float = -math.inf
    waits: bool = False


class Asking:
    """When to ask history for what, for the series of one ledger.

    Attributes:
        polled: How the series is collected now, told by whoever drives this: what just ended is asked for
            whatever the stream says.
        prompt: It has priority: its polls are not spread, and while it is polled its running bucket is
            asked for.
        asked_ns: The venue's time when history answered last; 0 before.
        moved_s: When history last brought what had just ended, by the loop.
    """

    def __init__(
        self, ledger: Ledger, now: Moment, rng: random.Random, *, backoff: Backoff, streamed: bool
    ) -> None:
        """Ask for what *ledger* wants; *streamed* says whether it has a stream by plan."""
        self.polled = not streamed
        self.prompt = False
        self.asked_ns = 0
        self.moved_s = -math.inf
        self._ledger = ledger
        self._rng = rng
        self._streamed = streamed
        self._live = _Track(Retries(backoff, rng))
        self._heal = _Track(Retries(backoff, rng))
        self._look = _Track(Retries(backoff, rng))
        self._sooner_s = 0.0
        self._late = 0  # pages in a row that did not have what just ended
        self._held_s = -math.inf
        self._healing = Healing(ledger)
        self._compared_ns = self._answered_ns = 0  # how far a stream on trial was
        self._refresh_s = now.s
        self._reach_ns = _reach_ns(ledger.support, ledger.buckets.size_ns)
        self._audit = AuditSchedule(ledger, now, rng, streamed=streamed)

    def planned(self, *, streamed: bool) -> None:
        """Go on by another plan, which has a stream or has none."""
        self.polled, self._streamed = not streamed, streamed
        self._audit.planned(streamed=streamed)

    # ------------------------------------------------------------------------------------------ when

    def wait_ns(self) -> int:
        """Return how long after the end of a bucket to look at it; where it is polled, by lot sooner."""
        return self._settled_ns() - (round(self._sooner_s * SECOND_NS) if self.polled else 0)

    def _settled_ns(self) -> int:
        """Return how long after the end of a bucket history should hold it for good."""
        support = self._ledger.support
        wait_s = support.settle_s if self.polled else max(support.grace_s, support.settle_s)
        return round((wait_s + MARGIN_S) * SECOND_NS)

    def _due_ns(self, now: Moment) -> int:
        return now.ns - self.wait_ns()

    def _next_end_ns(self, now: Moment) -> int:
        """Return when the next bucket is to be looked at."""
        ledger = self._ledger
        return ledger.buckets.next_end(self._due_ns(now), ledger.frontier_ns) + self.wait_ns()

    def wake_ns(self, now: Moment) -> int:
        """Return when to look again, by the wall clock, when nothing happens before."""
        due_ns = self._due_ns(now)
        wakes = [self._next_end_ns(now) + self._jitter_ns()]
        waits_s = []
        if self._ledger.support.rest:
            if overdue(self._ledger, due_ns, polled=self.polled):
                waits_s.append(self._live.after_s - now.s)
            if lacking(self._ledger, due_ns) or self._ledger.rescaling.pending:
                waits_s.append(self._heal.after_s - now.s)
            if self._audit.is_lacking(due_ns):  # also when the next bucket is that of Monday
                waits_s.append(self._audit.due_s - now.s)
            if self._unheard:
                waits_s.append(self._look.after_s - now.s)
            if self._is_refreshed(now):
                waits_s.append(max(self._look.after_s, self._refresh_s) - now.s)
        wakes += [now.ns + round(max(wait_s, SHORTEST_WAIT_S) * SECOND_NS) for wait_s in waits_s]
        return min(wakes)

    def urgent_s(self, now: Moment) -> float:
        """Return when to ask for what ends next, or what ended and was asked for too soon, by the loop."""
        if overdue(self._ledger, self._due_ns(now), polled=self.polled):
            return max(self._live.after_s, now.s + SHORTEST_WAIT_S)
        return now.s + max((self._next_end_ns(now) - now.ns) / SECOND_NS, SHORTEST_WAIT_S)

    def _jitter_ns(self) -> int:
        """Spread polls: series that end together do not ask together."""
        if not self.polled or self.prompt:
            return 0
        spread_ns = min(2 * SECOND_NS, self._ledger.buckets.size_ns // 20)
        return self._rng.randrange(spread_ns + 1)

    @property
    def retrying(self) -> bool:
        """Whether the last question for something that lacks failed, or is not asked as REST is away."""
        return any(track.retries.attempt or track.waits for track in (self._live, self._heal))

    def is_held(self, now: Moment) -> bool:
        """Say whether nothing is asked because the store has to take what came first."""
        return now.s < self._held_s

    @property
    def _unheard(self) -> bool:
        """Whether nobody knows yet if history answers, and nothing else is being asked to find out."""
        return self.polled and not self.asked_ns and not self.retrying

    def _is_refreshed(self, now: Moment) -> bool:
        """Say whether the running bucket is asked for now and then: nothing else says how it is doing."""
        ledger = self._ledger
        return self.prompt and self.polled and ledger.buckets.rest(now.ns) is None

    # ------------------------------------------------------------------------------------------ what

    def next(self, now: Moment) -> Want | None:
        """Return what history is to be asked now, or None."""
        ledger = self._ledger
        if not ledger.support.rest:
            return None
        if ledger.waiting > TAIL:  # more would only fill the memory
            for track in (self._live, self._heal, self._look):
                track.after_s = max(track.after_s, now.s + HOLD_S)
            self._audit.due_s = max(self._audit.due_s, now.s + HOLD_S)
            self._held_s = now.s + HOLD_S
            return None
        if (
            self._reach_ns is not None and self.asked_ns
        ):  # by what the venue told: our clock may be years ahead
            ledger.out_of_reach(self.asked_ns - self._reach_ns)
        want, due_ns = None, self._due_ns(now)
        if now.s >= self._live.after_s:
            want = overdue(ledger, due_ns, polled=self.polled)
        want = want or self._next_lacking(now, due_ns) or self._next_known(now, due_ns)
        if want is None and self._unheard and now.s >= self._look.after_s:
            want = first_look(ledger, now.ns)
        if want is None and now.s >= max(self._look.after_s, self._refresh_s) and self._is_refreshed(now):
            want = first_look(ledger, now.ns)
        if want is not None and want.first:
            every_s = ledger.buckets.size_ns / SECOND_NS / REFRESH_PARTS
            self._refresh_s = now.s + min(max(every_s, SHORTEST_REFRESH_S), LONGEST_REFRESH_S)
        return want

    def _next_lacking(self, now: Moment, due_ns: int) -> Want | None:
        """Return what is to be healed now, newest first: what was never asked in vain at once."""
        if not self._heal.retries.attempt and not self._heal.waits:
            untried = self._healing.untried(due_ns)
            if untried is not None:
                return untried
        return None if now.s < self._heal.after_s else self._healing.next(due_ns)

    def _next_known(self, now: Moment, due_ns: int) -> Want | None:
        """Return what is closed already and should be compared with history, or None.

        All of it is now and then, by whatever route it comes; and while a stream is on trial each of its
        candles.
        """
        ledger = self._ledger
        if ledger.rescaling.pending and now.s >= self._heal.after_s:
            return rescaled(ledger)
        resting = ledger.buckets.rest(due_ns) is not None and not self._audit.is_lacking(due_ns)
        if now.s >= self._audit.due_s and not resting:
            return self._audit.next(due_ns, now)
        on_trial = self.polled and self._streamed and ledger.epoch
        over_ns = ledger.buckets.over_by(due_ns, ledger.frontier_ns)
        if on_trial and self._compared_ns < over_ns <= ledger.frontier_ns:
            self._compared_ns = over_ns
            newest_ns = ledger.frontier_ns - ledger.buckets.size_ns
            return known_from(ledger, due_ns, self._trial_since_ns(newest_ns, over_ns))
        return None

    def since_ns(self, want: Want) -> int:
        """Return from when on to ask for *want*: a polled series reads its last buckets again.

        Not one that has a stream: while that is on trial, only what could not be compared with it before.
        """
        if not want.live:
            return want.since_ns
        if self._streamed:
            on_trial = self.polled and self._ledger.epoch
            return self._trial_since_ns(want.since_ns, want.until_ns) if on_trial else want.since_ns
        size_ns = self._ledger.buckets.size_ns
        again_ns = max(want.since_ns - REREAD_BUCKETS * size_ns, self._ledger.origin_ns)
        return min(want.since_ns, max(again_ns, want.until_ns - page_ns(self._ledger)))

    def _trial_since_ns(self, since_ns: int, until_ns: int) -> int:
        """Return from when on a stream on trial is compared: *since_ns*, or what failed to be before that."""
        ledger = self._ledger
        back_ns = min(TRIAL_BUCKETS * ledger.buckets.size_ns, page_ns(ledger))
        return min(since_ns, max(self._answered_ns, until_ns - back_ns, ledger.origin_ns))

    # ------------------------------------------------------------------------------- what came of it

    def answered(
        self, want: Want, as_of_ns: int, now: Moment, *, forward: bool, refused: Sequence[int] = ()
    ) -> None:
        """Note that history answered, and the ledger took the page.

        Args:
            want: What was asked.
            as_of_ns: The venue's time when it answered.
            now: The present.
            forward: The page brought something forward (`Ledger.progress`).
            refused: Open times of rows that could not be read, or break a law.
        """
        track = self._track(want)
        track.retries.succeeded()
        track.waits = False
        self.asked_ns = max(self.asked_ns, as_of_ns)
        scale = self._ledger.rescaling
        if want.known and scale.pending and want.until_ns == scale.until_ns:  # it brought nothing
            self._postpone(want, LONGEST_UNRESOLVED_S, now)
        if want.first and self._unheard:  # the adapter knew without asking the venue, and told no time
            self._postpone(want, min(self._ledger.buckets.size_ns / SECOND_NS, LONGEST_UNRESOLVED_S), now)
        if want.known or forward:
            # what was asked by a clock that is ahead reaches beyond what there is
            reached_ns = min(want.until_ns, self._ledger.frontier_ns)
            settled_ns = as_of_ns - round(
                self._ledger.support.settle_s * SECOND_NS
            )  # later rows do not count yet
            self._answered_ns = max(self._answered_ns, min(reached_ns, settled_ns))
            self._compared_ns = max(self._compared_ns, reached_ns)
        if want.known:
            self._audit.answered(want, refused, now)
        else:
            self._healing.unreadable(refused)
        if want.known or want.first:
            return
        if want.live:
            self._waited_for(want, as_of_ns, now, forward=forward)
        elif forward:
            self._healing.progressed()
        else:
            self._postpone(want, self._healing.in_vain(want), now)

    def _waited_for(self, want: Want, as_of_ns: int, now: Moment, *, forward: bool) -> None:
        """Judge a page about what just ended: the venue may be late, by moments or always.

        Where it told its time elsewhere this counts from when that arrived, so that a page may seem to come a
        little too early, and go on doing so: that is no fault of the venue, and is over in a moment.
        """
        ledger = self._ledger
        if forward:
            self.moved_s = now.s
        newest_ns = 0 if ledger.last_close is None else ledger.last_close.close_ns
        if max(ledger.frontier_ns, newest_ns) >= want.until_ns:
            self._late = 0
        if ledger.frontier_ns >= want.until_ns:
            self._sooner_s = self._lot_s()
            return
        early_s = (want.until_ns - as_of_ns) / SECOND_NS + ledger.support.settle_s
        if 0.0 < early_s <= MARGIN_S:
            self._postpone(want, early_s, now)
            return
        self._late += 1
        next_s = (self._next_end_ns(now) - now.ns) / SECOND_NS
        next_s = min(next_s, LONGEST_UNRESOLVED_S)  # the next bucket may be that of Monday
        due_ns = as_of_ns - self._settled_ns()
        if want.until_ns > due_ns > 0:  # asked by a clock that is ahead: the venue's says when it ends
            end_ns = ledger.buckets.next_end(due_ns, ledger.frontier_ns)
            next_s = min(next_s, (end_ns - due_ns) / SECOND_NS)
        soon = self._late <= EARLY_ASKS and not self._looks(want, now)
        if soon:
            next_s = min(early_s if early_s > 0.0 else 2.0**self._late, next_s)  # nothing settles before
        if next_s > SOONER_S:
            next_s -= self._lot_s()
        self._postpone(want, next_s, now)

    def _lot_s(self) -> float:
        """Return how much sooner history is asked than it can answer; see `SOONER_S`."""
        if not self._ledger.support.over_stream:
            return 0.0
        return self._rng.uniform(0.0, min(SOONER_S, self._ledger.buckets.size_ns / SECOND_NS / 5))

    def _looks(self, want: Want, now: Moment) -> bool:
        """Say whether *want* only looks, between two sessions, whether the calendar is right."""
        rest = self._ledger.buckets.rest(self._due_ns(now))
        return rest is not None and want.until_ns > rest[0]

    def failed(self, want: Want, error: WickwireError, now: Moment) -> Retries:
        """Note that history failed, or was not asked as it is away; return how often it failed."""
        track = self._track(want)
        retries, track.waits = track.retries, is_outage(error)
        if isinstance(error, RestAway):
            wait_s = max(error.retry_after_s or 0.0, CALLED_S)
        else:
            wait_s = retries.failed(error)
        unknown = isinstance(error, VenueError) and error.kind is FaultKind.SYMBOL
        if unknown and retries.attempt > HASTY_ATTEMPTS:
            wait_s = max(wait_s, QUARANTINE_S)
        self._postpone(want, wait_s, now)
        self._audit.failed(want, self._heal.after_s)
        return retries

    def gave_way(self, want: Want, now: Moment) -> None:
        """Note that *want* was not asked for, as something ended before its turn came."""
        self._audit.failed(want, now.s)

    def _postpone(self, want: Want, wait_s: float, now: Moment) -> None:
        self._track(want).after_s = now.s + max(wait_s, SHORTEST_WAIT_S)

    def _track(self, want: Want) -> _Track:
        if want.first:
            return self._look
        return self._live if want.live else self._heal

    def back(self) -> bool:
        """Ask at once for what failed, as the venue is there again; return whether something had."""
        failed = [track for track in (self._live, self._heal, self._look) if track.retries.attempt]
        for track in failed:
            track.retries.succeeded()
            track.after_s = -math.inf
        return bool(failed)

    def again(self) -> bool:
        """Ask now for what was not answered as the venue was away; return whether there is anything."""
        waiting = [track for track in (self._live, self._heal, self._look) if track.waits]
        if self._heal.waits and self._audit.due_s == self._heal.after_s:  # it was an audit
            self._audit.due_s = -math.inf
        for track in waiting:
            track.waits, track.after_s = False, -math.inf
        return bool(waiting)

    def anew(self) -> None:
        """Ask at once, also for what was asked in vain."""
        self._live.after_s = self._heal.after_s = -math.inf
        self._healing.anew()
