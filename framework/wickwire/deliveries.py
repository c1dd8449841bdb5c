"""All sinks of one collector: their candles, by `delivery`, and the latest quotes of those that take them."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from wickwire.clock import Clock
from wickwire.delivery import Delivery
from wickwire.errors import ConfigError, SinkError
from wickwire.fanout import QuoteReader
from wickwire.model import SeriesCandle
from wickwire.news import SinkChanged, Tell
from wickwire.retry import Backoff, Retries
from wickwire.scope import children, closed
from wickwire.sink import Follower, Sink
from wickwire.sink_calls import CLOSE_S, LEAVE_S, SinkBug, SinkCalls
from wickwire.store import Store

__all__ = ["Deliveries", "QuoteDelivery"]

log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class QuoteDelivery:
    """The latest quotes that go into one sink. What is replaced while it is slow or away is not put.

    Attributes:
        quotes: Those that wait for it.
        trouble: What it said last, while it takes none; empty when it does.
    """

    def __init__(self, calls: SinkCalls, clock: Clock, rng: random.Random, tell: Tell) -> None:
        """Put quotes by *calls*."""
        self.quotes = QuoteReader(calls.name)
        self.trouble = ""
        self._calls = calls
        self._clock = clock
        self._tell = tell
        self._retries = Retries(Backoff(first_s=0.5, cap_s=10.0), rng)

    async def run(self) -> None:
        """Put what comes, for ever."""
        while True:
            quotes = await self.quotes.gather()
            try:
                await self._calls.put_quotes(quotes)
            except SinkError as exc:
                self.quotes.give_back(quotes)
                self._say(str(exc))
                await asyncio.sleep(self._retries.failed(exc))
            except SinkBug as exc:  # the next ones may be others
                error = SinkError(self._calls.said(f"it has a bug: {exc}"))
                self._say(str(error))
                await asyncio.sleep(self._retries.failed(error))
            else:
                self._retries.succeeded()
                self._say("")

    def _say(self, trouble: str) -> None:
        """Tell what is wrong, or that nothing is any more, where that is news."""
        if trouble == self.trouble:
            return
        self.trouble = trouble
        said = {"sink": self._calls.name, "why": trouble}
        log.log(
            logging.WARNING if trouble else logging.INFO,
            "sink takes no quotes" if trouble else "sink takes quotes again",
            extra=said,
        )
        what = f"quotes: {trouble}" if trouble else ""
        self._tell(SinkChanged(sink=self._calls.name, at_ns=self._clock.now_ns(), trouble=what))


class Deliveries:
    """What feeds the sinks of a collector.

    Attributes:
        all: Their candles, in the order in which they were named.
        quotes: Their quotes, by name.
    """

    def __init__(self, clock: Clock, tell: Tell) -> None:
        """Begin with none."""
        self._clock = clock
        self._tell = tell
        self._calls: dict[str, SinkCalls] = {}
        self._tasks: list[tuple[asyncio.Task[None], SinkCalls]] = []
        self.all: list[Delivery] = []
        self.quotes: dict[str, QuoteDelivery] = {}

    async def open(
        self,
        sinks: Mapping[str, Sink | Follower],
        store: Store,
        start_seq: int,
        stack: AsyncExitStack,
        child_rng: Callable[[], random.Random],
    ) -> None:
        """Open *sinks*, to be closed by *stack*; those of before are forgotten.

        Raises:
            ConfigError: A name is none that a store could keep.
            SinkError: As `Delivery.open` does.
            StoreError: The same.
        """
        self.all, self.quotes, self._calls, self._tasks = [], {}, {}, []
        stack.push_async_callback(closed, self._close)
        for name, sink in sinks.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"sink {name!r:.80}: its name has to be of letters, digits, '-', '_' and '.', a letter "
                    "or digit first, 64 at most"
                )
            calls = self._calls[name] = SinkCalls(name, sink)
            delivery = Delivery(calls, store, self._clock, child_rng(), self._tell)
            self.all.append(delivery)
            await delivery.open(start_seq)
            if calls.takes_quotes:
                self.quotes[name] = QuoteDelivery(calls, self._clock, child_rng(), self._tell)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to put."""
        for one in self.all:
            task = tasks.create_task(one.run(), name=f"sink {one.name}")
            self._tasks.append((task, self._calls[one.name]))
        for name, quotes in self.quotes.items():
            task = tasks.create_task(quotes.run(), name=f"quotes of sink {name}")
            self._tasks.append((task, self._calls[name]))

    def committed(self, news: Sequence[SeriesCandle]) -> None:
        """Note what was just committed."""
        for one in self.all:
            one.committed(news)

    async def drained(self) -> None:
        """Return when everything committed so far is in every sink that takes anything."""
        for one in self.all:
            await one.drained()

    def cancel(self) -> None:
        """Put nothing any more."""
        for task, _ in self._tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(LEAVE_S, _leave, self._tasks)

    async def _close(self) -> None:
        """Close all together, in the time there is."""
        try:
            async with asyncio.timeout(CLOSE_S), children() as tasks:
                for one in self.all:
                    tasks.create_task(one.close(), name=f"close sink {one.name}")
        except TimeoutError:
            log.warning("sinks not closed", extra={"why": f"they took longer than {CLOSE_S:g} s"})


def _leave(tasks: Sequence[tuple[asyncio.Task[None], SinkCalls]]) -> None:
    """Let go of those of *tasks* that go on although they were told to end."""
    for task, calls in tasks:
        if not task.done():
            calls.leave()
            task.cancel()
