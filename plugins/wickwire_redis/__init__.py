"""The Redis sink, the hot layer and the shared budget in Redis. Keys: docs/redis.md."""

from __future__ import annotations

from typing import Final

from wickwire import Cache, ConfigError, SharedBudget, Sink, hookimpl
from wickwire_redis.address import parse_address
from wickwire_redis.budget import RedisBudget, budget_address
from wickwire_redis.hot import RedisCache, RedisHot
from wickwire_redis.reader import HotCandles, HotQuote
from wickwire_redis.sink import RedisSink

__all__ = [
    "HotCandles",
    "HotQuote",
    "RedisBudget",
    "RedisCache",
    "RedisHot",
    "RedisSink",
    "open_budget",
    "open_cache",
    "open_sink",
]

API_LEVEL: Final = 1


@hookimpl
def open_sink(url: str) -> Sink | None:
    """Make the sink of `redis://user@host:6379/0?primary=kraken`; `rediss:` is the same over TLS.

    Raises:
        ConfigError: The address is ours, and something in it is wrong.
    """
    address = parse_address(url)
    return None if address is None else RedisSink(address)


@hookimpl
def open_cache(url: str) -> Cache | None:
    """Make the hot layer of such an address.

    Raises:
        ConfigError: The address is ours, and something in it is wrong.
    """
    try:
        address = parse_address(url)
    except ConfigError as exc:
        raise ConfigError(f"cache {str(exc).removeprefix('sink ')}") from exc
    return None if address is None else RedisCache(address)


@hookimpl
def open_budget(url: str) -> SharedBudget | None:
    """Make the shared budget of `redis://user@host:6379/0?prefix=prod:`; `rediss:` is the same over TLS.

    Raises:
        ConfigError: The address is ours, and something in it is wrong.
    """
    address = budget_address(url)
    return None if address is None else RedisBudget(address)
