"""How fast we may speak to a venue: one budget per venue and account, on the event loop's time.

Three things are counted: REST requests, connections, and frames on all streams together. What each limit lets
through is in `meter`; who goes first, in `turnstile`; how several processes share one budget, in `gates`.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final, final

from wickwire.clock import loop_s
from wickwire.description import Limits
from wickwire.errors import FaultKind, VenueError
from wickwire.gates import Gate
from wickwire.meter import Heard
from wickwire.model import SECOND_NS
from wickwire.retry import asked_s
from wickwire.turnstile import FIRST, GaveWay, Place, Priority, Rank, Turnstile

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


def pause_s(refusals: int) -> float:
    """Return how long to pause after so many refusals in a row, for which the venue named no time."""
    return min(PAUSE_S * 2.0 ** min(refusals - 1, 10), LONGEST_PAUSE_S)


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

    def __init__(self, limits: Limits, gates: Mapping[str, Gate] = MappingProxyType({})) -> None:
        """Start unused under *limits*, which other processes share where there are *gates*."""
        self._rest = Turnstile(limits.rest, hears=bool(limits.reply_headers), gate=gates.get("rest"))
        self._connects = Turnstile(limits.connects, gate=gates.get("connects"))
        self._messages = Turnstile(limits.messages_overall, gate=gates.get("messages"))
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
        async with self._rest.through(cost, priority, rank, place, is_sent=lambda: call.is_sent):
            call = Call(self._rest, cost, self._headers)  # now, as it notes when it is sent
            yield call

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
