"""How fast we may speak to a venue: one budget per venue and account, on the event loop's time.

A generic cell rate limiter of forty lines instead of a library: those that are kept read the wall clock, and
ours has to run on virtual time.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
import re
from collections.abc import Mapping
from typing import Final, final

import attrs

from wickwire.description import Limits, Rate
from wickwire.limits import stricter
from wickwire.model import SECOND_NS
from wickwire.retry import LONGEST_ASKED_S

__all__ = ["Budget", "Meter", "Priority"]

_UNIX_S: Final = 1e9
"""What is above is an instant, what is below a duration."""

_NUMBER: Final = re.compile(r"^\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*$")

_SOON_S: Final = 1e-6
"""Less is no wait: it may be too short to move a loop's clock at all."""


@final
class Priority(enum.IntEnum):
    """Who goes first when the budget is short."""

    LIVE = 0
    """A candle that just closed."""
    HEAL = 1
    """A hole, a doubt."""
    BACKFILL = 2
    """History from before a series was collected, that somebody asked for."""


@attrs.define
class Meter:
    """The state of one rate limit (GCRA). Times are seconds of the event loop."""

    rate: Rate
    _full_at_s: float = float("-inf")

    def wait_s(self, cost: int, now_s: float) -> float:
        """Return how long *cost* has to wait from *now_s*; 0 when it may go."""
        step_s = self.rate.per_s / self.rate.amount
        room_s = step_s * max(self.rate.burst, cost)
        return max(0.0, max(self._full_at_s, now_s) + step_s * cost - room_s - now_s)

    def spend(self, cost: int, now_s: float) -> None:
        """Count *cost* as used at *now_s*."""
        self._full_at_s = max(self._full_at_s, now_s) + self.rate.per_s / self.rate.amount * cost

    def leave(self, left: float, now_s: float) -> None:
        """Let no more than *left* go at once from *now_s*: somebody else used the rest."""
        used = max(self.rate.burst - left, 0.0)
        self._full_at_s = max(self._full_at_s, now_s + self.rate.per_s / self.rate.amount * used)


class Turnstile:
    """Lets callers through one meter, the most urgent first, in order of arrival among equals."""

    def __init__(self, rate: Rate | None) -> None:
        """Guard *rate*; None lets everybody through unless paused."""
        self._meter = None if rate is None else Meter(rate)
        self._queue: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._moved = asyncio.Event()
        self._closed_until_s = float("-inf")

    def leave(self, left: float, now_s: float) -> None:
        """Let no more than *left* through at once."""
        if self._meter is not None:
            self._meter.leave(left, now_s)

    def lower(self, rate: Rate | None) -> None:
        """Guard *rate* as well."""
        if self._meter is None:
            self._meter = None if rate is None else Meter(rate)
        else:
            self._meter.rate = stricter(self._meter.rate, rate) or self._meter.rate

    @property
    def waiting(self) -> int:
        """How many callers are waiting."""
        return len(self._queue)

    @property
    def paused(self) -> bool:
        """Whether nobody is let through for now, because the venue said so."""
        return asyncio.get_running_loop().time() < self._closed_until_s

    async def enter(self, cost: int, priority: Priority) -> None:
        """Wait for the turn of *cost*, and use it."""
        loop = asyncio.get_running_loop()
        ticket = (int(priority), next(self._numbers))
        heapq.heappush(self._queue, ticket)
        try:
            while True:
                now_s = loop.time()
                wait_s: float | None = None
                if self._queue[0] == ticket:
                    wait_s = max(self._closed_until_s - now_s, 0.0)
                    if self._meter is not None:
                        wait_s = max(wait_s, self._meter.wait_s(cost, now_s))
                    if wait_s < _SOON_S:
                        if self._meter is not None:
                            self._meter.spend(cost, now_s)
                        return
                moved = self._moved
                try:
                    async with asyncio.timeout(wait_s):
                        await moved.wait()
                except TimeoutError:
                    continue
        finally:
            self._queue.remove(ticket)
            heapq.heapify(self._queue)
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    def pause(self, seconds: float, now_s: float) -> None:
        """Let nobody through for *seconds*: the venue said so."""
        self._closed_until_s = max(self._closed_until_s, now_s + seconds)


class Budget:
    """What one venue and account may use: REST requests, new connections."""

    def __init__(self, limits: Limits) -> None:
        """Start unused under *limits*."""
        self._rest = Turnstile(limits.rest)
        self._connects = Turnstile(limits.connects)
        self._headers = limits.reply_headers

    def lower(self, limits: Limits) -> None:
        """Keep to *limits* as well: what is said of one variant of a venue may be meant for all."""
        self._rest.lower(limits.rest)
        self._connects.lower(limits.connects)

    async def rest(self, cost: int, priority: Priority) -> None:
        """Wait until *cost* of REST may be used."""
        await self._rest.enter(cost, priority)

    async def connect(self) -> None:
        """Wait until a new connection may be opened."""
        await self._connects.enter(1, Priority.LIVE)

    def pause_rest(self, seconds: float) -> None:
        """Stop all REST for *seconds*; shared by everybody on this account."""
        self._rest.pause(seconds, asyncio.get_running_loop().time())

    def told(self, headers: Mapping[str, str], now_ns: int) -> None:
        """Take what a reply says is left of REST, which others on this account may have used.

        Args:
            headers: Of the reply, by lower-case name.
            now_ns: The present, by the wall clock.
        """
        if not self._headers:
            return
        _, left_name, next_name = self._headers
        left, next_s = _number(headers.get(left_name)), _number(headers.get(next_name))
        if left is None:
            return
        self._rest.leave(left, asyncio.get_running_loop().time())
        if left < 1 and next_s is not None:
            wait_s = next_s - now_ns / SECOND_NS if next_s >= _UNIX_S else next_s
            self.pause_rest(min(max(wait_s, 0.0), LONGEST_ASKED_S))

    @property
    def rest_waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._rest.waiting

    @property
    def rest_paused(self) -> bool:
        """Whether the venue wants no requests for now."""
        return self._rest.paused


def _number(text: str | None) -> float | None:
    """Return what a header says, or None where it is no plain number."""
    match = _NUMBER.match(text or "")
    return None if match is None else float(match[1])
