"""Sinks on the tests' server, the candles and quotes that are put there, and a stranger who looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Protocol

import attrs
import pytest
import redis.asyncio

from tests.plugins.redis.server import base_url, fresh_prefix
from wickwire import (
    MINUTE_NS,
    CandleState,
    Clock,
    Evidence,
    Feed,
    Quote,
    Series,
    SeriesCandle,
    SinkError,
    Timeframe,
)
from wickwire_redis import RedisSink
from wickwire_redis.address import parse_address

START_NS = 1_763_856_000 * 1_000_000_000  # 2025-11-23T00:00Z
BTC = Series("kraken", "BTC/USD", Timeframe.parse("1m"))
BTC_QUOTES = Series("kraken", "BTC/USD", Feed.QUOTES)


@attrs.define
class Watch:
    """A clock that stands until it is set."""

    ns: int = START_NS

    def now_ns(self) -> int:
        return self.ns


def sink_at(url: str, clock: Clock | None = None) -> RedisSink:
    address = parse_address(url)
    assert address is not None
    return RedisSink(address, clock)


def fresh_url(options: str = "") -> str:
    """The address of keys that nobody used yet, and that do not stay for long."""
    base = base_url()
    return f"{base}{'&' if '?' in base else '?'}prefix={fresh_prefix()}&{options or 'keep=10m'}"


def prefix_of(url: str) -> str:
    address = parse_address(url)
    assert address is not None
    return address.prefix


class Opens(Protocol):
    """A sink, a follower, a budget."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...


def refusal_of(one: Opens, error: type[Exception] = SinkError) -> str:
    """What is said when it is opened, which has to fail."""

    async def main() -> str:
        try:
            with pytest.raises(error) as caught:
                await one.open()
        finally:
            await one.aclose()
        return str(caught.value)

    return asyncio.run(main())


@asynccontextmanager
async def opened(url: str, clock: Clock | None = None) -> AsyncGenerator[RedisSink]:
    sink = sink_at(url, clock)
    await sink.open()
    try:
        yield sink
    finally:
        await sink.aclose()


@asynccontextmanager
async def stranger(url: str = "") -> AsyncGenerator[redis.asyncio.Redis]:
    """A program that knows redis-py and the manual, and nothing of ours."""
    client = redis.asyncio.Redis.from_url(url.partition("?")[0] or base_url(), decode_responses=True)
    try:
        yield client
    finally:
        await client.aclose()


def candle(
    minute: int, seq: int, *, series: Series = BTC, revision: int = 0, close: str = "64001.10"
) -> SeriesCandle:
    """The candle of a minute; its close tells versions apart."""
    opens, price = START_NS + minute * MINUTE_NS, Decimal(close)
    return SeriesCandle(
        series,
        opens,
        opens + MINUTE_NS,
        *(Decimal("64000.00"), max(price, Decimal("64002.5")), Decimal("1E+3"), price, Decimal("0.50")),
        7,
        None,
        CandleState.REVISED if revision else CandleState.CLOSED,
        Evidence.HISTORY if revision else Evidence.VENUE,
        revision=revision,
        seq=seq,
        first_seq=1 if revision else seq,
    )


def quote(
    bid: str | None = "64000.10", ask: str | None = "64000.20", time_ns: int | None = START_NS
) -> Quote:
    return Quote(
        "BTC/USD",
        None if bid is None else Decimal(bid),
        None if bid is None else Decimal("1.50"),
        None if ask is None else Decimal(ask),
        None if ask is None else Decimal(2),
        time_ns,
    )


def seqs(entries: Sequence[tuple[str, dict[str, str]]]) -> list[int]:
    """What XRANGE answered, as the seqs of its candles."""
    return [int(fields["seq"]) for _, fields in entries]
