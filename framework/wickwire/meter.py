"""What one rate limit lets through, and when. Pure: it is told the time, and asks nobody.

A venue counts a call some time between its being sent and its reply, and nobody but the venue knows when. So
a call weighs as if it came at every moment of its way: while it is under way it fills its place, and once its
reply is there it counts from then on. Whatever the network delays, the venue never sees more than it allows.
The price is a round trip in each window: a tenth of the limit where replies take a tenth of the window.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, final

import attrs

from wickwire.description import Counting, Rate

__all__ = ["SOON_S", "Heard", "Meter"]

SOON_S: Final = 1e-6
"""Less is no wait: it may be too short to move a loop's clock at all."""

_EDGE_S: Final = 0.005
"""How much longer a window is for us: clocks tick in milliseconds, and both ends may count."""

_RESERVED: Final = 4
"""Of a bucket, one in so many is left for what is urgent: it costs nothing of what goes in the long run."""

_OTHERS: Final = 1.25
"""How much more than what was seen others on the account may use before a reply tells."""

_FADING: Final = 0.75
"""How much of what others used is expected of them a window later."""

_REMEMBERED: Final = 50.0

_WHOLE_S: Final = 1.0
"""Headers tell whole seconds."""

_RESTED_S: Final = 60.0
"""So much of what others may have used just before is waited for when a limit is divided; never an hour."""

_CREDIT: Final = 1
"""How many calls that can wait may make up for timers that came late."""


@attrs.frozen(kw_only=True)
class Heard:
    """What a reply says of a limit.

    Attributes:
        left: How much of it is left.
        most: How much of it there is; None where that is not said.
        cost: What the request took of it.
        since_s: When that was sent.
        next_s: In how many seconds the next window begins, as it says; None where it does not.
    """

    left: float
    most: float | None
    cost: int
    since_s: float
    next_s: float | None = None


@attrs.define(eq=False)
class _Bucket:
    """A bucket that refills (a generic cell rate limiter): the venue's, or what spreads a window's calls.

    No venue counts the latter, so there a call counts when it is sent.
    """

    rate: Rate
    full_at_s: float = -math.inf

    @property
    def step_s(self) -> float:
        return self.rate.per_s / self.rate.amount

    def wait_s(self, cost: int, open_cost: int, now_s: float, *, urgent: bool) -> float:
        reserved = 0 if urgent else self.rate.burst // _RESERVED
        room = max(self.rate.burst - reserved, cost)
        under_way = open_cost if self.is_counted else 0
        if under_way + cost > room:
            return math.inf  # time is no help, only what is under way
        return max(0.0, self.full_at_s - now_s - self.step_s * (room - under_way - cost))

    @property
    def is_counted(self) -> bool:
        return self.rate.counting is Counting.BUCKET

    def began(self, cost: int, now_s: float) -> None:
        if not self.is_counted:
            self._fill(cost, now_s)

    def count(self, cost: int, now_s: float) -> None:
        if self.is_counted:
            self._fill(cost, now_s)

    def _fill(self, cost: int, now_s: float) -> None:
        self.full_at_s = max(self.full_at_s, now_s) + self.step_s * cost

    def part(self, among: int, now_s: float, *, unknown: bool) -> _Bucket:
        """Return what is left where so many divide it; all is used where what others did is *unknown*."""
        part = _Bucket(_divided(self.rate, among))
        level = max(self.full_at_s - now_s, 0.0) / self.step_s
        level = part.rate.burst if unknown and self.is_counted else min(level, part.rate.burst)
        part.full_at_s = now_s + part.step_s * level
        return part

    @property
    def mark(self) -> float:
        """What `began` changes."""
        return self.full_at_s

    @mark.setter
    def mark(self, mark: float) -> None:
        self.full_at_s = mark

    def drain(self, left: float, now_s: float) -> bool:
        """Let it hold no more than *left* if others must have used some of it; return whether they did.

        What is left is told in whole calls, so less than one is no news.
        """
        full_at_s = now_s + self.step_s * max(self.rate.burst - left, 0.0)
        others = full_at_s > max(self.full_at_s, now_s) + self.step_s
        if others:
            self.full_at_s = full_at_s
        return others


@attrs.define(eq=False)
class _Window:
    """What went within the last *per_s* seconds.

    What others on the account use is known from replies alone, and by then it may be more: the most of it
    that was seen counts for the window after too, and fades from then on.
    """

    rate: Rate
    log: deque[tuple[float, int]] = attrs.field(factory=deque)
    logged: int = 0
    gone: deque[tuple[float, int]] = attrs.field(factory=deque)
    paced_s: float = -math.inf
    foreign: float = 0.0
    foreign_before: float = 0.0
    turned_s: float = -math.inf
    most: float = math.inf

    @property
    def span_s(self) -> float:
        return self.rate.per_s + _EDGE_S

    def wait_s(self, cost: int, open_cost: int, now_s: float, *, urgent: bool) -> float:
        self._forget(now_s)
        others = max(self.foreign, self.foreign_before)
        room = max(min(self.rate.amount, self.most - others), cost)
        if open_cost + cost > room:
            return math.inf
        over, wait_s = self.logged + open_cost + cost - room, 0.0
        for counted_s, counted in self.log:
            if over <= 0:
                break
            over -= counted
            wait_s = counted_s + self.span_s - now_s
        return wait_s if urgent else max(wait_s, self.paced_s - now_s)

    def began(self, cost: int, now_s: float) -> None:
        """Let what can wait go evenly, so that what is urgent never finds the whole window used at once."""
        step_s = self.rate.per_s / self.rate.amount
        self.paced_s = max(self.paced_s, now_s - _CREDIT * step_s) + step_s * cost

    def count(self, cost: int, now_s: float) -> None:
        self.log.append((now_s, cost))
        self.logged += cost

    def part(self, among: int, now_s: float, *, unknown: bool) -> _Window:
        """Return what is left where so many divide it; all is used where what others did is *unknown*.

        What is ours of it we may use again as it leaves the window: so all of them together never had more.
        """
        self._forget(now_s)
        part = _Window(_divided(self.rate, among), self.log.copy(), self.logged)
        theirs = part.rate.amount - self.logged
        if unknown and theirs > 0 and self.rate.per_s <= _RESTED_S:
            part.count(theirs, now_s)
        return part

    @property
    def mark(self) -> float:
        """What `began` changes."""
        return self.paced_s

    @mark.setter
    def mark(self, mark: float) -> None:
        self.paced_s = mark

    def hear(self, heard: Heard, open_cost: int, now_s: float) -> bool:
        """Leave to others what they use; return whether there are any."""
        self._forget(now_s)
        self.most = float(self.rate.amount) if heard.most is None else heard.most
        used = self.most - heard.left
        if used <= self._ours(heard) + open_cost:
            return False
        known = sum(cost for counted_s, cost in self.log if counted_s <= heard.since_s) + heard.cost
        theirs = used - known
        self.foreign = max(self.foreign, theirs if theirs <= 1 else theirs * _OTHERS + 1)
        return True

    def _ours(self, heard: Heard) -> int:
        """Return the most of ours that a reply can speak of, beside what is under way."""
        began_s = heard.since_s - self.span_s
        if heard.next_s is not None:  # as if the venue's windows were fixed, where they are not it is no less
            began_s = max(began_s, heard.since_s + heard.next_s - self.rate.per_s - _WHOLE_S)
        return sum(cost for log in (self.gone, self.log) for counted_s, cost in log if counted_s > began_s)

    def _forget(self, now_s: float) -> None:
        while self.log and self.log[0][0] + self.span_s <= now_s:
            self.gone.append(self.log.popleft())
            self.logged -= self.gone[-1][1]
        while self.gone and self.gone[0][0] + 2 * self.span_s <= now_s:
            self.gone.popleft()
        if now_s - self.turned_s >= self.span_s:
            turns = min((now_s - self.turned_s) // self.span_s, _REMEMBERED)
            before = max(self.foreign, self.foreign_before * _FADING) * _FADING ** (turns - 1)
            self.foreign_before, self.foreign, self.turned_s = (before if before >= 1 else 0.0), 0.0, now_s


_Rule = _Bucket | _Window


@final
class Meter:
    """The state of one limit. Times are seconds of the event loop.

    Attributes:
        open_cost: What is under way: begun, and not counted yet.
    """

    def __init__(self, rate: Rate | None) -> None:
        """Start unused; None lets everything through."""
        self.open_cost = 0
        self._rules: dict[tuple[Rate, type[_Rule]], _Rule] = {}
        self._parts: list[_Rule] = []
        self._among = 1
        self._blind = False
        if rate is not None:
            self.lower(rate, -math.inf)

    def lower(self, rate: Rate, now_s: float) -> None:
        """Keep to *rate* as well from *now_s* on; what went counts for it too, as far as it is remembered."""
        for part in rate.parts:
            if part.counting is Counting.WINDOW and (part, _Window) not in self._rules:
                log = max((one.log for one in self._windows), key=len, default=deque[tuple[float, int]]())
                window = _Window(part, log.copy(), sum(cost for _, cost in log))
                self._rules[part, _Window] = window
            evenly = part.counting is Counting.BUCKET or part.burst < part.amount
            if evenly and (part, _Bucket) not in self._rules:
                bucket = _Bucket(part)
                full_at_s = max((one.full_at_s for one in self._buckets), default=-math.inf)
                bucket.full_at_s = min(full_at_s, now_s + bucket.step_s * part.burst)
                self._rules[part, _Bucket] = bucket
        self._divide(now_s, unknown=False)

    @property
    def _windows(self) -> list[_Window]:
        return [rule for rule in self._rules.values() if isinstance(rule, _Window)]

    @property
    def _buckets(self) -> list[_Bucket]:
        return [rule for rule in self._rules.values() if isinstance(rule, _Bucket)]

    @property
    def _kept(self) -> list[_Rule]:
        """All that is kept to."""
        return [*self._rules.values(), *self._parts]

    def share(self, among: int, now_s: float, *, blind: bool) -> None:
        """Keep to one part in *among* of each limit from now on; 1 is the whole again.

        *blind*, nobody tells any more what the others use; else it is known, and merely bounded.
        """
        if among == self._among and blind <= self._blind:
            return
        news = blind and not self._blind
        self._among, self._blind = among, among > 1 and (blind or self._blind)
        self._divide(now_s, unknown=news)

    def _divide(self, now_s: float, *, unknown: bool) -> None:
        rules = self._rules.values() if self._among > 1 else ()
        self._parts = [rule.part(self._among, now_s, unknown=unknown) for rule in rules]

    def going(self, calls: Sequence[tuple[int, bool]], now_s: float) -> int:
        """Return how many of *calls*, of a cost each and urgent or not, may go now, one after the other."""
        marks, open_cost, count = [rule.mark for rule in self._kept], self.open_cost, 0
        for cost, urgent in calls:
            if self.wait_s(cost, now_s, urgent=urgent) >= SOON_S:
                break
            self.begin(cost, now_s)
            count += 1
        self.open_cost = open_cost
        for rule, mark in zip(self._kept, marks, strict=True):
            rule.mark = mark
        return count

    def wait_s(self, cost: int, now_s: float, *, urgent: bool = True) -> float:
        """Return how long *cost* has to wait from *now_s*; 0 when it may go.

        Infinite where only the end of what is under way can help. What is not *urgent* leaves room to what
        is.
        """
        waits = (rule.wait_s(cost, self.open_cost, now_s, urgent=urgent) for rule in self._kept)
        return max(waits, default=0.0)

    def begin(self, cost: int, now_s: float) -> None:
        """Note that *cost* is sent."""
        self.open_cost += cost
        for rule in self._kept:
            rule.began(cost, now_s)

    def count(self, cost: int, now_s: float) -> None:
        """Note that *cost*, which was sent, is known to have been counted by now, or never will be."""
        self.open_cost -= cost
        for rule in self._kept:
            rule.count(cost, now_s)

    def forget(self, cost: int) -> None:
        """Note that *cost* was not sent after all."""
        self.open_cost -= cost

    def hear(self, heard: Heard, now_s: float) -> bool:
        """Let no more go than a reply says is left; its own request is still under way.

        Returns:
            Whether that is news: others use the account too, or no limit was known.
        """
        told, others = self._told_of(heard), not self._rules
        for rule in self._rules.values():
            if rule.rate == told and isinstance(rule, _Window):
                others |= rule.hear(heard, self.open_cost, now_s)
            elif rule.rate == told and isinstance(rule, _Bucket) and rule.is_counted:
                others |= rule.drain(heard.left + heard.cost, now_s)
        return others

    def _told_of(self, heard: Heard) -> Rate | None:
        """Return the rate that a reply speaks of: of several, the one that comes nearest to its number."""
        rates = [rule.rate for rule in self._rules.values()]
        if heard.most is None or not rates:
            return next(iter(rates), None)
        most = heard.most
        return min(rates, key=lambda rate: abs(_size(rate) - most))


def _size(rate: Rate) -> int:
    """Return what a venue says that its limit is."""
    return rate.burst if rate.counting is Counting.BUCKET else rate.amount


def _divided(rate: Rate, among: int) -> Rate:
    """Return one part in *among* of a single rate, of which at least one call goes at a time."""
    if rate.counting is Counting.BUCKET:
        return Rate(rate.amount, rate.per_s * among, max(rate.burst // among, 1), Counting.BUCKET)
    amount = rate.amount // among
    if not amount:
        return Rate(1, rate.per_s * among / rate.amount)
    return Rate(amount, rate.per_s, max(rate.burst // among, 1))
