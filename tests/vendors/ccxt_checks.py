"""What the checks of ccxt share, whatever the venue."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import ccxt
from checks import Truth

MINUTE_MS = 60_000


async def soon(awaited: Awaitable[Any], limit_s: float = 30) -> Any:
    """Return what comes in time, or fail."""
    async with asyncio.timeout(limit_s):
        return await awaited


def true_rows(
    truth: Truth, symbol: str, timeframe: str, since_ms: int, until_ms: int
) -> dict[int, list[float]]:
    """Return the venue's candles in ccxt's form, by open time."""
    found = truth.candles(symbol, timeframe, since_ms * 10**6, until_ms * 10**6)
    names = ("open", "high", "low", "close", "volume")
    return {opened * 1000: [float(row[name]) for name in names] for opened, row in found.items()}


async def go_on_after_a_cut(exchange: Any, truth: Truth) -> None:
    """Cut the connection: a network error has to be reported, and a new watch has to go on."""
    await soon(exchange.watch_trades("BTC/USD"))
    await asyncio.to_thread(truth.inject, "hangup", code=1006)
    cut: list[Exception] = []

    async def watch() -> None:
        try:
            await exchange.watch_trades("BTC/USD")
        except ccxt.NetworkError as exc:
            cut.append(exc)

    async def watch_until_cut() -> None:
        while not cut:
            await watch()

    await soon(watch_until_cut())
    assert await soon(exchange.watch_trades("BTC/USD"))
