"""Feeds sinks from the store: in order of commit, at least once, and nobody waits for them.

The store is read for every batch, also by a sink that keeps up: others may commit to it too, and what they
commit goes into the same sinks. So all that has to be remembered of a sink is one number, which the store
keeps beside the candles.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Sequence
from typing import Final

import attrs

from wickwire.clock import Clock, loop_s
from wickwire.errors import SinkError, StoreError
from wickwire.model import Series, SeriesCandle
from wickwire.news import CandleParked, SinkChanged, Tell
from wickwire.retry import Backoff, Retries
from wickwire.sink import Cursor, Lost, Parked, Poisoned
from wickwire.sink_calls import SinkBug, SinkCalls, clean
from wickwire.store import Store

__all__ = ["Delivery"]

log = logging.getLogger(__name__)

PAGE_ROWS: Final = 500
"""How many candles are put into a sink at once."""

KEPT_S: Final = 1.0
"""How often the store is told how far a sink is, at most: after a death so much is put again."""

STRANGERS_S: Final = 10.0
"""How often is looked what other processes have committed to the same store, where nothing else wakes it."""

AGAIN_ROWS: Final = 100_000
"""So many are put again within seconds, and are more than a day of fifty series of minutes."""

STEADY_S: Final = 600.0
"""A sink that loses candles a second time within this is one that does not work, and is waited for."""

SOUGHT_ROWS: Final = 5_000
"""So many are read at once to find a candle of another series, which tells whether the sink works."""


class Delivery:
    """What goes into one sink.

    Attributes:
        name: Of the sink; the store keeps its cursor under this name.
        cursor: Up to where everything was put, and what was parked.
        delivered: How many candles it took since the start, repeats included.
        trouble: What it said last, while it takes nothing; empty when it works.
        again_rows: How many of the newest commits are put again at most where it has lost them.
    """

    def __init__(self, calls: SinkCalls, store: Store, clock: Clock, rng: random.Random, tell: Tell) -> None:
        """Feed a sink by *calls* from *store*; nothing happens before `open`."""
        self.name = calls.name
        self.cursor = Cursor(seq=0)
        self.delivered = 0
        self.trouble = ""
        self.again_rows = AGAIN_ROWS
        self._calls = calls
        self._store = store
        self._clock = clock
        self._tell = tell
        self._retries = Retries(Backoff(first_s=0.5, cap_s=60.0), rng)
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._last_seq = 0
        self._behind_since_s: float | None = None
        self._kept = self.cursor
        self._kept_s = 0.0
        self._bug = ""
        self._losses = Retries(Backoff(first_s=0.5, cap_s=60.0), rng)
        self._steady_s = -math.inf
        self._sought: tuple[frozenset[Series], int] = frozenset(), 0

    # ------------------------------------------------------------------------------------------ what is so

    @property
    def lag(self) -> int:
        """How many were committed since what it took last, at most: each revision counts."""
        return max(0, self._last_seq - self.cursor.seq)

    def behind_s(self, now_s: float) -> float | None:
        """Return for how many seconds something has waited without a pause; None where nothing does."""
        return None if self._behind_since_s is None else now_s - self._behind_since_s

    # ---------------------------------------------------------------------------------------- begin and end

    async def open(self, start_seq: int) -> None:
        """Open the sink, and find out how far it is: one that is new begins behind *start_seq*.

        Raises:
            SinkError: It will not work until somebody mends what the text names.
            StoreError: Its cursor cannot be read.
        """
        await self._calls.open()
        known = (await self._store.cursors()).get(self.name)
        self.cursor = self._kept = known or Cursor(seq=start_seq)
        if known is None:  # also before the first candle: what comes while it is down is put when it is back
            await self._store.move(self.name, self.cursor)
        self._see(max(start_seq, self.cursor.seq))

    async def close(self) -> None:
        """Keep how far it is, and close it; what fails now is said in the log alone."""
        try:
            await self._keep()
        except StoreError as exc:
            log.warning("sink's place not kept", extra={"sink": self.name, "why": str(exc)})
        try:
            await self._calls.close()
        except SinkError as exc:
            log.warning("sink not closed", extra={"sink": self.name, "why": str(exc)})

    def committed(self, news: Sequence[SeriesCandle]) -> None:
        """Note that there is something to put."""
        if news:
            self._see(news[-1].seq)
            self._idle.clear()
            self._more.set()

    def _see(self, seq: int) -> None:
        """Note that so much was committed."""
        self._last_seq = max(self._last_seq, seq)
        if not self.lag:
            self._behind_since_s = None
        elif self._behind_since_s is None:
            self._behind_since_s = loop_s()

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
                last_seq = await self._looked()
                if parked:
                    await self._put_parked(parked)
                    parked = ()
                rows = await self._store.committed(self.cursor.seq, limit=PAGE_ROWS)
                if self._calls.follows:
                    await self._follow(rows)
                elif rows:
                    await self._put(rows)
                if not rows and last_seq > self.cursor.seq:  # what was there is gone, by retention
                    self._move(last_seq)
            except Lost as exc:
                await self._go_back(exc)
                continue
            except (SinkError, StoreError) as exc:
                self._fails(str(exc))
                await asyncio.sleep(self._retries.failed(exc))
                continue
            self._works()
            if loop_s() >= self._kept_s + KEPT_S:
                await self._keep_if_possible()
            if len(rows) < PAGE_ROWS:  # a full page has another behind it
                await self._rest()

    async def _looked(self) -> int:
        """Return the last `seq` of the store; where that is behind the cursor, the store has lost commits."""
        last_seq = await self._store.last_seq()
        if last_seq < self.cursor.seq:
            known = (await self._store.cursors()).get(self.name) or Cursor(seq=0)
            said = {"sink": self.name, "before": str(self.cursor.seq), "seq": str(known.seq)}
            log.warning("store lost commits, the sink goes back", extra=said)
            self.cursor, self._kept, self._last_seq = known, known, last_seq
            self._sought = frozenset(), 0
        self._see(last_seq)
        return last_seq

    async def _go_back(self, lost: Lost) -> None:
        """Put again what the sink has lost; one that loses it again and again is given time."""
        now_s, before = loop_s(), self.cursor.seq
        seq = min(before, max(lost.seq, before - self.again_rows, 0))
        self.cursor = attrs.evolve(self.cursor, seq=seq)
        self._idle.clear()
        self._see(self._last_seq)
        said = {"sink": self.name, "before": str(before), "seq": str(seq), "why": clean(str(lost))}
        log.warning("sink lost candles, they are put again", extra=said)
        is_first, self._steady_s = now_s >= self._steady_s, now_s + STEADY_S
        if is_first:
            self._losses.succeeded()
        else:
            self._fails(str(lost))
            await asyncio.sleep(self._losses.failed(lost))

    async def _rest(self) -> None:
        """Wait until something was committed, or may have been, or the cursor is to be kept."""
        if not self._more.is_set():
            self._idle.set()
        wait_s = STRANGERS_S if self.cursor == self._kept else KEPT_S
        try:
            async with asyncio.timeout(wait_s):
                await self._more.wait()
        except TimeoutError:
            pass

    async def _follow(self, rows: Sequence[SeriesCandle]) -> None:
        """Have a follower take *rows*, and move on; where there are none it still hears that this is all."""
        whole = len(rows) < PAGE_ROWS
        await self._calls.follow(self._store, rows, after_seq=self.cursor.seq, whole=whole)
        if rows:
            self.delivered += len(rows)
            self._move(rows[-1].seq)

    async def _put(self, rows: Sequence[SeriesCandle]) -> None:
        """Put *rows* but for what is parked, and move on.

        Raises:
            SinkError: It is away. What it took of them is put again.
        """
        parked = {one.seq for one in self.cursor.parked}
        wanted = [row for row in rows if row.seq not in parked]
        while wanted:
            try:
                await self._put_once(wanted)
                break
            except Poisoned as exc:
                [row] = [row for row in wanted if row.seq == exc.seq]
                self._refuse(row, str(exc))
                wanted.remove(row)
            except SinkBug as bug:
                await self._put_one_by_one(wanted, bug)
                break
        self._move(rows[-1].seq)

    async def _put_once(self, rows: Sequence[SeriesCandle]) -> None:
        """Put *rows*; raises as `SinkCalls.put` does."""
        await self._calls.put(rows)
        self.delivered += len(rows)

    async def _put_one_by_one(self, rows: Sequence[SeriesCandle], bug: SinkBug) -> None:
        """Find out on which of *rows* the sink fails, and take the others in their order.

        Raises:
            SinkError: It is away, or fails on whatever it is given.
        """
        if str(bug) != self._bug:  # one line a change
            self._bug = str(bug)
            log.error("sink has a bug", extra={"sink": self.name, "why": self._bug})
        bad: list[tuple[SeriesCandle, str]] = []
        for row in rows:
            try:
                await self._put_once([row])
            except Poisoned as exc:
                self._refuse(row, str(exc))
            except SinkBug as exc:
                bad.append((row, str(exc)))
        if len(bad) == len(rows) and not await self._takes_another(rows):
            raise SinkError(self._calls.said(f"it fails on every candle: {bug}"))
        for row, why in bad:
            self._refuse(row, why)

    async def _takes_another(self, rows: Sequence[SeriesCandle]) -> bool:
        """Say whether it takes the next candle of a series that is none of those of *rows*."""
        other = await self._another(rows)
        try:
            if other is not None:
                await self._put_once([other])
        except (Poisoned, SinkBug):
            return False
        return other is not None

    async def _another(self, rows: Sequence[SeriesCandle]) -> SeriesCandle | None:
        """Return the next candle of a series that is none of those of *rows*, however far it is.

        What lies between may be years of one series, so nobody reads that twice.
        """
        series, (sought, seq) = frozenset(row.series for row in rows), self._sought
        seq = max(seq, rows[-1].seq) if series == sought else rows[-1].seq
        while later := await self._store.committed(seq, limit=SOUGHT_ROWS):
            other = next((row for row in later if row.series not in series), None)
            if other is not None:
                return other
            seq = later[-1].seq
            self._sought = series, seq
        return None

    def _refuse(self, row: SeriesCandle, why: str) -> None:
        """Leave *row* out from now on."""
        why = clean(why)
        parked = Parked(series=row.series, open_ns=row.open_ns, seq=row.seq, why=why)
        self.cursor = self.cursor.park(parked)
        if not self.cursor.left_out:  # a sink that never takes a series would fill the log
            log.error("candle parked", extra={"sink": self.name, "series": str(row.series), "why": why})
        elif self.cursor.left_out == 1:
            log.error("more candles parked", extra={"sink": self.name, "why": "health().sinks has how many"})
        now_ns = self._clock.now_ns()
        self._tell(
            CandleParked(sink=self.name, series=row.series, at_ns=now_ns, open_ns=row.open_ns, why=why)
        )

    async def _put_parked(self, parked: Sequence[Parked]) -> None:
        """Try again, once a start, what was parked: the sink may have been mended."""
        left = []
        for one in parked:
            rows = await self._store.candles(one.series, one.open_ns, one.open_ns + 1, limit=1)
            if not rows or rows[0].seq != one.seq:
                continue  # it was revised, and the revision is put in its turn; or it is not stored any more
            try:
                await self._put_once(rows)
            except (Poisoned, SinkBug) as exc:
                left.append(attrs.evolve(one, why=clean(str(exc))))
        self.cursor = attrs.evolve(self.cursor, parked=tuple(left))

    def _move(self, seq: int) -> None:
        self.cursor = attrs.evolve(self.cursor, seq=seq)
        self._see(seq)

    async def _keep_if_possible(self) -> None:
        """Have the store keep the cursor; where it does not, nothing waits for that."""
        try:
            await self._keep()
        except StoreError as exc:
            log.warning("sink's place not kept", extra={"sink": self.name, "why": str(exc)})
            self._kept_s = loop_s()

    async def _keep(self) -> None:
        """Have the store keep the cursor, where it has moved."""
        if self.cursor != self._kept:
            moved = self.cursor
            await self._store.move(self.name, moved)
            self._kept, self._kept_s = moved, loop_s()

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
