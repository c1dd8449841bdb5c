"""Keeps one candle series whole: wakes when a bucket ends, asks history what is missing, changes the route.

Streamed or polled is the same loop; the two differ only in how long it waits and how much it asks. A stream
that is lost, refused or silent makes the series polled; two candles on which stream and history agree make it
streamed again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from wickwire.asking import MARGIN_S, Asking, Moment
from wickwire.budget import Priority
from wickwire.clock import Clock
from wickwire.conversation import OhlcvQuery
from wickwire.errors import FaultKind, VenueError, WickwireError
from wickwire.folding import Pages
from wickwire.history import FetchedPage
from wickwire.holes import WORK, difference
from wickwire.laws import broken_law
from wickwire.ledger import Ledger, Want
from wickwire.model import SECOND_NS, Candle, Finality, Quote, Rung, Series, Trade, iso
from wickwire.news import (
    Condition,
    Doubted,
    HistoryFailed,
    HoleFound,
    HoleHealed,
    Rescaled,
    RowRefused,
    Switch,
    Tell,
)
from wickwire.planner import Plan
from wickwire.retry import Advice, Backoff, advise
from wickwire.rhythm import Rhythm
from wickwire.session import Session

__all__ = ["Closer", "Condition", "Switch"]

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often the route is looked at while a question waits."""

UNTOLD_S: Final = 5.0
"""By how much our clock may be behind a venue's that told no time yet."""

LONGEST_SLEEP_S: Final = 60.0
"""Sleeps towards an instant of the wall clock are recomputed at least so often, should that clock be set."""

PATIENCE_S: Final = 5.0
"""How long a stream may be away before the series is polled: a quick reconnect is no change of route."""

OPENING_S: Final = 60.0
"""How long the first connection may take as long as none has failed: where a venue lets one be opened each
second, the last of many has to wait for its turn."""

AGREEMENTS: Final = 2

_NUMBER: Final = re.compile(r"[-+\d.,]+(?:[eE][-+]?\d+)?")

LIVE_S: Final = 60.0
"""How old the last row may be for a series to count as live."""


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
        history: Pages,
        clock: Clock,
        rng: random.Random,
        *,
        backoff: Backoff,
        committer: Callable[[Closer], None],
        tell: Tell,
        past_ns: int = 0,
    ) -> None:
        """Keep *ledger* whole.

        Args:
            plan: How.
            ledger: What is known.
            history: What is asked.
            clock: What stamps.
            rng: Where jitter comes from.
            backoff: How long to wait between attempts.
            committer: Told when there is something to commit.
            tell: Told what happens to the series, at once.
            past_ns: What ended before was never live here: somebody asked for it, and it can wait.
        """
        self._past_ns = past_ns
        self.plan = plan
        self.ledger = ledger
        self._history = history
        self._clock = clock
        self._commit = committer
        self._tell = tell
        self._told_holes = [*ledger.holes]
        self._session: Session | None = None
        self._newest_ns = -1
        self._agreed = 0
        self._again_s = -math.inf
        self._asking = Asking(ledger, self._now(), rng, backoff=backoff, streamed=plan.rung.streams)
        self._asking.prompt = plan.priority
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()
        self._lost_why = "not subscribed yet"
        self._tried = False
        self._refusal = ""
        self._failing: dict[str, object] = {}
        self._told = 0
        self._told_why = ""
        self._started_ns = clock.now_ns()
        self._lost_s = _now_s()
        self._horizon_ns = 0
        self._row_s = -math.inf
        self._rhythm = Rhythm()
        self._turned_at = (0, _now_s())
        self._ahead_s = clock.now_ns() / SECOND_NS - _now_s()
        self._subscribed_s = math.inf
        self.received = 0
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

    def _now(self) -> Moment:
        """Return the present, by the venue's clock as far as that is known: buckets end by that one."""
        now_ns, now_s = self._clock.now_ns(), _now_s()
        return Moment(self._history.clocks.at_venue_ns(now_ns, now_s), now_s)

    def planned(self, plan: Plan, history: Pages) -> None:
        """Go on by another plan: the series was collected in passing, and now somebody wants it for good."""
        assert plan.support is not None
        self.plan, self._history = plan, history
        self.rung, self.why = plan.rung, plan.why
        self.ledger.support = plan.support
        self._asking.planned(streamed=plan.rung.streams)
        self._asking.prompt = plan.priority
        self._lost_s = _now_s()
        self._woken.set()

    def prioritised(self, plan: Plan, history: Pages) -> None:
        """Go before others from now on, or not any more, as *plan* says; *history* knows it too."""
        self.plan, self._history = plan, history
        self._asking.prompt = plan.priority
        self._woken.set()

    # ---------------------------------------------------------------------- what the session tells a route

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one row of the stream; the hot path."""
        assert isinstance(data, Candle)
        self.received += 1
        if data.open_ns > self._horizon_ns and not self._is_plausible(data):
            return
        if self._session is not None:
            forming = self.ledger.forming
            if data.snapshot:
                self._turned_at = self.received, self._session.frame_s
            elif forming is None or data.open_ns > forming.open_ns:
                self._turn(self._session.frame_s)
            self._row_s = self._session.frame_s
            if forming is None and data.close_ns <= self._venue_ns(self._session) and self.ledger.late(data):
                return
        if self.ledger.row(data):
            self._notice()
        if self.ledger.refused != self._told:
            self._tell_refused()

    def _venue_ns(self, session: Session) -> int:
        """Return the latest venue time that is known: by its data, by its replies, by its heartbeats."""
        return max(session.venue_ns, self._history.clocks.venue_ns(session.frame_s) or 0)

    def _turn(self, frame_s: float) -> None:
        """Look at a row that begins a bucket: whether the silence before it may have swallowed others.

        A stream that stood still across the end of a bucket goes on as if nothing had been.
        """
        silent_s, rows = frame_s - self._row_s, self.received - self._turned_at[0]
        if silent_s > self._rhythm.limit_s and self.ledger.support.rest:
            self.ledger.leave_to_history()
        elif rows > 0:
            self._rhythm.saw(rows, frame_s - self._turned_at[1])
        self._turned_at = self.received, frame_s

    def _is_plausible(self, data: Candle) -> bool:
        """Say whether a row may be of now, and if so up to when others may."""
        horizon_ns = self._history.clocks.latest_ns(self._clock.now_ns(), _now_s())
        if data.open_ns > horizon_ns:
            self.ledger.refuse(data, "it lies in the future; the venue's clock or this machine's is wrong")
            self._tell_refused()
            return False
        self._horizon_ns = horizon_ns
        return True

    def _notice(self) -> None:
        """Tell the writer, and note how late the newest close is."""
        newest = self.ledger.last_close
        if newest is not None and newest.open_ns > self._newest_ns:
            self._newest_ns = newest.open_ns
            self.lag_s = (self._clock.now_ns() - newest.close_ns) / SECOND_NS
        self._tell_holes()
        self._commit(self)

    def _tell_holes(self) -> None:
        """Tell which holes are new, which are of another kind, and which are none any more."""
        before, now = self._told_holes, self.ledger.holes
        if now == before:
            return
        self._told_holes = [*now]
        found, healed = difference(before, now)
        series, at_ns = self.series, self._clock.now_ns()
        for hole in found:
            self._tell(HoleFound(series=series, at_ns=at_ns, hole=hole))
        for hole in healed:
            self._tell(HoleHealed(series=series, at_ns=at_ns, hole=hole))

    def subscribed(self, session: Session) -> None:
        """Start a new epoch."""
        self._session = session
        if _now_s() - self._lost_s >= self._patience_s:  # a quick reconnect begins no new trial
            self._agreed = 0
        self._tried = True
        self._refusal = ""
        self._failing.pop("stream", None)
        ahead_s = self._clock.now_ns() / SECOND_NS - _now_s()
        if abs(ahead_s - self._ahead_s) > MARGIN_S:  # the machine slept: how old is the last row?
            self._row_s = -math.inf
        self._ahead_s = ahead_s
        now = self._now()
        self._subscribed_s = now.s
        sure_s = UNTOLD_S if self._history.clocks.venue_ns(now.s) is None else MARGIN_S
        self.ledger.subscribed(self.ledger.epoch_count + 1, now.ns + round(sure_s * SECOND_NS))
        if self.ledger.dirty:
            self._notice()  # that it is collected, and from when on, outlives a crash too
        if self.ledger.support.over_stream and self._asking.back():
            self._woken.set()  # history comes the same way, so where one is there again the other is too

    def moved(self, session: Session) -> None:
        """Go on over another connection; the epoch goes on with it."""
        self._session = session

    def caught_up(self, *, truncated: bool) -> None:
        """Nothing to do: the rows of a snapshot say themselves that they are."""

    def gathering(self) -> None:
        """Nothing to do: its rows will come."""

    def doubted(self, why: str) -> None:
        """Distrust the forming row."""
        self._lost_why = why
        self.ledger.doubt()

    def tell_gap(self, why: str) -> None:
        """Tell that something of the topic it lives on was lost."""
        venue, at_ns = self.series.scope, self._clock.now_ns()
        self._tell(Doubted(venue=venue, topics=(self.plan.topic,), at_ns=at_ns, why=why))

    def made_anew(self, candle: Candle) -> None:
        """Take what became of a bucket that was over, where candles are made here."""
        if self.ledger.made_anew(candle):
            self._notice()
        self._woken.set()

    def withdrawn(self, open_ns: int) -> None:
        """Forget a row that the venue withdrew."""
        self.ledger.removed(open_ns)

    def lost(self, why: str) -> None:
        """End the epoch, where there is one: a connection that never brought it changes the reason alone."""
        self._session = None
        self._lost_why = why
        if not self._tried:
            self._tried = True
            self._woken.set()
        if self.ledger.epoch:
            self._lost_s = _now_s()
            self.ledger.lost()
            self._woken.set()

    def refused(self, kind: FaultKind, why: str) -> None:
        """The stream will not come: fall to polling at once."""
        self._warn("stream", kind, why)
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
            if self.trouble and self.plan.rung.streams and self.rung is Rung.POLL:
                self._close_by_sibling()  # on trial a stream may lack rows: history first, where it answers

    async def _sleep_until(self, at_ns: int) -> None:
        """Sleep until an instant of the venue's clock, until ours is set, or until somebody wakes this."""
        ahead_s = self._clock.now_ns() / SECOND_NS - _now_s()
        while (left_s := (at_ns - self._now().ns) / SECOND_NS) > 0:
            try:
                async with asyncio.timeout(min(left_s, LONGEST_SLEEP_S)):
                    await self._woken.wait()
            except TimeoutError:
                pass
            was_set = abs(self._clock.now_ns() / SECOND_NS - _now_s() - ahead_s) > MARGIN_S
            if was_set or self._woken.is_set():
                break
        self._woken.clear()

    def _next_wake_ns(self) -> int:
        now = self._now()
        wake_ns = self._asking.wake_ns(now)
        if not self._falls:
            return wake_ns
        return min(wake_ns, now.ns + round(max(self._lost_s + self._patience_s - now.s, 0.1) * SECOND_NS))

    @property
    def _patience_s(self) -> float:
        """How long the stream may be away before the series is polled."""
        return PATIENCE_S if self._tried else OPENING_S

    @property
    def _falls(self) -> bool:
        """Whether it would be polled, were the stream away for long enough."""
        return self.rung.streams and self.ledger.epoch == 0 and self.plan.falls_to is Rung.POLL

    def _look(self) -> None:
        """Decide on the route, and close what a sibling proves."""
        ledger, session = self.ledger, self._session
        if not self.plan.rung.streams:
            return
        grace_ns = round(ledger.support.grace_s * SECOND_NS)
        if session is not None and ledger.support.rest and self._is_suddenly_silent:
            if ledger.is_over(session.venue_ns, session.heard_ns, grace_ns):
                ledger.leave_to_history()  # that others went on proves little where this one should have
        elif self.rung is not Rung.POLL:
            self._close_by_sibling()
        self._fall()

    def _fall(self) -> None:
        """Poll where the stream was away for too long."""
        if self._falls and (self._refusal or _now_s() - self._lost_s >= self._patience_s):
            self._switch(Rung.POLL, f"the stream is not there: {self._lost_why}")

    @contextmanager
    def _falling(self) -> Iterator[None]:
        """Look at the route meanwhile: an answer may have to come by the very stream that is away."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            self._fall()
            timer = loop.call_later(LOOK_S, look)

        timer = loop.call_later(LOOK_S, look)
        try:
            yield
        finally:
            timer.cancel()

    def _close_by_sibling(self) -> None:
        """Close what is over for others of the connection, where nothing better tells."""
        session, grace_ns = self._session, round(self.ledger.support.grace_s * SECOND_NS)
        if session is not None and self.ledger.sibling(session.venue_ns, session.heard_ns, grace_ns):
            self._notice()

    @property
    def _is_suddenly_silent(self) -> bool:
        """Whether nothing came for longer than what came before lets expect."""
        return _now_s() - self._row_s > self._rhythm.limit_s

    def _switch(self, rung: Rung, why: str) -> None:
        self.rung, self.why = rung, why
        self._asking.polled = rung is Rung.POLL
        switch = Switch(self.series, self._clock.now_ns(), rung, why)
        self.switches = [*self.switches[-99:], switch]
        log.info("route changed", extra={"series": str(self.series), "route": rung.value, "why": why})
        self._tell(switch)

    # ---------------------------------------------------------------------------------------- asking history

    async def _ask(self) -> None:
        """Ask history for what is wanted, newest first, until nothing is or it has to wait."""
        while (want := self._asking.next(self._now())) is not None:
            await self._ask_for(want)
        self._tell_holes()  # what history no longer reaches is known without a page
        if self.hopeless or not self._asking.retrying:  # whatever still lacks was asked for in vain
            self._settled.set()

    async def _ask_for(self, want: Want) -> None:
        """Ask for one page, and take what it says."""
        try:
            with self._falling():
                fetched = await self.fetch(want, self._priority(want))
        except WickwireError as exc:
            retries = self._asking.failed(want, exc, self._now())
            self._failed(exc)
            given_up = retries.given_up(exc, self.trouble)
            if given_up is not None:
                raise given_up from exc
            return
        self._failing.pop("history", None)
        self.trouble, self.hopeless = "", None
        if self.plan.rung is Rung.POLL:
            self._refusal = ""
        before = self.ledger.progress
        self.take(want, fetched)
        forward = self.ledger.progress != before
        self._asking.answered(want, fetched.as_of_ns, self._now(), forward=forward)

    async def fetch(self, want: Want, priority: Priority) -> FetchedPage:
        """Return one page of history; nothing is taken of it yet. Raises as `History.page`."""
        query = OhlcvQuery(
            symbol=self.plan.series.symbol,
            timeframe=self.series.timeframe,
            since_ns=self._asking.since_ns(want),
            until_ns=want.until_ns,
            now_ns=self._now().ns,
        )
        return await self._history.page(query, priority)

    def take(self, want: Want, fetched: FetchedPage) -> None:
        """Take what a page says that was asked for *want*."""
        scales = self.ledger.rescaling.count
        begun_ns = self._history.clocks.told_of_ns(self._subscribed_s)
        if begun_ns is not None:  # what our clock said then may have been wrong
            self.ledger.began(begun_ns + round(MARGIN_S * SECOND_NS))
        outcome = self.ledger.page(fetched.page, want, fetched.as_of_ns, route=self.rung)
        if self.ledger.dirty:
            self._notice()
        self._tell_refused()
        if self.ledger.rescaling.count > scales:
            why = self.ledger.rescaling.why
            log.warning("history rescaled", extra={"series": str(self.series), "why": why})
            self._tell(Rescaled(series=self.series, at_ns=self._clock.now_ns(), why=why))
        self._judge(outcome.agreed, outcome.missed)

    def _priority(self, want: Want) -> Priority:
        """Return who goes first where requests are scarce: what just ended, then holes, then past history."""
        if want.until_ns <= self._past_ns:
            return Priority.BACKFILL
        return Priority.LIVE if want.live else Priority.HEAL

    def _failed(self, error: WickwireError) -> None:
        why = self._history.words.of(error)
        self._warn("history", error.kind if isinstance(error, VenueError) else type(error), why)
        self.trouble = why
        self.hopeless = error if advise(error) is Advice.FIX else None
        if isinstance(error, VenueError) and error.kind is FaultKind.SYMBOL:
            self._refusal = why

    def _warn(self, where: str, kind: object, why: str) -> None:
        """Say what fails once: the same trouble in other words, or from the other side too, is no news."""
        if kind not in self._failing.values():
            log.warning("%s failed", where, extra={"series": str(self.series), "why": why})
        if where == "history" and self._failing.get(where) != kind:
            fault, at_ns = kind if isinstance(kind, FaultKind) else None, self._clock.now_ns()
            self._tell(HistoryFailed(series=self.series, at_ns=at_ns, kind=fault, why=why))
        self._failing[where] = kind

    def _tell_refused(self) -> None:
        """Say that rows are refused once, and again when they are for another reason.

        What differs only in its numbers is the same reason: each row has others.
        """
        if self.ledger.refused == self._told:
            return
        self._told = self.ledger.refused
        why = _NUMBER.sub("", self.ledger.refusal_why)
        if why != self._told_why:
            self._told_why = why
            said = {"series": str(self.series), "why": self.ledger.last_refusal}
            log.warning("a row of the venue is no candle", extra=said)
            refusal, at_ns = self.ledger.last_refusal, self._clock.now_ns()
            self._tell(RowRefused(series=self.series, at_ns=at_ns, why=refusal))

    def _judge(self, agreed: int, missed: object) -> None:
        """Draw the conclusion of what history says about the stream."""
        if not self.plan.rung.streams or self.ledger.epoch == 0:
            return
        if missed:
            assert isinstance(missed, list)
            self._agreed = 0
            self.ledger.doubt_siblings(min(missed))
            if self.rung.streams and self.plan.falls_to is Rung.POLL:
                self._switch(Rung.POLL, f"history holds {iso(missed[-1])}, which the stream did not bring")
            self._subscribe_again()
            return
        self._agreed += agreed
        if self.rung is Rung.POLL and self._agreed >= AGREEMENTS:
            self._switch(self.plan.rung, f"stream and history agree on {self._agreed} candles")

    def _subscribe_again(self) -> None:
        now_s = _now_s()
        if self._session is not None and now_s >= self._again_s:
            self._again_s = now_s + max(self.series.timeframe.nominal_ns / SECOND_NS, 60.0)
            self._session.again(self.plan.topic)

    # ------------------------------------------------------------------------------------------- for others

    def reach_back(self, since_ns: int) -> None:
        """Also collect everything from *since_ns* on."""
        self._past_ns = max(self._past_ns, self.ledger.origin_ns)
        self.ledger.reach_back(since_ns)
        if self.ledger.dirty:
            self._notice()
        self._ask_anew()

    def _ask_anew(self) -> None:
        """Ask at once, also for what was asked in vain."""
        self._settled.clear()
        self._asking.anew()
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

    @property
    def is_torn(self) -> bool:
        """Whether its stream is away, or brought something that history has to complete still."""
        ledger = self.ledger
        return not ledger.epoch or bool(ledger.doubtful) or any(hole.kind in WORK for hole in ledger.holes)

    @property
    def away(self) -> str:
        """Why the stream that it lives on is not there, once that lasts; empty while it is."""
        lasts = self.rung.streams and self.ledger.epoch == 0 and _now_s() - self._lost_s >= LIVE_S
        return self._lost_why if lasts else ""

    @property
    def verified(self) -> bool:
        """Whether the venue answered for it since the start: a confirmed subscription, or history."""
        return bool(self._asking.asked_ns or self.ledger.epoch_count)

    def state(self) -> Condition:
        """Say how the series is doing, at this moment."""
        if self._stopped:
            return Condition.STOPPED
        if not self.verified:
            return self._waiting_state(refused=bool(self._refusal) or isinstance(self.hopeless, VenueError))
        # a clock that was set back would make old data look new, and so would one that stood still asleep
        ledger, clocks, wall_ns = self.ledger, self._history.clocks, self._clock.now_ns()
        ahead_s = 0.0 if clocks.is_set_right(wall_ns, _now_s()) else clocks.ahead_s or 0.0
        now_ns = max(wall_ns, wall_ns - round(ahead_s * SECOND_NS), clocks.venue_ns(_now_s()) or 0)
        if self._is_in_vain:
            return Condition.STALE
        wait_ns = self._asking.wait_ns()
        due_ns = ledger.buckets.due(ledger.frontier_ns, self._asking.asked_ns)
        slack_ns = 2 * wait_ns + 30 * SECOND_NS
        left_ns = due_ns + slack_ns - now_ns
        if self.rung is Rung.POLL:
            if ledger.patience.buckets > 1 or ledger.last_close is None:  # an empty bucket surprises nobody
                left_ns += round(ledger.support.proof_s * SECOND_NS)
            # history may prove late, as long as it goes on doing so
            still_s = _now_s() - self._asking.moved_s
            if left_ns > 0 or still_s * SECOND_NS < self.series.timeframe.nominal_ns + slack_ns:
                return Condition.POLLED if self._closed_lately(now_ns) else Condition.QUIET
            return Condition.REFUSED if self._refusal else Condition.STALE
        if ledger.epoch == 0:
            return self._waiting_state(refused=bool(self._refusal))
        forms = ledger.forming is not None and ledger.forming.close_ns > now_ns - wait_ns
        if self._is_live(forms=forms):
            return Condition.LIVE
        patience_ns = ledger.patience.buckets * self.series.timeframe.nominal_ns
        return Condition.QUIET if forms or left_ns + patience_ns > 0 else Condition.STALE

    def _waiting_state(self, *, refused: bool) -> Condition:
        if refused:
            return Condition.REFUSED
        return Condition.STARTING if _now_s() - self._lost_s < LIVE_S else Condition.STALE

    @property
    def _is_in_vain(self) -> bool:
        """Whether rows come of which no candle can be made, and so far no others."""
        in_vain = self.ledger.refused_in_vain > 0 and self.ledger.closed_count == 0
        return bool(self.unfit) or (in_vain and self.forming is None)

    def _is_live(self, *, forms: bool) -> bool:
        silent_s, newest = _now_s() - self._row_s, self.ledger.last_close
        if self.ledger.forming is None and newest is not None and newest.finality is Finality.CLOSED:
            # such a venue says nothing of the running bucket: one row a bucket is all that there can be
            return silent_s < self.series.timeframe.nominal_ns / SECOND_NS + LIVE_S
        return forms and silent_s < LIVE_S

    def _closed_lately(self, now_ns: int) -> bool:
        newest = self.ledger.last_close
        since_ns = self._started_ns if newest is None else newest.close_ns
        wait_ns = self._asking.wait_ns()
        return now_ns - since_ns < 2 * self.series.timeframe.nominal_ns + 2 * wait_ns

    @property
    def unfit(self) -> str:
        """What is wrong with the row of the running bucket, which will be refused unless it changes."""
        row, signed = self.ledger.forming, self.ledger.support.signed_prices
        why = None if row is None else broken_law(row, signed_prices=signed)
        return f"no candle can be made of the running row: {why}" if why else ""

    @property
    def forming(self) -> Candle | None:
        """The row of the running bucket: the stream's, or as history showed it last."""
        ledger = self.ledger
        if ledger.forming is not None and not self.unfit:
            return ledger.forming
        if ledger.running is None:
            return None
        return ledger.running if ledger.running.close_ns > self._clock.now_ns() else None


def _now_s() -> float:
    """Return the time of the loop, which no change of the wall clock moves."""
    return asyncio.get_running_loop().time()
