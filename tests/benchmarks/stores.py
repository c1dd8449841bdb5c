"""What a stored candle costs, beside the driver's own bulk path on the same rows in the same run.

`make bench-stores` runs it. Figures are microseconds on the clock per candle, the server's time included,
medians over alternating rounds; only the ratios travel. No test asserts any of them.

The bare path has the same table, index and rows to write, and turns the same values into what the driver
takes; it knows nothing of series, evidence, revisions, holes, or of who else writes.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import asyncpg
from rich.console import Console
from rich.table import Table

from tests.plugins.postgres.server import fresh_url, shared_server
from wickwire import (
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Evidence,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
    Timeframe,
    settled,
)
from wickwire_postgres import PostgresStore
from wickwire_postgres import rows as postgres_rows
from wickwire_postgres.address import parse_address
from wickwire_sqlite import SqliteStore
from wickwire_sqlite import rows as sqlite_rows

SERIES: Final = Series("kraken", "BTC/USD", Timeframe.parse("1m"))
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
        key = "INSERT INTO series VALUES (1, 'kraken', '', 'BTC/USD', '1m', 0, 0)"
        self.connection.execute(key)
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


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    table = Table(title=f"µs a candle, median of {arguments.rounds} rounds (lowest..highest)")
    for name in ("store", "candles a commit", "ours", "bare", "bare / ours"):
        table.add_column(name, justify="left" if name == "store" else "right")
    with tempfile.TemporaryDirectory() as folder:
        for count in (1_000, 10_000):
            for store, measured in (
                ("SQLite", asyncio.run(sqlite(Path(folder), arguments.rounds, count))),
                ("PostgreSQL", asyncio.run(postgres(arguments.rounds, count))),
            ):
                quotients = [b / a for a, b in zip(measured["ours"], measured["bare"], strict=True)]
                cells = [
                    f"{statistics.median(column):.1f} ({min(column):.1f}..{max(column):.1f})"
                    for column in (measured["ours"], measured["bare"])
                ]
                table.add_row(store, f"{count:,}", *cells, f"{statistics.median(quotients):.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
