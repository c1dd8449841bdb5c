"""Fetches the last hours of a series and makes a frame of them: `python candles_into_pandas.py`.

It needs `pip install 'wickwire[pandas]'`.
"""

from __future__ import annotations

import asyncio

from wickwire import HOUR_NS, Clock, Collector, MemoryStore, Store, SystemClock
from wickwire.frames import data_frame

SERIES = "kraken:BTC/USD@1m"


async def run(collector: Collector, store: Store, clock: Clock) -> None:
    """Print what the last three hours came to; *store* is that of *collector*."""
    since_ns = clock.now_ns() - 3 * HOUR_NS
    async with collector:
        async for page in collector.history(SERIES, since_ns):
            print(len(page), "candles from", page[0].open_time)
        frame = await data_frame(store, SERIES, since=since_ns, floats=True)
    by_hour = frame.resample("1h").agg({"high": "max", "low": "min", "close": "last", "volume": "sum"})
    print(by_hour.to_string())


if __name__ == "__main__":
    kept = MemoryStore()
    asyncio.run(run(Collector(kept), kept, SystemClock()))
