"""Minutes of one symbol, streamed where they are and polled where not: `python ccxt_after.py`."""

from __future__ import annotations

import asyncio

from wickwire import Collector, HoleFound, News, when

SERIES = "kraken:BTC/USD@1m"


def tell(event: News) -> None:
    """Say what is missing, and why: what the venue still has is fetched without asking."""
    if isinstance(event, HoleFound):
        hole = event.hole
        print(event.series, hole.kind, "from", when(hole.since_ns), "to", when(hole.until_ns))


async def run(collector: Collector, series: str = SERIES, since: str = "1h") -> None:
    """Collect until somebody stops it, from where the store ends, or from *since* on."""
    async with collector:
        collector.on_event(tell)
        await collector.add(series, since=since)
        async for candle in collector.candles():
            print(candle.series, candle.open_time, candle.close, candle.volume, candle.revision)


if __name__ == "__main__":
    asyncio.run(run(Collector("sqlite:wickwire.db")))
