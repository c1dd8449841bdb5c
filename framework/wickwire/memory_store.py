"""The store that lives in memory."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

from wickwire.errors import StoreError
from wickwire.forgetting import first_kept, once_forgotten, reconciled
from wickwire.model import Grid, Series, SeriesCandle
from wickwire.range_audit import RangeAudit, audit_range
from wickwire.sink import Cursor
from wickwire.store import (
    REAL,
    TAIL,
    Change,
    Loaded,
    SeriesState,
    Verdict,
    confirmed,
    judge,
    other_world,
    settled,
)
from wickwire.trade_store import MemoryTape, StoredTrade, Stretch, TradeBatch

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store that forgets everything when the process ends. Keeps the same promises otherwise.

    Unless it is told to forget it has no bound: about a kilobyte a candle, which is 1.5 MB a day for a series
    of one minute. What runs for longer than a few days, or reads years of history, wants a file.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._states: dict[Series, SeriesState] = {}
        self._candles: dict[Series, dict[int, SeriesCandle]] = {}
        self._opens: dict[Series, list[int]] = {}
        self._log: dict[int, SeriesCandle] = {}
        self._seq = 0
        self._cursors: dict[str, Cursor] = {}
        self._tapes: dict[Series, MemoryTape] = {}
        self._world = REAL
        self._claimed = REAL
        self._closed = False

    async def open(self) -> None:
        """Do nothing: memory is ready."""

    async def aclose(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    async def world(self) -> str:
        """Return whose candles these are."""
        self._check_open()
        return self._world if self._states or self._tapes else ""

    async def claim(self, world: str) -> None:
        """Commit candles of *world* from now on."""
        self._claimed = world

    async def check(self) -> Sequence[str]:
        """Find nothing wrong: memory is as it was left."""
        self._check_open()
        return ()

    async def load(self, series: Series) -> Loaded | None:
        """Return state and tail of *series*, or None."""
        self._check_open()
        state = self._states.get(series)
        if state is None:
            return None
        candles = self._candles[series]
        return Loaded(state=state, tail=[candles[ns] for ns in self._opens[series][-TAIL:]])

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Apply *changes* and return what is news."""
        self._check_open()
        self._check_world()
        news: list[SeriesCandle] = []
        for said in changes:
            series = said.state.series
            known = self._states.get(series)
            change = said if known is None else reconciled(said, known.forgotten)
            candles = self._candles.setdefault(series, {})
            opens = self._opens.setdefault(series, [])
            for closing in change.closings:
                stored = candles.get(closing.candle.open_ns)
                verdict = judge(stored, closing.candle, closing.evidence)
                if verdict is Verdict.KEEP:
                    continue
                if verdict is Verdict.CONFIRM and stored is not None:
                    row = confirmed(stored, closing.evidence)
                    candles[row.open_ns] = self._log[row.seq] = row
                    continue
                self._seq += 1
                row = settled(series, closing, stored, self._seq)
                if stored is None:
                    bisect.insort(opens, row.open_ns)
                else:
                    del self._log[stored.seq]
                candles[row.open_ns] = row
                self._log[self._seq] = row
                news.append(row)
            self._states[series] = change.state
        return news

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        """Return a range, oldest first."""
        self._check_open()
        opens = self._opens.get(series, [])
        first, end = bisect.bisect_left(opens, since_ns), bisect.bisect_left(opens, until_ns)
        return [self._candles[series][ns] for ns in opens[first : min(end, first + limit)]]

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        """Return what was committed after *after_seq*."""
        self._check_open()
        rows: list[SeriesCandle] = []
        for seq in range(after_seq + 1, self._seq + 1):
            if seq in self._log:
                rows.append(self._log[seq])
                if len(rows) == limit:
                    break
        return rows

    async def last_seq(self) -> int:
        """Return the highest `seq`."""
        self._check_open()
        return self._seq

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the newest candle, or None."""
        self._check_open()
        opens = self._opens.get(series)
        return self._candles[series][opens[-1]] if opens else None

    async def states(self) -> Sequence[SeriesState]:
        """Return all states."""
        self._check_open()
        return [self._states[series] for series in sorted(self._states)]

    async def audit(
        self, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
    ) -> RangeAudit | None:
        """Say what is stored of a range."""
        return await audit_range(self, series, since_ns, until_ns, grid=grid, signed_prices=signed_prices)

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        """Forget old candles, all at once."""
        self._check_open()
        gone = 0
        for one in [*self._states] if series is None else [series] if series in self._states else []:
            state = self._states[one] = once_forgotten(self._states[one], before_ns)
            opens = self._opens[one]
            end = bisect.bisect_left(opens, min(first_kept(one, before_ns), state.origin_ns))
            for open_ns in opens[:end]:
                del self._log[self._candles[one].pop(open_ns).seq]
            del opens[:end]
            gone += end
        return gone

    async def cursors(self) -> Mapping[str, Cursor]:
        """Return the cursors of all sinks."""
        self._check_open()
        return dict(self._cursors)

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        """Keep how far *sink* is."""
        self._check_open()
        if cursor is None:
            self._cursors.pop(sink, None)
        else:
            self._cursors[sink] = cursor

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        """Keep trades."""
        self._check_open()
        self._check_world()
        return sum(self._tapes.setdefault(batch.series, MemoryTape()).put(batch) for batch in batches)

    async def trades(
        self, series: Series, since_ns: int, until_ns: int, *, after: int = 0, limit: int
    ) -> Sequence[StoredTrade]:
        """Return trades of a range, in the order in which they came."""
        self._check_open()
        tape = self._tapes.get(series)
        return [] if tape is None else tape.read(since_ns, until_ns, after, limit)

    async def tapes(self) -> Mapping[Series, Sequence[Stretch]]:
        """Return where the trades of which series are whole."""
        self._check_open()
        return {series: tuple(tape.stretches) for series, tape in self._tapes.items()}

    async def forget_trades(self, before_ns: int, *, series: Series | None = None) -> int:
        """Forget old trades."""
        self._check_open()
        tapes = self._tapes.values() if series is None else [self._tapes.get(series, MemoryTape())]
        return sum(tape.forget(before_ns) for tape in tapes)

    def _check_world(self) -> None:
        if (self._states or self._tapes) and self._world != self._claimed:
            raise StoreError(other_world("memory:", self._world, self._claimed))
        self._world = self._claimed

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("store 'memory': closed, and what it held is gone; make a new collector")
