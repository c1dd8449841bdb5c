"""The last closes of one series, their evidence, and which of them wait for the store. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from wickwire.model import Candle, Evidence, Rung, SeriesCandle
from wickwire.store import TAIL, Closing, Verdict, judge_values

__all__ = ["MOST_WAITING", "Closes"]

MOST_WAITING: Final = 2 * TAIL
"""Closes that may wait for a store that takes none; then the older half are given back."""


@attrs.define(eq=False)
class Closes:
    """What is closed, as far as it is remembered: `TAIL` closes at least, twice as many at most.

    Attributes:
        newest: The candle that opens last.
        revisions: How many were revised.
        forgone: How many were given back, because the store took nothing for too long.
    """

    newest: Candle | None = None
    revisions: int = 0
    forgone: int = 0
    _tail: dict[int, tuple[Candle, Evidence]] = attrs.field(factory=dict)
    _waiting: list[Closing] = attrs.field(factory=list)

    @classmethod
    def of(cls, tail: Sequence[SeriesCandle]) -> Closes:
        """Return what a store knows, oldest first."""
        known = {
            row.open_ns: (_candle(row), Evidence.SIBLING if row.evidence is None else row.evidence)
            for row in tail
        }
        return cls(known[tail[-1].open_ns][0] if tail else None, tail=known)

    def at(self, open_ns: int) -> Candle | None:
        """Return what closed the bucket that opens then, as far as it is remembered."""
        known = self._tail.get(open_ns)
        return None if known is None else known[0]

    def judge(self, candle: Candle, evidence: Evidence) -> Verdict:
        """Decide what a closing does to what is remembered."""
        known = self._tail.get(candle.open_ns)
        return Verdict.INSERT if known is None else judge_values(*known, candle, evidence)

    def add(self, candle: Candle, evidence: Evidence, route: Rung, *, healed: bool) -> None:
        """Take a first close, a revision or a confirmation, to be handed to the store."""
        self._tail[candle.open_ns] = (candle, evidence)
        if len(self._tail) > 2 * TAIL:
            for open_ns in sorted(self._tail)[:TAIL]:
                del self._tail[open_ns]
        if self.newest is None or candle.open_ns >= self.newest.open_ns:
            self.newest = candle
        self._waiting.append(Closing(candle, evidence, route, healed))

    def by(self, evidence: Evidence, since_ns: int, until_ns: int) -> Sequence[Candle]:
        """Return what was closed by *evidence* of the buckets that open in a range, as far as remembered."""
        return [
            candle
            for open_ns, (candle, proof) in self._tail.items()
            if proof is evidence and since_ns <= open_ns < until_ns
        ]

    def forget(self, open_ns: int) -> None:
        """Forget what closed the bucket that opens then: the store knows better, or holds nothing."""
        self._tail.pop(open_ns, None)

    def forget_before(self, ns: int) -> None:
        """Forget what opens before *ns*, also what still waits: the store holds none of it any more."""
        self._tail = {open_ns: known for open_ns, known in self._tail.items() if open_ns >= ns}
        self._waiting = [closing for closing in self._waiting if closing.candle.open_ns >= ns]

    @property
    def waiting(self) -> int:
        """How many wait for the store."""
        return len(self._waiting)

    def take(self) -> Sequence[Closing]:
        """Hand over what waits."""
        taken, self._waiting = self._waiting, []
        return taken

    def give_back(self) -> Sequence[Candle]:
        """Forget the older half of what waits for too long, and return it."""
        if len(self._waiting) < MOST_WAITING:
            return []
        given_back = [closing.candle for closing in self._waiting[: -MOST_WAITING // 2]]
        self._waiting = self._waiting[-MOST_WAITING // 2 :]
        self.forgone += len(given_back)
        for candle in given_back:
            self._tail.pop(candle.open_ns, None)
        return given_back


def _candle(row: SeriesCandle) -> Candle:
    return Candle(
        row.series.symbol,
        row.series.timeframe,
        row.open_ns,
        row.close_ns,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.trade_count,
        row.vwap,
    )
