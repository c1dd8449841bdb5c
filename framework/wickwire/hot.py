"""Reading in two layers: what is hot answers at once, the store the rest; both together what the store would.

A hot layer holds the newest closed candles of some series and says from when on it holds all of them. So a
range is cut at that instant, and nothing has to be guessed, scanned, or asked for twice.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import attrs

from wickwire.clock import Clock, SystemClock, loop_s
from wickwire.errors import UsageError
from wickwire.instants import instant_of
from wickwire.model import HOUR_NS, Series, SeriesCandle
from wickwire.series import Word
from wickwire.store import TAIL, Loaded, Store

if TYPE_CHECKING:
    from cachetools import Cache

__all__ = ["Bound", "Held", "Hot", "HotMemory", "SeriesReader"]

PAGE_ROWS: Final = 5_000
"""So many candles are read from the store at once."""

_LAST_NS: Final = 2**63 - 1


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
    """The newest closed candles of some series, at hand."""

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        """Return what it holds of *series* in `[since_ns, until_ns)`; None where it cannot tell.

        Never raises for being away: it cannot tell then.
        """
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
            since: Text, aware datetime, or nanoseconds.
            until: The same; None for all there is.

        Raises:
            UsageError: *since* or *until* is not an instant.
            StoreError: The store was needed, and cannot be read.
        """
        now_ns = self._clock.now_ns()
        since_ns = instant_of(since, now_ns)
        until_ns = _LAST_NS if until is None else instant_of(until, now_ns)
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
        if self._hot is not None:
            held = await self._hot.held(self.series, -_LAST_NS, _LAST_NS)
            if held is not None and held.candles:
                return held.candles[-1]
        return await self._store.latest(self.series)

    async def _stored(self, since_ns: int, until_ns: int) -> list[SeriesCandle]:
        found: list[SeriesCandle] = []
        while page := await self._store.candles(self.series, since_ns, until_ns, limit=PAGE_ROWS):
            found += page
            since_ns = page[-1].open_ns + 1
        return found


@final
class Bound(Word):
    """What keeps a hot layer in memory small, beside the window of each series."""

    TTL = "ttl"
    """A series of which nothing was committed for so many seconds goes."""
    LRU = "lru"
    """Of more than so many series the one goes that was used least recently."""
    SIZE = "size"
    """The same for more than so many candles."""


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

    def trim(self, window_ns: int, most: int) -> None:
        """Drop what opens so long before the newest, and the oldest of more than *most*."""
        if not self.opens:
            return
        cut = bisect.bisect_left(self.opens, self.opens[-1] - window_ns)
        cut = max(cut, len(self.opens) - most)
        if cut:
            for open_ns in self.opens[:cut]:
                del self.candles[open_ns]
            self.since_ns = self.opens[cut - 1] + 1
            del self.opens[:cut]


class HotMemory:
    """The hot layer in a collector's own memory: what it commits, and what it found when it began.

    It knows of nothing that other processes commit: read through it what this collector collects.
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
        self._most = int(limit) if self.bound is Bound.SIZE else 2**62
        self._blocks = _cache(self.bound, limit, timer)
        self._newest: dict[Series, int] = {}

    def __len__(self) -> int:
        """Return how many candles it holds."""
        return sum(len(block.opens) for block in self._blocks.values())

    def begin(self, series: Series, loaded: Loaded | None) -> None:
        """Take what the store holds of a series when its collection begins."""
        tail = () if loaded is None else loaded.tail
        block = _Block(tail[0].open_ns if len(tail) == TAIL else -_LAST_NS)  # a shorter one is all there is
        for candle in tail:
            block.put(candle)
        if tail:
            self._newest[series] = tail[-1].open_ns
        self._keep(series, block)

    def commit(self, news: Sequence[SeriesCandle]) -> None:
        """Take what was just committed."""
        changed: dict[Series, _Block] = {}
        for candle in news:
            block = changed.get(candle.series) or self._blocks.get(candle.series)
            newest_ns = self._newest.get(candle.series)
            if block is None:
                if newest_ns is None or candle.open_ns <= newest_ns:
                    continue  # the store holds later ones, of which nothing is known here
                block = _Block(newest_ns + 1)
            block.put(candle)
            changed[candle.series] = block
            if newest_ns is None or candle.open_ns > newest_ns:
                self._newest[candle.series] = candle.open_ns
        for series, block in changed.items():
            self._keep(series, block)

    def forget(self, series: Series) -> None:
        """Hold nothing of a series: nobody tells what is committed of it any more."""
        self._blocks.pop(series, None)
        self._newest.pop(series, None)

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        """Return what it holds of a range; None where it knows nothing of the series."""
        block = self._blocks.get(series)
        if block is None:
            return None
        first, end = (bisect.bisect_left(block.opens, ns) for ns in (since_ns, until_ns))
        return Held(since_ns=block.since_ns, candles=[block.candles[ns] for ns in block.opens[first:end]])

    def _keep(self, series: Series, block: _Block) -> None:
        block.trim(self.window_ns, self._most)
        self._blocks[series] = block  # also where it was: its size and its turn are another


def _cache(bound: Bound, limit: float, timer: Callable[[], float]) -> Cache[Series, Any]:
    import cachetools  # noqa: PLC0415 - an extra

    match bound:
        case Bound.TTL:
            return cachetools.TTLCache(2**62, limit, timer=timer)
        case Bound.LRU:
            return cachetools.LRUCache(limit)
        case Bound.SIZE:
            return cachetools.LRUCache(limit, getsizeof=lambda block: max(1, len(block.opens)))
