"""Collects minutes of two venues into a file, until a few of each were closed: `python plain_script.py`."""

from __future__ import annotations

import asyncio

from wickwire import Collector

SERIES = ("kraken:BTC/USD@1m", "coinbase:BTC/USD@1m")


async def run(collector: Collector, count: int = 6) -> None:
    """Print *count* candles as they close, and then how each series is doing."""
    async with collector:
        for series in SERIES:
            await collector.add(series)
        candles = collector.candles()
        for _ in range(count):
            candle = await anext(candles)
            print(candle.series, candle.open_time, candle.close, candle.evidence)
        for one in collector.health().series:
            print(one.series, one.condition, one.why)


if __name__ == "__main__":
    asyncio.run(run(Collector("sqlite:candles.db")))
