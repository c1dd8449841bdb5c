"""Feeds sinks from the store: in order of commit, at least once, and nobody waits for them.

The store is read for every batch, also by a sink that keeps up: others may commit to it too, and what they
commit goes into the same sinks. So all that has to be remembered of a sink is one number, which the store
keeps beside the candles.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

import attrs

from wickwire.binding import described
from wickwire.clock import Clock, loop_s
from wickwire.errors import ConfigError, SinkError, StoreError
from wickwire.fanout import QuoteReader
from wickwire.model import SeriesCandle
from wickwire.news import CandleParked, SinkChanged, Tell
from wickwire.retry import Backoff, Retries
from wickwire.sink import Cursor, Parked, Poisoned, QuoteSink, Sink
from wickwire.store import Store

__all__ = ["MOST_PARKED", "Deliveries", "Delivery"]

log = logging.getLogger(__name__)

PAGE_ROWS: Final = 500
"""How many candles are put into a sink at once."""

PUT_S: Final = 60.0
"""A sink that answers nothing for so long is taken for one that is away."""

CLOSE_S: Final = 2.0
"""So long a collector that ends waits for a sink to be closed, and for its place to be kept."""

KEPT_S: Final = 1.0
"""How often the store is told how far a sink is, at most: after a death so much is put again."""

STRANGERS_S: Final = 10.0
"""How often is looked what other processes have committed to the same store, where nothing else wakes it."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

MOST_PARKED: Final = 100
"""A sink that refuses more than so many candles, each for itself, is one that does not work."""


class Delivery:
    """What goes into one sink.

    Attributes:
        name: Of the sink; the store keeps its cursor under this name.
        cursor: Up to where everything was put, and what was parked.
        delivered: How many candles it took since the start, repeats included.
        trouble: What it said last, while it takes nothing; empty when it works.
        quotes: The latest quotes that wait for it; None where it takes none.
    """

    def __init__(
        self, name: str, sink: Sink, store: Store, clock: Clock, rng: random.Random, tell: Tell
    ) -> None:
        """Feed *sink* from *store*; nothing happens before `open`."""
        self.name = name
        self.cursor = Cursor(seq=0)
        self.delivered = 0
        self.trouble = ""
        self.quotes = QuoteReader(name) if isinstance(sink, QuoteSink) else None
        self._sink = sink
        self._store = store
        self._clock = clock
        self._tell = tell
        self._retries = Retries(Backoff(first_s=0.5, cap_s=60.0), rng)
        self._quote_retries = Retries(Backoff(first_s=0.5, cap_s=10.0), rng)
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._last_seq = 0
        self._behind_since_s: float | None = None
        self._kept = self.cursor
        self._kept_s = 0.0
        self._quote_bug = False

    # ------------------------------------------------------------------------------------------ what is so

    @property
    def lag(self) -> int:
        """How many were committed since what it took last, at most: each revision counts."""
        return max(0, self._last_seq - self.cursor.seq)

    def behind_s(self, now_s: float) -> float | None:
        """Return for how many seconds something has waited without a pause; None where nothing does."""
        return None if self._behind_since_s is None else now_s - self._behind_since_s

    # --------------------------------------------------------------------------------------- begin and end

    async def open(self, start_seq: int) -> None:
        """Open the sink, and find out how far it is: one that is new begins behind *start_seq*.

        Raises:
            SinkError: It will not work until somebody mends what the text names.
            StoreError: Its cursor cannot be read.
        """
        await self._in_time(self._sink.open())
        known = (await self._store.cursors()).get(self.name)
        self.cursor = self._kept = known or Cursor(seq=start_seq)
        if known is None:  # also before the first candle: what comes while it is down is put when it is back
            await self._store.move(self.name, self.cursor)
        self._last_seq = max(start_seq, self.cursor.seq)

    async def close(self) -> None:
        """Keep how far it is, and close it; what fails now is said in the log alone."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._keep()
        except (StoreError, TimeoutError) as exc:
            log.warning("sink's place not kept", extra={"sink": self.name, "why": str(exc)})
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._sink.aclose()
        except (SinkError, TimeoutError) as exc:
            log.warning("sink not closed", extra={"sink": self.name, "why": str(exc)})
        except Exception:  # whatever it is, the store is still to be closed
            log.exception("sink has a bug", extra={"sink": self.name})

    def committed(self, news: Sequence[SeriesCandle]) -> None:
        """Note that there is something to put."""
        if news:
            self._last_seq = max(self._last_seq, news[-1].seq)
            if self._behind_since_s is None:
                self._behind_since_s = loop_s()
            self._idle.clear()
            self._more.set()

    async def drained(self) -> None:
        """Return when everything committed so far was put, or the sink is away."""
        if not self.trouble:
            await self._idle.wait()

    # --------------------------------------------------------------------------------------------- candles

    async def run(self) -> None:
        """Put what is committed, for ever."""
        parked = self.cursor.parked
        while True:
            self._more.clear()
            try:
                if parked:
                    await self._put_parked(parked)
                    parked = ()
                rows = await self._store.committed(self.cursor.seq, limit=PAGE_ROWS)
                if rows:
                    await self._put(rows)
                if self.cursor != self._kept and loop_s() >= self._kept_s + KEPT_S:
                    await self._keep()
            except (SinkError, StoreError) as exc:
                self._fails(str(exc))
                await asyncio.sleep(self._retries.failed(exc))
                continue
            self._works()
            if not rows:
                await self._rest()

    async def _rest(self) -> None:
        """Wait until something was committed, or may have been, or the cursor is to be kept."""
        if not self._more.is_set():
            self._behind_since_s = None
            self._idle.set()
        wait_s = STRANGERS_S if self.cursor == self._kept else KEPT_S
        try:
            async with asyncio.timeout(wait_s):
                await self._more.wait()
        except TimeoutError:
            pass

    async def _put(self, rows: Sequence[SeriesCandle]) -> None:
        """Put *rows* but for what is parked, and move on.

        Raises:
            SinkError: It is away. What it took of them is put again.
        """
        self._last_seq = max(self._last_seq, rows[-1].seq)
        parked = {one.seq for one in self.cursor.parked}
        wanted = [row for row in rows if row.seq not in parked]
        while wanted:
            poisoned = await self._refused(wanted)
            if not poisoned:
                break
            for row, why in poisoned:
                self._park(row, why)
            bad = {row.seq for row, _ in poisoned}
            wanted = [row for row in wanted if row.seq not in bad]
        self.delivered += len(wanted)
        self.cursor = attrs.evolve(self.cursor, seq=rows[-1].seq)

    async def _refused(self, rows: Sequence[SeriesCandle]) -> Sequence[tuple[SeriesCandle, str]]:
        """Put *rows*; return which of them it will never take, and why. Then the others are not in it yet."""
        try:
            await self._in_time(self._sink.put(rows))
        except Poisoned as exc:
            found = [row for row in rows if row.seq == exc.seq]
            if not found:
                raise SinkError(f"{exc} (it named the candle {exc.seq}, which was not put)") from exc
            return [(found[0], str(exc))]
        except SinkError:
            raise
        except Exception as exc:
            log.exception("sink has a bug", extra={"sink": self.name})
            if len(rows) == 1:
                return [(rows[0], described(exc))]
            return [bad for row in rows for bad in await self._refused([row])]
        return ()

    def _park(self, row: SeriesCandle, why: str) -> None:
        """Leave *row* out from now on.

        Raises:
            SinkError: It is one too many.
        """
        if len(self.cursor.parked) >= MOST_PARKED:
            raise SinkError(
                f"sink {self.name!r}: it refused {MOST_PARKED} candles, each for itself, so something else "
                f"is wrong with it; the next: {why}"
            )
        parked = Parked(series=row.series, open_ns=row.open_ns, seq=row.seq, why=why)
        self.cursor = attrs.evolve(self.cursor, parked=(*self.cursor.parked, parked))
        log.error("candle parked", extra={"sink": self.name, "series": str(row.series), "why": why})
        self._tell(
            CandleParked(
                sink=self.name,
                series=row.series,
                at_ns=self._clock.now_ns(),
                open_ns=row.open_ns,
                why=why,
            )
        )

    async def _put_parked(self, parked: Sequence[Parked]) -> None:
        """Try again, once a start, what was parked: the sink may have been mended."""
        left = []
        for one in parked:
            rows = await self._store.candles(one.series, one.open_ns, one.open_ns + 1, limit=1)
            if not rows or rows[0].seq != one.seq:
                continue  # it was revised, and the revision is put in its turn; or it is not stored any more
            refused = await self._refused(rows)
            left += [attrs.evolve(one, why=why) for _, why in refused]
            self.delivered += not refused
        self.cursor = attrs.evolve(self.cursor, parked=tuple(left))

    async def _keep(self) -> None:
        """Have the store keep the cursor, where it has moved."""
        if self.cursor != self._kept:
            moved = self.cursor
            await self._store.move(self.name, moved)
            self._kept, self._kept_s = moved, loop_s()

    async def _in_time(self, putting: Awaitable[None]) -> None:
        limit = asyncio.timeout(PUT_S)
        try:
            async with limit:
                await putting
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise SinkError(f"sink {self.name!r}: no answer within {PUT_S:g} s") from exc

    def _fails(self, why: str) -> None:
        self._idle.set()  # nobody waits for one that is away
        if why != self.trouble:
            log.warning("sink failed", extra={"sink": self.name, "why": why})
            self._change(why)

    def _works(self) -> None:
        self._retries.succeeded()
        if self.trouble:
            log.info("sink works again", extra={"sink": self.name})
            self._change("")

    def _change(self, trouble: str) -> None:
        self.trouble = trouble
        self._tell(SinkChanged(sink=self.name, at_ns=self._clock.now_ns(), trouble=trouble))

    # ---------------------------------------------------------------------------------------------- quotes

    async def run_quotes(self) -> None:
        """Put the latest quotes, for ever; newer ones replace those that wait while it is slow or away."""
        assert self.quotes is not None
        assert isinstance(self._sink, QuoteSink)
        while True:
            quotes = await self.quotes.gather()
            try:
                await self._in_time(self._sink.put_quotes(quotes))
            except SinkError as exc:
                self.quotes.give_back(quotes)
                await asyncio.sleep(self._quote_retries.failed(exc))
            except Exception:
                if not self._quote_bug:  # one line a change
                    log.exception("sink has a bug", extra={"sink": self.name})
                self._quote_bug = True
            else:
                self._quote_bug = False
                self._quote_retries.succeeded()


class Deliveries:
    """All sinks of one collector."""

    def __init__(self, clock: Clock, tell: Tell) -> None:
        """Begin with none."""
        self._clock = clock
        self._tell = tell
        self._tasks: list[asyncio.Task[None]] = []
        self.all: list[Delivery] = []

    async def open(
        self,
        sinks: Mapping[str, Sink],
        store: Store,
        start_seq: int,
        stack: AsyncExitStack,
        child_rng: Callable[[], random.Random],
    ) -> None:
        """Open *sinks*, to be closed by *stack*.

        Raises:
            ConfigError: A name is none that a store could keep.
            SinkError: As `Delivery.open` does.
            StoreError: The same.
        """
        for name, sink in sinks.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"sink {name!r:.80}: its name has to be of letters, digits, '-', '_' and '.', a letter "
                    "or digit first, 64 at most"
                )
            delivery = Delivery(name, sink, store, self._clock, child_rng(), self._tell)
            stack.push_async_callback(delivery.close)
            await delivery.open(start_seq)
            self.all.append(delivery)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to put."""
        for one in self.all:
            self._tasks.append(tasks.create_task(one.run(), name=f"sink {one.name}"))
            if one.quotes is not None:
                self._tasks.append(tasks.create_task(one.run_quotes(), name=f"quotes of sink {one.name}"))

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
        for task in self._tasks:
            task.cancel()
