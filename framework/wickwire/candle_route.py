"""Takes the rows of one candle series' stream to its ledger, and notices when they stop coming."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from wickwire.asking import MARGIN_S, Asking
from wickwire.clock import Clock, ahead_s, loop_s
from wickwire.correspondent import Correspondent
from wickwire.errors import FaultKind
from wickwire.ledger import Ledger
from wickwire.model import SECOND_NS, Candle, Quote, Rung, Trade
from wickwire.rhythm import Rhythm
from wickwire.session import Session
from wickwire.trust import Trust
from wickwire.venue_time import VenueTime

__all__ = ["BEGUN_S", "CandleRoute"]

BEGUN_S: Final = 5.0
"""How much later than by our reckoning a subscription may have begun for the venue: our clock may be behind,
and a time that it told was one of whole seconds, and under way for some more."""

STALL_S: Final = 5.0
"""A network may hold a row up for so long."""

AGAIN_S: Final = 60.0
"""How long at least a topic is left alone that was subscribed to anew; a bucket, where that is longer."""


class CandleRoute:
    """What the stream of one series is told to. See `topic_route.Route`.

    Attributes:
        ledger: Where rows go.
        received: How many rows came.
        row_s: When the last one came, in the loop's time.
        subscribed_s: When the subscription was confirmed last, in the loop's time.
    """

    def __init__(
        self,
        ledger: Ledger,
        trust: Trust,
        correspondent: Correspondent,
        asking: Asking,
        clock: Clock,
        clocks: VenueTime,
        *,
        notice: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        """Take rows to *ledger*.

        Args:
            ledger: What is known.
            trust: Told whether the stream is there.
            correspondent: Tells what is wrong with it.
            asking: Told when history may be had over it again.
            clock: What stamps.
            clocks: What time it is for the venue, beside our clock.
            notice: Called when there is something to commit.
            wake: Called when whoever keeps the series should look at it now.
        """
        self.ledger = ledger
        self.received = 0
        self.row_s = -math.inf
        self.subscribed_s = math.inf
        self._trust = trust
        self._correspondent = correspondent
        self._asking = asking
        self._clock = clock
        self._clocks = clocks
        self._notice = notice
        self._wake = wake
        self._session: Session | None = None
        self._horizon_ns = 0
        self._rhythm = Rhythm()
        self._turned_at = (0, loop_s())
        self._stalled = False
        self._ahead_s = ahead_s(clock)
        self._slept_s = -math.inf
        self._again_s = -math.inf

    # ------------------------------------------------------------------------------------------------- rows

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one row of the stream; the hot path."""
        assert isinstance(data, Candle)
        self.received += 1
        if data.open_ns > self._horizon_ns and not self._is_plausible(data):
            return
        ledger, session = self.ledger, self._session
        if session is not None:
            forming = ledger.forming
            if data.snapshot:
                self._turned_at = self.received, session.frame_s
            elif forming is None or data.open_ns > forming.open_ns:
                self._turn(session.frame_s)
            elif session.frame_s - self.row_s > STALL_S:
                self._stalled = self._stalled or self._was_held_up(data, session.frame_s)
            self.row_s = session.frame_s
            if forming is None and data.close_ns <= self._venue_ns(session) and ledger.late(data):
                return
        if ledger.row(data):
            self._notice()
        if ledger.refused != self._correspondent.refused:
            self._correspondent.tell_refused()

    def _venue_ns(self, session: Session) -> int:
        """Return the latest venue time that is known: by its data, by its replies, by its heartbeats."""
        return max(session.venue_ns, self._clocks.venue_ns(session.frame_s) or 0)

    def _turn(self, frame_s: float) -> None:
        """Look at a row that begins a bucket: whether the silence before it may have swallowed others.

        A stream that stood still across the end of a bucket goes on as if nothing had been.
        """
        silent_s, rows = frame_s - self.row_s, self.received - self._turned_at[0]
        if (self._stalled or silent_s > self._rhythm.limit_s) and self.ledger.support.rest:
            self.ledger.leave_to_history()
        elif rows > 0:
            self._rhythm.saw(rows, frame_s - self._turned_at[1])
        self._turned_at, self._stalled = (self.received, frame_s), False

    def _was_held_up(self, data: Candle, frame_s: float) -> bool:
        """Say whether a row came only after the end of its bucket, and nothing from before that on.

        The process was stopped, or the line: what comes next may be of the next bucket, and where a venue
        tells each reader the newest alone, the last of this one is lost.
        """
        late_s = (self._clocks.at_venue_ns(self._clock.now_ns(), frame_s) - data.close_ns) / SECOND_NS
        return frame_s - self.row_s > late_s > self.ledger.support.grace_s + STALL_S

    def _is_plausible(self, data: Candle) -> bool:
        """Say whether a row may be of now, and if so up to when others may."""
        horizon_ns = self._clocks.latest_ns(self._clock.now_ns(), loop_s())
        if data.open_ns > horizon_ns:
            self.ledger.refuse(data, "it lies in the future; the venue's clock or this machine's is wrong")
            self._correspondent.tell_refused()
            return False
        self._horizon_ns = horizon_ns
        return True

    def made_anew(self, candle: Candle) -> None:
        """Take what became of a bucket that was over, where candles are made here."""
        if self.ledger.made_anew(candle):
            self._notice()
        self._wake()

    def withdrawn(self, open_ns: int) -> None:
        """Forget a row that the venue withdrew."""
        self.ledger.removed(open_ns)

    def aged_row_s(self, now_ns: int, now_s: float) -> float:
        """Return when the last row came, in the loop's time; minus infinity where nobody knows.

        That time stands still while a machine sleeps, so what came before is older than it looks. A clock
        that was set looks like a sleep.
        """
        ahead_s = now_ns / SECOND_NS - now_s
        if abs(ahead_s - self._ahead_s) > MARGIN_S:
            self._ahead_s, self._slept_s = ahead_s, now_s
        return self.row_s if self.row_s > self._slept_s else -math.inf

    # ------------------------------------------------------------------------------------- its subscription

    def subscribed(self, session: Session) -> None:
        """Start a new epoch."""
        self._session = session
        self._trust.subscribed()
        self._correspondent.works("stream")
        now_ns, now_s = self._clock.now_ns(), loop_s()
        self.row_s, self._stalled = self.aged_row_s(now_ns, now_s), False
        self.subscribed_s = now_s
        self.ledger.subscribed(self.ledger.epoch_count + 1, self._begun_ns())
        if self.ledger.dirty:
            self._notice()  # that it is collected, and from when on, outlives a crash too
        if self.ledger.support.over_stream and self._asking.back():
            self._wake()  # history comes the same way, so where one is there again the other is too

    def moved(self, session: Session) -> None:
        """Go on over another connection; the epoch goes on with it."""
        self._session = session
        self.ledger.moved(self._begun_ns())

    def _begun_ns(self) -> int:
        """Return what time it is for the venue, for what begins just now."""
        return self._clocks.at_venue_ns(self._clock.now_ns(), loop_s()) + round(BEGUN_S * SECOND_NS)

    def caught_up(self, *, truncated: bool) -> None:
        """Nothing to do: the rows of a snapshot say themselves that they are."""

    def gathering(self) -> None:
        """Nothing to do: its rows will come."""

    def doubted(self, why: str) -> None:
        """Distrust the forming row."""
        self._trust.lost_why = why
        self.ledger.doubt()

    def tell_gap(self, why: str) -> None:
        """Tell that something of the topic it lives on was lost."""
        self._correspondent.tell_gap(self._trust.plan.topic, why)

    def lost(self, why: str) -> None:
        """End the epoch, where there is one: a connection that never brought it changes the reason alone."""
        self._session = None
        is_first = not self._trust.tried
        self._trust.lost(why)
        if is_first:
            self._wake()
        if self.ledger.epoch:
            self.ledger.lost()
            self._wake()

    def refused(self, kind: FaultKind, why: str) -> None:
        """The stream will not come: fall to polling at once."""
        self._correspondent.fails("stream", kind, why)
        self._trust.refusal = f"{kind.value}: {why}"
        self.lost(f"the venue refused the subscription ({why})")
        self._wake()

    def since_ns(self) -> int | None:
        """From when on a stream that can replay should."""
        return self.ledger.frontier_ns

    def again(self) -> None:
        """Subscribe anew, unless that was done a moment ago."""
        now_s = loop_s()
        if self._session is not None and now_s >= self._again_s:
            self._again_s = now_s + max(self.ledger.series.timeframe.nominal_ns / SECOND_NS, AGAIN_S)
            self._session.again(self._trust.plan.topic)

    # ----------------------------------------------------------------------------- beside others of its kind

    def look(self) -> None:
        """Close what a sibling proves, unless the series is polled, or its stream is silent all at once."""
        ledger, session = self.ledger, self._session
        if session is not None and ledger.support.rest and self._is_suddenly_silent:
            if ledger.is_over(session.venue_ns, session.heard_ns, self._grace_ns):
                ledger.leave_to_history()  # that others went on proves little where this one should have
        elif self._trust.rung is not Rung.POLL:
            self.close_by_sibling()

    def close_by_sibling(self) -> None:
        """Close what is over for others of the connection, where nothing better tells."""
        session = self._session
        if session is not None and self.ledger.sibling(session.venue_ns, session.heard_ns, self._grace_ns):
            self._notice()

    @property
    def _grace_ns(self) -> int:
        """How long after the end of a bucket its last row may still come."""
        return round(self.ledger.support.grace_s * SECOND_NS)

    @property
    def _is_suddenly_silent(self) -> bool:
        """Whether nothing came for longer than what came before lets expect."""
        return self._stalled or loop_s() - self.row_s > self._rhythm.limit_s
