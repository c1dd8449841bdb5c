"""Minutes, trades and quotes of Kraken and Coinbase: `python cryptofeed_after.py`."""

from __future__ import annotations

import asyncio

from wickwire import Collector, Policy, SeriesCandle

CANDLES = ("kraken:BTC/USD@1m", "coinbase:BTC/USD@1m")
TRADES = "kraken:BTC/USD@trades"
QUOTES = "kraken:BTC/USD@quotes"


async def candle(candle: SeriesCandle) -> None:
    """Be told of each candle once it is closed and in the store, and again where the venue changes it."""
    print(candle.series, candle.open_time, candle.close, candle.volume, candle.revision)


async def trades(collector: Collector) -> None:
    """Be told of each trade."""
    async for trade in collector.trades(TRADES):
        print(TRADES, trade.time_ns, trade.side, trade.price, trade.size)


async def quotes(collector: Collector) -> None:
    """Be told of the best bid and ask, of the past only the latest."""
    async for quote in collector.quotes(QUOTES, policy=Policy.CONFLATE):
        print(QUOTES, quote.bid, quote.ask)


async def run(collector: Collector) -> None:
    """Collect until somebody stops it."""
    async with collector, asyncio.TaskGroup() as tasks:
        collector.on_candle(candle)
        for series in (*CANDLES, TRADES, QUOTES):
            await collector.add(series)
        tasks.create_task(trades(collector))
        tasks.create_task(quotes(collector))


if __name__ == "__main__":
    asyncio.run(run(Collector("sqlite:wickwire.db")))
