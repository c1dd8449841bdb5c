"""One candle series without a venue: its ledger, what is asked, and the trust in its stream."""

from __future__ import annotations

import random

import attrs

from wickwire import News
from wickwire.asking import Asking
from wickwire.clock import Moment, loop_s
from wickwire.ledger import Ledger
from wickwire.planner import Plan
from wickwire.retry import Backoff
from wickwire.simulate.loops import running_clock
from wickwire.trust import Trust

__all__ = ["SeriesStage"]


@attrs.define
class SeriesStage:
    """A series that begins now, by the clock of the running loop; its stream does what a test says.

    Attributes:
        plan: How it is collected.
        told: What its trust told.
    """

    plan: Plan
    told: list[News] = attrs.field(factory=list)
    ledger: Ledger = attrs.field(init=False)
    asking: Asking = attrs.field(init=False)
    trust: Trust = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        clock, plan = running_clock(), self.plan
        assert plan.support is not None
        self.ledger = Ledger.start(plan.series, plan.support, None, clock.now_ns())
        moment, rng = Moment(clock.now_ns(), loop_s()), random.Random(1)
        self.asking = Asking(self.ledger, moment, rng, backoff=Backoff(), streamed=plan.rung.streams)
        self.trust = Trust(plan, self.ledger, self.asking, clock, self.told.append)

    def subscribed(self) -> None:
        self.trust.subscribed()
        self.ledger.subscribed(self.ledger.epoch_count + 1, running_clock().now_ns())

    def lost(self, why: str = "closed with 1006") -> None:
        self.trust.lost(why)
        self.ledger.lost()
