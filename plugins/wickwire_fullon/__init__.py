"""The `ExchangeQueue` that fullon collectors call, made of wickwire: docs/fullon.md.

It imports no fullon package, and no host need know this one: a host puts a `FullonQueue` where its collectors
look for `fullon_exchange.queue.ExchangeQueue`.
"""

from __future__ import annotations

from wickwire_fullon.handler import FullonHandler
from wickwire_fullon.queue import FullonQueue
from wickwire_fullon.shapes import FullonTick, FullonTrade

__all__ = ["FullonHandler", "FullonQueue", "FullonTick", "FullonTrade"]
