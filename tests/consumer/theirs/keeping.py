"""A store of somebody else's: it counts what is asked of it, and keeps it in a store of wickwire's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from wickwire import (
    FORGET_ROWS,
    LINE,
    REAL,
    TAIL,
    Candle,
    Change,
    Closing,
    Cursor,
    Evidence,
    Forgotten,
    Grid,
    Hole,
    LineStore,
    Loaded,
    MemoryStore,
    Parked,
    RangeAudit,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
    StoredTrade,
    Stretch,
    TradeBatch,
    TradeStore,
    Verdict,
    audit_range,
    changed_holes,
    confirmed,
    first_kept,
    joined_stretches,
    judge,
    line_of,
    once_forgotten,
    other_world,
    reconciled,
    remembered_stretches,
    series_key,
    series_of_key,
    settled,
    shown_store,
)


class Counted:
    """Keeps candles, trades and lines."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._kept = MemoryStore()

    async def open(self) -> None:
        await self._kept.open()

    async def aclose(self) -> None:
        await self._kept.aclose()

    async def world(self) -> str:
        return await self._kept.world()

    async def claim(self, world: str) -> None:
        await self._kept.claim(world)

    async def check(self) -> Sequence[str]:
        return await self._kept.check()

    async def load(self, series: Series) -> Loaded | None:
        self.asked["load"] += 1
        return await self._kept.load(series)

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        self.asked["commit"] += 1
        return await self._kept.commit(changes)

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        self.asked["candles"] += 1
        return await self._kept.candles(series, since_ns, until_ns, limit=limit)

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        return await self._kept.committed(after_seq, limit=limit)

    async def last_seq(self) -> int:
        return await self._kept.last_seq()

    async def latest(self, series: Series) -> SeriesCandle | None:
        return await self._kept.latest(series)

    async def states(self) -> Sequence[SeriesState]:
        return await self._kept.states()

    async def audit(
        self, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
    ) -> RangeAudit | None:
        return await audit_range(self, series, since_ns, until_ns, grid=grid, signed_prices=signed_prices)

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        return await self._kept.forget(before_ns, series=series)

    async def cursors(self) -> Mapping[str, Cursor]:
        return await self._kept.cursors()

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        await self._kept.move(sink, cursor)

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        self.asked["put_trades"] += 1
        return await self._kept.put_trades(batches)

    async def trades(
        self, series: Series, since_ns: int, until_ns: int, *, after: int = 0, limit: int
    ) -> Sequence[StoredTrade]:
        return await self._kept.trades(series, since_ns, until_ns, after=after, limit=limit)

    async def tapes(self) -> Mapping[Series, Sequence[Stretch]]:
        return await self._kept.tapes()

    async def forget_trades(self, before_ns: int, *, series: Series | None = None) -> int:
        return await self._kept.forget_trades(before_ns, series=series)

    async def lines(self, series: Series, since_ns: int, until_ns: int, *, limit: int) -> Sequence[str]:
        return [line_of(one) for one in await self.candles(series, since_ns, until_ns, limit=limit)]


def every_contract(kept: Counted) -> tuple[Store, TradeStore, LineStore]:
    """Return it as each of the things that it is: a type checker compares the signatures."""
    return kept, kept, kept


def row_for(series: Series, candle: Candle, stored: SeriesCandle | None, seq: int) -> SeriesCandle | None:
    """Return the row that a table of one's own would hold after a candle closed."""
    match judge(stored, candle, Evidence.HISTORY):
        case Verdict.INSERT | Verdict.REVISE:
            return settled(series, Closing(candle, Evidence.HISTORY, Rung.POLL), stored, seq)
        case Verdict.CONFIRM:
            return None if stored is None else confirmed(stored, Evidence.HISTORY)
        case Verdict.KEEP:
            return stored


def key_of(series: Series) -> str:
    """Return a series as a key, and make sure that it can be read back."""
    venue, variant, symbol, what = series_key(series)
    assert series_of_key(venue, variant, symbol, what) == series
    return f"{venue}/{variant}/{symbol}/{what}"


def forgetting(state: SeriesState, change: Change, before_ns: int) -> tuple[Change, int]:
    """Return *change* as it may be stored once all before an instant is forgotten, and what stays then."""
    after = once_forgotten(state, before_ns)
    forgotten: Forgotten | None = after.forgotten
    rows = FORGET_ROWS if forgotten is None else forgotten.times * FORGET_ROWS
    return reconciled(change, forgotten), min(first_kept(state.series, before_ns), rows * TAIL)


def taken_out(before: tuple[Hole, ...], after: tuple[Hole, ...]) -> int:
    """Return how many rows of holes have to go."""
    gone, _ = changed_holes(before, after)
    return len(gone)


def tape(stretches: Sequence[Stretch], one: Stretch, before_ns: int) -> Sequence[Stretch]:
    """Return stretches with one more, as far as they are remembered."""
    return remembered_stretches(joined_stretches(stretches, one), before_ns)


def skipped(cursor: Cursor, candle: SeriesCandle) -> Cursor:
    """Return how far a sink is that will not take a candle."""
    return cursor.park(Parked(series=candle.series, open_ns=candle.open_ns, seq=candle.seq, why="too large"))


def refusal(url: str, held: str) -> str:
    """Return why a store is refused."""
    return f"{other_world(shown_store(url), held, REAL)} (fields: {', '.join(LINE)})"
