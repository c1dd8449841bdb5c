"""Walks through a venue's history of one series, oldest first, a page at a time; nothing of it is kept.

`Collector.history` makes a store whole and reads that. Who keeps candles elsewhere, and asks for some of the
past now and then, wants neither all that lies between then and the present, nor a second copy.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import attrs

from wickwire.adapter import Adapter
from wickwire.breaker import Asker
from wickwire.budget import Priority
from wickwire.clock import Clock, loop_s
from wickwire.conversation import OhlcvQuery, Page, Stopped, TradePage, TradeQuery
from wickwire.description import Account, OhlcvSupport
from wickwire.errors import FaultKind, PlanError, RestAway, VenueError, WickwireError
from wickwire.folding import SeriesHistory
from wickwire.history import FetchedPage, History
from wickwire.laws import broken_law
from wickwire.model import (
    HOUR_NS,
    SECOND_NS,
    Candle,
    Evidence,
    Finality,
    Rung,
    Series,
    SeriesCandle,
    Trade,
    iso,
)
from wickwire.retry import Advice, Backoff, Retries, advise
from wickwire.store import Closing, forming, settled

__all__ = ["CandleWalk", "PastCandles", "PastTrades", "TradePages", "TradeWalk", "trade_page"]

log = logging.getLogger(__name__)

BARREN: Final = 5
"""So often a page may prove nothing; then it is left out, as asking on would never end."""

PRESENTS: Final = 3
"""So many pages may reach the present as it was when they were asked for. It goes on while one waits for its
turn, and there would be another page for ever."""

LONGEST_SPAN_NS: Final = 24 * HOUR_NS
FIRST_SPAN_NS: Final = HOUR_NS
SHORTEST_SPAN_NS: Final = SECOND_NS
"""Trades are asked for in spans of time: of a busy hour a venue may tell the newest alone."""

R = TypeVar("R")

TradePages = Callable[[TradeQuery, Asker, Priority], Awaitable[TradePage]]
"""Asks a venue for one page of trades."""


@attrs.frozen(kw_only=True)
class PastCandles:
    """One page of the past of a candle series.

    Attributes:
        candles: Closed ones, oldest first, each once in a walk; what lies between two of them is empty.
        forming: The newest that is not closed yet, where the page reaches it.
        since_ns: The page tells of buckets that open from here on. Where that is later than the end of the
            page before, the venue's history does not hold what lies between.
        until_ns: And before this.
        last: Nothing follows: the end was reached, or the present.
    """

    candles: Sequence[SeriesCandle]
    forming: SeriesCandle | None
    since_ns: int
    until_ns: int
    last: bool


@attrs.frozen(kw_only=True)
class PastTrades:
    """One page of the past of a trades series.

    Attributes:
        trades: Oldest first, each once in a walk.
        since_ns: The page tells of what happened from here on; as in `PastCandles`.
        until_ns: And before this.
        last: Nothing follows: the end was reached, or the present.
    """

    trades: Sequence[Trade]
    since_ns: int
    until_ns: int
    last: bool


@attrs.define(eq=False)
class _Asking:
    """Asks one page after the other, again and again until it comes."""

    series: Series
    backoff: Backoff
    rng: random.Random
    check_running: Callable[[], None]
    asker: Asker = attrs.field(init=False)
    _again: asyncio.Event = attrs.field(factory=asyncio.Event)
    _retries: Retries = attrs.field(init=False)
    _barren: int = 0

    def __attrs_post_init__(self) -> None:
        """Begin with nothing that failed."""
        self._retries = Retries(self.backoff, self.rng)
        self.asker = Asker(name=f"walk {id(self)}", symbol=self.series.symbol, again=self._call)

    def _call(self) -> bool:
        self._again.set()
        return True

    async def page(self, ask: Callable[[], Awaitable[R]]) -> R:
        """Return what *ask* brings, as soon as the venue answers.

        Raises:
            UsageError: The collector does not run any more.
            VenueError: The venue refuses, and asking again will not help.
            PluginError: The adapter broke its contract.
        """
        while True:
            self.check_running()
            self._again.clear()
            try:
                answer = await ask()
            except WickwireError as exc:
                if advise(exc) is Advice.FIX:
                    raise
                wait_s = max(exc.retry_after_s or 0.0, 1.0) if isinstance(exc, RestAway) else 0.0
                wait_s = wait_s or self._retries.failed(exc)
                log.info("history waits", extra={"series": str(self.series), "why": str(exc)})
                try:
                    async with asyncio.timeout(wait_s):
                        await self._again.wait()
                except TimeoutError:
                    pass
            else:
                self._retries.succeeded()
                return answer

    async def barren(self, since_ns: int, until_ns: int) -> int:
        """Wait after a page that proved nothing; return where to go on: there, or after too many, beyond."""
        self._barren += 1
        error = VenueError(FaultKind.OUTAGE, f"{self.series}: history proves nothing")
        if self._barren < BARREN:
            await asyncio.sleep(self._retries.failed(error))
            return since_ns
        self._barren = 0
        told = {"series": str(self.series), "since": iso(since_ns), "until": iso(until_ns)}
        log.warning("history proves nothing", extra=told)
        return until_ns

    def fruitful(self) -> None:
        """Note that a page proved something."""
        self._barren = 0


@attrs.frozen(eq=False)
class CandleWalk:
    """One walk through the candles of one series.

    Attributes:
        series: Whose.
        support: What its venue serves.
        history: What is asked.
        clock: What stamps.
        rng: Where jitter comes from.
        backoff: How long to wait between attempts.
        priority: Who goes first where requests are scarce.
        check_running: Raises UsageError where the collector has ended.
    """

    series: Series
    support: OhlcvSupport
    history: Callable[[Asker], SeriesHistory]
    clock: Clock
    rng: random.Random
    backoff: Backoff
    priority: Priority
    check_running: Callable[[], None]

    async def pages(self, since_ns: int, until_ns: int) -> AsyncGenerator[PastCandles]:
        """Yield what opens in `[since_ns, until_ns)`; the last page says so. Raises as `_Asking.page`."""
        asking = _Asking(self.series, self.backoff, self.rng, self.check_running)
        history, timeframe = self.history(asking.asker), self.series.timeframe
        size_ns = timeframe.nominal_ns
        now_ns = history.clocks.at_venue_ns(self.clock.now_ns(), loop_s())
        cursor_ns, presents = self._first_from(max(since_ns, self._reach_ns(now_ns))), 0
        while True:
            now_ns = history.clocks.at_venue_ns(self.clock.now_ns(), loop_s())
            end_ns = min(until_ns, now_ns + size_ns)
            if cursor_ns >= end_ns:
                yield PastCandles(candles=(), forming=None, since_ns=cursor_ns, until_ns=cursor_ns, last=True)
                return
            query = OhlcvQuery(
                symbol=self.series.symbol,
                timeframe=timeframe,
                since_ns=cursor_ns,
                until_ns=min(end_ns, cursor_ns + self.support.page_rows * size_ns),
                now_ns=now_ns,
            )
            fetched = await asking.page(partial(history.page, query, self.priority))
            present = query.until_ns >= min(end_ns, query.now_ns)
            presents += present
            told = self._told(query, fetched, until_ns)
            if present and presents == PRESENTS:
                told = attrs.evolve(told, last=True)
            if told.until_ns == cursor_ns and not told.last:
                cursor_ns = await asking.barren(query.since_ns, query.until_ns)
                continue
            asking.fruitful()
            cursor_ns = told.until_ns
            yield told
            if told.last:
                return

    def _reach_ns(self, now_ns: int) -> int:
        """Return how far back history reaches: no page need be asked for before."""
        support = self.support
        depths = [
            support.depth_rows and support.depth_rows * self.series.timeframe.nominal_ns,
            support.depth_s and round(support.depth_s * SECOND_NS),
        ]
        known = [depth for depth in depths if depth]
        # a clock of ours that is behind, or a bucket more than documented, costs one page
        return now_ns - min(known) - self.series.timeframe.nominal_ns if known else 0

    def _first_from(self, since_ns: int) -> int:
        """Return the first open time at or after *since_ns*, as far as the grid says it."""
        timeframe, grid = self.series.timeframe, self.support.grid
        try:
            open_ns = timeframe.open_at(since_ns, grid)
        except ValueError:
            return since_ns
        return since_ns if open_ns == since_ns else timeframe.close_of(open_ns, grid)

    def _settled_until(self, settled_ns: int) -> int:
        """Return up to where every bucket is over and settled."""
        timeframe = self.series.timeframe
        try:
            return timeframe.open_at(settled_ns, self.support.grid)
        except ValueError:
            return settled_ns - timeframe.nominal_ns + 1

    def _told(self, query: OhlcvQuery, fetched: FetchedPage, end_ns: int) -> PastCandles:
        """Return what one page tells beyond the cursor, which is the begin of *query*."""
        page, settled_ns = fetched.page, fetched.as_of_ns - round(self.support.settle_s * SECOND_NS)
        since_ns, until_ns = page.covered
        head_ns = query.since_ns
        if page.stopped is not Stopped.UNTIL:  # nothing can be had before it
            head_ns = max(head_ns, min(since_ns, query.until_ns))
        # what is not settled may still get a candle, also where it has none yet
        until_ns = min(until_ns, query.until_ns, self._settled_until(settled_ns))
        until_ns = max(head_ns, until_ns) if since_ns <= head_ns else head_ns
        rows = [row for row in self._sound(page) if head_ns <= row.open_ns < query.until_ns]
        over = [row for row in rows if row.finality is not Finality.FORMING and row.close_ns <= settled_ns]
        closed = [row for row in over if row.open_ns < until_ns]
        for row in over[len(closed) :]:  # of the last bucket a page may say less than its rows do
            if row.open_ns != until_ns:
                break
            closed.append(row)
            until_ns = row.close_ns
        reached = query.until_ns >= min(end_ns, fetched.as_of_ns)  # the present may have gone on meanwhile
        over_next = until_ns + self.series.timeframe.nominal_ns <= settled_ns
        last = until_ns >= end_ns or (reached and not (over_next and until_ns > query.since_ns))
        running = [row for row in rows if row.open_ns >= until_ns]
        return PastCandles(
            candles=[self._closed(row) for row in closed],
            forming=forming(self.series, running[-1], Rung.POLL) if running else None,
            since_ns=head_ns,
            until_ns=until_ns,
            last=last,
        )

    def _sound(self, page: Page) -> Sequence[Candle]:
        """Return the rows that break no law, oldest first; others are told, and left out."""
        rows, bad = list[Candle](), [one.why for one in page.bad_rows]
        for row in sorted(page.candles, key=lambda row: row.open_ns):
            law = broken_law(row, signed_prices=self.support.signed_prices)
            if law is None:
                rows.append(row)
            else:
                bad.append(law)
        if bad:
            told = {"series": str(self.series), "rows": len(bad), "why": bad[0]}
            log.warning("rows refused", extra=told)
        return rows

    def _closed(self, row: Candle) -> SeriesCandle:
        marked = self.support.marks_closed and row.finality is Finality.CLOSED
        evidence = Evidence.VENUE if marked else Evidence.HISTORY
        return settled(self.series, Closing(row, evidence, Rung.POLL), None, 0)


@attrs.frozen(eq=False)
class TradeWalk:
    """One walk through the trades of one series; attributes as in `CandleWalk`."""

    series: Series
    ask: TradePages
    clock: Clock
    rng: random.Random
    backoff: Backoff
    priority: Priority
    check_running: Callable[[], None]

    async def pages(self, since_ns: int, until_ns: int) -> AsyncGenerator[PastTrades]:
        """Yield what happened in `[since_ns, until_ns)`; the last page says so. Raises as `_Asking.page`."""
        asking = _Asking(self.series, self.backoff, self.rng, self.check_running)
        cursor_ns, span_ns = since_ns, FIRST_SPAN_NS
        while True:
            now_ns = self.clock.now_ns()
            end_ns = min(until_ns, now_ns)
            if cursor_ns >= end_ns:
                yield PastTrades(trades=(), since_ns=cursor_ns, until_ns=cursor_ns, last=True)
                return
            query = TradeQuery(
                symbol=self.series.symbol,
                since_ns=cursor_ns,
                until_ns=min(end_ns, cursor_ns + span_ns),
                now_ns=now_ns,
            )
            page = await asking.page(partial(self.ask, query, asking.asker, self.priority))
            told_ns, told_until_ns = page.covered
            begins = told_ns <= cursor_ns
            if not begins and page.trades and span_ns > SHORTEST_SPAN_NS:  # too many: it told the newest
                span_ns = max(span_ns // 4, SHORTEST_SPAN_NS)
                continue
            if told_until_ns <= cursor_ns:
                if query.until_ns >= end_ns:
                    yield PastTrades(trades=(), since_ns=cursor_ns, until_ns=cursor_ns, last=True)
                    return
                cursor_ns = await asking.barren(query.since_ns, query.until_ns)
                continue
            asking.fruitful()
            span_ns = min(2 * span_ns, LONGEST_SPAN_NS)
            until = min(told_until_ns, query.until_ns)
            trades = [one for one in page.trades if cursor_ns <= one.time_ns < until]
            last = until >= end_ns
            yield PastTrades(
                trades=sorted(trades, key=lambda one: one.time_ns),
                since_ns=max(cursor_ns, min(told_ns, until)),
                until_ns=until,
                last=last,
            )
            cursor_ns = until
            if last:
                return


def trade_page(history: History, adapter: Adapter, account: Account) -> TradePages:
    """Return what asks a venue for one page of trades.

    Raises:
        PlanError: The venue serves none.
    """
    fetch = adapter.fetch_trades
    if fetch is None:
        raise PlanError(f"{adapter.name} serves no trades of the past; subscribe to them as they come")

    async def page(query: TradeQuery, asker: Asker, priority: Priority) -> TradePage:
        answer: object = await history.converse(fetch(query, account), priority, asker=asker)
        if not isinstance(answer, TradePage):
            raise adapter.broke(f"fetch_trades() returned {type(answer).__name__}, expected a TradePage")
        return answer

    return page
