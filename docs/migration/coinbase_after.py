"""Minutes of many Coinbase products: `python coinbase_after.py`."""

from __future__ import annotations

import asyncio

from wickwire import Collector

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")


async def run(collector: Collector) -> None:
    """Collect until somebody stops it; every candle is in the store before it is printed."""
    async with collector:
        for symbol in SYMBOLS:
            await collector.add(f"coinbase:{symbol}@1m")
        async for candle in collector.candles():
            print(candle.series, candle.open_time, candle.close, candle.volume, candle.revision)


if __name__ == "__main__":
    asyncio.run(run(Collector("sqlite:wickwire.db")))
