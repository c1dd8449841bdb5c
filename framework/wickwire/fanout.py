"""Hands what is true to whoever listens: bounded, and nobody waits for anybody.

Candles have a store behind them, so a consumer that falls behind can read on from there and lose nothing.
Trades and quotes have none: what does not fit is lost, and counted. What is done is the consumer's choice,
and has a name: `queues.Policy`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Final, Generic, Self, TypeVar, cast
from weakref import ReferenceType, ref

from wickwire.clock import loop_s, running_loop
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind, StoreError, UsageError
from wickwire.listener_errors import ListenerErrors
from wickwire.model import Candle, Quote, Series, SeriesCandle, SeriesQuote, SeriesTrade, Trade
from wickwire.queues import BOUND, Latest, Newest, Policy, checked_bound
from wickwire.session import Session
from wickwire.store import Store

__all__ = [
    "AnyFeedReader",
    "AnyFeedRoute",
    "CandleReader",
    "FeedReader",
    "FeedRoute",
    "Loses",
    "QuoteReader",
    "Reader",
    "named",
]

log = logging.getLogger(__name__)

PAGE: Final = 1_024
"""How many candles are read back from the store at once."""

MOST_SERIES: Final = 100_000
"""Of so many series a quote waits for a sink at most."""

T = TypeVar("T")
E = TypeVar("E", bound=Trade | Quote)


class Reader(AsyncIterator[T], Generic[T]):
    """An iterator over what is handed to one consumer. Whoever hands on never waits.

    Attributes:
        name: Shown in health and in the log.
        policy: What happens when the consumer is too slow.
        bound: How many items wait for it in memory at most.
        spilled: How often it fell behind and went on from the store.
        errors: What the function raised that is called with what comes; None where there is none.
        unread: How many it has to read back from the store: of what was committed since it began to listen,
            and at most, as a candle that was revised meanwhile is counted for each time.
    """

    unread: int = 0
    errors: ListenerErrors | None = None

    def __init__(self, policy: Policy, bound: int, name: str) -> None:
        """Start empty.

        Raises:
            UsageError: *policy* is none, or nothing fits *bound*.
        """
        told: object = policy
        if not isinstance(told, Policy):
            raise UsageError(f"not a policy: {told!r:.40}; write {', '.join(map(_shown, Policy))}")
        self.name = name
        self.policy = policy
        self.bound = checked_bound(bound)
        self.spilled = 0
        self.loses: Loses | None = None
        conflates = policy is Policy.CONFLATE
        self._queue: Newest[T] | Latest[T] = Latest(self.bound) if conflates else Newest(self.bound)
        self._more = asyncio.Event()
        self._loop = running_loop()
        self._ended = False
        self._stopped = False
        self._loses = False

    @property
    def waiting(self) -> int:
        """How many items wait in memory."""
        return len(self._queue)

    def behind_s(self, now_s: float) -> float | None:  # noqa: ARG002 - who reads a store knows it
        """Return for how many seconds something has waited for it without a pause, where that is known."""
        return None

    @property
    def dropped(self) -> int:
        """How many were lost because the consumer was too slow."""
        return self._queue.dropped

    @property
    def conflated(self) -> int:
        """How many were replaced by a newer one of their series, as the policy says."""
        return self._queue.conflated

    def put(self, key: object, item: T) -> bool:
        """Take one item of *key*, never blocking; say whether that was possible without losing another."""
        if self._stopped:
            return True
        self._more.set()
        if self._queue.put(key, item):
            return True
        if not self._loses:
            self._loses = True
            if self.loses is not None:
                self.loses(self)
        return False

    def end(self) -> None:
        """Let the iteration stop when nothing waits any more."""
        self._ended = True
        self._more.set()

    def stop(self) -> None:
        """Let the iteration stop at once; what waits is forgotten, and nothing is taken any more."""
        self._stopped = True
        self._queue.clear()
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            await self._news()
        return self._take()

    async def _news(self) -> None:
        """Wait until something is put, or the end."""
        self._check_loop()
        self._more.clear()
        await self._more.wait()

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise UsageError(f"{self.name}: read in another event loop than that of its collector")

    def take_ready(self) -> list[T]:
        """Take all that the iteration would give without waiting, oldest first."""
        return [self._take() for _ in range(len(self._queue))]

    def _take(self) -> T:
        item = self._queue.take()
        if self._loses and not self._queue:
            self._loses = False
        return item


Loses = Callable[["Reader[Any]"], None]
"""Called when a consumer that had kept up begins to lose."""


class CandleReader(Reader[SeriesCandle]):
    """An iterator over committed candles, in order of commit, each at least once and normally exactly once.

    It holds at most `bound` candles in memory. What does not fit is read back from the store (`SPILL`), or
    all is, piece by piece as it is taken (`WAIT`); else it is lost (`CONFLATE`, `DROP_OLDEST`).

    Attributes:
        series: Those whose candles it wants; None where it wants all.
    """

    def __init__(
        self,
        store: Store,
        series: Collection[Series] | None,
        after_seq: int,
        *,
        policy: Policy = Policy.SPILL,
        bound: int = BOUND,
        name: str = "candles",
    ) -> None:
        """Read candles of *series* (None: all) that are committed after *after_seq*."""
        super().__init__(policy, bound, name)
        self._store = store
        self.series = series
        self._seq = after_seq  # all before is in the queue, was taken, or is not wanted
        self._loses_none = policy in {Policy.SPILL, Policy.WAIT}
        self._behind = True  # something may have been committed since
        self._left = False
        self._told: tuple[int, int] | None = None  # the first and the last `seq` that it was told of
        self._waits_since_s = 0.0

    def deliver(self, news: Sequence[SeriesCandle]) -> None:
        """Take what was just committed; never blocks."""
        if self._stopped:
            return
        wanted = [candle for candle in news if candle.seq > self._seq and self._wants(candle)]
        if not wanted:  # a host may have hundreds of readers, and none is woken for what it does not want
            return
        self._more.set()
        if not self.waiting and not self.unread:
            self._waits_since_s = loop_s()
        if self.policy is Policy.WAIT:
            self._behind = True
        if self._behind:
            self._leave_unread(wanted)
            return
        if self._loses_none and len(self._queue) + len(wanted) > self.bound:
            self._behind = True
            self.spilled += 1
            self._leave_unread(wanted)
            return
        for candle in wanted:
            self.put(candle.series, candle)
            self._seq = candle.seq

    def _leave_unread(self, wanted: Sequence[SeriesCandle]) -> None:
        """Count what was committed for it and stays in the store."""
        self._told = wanted[0].seq if self._told is None else self._told[0], wanted[-1].seq
        self.unread += len(wanted)

    def _note_read(self, row: SeriesCandle) -> None:
        """Count what is in the store for it no more, now that it went on to *row*."""
        if self._told is not None and self._told[0] <= row.seq:
            self.unread -= self._wants(row)
            if row.seq >= self._told[1]:
                self._told, self.unread = None, 0

    def behind_s(self, now_s: float) -> float | None:
        """Return for how many seconds something has waited without a pause; None where nothing does."""
        return now_s - self._waits_since_s if self.waiting or self.unread else None

    def leave(self) -> None:
        """Let the iteration stop once everything was read that can be: the store is closed."""
        self._left = True
        self.end()

    def stop(self) -> None:
        """Let the iteration stop at once; what waits is forgotten, and nothing is taken any more."""
        super().stop()
        self._behind, self.unread = False, 0

    def take_ready(self) -> list[SeriesCandle]:
        """Take all that the iteration would give without waiting, oldest first."""
        return super().take_ready() if self._loses_none or not self._behind else []

    def _wants(self, candle: SeriesCandle) -> bool:
        return self.series is None or candle.series in self.series

    async def __anext__(self) -> SeriesCandle:
        while True:
            if self._queue and (self._loses_none or not self._behind):
                return self._take()
            if self._behind:
                await self._catch_up()
            elif self._ended:
                raise StopAsyncIteration
            else:
                await self._news()

    async def _catch_up(self) -> None:
        """Read the next piece back from the store; what is committed meanwhile only sets `_more`."""
        self._check_loop()
        self._more.clear()
        try:
            rows = await self._store.committed(self._seq, limit=PAGE)
        except StoreError:
            if not self._left:
                raise
            self._behind = False
            return
        if self._stopped:  # meanwhile
            return
        if not rows and not self._more.is_set():
            self._behind, self._told, self.unread = False, None, 0
        for row in rows:
            if self._wants(row):
                if self._loses_none and len(self._queue) == self.bound:
                    break
                self.put(row.series, row)
            self._seq = row.seq
            self._note_read(row)


class FeedReader(Reader[E], Generic[E]):
    """An iterator over trades or quotes as they come; who is slow loses the oldest, or all but the latest."""

    def __init__(self, policy: Policy = Policy.DROP_OLDEST, bound: int = BOUND, name: str = "feed") -> None:
        """Start empty.

        Raises:
            UsageError: *policy* is one that only candles can have, or none, or nothing fits *bound*.
        """
        super().__init__(policy, bound, name)
        instead = f"use {_shown(Policy.DROP_OLDEST)} or {_shown(Policy.CONFLATE)}"
        if policy is Policy.WAIT:
            raise UsageError(
                "trades and quotes cannot wait for a consumer: the venue goes on talking, and a connection "
                f"that is not read fails for all that rides on it; {instead}"
            )
        if policy is Policy.SPILL:
            raise UsageError(f"trades and quotes are not stored: there is nothing to read on from; {instead}")

    def put(self, key: object, item: Trade | Quote) -> bool:
        """Take one item of the series *key*; it is given that name."""
        assert isinstance(key, Series)
        return super().put(key, cast("E", named(key, item)))

    def broken(self, series: Series) -> None:
        """Take that something of *series* may be missing between what came and what comes."""


class QuoteReader(FeedReader[Quote]):
    """The latest quote of each series, for a sink: all that wait are taken at once."""

    def __init__(self, sink: str) -> None:
        """Start empty, for *sink*."""
        super().__init__(Policy.CONFLATE, MOST_SERIES, f"quotes of sink {sink}")
        self._queue = self._latest = Latest[Quote](MOST_SERIES)

    def put(self, key: object, item: Trade | Quote) -> bool:
        """Take one quote as it is: a sink has it by its series."""
        return Reader.put(self, key, cast("Quote", item))

    async def gather(self) -> Mapping[Series, Quote]:
        """Return the latest quote of each series of which one came since the last time, once there is one."""
        while not self._latest:
            self._more.clear()
            await self._more.wait()
        return cast("dict[Series, Quote]", self._latest.take_all())

    def give_back(self, quotes: Mapping[Series, Quote]) -> None:
        """Let what was not taken wait again, where no newer one came meanwhile."""
        newer = self._latest.take_all()
        for series, quote in quotes.items():
            self.put(series, newer.pop(series, quote))
        for key, quote in newer.items():
            self.put(key, quote)


def named(series: Series, item: Trade | Quote) -> SeriesTrade | SeriesQuote:
    """Return a trade or quote with the series that it belongs to."""
    return SeriesTrade.of(series, item) if isinstance(item, Trade) else SeriesQuote.of(series, item)


def _shown(policy: Policy) -> str:
    return f"Policy.{policy.name}"


class FeedRoute(Generic[E]):
    """The route of a trades or quotes series: to every reader that listens. See `topic_route.Route`.

    Attributes:
        series: Which series.
        received: Events so far.
        latest: The last of them.
        heard_s: When it came, or else when the subscription was confirmed, in the loop's time.
        dropped: Events for which a reader that was too slow lost an older one.
        live: Whether the subscription is confirmed.
        lost_s: When it ended, in the loop's time; None before the first time.
        refusal: Why the venue refuses it; empty when it does not.
        why: Why it is not live, or what was doubted last.
        doubts: How often something may have been lost.
        doubt_s: When that was last, in the loop's time.
        deaf_since: How many events had come when it was found out that others should have; None before.
        deafness: How that was found out.
        stopped: Nothing is wanted of it any more.
    """

    def __init__(self, series: Series) -> None:
        """Start without readers."""
        self.series = series
        self._topic = Topic(series.symbol, series.what)
        self.readers: dict[ReferenceType[AnyFeedReader], None] = {}
        self.received = 0
        self.latest: E | None = None
        self.heard_s = 0.0
        self.dropped = 0
        self.live = False
        self.lost_s: float | None = None
        self.refusal = ""
        self.why = "not subscribed yet"
        self.stopped = False
        self.doubts = 0
        self.doubt_s = 0.0
        self.deaf_since: int | None = None
        self.deafness = ""
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
            if reader is not None and not reader.put(self.series, cast("E", data)):
                self.dropped += 1

    def attach(self, reader: AnyFeedReader) -> None:
        """Pass events on to *reader* for as long as somebody holds it."""
        self.readers[ref(reader, self._forget)] = None

    def _forget(self, held: ReferenceType[AnyFeedReader]) -> None:
        self.readers = {one: None for one in self.readers if one is not held}  # it may be iterated over

    def _break(self) -> None:
        for held in self.readers:
            reader = held()
            if reader is not None:
                reader.broken(self.series)

    def subscribed(self, session: Session) -> None:
        """Note that it lives."""
        self._session, self.heard_s = session, session.confirmed_s(self._topic)
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
        self.doubt_s = loop_s()
        self.why = why
        self._break()

    def deaf(self, why: str) -> None:
        """Note that something happened of which nothing came."""
        self.doubted(why)
        self.deaf_since, self.deafness = self.received, why

    @property
    def is_deaf(self) -> bool:
        """Whether nothing came since it was found out that something should have."""
        return self.deaf_since == self.received

    def withdrawn(self, open_ns: int) -> None:
        """Nothing to do: this is about candles."""

    def lost(self, why: str) -> None:
        """Note why it does not live."""
        self._session = None
        if self.live:
            self.lost_s = loop_s()
            self._break()
        self.live, self.why = False, why

    def refused(self, kind: FaultKind, why: str) -> None:
        """Note the venue's words."""
        if not self.refusal:
            log.warning("stream failed", extra={"series": str(self.series), "why": why})
        self.lost(f"{kind.value}: {why}")
        self.refusal = self.why


AnyFeedReader = FeedReader[Any]
AnyFeedRoute = FeedRoute[Trade] | FeedRoute[Quote]
