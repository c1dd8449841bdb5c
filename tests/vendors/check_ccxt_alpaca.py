"""ccxt and ccxt.pro against the simulated Alpaca, crypto: what they return is compared with the truth.

Its stream speaks JSON, where alpaca-py speaks msgpack.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
from ccxt_checks import MINUTE_MS, soon, true_rows
from checks import Truth, check, main, same


def pointed(exchange: Any, truth: Truth) -> Any:
    """Point a client at loopback, through its public settings."""
    exchange.apiKey, exchange.secret = "PKTEST", "SECRET"
    exchange.urls["api"]["market"] = exchange.urls["api"]["trader"] = truth.rest
    return exchange


def rest(truth: Truth) -> Any:
    """Return the plain client."""
    return pointed(ccxt.alpaca({"enableRateLimit": False}), truth)


@asynccontextmanager
async def pro(truth: Truth) -> AsyncIterator[Any]:
    """Own the WebSocket client for as long as the block runs; its own address is of a retired version."""
    exchange = pointed(ccxt.pro.alpaca({"enableRateLimit": False, "newUpdates": True}), truth)
    exchange.urls["api"]["ws"]["crypto"] = f"{truth.stream}/v1beta3/crypto/us"
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


@check("load_markets: the crypto pairs")
def markets(truth: Truth) -> None:
    found = rest(truth).load_markets()

    assert {"BTC/USD", "ETH/BTC", "XTZ/BTC"} <= set(found)
    assert "AAPL" not in found
    same(found["BTC/USD"]["id"], "BTC/USD", "id")


@check("fetch_ohlcv: minutes, those without trades too, and hours equal the truth")
def candles(truth: Truth) -> None:
    now_ms = truth.now_ns() // 10**6
    for symbol, timeframe, length_ms in (
        ("BTC/USD", "1m", MINUTE_MS),
        ("XMR/USD", "1m", MINUTE_MS),
        ("ETH/USD", "1h", 60 * MINUTE_MS),
    ):
        since_ms = now_ms - now_ms % length_ms - 12 * length_ms
        rows = rest(truth).fetch_ohlcv(symbol, timeframe, since=since_ms, limit=10)
        true = true_rows(truth, symbol, timeframe, since_ms, since_ms + 10 * length_ms)
        same(len(rows), 10, "rows")
        same({row[0]: row[1:] for row in rows}, true, f"candles of {symbol}")


@check("fetch_trades: prices, sizes and sides equal the truth")
def trades(truth: Truth) -> None:
    since_ms = truth.now_ns() // 10**6 - 60_000
    told = rest(truth).fetch_trades("BTC/USD", since=since_ms, limit=50)
    true = truth.trades("BTC/USD", since_ms * 10**6, told[-1]["timestamp"] * 10**6 + 10**6)

    same(len(told), 50, "trades")
    same(
        [(one["price"], one["amount"], one["side"]) for one in told],
        [(float(row["price"]), float(row["size"]), row["side"]) for row in true][: len(told)],
        "trades",
    )


@check("watch_trades: as they happen, with the taker's side")
async def watched_trades(truth: Truth) -> None:
    told: list[dict[str, Any]] = []
    async with pro(truth) as exchange:
        while len(told) < 30:
            told += await soon(exchange.watch_trades("BTC/USD"))
    true = truth.trades("BTC/USD", told[0]["timestamp"] * 10**6, truth.now_ns())
    rows = [(row["time_ns"] // 10**6, float(row["price"]), float(row["size"]), row["side"]) for row in true]
    first = (told[0]["timestamp"], told[0]["price"], told[0]["amount"], told[0]["side"])
    start = rows.index(first)
    same(
        [(one["timestamp"], one["price"], one["amount"], one["side"]) for one in told],
        rows[start : start + len(told)],
        "trades",
    )


@check("watch_ticker: bid and ask are the market's")
async def watched_ticker(truth: Truth) -> None:
    await asyncio.sleep(3)  # the place of the connection before is held for two seconds
    async with pro(truth) as exchange:
        told = [await soon(exchange.watch_ticker("ETH/USD")) for _ in range(5)]
    quotes = truth.quotes("ETH/USD", truth.now_ns() - 120 * 10**9, truth.now_ns())
    known = {(float(bid), float(ask)) for bid, _, ask, _ in quotes}
    assert {(one["bid"], one["ask"]) for one in told} <= known


@check("watch_ohlcv: the minute that ended equals the truth")
async def watched_candles(truth: Truth) -> None:
    await asyncio.sleep(3)
    async with pro(truth) as exchange:
        rows = await soon(exchange.watch_ohlcv("BTC/USD", "1m"), 75)
    opened = rows[-1][0]
    same({opened: rows[-1][1:]}, true_rows(truth, "BTC/USD", "1m", opened, opened + 1), "candle")


if __name__ == "__main__":
    main()
