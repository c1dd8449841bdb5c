"""Hands what is true to whoever listens: bounded, and nobody waits for anybody.

Candles have a store behind them, so a consumer that falls behind reads on from there and loses nothing.
Trades and quotes have none: the oldest are dropped, and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Container, Sequence
from typing import Final, Generic, Self, TypeVar
from weakref import ReferenceType, ref

from wickwire.errors import FaultKind, StoreError
from wickwire.model import Candle, Quote, Series, SeriesCandle, Trade
from wickwire.session import Session
from wickwire.store import Store

__all__ = ["AnyFeedReader", "AnyFeedRoute", "CandleReader", "FeedReader", "FeedRoute"]

log = logging.getLogger(__name__)

BOUND: Final = 1_024
"""How many items wait for one consumer."""

E = TypeVar("E", Trade, Quote)


class CandleReader(AsyncIterator[SeriesCandle]):
    """An iterator over committed candles, in order of commit, each at least once and normally exactly once.

    It holds at most `BOUND` candles in memory; beyond that it reads them back from the store.

    Attributes:
        spilled: How often it fell behind and went to the store.
    """

    def __init__(self, store: Store, series: Container[Series] | None, after_seq: int) -> None:
        """Read candles of *series* (None: all) that are committed after *after_seq*."""
        self._store = store
        self._series = series
        self._last_seq = after_seq
        self._queue: deque[SeriesCandle] = deque()
        self._behind = True  # something may have been committed since
        self._more = asyncio.Event()
        self._ended = False
        self._left = False
        self.spilled = 0

    def put(self, news: Sequence[SeriesCandle]) -> None:
        """Take what was just committed; never blocks."""
        if not self._behind:
            if len(self._queue) + len(news) > BOUND:
                self._behind = True
                self.spilled += 1
            else:
                self._queue.extend(
                    candle for candle in news if self._series is None or candle.series in self._series
                )
        self._more.set()

    def end(self) -> None:
        """Let the iteration stop once everything committed was read."""
        self._ended = True
        self._more.set()

    def leave(self) -> None:
        """Let the iteration stop once everything was read that can be: the store is closed."""
        self._left = True
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SeriesCandle:
        while True:
            while self._queue:
                candle = self._queue.popleft()
                if candle.seq > self._last_seq:
                    self._last_seq = candle.seq
                    return candle
            if self._behind:
                await self._catch_up()
            elif self._ended:
                raise StopAsyncIteration
            else:
                self._more.clear()
                await self._more.wait()

    async def _catch_up(self) -> None:
        """Read the next piece back from the store; what is committed meanwhile only sets `_more`."""
        self._more.clear()
        try:
            rows = await self._store.committed(self._last_seq, limit=BOUND)
        except StoreError:
            if not self._left:
                raise
            self._behind = False
            return
        if rows:
            wanted = [row for row in rows if self._series is None or row.series in self._series]
            self._queue.extend(wanted)
            if not wanted:
                self._last_seq = rows[-1].seq
        elif not self._more.is_set():
            self._behind = False


class FeedReader(AsyncIterator[E], Generic[E]):
    """An iterator over trades or quotes as they come; a slow consumer loses the oldest.

    Attributes:
        dropped: How many were lost that way.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._queue: deque[E] = deque(maxlen=BOUND)
        self._more = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def put(self, item: E) -> bool:
        """Take one event, never blocking; say whether that was possible without losing the oldest."""
        full = len(self._queue) == BOUND
        self.dropped += full
        self._queue.append(item)
        self._more.set()
        return not full

    def end(self) -> None:
        """Let the iteration stop when the queue is empty."""
        self._ended = True
        self._more.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._queue.popleft()


class FeedRoute(Generic[E]):
    """The route of a trades or quotes series: to every reader that listens. See `subscriptions.Route`.

    Attributes:
        series: Which series.
        received: Events so far.
        latest: The last of them.
        heard_s: When it came, or else when the subscription was confirmed, in the loop's time.
        dropped: Events for which a reader that was too slow lost an older one.
        live: Whether the subscription is confirmed.
        refusal: Why the venue refuses it; empty when it does not.
        why: Why it is not live, or what was doubted last.
        doubts: How often something may have been lost.
        doubt_s: When that was last, in the loop's time.
        stopped: Nothing is wanted of it any more.
    """

    def __init__(self, series: Series) -> None:
        """Start without readers."""
        self.series = series
        self.readers: dict[ReferenceType[AnyFeedReader], None] = {}
        self.received = 0
        self.latest: E | None = None
        self.heard_s = 0.0
        self.dropped = 0
        self.live = False
        self.refusal = ""
        self.why = "not subscribed yet"
        self.stopped = False
        self.doubts = 0
        self.doubt_s = 0.0
        self._session: Session | None = None

    def stop(self) -> None:
        """Note that the connection ends because nobody wants it, which is no trouble."""
        self.stopped = True

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Pass one event on."""
        self.received += 1
        self.latest = data  # type: ignore[assignment]  # the session routes by type
        session = self._session
        if session is not None:
            self.heard_s = session.frame_s
        for held in self.readers:
            reader = held()
            if reader is not None and not reader.put(data):  # type: ignore[arg-type]  # the same
                self.dropped += 1

    def attach(self, reader: AnyFeedReader) -> None:
        """Pass events on to *reader* for as long as somebody holds it."""
        self.readers[ref(reader, self._forget)] = None

    def _forget(self, held: ReferenceType[AnyFeedReader]) -> None:
        self.readers = {one: None for one in self.readers if one is not held}  # it may be iterated over

    def subscribed(self, session: Session) -> None:
        """Note that it lives."""
        self._session, self.heard_s = session, session.frame_s
        self.live, self.refusal, self.why = True, "", ""

    def moved(self, session: Session) -> None:
        """Note that it lives on another connection."""
        self._session = session

    def caught_up(self, *, truncated: bool) -> None:
        """Nothing to do: events are passed on as they come."""

    def gathering(self) -> None:
        """Nothing to do: events are passed on as they come."""

    def doubted(self, why: str) -> None:
        """Count that events may have been lost."""
        self.doubts += 1
        self.doubt_s = asyncio.get_running_loop().time()
        self.why = why

    def withdrawn(self, open_ns: int) -> None:
        """Nothing to do: this is about candles."""

    def lost(self, why: str) -> None:
        """Note why it does not live."""
        self._session = None
        self.live, self.why = False, why

    def refused(self, kind: FaultKind, why: str) -> None:
        """Note the venue's words."""
        if not self.refusal:
            log.warning("stream failed", extra={"series": str(self.series), "why": why})
        self.lost(f"{kind.value}: {why}")
        self.refusal = self.why


AnyFeedReader = FeedReader[Trade] | FeedReader[Quote]
AnyFeedRoute = FeedRoute[Trade] | FeedRoute[Quote]
