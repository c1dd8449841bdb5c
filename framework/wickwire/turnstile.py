"""Who goes first through one limit: the most urgent, the most important of these, and then by arrival.

What a limit lets through is in `meter`. Where several processes share it, whoever is first here asks for all
who could go next: `gates`.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, final

import attrs

from wickwire.clock import loop_s
from wickwire.description import Rate
from wickwire.gates import Gate
from wickwire.meter import SOON_S, Heard, Meter
from wickwire.retry import LONGEST_ASKED_S
from wickwire.shared import Claim

__all__ = ["FIRST", "GaveWay", "Place", "Priority", "Rank", "Turnstile"]

WAY_S: Final = 0.1
"""How long a frame may be on its way: no reply says when it was counted."""

POLL_S: Final = 0.1
"""How often is asked again where all that a shared limit leaves is under way: nobody tells when that ends."""

TURNS: Final = 10
"""While somebody is passed over, one turn in so many belongs to whoever waits longest: what lies behind heals
however much is live, and what matters least is asked for at times."""


def _always() -> bool:
    return True


Rank = tuple[int, int]
"""How important a series is beside others that are as urgent; lower goes first."""

FIRST: Final[Rank] = (0, 0)


@final
class Priority(enum.IntEnum):
    """Who goes first when the budget is short."""

    LIVE = 0
    """A candle that just closed; a frame that is owed."""
    HEAL = 1
    """A hole, a doubt; a subscription."""
    BACKFILL = 2
    """History from before a series was collected, that somebody asked for."""


class GaveWay(Exception):
    """Something more urgent of the same asker was due before its turn came; nothing was sent."""


@attrs.define(eq=False)
class Place:
    """A place in the queue, which is kept by whoever gives way: put off each minute, it would never be first.

    Attributes:
        until_s: Until when to wait for the turn, by the loop: something more urgent of its own is due then.
            None waits for as long as it takes.
        number: When it came first, as the queue counts; None where nobody gave way since the last turn.
    """

    until_s: float | None = None
    number: int | None = None


@attrs.define(eq=False)
class _Ticket:
    """One that waits: the most urgent first, then the most important, in order of arrival among equals."""

    priority: Priority
    rank: Rank
    number: int
    cost: int
    turn: asyncio.Future[bool]
    """True is the turn itself; False asks its owner to ask for all."""
    claim: int = 0
    _order: tuple[Priority, Rank, int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Remember its order: where hundreds wait, they are compared a thousand times a second."""
        self._order = self.priority, self.rank, self.number

    def __lt__(self, other: _Ticket) -> bool:
        return self._order < other._order


@final
class Turnstile:
    """Lets callers through one limit: the most urgent first, the most important of these, then by arrival."""

    def __init__(self, rate: Rate | None, *, hears: bool = False, gate: Gate | None = None) -> None:
        """Guard *rate*; None lets everybody through unless paused.

        Where it *hears* from replies what is left, the first call goes alone, and so does the first after a
        window in which nobody asked: what others used meanwhile is not known before. With a *gate* nobody
        goes whom the processes that share it leave no room.
        """
        self._meter = Meter(rate)
        self._queue: list[_Ticket] = []
        self._numbers = itertools.count()
        self._passed_over = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed_until_s = -math.inf
        self._probes = hears
        self._deaf_s = max((part.per_s for part in rate.parts), default=0.0) if rate and hears else math.inf
        self._left_s = math.inf
        self._gate = gate
        self._asker: _Ticket | None = None
        self._told: tuple[_Ticket, float] | None = None
        if gate is not None:
            gate.guard(rate, self._admit)

    def lower(self, rate: Rate | None) -> None:
        """Guard *rate* as well."""
        if rate is not None:
            self._meter.lower(rate, loop_s())
            if self._gate is not None:
                self._gate.lower(rate)

    @property
    def waiting(self) -> int:
        """How many callers are waiting."""
        return len(self._queue)

    @property
    def paused(self) -> bool:
        """Whether nobody is let through for now, because the venue said so."""
        return self.paused_s > 0

    @property
    def paused_s(self) -> float:
        """For how many seconds more nobody is let through; 0 where the venue did not ask for that."""
        return max(self._closed_s() - loop_s(), 0.0)

    def _closed_s(self) -> float:
        """Return until when nobody is let through, by the loop: another process may have been told."""
        return max(self._closed_until_s, -math.inf if self._gate is None else self._gate.closed_until_s)

    async def enter(
        self, cost: int, priority: Priority, rank: Rank = FIRST, place: Place | None = None
    ) -> None:
        """Wait for the turn of *cost*; `leave` has to follow once the venue must have counted it.

        Raises:
            GaveWay: The time of *place* was over before; its number is kept for the next call.
        """
        place = place or Place()
        if place.number is None:
            place.number = next(self._numbers)
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout_at(place.until_s):
                await self._wait(_Ticket(priority, rank, place.number, cost, turn))
        except TimeoutError:
            raise GaveWay from None
        place.number = None

    async def _wait(self, ticket: _Ticket) -> None:
        heapq.heappush(self._queue, ticket)
        self._admit()
        try:
            while not await ticket.turn:
                ticket.turn = asyncio.get_running_loop().create_future()
                await self._ask(ticket)
        except asyncio.CancelledError:
            if self._asker is ticket:
                self._asker = None
            if ticket in self._queue:
                self._remove(ticket)
            elif not ticket.turn.cancelled():  # it was let through, and does not go
                self._forget(ticket.cost)
            self._admit()
            raise

    def leave(self, cost: int, *, is_answered: bool = True) -> None:
        """Count *cost* from now on: its reply is there, or will never be.

        Where nobody waited for the answer, as a caller who was canceled, the next one goes alone as well.
        """
        now_s = loop_s()
        self._meter.count(cost, now_s)
        if self._gate is not None:
            self._gate.left(cost)
        self._probes = self._probes and (not is_answered or now_s < self._closed_until_s)
        self._left_s = now_s
        self._admit()

    def give_back(self, cost: int) -> None:
        """Count nothing of *cost*, which was let through and is not sent after all."""
        self._forget(cost)
        self._admit()

    def _forget(self, cost: int) -> None:
        self._meter.forget(cost)
        if self._gate is not None:
            self._gate.gave_back(cost)

    @asynccontextmanager
    async def through(
        self,
        cost: int,
        priority: Priority,
        rank: Rank = FIRST,
        place: Place | None = None,
        *,
        is_sent: Callable[[], bool] = _always,
    ) -> AsyncIterator[None]:
        """Wait for the turn of *cost*, which is under way for as long as the block runs.

        Where *is_sent* says in the end that nothing of it was, nothing is counted.

        Raises:
            GaveWay: As `enter`.
        """
        await self.enter(cost, priority, rank, place)
        is_answered = True
        try:
            yield
        except asyncio.CancelledError:
            is_answered = False
            raise
        finally:
            if is_sent():
                self.leave(cost, is_answered=is_answered)
            else:
                self.give_back(cost)

    async def send(self, priority: Priority) -> None:
        """Wait for the turn of one frame, to which there is no reply."""
        await self.enter(1, priority)
        asyncio.get_running_loop().call_later(WAY_S, self.leave, 1)

    def hear(self, heard: Heard) -> None:
        """Let no more through than a reply says is left; nobody before the next window, if that is news."""
        if self._gate is not None and self._gate.in_force:
            self._gate.hear(heard)  # what other processes used is nobody else's use
            return
        is_news = self._meter.hear(heard, loop_s())
        if is_news and heard.left < 1 and heard.next_s is not None:
            self.pause(min(heard.next_s, LONGEST_ASKED_S))

    def pause(self, seconds: float) -> None:
        """Let nobody through for *seconds*, and then one alone until it is answered: the venue said so."""
        self._probes = True
        self._closed_until_s = max(self._closed_until_s, loop_s() + seconds)
        if self._gate is not None:
            self._gate.pause(seconds)

    def _admit(self) -> None:
        """Let through whoever may go now, and look again when the next one may."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = loop.time()
        if self._gate is not None:
            among, blind = self._gate.share(now_s)
            self._meter.share(among, now_s, blind=blind)
        if now_s - self._left_s >= self._deaf_s and not self._meter.open_cost:
            self._probes = True
        is_shared = self._gate is not None and self._gate.in_force
        while self._queue:
            ticket, urgent = self._next()
            if ticket.turn.cancelled():  # who waited was canceled, and has not come to leave the queue
                self._remove(ticket)
                continue
            wait_s = self._wait_s(ticket, now_s, urgent=urgent, is_shared=is_shared)
            if wait_s >= SOON_S:
                if math.isfinite(wait_s):
                    self._timer = loop.call_at(now_s + wait_s, self._admit)
                return
            if is_shared:
                self._asker = ticket
                ticket.turn.set_result(False)
                return
            self._let_go(ticket, now_s)
            if self._gate is not None:
                self._gate.began(ticket.cost)

    def _wait_s(self, ticket: _Ticket, now_s: float, *, urgent: bool, is_shared: bool) -> float:
        """Return how long *ticket* has to wait; infinite where something else than time comes first."""
        if ticket.turn.done():  # it is on its way to ask
            return math.inf
        wait_s = max(self._meter.wait_s(ticket.cost, now_s, urgent=urgent), self._closed_s() - now_s)
        if self._probes and self._meter.open_cost:
            return math.inf
        if not is_shared or wait_s >= SOON_S:
            return wait_s
        if self._asker is not None:
            return math.inf
        told, until_s = self._told or (None, now_s)
        return until_s - now_s if told is ticket else 0.0

    def _let_go(self, ticket: _Ticket, now_s: float) -> None:
        self._remove(ticket)
        self._meter.begin(ticket.cost, now_s)
        ticket.turn.set_result(True)
        passes_over = any(other.number < ticket.number for other in self._queue)
        self._passed_over = self._passed_over + 1 if passes_over else 0

    async def _ask(self, asker: _Ticket) -> None:
        """Ask for all who could go next, and let go whom the other processes leave room."""
        assert self._gate is not None
        asked = self._going(loop_s())
        for ticket, _ in asked:
            ticket.claim = ticket.claim or self._gate.next_claim()
        claims = [Claim(ticket.claim, ticket.cost, urgent=urgent) for ticket, urgent in asked]
        try:
            ruling = await self._gate.ask(claims)
        finally:
            if self._asker is asker:
                self._asker = None
        if ruling is not None:
            now_s = loop_s()
            for ticket, _ in asked[: ruling.granted]:
                if ticket.turn.done():  # it is gone, and what is not named again is given back
                    self._gate.spurned()
                else:
                    self._let_go(ticket, now_s)
                    self._gate.began(ticket.cost, ticket.claim)
            if ruling.granted < len(asked):
                wait_s = ruling.wait_s if math.isfinite(ruling.wait_s) else POLL_S
                self._told = asked[ruling.granted][0], now_s + wait_s
        self._admit()

    def _going(self, now_s: float) -> list[tuple[_Ticket, bool]]:
        """Return who could go one after the other now, as far as this process knows."""
        if not self._queue:
            return []
        first, urgent = self._next()
        ones = [(first, urgent)]
        turns = TURNS - 1 - self._passed_over
        if first is self._queue[0] and turns > 1:
            ones += [(one, one.priority is Priority.LIVE) for one in heapq.nsmallest(turns, self._queue)[1:]]
        ones = [(one, urgent) for one, urgent in ones if not one.turn.done()]
        count = self._meter.going([(one.cost, urgent) for one, urgent in ones], now_s)
        return ones[:count]

    def _next(self) -> tuple[_Ticket, bool]:
        """Return whose turn it is, and whether it need not leave room to others."""
        first = self._queue[0]
        if self._passed_over >= TURNS - 1:
            return min(self._queue, key=lambda ticket: ticket.number), True
        return first, first.priority is Priority.LIVE

    def _remove(self, ticket: _Ticket) -> None:
        if ticket is self._queue[0]:
            heapq.heappop(self._queue)
        else:
            self._queue.remove(ticket)
            heapq.heapify(self._queue)
