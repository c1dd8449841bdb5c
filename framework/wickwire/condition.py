"""In which condition a candle series is, by what is known of it at one moment. Pure."""

from __future__ import annotations

from typing import Final

import attrs

from wickwire.asking import Asking
from wickwire.laws import broken_law
from wickwire.ledger import Ledger
from wickwire.model import SECOND_NS, Candle, Finality, Rung
from wickwire.news import Condition
from wickwire.trust import Trust
from wickwire.venue_time import VenueTime

__all__ = ["LIVE_S", "Standing", "present_ns", "shown", "unfit"]

LIVE_S: Final = 60.0
"""How old the last row may be for a series to count as live."""


def present_ns(clocks: VenueTime, wall_ns: int, now_s: float) -> int:
    """Return the latest that the present may be.

    A clock that was set back would make old data look new, and so would one that stood still asleep.
    """
    ahead_s = 0.0 if clocks.is_set_right(wall_ns, now_s) else clocks.ahead_s or 0.0
    return max(wall_ns, wall_ns - round(ahead_s * SECOND_NS), clocks.venue_ns(now_s) or 0)


def unfit(ledger: Ledger) -> str:
    """Return what is wrong with the row of the running bucket, which will be refused unless it changes."""
    row, signed = ledger.forming, ledger.support.signed_prices
    why = None if row is None else broken_law(row, signed_prices=signed)
    return f"no candle can be made of the running row: {why}" if why else ""


def shown(ledger: Ledger, now_ns: int) -> Candle | None:
    """Return the row of the running bucket: the stream's, or as history showed it last."""
    # what was closed since runs no more, whatever our clock says, or a stream on trial that fell behind
    forming, running = (
        row if row is not None and row.open_ns >= ledger.frontier_ns else None
        for row in (ledger.forming, ledger.running)
    )
    if forming is not None and not unfit(ledger):
        return forming
    return running if running is not None and running.close_ns > now_ns else None


@attrs.frozen(kw_only=True)
class Standing:
    """How one series stands: what its condition follows from.

    Attributes:
        ledger: What is known.
        asking: What history was asked, and answered.
        trust: How it is collected.
        verified: The venue answered for it since the start.
        hopeless: History fails, and asking again will not help.
        row_s: When the stream's last row came, in the loop's time; minus infinity where nobody knows.
        started_ns: Since when it is collected.
        now_ns: The present, as `present_ns` says.
        wall_ns: The present, by our clock.
        now_s: The present, in the loop's time.
    """

    ledger: Ledger
    asking: Asking
    trust: Trust
    verified: bool
    hopeless: bool
    row_s: float
    started_ns: int
    now_ns: int
    wall_ns: int
    now_s: float

    @property
    def condition(self) -> Condition:
        """How the series is doing, as long as somebody drives it."""
        ledger, trust = self.ledger, self.trust
        if not self.verified:
            return self._starting(refused=bool(trust.refusal) or self.hopeless)
        if self._is_in_vain:
            return Condition.STALE
        if trust.rung is Rung.POLL:
            return self._polled
        if ledger.epoch == 0:
            return self._away
        if self._is_live:
            return Condition.LIVE
        forms = ledger.forming is not None and ledger.forming.close_ns > self.now_ns - self.asking.wait_ns()
        return Condition.QUIET if forms or not self._is_overdue else Condition.STALE

    @property
    def _polled(self) -> Condition:
        """How it is doing while it is polled: history may prove late, as long as it goes on doing so."""
        ledger, left_ns = self.ledger, self._left_ns
        if ledger.patience.buckets > 1 or ledger.last_close is None:  # an empty bucket surprises nobody
            left_ns += round(ledger.support.proof_s * SECOND_NS)
        still_s = self.now_s - self.asking.moved_s
        if left_ns > 0 or still_s * SECOND_NS < ledger.series.timeframe.nominal_ns + self._slack_ns:
            return Condition.POLLED if self._closed_lately else Condition.QUIET
        return Condition.REFUSED if self.trust.refusal else Condition.STALE

    @property
    def _slack_ns(self) -> int:
        """How much later than due something may come."""
        return 2 * self.asking.wait_ns() + 30 * SECOND_NS

    @property
    def _left_ns(self) -> int:
        """How long there is left until the next bucket should be known; negative when it is late."""
        ledger = self.ledger
        due_ns = ledger.buckets.due(ledger.frontier_ns, self.asking.asked_ns)
        return due_ns + self._slack_ns - self.now_ns

    @property
    def _is_overdue(self) -> bool:
        """Whether the next bucket should be known by now, however rarely the series is traded."""
        ledger = self.ledger
        return self._left_ns + ledger.patience.buckets * ledger.series.timeframe.nominal_ns <= 0

    def _starting(self, *, refused: bool) -> Condition:
        """How it is doing before its stream was ever there."""
        if refused:
            return Condition.REFUSED
        return Condition.STARTING if self.now_s - self.trust.lost_s < LIVE_S else Condition.STALE

    @property
    def _away(self) -> Condition:
        """How it is doing while its stream is not there."""
        refused = bool(self.trust.refusal)
        if refused or self.ledger.epoch_count == 0:
            return self._starting(refused=refused)
        is_brief = self.now_s - self.trust.lost_s < LIVE_S
        return Condition.RECONNECTING if is_brief and not self._is_overdue else Condition.STALE

    @property
    def _is_in_vain(self) -> bool:
        """Whether rows come of which no candle can be made, and so far no others."""
        in_vain = self.ledger.refused_in_vain > 0 and self.ledger.closed_count == 0
        return bool(unfit(self.ledger)) or (in_vain and shown(self.ledger, self.wall_ns) is None)

    @property
    def _is_live(self) -> bool:
        """Whether the stream brought a row of the present within the limit.

        That its bucket was closed meanwhile, by whatever evidence, makes the row no older: the next bucket
        has its first row when somebody trades again.
        """
        ledger, limit_s = self.ledger, LIVE_S
        forming, newest = ledger.forming, ledger.last_close
        if forming is None and newest is not None and newest.finality is Finality.CLOSED:
            # such a venue says nothing of the running bucket: one row a bucket is all that there can be
            limit_s += ledger.series.timeframe.nominal_ns / SECOND_NS
        newest_ns = max((row.close_ns for row in (forming, newest) if row is not None), default=0)
        is_present = newest_ns + self.asking.wait_ns() > self.now_ns - round(limit_s * SECOND_NS)
        return is_present and self.now_s - self.row_s < limit_s

    @property
    def _closed_lately(self) -> bool:
        newest = self.ledger.last_close
        since_ns = self.started_ns if newest is None else newest.close_ns
        wait_ns = self.asking.wait_ns()
        return self.now_ns - since_ns < 2 * self.ledger.series.timeframe.nominal_ns + 2 * wait_ns
