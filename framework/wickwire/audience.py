"""Who listens to one collector: iterators, and functions that are called. What reaches each is fanout's."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from wickwire.clock import Clock
from wickwire.errors import StoreError
from wickwire.fanout import AnyFeedReader, AnyFeedRoute, CandleReader, FeedReader, Reader
from wickwire.listener_errors import ListenerErrors
from wickwire.model import Feed, Series, SeriesCandle
from wickwire.news import ConsumerLoses, News, Switch, Tell
from wickwire.retry import Backoff, Retries

__all__ = ["Audience", "EventListener", "EventReader", "Listener"]

log = logging.getLogger(__name__)

T = TypeVar("T")

Listener = Callable[[SeriesCandle], Awaitable[None] | None]
"""What `Collector.on_candle` takes: a plain or an async function of one candle."""

EventListener = Callable[[News], Awaitable[None] | None]
"""What `Collector.on_event` takes: a plain or an async function of one event."""


class EventReader(Reader[News]):
    """An iterator over what changes in a collector, as it happens; a slow consumer loses the oldest."""


class Audience:
    """All who listen. Nobody is kept alive by it: an iterator that nobody holds any more is forgotten.

    Attributes:
        errors: How often a function of the host raised.
    """

    def __init__(self, clock: Clock, tell: Tell) -> None:
        """Start with nobody; *tell* is told when a consumer begins to lose, *clock* stamps that."""
        self._clock = clock
        self._tell = tell
        self._candles: WeakKeyDictionary[CandleReader, int] = WeakKeyDictionary()
        self._seats = 0
        self._wanting: dict[Series | None, WeakKeyDictionary[CandleReader, int]] = {}
        self._feeds: WeakKeyDictionary[AnyFeedReader, tuple[Feed, Container[Series] | None]]
        self._feeds = WeakKeyDictionary()
        self._events: WeakKeyDictionary[EventReader, None] = WeakKeyDictionary()
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._told_of_switches: dict[object, Callable[[Switch], None]] = {}
        self._names: Counter[str] = Counter()
        self.errors = 0

    def __len__(self) -> int:
        """Return how many iterators there are."""
        return len(self.readers)

    @property
    def readers(self) -> Sequence[Reader[SeriesCandle] | AnyFeedReader | EventReader]:
        """All iterators, those of functions too."""
        return [*self._candles, *self._feeds, *self._events]

    def name(self, kind: str, given: str) -> str:
        """Return the name of a new consumer: the *given* one, or else its kind and a number."""
        if given:
            return given
        self._names[kind] += 1
        return f"{kind} {self._names[kind]}"

    # --------------------------------------------------------------------------------------------- iterators

    def seat(self, reader: CandleReader) -> None:
        """Let *reader* have what is committed from now on."""
        reader.loses = self._loses
        self._seats += 1
        self._candles[reader] = self._seats
        for series in (None,) if reader.series is None else reader.series:
            self._wanting.setdefault(series, WeakKeyDictionary())[reader] = self._seats

    def deliver(self, news: Sequence[SeriesCandle]) -> None:
        """Pass on what was just committed to those who want it, in the order in which they came."""
        wanting = self._wanting
        held = [wanting.get(series) for series in (None, *{candle.series: None for candle in news})]
        seats = {reader: seat for some in held if some for reader, seat in some.items()}
        for reader in sorted(seats, key=seats.__getitem__):
            reader.deliver(news)

    def attach(
        self,
        reader: AnyFeedReader,
        feed: Feed,
        only: Container[Series] | None,
        routes: Iterable[AnyFeedRoute],
    ) -> None:
        """Let *reader* hear the routes of *feed*, now and to come; *only* None means all of them."""
        reader.loses = self._loses
        self._feeds[reader] = feed, only
        for route in routes:
            _attach(reader, feed, only, route)

    def connect(self, route: AnyFeedRoute) -> None:
        """Let a new route be heard by whoever wants it."""
        for reader, (feed, only) in self._feeds.items():
            _attach(reader, feed, only, route)

    def listen(self, reader: EventReader) -> None:
        """Let *reader* have what happens from now on."""
        reader.loses = self._loses
        self._events[reader] = None

    @property
    def listens(self) -> bool:
        """Whether somebody wants to know what happens."""
        return bool(self._events)

    def hear(self, one: News) -> None:
        """Pass on what happened."""
        for reader in list(self._events):
            reader.put(None, one)
        if isinstance(one, Switch):
            self._tell_switch(one)

    def _loses(self, reader: Reader[Any]) -> None:
        """Tell that a consumer begins to lose; who loses that very news knows it without."""
        self._tell(
            ConsumerLoses(
                consumer=reader.name,
                at_ns=self._clock.now_ns(),
                policy=reader.policy,
                bound=reader.bound,
                dropped=reader.dropped,
            )
        )

    # --------------------------------------------------------------------------------------------- functions

    def call(
        self,
        listener: Callable[[T], Awaitable[None] | None],
        reader: Reader[T],
        tasks: asyncio.TaskGroup,
        rng: random.Random,
    ) -> Callable[[], None]:
        """Call *listener* with what *reader* brings, in a task of *tasks*; return what ends that."""
        reader.errors = ListenerErrors(reader.name)
        coroutine = self._calling(listener, reader, reader.errors, Retries(Backoff(), rng))
        task = tasks.create_task(coroutine, name=f"listener {reader.name}")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

        def stop() -> None:
            reader.stop()
            self._forget(reader)

        return stop

    def _forget(self, reader: Reader[Any]) -> None:
        """Drop what somebody may still hold, though it takes nothing any more."""
        if isinstance(reader, CandleReader):
            self._candles.pop(reader, None)
            for series in (None,) if reader.series is None else reader.series:
                self._wanting[series].pop(reader, None)
        elif isinstance(reader, FeedReader):
            self._feeds.pop(reader, None)
        elif isinstance(reader, EventReader):
            self._events.pop(reader, None)

    async def _calling(
        self,
        listener: Callable[[T], Awaitable[None] | None],
        reader: Reader[T],
        errors: ListenerErrors,
        retries: Retries,
    ) -> None:
        while True:
            try:
                item = await anext(reader)
            except StopAsyncIteration:
                return
            except StoreError as exc:  # it fell behind, and the store cannot be read back just now
                await asyncio.sleep(retries.failed(exc))
                continue
            retries.succeeded()
            try:
                result = listener(item)
                if inspect.isawaitable(result):
                    await result
            except Exception as exc:  # noqa: BLE001 - a host's code must not end the collector
                self.errors += 1
                errors.raised(exc, item)
            else:
                errors.went_well()

    def call_on_switch(self, listener: Callable[[Switch], None]) -> Callable[[], None]:
        """Call *listener* whenever a series changes its route; return what ends that."""
        key = object()  # the same function may listen twice
        self._told_of_switches[key] = listener

        def stop() -> None:
            self._told_of_switches.pop(key, None)

        return stop

    def _tell_switch(self, switch: Switch) -> None:
        for listener in list(self._told_of_switches.values()):
            try:
                listener(switch)
            except Exception:  # a host's code must not end the venue
                self.errors += 1
                log.exception("listener failed", extra={"series": str(switch.series)})

    # --------------------------------------------------------------------------------------------------- end

    def end(self) -> None:
        """Let all iterators stop once they have read what there is."""
        for reader in self.readers:
            reader.end()

    def leave(self) -> None:
        """Let all iterators stop once they have read what can be read: the store is closed next."""
        self.end()
        for reader in list(self._candles):
            reader.leave()

    async def ended(self) -> None:
        """Return when the functions were called with all that there was, but for one that asks for this."""
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others)

    def cancel(self) -> None:
        """End the calls of functions now."""
        for task in list(self._tasks):
            task.cancel()


def _attach(reader: AnyFeedReader, feed: Feed, only: Container[Series] | None, route: AnyFeedRoute) -> None:
    if route.series.what is feed and (only is None or route.series in only):
        route.attach(reader)
