"""Minutes of dxFeed, by way of tastytrade: `python dxlink_after.py`.

The two secrets are taken from WICKWIRE_DXLINK_CLIENT_SECRET and WICKWIRE_DXLINK_REFRESH_TOKEN.
"""

from __future__ import annotations

import asyncio
import os

from wickwire import Collector
from wickwire.config import Config

SERIES = ("dxlink:BTC/USD@1m",)


async def run(collector: Collector) -> None:
    """Collect until somebody stops it; every candle is in the store before it is printed."""
    async with collector:
        for series in SERIES:
            await collector.add(series)
        async for candle in collector.candles():
            print(candle.series, candle.open_time, candle.close, candle.volume, candle.revision)


if __name__ == "__main__":
    account = Config().account("dxlink", os.environ)
    asyncio.run(run(Collector("sqlite:wickwire.db", accounts={"dxlink": account})))
