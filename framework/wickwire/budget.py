"""How fast we may speak to a venue: one budget per venue and account, on the event loop's time.

Three things are counted: REST requests, connections, and frames on all streams together. What each limit lets
through is in `meter`; here is who goes first. Nothing in a `Budget` but its queues knows of this process: a
budget that several share keeps the meters elsewhere.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
import math
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, final

import attrs

from wickwire.clock import loop_s
from wickwire.description import Limits, Rate
from wickwire.errors import FaultKind, VenueError
from wickwire.meter import Heard, Meter
from wickwire.model import SECOND_NS
from wickwire.retry import LONGEST_ASKED_S, asked_s

__all__ = [
    "FIRST",
    "PAUSE_S",
    "Budget",
    "Call",
    "GaveWay",
    "Place",
    "Priority",
    "Rank",
    "Turnstile",
    "pause_s",
]

PAUSE_S: Final = 10.0
"""How long to pause after "too many requests" at first; it doubles while the venue goes on refusing."""

LONGEST_PAUSE_S: Final = 300.0

_UNIX_S: Final = 1e9
"""What is above is an instant, what is below a duration."""

_NUMBER: Final = re.compile(r"^\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*$")

_SOON_S: Final = 1e-6
"""Less is no wait: it may be too short to move a loop's clock at all."""

WAY_S: Final = 0.1
"""How long a frame may be on its way: no reply says when it was counted."""

TURNS: Final = 10
"""While somebody is passed over, one turn in so many belongs to whoever waits longest: what lies behind heals
however much is live, and what matters least is asked for at times."""

Rank = tuple[int, int]
"""How important a series is beside others that are as urgent; lower goes first."""

FIRST: Final[Rank] = (0, 0)


def pause_s(refusals: int) -> float:
    """Return how long to pause after so many refusals in a row, for which the venue named no time."""
    return min(PAUSE_S * 2.0 ** min(refusals - 1, 10), LONGEST_PAUSE_S)


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


@attrs.define(order=True)
class _Ticket:
    """One that waits: the most urgent first, then the most important, in order of arrival among equals."""

    priority: Priority
    rank: Rank
    number: int
    cost: int = attrs.field(order=False)
    turn: asyncio.Future[None] = attrs.field(order=False)


@final
class Turnstile:
    """Lets callers through one limit: the most urgent first, the most important of these, then by arrival."""

    def __init__(self, rate: Rate | None, *, hears: bool = False) -> None:
        """Guard *rate*; None lets everybody through unless paused.

        Where it *hears* from replies what is left, the first call goes alone, and so does the first after a
        window in which nobody asked: what others used meanwhile is not known before.
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

    def lower(self, rate: Rate | None) -> None:
        """Guard *rate* as well."""
        if rate is not None:
            self._meter.lower(rate, loop_s())

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
        return max(self._closed_until_s - loop_s(), 0.0)

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
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
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
            await ticket.turn
        except asyncio.CancelledError:
            if ticket in self._queue:
                self._remove(ticket)
            elif not ticket.turn.cancelled():  # it was let through, and does not go
                self._meter.forget(ticket.cost)
            self._admit()
            raise

    def leave(self, cost: int) -> None:
        """Count *cost* from now on: its reply is there, or will never be."""
        now_s = loop_s()
        self._meter.count(cost, now_s)
        self._probes = self._probes and now_s < self._closed_until_s
        self._left_s = now_s
        self._admit()

    def give_back(self, cost: int) -> None:
        """Count nothing of *cost*, which was let through and is not sent after all."""
        self._meter.forget(cost)
        self._admit()

    @asynccontextmanager
    async def through(self, cost: int, priority: Priority, rank: Rank = FIRST) -> AsyncIterator[None]:
        """Wait for the turn of *cost*, which is under way for as long as the block runs."""
        await self.enter(cost, priority, rank)
        try:
            yield
        finally:
            self.leave(cost)

    async def send(self, priority: Priority) -> None:
        """Wait for the turn of one frame, to which there is no reply."""
        await self.enter(1, priority)
        asyncio.get_running_loop().call_later(WAY_S, self.leave, 1)

    def hear(self, heard: Heard) -> None:
        """Let no more through than a reply says is left; nobody before the next window, if that is news."""
        is_news = self._meter.hear(heard, loop_s())
        if is_news and heard.left < 1 and heard.next_s is not None:
            self.pause(min(heard.next_s, LONGEST_ASKED_S))

    def pause(self, seconds: float) -> None:
        """Let nobody through for *seconds*, and then one alone until it is answered: the venue said so."""
        self._probes = True
        self._closed_until_s = max(self._closed_until_s, loop_s() + seconds)

    def _admit(self) -> None:
        """Let through whoever may go now, and look again when the next one may."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = loop.time()
        if now_s - self._left_s >= self._deaf_s and not self._meter.open_cost:
            self._probes = True
        while self._queue:
            ticket, urgent = self._next()
            if ticket.turn.cancelled():  # who waited was canceled, and has not come to leave the queue
                self._remove(ticket)
                continue
            wait_s = self._meter.wait_s(ticket.cost, now_s, urgent=urgent)
            wait_s = max(wait_s, self._closed_until_s - now_s)
            if self._probes and self._meter.open_cost:
                return
            if wait_s >= _SOON_S:
                if math.isfinite(wait_s):
                    self._timer = loop.call_at(now_s + wait_s, self._admit)
                return
            self._remove(ticket)
            self._meter.begin(ticket.cost, now_s)
            ticket.turn.set_result(None)
            passes_over = any(other.number < ticket.number for other in self._queue)
            self._passed_over = self._passed_over + 1 if passes_over else 0

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


@final
class Call:
    """One REST request that is under way.

    Attributes:
        is_sent: Whether it counts; may be set to False before it is sent.
    """

    def __init__(self, turnstile: Turnstile, cost: int, names: tuple[str, str, str] | tuple[()]) -> None:
        """Note that a request of *cost* is sent now, whose reply may say by *names* what is left."""
        self._turnstile = turnstile
        self._cost = cost
        self._names = names
        self._since_s = loop_s()
        self.is_sent = True

    def told(self, headers: Mapping[str, str], now_ns: int) -> None:
        """Take what its reply says is left of REST, which others on this account may have used.

        Args:
            headers: Of the reply, by lower-case name.
            now_ns: The present, by the wall clock.
        """
        if not self._names:
            return
        most, left, next_s = (_number(headers.get(name)) for name in self._names)
        if left is None:
            return
        if next_s is not None:
            next_s = max(next_s - now_ns / SECOND_NS if next_s >= _UNIX_S else next_s, 0.0)
        self._turnstile.hear(
            Heard(left=left, most=most, cost=self._cost, since_s=self._since_s, next_s=next_s)
        )


class Budget:
    """What one venue and account may use: REST requests, new connections, frames on all streams together."""

    def __init__(self, limits: Limits) -> None:
        """Start unused under *limits*."""
        self._rest = Turnstile(limits.rest, hears=bool(limits.reply_headers))
        self._connects = Turnstile(limits.connects)
        self._messages = Turnstile(limits.messages_overall)
        self._headers = limits.reply_headers
        self._places = itertools.count(1)
        self._refused = 0  # connections in a row
        self._refused_s = -math.inf

    def next_place(self) -> int:
        """Return the place of a series that comes, in the order of all of them."""
        return next(self._places)

    def lower(self, limits: Limits) -> None:
        """Keep to *limits* as well: what is said of one variant of a venue may be meant for all."""
        self._rest.lower(limits.rest)
        self._connects.lower(limits.connects)
        self._messages.lower(limits.messages_overall)

    @asynccontextmanager
    async def rest(
        self, cost: int, priority: Priority, rank: Rank = FIRST, place: Place | None = None
    ) -> AsyncIterator[Call]:
        """Wait until *cost* of REST may be used; the request is under way for as long as the block runs.

        Raises:
            GaveWay: As `Turnstile.enter`.
        """
        await self._rest.enter(cost, priority, rank, place)
        call = Call(self._rest, cost, self._headers)
        try:
            yield call
        finally:
            (self._rest.leave if call.is_sent else self._rest.give_back)(cost)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[None]:
        """Wait until a new connection may be opened, which the block does.

        A refusal because there were too many holds for all who have not opened theirs yet: they wait, and
        then one alone finds out. Those that are refused together count once. So does any other refusal with
        which the venue says when to come back: it says so to the account, whoever heard it.
        """
        loop = asyncio.get_running_loop()
        async with self._connects.through(1, Priority.LIVE):
            began_s = loop.time()
            try:
                yield
            except VenueError as exc:
                asked = asked_s(exc)
                if exc.kind is FaultKind.WAIT:
                    self._refused += began_s >= self._refused_s
                    self._refused_s = loop.time()
                    self._connects.pause(max(pause_s(self._refused), asked or 0.0))
                elif asked is not None:
                    self._connects.pause(asked)
                raise
            self._refused = 0

    async def message(self, priority: Priority) -> None:
        """Wait until a frame may be sent, on whichever stream."""
        await self._messages.send(priority)

    def pause_rest(self, seconds: float) -> None:
        """Stop all REST for *seconds*; shared by everybody on this account."""
        self._rest.pause(seconds)

    @property
    def rest_waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._rest.waiting

    @property
    def rest_paused(self) -> bool:
        """Whether the venue wants no requests for now."""
        return self._rest.paused

    @property
    def rest_paused_s(self) -> float:
        """For how many seconds more it wants none."""
        return self._rest.paused_s


def _number(text: str | None) -> float | None:
    """Return what a header says, or None where it is no plain number."""
    match = _NUMBER.match(text or "")
    return None if match is None else float(match[1])
