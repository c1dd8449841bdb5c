"""What a collector in a thread of its own hands to threads without a loop: plain iterators."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, final
from weakref import finalize

from wickwire.fanout import Reader
from wickwire.history_reader import HistoryReader
from wickwire.hot import SeriesReader
from wickwire.model import Hole, Series, SeriesCandle
from wickwire.portal import Answer, Deadline, Ended, Portal
from wickwire.queues import Policy

__all__ = [
    "BlockingHistoryReader",
    "BlockingPages",
    "BlockingReader",
    "BlockingSeriesReader",
    "PageSource",
    "Pages",
    "ReaderSource",
    "Source",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(ABC, Generic[T]):
    """An iterator on the loop's side, and what was taken from it for other threads.

    Attributes:
        name: For messages.
        taken: What waits for them; each end is safe to use from any.
        asked: What they wait for.
    """

    def __init__(self, name: str) -> None:
        """Begin with nothing taken."""
        self.name = name
        self.taken: deque[T] = deque()
        self.asked: Answer[bool] | None = None

    @abstractmethod
    async def fill(self) -> bool:
        """Take at least one, and say so; or say that there will be no more."""

    @abstractmethod
    async def close(self) -> None:
        """Take nothing any more."""

    @abstractmethod
    async def leave(self) -> None:
        """Take what can be had while the collector ends."""


@final
class ReaderSource(Source[T]):
    """A consumer of the collector, as its iterators are."""

    def __init__(self, reader: Reader[T]) -> None:
        """Take from *reader*."""
        super().__init__(reader.name)
        self.reader = reader

    async def fill(self) -> bool:
        """Take all that waits; only one where that may still be replaced by what is newer."""
        try:
            self.taken.append(await anext(self.reader))
        except StopAsyncIteration:
            return False
        if self.reader.policy is not Policy.CONFLATE:
            self.taken.extend(self.reader.take_ready())
        return True

    async def close(self) -> None:
        """Let it have nothing any more."""
        self.reader.stop()

    async def leave(self) -> None:
        """Take what waits in memory."""
        self.taken.extend(self.reader.take_ready())


class Pages(Protocol[T_co]):
    """Pages that can be left in the middle."""

    async def __anext__(self) -> T_co:
        """Return the next one."""
        ...

    async def aclose(self) -> None:
        """Leave the rest where it is."""
        ...


@final
class PageSource(Source[T]):
    """Pages, each asked for when it is wanted."""

    def __init__(self, name: str, pages: Pages[T]) -> None:
        """Take from *pages*."""
        super().__init__(name)
        self._pages = pages
        self._turn = asyncio.Lock()

    async def fill(self) -> bool:
        """Take one."""
        async with self._turn:
            try:
                self.taken.append(await self._pages.__anext__())
            except StopAsyncIteration:
                return False
            return True

    async def close(self) -> None:
        """Leave the rest where it is, once nobody asks for it any more."""
        async with self._turn:
            await self._pages.aclose()

    async def leave(self) -> None:
        """Leave the rest where it is."""
        if self.asked is not None and self.asked.task is not None:
            self.asked.task.cancel()
        await self.close()


class _Blocking(Iterator[T], Generic[T]):
    """A plain iterator over what comes from the loop of another thread; several threads may share it.

    Attributes:
        timeout: How many seconds `next` waits at most before it raises TimeoutError; None for no limit. The
            iteration goes on where it was: nothing is lost by that.
    """

    def __init__(
        self,
        portal: Portal,
        source: Source[T],
        release: Callable[[Source[Any]], None],
        timeout: float | None,
    ) -> None:
        """Take from *source* through *portal*; *release* it when nobody does so any more."""
        self.timeout = timeout
        self._portal = portal
        self._source = source
        self._turn = threading.Lock()
        self._closed = False
        self._release = finalize(self, release, source)
        self._release.atexit = False

    def __next__(self) -> T:
        """Return the next one.

        Raises:
            TimeoutError: None came in time; the iteration goes on with the next call.
            UsageError: This is another process than the collector's, or the thread of its event loop.
            StoreError: It fell behind, and the store cannot be read; the next call tries again.
            GivenUp: Or whatever else ended the collector, where nobody stopped it.
        """
        deadline = Deadline(self.timeout)
        left_s = deadline.left_s
        if not self._turn.acquire(timeout=-1 if left_s is None else left_s):
            raise self._late()
        try:
            while not self._closed:
                with suppress(IndexError):
                    return self._source.taken.popleft()
                if not self._filled(deadline):
                    break
            raise StopIteration
        finally:
            self._turn.release()

    def _filled(self, deadline: Deadline) -> bool:
        """Wait until more was taken, and say so; or say that there will be no more."""
        source = self._source
        if source.asked is None:
            try:
                source.asked = self._portal.ask(source.fill, source.name)
            except Ended as exc:
                return self._rest(deadline, exc)
        asked = source.asked
        try:
            return asked.result(deadline.left_s) or self._rest(deadline, None)
        except Ended as exc:
            return self._rest(deadline, exc)
        except TimeoutError:
            if asked.is_there:
                raise
            raise self._late() from None
        finally:
            if asked.is_there:
                source.asked = None

    @abstractmethod
    def _rest(self, deadline: Deadline, ended: Ended | None) -> bool:
        """Say whether anything is left when there will be no more, or raise what ended it.

        *ended* is why nobody says that the end was reached.
        """

    def _late(self) -> TimeoutError:
        return TimeoutError(
            f"{self._source.name}: nothing came within {self.timeout:g} s{self._portal.held()}"
        )

    def close(self) -> None:
        """Let the iteration stop, also for threads that wait; what waits for them is forgotten."""
        self._closed = True
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@final
class BlockingReader(_Blocking[T]):
    """An iterator over candles, trades, quotes or events, for threads without a loop.

    Several threads may share it: each item goes to one of them. It ends when the collector is stopped, once
    all was taken that waited for it; where a failure ended the collector, it raises that instead.

    Attributes:
        timeout: How many seconds `next` waits at most before it raises TimeoutError; None for no limit. The
            iteration goes on where it was: nothing is lost by that.
    """

    def __init__(
        self,
        portal: Portal,
        source: ReaderSource[T],
        release: Callable[[Source[Any]], None],
        timeout: float | None,
    ) -> None:
        """Take from *source* through *portal*; *release* it when nobody does so any more."""
        super().__init__(portal, source, release, timeout)
        self._reader = source.reader

    @property
    def name(self) -> str:
        """What it is called in health and in the log."""
        return self._reader.name

    @property
    def dropped(self) -> int:
        """How many were lost because the consumer was too slow."""
        return self._reader.dropped

    @property
    def conflated(self) -> int:
        """How many were replaced by a newer one of their series, as the policy says."""
        return self._reader.conflated

    def _rest(self, deadline: Deadline, ended: Ended | None) -> bool:
        portal = self._portal
        if self._closed or (ended is None and portal.stopping):
            return False
        if not deadline.awaits(portal.finished.is_set, portal.finished.wait):
            raise self._late()  # else what waited in memory is left by now
        if self._source.taken:
            return True
        if not portal.stopping and (failure := portal.why()) is not None:
            raise failure
        return False


class BlockingPages(_Blocking[T]):
    """An iterator over pages of the past, for threads without a loop; the end is the end.

    Who stops before it calls `close`, uses it in a `with` block, or drops it.

    Attributes:
        timeout: How many seconds `next` waits at most before it raises TimeoutError; None for no limit. The
            page is still asked for, and comes with the next call.
    """

    def _rest(self, deadline: Deadline, ended: Ended | None) -> bool:
        if ended is None or self._closed:
            return False
        if not deadline.awaits(self._portal.finished.is_set, self._portal.finished.wait):
            raise self._late()
        raise self._portal.why() or ended


@final
class BlockingHistoryReader(BlockingPages[Sequence[SeriesCandle]]):
    """An iterator over pages of closed candles, which says how it ended, as `HistoryReader` does."""

    def __init__(
        self,
        portal: Portal,
        source: PageSource[Sequence[SeriesCandle]],
        release: Callable[[Source[Any]], None],
        timeout: float | None,
        reader: HistoryReader,
    ) -> None:
        """Take the pages of *reader* from *source* through *portal*."""
        super().__init__(portal, source, release, timeout)
        self._reader = reader

    @property
    def since_ns(self) -> int:
        """From when on it tells; see `HistoryReader`."""
        return self._reader.since_ns

    @property
    def until_ns(self) -> int:
        """Up to when it tells; see `HistoryReader`."""
        return self._reader.until_ns

    @property
    def holes(self) -> Sequence[Hole] | None:
        """Where candles may lack, and why; None before the first page, or the end. See `HistoryReader`."""
        return self._reader.holes


@final
class BlockingSeriesReader:
    """Reads the closed candles of one series, as `SeriesReader` does, for threads without a loop.

    Attributes:
        series: Which one.
        timeout: How many seconds an answer may take at most; None for no limit.
    """

    def __init__(self, portal: Portal, reader: SeriesReader, timeout: float | None) -> None:
        """Read by *reader* through *portal*."""
        self.timeout = timeout
        self._portal = portal
        self._reader = reader

    @property
    def series(self) -> Series:
        """Which one."""
        return self._reader.series

    def range(
        self, since: str | datetime | int, until: str | datetime | int | None = None
    ) -> Sequence[SeriesCandle]:
        """Return all closed candles that open in `[since, until)`, oldest first, each once.

        Args:
            since: Text, aware datetime, or nanoseconds.
            until: The same; None for all there is.

        Raises:
            UsageError: *since* or *until* is not an instant, or the collector is not running.
            StoreError: The store was needed, and cannot be read.
            TimeoutError: It took longer than `timeout`.
        """
        what = f"range of {self.series}"
        return self._portal.call(partial(self._reader.range, since, until), self.timeout, what)

    def latest(self) -> SeriesCandle | None:
        """Return the closed candle that opens last; None where there is none. Raises as `range`."""
        return self._portal.call(self._reader.latest, self.timeout, f"latest of {self.series}")
