"""What the checks of cryptofeed share: a program of the guides, run while its venue cuts the connection."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

from checks import Truth
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes

SECOND_NS = 10**9
SPEED = 10
"""How much faster the venue lives, as `run.py` has it."""


def redirected(exchange: Any, truth: Truth, products: str) -> None:
    """Point a class to loopback by its settings.

    It takes addresses of wss alone, and asks what is there for logins for another one before it connects.
    """

    async def there(feed: Any, address: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        del feed, address
        return truth.stream, options

    [endpoint] = exchange.websocket_endpoints
    exchange.websocket_endpoints = [replace(endpoint, authentication=True)]
    exchange._ws_authentication = there
    exchange.rest_endpoints = [RestEndpoint(truth.rest, routes=Routes(products))]


async def at(truth: Truth, second: int, began_ns: int) -> None:
    """Wait until the venue's clock is so many seconds beyond the minute in which a check began."""
    while True:
        left_ns = began_ns + second * SECOND_NS - await asyncio.to_thread(truth.now_ns)
        if left_ns <= 0:
            return
        await asyncio.sleep(left_ns / SECOND_NS / SPEED)


async def listened(truth: Truth, feed: Any, cut_s: int, back_s: int, until_s: int) -> int:
    """Run *feed*; its connection is cut, and others are refused for a while. Return when it began."""
    began_ns = truth.now_ns() // (60 * SECOND_NS) * (60 * SECOND_NS)
    handler = FeedHandler({"log": {"disabled": True}, "uvloop": False})
    handler.add_feed(feed)
    handler.run(start_loop=False, install_signal_handlers=False)
    await at(truth, cut_s, began_ns)
    await asyncio.to_thread(truth.inject, "refuse_connections")
    await asyncio.to_thread(truth.inject, "hangup", code=1006)
    await at(truth, back_s, began_ns)
    await asyncio.to_thread(truth.inject, "refuse_connections", on=False)
    await at(truth, until_s, began_ns)
    await handler.stop_async(asyncio.get_running_loop())
    return began_ns // SECOND_NS


def true_rows(truth: Truth, since_s: int, until_s: int) -> dict[int, list[Decimal]]:
    """Return the market's candles, by open time in seconds."""
    rows = truth.candles("BTC/USD", "1m", since_s * SECOND_NS, until_s * SECOND_NS)
    names = ("open", "high", "low", "close", "volume")
    return {opened: [row[name] for name in names] for opened, row in rows.items()}
