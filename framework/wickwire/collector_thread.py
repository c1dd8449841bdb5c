"""One collector in a thread of its own: how it begins, what comes out, and how it ends, wished or not."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - what ends its threads has to be registered before `_end_all`
import logging
import threading
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar, final

from wickwire.blocking_readers import (
    BlockingHistoryReader,
    BlockingPages,
    BlockingReader,
    Pages,
    PageSource,
    ReaderSource,
    Source,
)
from wickwire.collector import Collector
from wickwire.fanout import Reader
from wickwire.history_reader import HistoryReader
from wickwire.listening import Listeners
from wickwire.portal import Deadline, Ended, LoopFactory, Portal
from wickwire.roster import DRAIN_S

__all__ = ["CollectorThread"]

log = logging.getLogger(__name__)

T = TypeVar("T")
P = TypeVar("P", bound=Pages[Any])

_NAME: Final = "wickwire collector"
_CLOSE_S: Final = 4.0
"""So much longer than it may drain an interpreter that ends waits for a collector that nobody stopped."""

_running: dict[CollectorThread, None] = {}
"""Those that the end of the interpreter has to end."""


@final
class CollectorThread:
    """Owns a thread, its event loop, and the collector in it.

    Attributes:
        portal: The way into it.
        listeners: The functions that it calls.
    """

    def __init__(self, make: Callable[[], Collector], loop_factory: LoopFactory | None) -> None:
        """Prepare; *make* is called in the thread, once it is started."""
        self.portal = Portal(self._block, name=_NAME, loop_factory=loop_factory)
        self.listeners = Listeners()
        self._make = make
        self._collector: Collector | None = None
        self._readers: dict[Source[Any], None] = {}
        self._pages: dict[Source[Any], None] = {}
        self._failure_told = False

    @property
    def collector(self) -> Collector:
        """The collector, which nobody may touch but in the thread."""
        assert self._collector is not None, "it was started"
        return self._collector

    # --------------------------------------------------------------------------------------- begin and end

    def start(self, timeout_s: float | None) -> None:
        """Start; raises as `async with Collector(...)` and `Portal.start` do."""
        _end_with_the_interpreter()
        self.portal.start(timeout_s)
        _running[self] = None

    def stop(self, drain_s: float, *, most_s: float | None = None) -> None:
        """Stop, in the order in which a `Collector` does, then end the thread; wait for *most_s* at most.

        Raises:
            UsageError: This is the thread itself.
            WickwireError: What ended the collector, the first time.
        """
        portal = self.portal
        if not portal.started:
            return
        if not portal.finished.is_set():
            portal.check("stop")
            self._end(Deadline(drain_s), drain_s, Deadline(most_s))
        _running.pop(self, None)
        failure = portal.why()
        if failure is not None and not self._failure_told:
            self._failure_told = True
            raise failure

    def _end(self, drained: Deadline, drain_s: float, most: Deadline) -> None:
        portal = self.portal
        portal.stopping = True
        try:
            with suppress(Ended):  # it ends already
                stop = partial(self.collector.stop, drain=drain_s)
                portal.ask(stop, "stop").result(most.left_s)
            self.listeners.join(drained)
        finally:  # also at Ctrl-C
            portal.end()
        most.awaits(portal.finished.is_set, portal.finished.wait)

    @asynccontextmanager
    async def _block(self) -> AsyncIterator[None]:
        try:
            async with self._make() as self._collector:
                try:
                    yield
                finally:
                    for source in list(self._pages):
                        await source.leave()
        finally:
            for source in list(self._readers):
                await source.leave()

    # ----------------------------------------------------------------------------------------- what comes out

    def reader(
        self, make: Callable[[Collector], Reader[T]], timeout_s: float | None, most_s: float | None, what: str
    ) -> BlockingReader[T]:
        """Return an iterator over what the reader that *make* makes brings, with *timeout_s* of its own."""

        async def seat() -> ReaderSource[T]:
            source = ReaderSource(make(self.collector))
            self._readers[source] = None
            return source

        source = self.portal.call(seat, most_s, what)
        return BlockingReader(self.portal, source, self._release, timeout_s)

    def pages(
        self,
        make: Callable[[Collector], AsyncGenerator[T]],
        timeout_s: float | None,
        most_s: float | None,
        what: str,
    ) -> BlockingPages[T]:
        """Return an iterator over the pages that *make* makes, with *timeout_s* of its own."""
        source, _ = self._page_source(make, most_s, what)
        return BlockingPages(self.portal, source, self._release, timeout_s)

    def history(
        self,
        make: Callable[[Collector], HistoryReader],
        timeout_s: float | None,
        most_s: float | None,
        what: str,
    ) -> BlockingHistoryReader:
        """Return the same over the pages of the past that *make* makes."""
        source, reader = self._page_source(make, most_s, what)
        return BlockingHistoryReader(self.portal, source, self._release, timeout_s, reader)

    def _page_source(
        self, make: Callable[[Collector], P], most_s: float | None, what: str
    ) -> tuple[PageSource[Any], P]:
        async def seat() -> tuple[PageSource[Any], P]:
            pages = make(self.collector)
            source = PageSource(what, pages)
            self._pages[source] = None
            return source, pages

        return self.portal.call(seat, most_s, what)

    def _release(self, source: Source[Any]) -> None:
        """Take nothing any more from *source*; called from any thread, at any time."""
        asked = source.asked  # a thread that waits may clear it meanwhile
        if asked is not None:
            asked.cancel()
        self.portal.spawn(partial(self._dismiss, source), f"close {source.name}")

    async def _dismiss(self, source: Source[Any]) -> None:
        self._readers.pop(source, None)
        self._pages.pop(source, None)
        await source.close()


_registered = threading.Event()


def _end_with_the_interpreter() -> None:
    """See to it that the end of the program ends them: stores are closed, and no thread keeps it alive."""
    if _registered.is_set():
        return
    _registered.set()
    # atexit comes too late: by then no executor takes anything any more, and a store commits in one
    register = getattr(threading, "_register_atexit", None)
    if register is None:  # pragma: no cover - every Python so far has it
        return
    with suppress(RuntimeError):  # it ends already
        register(_end_all)


def _end_all() -> None:
    forgotten = [one for one in list(_running) if one.portal.started]
    for one in forgotten:
        log.warning("collector was not stopped: the end of the program stops it", extra={"where": _NAME})
        try:
            one.stop(DRAIN_S, most_s=DRAIN_S + _CLOSE_S)
        except Exception as exc:  # the end of the interpreter is a door: nobody else would hear of it
            log.exception("collector did not stop", extra={"where": _NAME, "why": str(exc)})
    if forgotten:
        said = f"{len(forgotten)} collectors were not stopped; use `with BlockingCollector(...)`, or close()"
        warnings.warn(said, ResourceWarning, stacklevel=1)
