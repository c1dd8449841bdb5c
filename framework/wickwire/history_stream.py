"""History that a venue serves over a stream only: one connection apart from the live ones, kept while needed.

Apart, because asking again on a live connection would replace what is subscribed there; and what comes here
never enters the live path.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Final, final

import attrs

from wickwire.clock import Clock, ahead_s, loop_s
from wickwire.conversation import StreamHistory, StreamRequest
from wickwire.dialing import Connections, Dialing
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind, TransportError, VenueError, WickwireError
from wickwire.model import Candle, Quote, Trade
from wickwire.retry import Backoff, Retries, concerns_venue
from wickwire.scope import children, unwrapped
from wickwire.session import Session

__all__ = ["IDLE_S", "HistoryStream"]

IDLE_S: Final = 300.0
"""How long the connection is kept when nothing is asked: the next page often comes soon, and to open another
one may take a login and a token."""

SHORT_S: Final = 2.0
"""So long who asks is kept waiting for the next attempt; of a longer wait it is told at once why."""

SET_S: Final = 5.0
"""Our clock was set, or the machine slept, where it moved by so much more than the loop's time."""

LEFTOVERS_S: Final = 10.0
"""Rows of a snapshot that was given up may be on their way until the connection brings what was said so long
after."""


@attrs.define(eq=False)
class _Collecting:
    """What one request brought so far: the route of its topic."""

    request: StreamRequest
    candles: list[Candle] = attrs.field(factory=list)
    news: asyncio.Event = attrs.field(factory=asyncio.Event)
    complete: bool = False
    received: int = 0
    ended: bool = False
    told_end: bool = False
    error: WickwireError | None = None

    def since_ns(self) -> int:
        """From when on rows are wanted."""
        return self.request.since_ns

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one row; what comes behind the end of the snapshot is live, and not asked for.

        Live rows before it say nothing of the snapshot: where that is lost they would be waited on for ever.
        """
        self.received += 1
        if isinstance(data, Candle) and not self.ended:
            self.candles.append(data)
            if data.snapshot:
                self.news.set()

    def caught_up(self, *, truncated: bool) -> None:
        """Note that the snapshot is there."""
        self.ended, self.told_end, self.complete = True, True, not truncated
        self.news.set()

    def subscribed(self, session: Session) -> None:
        """Nothing to do: the rows say it."""

    def moved(self, session: Session) -> None:
        """Nothing to do: a snapshot is not moved."""

    def gathering(self) -> None:
        """Wait on: rows come, and are told with the last of them."""
        self.news.set()

    def doubted(self, why: str) -> None:
        """Give up: a row may be missing."""
        self.failed(TransportError(f"{self.request.topic}: its history may lack rows: {why}"))

    def withdrawn(self, open_ns: int) -> None:
        """Forget a row."""
        self.candles = [candle for candle in self.candles if candle.open_ns != open_ns]

    def lost(self, why: str) -> None:
        """Nothing to do: whoever ran the connection knows what ended it, and says so."""

    def refused(self, kind: FaultKind, why: str) -> None:
        """Give up: the venue will not."""
        self.failed(VenueError(kind, f"{self.request.topic}: {why}"))

    def failed(self, error: WickwireError) -> None:
        """Give up, unless all is there."""
        if not self.ended and self.error is None:
            self.error = error
            self.news.set()


@final
class HistoryStream:
    """Collects history over one connection of its own; `run` has to be running.

    Each that asks tries again by a schedule of its own. A venue that is away would meet as many schedules as
    there are series, so the connection has one too. No question opens it before that, unless a live
    connection found meanwhile that the venue is back.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        connections: Connections,
        dialing: Dialing,
        clock: Clock,
        *,
        backoff: Backoff,
        rng: random.Random,
    ) -> None:
        """Open connections made by *session*, which count among *connections*, by *backoff* and *rng*.

        Those of *dialing* are the live ones. Where *clock* was set, another one is opened.
        """
        self._new_session = session
        self._connections = connections
        self._dialing = dialing
        self._clock = clock
        self._ahead_s = 0.0
        self._retries = Retries(backoff, rng)
        self._failed_s = self._after_s = -math.inf
        self._why: WickwireError | None = None
        self._session: Session | None = None
        self._left_s: dict[Topic, float] = {}  # when a snapshot was given up, on this connection
        self._collecting: dict[Topic, _Collecting] = {}
        self._turns: dict[Topic, asyncio.Lock] = {}
        self._changed = asyncio.Event()

    async def collect(self, request: StreamRequest) -> StreamHistory:
        """Subscribe, collect until the snapshot is complete, and leave.

        Returns:
            The rows in the order received; incomplete when none came for as long as the request allows, or
            when the venue cut it.

        Raises:
            TransportError: The connection failed or ended.
            VenueError: The venue refused.
        """
        topic = request.topic
        async with self._turns.setdefault(topic, asyncio.Lock()):
            if self._may_bring_leftovers(topic):
                self._session = None  # for who keeps it to see: it ends, and another one is opened
                self._put_off(TransportError(f"{topic}: rows of a snapshot that was given up may still come"))
            elif abs(ahead_s(self._clock) - self._ahead_s) > SET_S:
                self._session = None  # what time it is now nothing tells on a stream, and a login may
            collecting = self._collecting[topic] = _Collecting(request)
            if self._session is not None:
                self._session.want(topic, collecting, collecting.since_ns)
            self._changed.set()
            try:
                await _rows(collecting)
            finally:
                del self._collecting[topic]
                self._changed.set()
                if self._session is not None:
                    self._session.drop(topic)
                    if not collecting.told_end:
                        self._left_s[topic] = loop_s()
        if collecting.error is not None:
            raise collecting.error
        if collecting.complete or collecting.candles:
            self._retries.succeeded()
        return StreamHistory(candles=collecting.candles, complete=collecting.complete)

    def _may_bring_leftovers(self, topic: Topic) -> bool:
        """Say whether rows of a snapshot that was given up may still come: its end would pass for another's.

        Not once the connection has brought something that was said long after.
        """
        left_s, session = self._left_s.get(topic), self._session
        return left_s is not None and session is not None and session.frame_s < left_s + LEFTOVERS_S

    async def run(self) -> None:
        """Keep a connection while there is something to collect, for ever."""
        while True:
            while not self._collecting:
                self._changed.clear()
                await self._changed.wait()
            wait_s = self._wait_s()
            if wait_s > SHORT_S and self._why is not None:
                self._fail(self._why)
            else:
                await asyncio.sleep(wait_s)
                await self._open()
            if self._collecting:  # whoever asked is told first, and asks again when it wants to
                await asyncio.sleep(0)

    async def _open(self) -> None:
        """Keep one connection, until it ends or nobody needs it."""
        session = self._new_session()
        self._connections.add(self, "", "history")
        try:
            with unwrapped():
                await self._serve(session)
        except WickwireError as exc:
            if concerns_venue(exc):
                self._put_off(exc, session.healthy_s)
            self._fail(exc)
        finally:
            self._session = None
            self._connections.remove(self)

    def _put_off(self, error: WickwireError, healthy_s: float = 0.0) -> None:
        """Open no other connection too soon after one that came to nothing: where a venue stalls all do."""
        self._failed_s, self._why = loop_s(), error
        self._after_s = self._failed_s + self._retries.failed(error, healthy_s)

    def _wait_s(self) -> float:
        """Return how long no connection is to be opened still."""
        if self._dialing.flowed_s > self._failed_s:
            return 0.0
        return max(self._after_s - loop_s(), 0.0)

    def _fail(self, error: WickwireError) -> None:
        for collecting in self._collecting.values():
            collecting.failed(_ended(error))

    async def _serve(self, session: Session) -> None:
        for topic, collecting in self._collecting.items():
            session.want(topic, collecting, collecting.since_ns)
        self._session, self._ahead_s = session, ahead_s(self._clock)
        self._left_s.clear()
        async with children() as tasks:
            running = tasks.create_task(session.run(), name="history connection")
            while self._session is session and await self._is_needed():
                pass
            self._session = None
            running.cancel()

    async def _is_needed(self) -> bool:
        """Wait for a change; return whether there is something to collect, now or within the idle time."""
        self._changed.clear()
        try:
            async with asyncio.timeout(None if self._collecting else IDLE_S):
                await self._changed.wait()
        except TimeoutError:
            return bool(self._collecting)
        return True


def _ended(error: WickwireError) -> WickwireError:
    """Return what the end of the connection means to one request: a refusal stays what it is."""
    why = f"the connection for its history ended: {error}"
    if isinstance(error, VenueError):
        return VenueError(error.kind, why, retry_after_s=error.retry_after_s)
    return TransportError(why)


async def _rows(collecting: _Collecting) -> None:
    """Wait for the end of a snapshot, for as long as rows come."""
    while not collecting.ended and collecting.error is None:
        collecting.news.clear()
        try:
            async with asyncio.timeout(collecting.request.timeout_s):
                await collecting.news.wait()
        except TimeoutError:
            collecting.ended = True
