"""Calls a host with the candles of one series: each once, after its close, and none before an older one.

The framework hands on a new close at once while an older hole heals. These hosts go on, after a restart, from
the newest candle that they stored: what would come late and be lost then, they would never ask for again. So
a candle waits here until nothing older is missing, or for as long as somebody is ready to wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Final

import attrs

from wickwire import SECOND_NS, CandleReader, Clock, HoleKind, Loaded, Series, SeriesCandle, iso
from wickwire_fullon.calling import HostCall
from wickwire_fullon.told_store import ToldStore

__all__ = ["CandleCalls"]

log = logging.getLogger(__name__)

LOOK_S: Final = 30.0
"""So long a candle that is held up waits at most until it is looked whether it still has to: a change of its
series is told at once, that time has passed is not."""

REMEMBERED: Final = 4_096
"""So many candles that were called back are known: a venue may bring one late that was proven never to be."""

_OPEN: Final = frozenset({HoleKind.MISSING, HoleKind.UNKNOWN})

ROWS: Final = 1_000


@attrs.define(eq=False)
class CandleCalls:
    """One function of the host, and how far it was called.

    Attributes:
        call: The function.
        series: What it is called with.
        store: Where the collector keeps it.
        reader: Wakes this whenever something is committed.
        clock: What stamps.
        since_ns: Candles that end later are called back.
        patience_s: How long a candle waits at most for older ones.
    """

    call: HostCall
    series: Series
    store: ToldStore
    reader: CandleReader
    clock: Clock
    since_ns: int
    patience_s: float
    _cursor_ns: int = attrs.field(init=False)
    _called: OrderedDict[int, None] = attrs.field(factory=OrderedDict)
    _held_since_ns: int | None = None
    _changed: bool = False
    _wait: asyncio.Timeout | None = None

    def __attrs_post_init__(self) -> None:
        """Begin with the bucket that may end first after *since_ns*."""
        self._cursor_ns = self.since_ns - self.series.timeframe.nominal_ns

    def end(self) -> None:
        """Call it no more; a call that is under way comes to its end."""
        self.call.ended = True
        self.reader.stop()

    async def run(self) -> None:
        """Call back until somebody ends it."""
        self.store.tell(self.series, self._note_change)
        try:
            await self._run()
        finally:
            self.store.forget_about(self.series, self._note_change)

    async def _run(self) -> None:
        while not self.call.ended:
            self._changed = False
            await self._advance()
            if self._changed and self._held_since_ns is not None:
                continue
            try:
                async with asyncio.timeout(self._wait_s()) as self._wait:
                    candle = await anext(self.reader)
            except TimeoutError:
                pass
            except StopAsyncIteration:
                return
            else:
                if candle.open_ns < self._cursor_ns and candle.open_ns not in self._called:
                    await self._give(candle)
            finally:
                self._wait = None

    def _note_change(self) -> None:
        """Look at once whether a candle that is held up still has to wait."""
        self._changed = True
        if self._wait is not None and self._held_since_ns is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())

    def _wait_s(self) -> float | None:
        """Return for how many seconds to wait for a candle; None where nothing is held up."""
        if self._held_since_ns is None:
            return None
        held_s = (self.clock.now_ns() - self._held_since_ns) / SECOND_NS
        return min(max(self.patience_s - held_s, 0.0), LOOK_S)

    async def _advance(self) -> None:
        """Call back what nothing older is missing of."""
        while not self.call.ended:
            known = await self.store.load(self.series)
            if known is None:
                return
            limit_ns, hole_ns = self._limit(known)
            rows = await self.store.candles(self.series, self._cursor_ns, limit_ns, limit=ROWS)
            for row in rows:
                self._cursor_ns = row.open_ns + 1
                await self._give(row)
            if len(rows) == ROWS:
                continue
            self._cursor_ns = max(self._cursor_ns, limit_ns)
            if hole_ns is None or not await self.store.candles(
                self.series, limit_ns, known.state.frontier_ns, limit=1
            ):
                self._held_since_ns = None
                return
            if not self._is_out_of_patience(limit_ns, hole_ns):
                return
            self._cursor_ns = hole_ns

    def _limit(self, known: Loaded) -> tuple[int, int | None]:
        """Return up to where nothing is missing, and where the first hole there ends, if there is one."""
        for hole in known.state.holes:
            if hole.kind in _OPEN and hole.until_ns > self._cursor_ns:
                return max(hole.since_ns, self._cursor_ns), hole.until_ns
        return max(known.state.frontier_ns, self._cursor_ns), None

    def _is_out_of_patience(self, since_ns: int, until_ns: int) -> bool:
        now_ns = self.clock.now_ns()
        if self._held_since_ns is None:
            self._held_since_ns = now_ns
        if now_ns - self._held_since_ns < self.patience_s * SECOND_NS:
            return False
        said = {"series": str(self.series), "since": iso(since_ns), "until": iso(until_ns)}
        log.warning("candles go before older ones that are missing", extra=said)
        self._held_since_ns = None
        return True

    async def _give(self, row: SeriesCandle) -> None:
        if row.close_ns <= self.since_ns or row.open_ns in self._called:
            return
        self._called[row.open_ns] = None
        while len(self._called) > REMEMBERED:
            self._called.popitem(last=False)
        await self.call(row)
