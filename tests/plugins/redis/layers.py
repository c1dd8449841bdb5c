"""Stores, what feeds the hot layer from them as a collector does, and what reads it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Self

import attrs

from tests.plugins.redis.sinks import BTC, START_NS
from wickwire import (
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Evidence,
    MemoryStore,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
)
from wickwire_redis.address import parse_address
from wickwire_redis.follower import RedisFollower
from wickwire_redis.hot import RedisHot

MANY = 10**6


class FailingOver(MemoryStore):
    """A store that may lose its newest commits, as a server does that fails over, and counts its reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def copied(self) -> Self:
        """What a replica has now."""
        return copy.deepcopy(self)

    def fail_over(self, replica: Self) -> None:
        """Go on as *replica*."""
        self.__dict__.update(replica.copied().__dict__)

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        self.reads += 1
        return await super().candles(series, since_ns, until_ns, limit=limit)

    async def latest(self, series: Series) -> SeriesCandle | None:
        self.reads += 1
        return await super().latest(series)


def at(minute: int) -> int:
    return START_NS + minute * MINUTE_NS


def change(series: Series, minutes: Sequence[int], price: int = 1) -> Change:
    """New candles of these minutes, or revisions where there are some."""
    closings = []
    for minute in minutes:
        value = Decimal(f"{price}.10")
        times = at(minute), at(minute + 1)
        candle = Candle(series.symbol, series.timeframe, *times, value, value, value, value, value)
        closings.append(Closing(candle, Evidence.HISTORY, Rung.POLL))
    return Change(state=SeriesState(series=series, origin_ns=0, frontier_ns=0), closings=closings)


def follower_at(url: str) -> RedisFollower:
    """A follower to which a minute passes between any two looks at its timer."""
    address = parse_address(url)
    assert address is not None
    return RedisFollower(address, itertools.count(step=60).__next__)


def hot_at(url: str, store: Store) -> RedisHot:
    address = parse_address(url)
    assert address is not None
    return RedisHot(address, store)


@attrs.define
class Feeder:
    """What a collector does with a follower: reads what was committed, page by page, and moves its cursor."""

    follower: RedisFollower
    store: Store
    cursor: int = 0

    async def feed(self, *, page: int = MANY, pages: int = MANY) -> None:
        """Feed at most *pages* of at most *page* candles, and stop where that was all; raises as `follow`."""
        self.cursor = min(self.cursor, await self.store.last_seq())
        for _ in range(pages):
            rows = await self.store.committed(self.cursor, limit=page)
            whole = len(rows) < page
            await self.follower.follow(self.store, rows, after_seq=self.cursor, whole=whole)
            if rows:
                self.cursor = rows[-1].seq
            if whole:
                return


ETH = Series("kraken", "ETH/USD", BTC.timeframe)
STRANGE = Series("kraken", "{a}:*? [b]'\"\\\r\n@%", BTC.timeframe)
ALL = [BTC, ETH, STRANGE]
