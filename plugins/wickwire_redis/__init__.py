"""The Redis sink: latest quotes, recent candles, a stream of candles per series. Keys: docs/redis.md."""

from __future__ import annotations

from typing import Final

from wickwire import Sink, hookimpl
from wickwire_redis.address import parse_address
from wickwire_redis.reader import HotCandles, HotQuote
from wickwire_redis.sink import RedisSink

__all__ = ["HotCandles", "HotQuote", "RedisSink", "open_sink"]

API_LEVEL: Final = 1


@hookimpl
def open_sink(url: str) -> Sink | None:
    """Make the sink of `redis://user@host:6379/0?primary=kraken`; `rediss:` is the same over TLS.

    Raises:
        ConfigError: The address is ours, and something in it is wrong.
    """
    address = parse_address(url)
    return None if address is None else RedisSink(address)
