"""Puts closed candles into a table of one's own, beside the store: `python custom_sink.py`.

The table stands for whatever one has. A sink is fed in order and at least once, so it writes with an upsert;
what it raises as SinkError is told, and the same candles come again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from wickwire import Collector, SeriesCandle, SinkError

SERIES = "kraken:BTC/USD@1m"
TABLE = """
    create table if not exists closes (series text, open_ns integer, close text, revision integer,
                                       primary key (series, open_ns)) without rowid
"""
UPSERT = """
    insert into closes values (?, ?, ?, ?) on conflict do update
    set close = excluded.close, revision = excluded.revision where excluded.revision >= revision
"""


class Closes:
    """A `wickwire.Sink`: the closes of all series in one table."""

    def __init__(self, path: Path) -> None:
        """Write to the file at *path*."""
        self.path = path

    async def open(self) -> None:
        """Make the table."""
        await asyncio.to_thread(self._write, TABLE, [()])

    async def aclose(self) -> None:
        """Nothing stays open."""

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        """Take candles; those that came before are replaced by what is true now."""
        rows = [(str(one.series), one.open_ns, str(one.close), one.revision) for one in candles]
        await asyncio.to_thread(self._write, UPSERT, rows)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with closing(sqlite3.connect(self.path)) as table, table:
                table.executemany(statement, rows)
        except sqlite3.Error as exc:
            raise SinkError(f"sink {str(self.path)!r}: {exc}; look whether another program holds it") from exc


async def run(collector: Collector, count: int = 3) -> None:
    """Collect until *count* candles were closed; leaving the block puts them all."""
    async with collector:
        await collector.add(SERIES)
        candles = collector.candles()
        for _ in range(count):
            print((await anext(candles)).open_time)


if __name__ == "__main__":
    asyncio.run(run(Collector("sqlite:candles.db", sinks={"closes": Closes(Path("closes.db"))})))
