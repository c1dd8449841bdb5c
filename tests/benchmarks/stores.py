"""What a stored candle costs, beside the driver's own bulk path on the same rows in the same run.

`make bench-stores` runs it. Figures are microseconds on the clock per candle, the server's time included,
medians over alternating rounds; only the ratios travel. No test asserts any of them.

The bare path has the same table, index and rows to write, and turns the same values into what the driver
takes; it knows nothing of series, evidence, revisions, holes, or of who else writes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import asyncpg
import redis.asyncio
from rich.console import Console
from rich.table import Table

from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.redis.server import shared_server as redis_server
from wickwire import (
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Evidence,
    Quote,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
    Timeframe,
    settled,
)
from wickwire.frames import arrow_table
from wickwire_postgres import PostgresStore
from wickwire_postgres import rows as postgres_rows
from wickwire_postgres.address import parse_address
from wickwire_redis.address import parse_address as redis_address
from wickwire_redis.rows import CandleRow, Rows, candle_row
from wickwire_redis.sink import RedisSink
from wickwire_sqlite import SqliteStore
from wickwire_sqlite import rows as sqlite_rows

SERIES: Final = Series("kraken", "BTC/USD", Timeframe.parse("1m"))
PIECE: Final = 10_000
PAGE: Final = 500
Write = Callable[[Sequence[Closing]], Coroutine[Any, Any, float]]


def closings(number: int, count: int) -> list[Closing]:
    """Return *count* candles of one series, the piece *number* of its history."""
    found = []
    for minute in range(number * count, (number + 1) * count):
        price, opens = Decimal(60_000_00 + minute % 9_999) / 100, minute * MINUTE_NS
        candle = Candle(
            SERIES.symbol,
            SERIES.timeframe,
            opens,
            opens + MINUTE_NS,
            price,
            price + 1,
            price - 1,
            price,
            Decimal("1.23456789"),
            17,
            price,
        )
        found.append(Closing(candle, Evidence.HISTORY, Rung.POLL))
    return found


def kept(piece: Sequence[Closing]) -> list[SeriesCandle]:
    """Return what a store makes of *piece*."""
    return [settled(SERIES, closing, None, seq) for seq, closing in enumerate(piece, 1)]


def state(piece: Sequence[Closing]) -> SeriesState:
    """Return that all is known up to the end of *piece*."""
    return SeriesState(series=SERIES, origin_ns=0, frontier_ns=piece[-1].candle.close_ns)


async def ours(store: Store, piece: Sequence[Closing]) -> float:
    """Commit *piece*; return how long that took."""
    began_s = time.perf_counter()
    news = await store.commit([Change(state=state(piece), closings=piece)])
    took_s = time.perf_counter() - began_s
    assert len(news) == len(piece)
    return took_s


class BareSqlite:
    """`executemany` of an upsert into the same table, in the same mode."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute(
            "INSERT INTO series (id, venue, variant, symbol, what, origin_ns, frontier_ns) "
            "VALUES (1, 'kraken', '', 'BTC/USD', '1m', 0, 0)"
        )
        columns = [name.strip() for name in sqlite_rows.COLUMNS.split(",")]
        changed = ", ".join(f"{name} = excluded.{name}" for name in columns)
        self.upsert = (
            f"INSERT INTO closed ({sqlite_rows.COLUMNS}) VALUES ({sqlite_rows.PLACES}) "
            f"ON CONFLICT (series, open_ns) DO UPDATE SET {changed}"
        )
        self.seq = 0

    async def write(self, piece: Sequence[Closing]) -> float:
        began_s = time.perf_counter()
        rows = []
        for closing in piece:
            self.seq += 1
            rows.append(sqlite_rows.row_of(1, settled(SERIES, closing, None, self.seq)))
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany(self.upsert, rows)
        return time.perf_counter() - began_s


class BarePostgres:
    """COPY into a staging table and one statement that merges it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.seq = 0
        listed = postgres_rows.listed()
        self.merge = (
            f"INSERT INTO closed ({listed}) SELECT {listed} FROM staging "
            "ON CONFLICT (series, open_ns) DO UPDATE SET seq = excluded.seq"
        )

    async def write(self, piece: Sequence[Closing]) -> float:
        began_s = time.perf_counter()
        rows = []
        for closing in piece:
            self.seq += 1
            rows.append(postgres_rows.row_of(1, settled(SERIES, closing, None, self.seq)))
        async with self.connection.transaction():
            await self.connection.copy_records_to_table(
                "staging", records=rows, columns=postgres_rows.COLUMNS
            )
            await self.connection.execute(self.merge)
            await self.connection.execute("TRUNCATE staging")
        return time.perf_counter() - began_s


async def compared(paths: dict[str, Write], rounds: int, count: int) -> dict[str, list[float]]:
    """Write the same pieces by each of *paths* in turn; return microseconds a candle."""
    took: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds + 1):
        piece = closings(number, count)
        order = list(paths) if number % 2 else list(reversed(paths))
        for name in order:
            took[name].append(await paths[name](piece) / count * 1e6)
    return {name: column[1:] for name, column in took.items()}  # the first opens files and plans statements


async def sqlite(folder: Path, rounds: int, count: int) -> dict[str, list[float]]:
    """Compare the SQLite store with the driver."""
    store = SqliteStore(folder / f"ours-{count}.db", inline=True)
    await store.open()
    other = SqliteStore(folder / f"bare-{count}.db", inline=True)  # makes the tables
    await other.open()
    await other.aclose()
    bare = BareSqlite(other.path)
    try:
        return await compared({"ours": lambda piece: ours(store, piece), "bare": bare.write}, rounds, count)
    finally:
        bare.connection.close()
        await store.aclose()


def postgres_store() -> tuple[PostgresStore, str]:
    """Return a store in a schema of its own, and that schema."""
    address = parse_address(fresh_url())
    assert address is not None
    return PostgresStore(address), address.schema


async def postgres(rounds: int, count: int) -> dict[str, list[float]]:
    """Compare the PostgreSQL store with the driver, each in a schema of its own."""
    store, _ = postgres_store()
    other, schema = postgres_store()
    await store.open()
    await other.open()
    piece = closings(10**4, 1)
    await other.commit([Change(state=state(piece), closings=piece)])
    connection = await asyncpg.connect(shared_server().url, server_settings={"search_path": schema})
    try:
        for number in range(rounds + 1):  # the partitions that it writes to: no bulk path makes those
            await other.commit(
                [Change(state=state(closings(number, count)), closings=closings(number, count))]
            )
        await connection.execute("DELETE FROM closed")
        await connection.execute("CREATE UNLOGGED TABLE staging (LIKE closed)")
        bare = BarePostgres(connection)
        return await compared({"ours": lambda piece: ours(store, piece), "bare": bare.write}, rounds, count)
    finally:
        await connection.close()
        await other.aclose()
        await store.aclose()


# ------------------------------------------------------------------------------------------------- reading

Read = Callable[[], Coroutine[Any, Any, int]]


async def filled(store: Store, count: int) -> None:
    """Commit *count* candles."""
    for number in range(count // PIECE):
        await ours(store, closings(number, PIECE))


async def as_arrow(store: Store) -> int:
    """Read all of it as Arrow."""
    return int((await arrow_table(store, SERIES)).num_rows)


async def read_in_turn(paths: dict[str, Read], rounds: int, count: int) -> dict[str, list[float]]:
    """Read *count* candles by each of *paths* in turn; return microseconds a candle."""
    took: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds + 1):
        for name in list(paths) if number % 2 else list(reversed(paths)):
            began_s = time.perf_counter()
            assert await paths[name]() == count
            took[name].append((time.perf_counter() - began_s) / count * 1e6)
    return {name: column[1:] for name, column in took.items()}  # the first loads pyarrow


async def sqlite_reads(folder: Path, rounds: int, count: int) -> dict[str, list[float]]:
    """Compare Arrow from SQLite with `fetchall` of the same rows."""
    store = SqliteStore(folder / "reads.db", inline=True)
    await store.open()
    await filled(store, count)
    connection = sqlite3.connect(store.path)

    async def bare() -> int:
        return len(connection.execute("SELECT * FROM closed WHERE series = 1 ORDER BY open_ns").fetchall())

    try:
        return await read_in_turn({"ours": lambda: as_arrow(store), "bare": bare}, rounds, count)
    finally:
        connection.close()
        await store.aclose()


async def postgres_reads(rounds: int, count: int) -> dict[str, list[float]]:
    """Compare Arrow from PostgreSQL with `fetch` of the same rows."""
    store, schema = postgres_store()
    await store.open()
    await filled(store, count)
    connection = await asyncpg.connect(shared_server().url, server_settings={"search_path": schema})

    async def bare() -> int:
        return len(await connection.fetch("SELECT * FROM closed WHERE series = 1 ORDER BY open_ns"))

    try:
        return await read_in_turn({"ours": lambda: as_arrow(store), "bare": bare}, rounds, count)
    finally:
        await connection.close()
        await store.aclose()


# --------------------------------------------------------------------------------------------- fan-out

QUOTES: Final = 100


def quotes(number: int) -> dict[Series, Quote]:
    """Return the quotes number *number* of a hundred symbols."""
    price = Decimal(60_000_00 + number % 9_999) / 100
    return {
        Series.parse(f"kraken:C{symbol}/USD@quotes"): Quote(
            f"C{symbol}/USD", price, Decimal("1.5"), price + 1, Decimal("0.25"), number * MINUTE_NS
        )
        for symbol in range(QUOTES)
    }


async def redis_quotes(rounds: int, batches: int) -> dict[str, list[float]]:
    """Compare quotes by the sink with a pipeline of redis-py that has the same commands and bytes to send."""
    address = redis_address(redis_server().url)
    assert address is not None
    sink = RedisSink(address)
    await sink.open()
    client = redis.asyncio.Redis(host="127.0.0.1", port=address.port, protocol=3, socket_timeout=None)
    values: dict[str, bytes] = {}

    said = [quotes(number) for number in range(batches)]

    async def ours() -> int:
        for latest in said:
            await sink.put_quotes(latest)
        return batches * QUOTES

    async def bare() -> int:
        for latest in said:
            pipeline = client.pipeline(transaction=True)
            for series, quote in latest.items():
                value = values[quote.symbol]
                pipeline.execute_command("SET", f"price:{series.scope}:{quote.symbol}", value, "EX", 300)
                pipeline.execute_command("PUBLISH", f"price.updated.{series.scope}.{quote.symbol}", value)
            await pipeline.execute()
        return batches * QUOTES

    try:
        await sink.put_quotes(said[0])
        for quote in said[0].values():
            values[quote.symbol] = await client.get(f"price:kraken:{quote.symbol}")
        return await read_in_turn({"ours": ours, "bare": bare}, rounds, batches * QUOTES)
    finally:
        await client.aclose()
        await sink.aclose()


async def redis_candles(rounds: int, count: int) -> dict[str, list[float]]:
    """Compare candles by the sink with a pipeline that sets, adds and appends the same values."""
    address = redis_address(redis_server().url)
    assert address is not None
    sink = RedisSink(address)
    await sink.open()
    client = redis.asyncio.Redis(host="127.0.0.1", port=address.port, protocol=3, socket_timeout=None)
    row = Rows(CandleRow, address.serialisation).encode

    async def ours() -> int:
        """Put what nobody has put before."""
        candles = await anext(pieces)
        for start in range(0, count, PAGE):
            await sink.put(candles[start : start + PAGE])
        return count

    async def bare() -> int:
        """Send the rows of the same candles, under other keys."""
        candles = await anext(others)
        for start in range(0, count, PAGE):
            pipeline = client.pipeline(transaction=False)
            for one in candles[start : start + PAGE]:
                value = row(candle_row(one))
                pipeline.execute_command("ZADD", "recent", one.open_ns / 1e6, value)
                pipeline.execute_command(
                    *("XADD", "stream", "MAXLEN", "~", 10_000, f"{one.seq}-0", "seq", one.seq),
                    *("open_ns", one.open_ns, "revision", one.revision, "candle", value),
                )
                pipeline.execute_command("SET", "latest", value, "EX", 3_600)
            await pipeline.execute()
        return count

    async def fresh() -> AsyncIterator[Sequence[SeriesCandle]]:
        for number in itertools.count():
            numbered = zip(itertools.count(number * count + 1), closings(number, count))
            yield [settled(SERIES, closing, None, seq) for seq, closing in numbered]

    pieces, others = fresh(), fresh()
    try:
        return await read_in_turn({"ours": ours, "bare": bare}, rounds, count)
    finally:
        await client.aclose()
        await sink.aclose()


def table_of(title: str, what: str) -> Table:
    """Return a table of measurements without rows."""
    table = Table(title=title)
    for name in ("store", what, "ours", "bare", "bare / ours"):
        table.add_column(name, justify="left" if name == "store" else "right")
    return table


def add_row(table: Table, store: str, count: int, measured: dict[str, list[float]]) -> None:
    """Add what was measured."""
    quotients = [b / a for a, b in zip(measured["ours"], measured["bare"], strict=True)]
    cells = [
        f"{statistics.median(column):.1f} ({min(column):.1f}..{max(column):.1f})"
        for column in (measured["ours"], measured["bare"])
    ]
    table.add_row(store, f"{count:,}", *cells, f"{statistics.median(quotients):.2f}")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--candles", type=int, default=1_000_000, help="how many are read as Arrow")
    arguments = parser.parse_args()
    said = f"µs a candle, median of {arguments.rounds} rounds (lowest..highest)"
    with tempfile.TemporaryDirectory() as folder:
        writes = table_of(f"written: {said}", "candles a commit")
        for count in (1_000, 10_000):
            add_row(writes, "SQLite", count, asyncio.run(sqlite(Path(folder), arguments.rounds, count)))
            add_row(writes, "PostgreSQL", count, asyncio.run(postgres(arguments.rounds, count)))
        Console(width=120).print(writes)
        reads = table_of(f"read as Arrow: {said}", "candles")
        count = arguments.candles // PIECE * PIECE
        add_row(reads, "SQLite", count, asyncio.run(sqlite_reads(Path(folder), arguments.rounds, count)))
        add_row(reads, "PostgreSQL", count, asyncio.run(postgres_reads(arguments.rounds, count)))
        Console(width=120).print(reads)
    fans = table_of(f"into Redis: {said}", "rows")
    fans.columns[0].header = "rows of"
    add_row(fans, "quotes", 5_000, asyncio.run(redis_quotes(arguments.rounds, 50)))
    add_row(fans, "candles", 5_000, asyncio.run(redis_candles(arguments.rounds, 5_000)))
    Console(width=120).print(fans)


if __name__ == "__main__":
    main()
