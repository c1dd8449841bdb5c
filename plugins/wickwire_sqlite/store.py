"""The store itself: asynchronous outside, one thread at a time inside."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from wickwire import (
    LINE,
    REAL,
    TAIL,
    Change,
    Cursor,
    Grid,
    Loaded,
    RangeAudit,
    Series,
    SeriesCandle,
    SeriesState,
    StoredTrade,
    StoreError,
    Stretch,
    TradeBatch,
    audit_range,
    first_kept,
    once_forgotten,
    other_world,
    series_key,
)
from wickwire_sqlite.check import world_of, wrongs
from wickwire_sqlite.commit import Known, Writer
from wickwire_sqlite.cursors import cursors, move
from wickwire_sqlite.forgetting import forget_candles, forget_stretches, forget_trades
from wickwire_sqlite.rows import COLUMNS, candle_of, series_of
from wickwire_sqlite.schema import connect, explained
from wickwire_sqlite.states import states_of
from wickwire_sqlite.tapes import put, read, tapes

__all__ = ["SqliteStore"]

T = TypeVar("T")

_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1
_KEY: Final = "venue = ? AND variant = ? AND symbol = ? AND what = ?"
_CLOSED: Final = f"SELECT {COLUMNS} FROM closed"  # noqa: S608 - constants only
_OF_SERIES: Final = f"{_CLOSED} WHERE series = (SELECT id FROM series WHERE {_KEY})"  # noqa: S608 - same
_RANGE: Final = f"{_OF_SERIES} AND open_ns >= ? AND open_ns < ? ORDER BY open_ns LIMIT ?"
_LINES: Final = f"""SELECT printf('{",".join(["%s"] * len(LINE))}', {", ".join(LINE)})
FROM closed WHERE series = (SELECT id FROM series WHERE {_KEY})
    AND open_ns >= ? AND open_ns < ? ORDER BY open_ns LIMIT ?"""  # noqa: S608 - constants only
_LAST: Final = f"{_OF_SERIES} ORDER BY open_ns DESC LIMIT ?"
_SINCE: Final = f"{_CLOSED} WHERE seq > ? ORDER BY seq LIMIT ?"

COMMIT_WAIT_S: Final = 1.0
"""How long one statement waits for another process that is committing."""

PAUSE_S: Final = 0.02
"""How long the lock is free between two batches of what is forgotten: SQLite has no queue, whoever waits for
the lock looks every now and then whether it is free."""


class SqliteStore:
    """Closed candles in one SQLite file: one transaction a commit, readable by others while collecting.

    What is committed survives the death of the process at any instant and, unless *power_safe* is off, of
    the machine. Several processes may commit to one file: their transactions take turns.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        executor: Executor | None = None,
        inline: bool = False,
        readonly: bool = False,
        power_safe: bool = True,
        lock_wait_s: float = 10.0,
    ) -> None:
        """Remember how; nothing is opened yet.

        Args:
            path: The database file, created (for its owner alone) when it is missing.
            executor: Where SQL runs. Without one the store has a thread of its own.
            inline: Run SQL in the event loop's thread: under virtual time nothing may wait for a thread.
            readonly: Change nothing; a missing file is an error.
            power_safe: Wait for the disk at each commit, so that a power cut loses nothing acknowledged.
            lock_wait_s: How long to wait, while opening, for another process that is committing; later
                at most `COMMIT_WAIT_S`.
        """
        self._path = Path(path)
        self._executor = executor
        self._own_executor: ThreadPoolExecutor | None = None
        self._inline = inline
        self._readonly = readonly
        self._power_safe = power_safe
        self._lock_wait_s = lock_wait_s
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._known: dict[Series, Known] = {}
        self._data_version = -1
        self._series: dict[int, Series] = {}
        self._world = REAL

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def __repr__(self) -> str:
        """Show the file."""
        return f"SqliteStore({str(self._path)!r})"

    async def open(self) -> None:
        """Open the file; create it and bring its schema forward where that is needed.

        Raises:
            StoreError: It cannot be opened, is somebody else's, damaged, or newer than this version.
        """
        if not self._inline and self._executor is None:
            self._own_executor = ThreadPoolExecutor(1, thread_name_prefix="wickwire-sqlite")
        try:
            await self._in_executor(self._open)
        except BaseException:
            self._abandon()
            raise

    async def aclose(self) -> None:
        """Close the file; what was committed is in it. Safe to repeat."""
        if self._connection is not None:
            await self._in_executor(self._close)
        self._release_executor(wait=True)  # it has nothing else to do

    async def world(self) -> str:
        """Return whose candles these are; nothing where it knows of no series."""
        return await self._run("read whose candles it holds", world_of)

    async def claim(self, world: str) -> None:
        """Commit candles of *world* from now on; `commit` refuses where there are those of another."""
        self._world, self._data_version = world, -1

    async def check(self) -> Sequence[str]:
        """Read everything; return what is damaged, a sentence each. Takes a second for a million candles."""
        return await self._run("check it", wrongs)

    async def load(self, series: Series) -> Loaded | None:
        """Return what is known of *series* and its last `TAIL` closes, oldest first; None when unknown."""
        return await self._run(f"load {series}", partial(_load, series))

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Store *changes* in one transaction and return what is news.

        Raises:
            StoreError: Nothing of it is stored; it may be committed again.
        """
        return await self._run("commit", partial(self._commit, changes))

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        """Return at most *limit* candles that open in `[since_ns, until_ns)`, oldest first."""
        bounds = (_held(since_ns), _held(until_ns), limit)
        return await self._run(f"read {series}", partial(_candles, series, _RANGE, bounds))

    async def lines(self, series: Series, since_ns: int, until_ns: int, *, limit: int) -> Sequence[str]:
        """Return the same as lines of text."""
        bounds = (_held(since_ns), _held(until_ns), limit)
        return await self._run(f"read {series}", partial(_lines, series, bounds))

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        """Return at most *limit* candles of all series with a `seq` above *after_seq*, in that order."""
        return await self._run("read what was committed", partial(self._committed, after_seq, limit))

    async def last_seq(self) -> int:
        """Return the highest `seq` given so far; 0 when there is none."""
        return await self._run("read the sequence", _last_seq)

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the candle that opens last, or None."""
        rows = await self._run(f"read {series}", partial(_candles, series, _LAST, (1,)))
        return rows[0] if rows else None

    async def states(self) -> Sequence[SeriesState]:
        """Return the state of every series, ordered by series."""
        return await self._run("read the states", _states)

    async def audit(
        self, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
    ) -> RangeAudit | None:
        """Say what is stored of `[since_ns, until_ns)` and what is not; None where nothing of *series* is."""
        return await audit_range(self, series, since_ns, until_ns, grid=grid, signed_prices=signed_prices)

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        """Take out candles that opened more than a bucket before *before_ns*; return how many were.

        The write lock is held for tens of milliseconds at a time. The file keeps its size: what becomes free
        in it is used for what is stored next.
        """
        doing, gone = "forget what is old", 0
        for one in await self._run(doing, partial(self._forget_states, before_ns, series)):
            batch = partial(forget_candles, one, first_kept(one, before_ns))
            while count := await self._run(doing, batch):
                gone += count
                await asyncio.sleep(PAUSE_S)
        return gone

    async def forget_trades(self, before_ns: int, *, series: Series | None = None) -> int:
        """Take out trades that happened before *before_ns*; return how many were."""
        doing, gone, before_ns = "forget old trades", 0, _held(before_ns)
        for tape in await self._run(doing, partial(forget_stretches, before_ns, series)):
            while count := await self._run(doing, partial(forget_trades, tape, before_ns)):
                gone += count
                await asyncio.sleep(PAUSE_S)
        return gone

    async def cursors(self) -> Mapping[str, Cursor]:
        """Return how far every sink is, by its name."""
        return await self._run("read how far sinks are", cursors)

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        """Keep how far *sink* is."""
        await self._run(f"keep how far the sink {sink} is", partial(move, sink, cursor))

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        """Store trades in one transaction and return how many were new."""
        return await self._run("store trades", partial(self._put_trades, batches))

    async def trades(
        self, series: Series, since_ns: int, until_ns: int, *, after: int = 0, limit: int
    ) -> Sequence[StoredTrade]:
        """Return at most *limit* trades that happened in `[since_ns, until_ns)`, in the order they came."""
        bounds = after, _held(since_ns), _held(until_ns), limit
        return await self._run(f"read {series}", partial(read, series, bounds))

    async def tapes(self) -> Mapping[Series, Sequence[Stretch]]:
        """Return every series of which trades are stored, and where nothing is missing in it."""
        return await self._run("read which trades there are", tapes)

    # ------------------------------------------------------------------------------------- who runs what

    async def _in_executor(self, job: Callable[[], T]) -> T:
        if self._inline:
            return job()
        return await asyncio.get_running_loop().run_in_executor(self._executor or self._own_executor, job)

    async def _run(self, doing: str, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            raise StoreError(f"store {str(self._path)!r}: cannot {doing}: it is not open")
        return await self._in_executor(partial(self._guarded, doing, job))

    def _guarded(self, doing: str, job: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._connection is None:
                raise StoreError(f"store {str(self._path)!r}: cannot {doing}: it is not open")
            try:
                return job(self._connection)
            except sqlite3.Error as exc:
                raise explained(self._path, doing, exc) from exc
            except (OverflowError, UnicodeError) as exc:
                raise StoreError(f"store {str(self._path)!r}: cannot {doing}: {exc}") from exc

    def _abandon(self) -> None:
        """Close what a thread may still be opening for nobody, behind it."""
        if self._inline:
            self._close()
            return
        executor = self._executor or self._own_executor
        if executor is not None:
            executor.submit(self._close)
        self._release_executor(wait=False)

    def _release_executor(self, *, wait: bool) -> None:
        if self._own_executor is not None:
            self._own_executor.shutdown(wait=wait)
            self._own_executor = None

    def _open(self) -> None:
        with self._lock:
            self._connection = connect(
                self._path,
                readonly=self._readonly,
                power_safe=self._power_safe,
                lock_wait_s=self._lock_wait_s,
            )
            # A commit is tried again by whoever asked for it, and stopping must not wait for a stranger.
            patience_ms = round(min(self._lock_wait_s, COMMIT_WAIT_S) * 1_000)
            self._connection.execute(f"PRAGMA busy_timeout = {patience_ms}")

    def _close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # -------------------------------------------------------------------------------- with the connection

    def _commit(self, changes: Sequence[Change], connection: sqlite3.Connection) -> Sequence[SeriesCandle]:
        known, self._known = self._known, {}  # forgotten unless the transaction succeeds
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            [version] = connection.execute("PRAGMA data_version").fetchone()
            if version != self._data_version:  # another process has committed meanwhile
                known = {}
                self._settle(connection)
            news = Writer(connection, known).apply(changes)
        self._known, self._data_version = known, version
        return news

    def _put_trades(self, batches: Sequence[TradeBatch], connection: sqlite3.Connection) -> int:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            self._settle(connection)
            return put(batches, connection)

    def _forget_states(
        self, before_ns: int, series: Series | None, connection: sqlite3.Connection
    ) -> Sequence[Series]:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            states = states_of(connection, series)
            forgotten = [(state, once_forgotten(state, before_ns)) for state in states]
            Writer(connection, {}).apply([Change(state=new) for old, new in forgotten if new is not old])
        self._known = {}
        return [state.series for state in states]

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Write down whose candles these are, where nothing is known of any; nobody else can do so now."""
        held = world_of(connection)
        if held == "":
            connection.execute("UPDATE world SET name = ?", (self._world,))
        elif held != self._world:
            raise StoreError(other_world(str(self._path), held, self._world))

    def _committed(
        self, after_seq: int, limit: int, connection: sqlite3.Connection
    ) -> Sequence[SeriesCandle]:
        rows = connection.execute(_SINCE, (min(after_seq, _HIGHEST), limit)).fetchall()
        if any(row[0] not in self._series for row in rows):
            found = connection.execute("SELECT id, venue, variant, symbol, what FROM series")
            self._series = {series_id: series_of(*key) for series_id, *key in found}
        return [candle_of(self._series[row[0]], row) for row in rows]


def _held(ns: int) -> int:
    """Return *ns*, or the nearest to it that a column holds."""
    return min(max(ns, _LOWEST), _HIGHEST)


def _load(series: Series, connection: sqlite3.Connection) -> Loaded | None:
    with connection:
        connection.execute("BEGIN")  # one view of the file for all that follows
        found = states_of(connection, series)
        tail = _candles(series, _LAST, (TAIL,), connection) if found else ()
    return Loaded(state=found[0], tail=tail[::-1]) if found else None


def _candles(
    series: Series, query: str, bounds: tuple[int, ...], connection: sqlite3.Connection
) -> Sequence[SeriesCandle]:
    return [candle_of(series, row) for row in connection.execute(query, (*series_key(series), *bounds))]


def _lines(series: Series, bounds: tuple[int, ...], connection: sqlite3.Connection) -> Sequence[str]:
    return [line for [line] in connection.execute(_LINES, (*series_key(series), *bounds)).fetchall()]


def _last_seq(connection: sqlite3.Connection) -> int:
    [seq] = connection.execute("SELECT last_seq FROM sequence").fetchone()
    return int(seq)


def _states(connection: sqlite3.Connection) -> Sequence[SeriesState]:
    with connection:
        connection.execute("BEGIN")
        return sorted(states_of(connection), key=lambda state: state.series)
