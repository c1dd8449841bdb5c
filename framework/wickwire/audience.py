"""Who listens to one collector: iterators, and functions that are called. What reaches each is fanout's."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from weakref import WeakKeyDictionary

from wickwire.closer import Switch
from wickwire.errors import StoreError
from wickwire.fanout import AnyFeedReader, AnyFeedRoute, CandleReader
from wickwire.model import Feed, Series, SeriesCandle
from wickwire.retry import Backoff, Retries
from wickwire.store import Store

__all__ = ["Audience", "Listener"]

log = logging.getLogger(__name__)

Listener = Callable[[SeriesCandle], Awaitable[None] | None]
"""What `Collector.on_candle` takes: a plain or an async function of one candle."""


class Audience:
    """All who listen. Nobody is kept alive by it: an iterator that nobody holds any more is forgotten.

    Attributes:
        errors: How often a function of the host raised.
    """

    def __init__(self) -> None:
        """Start with nobody."""
        self._candles: WeakKeyDictionary[CandleReader, None] = WeakKeyDictionary()
        self._feeds: WeakKeyDictionary[AnyFeedReader, tuple[Feed, Container[Series] | None]]
        self._feeds = WeakKeyDictionary()
        self._tasks: list[asyncio.Task[None]] = []
        self._told_of_switches: list[Callable[[Switch], None]] = []
        self.errors = 0

    def __len__(self) -> int:
        """Return how many iterators there are."""
        return len(self._candles) + len(self._feeds)

    def reader(self, store: Store, only: Container[Series] | None, after_seq: int) -> CandleReader:
        """Return a new iterator over what is committed after *after_seq*; *only* None means all series."""
        reader = CandleReader(store, only, after_seq)
        self._candles[reader] = None
        return reader

    def deliver(self, news: Sequence[SeriesCandle]) -> None:
        """Pass on what was just committed."""
        for reader in list(self._candles):
            reader.put(news)

    # ------------------------------------------------------------------------------------- trades and quotes

    def attach(
        self,
        reader: AnyFeedReader,
        feed: Feed,
        only: Container[Series] | None,
        routes: Iterable[AnyFeedRoute],
    ) -> None:
        """Let *reader* hear the routes of *feed*, now and to come; *only* None means all of them."""
        self._feeds[reader] = feed, only
        for route in routes:
            _attach(reader, feed, only, route)

    def connect(self, route: AnyFeedRoute) -> None:
        """Let a new route be heard by whoever wants it."""
        for reader, (feed, only) in self._feeds.items():
            _attach(reader, feed, only, route)

    # --------------------------------------------------------------------------------------------- functions

    def call(
        self, listener: Listener, reader: CandleReader, tasks: asyncio.TaskGroup, rng: random.Random
    ) -> None:
        """Call *listener* with what *reader* brings, in a task of *tasks*."""
        coroutine = self._calling(listener, reader, Retries(Backoff(), rng))
        self._tasks.append(tasks.create_task(coroutine, name="listener"))

    async def _calling(self, listener: Listener, reader: CandleReader, retries: Retries) -> None:
        while True:
            try:
                candle = await anext(reader)
            except StopAsyncIteration:
                return
            except StoreError as exc:  # it fell behind, and the store cannot be read back just now
                await asyncio.sleep(retries.failed(exc))
                continue
            retries.succeeded()
            try:
                result = listener(candle)
                if inspect.isawaitable(result):
                    await result
            except Exception:  # a host's code must not end the collector
                self.errors += 1
                log.exception("listener failed", extra={"series": str(candle.series)})

    def call_on_switch(self, listener: Callable[[Switch], None]) -> None:
        """Call *listener* whenever a series changes its route."""
        self._told_of_switches.append(listener)

    def tell_switch(self, switch: Switch) -> None:
        """Pass on that a series changed its route."""
        for listener in self._told_of_switches:
            try:
                listener(switch)
            except Exception:  # a host's code must not end the venue
                self.errors += 1
                log.exception("listener failed", extra={"series": str(switch.series)})

    # --------------------------------------------------------------------------------------------------- end

    def end(self) -> None:
        """Let all iterators stop once they have read what there is."""
        for reader in [*self._candles, *self._feeds]:
            reader.end()

    def leave(self) -> None:
        """Let all iterators stop once they have read what can be read: the store is closed next."""
        self.end()
        for reader in list(self._candles):
            reader.leave()

    async def ended(self) -> None:
        """Return when the functions were called with all that there was."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """End the calls of functions now."""
        for task in self._tasks:
            task.cancel()


def _attach(reader: AnyFeedReader, feed: Feed, only: Container[Series] | None, route: AnyFeedRoute) -> None:
    if route.series.what is feed and (only is None or route.series in only):
        route.attach(reader)
