"""Keeps one candle series whole: wakes when a bucket ends, and asks history what is missing.

Streamed or polled is the same loop; the two differ only in how long it waits and how much it asks. What its
stream brings goes through `candle_route`, how it is collected is decided in `trust`, how it is doing in
`condition`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from wickwire.asking import MARGIN_S, Asking
from wickwire.budget import GaveWay, Place, Priority
from wickwire.candle_route import BEGUN_S, CandleRoute
from wickwire.clock import CLOCKS_AGREE_S, Clock, Moment, ahead_s, loop_s
from wickwire.condition import LIVE_S, Standing, present_ns, shown, unfit
from wickwire.conversation import OhlcvQuery
from wickwire.correspondent import Correspondent
from wickwire.errors import FaultKind, RestAway, VenueError, WickwireError
from wickwire.folding import SeriesHistory
from wickwire.history import FetchedPage
from wickwire.holes import WORK
from wickwire.knowledge import Kept
from wickwire.ledger import Ledger, PageOutcome, Want
from wickwire.model import SECOND_NS, Candle, Rung, Series
from wickwire.news import Condition, Switch, Tell
from wickwire.planner import Plan
from wickwire.retry import Advice, Backoff, advise
from wickwire.store import Forgotten
from wickwire.trust import Trust

__all__ = ["Closer", "Condition", "Switch"]

LONGEST_SLEEP_S: Final = 60.0
"""Sleeps towards an instant of the wall clock are recomputed at least so often, should that clock be set."""

_AGREE_NS: Final = round(CLOCKS_AGREE_S * SECOND_NS)


class Closer:
    """The one driver of one ledger.

    Attributes:
        ledger: What is known.
        route: Takes what its stream brings, where it has one.
        trouble: The last error of history, empty when it went well.
        hopeless: The last error of history, where asking again will not help.
        lag_s: How long after its end the newest candle was closed here, in seconds.
    """

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        history: SeriesHistory,
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
        self.ledger = ledger
        self.trouble = ""
        self.shared = False
        self.hopeless: WickwireError | None = None
        self.lag_s: float | None = None
        self._past_ns = past_ns
        self._history = history
        self._clock = clock
        self._clocks = history.clocks
        self._commit = committer
        self._newest_ns = -1
        self._asking = Asking(ledger, self._now(), rng, backoff=backoff, streamed=plan.rung.streams)
        self._asking.prompt = plan.priority
        self._place = Place()
        self._woken = asyncio.Event()
        self._settled = asyncio.Event()
        self._started_ns, self._started_s = clock.now_ns(), loop_s()
        self._stopped = False
        self._correspondent = Correspondent(ledger, clock, tell)
        self._trust = Trust(plan, ledger, self._asking, clock, tell)
        self.route = CandleRoute(
            ledger,
            self._trust,
            self._correspondent,
            self._asking,
            clock,
            self._clocks,
            notice=self._notice,
            wake=self._woken.set,
        )

    @property
    def series(self) -> Series:
        """Which series it keeps."""
        return self.ledger.series

    def _now(self) -> Moment:
        """Return the present, by the venue's clock as far as that is known: buckets end by that one."""
        now_ns, now_s = self._clock.now_ns(), loop_s()
        return Moment(self._clocks.at_venue_ns(now_ns, now_s), now_s)

    def planned(self, plan: Plan, history: SeriesHistory) -> None:
        """Go on by another plan: the series was collected in passing, and now somebody wants it for good."""
        assert plan.support is not None
        self._history = history
        self._trust.planned(plan)
        self.ledger.support = plan.support
        self._asking.planned(streamed=plan.rung.streams)
        self._asking.prompt = plan.priority
        self._woken.set()

    def prioritised(self, plan: Plan, history: SeriesHistory) -> None:
        """Go before others from now on, or not any more, as *plan* says; *history* knows it too."""
        self._trust.plan, self._history = plan, history
        self._asking.prompt = plan.priority
        self._woken.set()

    # -------------------------------------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Keep the series whole for ever."""
        await self._ask()  # what was missed while nobody ran comes first
        while True:
            await self._sleep_until(self._next_wake_ns())
            if self.plan.rung.streams:
                self.route.look()
                self._trust.fall()
            await self._ask()
            if self.trouble and self.plan.rung.streams and self.rung is Rung.POLL:
                # on trial a stream may lack rows: history first, where it answers
                self.route.close_by_sibling()

    async def _sleep_until(self, at_ns: int) -> None:
        """Sleep until an instant of the venue's clock, until ours is set, or until somebody wakes this."""
        before_s = ahead_s(self._clock)
        while (left_s := (at_ns - self._now().ns) / SECOND_NS) > 0:
            try:
                async with asyncio.timeout(min(left_s, LONGEST_SLEEP_S)):
                    await self._woken.wait()
            except TimeoutError:
                pass
            was_set = abs(ahead_s(self._clock) - before_s) > MARGIN_S
            if was_set or self._woken.is_set():
                break
        self._woken.clear()

    def _next_wake_ns(self) -> int:
        now = self._now()
        wake_ns, falls_in_s = self._asking.wake_ns(now), self._trust.falls_in_s(now.s)
        if falls_in_s is None:
            return wake_ns
        return min(wake_ns, now.ns + round(falls_in_s * SECOND_NS))

    # ---------------------------------------------------------------------------------------- asking history

    async def _ask(self) -> None:
        """Ask history for what is wanted, newest first, until nothing is or it has to wait."""
        self._begin()
        while (want := self._asking.next(self._now())) is not None:
            await self._ask_for(want)
            if self.plan.rung.streams:  # it may be away, and there may be pages without end
                self._trust.fall()
        self._correspondent.tell_holes()  # what history no longer reaches is known without a page
        waits = self._asking.retrying or self._asking.is_held(self._now())
        if self.hopeless or not waits:  # whatever still lacks was asked for in vain
            self._settled.set()

    def _begin(self) -> None:
        """Begin when the series was added, should our clock have been wrong then, by minutes at least.

        What lies in the future for the venue would otherwise be waited for until it comes. A clock that was
        behind had the past asked for, which nobody wanted; the loop's time may have stood still while the
        machine slept, so that counts only while our clock is seen to be behind.
        """
        ledger, now = self.ledger, self._now()
        if not ledger.is_blank:
            self._reach_as_kept(now)
            return
        ago_ns = round((now.s - self._started_s) * SECOND_NS)
        begun_ns, proven_ns = now.ns - ago_ns, self._clocks.venue_ns(now.s) or 0
        self._past_ns = min(self._past_ns, begun_ns)
        wanted_ns = begun_ns if ledger.kept is None else ledger.kept.first_ns(now.ns)
        is_ahead = ledger.origin_ns > wanted_ns + _AGREE_NS
        is_behind = ledger.is_new and proven_ns > self._clock.now_ns() + _AGREE_NS
        if is_behind:
            wanted_ns = proven_ns - ago_ns
        if is_ahead or (is_behind and ledger.buckets.running(wanted_ns) > ledger.origin_ns):
            ledger.begin(wanted_ns)
            self._notice()

    def _reach_as_kept(self, now: Moment) -> None:
        """Reach back as far as is kept by the venue's clock, once that is known; ours may have said less."""
        kept = self.ledger.kept
        if kept is not None and self._clocks.venue_ns(now.s) is not None:
            self.reach_back(kept.first_ns(now.ns))
            self.ledger.kept = None

    async def _ask_for(self, want: Want) -> None:
        """Ask for one page, and take what it says."""
        try:
            with self._trust.falling():
                fetched = await self.fetch(want, self._priority(want), self._place_of(want))
        except GaveWay:
            self._asking.gave_way(want, self._now())
            return
        except WickwireError as exc:
            retries = self._asking.failed(want, exc, self._now())
            self._failed(exc)
            given_up = None
            if not isinstance(exc, RestAway):  # of that nothing was counted here
                shared = self._history.breaker.given_up(exc, self.trouble)
                given_up = retries.given_up(exc, self.trouble) or shared
            if given_up is not None:
                raise given_up from exc
            return
        self._correspondent.works("history")
        self.trouble, self.hopeless = "", None
        if self.plan.rung is Rung.POLL:
            self._trust.refusal = ""
        before = self.ledger.progress
        outcome = self.take(want, fetched)
        forward = self.ledger.progress != before
        self._asking.answered(want, fetched.as_of_ns, self._now(), forward=forward, refused=outcome.refused)

    def _place_of(self, want: Want) -> Place | None:
        """Return the place in which *want* waits for its turn; it gives way to what ends meanwhile."""
        if want.live:
            return None
        self._place.until_s = self._asking.urgent_s(self._now())
        return self._place

    async def fetch(self, want: Want, priority: Priority, place: Place | None = None) -> FetchedPage:
        """Return one page of history; nothing is taken of it yet. Raises as `History.page`."""
        query = OhlcvQuery(
            symbol=self.plan.series.symbol,
            timeframe=self.series.timeframe,
            since_ns=self._asking.since_ns(want),
            until_ns=want.until_ns,
            now_ns=self._now().ns,
        )
        return await self._history.page(query, priority, place)

    def take(self, want: Want, fetched: FetchedPage) -> PageOutcome:
        """Take what a page says that was asked for *want*."""
        self._begin()
        scales = self.ledger.rescaling.count
        # what our clock said when it was subscribed may have been wrong
        begun_ns, least_ns = (
            say(self.route.subscribed_s) for say in (self._clocks.told_of_ns, self._clocks.least_of_ns)
        )
        if begun_ns is not None:
            self.ledger.began(begun_ns + round(BEGUN_S * SECOND_NS))
        elif least_ns is not None:
            self.ledger.began_after(least_ns)
        outcome = self.ledger.page(fetched.page, want, fetched.as_of_ns, route=self.rung)
        if self.ledger.dirty:
            self._notice()
        self._correspondent.tell_refused()
        if self.ledger.rescaling.count > scales:
            self._correspondent.tell_rescaled()
        if self._trust.judge(outcome):
            self.route.again()
        return outcome

    def _priority(self, want: Want) -> Priority:
        """Return who goes first where requests are scarce: what just ended, then holes, then past history."""
        if want.until_ns <= self._past_ns:
            return Priority.BACKFILL
        return Priority.LIVE if want.live else Priority.HEAL

    def _failed(self, error: WickwireError) -> None:
        why = self._history.words.of(error)
        kind = error.kind if isinstance(error, VenueError) else type(error)
        if isinstance(error, RestAway):
            self._correspondent.waits(why)
            self.trouble = self.trouble or why  # what it met itself says more
        else:
            self._correspondent.fails("history", kind, why)
            self.trouble = why
        self.hopeless = error if advise(error) is Advice.FIX else None
        if kind is FaultKind.SYMBOL:
            self._trust.refusal = why

    def _notice(self) -> None:
        """Tell the writer, and note how late the newest close is."""
        newest = self.ledger.last_close
        if newest is not None and newest.open_ns > self._newest_ns:
            self._newest_ns = newest.open_ns
            self.lag_s = (self._clock.now_ns() - newest.close_ns) / SECOND_NS
        if self._correspondent.tell_holes():
            self._woken.set()  # the next bucket may be an hour away
        self._commit(self)

    # ------------------------------------------------------------------------------------------- for others

    def reach_back(self, since_ns: int, kept: Kept | None = None) -> None:
        """Also collect everything from *since_ns* on, which is what our clock makes of *kept*."""
        self.ledger.kept = kept or self.ledger.kept
        self._past_ns = max(self._past_ns, self.ledger.origin_ns)
        self.ledger.reach_back(since_ns)
        if self.ledger.dirty:
            self._notice()
        self._ask_anew()

    def forget(self, forgotten: Forgotten) -> bool:
        """Know what the store has forgotten of the series; return whether that was news."""
        known = self.ledger.forgotten
        if known is not None and known.times >= forgotten.times:
            return False
        self.ledger.forget(forgotten)
        self._correspondent.forget_before(self.ledger.origin_ns)
        if self.ledger.dirty:
            self._notice()
        return True

    def ask_again(self) -> bool:
        """Ask for what was not answered as the venue was away; return whether there is anything."""
        if self._stopped or not self._asking.again():
            return False
        self._woken.set()
        return True

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
    def stopped(self) -> bool:
        """Whether nobody drives this any more: nothing more is asked for."""
        return self._stopped

    @property
    def is_torn(self) -> bool:
        """Whether its stream is away, or brought something that history has to complete still."""
        ledger = self.ledger
        return not ledger.epoch or bool(ledger.doubtful) or any(hole.kind in WORK for hole in ledger.holes)

    # ------------------------------------------------------------------------------------- how it is doing

    @property
    def plan(self) -> Plan:
        """What was planned; what it falls to is in there."""
        return self._trust.plan

    @property
    def rung(self) -> Rung:
        """The route now."""
        return self._trust.rung

    @property
    def why(self) -> str:
        """Why this route."""
        return self._trust.why

    @property
    def switches(self) -> Sequence[Switch]:
        """Changes of route so far, the last 100."""
        return self._trust.switches

    @property
    def refusal(self) -> str:
        """Why the venue refuses this series; empty when it does not."""
        return self._trust.refusal

    @property
    def away(self) -> str:
        """Why the stream that it lives on is not there: it was lost, or takes long to come."""
        trust, ledger = self._trust, self.ledger
        is_lost = ledger.epoch_count > 0 or loop_s() - trust.lost_s >= LIVE_S
        return trust.lost_why if trust.rung.streams and ledger.epoch == 0 and is_lost else ""

    @property
    def verified(self) -> bool:
        """Whether the venue answered for it since the start: a confirmed subscription, or history."""
        return bool(self._asking.asked_ns or self.ledger.epoch_count)

    @property
    def unfit(self) -> str:
        """What is wrong with the row of the running bucket, which will be refused unless it changes."""
        return unfit(self.ledger)

    @property
    def forming(self) -> Candle | None:
        """The row of the running bucket: the stream's, or as history showed it last."""
        return shown(self.ledger, self._clock.now_ns())

    def state(self) -> Condition:
        """Say how the series is doing, at this moment."""
        if self._stopped:
            return Condition.STOPPED
        wall_ns, now_s = self._clock.now_ns(), loop_s()
        standing = Standing(
            ledger=self.ledger,
            asking=self._asking,
            trust=self._trust,
            verified=self.verified,
            hopeless=isinstance(self.hopeless, VenueError),
            row_s=self.route.aged_row_s(wall_ns, now_s),
            started_ns=self._started_ns,
            now_ns=present_ns(self._clocks, wall_ns, now_s),
            wall_ns=wall_ns,
            now_s=now_s,
        )
        return standing.condition
