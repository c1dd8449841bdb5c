"""Keeps one candle series whole: wakes when a bucket ends, asks history what is missing, changes the route.

Streamed or polled is the same loop; the two differ only in how long it waits and how much it asks. A stream
that is lost, refused or silent makes the series polled; two candles on which stream and history agree make it
streamed again.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import random
from collections.abc import Callable
from typing import Final, final

import attrs

from wickwire.budget import Priority
from wickwire.clock import Clock
from wickwire.errors import FaultKind, VenueError, WickwireError
from wickwire.history import History
from wickwire.ledger import Ledger, Want
from wickwire.model import DAY_NS, SECOND_NS, Candle, Quote, Rung, Series, Trade, iso
from wickwire.planner import Plan
from wickwire.retry import Advice, Backoff, Retries, advise
from wickwire.session import Session
from wickwire.store import TAIL
from wickwire.wire import OhlcvQuery

__all__ = ["Closer", "Condition", "Switch"]

log = logging.getLogger(__name__)

MARGIN_S: Final = 1.0
"""A Date header has whole seconds: a second more makes sure that it lies after the settling time."""

LONGEST_SLEEP_S: Final = 60.0
"""Sleeps towards an instant of the wall clock are recomputed at least so often, should that clock be set."""

LONGEST_PERIOD_NS: Final = 900 * SECOND_NS
"""Where the grid does not say when a bucket ends, history is asked at least so often."""

AUDIT_S: Final = 900.0
"""How often a streamed series re-reads its recent buckets: a stream that stalled across a boundary and
resumed can be found by nothing else."""

PATIENCE_S: Final = 5.0
"""How long a stream may be away before the series is polled: a quick reconnect is no change of route."""

AUDIT_POLLED_S: Final = 3_600.0
"""How often a polled one does: what is there came from history already, but history may be rewritten."""

AUDIT_BUCKETS: Final = 60

REREAD_BUCKETS: Final = 2
"""How many closed buckets each poll reads again: it costs no request more."""

AGREEMENTS: Final = 2
LONGEST_UNRESOLVED_S: Final = 3_600.0

EARLY_ASKS: Final = 3
"""How often history is asked at short intervals for a bucket that it does not have yet."""

FUTURE_NS: Final = DAY_NS
"""Rows that open later than this are refused: one would close everything before it. A wrong time zone, ours
or theirs, is off by hours; milliseconds read as seconds by millennia."""

LIVE_S: Final = 60.0
"""How old the last row may be for a series to count as live."""

HOLD_S: Final = 5.0
"""How long history is left alone when the store takes nothing."""


@final
class Condition(enum.Enum):
    """How a series is doing, decided when it is read."""

    STARTING = "starting"
    LIVE = "live"
    QUIET = "quiet"
    """Nothing comes, and history, or a connection that lives, says that nothing happened."""
    POLLED = "polled"
    STALE = "stale"
    """Nothing verified is newer than its limit."""
    REFUSED = "refused"
    STOPPED = "stopped"


@attrs.frozen
class Switch:
    """One change of route.

    Attributes:
        series: Which series.
        at_ns: When.
        rung: The new route.
        why: One sentence.
    """

    series: Series
    at_ns: int
    rung: Rung
    why: str


def _reach_ns(ledger: Ledger) -> int | None:
    """Return how far history reaches back, with a bucket to spare; None where that is not said."""
    support, size_ns = ledger.support, ledger.series.timeframe.nominal_ns
    if support.depth_rows is not None:
        return (support.depth_rows + 2) * size_ns
    return None if support.depth_s is None else round(support.depth_s * SECOND_NS) + size_ns


class Closer:
    """The one driver of one ledger. It is a `subscriptions.Route`: the stream's rows come in through it.

    Attributes:
        plan: What was planned; what it falls to is in there.
        ledger: What is known.
        rung: The route now.
        why: Why this route.
        switches: Changes of route so far, the last 100.
        trouble: The last error of history, empty when it went well.
        hopeless: The last error of history, where asking again will not help.
        lag_s: How long after its end the newest candle was closed here, in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        history: History,
        clock: Clock,
        rng: random.Random,
        *,
        backoff: Backoff,
        committer: Callable[[Closer], None],
        switched: Callable[[Switch], None],
    ) -> None:
        """Keep *ledger* whole; tell *committer* when there is something to commit."""
        self.plan = plan
        self.ledger = ledger
        self._history = history
        self._clock = clock
        self._rng = rng
        self._commit = committer
        self._switched = switched
        self._live_retries = Retries(backoff, rng)
        self._heal_retries = Retries(backoff, rng)
        self._live_after_s = self._heal_after_s = -math.inf
        self._late = 0  # pages in a row that did not have what just ended
        self._moved_s = -math.inf
        self._vain = 0  # pages in a row that healed nothing
        self._vain_until_ns = 0
        self._heal_before_ns: int | None = None
        self._session: Session | None = None
        self._newest_ns = -1
        self._asked_ns = 0
        self._compared_ns = 0
        self._agreed = 0
        self._again_s = -math.inf
        self._reach_ns = _reach_ns(ledger)
        self._audit_every_s = AUDIT_S if plan.rung is Rung.STREAM else AUDIT_POLLED_S
        self._audit_s = self._next_audit_s()
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()
        self._lost_why = "not subscribed yet"
        self._refusal = ""
        self._failing: object = None
        self._started_ns = clock.now_ns()
        self._lost_s = _now_s()
        self._horizon_ns = 0
        self._row_s = -math.inf
        self._stopped = False
        self.rung = plan.rung
        self.why = plan.why
        self.switches: list[Switch] = []
        self.trouble = ""
        self.hopeless: WickwireError | None = None
        self.lag_s: float | None = None

    @property
    def series(self) -> Series:
        """Which series it keeps."""
        return self.ledger.series

    # ---------------------------------------------------------------------- what the session tells a route

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one row of the stream; the hot path."""
        assert isinstance(data, Candle)
        if data.open_ns > self._horizon_ns and not self._is_plausible(data):
            return
        if self._session is not None:
            self._row_s = self._session.frame_s
        if self.ledger.row(data):
            self._notice()

    def _is_plausible(self, data: Candle) -> bool:
        """Say whether a row may be of now, and if so up to when others may."""
        horizon_ns = self._clock.now_ns() + FUTURE_NS
        if data.open_ns > horizon_ns:
            self.ledger.refuse(data, "it lies in the future; the venue's clock or this machine's is wrong")
            return False
        self._horizon_ns = horizon_ns
        return True

    def _notice(self) -> None:
        """Tell the writer, and note how late the newest close is."""
        newest = self.ledger.last_close
        if newest is not None and newest.open_ns > self._newest_ns:
            self._newest_ns = newest.open_ns
            self.lag_s = (self._clock.now_ns() - newest.close_ns) / SECOND_NS
        self._commit(self)

    def subscribed(self, session: Session) -> None:
        """Start a new epoch."""
        self._session = session
        self._agreed = 0
        self._refusal = ""
        self.ledger.subscribed(self.ledger.epoch_count + 1, self._clock.now_ns())
        if self.ledger.dirty:
            self._notice()  # that it is collected, and from when on, outlives a crash too

    def doubted(self, why: str) -> None:
        """Distrust the forming row."""
        self._lost_why = why
        self.ledger.doubt()

    def withdrawn(self, open_ns: int) -> None:
        """Forget a row that the venue withdrew."""
        self.ledger.removed(open_ns)

    def lost(self, why: str) -> None:
        """End the epoch, where there is one: a connection that never brought it changes the reason alone."""
        self._session = None
        self._lost_why = why
        if self.ledger.epoch:
            self._lost_s = _now_s()
            self._agreed = 0
            self.ledger.lost()
            self._woken.set()

    def refused(self, kind: FaultKind, why: str) -> None:
        """The stream will not come: fall to polling at once."""
        self._refusal = f"{kind.value}: {why}"
        self.lost(f"the venue refused the subscription ({why})")
        self._woken.set()

    def since_ns(self) -> int | None:
        """From when on a stream that can replay should."""
        return self.ledger.frontier_ns

    # -------------------------------------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Keep the series whole for ever."""
        await self._ask()  # what was missed while nobody ran comes first
        while True:
            await self._sleep_until(self._next_wake_ns())
            self._look()
            await self._ask()

    async def _sleep_until(self, at_ns: int) -> None:
        """Sleep until an instant of the wall clock, until that clock is set, or until somebody wakes this."""
        ahead_s = self._clock.now_ns() / SECOND_NS - _now_s()
        while (left_s := (at_ns - self._clock.now_ns()) / SECOND_NS) > 0:
            try:
                async with asyncio.timeout(min(left_s, LONGEST_SLEEP_S)):
                    await self._woken.wait()
            except TimeoutError:
                pass
            was_set = abs(self._clock.now_ns() / SECOND_NS - _now_s() - ahead_s) > MARGIN_S
            if was_set or self._woken.is_set():
                break
        self._woken.clear()

    def _wait_ns(self) -> int:
        """How long after the end of a bucket to look at it."""
        support = self.ledger.support
        wait_s = support.settle_s if self.rung is Rung.POLL else max(support.grace_s, support.settle_s)
        return round((wait_s + MARGIN_S) * SECOND_NS)

    def _next_wake_ns(self) -> int:
        now_ns, wait_ns = self._clock.now_ns(), self._wait_ns()
        wakes = [self._next_end_ns(now_ns - wait_ns) + wait_ns + self._jitter_ns()]
        polled, now_s = self.rung is Rung.POLL, _now_s()
        waits_s = []
        if self._falls:
            waits_s.append(self._lost_s + PATIENCE_S - now_s)
        if self._can_ask and self.ledger.wants_live(now_ns - wait_ns, polled=polled):
            waits_s.append(self._live_after_s - now_s)
        if self._can_ask and self.ledger.wants_heal(now_ns - wait_ns):
            waits_s.append(self._heal_after_s - now_s)
        wakes += [now_ns + round(max(wait_s, 0.1) * SECOND_NS) for wait_s in waits_s]
        return min(wakes)

    def _next_end_ns(self, after_ns: int) -> int:
        ledger = self.ledger
        timeframe, grid = ledger.series.timeframe, ledger.support.grid
        try:
            return timeframe.close_of(timeframe.open_at(after_ns, grid), grid)
        except ValueError:
            return self._next_session_end_ns(after_ns)

    def _next_session_end_ns(self, after_ns: int) -> int:
        """Return when the next bucket ends where the grid follows sessions, as far as pages told of them."""
        ledger = self.ledger
        size_ns = ledger.series.timeframe.nominal_ns
        for since_ns, until_ns in ledger.sessions:
            if since_ns <= after_ns < until_ns:
                return min(until_ns, after_ns + size_ns - (after_ns - since_ns) % size_ns)
        later_ns = [since_ns + size_ns for since_ns, _ in ledger.sessions if since_ns > after_ns]
        if later_ns:
            return min(later_ns)
        period_ns = min(size_ns, LONGEST_PERIOD_NS)
        if ledger.sessions:  # outside of all known sessions, and when the next begins is not known
            period_ns = LONGEST_PERIOD_NS
        return after_ns + period_ns - (after_ns - ledger.frontier_ns) % period_ns

    def _jitter_ns(self) -> int:
        """Spread polls: series that end together do not ask together."""
        if self.rung is not Rung.POLL:
            return 0
        spread_ns = min(2 * SECOND_NS, self.series.timeframe.nominal_ns // 20)
        return self._rng.randrange(spread_ns + 1)

    @property
    def _can_ask(self) -> bool:
        return self.ledger.support.rest

    @property
    def _falls(self) -> bool:
        """Whether it would be polled, were the stream away for long enough."""
        return self.rung is Rung.STREAM and self.ledger.epoch == 0 and self.plan.falls_to is Rung.POLL

    def _look(self) -> None:
        """Decide on the route, and close what a sibling proves."""
        ledger, session = self.ledger, self._session
        if self.plan.rung is not Rung.STREAM:
            return
        if session is not None and ledger.sibling(
            session.venue_ns, session.heard_ns, round(ledger.support.grace_s * SECOND_NS)
        ):
            self._notice()
        if self._falls and (self._refusal or _now_s() - self._lost_s >= PATIENCE_S):
            self._switch(Rung.POLL, f"the stream is not there: {self._lost_why}")

    def _switch(self, rung: Rung, why: str) -> None:
        self.rung, self.why = rung, why
        switch = Switch(self.series, self._clock.now_ns(), rung, why)
        self.switches = [*self.switches[-99:], switch]
        log.info("route changed", extra={"series": str(self.series), "route": rung.value, "why": why})
        self._switched(switch)

    # ---------------------------------------------------------------------------------------- asking history

    async def _ask(self) -> None:
        """Ask history for what is wanted, newest first, until nothing is or it has to wait."""
        while self._can_ask and (want := self._next_want()) is not None:
            await self._ask_for(want)
        retrying = self._live_retries.attempt or self._heal_retries.attempt
        if self.hopeless or not retrying:  # whatever still lacks was asked for in vain
            self._settled.set()

    def _next_want(self) -> Want | None:
        """Return what history is to be asked now, or None."""
        now_s, due_ns = _now_s(), self._clock.now_ns() - self._wait_ns()
        if self.ledger.waiting > TAIL:  # more would only fill the memory
            self._live_after_s = max(self._live_after_s, now_s + HOLD_S)
            self._heal_after_s = max(self._heal_after_s, now_s + HOLD_S)
            return None
        if self._reach_ns is not None:
            self.ledger.out_of_reach(self._clock.now_ns() - self._reach_ns)
        want = None
        if now_s >= self._live_after_s:
            want = self.ledger.wants_live(due_ns, polled=self.rung is Rung.POLL)
        return want or self._next_heal(now_s, due_ns) or self._comparison(now_s, due_ns)

    def _next_heal(self, now_s: float, due_ns: int) -> Want | None:
        """Return what is to be healed now, newest first: what was never asked in vain at once."""
        newest = self.ledger.wants_heal(due_ns)
        if newest is None or (newest.until_ns > self._vain_until_ns and not self._heal_retries.attempt):
            return newest
        if now_s < self._heal_after_s:
            return None
        if self._heal_before_ns is None:
            return newest
        older = self.ledger.wants_heal(due_ns, self._heal_before_ns)
        if older is None:  # all were tried: begin anew
            self._heal_before_ns = None
        return older or newest

    def _comparison(self, now_s: float, due_ns: int) -> Want | None:
        """Return what is closed already and should be compared with history, or None.

        While a stream is on trial each of its candles is; else a sample now and then.
        """
        if self.rung is self.plan.rung and now_s >= self._audit_s:
            self._audit_s = self._next_audit_s()
            return self.ledger.recent(due_ns, AUDIT_BUCKETS)
        on_trial = self.rung is Rung.POLL and self.plan.rung is Rung.STREAM and self.ledger.epoch
        over_ns = self.ledger.over_by(due_ns)
        if on_trial and self._compared_ns < over_ns <= self.ledger.frontier_ns:
            self._compared_ns = over_ns
            return self.ledger.recent(due_ns, 1)
        return None

    def _overlapping(self, want: Want) -> int:
        """Return from when on to ask: a polled series reads its last buckets again, for what came late.

        Not one that has a stream: there the same candle would be compared with it twice.
        """
        if self.plan.rung is not Rung.POLL or not want.live:
            return want.since_ns
        size_ns = self.series.timeframe.nominal_ns
        longest_ns = self.ledger.support.page_rows * size_ns
        again_ns = max(want.since_ns - REREAD_BUCKETS * size_ns, self.ledger.origin_ns)
        return min(want.since_ns, max(again_ns, want.until_ns - longest_ns))

    async def _ask_for(self, want: Want) -> None:
        """Ask for one page, and take what it says."""
        retries = self._live_retries if want.live else self._heal_retries
        query = OhlcvQuery(
            symbol=self.plan.series.symbol,
            timeframe=self.series.timeframe,
            since_ns=self._overlapping(want),
            until_ns=want.until_ns,
            now_ns=self._clock.now_ns(),
        )
        try:
            fetched = await self._history.page(query, Priority.LIVE if want.live else Priority.HEAL)
        except WickwireError as exc:
            self._failed(want, retries.failed(exc), exc)
            return
        retries.succeeded()
        self._failing, self.trouble, self.hopeless = None, "", None
        if self.plan.rung is Rung.POLL:
            self._refusal = ""
        self._asked_ns = max(self._asked_ns, fetched.as_of_ns)
        before = self.ledger.progress
        outcome = self.ledger.page(fetched.page, want, fetched.as_of_ns, route=self.rung)
        if self.ledger.dirty:
            self._notice()
        self._judge(outcome.agreed, outcome.missed)
        if want.known:
            return
        forward = self.ledger.progress != before
        if forward:
            self._compared_ns = max(self._compared_ns, want.until_ns)
        if want.live:
            self._waited_for(want, forward=forward)
        elif forward:
            self._vain = 0
        else:
            self._in_vain(want)

    def _waited_for(self, want: Want, *, forward: bool) -> None:
        """Judge a page about what just ended: the venue may be late, by moments or always."""
        ledger = self.ledger
        if forward:
            self._moved_s = _now_s()
        newest_ns = 0 if ledger.last_close is None else ledger.last_close.close_ns
        if max(ledger.frontier_ns, newest_ns) >= want.until_ns:
            self._late = 0
        if ledger.frontier_ns >= want.until_ns:
            return
        self._late += 1
        now_ns, wait_ns = self._clock.now_ns(), self._wait_ns()
        next_s = (self._next_end_ns(now_ns - wait_ns) + wait_ns - now_ns) / SECOND_NS
        self._postpone(want, min(2.0**self._late, next_s) if self._late <= EARLY_ASKS else next_s)

    def _in_vain(self, want: Want) -> None:
        """A page healed nothing: what is older comes first, since some buckets can never be had."""
        self._vain += 1
        self._vain_until_ns = max(self._vain_until_ns, want.until_ns)
        self._heal_before_ns = want.since_ns
        self._postpone(want, min(2.0 ** min(self._vain, 12), LONGEST_UNRESOLVED_S))

    def _failed(self, want: Want, wait_s: float, error: WickwireError) -> None:
        why = self._history.words.of(error)
        kind = error.kind if isinstance(error, VenueError) else type(error)
        if kind != self._failing:  # the same trouble in other words is no news
            log.warning("history failed", extra={"series": str(self.series), "why": why})
        self._failing, self.trouble = kind, why
        self.hopeless = error if advise(error) is Advice.FIX else None
        if isinstance(error, VenueError) and error.kind is FaultKind.SYMBOL:
            self._refusal = why
        self._postpone(want, wait_s)

    def _postpone(self, want: Want, wait_s: float) -> None:
        after_s = _now_s() + max(wait_s, 0.1)
        if want.live:
            self._live_after_s = after_s
        else:
            self._heal_after_s = after_s

    def _judge(self, agreed: int, missed: object) -> None:
        """Draw the conclusion of what history says about the stream."""
        if self.plan.rung is not Rung.STREAM or self.ledger.epoch == 0:
            return
        if missed:
            assert isinstance(missed, list)
            self._agreed = 0
            if self.rung is Rung.STREAM and self.plan.falls_to is Rung.POLL:
                self._switch(Rung.POLL, f"history holds {iso(missed[-1])}, which the stream did not bring")
            self._subscribe_again()
            return
        self._agreed += agreed
        if self.rung is Rung.POLL and self._agreed >= AGREEMENTS:
            self._switch(Rung.STREAM, f"stream and history agree on {self._agreed} candles")

    def _subscribe_again(self) -> None:
        now_s = _now_s()
        if self._session is not None and now_s >= self._again_s:
            self._again_s = now_s + max(self.series.timeframe.nominal_ns / SECOND_NS, 60.0)
            self._session.again(self.plan.topic)

    def _next_audit_s(self) -> float:
        return _now_s() + self._audit_every_s * (0.5 + self._rng.random())

    # ------------------------------------------------------------------------------------------- for others

    def reach_back(self, since_ns: int) -> None:
        """Also collect everything from *since_ns* on."""
        self.ledger.reach_back(since_ns)
        if self.ledger.dirty:
            self._notice()
        self._ask_anew()

    def _ask_anew(self) -> None:
        """Ask at once, also for what was asked in vain."""
        self._settled.clear()
        self._live_after_s = self._heal_after_s = -math.inf
        self._heal_before_ns, self._vain = None, 0
        self._woken.set()

    async def whole(self) -> None:
        """Return when nothing that history could bring now is missing, or nobody drives this any more.

        Where asking will not help, `hopeless` says why.
        """
        if not self._stopped:
            self._ask_anew()
        await self._settled.wait()

    def stop(self) -> None:
        """Note that nobody drives this any more."""
        self._stopped = True
        self._settled.set()

    @property
    def refusal(self) -> str:
        """Why the venue refuses this series; empty when it does not."""
        return self._refusal

    def state(self) -> Condition:
        """Say how the series is doing, at this moment."""
        if self._stopped:
            return Condition.STOPPED
        ledger, now_ns = self.ledger, self._clock.now_ns()
        slack_ns = 2 * self._wait_ns() + 30 * SECOND_NS
        left_ns = self._due_ns() + slack_ns - now_ns
        if self.rung is Rung.POLL:
            still_s = _now_s() - self._moved_s  # history may prove late, as long as it goes on doing so
            if left_ns > 0 or still_s * SECOND_NS < self.series.timeframe.nominal_ns + slack_ns:
                return Condition.POLLED if self._closed_lately(now_ns) else Condition.QUIET
            return Condition.REFUSED if self._refusal else Condition.STALE
        if ledger.epoch == 0:
            if self._refusal:
                return Condition.REFUSED
            return Condition.STARTING if _now_s() - self._lost_s < LIVE_S else Condition.STALE
        forms = ledger.forming is not None and ledger.forming.close_ns > now_ns - self._wait_ns()
        if forms and _now_s() - self._row_s < LIVE_S:
            return Condition.LIVE
        patience_ns = ledger.patience() * self.series.timeframe.nominal_ns
        return Condition.QUIET if forms or left_ns + patience_ns > 0 else Condition.STALE

    def _due_ns(self) -> int:
        """Return when what is verified has an end that should be verified too."""
        ledger = self.ledger
        timeframe, verified_ns = ledger.series.timeframe, ledger.frontier_ns
        later = [since_ns for since_ns, until_ns in ledger.sessions if until_ns > verified_ns]
        verified_ns = max([verified_ns, *later[:1]])  # nothing is due before the next session
        try:
            return timeframe.close_of(
                timeframe.open_at(verified_ns, ledger.support.grid), ledger.support.grid
            )
        except ValueError:  # history proves such a bucket only when the next one is over as well
            size_ns, asked_ns = timeframe.nominal_ns, self._asked_ns
            next_ns = max(self._next_session_end_ns(verified_ns), verified_ns + size_ns) + size_ns
            return min(next_ns, max(self._next_session_end_ns(asked_ns), asked_ns + size_ns))

    def _closed_lately(self, now_ns: int) -> bool:
        newest = self.ledger.last_close
        since_ns = self._started_ns if newest is None else newest.close_ns
        return now_ns - since_ns < 2 * self.series.timeframe.nominal_ns + 2 * self._wait_ns()

    @property
    def forming(self) -> Candle | None:
        """The row of the running bucket, where a stream brings it."""
        return self.ledger.forming


def _now_s() -> float:
    """Return the time of the loop, which no change of the wall clock moves."""
    return asyncio.get_running_loop().time()
