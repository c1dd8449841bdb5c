"""Trades that are kept: from the stream into the store, and out of it again as candles.

What is kept says of itself where it is whole: between two trades of one subscription in which nothing was
lost. Only buckets within such a stretch are made again, by the maker that makes them live.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

import attrs

from wickwire.builder import Late, Restated, TradeMaker
from wickwire.errors import StoreError
from wickwire.fanout import FeedReader
from wickwire.model import Candle, Grid, Quote, Series, Timeframe, Trade
from wickwire.queues import Policy
from wickwire.retry import Backoff, Retries
from wickwire.trade_store import Stretch, TradeBatch, TradeStore

__all__ = ["Keeper", "rebuilt"]

log = logging.getLogger(__name__)

WAITING: Final = 50_000
"""So many trades wait for the store at most; of more the oldest are lost, which ends a stretch."""

FLUSH_S: Final = 1.0
FLUSH_ROWS: Final = 1_000
"""A batch is stored so often, or when so many wait."""

PAGE_ROWS: Final = 5_000


@attrs.frozen
class _Noted:
    """One trade as it came: of which series, and in which unbroken run of it."""

    series: Series
    run: int
    trade: Trade


class Keeper(FeedReader[Trade]):
    """Puts the trades of all trade series into a store, batch by batch; the venue never waits for it.

    Attributes:
        stored: How many were new to it.
        trouble: What the store said last, while it takes none; empty when it works.
    """

    def __init__(self, store: TradeStore, rng: random.Random) -> None:
        """Keep them in *store*; `run` does it."""
        super().__init__(Policy.DROP_OLDEST, WAITING, "trades to be stored")
        self.stored = 0
        self.trouble = ""
        self._store = store
        self._retries = Retries(Backoff(first_s=0.1, cap_s=10.0), rng)
        self._noted: deque[_Noted] = deque()
        self._runs: dict[Series, int] = {}
        self._ends: dict[Series, tuple[int, int]] = {}  # the run that was stored last, and its last time
        self._dropped = 0
        self._full = asyncio.Event()
        self._turn = asyncio.Lock()
        self._cut: dict[Series, None] = {}  # of these something was lost since their last batch

    @property
    def waiting(self) -> int:
        """How many wait for the store."""
        return len(self._noted)

    @property
    def dropped(self) -> int:
        """How many were lost because the store was too slow."""
        return self._dropped

    def put(self, key: object, item: Trade | Quote) -> bool:
        """Take one trade as it is; say whether that was possible without losing another."""
        assert isinstance(key, Series)
        assert isinstance(item, Trade)
        self._noted.append(_Noted(key, self._runs.get(key, 0), item))
        if len(self._noted) >= FLUSH_ROWS:
            self._full.set()
        if len(self._noted) <= self.bound:
            return True
        self._cut[self._noted.popleft().series] = None
        self._dropped += 1
        return False

    def broken(self, series: Series) -> None:
        """Begin a new run of *series*."""
        self._runs[series] = self._runs.get(series, 0) + 1

    async def run(self) -> None:
        """Store what comes, for ever."""
        while True:
            try:
                async with asyncio.timeout(FLUSH_S):
                    await self._full.wait()
            except TimeoutError:
                pass
            self._full.clear()
            await self.flush()

    async def flush(self) -> None:
        """Store all that waits, for as long as that takes."""
        async with self._turn:
            while self._noted:
                taken = [self._noted.popleft() for _ in range(min(len(self._noted), PAGE_ROWS))]
                await self._put_batches(self._batches(taken))

    async def _put_batches(self, batches: Sequence[TradeBatch]) -> None:
        while True:
            try:
                self.stored += await self._store.put_trades(batches)
            except StoreError as exc:
                self._fails(exc)
                await asyncio.sleep(self._retries.failed(exc))
            else:
                self._works()
                return

    def _batches(self, taken: Sequence[_Noted]) -> list[TradeBatch]:
        """Return *taken* by series and run, each with the stretch that it makes or goes on with."""
        by_run: dict[tuple[Series, int], list[Trade]] = {}
        for one in taken:
            by_run.setdefault((one.series, one.run), []).append(one.trade)
        batches = []
        for (series, run), trades in by_run.items():
            lived_ns = [trade.time_ns for trade in trades if not trade.snapshot]
            stretch = None
            if lived_ns:
                last_run, last_ns = self._ends.get(series, (-1, 0))
                goes_on = run == last_run and series not in self._cut
                stretch = Stretch(
                    last_ns if goes_on else min(lived_ns), max(*lived_ns, last_ns if goes_on else 0)
                )
                self._ends[series] = run, stretch.until_ns
                self._cut.pop(series, None)
            batches.append(TradeBatch(series=series, trades=trades, stretch=stretch))
        return batches

    def _fails(self, error: StoreError) -> None:
        if not self.trouble:
            log.error("store takes no trades", extra={"why": str(error)})
        self.trouble = str(error)

    def _works(self) -> None:
        if self.trouble:
            log.info("store takes trades again")
        self.trouble = ""
        self._retries.succeeded()


async def rebuilt(
    store: TradeStore, series: Series, timeframe: Timeframe, grid: Grid, since_ns: int, until_ns: int
) -> AsyncIterator[Candle]:
    """Yield, oldest first, the candles that the stored trades of *series* make up, as they would be live.

    Of buckets in `[since_ns, until_ns)` that lie within a stretch; a bucket without a trade has no candle.

    Args:
        store: Where the trades are.
        series: Of trades.
        timeframe: Of the candles.
        grid: Where they begin.
        since_ns: Beginning of the range.
        until_ns: Its end.

    Raises:
        StoreError: They cannot be read.
    """
    for stretch in (await store.tapes()).get(series, ()):
        maker, rows = TradeMaker(timeframe, grid), dict[int, Candle]()
        maker.whole_ns = stretch.since_ns + 1  # others of the very first instant may have been missed
        first_ns, last_ns = max(stretch.since_ns, since_ns), min(stretch.until_ns + 1, until_ns)
        async for trade in _read(store, series, first_ns, last_ns):
            made = maker.take(trade)
            match made:
                case Restated(candle=candle):
                    rows[candle.open_ns] = candle
                case Late(open_ns=open_ns):
                    rows.pop(open_ns, None)
                case Candle():
                    rows[made.open_ns] = made
                case None:
                    pass
        for open_ns in sorted(rows):
            if since_ns <= open_ns and rows[open_ns].close_ns <= min(stretch.until_ns, until_ns):
                yield rows[open_ns]


async def _read(store: TradeStore, series: Series, since_ns: int, until_ns: int) -> AsyncIterator[Trade]:
    after = 0
    while page := await store.trades(series, since_ns, until_ns, after=after, limit=PAGE_ROWS):
        for entry in page:
            yield entry.trade
        after = page[-1].number
