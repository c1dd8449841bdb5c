"""What it takes to read the last hour of one series: from memory, from Redis, and from SQLite.

`make bench-hot` runs it. Microseconds on the clock, the server's time included, medians over many reads; only
the ratios travel. No test asserts any of them.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.plugins.redis.layers import Feeder, at, change, follower_at, hot_at
from tests.plugins.redis.server import new_server
from tests.plugins.redis.sinks import BTC
from wickwire import Hot, HotMemory, SeriesReader, Store
from wickwire_sqlite import SqliteStore

MINUTES: Final = 10_000
READS: Final = 500


async def read_us(store: Store, hot: Hot | None) -> tuple[float, float]:
    """Return what reading the last hour takes, and the latest candle: the median of many, in microseconds."""
    reader = SeriesReader(BTC, store, hot)
    hours, latests = [], []
    for _ in range(READS):
        begun = time.perf_counter()
        found = await reader.range(at(MINUTES - 60), at(MINUTES))
        hours.append(time.perf_counter() - begun)
        assert len(found) == 60
        begun = time.perf_counter()
        await reader.latest()
        latests.append(time.perf_counter() - begun)
    return statistics.median(hours) * 1e6, statistics.median(latests) * 1e6


async def measured(folder: Path, url: str) -> Table:
    """Return all figures as a table."""
    table = Table("read from", "60 candles", "the latest one", title="microseconds a read")
    store = SqliteStore(str(folder / "candles.db"))
    await store.open()
    await store.commit([change(BTC, range(MINUTES))])
    memory = HotMemory()
    memory.attach(store, await store.last_seq())
    memory.begin(BTC)
    feeder = Feeder(follower_at(url), store)
    await feeder.follower.open()
    await feeder.feed()
    async with hot_at(url, store) as redis:
        assert await redis.held(BTC, at(MINUTES - 60), at(MINUTES)) is not None
        for name, hot in (("memory", memory), ("Redis, on this machine", redis), ("SQLite", None)):
            hour, latest = await read_us(store, hot)
            table.add_row(name, f"{hour:.0f}", f"{latest:.0f}")
    await feeder.follower.aclose()
    await store.aclose()
    return table


def main() -> None:
    """Measure, and print a table."""
    server = new_server()
    try:
        with tempfile.TemporaryDirectory() as folder:
            Console().print(asyncio.run(measured(Path(folder), server.url)))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
