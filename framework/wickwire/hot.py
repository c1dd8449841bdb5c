"""Reading in two layers: what is hot answers at once, the store the rest; both together what the store would.

A hot layer holds the newest closed candles of some series and says from when on it holds all of them. So a
range is cut at that instant, and nothing has to be guessed, scanned, or asked for twice.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, final

import attrs

from wickwire.clock import Clock, SystemClock, loop_s
from wickwire.errors import StoreError, UsageError
from wickwire.instants import LAST_NS, instant_of
from wickwire.model import HOUR_NS, Series, SeriesCandle
from wickwire.pages import stored_candles
from wickwire.series import Word
from wickwire.store import TAIL, Store

if TYPE_CHECKING:
    from cachetools import Cache

__all__ = ["Bound", "Held", "Hot", "HotMemory", "SeriesReader"]


@attrs.frozen(kw_only=True)
class Held:
    """What a hot layer holds of a range.

    Attributes:
        since_ns: It holds every stored candle of the series that opens from here on; those before are the
            store's to tell.
        candles: Those of the range among them, oldest first.
    """

    since_ns: int
    candles: Sequence[SeriesCandle]


class Hot(Protocol):
    """The newest closed candles of some series, at hand. Never raises: where it is away, it cannot tell."""

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        """Return what it holds of *series* in `[since_ns, until_ns)`; None where it cannot tell."""
        ...

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the candle of *series* that opens last; None where it cannot tell, or there is none."""
        ...


class SeriesReader:
    """One series, read from the hot layer as far as that reaches, and from the store before that.

    Attributes:
        series: Which one.
    """

    def __init__(
        self, series: Series, store: Store, hot: Hot | None = None, *, clock: Clock | None = None
    ) -> None:
        """Read *series* of *store*, which is open, and of *hot* where there is one."""
        self.series = series
        self._store = store
        self._hot = hot
        self._clock = clock or SystemClock()

    async def range(
        self, since: str | datetime | int, until: str | datetime | int | None = None
    ) -> Sequence[SeriesCandle]:
        """Return all closed candles that open in `[since, until)`, oldest first, each once.

        Of each the newest revision; *evidence* may be what it was when the candle was last news.

        Args:
            since: Text, aware datetime, or nanoseconds; text may be how long ago it was, such as "12h".
            until: The same; None for all there is.

        Raises:
            UsageError: *since* or *until* is not an instant.
            StoreError: The store was needed, and cannot be read.
        """
        now_ns = self._clock.now_ns()
        since_ns = instant_of(since, now_ns, ago=True)
        until_ns = LAST_NS if until is None else instant_of(until, now_ns, ago=True)
        held = None if self._hot is None else await self._hot.held(self.series, since_ns, until_ns)
        if held is None:
            return await self._stored(since_ns, until_ns)
        if held.since_ns <= since_ns:
            return held.candles
        return [*await self._stored(since_ns, min(until_ns, held.since_ns)), *held.candles]

    async def latest(self) -> SeriesCandle | None:
        """Return the closed candle that opens last; None where there is none.

        Raises:
            StoreError: As `range` does.
        """
        found = None if self._hot is None else await self._hot.latest(self.series)
        return await self._store.latest(self.series) if found is None else found

    async def _stored(self, since_ns: int, until_ns: int) -> list[SeriesCandle]:
        pages = stored_candles(self._store, self.series, since_ns, until_ns)
        return [candle async for page in pages for candle in page]


@final
class Bound(Word):
    """What keeps a hot layer in memory small, beside the window of each series."""

    TTL = "ttl"
    """A series of which nothing was committed for so many seconds goes, until it is read again."""
    LRU = "lru"
    """Of more than so many series the one goes that was read least recently."""
    SIZE = "size"
    """The same for more than so many candles, of each series as many as its window may hold."""


@attrs.define(eq=False)
class _Block:
    """The newest candles of one series: all that are stored from *since_ns* on."""

    since_ns: int
    opens: list[int] = attrs.field(factory=list)
    candles: dict[int, SeriesCandle] = attrs.field(factory=dict)

    def put(self, candle: SeriesCandle) -> None:
        """Take one, unless it opens before all that is held here."""
        if candle.open_ns < self.since_ns:
            return
        if candle.open_ns not in self.candles:
            bisect.insort(self.opens, candle.open_ns)
        self.candles[candle.open_ns] = candle

    def trim(self, window_ns: int) -> None:
        """Drop what opens so long before the newest."""
        cut = bisect.bisect_left(self.opens, self.opens[-1] - window_ns) if self.opens else 0
        if cut:
            for open_ns in self.opens[:cut]:
                del self.candles[open_ns]
            self.since_ns = self.opens[cut - 1] + 1
            del self.opens[:cut]


class HotMemory:
    """The hot layer in a collector's own memory: the series that it collects, as its own commits tell them.

    Where others commit to the same store, that is noticed by numbers that are left out. Then nothing is
    believed any more, and each series is read from the store anew when somebody asks for it.
    """

    def __init__(
        self,
        bound: Bound | str = Bound.SIZE,
        limit: float = 100_000,
        *,
        window_ns: int = HOUR_NS,
        timer: Callable[[], float] = loop_s,
    ) -> None:
        """Start empty.

        Args:
            bound: What keeps it small.
            limit: How many seconds, series or candles that is.
            window_ns: How far back each series is held, from its newest candle on.
            timer: Seconds that only grow; by default the event loop's.

        Raises:
            UsageError: There is no such *bound*, or no room.
            ImportError: cachetools is not installed; the extra `hot` brings it.
        """
        try:
            self.bound = Bound(bound)
        except ValueError:
            known = ", ".join(one.value for one in Bound)
            raise UsageError(f"not a bound of a hot layer: {bound!r:.40}; there are {known}") from None
        if not (limit >= 1 and window_ns >= 0):
            raise UsageError("a hot layer has to have room: a limit of at least 1, a window of at least 0")
        self.window_ns = window_ns
        self._limit = limit
        self._turns = _cache(self.bound, limit, timer)  # whose turn it is to go; what is in it may be held
        self._blocks: dict[Series, _Block] = {}
        self._collected: dict[Series, None] = {}
        self._store: Store | None = None
        self._seq = 0

    def __len__(self) -> int:
        """Return how many candles it holds."""
        return sum(len(block.opens) for block in self._blocks.values())

    # ------------------------------------------------------------------------------------ told by a collector

    def attach(self, store: Store, last_seq: int) -> None:
        """Belong to a collector of *store*, whose last `seq` is *last_seq*."""
        self.detach()
        self._store, self._seq = store, last_seq

    def detach(self) -> None:
        """Hold nothing, and belong to nobody."""
        self._store = None
        self._collected.clear()
        self._drop_all()

    def begin(self, series: Series) -> None:
        """Note that *series* is collected: all that is committed of it here is told from now on."""
        self._collected[series] = None

    def forget(self, series: Series) -> None:
        """Hold nothing of a series: nobody tells what is committed of it any more."""
        self._collected.pop(series, None)
        self._blocks.pop(series, None)
        self._turns.pop(series, None)

    def commit(self, news: Sequence[SeriesCandle]) -> None:
        """Take what was just committed."""
        if not news:
            return
        self._tidy()
        if news[0].seq != self._seq + 1 or news[-1].seq - news[0].seq != len(news) - 1:
            self._drop_all()  # others have committed too, and what is not known
        self._seq = news[-1].seq
        changed: dict[Series, _Block] = {}
        for candle in news:
            block = self._blocks.get(candle.series)
            if block is not None:
                block.put(candle)
                changed[candle.series] = block
        for series, block in changed.items():
            block.trim(self.window_ns)
            if self.bound is Bound.TTL:
                self._turns[series] = 1

    # ------------------------------------------------------------------------------------------------ reading

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        """Return what it holds of a range; None where it knows nothing of the series."""
        block = await self._block(series)
        if block is None:
            return None
        first, end = (bisect.bisect_left(block.opens, ns) for ns in (since_ns, until_ns))
        return Held(since_ns=block.since_ns, candles=[block.candles[ns] for ns in block.opens[first:end]])

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the candle that opens last; None where it knows nothing of the series."""
        block = await self._block(series)
        return block.candles[block.opens[-1]] if block is not None and block.opens else None

    async def _block(self, series: Series) -> _Block | None:
        """Return what is held of a series, read from the store if need be; None where that cannot be."""
        self._tidy()
        block = self._blocks.get(series)
        if block is not None:
            if self.bound is not Bound.TTL:
                self._turns.get(series)  # it is used
            return block
        if series not in self._collected or self._store is None:
            return None
        seq = self._seq
        try:
            loaded = await self._store.load(series)
        except StoreError:
            return None
        if seq != self._seq or series not in self._collected:  # something was committed meanwhile
            return None
        tail = () if loaded is None else loaded.tail
        block = _Block(tail[0].open_ns if len(tail) == TAIL else -LAST_NS)  # a shorter one is all there is
        for candle in tail:
            block.put(candle)
        block.trim(self.window_ns)
        size = self.window_ns // series.timeframe.nominal_ns + 1 if self.bound is Bound.SIZE else 1
        if size <= self._limit or self.bound is Bound.TTL:
            self._blocks[series], self._turns[series] = block, size
            self._tidy()
        return block

    # --------------------------------------------------------------------------------------------- what goes

    def _tidy(self) -> None:
        """Drop what had to make room, or was not told of for too long."""
        for series in [series for series in self._blocks if series not in self._turns]:
            del self._blocks[series]

    def _drop_all(self) -> None:
        self._blocks.clear()
        self._turns.clear()


def _cache(bound: Bound, limit: float, timer: Callable[[], float]) -> Cache[Series, int]:
    import cachetools  # noqa: PLC0415 - an extra

    match bound:
        case Bound.TTL:
            return cachetools.TTLCache(2**62, limit, timer=timer)
        case Bound.LRU:
            return cachetools.LRUCache(limit)
        case Bound.SIZE:
            return cachetools.LRUCache(limit, getsizeof=lambda size: size)
