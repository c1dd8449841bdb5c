"""Which route one candle series is trusted to, the stream's or history's, and when that changes.

A stream that is lost, refused or silent makes the series polled: it falls. From then on its stream is on
trial, and two candles on which stream and history agree make the series streamed again, with none between
them on which they differ, or which the stream left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wickwire.asking import Asking
from wickwire.clock import Clock, loop_s
from wickwire.ledger import Ledger, PageOutcome
from wickwire.model import Rung, iso
from wickwire.news import Switch, Tell
from wickwire.planner import Plan

__all__ = ["Trust"]

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often the route is looked at while a question waits."""

PATIENCE_S: Final = 5.0
"""How long a stream may be away before the series is polled: a quick reconnect is no change of route."""

OPENING_S: Final = 60.0
"""How long the first connection may take as long as none has failed: where a venue lets one be opened each
second, the last of many has to wait for its turn."""

AGREEMENTS: Final = 2


class Trust:
    """The route of the series of one ledger.

    Attributes:
        plan: What was planned; what it falls to is in there.
        rung: The route now.
        why: Why this route.
        switches: Changes of route so far, the last 100.
        refusal: Why the venue refuses this series; empty when it does not.
        tried: A subscription was confirmed once, or a connection failed.
        lost_why: Why the stream was lost, or doubted, the last time.
        lost_s: When it was lost, in the loop's time; where it never was there, since when it is waited for.
    """

    def __init__(self, plan: Plan, ledger: Ledger, asking: Asking, clock: Clock, tell: Tell) -> None:
        """Begin with the route of *plan*.

        Args:
            plan: What is planned.
            ledger: What is known.
            asking: Told when the series is polled, and when it is not any more.
            clock: What stamps a change of route.
            tell: Told of it.
        """
        self.plan = plan
        self.rung = plan.rung
        self.why = plan.why
        self.switches: list[Switch] = []
        self.refusal = ""
        self.tried = False
        self.lost_why = "not subscribed yet"
        self.lost_s = loop_s()
        self._ledger = ledger
        self._asking = asking
        self._clock = clock
        self._tell = tell
        self._agreed = 0
        self._contradicted_ns = 0

    def planned(self, plan: Plan) -> None:
        """Go on by the route of another plan."""
        self.plan = plan
        self.rung, self.why = plan.rung, plan.why
        self.lost_s = loop_s()

    def subscribed(self) -> None:
        """Note that the stream is there."""
        if loop_s() - self.lost_s >= self._patience_s:  # a quick reconnect begins no new trial
            self._agreed = 0
        self.tried = True
        self.refusal = ""

    def lost(self, why: str) -> None:
        """Note that the stream ends, where there is one: else the reason alone is another."""
        self.lost_why = why
        self.tried = True
        if self._ledger.epoch:
            self.lost_s = loop_s()

    # ---------------------------------------------------------------------------------------------- falling

    @property
    def _patience_s(self) -> float:
        """How long the stream may be away before the series is polled."""
        return PATIENCE_S if self.tried else OPENING_S

    @property
    def _falls(self) -> bool:
        """Whether it would be polled, were the stream away for long enough."""
        return self.rung.streams and self._ledger.epoch == 0 and self.plan.falls_to is Rung.POLL

    def falls_in_s(self, now_s: float) -> float | None:
        """Return in how many seconds it will be polled, should the stream stay away; None where it will not.

        Where the stream has been away for long enough, it is as good as now.
        """
        return max(self.lost_s + self._patience_s - now_s, 0.1) if self._falls else None

    def fall(self) -> None:
        """Poll where the stream was away for too long."""
        if self._falls and (self.refusal or loop_s() - self.lost_s >= self._patience_s):
            self._switch(Rung.POLL, f"the stream is not there: {self.lost_why}")

    @contextmanager
    def falling(self) -> Iterator[None]:
        """Look at the route meanwhile: an answer may have to come by the very stream that is away."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            self.fall()
            timer = loop.call_later(LOOK_S, look)

        timer = loop.call_later(LOOK_S, look)
        try:
            yield
        finally:
            timer.cancel()

    # ------------------------------------------------------------------------------------------- on trial

    def judge(self, outcome: PageOutcome) -> bool:
        """Draw the conclusion of what history says about the stream; say whether to subscribe anew."""
        if not self.plan.rung.streams or self._ledger.epoch == 0:
            return False
        if outcome.missed:
            self._agreed = 0
            self._ledger.doubt_siblings(min(outcome.missed))
            if self.rung.streams and self.plan.falls_to is Rung.POLL:
                missed = iso(outcome.missed[-1])
                self._switch(Rung.POLL, f"history holds {missed}, which the stream did not bring")
            return True
        if outcome.contradicted > self._contradicted_ns:  # each counts once, however often it is read again
            self._contradicted_ns, self._agreed = outcome.contradicted, 0
            return False
        self._agreed += outcome.agreed
        if self.rung is Rung.POLL and self._agreed >= AGREEMENTS:
            self._switch(self.plan.rung, f"stream and history agree on {self._agreed} candles")
        return False

    def _switch(self, rung: Rung, why: str) -> None:
        self.rung, self.why = rung, why
        self._asking.polled = rung is Rung.POLL
        series = self._ledger.series
        switch = Switch(series, self._clock.now_ns(), rung, why)
        self.switches = [*self.switches[-99:], switch]
        log.info("route changed", extra={"series": str(series), "route": rung.value, "why": why})
        self._tell(switch)
