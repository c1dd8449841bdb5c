"""One limit of this process that other processes share: what is reported of it, and what holds meanwhile.

A report says all that is under way, what has ended, and who wants to go next; it is repeated until somebody
answers. What is lost elsewhere is told anew from here.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.clock import loop_s
from wickwire.description import Counting, Rate
from wickwire.meter import Heard
from wickwire.shared import Claim, Hint, Report, Ruling, Spent

if TYPE_CHECKING:
    from wickwire.sharing import Sharing

__all__ = ["REJOINED_S", "Gate"]

REJOINED_S: Final = 10.0
"""So long each keeps to its part once a shared budget is back: by then all others are back as well."""


@attrs.define
class _Ended:
    """A call that counts since *at_s* of the loop."""

    number: int
    cost: int
    at_s: float
    known: bool


@final
class Gate:
    """One limit of one account, as this process knows it.

    Attributes:
        closed_until_s: Until when the venue wants nothing, as some process was told; by the loop.
    """

    def __init__(self, sharing: Sharing, venue: str, account: str, limit: str, *, only_rates: bool) -> None:
        """Report to *sharing*; with *only_rates* nobody is asked where no rate is known."""
        self.closed_until_s = -math.inf
        self._sharing = sharing
        self._names = venue, account, limit
        self._only_rates = only_rates
        self._rates: list[Rate] = []
        self._span_s = 0.0
        self._changed: Callable[[], None] = _nothing
        self._numbers = 0
        self._open: dict[int, Claim] = {}
        self._known: set[int] = set()
        self._untold: deque[_Ended] = deque()
        self._recent: deque[_Ended] = deque()
        self._hints: list[tuple[float, Heard]] = []
        self._has_news = False
        self._pause_s: float | None = None
        self._generation = ""
        self._members, self._silent = 1, 0
        self._before, self._rejoined_s = 1, -math.inf
        self._lost = False
        self._lock = asyncio.Lock()

    def guard(self, rate: Rate | None, changed: Callable[[], None]) -> None:
        """Keep to *rate*; *changed* is called when somebody who waits may be let go, or not any more."""
        self._changed = changed
        if rate is not None:
            self.lower(rate)

    def lower(self, rate: Rate) -> None:
        """Keep to *rate* as well."""
        self._rates += [part for part in rate.parts if part not in self._rates]
        self._span_s = max(map(_memory_s, self._rates), default=0.0)

    @property
    def in_force(self) -> bool:
        """Whether others are asked: the shared budget answers, and there is something to keep to."""
        return not self._sharing.trouble and self._counts

    def share(self, now_s: float) -> tuple[int, bool]:
        """Return among how many the limits are divided now, and whether nobody tells what the others use."""
        if self._sharing.trouble:
            return self._members, True
        if now_s < self._rejoined_s:
            return max(self._members, self._before), self._lost
        return (self._members if self._silent else 1), False

    # ------------------------------------------------------------------------------------ what happens here

    def next_claim(self) -> int:
        """Return a number for a call."""
        self._numbers += 1
        return self._numbers

    def began(self, cost: int, number: int | None = None) -> None:
        """Note that a call is under way: claim *number*, or one that nobody was asked for."""
        if not self._counts:
            return
        if number is not None:
            self._known.add(number)
        number = number or self.next_claim()
        self._open[number] = Claim(number, cost)

    def left(self, cost: int) -> None:
        """Note that a call of that cost counts from now on."""
        number = self._ends(cost)
        if number is None:
            return
        one = _Ended(number, cost, loop_s(), number in self._known)
        self._known.discard(number)
        self._untold.append(one)
        self._recent.append(one)
        for kept in (self._untold, self._recent):
            while kept[0].at_s + self._span_s < one.at_s:
                kept.popleft()
        self._stir()

    def gave_back(self, cost: int) -> None:
        """Note that a call of that cost is not sent."""
        number = self._ends(cost)
        if number is not None:
            self._known.discard(number)
            self._stir()

    def spurned(self) -> None:
        """Note that a claim was granted to somebody who does not wait for it any more."""
        self._stir()

    def _ends(self, cost: int) -> int | None:
        """Take the oldest call of that cost from what is under way: one is as good as another."""
        number = next((number for number, claim in self._open.items() if claim.cost == cost), None)
        if number is not None:
            del self._open[number]
        return number

    def hear(self, heard: Heard) -> None:
        """Note what a reply says is left."""
        self._hints.append((loop_s(), heard))
        self._stir()

    def pause(self, seconds: float) -> None:
        """Note that the venue wants nothing for *seconds*."""
        self._pause_s = max(loop_s() + seconds, self._pause_s or 0.0)
        self._stir()

    def _stir(self) -> None:
        self._has_news = True
        self._sharing.wake()

    # -------------------------------------------------------------------------------------------- reporting

    @property
    def has_news(self) -> bool:
        """Whether something has to be reported."""
        return self._has_news and self._counts

    @property
    def _counts(self) -> bool:
        return bool(self._rates or not self._only_rates)

    async def ask(self, claims: Sequence[Claim] = (), *, leaves: bool = False) -> Ruling | None:
        """Report, and return what may go; None where the budget is away, or there is nothing to ask."""
        async with self._lock:
            if not self._counts:
                return None
            ruling, lost = await self._settled(claims, leaves=leaves)
            if lost:  # nothing of this was taken; who claims asks again, for the part that is ours now
                again, lost = await self._settled((), leaves=leaves)
                if lost:
                    self._sharing.forgets()
                return None if again is None or lost else ruling
            return ruling

    async def _settled(self, claims: Sequence[Claim], *, leaves: bool) -> tuple[Ruling | None, bool]:
        """Report once; return the answer, and whether all that was told before had been forgotten there."""
        now_s, hints, pause_s = loop_s(), len(self._hints), self._pause_s
        report = self._report(claims, now_s, leaves=leaves)
        self._has_news = False
        ruling = None
        try:
            ruling = await self._sharing.settle(report)
        finally:
            self._has_news |= ruling is None
        if ruling is None:
            return None, False
        lost = report.is_forgotten_by(ruling)
        self._generation = ruling.generation
        if lost:
            self._forgotten(now_s)
            return ruling, True
        told = {one.number for one in report.spent}
        self._untold = deque(one for one in self._untold if one.number not in told)
        del self._hints[:hints]
        if self._pause_s == pause_s:
            self._pause_s = None
        self._known.update(one.number for one in report.held if one.number in self._open)
        self._heed(ruling)
        return ruling, False

    def _report(self, claims: Sequence[Claim], now_s: float, *, leaves: bool) -> Report:
        venue, account, limit = self._names
        return Report(
            venue=venue,
            account=account,
            limit=limit,
            member=self._sharing.member,
            generation=self._generation,
            rates=tuple(self._rates),
            held=tuple(self._open.values()),
            spent=tuple(
                Spent(number=one.number, cost=one.cost, age_s=now_s - one.at_s, known=one.known)
                for one in self._untold
            ),
            hints=tuple(_hint(heard, at_s, now_s) for at_s, heard in self._hints),
            pause_s=None if self._pause_s is None else max(self._pause_s - now_s, 0.0),
            claims=tuple(claims),
            leaves=leaves,
        )

    def _heed(self, ruling: Ruling) -> None:
        """Take what a ruling says beside what may go."""
        now_s = loop_s()
        if ruling.paused_s > 0:
            self.closed_until_s = max(self.closed_until_s, now_s + ruling.paused_s)
        was = self.share(now_s)
        self._members, self._silent = max(ruling.members, 1), ruling.silent
        if self.share(now_s) != was:
            self._changed()

    def _forgotten(self, now_s: float) -> None:
        """Tell all anew that still matters: what was remembered elsewhere is lost."""
        self._known.clear()
        self._untold = deque(attrs.evolve(one, known=False) for one in self._recent)
        if self.closed_until_s > now_s:
            self._pause_s = max(self.closed_until_s, self._pause_s or 0.0)
        self.rejoin(now_s)
        self._lost = True  # what the others have used is told when they come

    def rejoin(self, now_s: float) -> None:
        """Keep to a part of the limits until all others must have come back."""
        was_rejoining = now_s < self._rejoined_s
        self._before = max(self._members, self._before if was_rejoining else 1)
        self._lost = self._lost and was_rejoining
        self._rejoined_s = now_s + REJOINED_S

    def look(self) -> None:
        """Let those who wait look again."""
        self._changed()


def _hint(heard: Heard, at_s: float, now_s: float) -> Hint:
    """Return what a reply said at *at_s*, as it is to be told at *now_s*."""
    next_s = None if heard.next_s is None else max(heard.next_s - (now_s - at_s), 0.0)
    age_s = max(now_s - heard.since_s, 0.0)
    return Hint(left=heard.left, most=heard.most, cost=heard.cost, age_s=age_s, next_s=next_s)


def _memory_s(rate: Rate) -> float:
    """Return for how long a call matters to a single rate."""
    return rate.per_s if rate.counting is Counting.WINDOW else rate.burst * rate.per_s / rate.amount


def _nothing() -> None:
    """Whoever waits is not there yet."""
