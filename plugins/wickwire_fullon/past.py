"""The past as fullon collectors ask for it: `limit` rows, oldest first, or all there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar

import attrs

from wickwire import (
    DAY_NS,
    SECOND_NS,
    Clock,
    Collector,
    Series,
    SeriesCandle,
    Timeframe,
    Trade,
    TransportError,
    UsageError,
)
from wickwire_fullon.shapes import Row, placeholder, row_of, trade_row

__all__ = ["Past", "TradeCursor"]

LOOKS: Final = 8
"""How often it is looked further back for the newest candles: with the last one more than a week of minutes,
which is longer than any market is closed."""

EMPTY_PAGES: Final = 3
"""After so many it is asked when trading began: a host may ask for years of what is a month old."""

WIDER: Final = 4
"""How much further back each time."""

TOLD_S: Final = 2
"""Trades of the last seconds are not told: not all of them may be there yet."""

SKIPPED_NS: Final = SECOND_NS + 1_000_000
"""So much later than the last trade a collector goes on, at most; it reads milliseconds."""

T = TypeVar("T")


@attrs.define(eq=False)
class Past:
    """What a handler reads of the past.

    Attributes:
        collector: What asks the venue.
        clock: What says which bucket runs.
        patience_s: How long to wait for a venue that answers nobody.
        read_until_ns: By series: up to where the host has read closed candles.
        trade_cursors: By series: where its reading of trades ended.
    """

    collector: Collector
    clock: Clock
    patience_s: float
    read_until_ns: dict[Series, int] = attrs.field(factory=dict)
    trade_cursors: dict[Series, TradeCursor] = attrs.field(factory=dict)
    _waits: dict[asyncio.Timeout, None] = attrs.field(factory=dict)
    _ended: bool = False
    _idle: asyncio.Event = attrs.field(factory=asyncio.Event)

    def stop(self) -> None:
        """Let whoever reads be told at once that this ended."""
        self._ended = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(asyncio.get_running_loop().time())
        self._note_idle()

    async def stopped(self) -> None:
        """Return when nobody asks the venue any more."""
        await self._idle.wait()

    def _note_idle(self) -> None:
        if self._ended and not self._waits:
            self._idle.set()

    async def candles(self, series: Series, since_ns: int, limit: int) -> list[Row]:
        """Return the first *limit* closed candles from *since_ns* on, and fewer only where history ends.

        Raises:
            TransportError: The venue did not answer in time.
            PlanError: It serves no history for the series.
            VenueError: It refuses.
        """
        rows, reached_ns = await self._first(series, since_ns, limit, EMPTY_PAGES)
        if not rows and reached_ns is not None and series.timeframe.nominal_ns < DAY_NS:
            begin_ns = await self._begin(series, reached_ns)
            rows, reached_ns = await self._first(series, begin_ns, limit)
        if len(rows) >= limit:
            reached_ns = rows[limit - 1].close_ns
        self.read_until_ns[series] = max(reached_ns or 0, self.read_until_ns.get(series, 0))
        return [row_of(row) for row in rows[:limit]]

    async def _first(
        self, series: Series, since_ns: int, limit: int, most_empty: int | None = None
    ) -> tuple[list[SeriesCandle], int | None]:
        """Return at least *limit* candles, or all, and up to where was read.

        With *most_empty* only so many empty pages are read before the first candle.
        """
        rows: list[SeriesCandle] = []
        reached_ns, pages = None, 0
        async for page in self._patient(series, self.collector.walk(series, since_ns)):
            rows += page.candles
            reached_ns, pages = page.until_ns, pages + 1
            if len(rows) >= limit or (not rows and pages == most_empty):
                break
        return rows, reached_ns

    async def _begin(self, series: Series, since_ns: int) -> int:
        """Return from when on there may be candles, as days tell: of minutes that would be many pages."""
        days = attrs.evolve(series, what=Timeframe.parse("1d"))
        [plan] = self.collector.plan(days)
        if plan.support is None or not plan.support.rest:
            return since_ns
        found, reached_ns = await self._first(days, since_ns - DAY_NS, 1)
        first_ns = found[0].open_ns if found else (reached_ns or since_ns)
        return max(since_ns, first_ns - DAY_NS)

    async def newest(self, series: Series, limit: int) -> list[Row]:
        """Return the newest *limit* rows, of which the last one is not closed and all others are.

        Where nothing was traded in the running bucket yet, the last row is flat: collectors take the one
        before it for the newest that is closed. Raises as `candles`.
        """
        size_ns = series.timeframe.nominal_ns
        rows: list[SeriesCandle] = []
        running: SeriesCandle | None = None
        until_ns, span_ns = None, (limit + 1) * size_ns
        since_ns = self.clock.now_ns() - span_ns
        for _ in range(LOOKS):
            older: list[SeriesCandle] = []
            begins_ns = None
            walk = self.collector.walk(series, since_ns, until_ns, urgent=True)
            async for page in self._patient(series, walk):
                older += page.candles
                begins_ns = page.since_ns if begins_ns is None else begins_ns
                running = page.forming if until_ns is None else running
            rows = older + rows
            begun = begins_ns is None or begins_ns > since_ns + size_ns  # history reaches no further back
            if len(rows) >= max(limit - 1, 1) or begun:
                break
            span_ns *= WIDER
            until_ns, since_ns = since_ns, since_ns - span_ns
        told = [row_of(row) for row in rows]
        if running is not None:
            told.append(row_of(running))
        elif rows:
            told.append(placeholder(rows[-1], self.clock.now_ns()))
        return told[-limit:]

    async def trades(self, series: Series, since_ns: int, limit: int, symbol: str) -> list[dict[str, Any]]:
        """Return the first *limit* trades from *since_ns* on, and all others of the last one's instant.

        Who asks for what comes a second after the last one gets what comes after that one.

        Raises:
            TransportError: The venue did not answer in time.
            PlanError: It serves no trades of the past.
            VenueError: It refuses.
        """
        until_ns = (self.clock.now_ns() // SECOND_NS - TOLD_S) * SECOND_NS
        cursor = self.trade_cursors.setdefault(series, TradeCursor())
        since_ns = cursor.begin(since_ns)
        if since_ns >= until_ns:
            return []
        found: list[Trade] = []
        async for page in self._patient(series, self.collector.walk_trades(series, since_ns, until_ns)):
            found += page.trades
            if len(found) > limit and found[-1].time_ns > found[limit - 1].time_ns:
                break
        return [trade_row(trade, symbol) for trade in cursor.cut(found, limit)]

    async def _patient(self, series: Series, pages: AsyncGenerator[T]) -> AsyncGenerator[T]:
        """Yield *pages*, as long as one comes in time."""
        async with aclosing(pages):
            while True:
                try:
                    page = await self._next(pages)
                except StopAsyncIteration:
                    return
                except TimeoutError as exc:
                    if self._ended:
                        raise UsageError(
                            f"{series}: the facade was shut down meanwhile; get a handler again"
                        ) from exc
                    raise TransportError(
                        f"{series}: history did not answer within {self.patience_s:g} s; "
                        "it is asked again with the next call"
                    ) from exc
                yield page

    async def _next(self, pages: AsyncGenerator[T]) -> T:
        """Return the next page; raises TimeoutError where that takes too long, or this ended."""
        if self._ended:
            raise TimeoutError
        async with asyncio.timeout(None) as wait:
            patience = _Patience(wait, self.patience_s, self._answered)
            self._waits[wait] = None
            try:
                return await anext(pages)
            finally:
                patience.end()
                del self._waits[wait]
                self._note_idle()

    def _answered(self) -> int:
        """Return how many requests the venue has answered."""
        return sum(venue.requests - venue.failures for venue in self.collector.health().venues)


class _Patience:
    """Ends a waiting, unless the venue answers others meanwhile: then it is a matter of turns."""

    def __init__(self, wait: asyncio.Timeout, patience_s: float, answered: Callable[[], int]) -> None:
        self._wait = wait
        self._patience_s = patience_s
        self._answered = answered
        self._before = answered()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(patience_s, self._look)

    def _look(self) -> None:
        before, self._before = self._before, self._answered()
        if self._before > before:
            self._timer = self._loop.call_later(self._patience_s, self._look)
        else:
            self._wait.reschedule(self._loop.time())

    def end(self) -> None:
        self._timer.cancel()


@attrs.define
class TradeCursor:
    """Where a host's reading of trades ended. It goes on a second later, and would skip what lies between.

    Attributes:
        last_ns: When the last trade was that it was given; None before the first.
    """

    last_ns: int | None = None

    def begin(self, since_ns: int) -> int:
        """Return from when on to read: where it ended, if *since_ns* is not more than that second later."""
        if self.last_ns is not None and self.last_ns < since_ns <= self.last_ns + SKIPPED_NS:
            return self.last_ns + 1
        return since_ns

    def cut(self, trades: Sequence[Trade], limit: int) -> Sequence[Trade]:
        """Return the first *limit* trades, and what happened at the same instant as the last of them."""
        end = min(limit, len(trades))
        while 0 < end < len(trades) and trades[end].time_ns == trades[end - 1].time_ns:
            end += 1
        if end:
            self.last_ns = trades[end - 1].time_ns
        return trades[:end]
