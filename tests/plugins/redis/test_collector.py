"""A whole collector beside a Redis that dies under it: what the store holds is there, and nothing twice."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

import wickwire_kraken
from tests.plugins.redis.server import new_server
from tests.plugins.redis.sinks import BTC, seqs, sink_at, stranger
from wickwire import DAY_NS, Collector, SeriesCandle
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import run_scaled, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire_redis import HotCandles

WORLD = "simulated venues, seed 1"
LIVE = 7


@pytest.mark.slow
def test_a_collector_whose_redis_dies_fills_it_from_the_store():
    """A minute passes in a second, and so does a minute of the timeout. Redis is away for two candles."""
    server = new_server(appendonly="yes", appendfsync="always")
    url = f"{server.url}?timeout=10m&primary=kraken"

    async def collect() -> list[SeriesCandle]:
        clock = running_clock()
        market = SeededMarket(1, clock.now_ns() // DAY_NS * DAY_NS - 3 * DAY_NS)
        transport = MemoryTransport([wickwire_kraken.simulate(market)], clock, latency_s=0.05)
        told: list[SeriesCandle] = []
        async with Collector(
            sinks={"redis": sink_at(url)}, transport=transport, clock=clock, world=WORLD
        ) as collector:
            await collector.add(str(BTC))
            await collector.add("kraken:BTC/USD@quotes")
            candles = collector.candles()
            while len(told) < LIVE:
                told.append(await anext(candles))
                if len(told) == 3:
                    server.kill()
                if len(told) == 5:
                    server.start(wait=False)  # not in a thread, with whose end the kernel would end it
            while collector.health().sinks[0].lag:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(1)
        return told

    async def read() -> tuple[list[Any], Any, Any, SeriesCandle | None]:
        async with stranger(server.url) as redis, HotCandles(server.url) as hot:
            entries = await redis.xrange("candle:{kraken:BTC/USD@1m}:stream")
            prices = [await redis.get(key) for key in ("price:kraken:BTC/USD", "price:BTC/USD")]
            return entries, prices[0], prices[1], await hot.latest(BTC)

    try:
        told = run_scaled(collect(), 60)
        entries, price, primary, latest = asyncio.run(read())
    finally:
        server.stop()

    rows = [json.loads(fields["candle"], parse_float=Decimal, parse_int=Decimal) for _, fields in entries]
    expected = [(one.seq, one.close, one.volume) for one in told]
    assert seqs(entries) == sorted({*seqs(entries)})
    assert [
        row for row in ((one["seq"], one["close"], one["volume"]) for one in rows) if row in expected
    ] == expected
    assert json.loads(price)["bid"] > 0
    assert price == primary
    assert latest is not None
    assert latest.seq >= told[-1].seq
