"""The store itself: a few connections, one commit at a time, and what is done when one of them fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial
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
    other_world,
    series_key,
)
from wickwire_postgres.acknowledged import Acknowledged, LostError
from wickwire_postgres.address import Address
from wickwire_postgres.check import world_of, wrongs
from wickwire_postgres.commit import Head, Memory, Writer, lock_head
from wickwire_postgres.cursors import cursors, move
from wickwire_postgres.driver import (
    ERRORS,
    MOST_CONNECTIONS,
    Connection,
    Pool,
    explained,
    make_pool,
    passes,
    spoils,
)
from wickwire_postgres.forgetting import (
    drop_whole,
    forget_candles,
    forget_stretches,
    forget_trades,
    outdated,
    present_ns,
)
from wickwire_postgres.opening import prepare
from wickwire_postgres.retaining import AT_OPENING, Retaining
from wickwire_postgres.rows import candle_of, listed, series_of
from wickwire_postgres.schema import Layout, quoted, refuse_newer
from wickwire_postgres.states import states_of
from wickwire_postgres.tapes import put, tapes
from wickwire_postgres.tapes import read as read_trades

__all__ = ["PostgresStore"]

T = TypeVar("T")

_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1
_KEY: Final = "venue = $1 AND variant = $2 AND symbol = $3 AND what = $4"
_CLOSED: Final = f"SELECT {listed()} FROM closed"  # noqa: S608 - constants only
_OF_SERIES: Final = f"{_CLOSED} WHERE series = (SELECT id FROM series WHERE {_KEY})"  # noqa: S608 - same
_RANGE: Final = f"{_OF_SERIES} AND open_ns >= $5 AND open_ns <= $6 ORDER BY open_ns LIMIT $7"
_NUMBERS: Final = ("open", "high", "low", "close", "volume", "vwap")
_WRITTEN: Final = {
    **{
        name: f"CASE WHEN digits IS NULL THEN {name}::text"
        f" ELSE nullif(split_part(digits, ' ', {place}), '-') END"
        for place, name in enumerate(_NUMBERS, 1)
    },
    "healed": "healed::int",
}
_LINES: Final = f"""SELECT concat({", ',', ".join(_WRITTEN.get(name, name) for name in LINE)})
FROM closed WHERE series = (SELECT id FROM series WHERE {_KEY})
    AND open_ns >= $5 AND open_ns <= $6 ORDER BY open_ns LIMIT $7"""  # noqa: S608 - constants only
_LAST: Final = f"{_OF_SERIES} ORDER BY open_ns DESC LIMIT $5"
_SINCE: Final = f"{_CLOSED} WHERE seq > $1 ORDER BY seq LIMIT $2"

_PAUSES_S: Final = (0.05, 0.2, 0.8, 2.0)
"""How long to wait before each further attempt: a server that restarts is back within a few seconds."""
_CLOSE_S: Final = 5.0


class PostgresStore:
    """Closed candles in one schema of a PostgreSQL database, for several collectors and readers at once.

    What is committed is on the server's disk, unless the address says otherwise. Commits take turns by the
    lock of one row, so that `seq` is the order in which they can be seen, too. Lives in the event loop that
    opened it.
    """

    def __init__(self, address: Address) -> None:
        """Remember where; nothing is connected yet."""
        self._address = address
        self._pool: Pool | None = None
        self._turn = asyncio.Lock()
        self._readers = asyncio.Semaphore(MOST_CONNECTIONS - 1)  # a commit never waits for slow readers
        self._memory = Memory()
        self._acknowledged = Acknowledged()
        self._connections = 0
        self._layout = Layout()
        self._series: dict[int, Series] = {}
        self._world = REAL
        age_ns = None if address.readonly else address.retention_ns
        self._retaining = Retaining(age_ns, self._present_ns, lambda before_ns: self._steps(before_ns, None))

    def __repr__(self) -> str:
        """Show the address without its secrets."""
        return f"PostgresStore({self._address.shown!r})"

    async def open(self) -> None:
        """Connect; create the schema and bring it forward where that is needed.

        Raises:
            StoreError: It cannot be reached, refuses us, lacks rights, is too old, or its schema is somebody
                else's or newer than this version.
        """
        try:
            await self._patiently("open it", self._connect, _PAUSES_S)
            self._layout = await self._run("open it", lambda one: prepare(one, self._address))
            await self._retaining.go_on(AT_OPENING)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Disconnect; what was committed stays. Safe to repeat."""
        pool, self._pool = self._pool, None
        await self._retaining.aclose()
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await pool.close()
        except (TimeoutError, *ERRORS):
            pool.terminate()
        except asyncio.CancelledError:
            pool.terminate()
            raise

    async def world(self) -> str:
        """Return whose candles these are; nothing where it knows of no series."""
        return await self._run("read whose candles it holds", world_of)

    async def claim(self, world: str) -> None:
        """Commit candles of *world* from now on; `commit` refuses where there are those of another."""
        async with self._turn:  # a commit that runs would remember that it has looked
            self._world, self._memory = world, Memory()

    async def check(self) -> Sequence[str]:
        """Read everything; return what is damaged, a sentence each. Takes seconds for a million candles."""
        return await self._run("check it", lambda connection: wrongs(connection, self._address.schema))

    async def load(self, series: Series) -> Loaded | None:
        """Return what is known of *series* and its last `TAIL` closes, oldest first; None when unknown."""

        async def read(connection: Connection) -> Loaded | None:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found = await states_of(connection, series)
                tail = await connection.fetch(_LAST, *series_key(series), TAIL) if found else ()
            if not found:
                return None
            return Loaded(state=found[0], tail=[candle_of(series, row) for row in reversed(tail)])

        loaded = await self._run(f"load {series}", read)
        self._acknowledged.begin(series)
        return loaded

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Store *changes* in one transaction and return what is news.

        A commit that fails in passing is made again. Where its answer was lost and it was made after all,
        what was news then is returned. What the server has lost since it was acknowledged is put back.

        Raises:
            StoreError: Nothing of it is acknowledged; it may be committed again.
        """
        doubtful: dict[int, SeriesCandle] = {}

        async def write(connection: Connection) -> tuple[Sequence[SeriesCandle], int, int]:
            memory, self._memory = self._memory, Memory()  # forgotten unless the transaction succeeds
            connections = self._connections
            async with connection.transaction():
                head = await self._head(connection)
                if memory.commits != head.commits:  # another process has committed meanwhile
                    await self._settle(connection)
                writer = Writer(connection, memory, self._acknowledged, head, self._layout)
                news = await self._applied(writer, changes)
                if doubtful:
                    given = {one.seq for one in news}  # now, as to an attempt that came to nothing
                    before = [one for seq, one in doubtful.items() if seq not in given]
                    news = sorted([*await writer.found_again(before), *news], key=lambda one: one.seq)
                doubtful.update((one.seq, one) for one in news)
            if connections == self._connections:
                self._memory = memory
            return news, memory.commits, writer.seq

        async with self._turn:
            news, number, seq = await self._run("commit", write, writes=True)
            self._acknowledged.note(number, changes, seq)
            await self._retaining.go_on()
        return news

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        """Return at most *limit* candles that open in `[since_ns, until_ns)`, oldest first."""
        since, last = max(since_ns, _LOWEST), min(until_ns - 1, _HIGHEST)
        if since > last:
            return []
        return await self._range(series, _RANGE, since, last, limit)

    async def lines(self, series: Series, since_ns: int, until_ns: int, *, limit: int) -> Sequence[str]:
        """Return the same as lines of text."""
        since, last = max(since_ns, _LOWEST), min(until_ns - 1, _HIGHEST)
        if since > last:
            return []

        async def read(connection: Connection) -> Sequence[str]:
            rows = await connection.fetch(_LINES, *series_key(series), since, last, limit)
            return [line for [line] in rows]

        return await self._run(f"read {series}", read)

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        """Return at most *limit* candles of all series with a `seq` above *after_seq*, in that order."""

        async def read(connection: Connection) -> Sequence[SeriesCandle]:
            rows = await connection.fetch(_SINCE, max(min(after_seq, _HIGHEST), _LOWEST), limit)
            if any(row[0] not in self._series for row in rows):
                found = await connection.fetch("SELECT id, venue, variant, symbol, what FROM series")
                self._series = {series_id: series_of(*key) for series_id, *key in found}
            return [candle_of(self._series[row[0]], row) for row in rows]

        found = await self._run("read what was committed", read)
        if found:
            self._acknowledged.saw(found[-1].seq)
        return found

    async def last_seq(self) -> int:
        """Return the highest `seq` given so far; 0 when there is none."""

        async def read(connection: Connection) -> int:
            return int(await connection.fetchval("SELECT last_seq FROM sequence"))

        seq = await self._run("read the sequence", read)
        self._acknowledged.saw(seq)
        return seq

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the candle that opens last, or None."""
        rows = await self._range(series, _LAST, 1)
        return rows[0] if rows else None

    async def states(self) -> Sequence[SeriesState]:
        """Return the state of every series, ordered by series."""

        async def read(connection: Connection) -> Sequence[SeriesState]:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return sorted(await states_of(connection), key=lambda state: state.series)

        return await self._run("read the states", read)

    async def audit(
        self, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
    ) -> RangeAudit | None:
        """Say what is stored of `[since_ns, until_ns)` and what is not; None where nothing of *series* is."""
        return await audit_range(self, series, since_ns, until_ns, grid=grid, signed_prices=signed_prices)

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        """Take out candles that opened more than a bucket before *before_ns*; return how many were.

        Partitions and chunks that hold nothing else are dropped whole, where it is about all series.
        """
        gone, steps = 0, self._steps(max(before_ns, _LOWEST), series)
        while True:
            async with self._turn:
                count = await anext(steps, None)
            if count is None:
                return gone
            gone += count

    async def forget_trades(self, before_ns: int, *, series: Series | None = None) -> int:
        """Take out trades that happened before *before_ns*; return how many were."""
        doing, gone, before_ns = "forget old trades", 0, _held(before_ns)
        tapes = await self._run(doing, lambda one: forget_stretches(one, before_ns, series))
        for tape in tapes:
            while count := await self._run(doing, partial(forget_trades, tape=tape, before_ns=before_ns)):
                gone += count
        return gone

    async def cursors(self) -> Mapping[str, Cursor]:
        """Return how far every sink is, by its name."""
        return await self._run("read how far sinks are", cursors)

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        """Keep how far *sink* is."""
        await self._run(f"keep how far the sink {sink} is", lambda one: move(one, sink, cursor))

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        """Store trades in one transaction and return how many were new."""

        async def write(connection: Connection) -> int:
            async with connection.transaction():
                await self._settle(connection)
                return await put(connection, batches)

        return await self._run("store trades", write)

    async def trades(
        self, series: Series, since_ns: int, until_ns: int, *, after: int = 0, limit: int
    ) -> Sequence[StoredTrade]:
        """Return at most *limit* trades that happened in `[since_ns, until_ns)`, in the order they came."""
        since_ns, until_ns = _held(since_ns), _held(until_ns)
        return await self._run(
            f"read {series}", lambda one: read_trades(one, series, since_ns, until_ns, after, limit)
        )

    async def tapes(self) -> Mapping[Series, Sequence[Stretch]]:
        """Return every series of which trades are stored, and where nothing is missing in it."""
        return await self._run("read which trades there are", tapes)

    # ------------------------------------------------------------------------------------- who runs what

    async def _connect(self) -> None:
        self._pool = await make_pool(self._address, quoted(self._address.schema), self._connected)

    async def _connected(self, _: Connection) -> None:
        """Forget what is remembered: the server may have died since, or be another, and have lost commits."""
        self._connections += 1
        self._memory, self._series = Memory(), {}

    async def _head(self, connection: Connection) -> Head:
        """Wait for the turn of a transaction, and see that its schema is still ours."""
        head = await lock_head(connection, power_safe=self._address.power_safe)
        if head is None:
            raise StoreError(f"store {self._address.shown!r}: its table 'sequence' is empty; restore a copy")
        refuse_newer(head.version, self._address.shown)
        return head

    async def _applied(self, writer: Writer, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        try:
            return await writer.apply(changes)
        except LostError as exc:
            raise StoreError(f"store {self._address.shown!r}: {exc}") from exc

    async def _steps(self, before_ns: int, series: Series | None) -> AsyncGenerator[int]:
        """Forget step by step, each a transaction, and yield how many candles each took out.

        Who goes on with it has to have the turn; between two steps a commit may have it.
        """
        doing = "forget what is old"

        async def claim_less(connection: Connection) -> Sequence[Series]:
            async with connection.transaction():
                head = await self._head(connection)
                old, changes = await outdated(connection, before_ns, series)
                if changes:
                    writer = Writer(connection, Memory(), self._acknowledged, head, self._layout)
                    await self._applied(writer, changes)
            return old

        self._memory = Memory()  # it knows what was claimed, and which partitions there are
        old = await self._run(doing, claim_less, writes=True)
        if series is None:
            dropped = await self._run(
                doing, lambda one: drop_whole(one, before_ns, self._layout), writes=True, once=True
            )
            self._memory = Memory()
            yield dropped
        for one in old:
            batch = partial(forget_candles, series=one, kept_ns=first_kept(one, before_ns))
            while count := await self._run(doing, batch, writes=True):
                yield count

    async def _present_ns(self) -> int | None:
        return await self._run("tell the time", present_ns)

    async def _settle(self, connection: Connection) -> None:
        """Write down whose candles these are, where nothing is known of any; nobody else can do so now."""
        held = await world_of(connection)
        if held == "":
            await connection.execute("UPDATE world SET name = $1", self._world)
        elif held != self._world:
            raise StoreError(other_world(self._address.shown, held, self._world))

    async def _range(self, series: Series, query: str, *bounds: int) -> Sequence[SeriesCandle]:
        async def read(connection: Connection) -> Sequence[SeriesCandle]:
            rows = await connection.fetch(query, *series_key(series), *bounds)
            return [candle_of(series, row) for row in rows]

        return await self._run(f"read {series}", read)

    async def _run(
        self,
        doing: str,
        job: Callable[[Connection], Awaitable[T]],
        *,
        writes: bool = False,
        once: bool = False,
    ) -> T:
        """Do *job* with a connection of its own, again where the reason why it failed may pass."""
        queue = contextlib.nullcontext() if writes else self._readers

        async def attempt() -> T:
            pool = self._pool
            if pool is None:
                raise StoreError(f"store {self._address.shown!r}: cannot {doing}: it is not open")
            try:
                async with queue, pool.acquire() as connection:
                    return await job(connection)
            except ERRORS as exc:
                if spoils(exc):
                    with contextlib.suppress(*ERRORS):
                        await pool.expire_connections()
                raise

        return await self._patiently(doing, attempt, () if once else _PAUSES_S)

    async def _patiently(
        self, doing: str, attempt: Callable[[], Awaitable[T]], pauses_s: Sequence[float]
    ) -> T:
        for pause_s in (*pauses_s, None):
            try:
                return await attempt()
            except ERRORS as exc:
                if pause_s is None or not passes(exc):
                    raise explained(self._address.shown, doing, exc) from exc
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")


def _held(ns: int) -> int:
    """Return *ns*, or the nearest to it that a column holds."""
    return min(max(ns, _LOWEST), _HIGHEST)
