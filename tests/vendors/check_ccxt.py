"""ccxt and ccxt.pro against the simulated Kraken: what they return is compared with the market's truth."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
from ccxt_checks import MINUTE_MS, go_on_after_a_cut, soon, true_rows
from checks import Truth, check, main, same


def rest(truth: Truth) -> Any:
    """Return the plain client, pointed at loopback through its public settings."""
    exchange = ccxt.kraken({"enableRateLimit": False})
    exchange.urls["api"]["public"] = truth.rest
    return exchange


@asynccontextmanager
async def pro(truth: Truth) -> AsyncIterator[Any]:
    """Own the WebSocket client for as long as the block runs."""
    exchange = ccxt.pro.kraken({"enableRateLimit": False, "newUpdates": True})
    exchange.urls["api"]["public"] = truth.rest
    exchange.urls["api"]["ws"]["publicV2"] = f"{truth.stream}/v2"
    try:
        yield exchange
    finally:
        await exchange.close()


@check("load_markets: symbols, precisions and names")
def markets(truth: Truth) -> None:
    found = rest(truth).load_markets()

    assert {"BTC/USD", "ETH/BTC", "DOGE/USD", "XTZ/BTC"} <= set(found)
    same(found["BTC/USD"]["id"], "XXBTZUSD", "id")
    same(
        (found["BTC/USD"]["precision"]["price"], found["BTC/USD"]["precision"]["amount"]),
        (0.1, 1e-8),
        "precision",
    )


@check("fetch_ohlcv without since: 721 rows, the closed ones equal the truth")
def all_candles(truth: Truth) -> None:
    rows = rest(truth).fetch_ohlcv("BTC/USD", "1m")

    same(len(rows), 721, "rows")
    true = true_rows(truth, "BTC/USD", "1m", rows[0][0], rows[-1][0])
    told = {row[0]: row[1:] for row in rows[:-1] if row[5]}
    same(told, true, "candles")


@check("fetch_ohlcv with since: the first row opens there, quiet pairs are flat where nothing traded")
def candles_since(truth: Truth) -> None:
    now_ms = truth.now_ns() // 10**6
    since_ms = now_ms - now_ms % MINUTE_MS - 90 * MINUTE_MS
    for symbol in ("ETH/USD", "XMR/USD"):
        rows = rest(truth).fetch_ohlcv(symbol, "1m", since=since_ms)
        same(rows[0][0], since_ms, f"first open of {symbol}")
        true = true_rows(truth, symbol, "1m", since_ms, rows[-1][0])
        same({row[0]: row[1:] for row in rows[:-1] if row[5]}, true, f"candles of {symbol}")
        same(
            [row[0] for row in rows],
            [since_ms + n * MINUTE_MS for n in range(len(rows))],
            "no bucket is left out",
        )


@check("fetch_trades: the truth, in ccxt's form")
def trades(truth: Truth) -> None:
    since_ms = truth.now_ns() // 10**9 * 1000 - 60_000
    found = rest(truth).fetch_trades("BTC/USD", since=since_ms)

    true = truth.trades("BTC/USD", since_ms * 10**6 + 1, truth.now_ns())[: len(found)]
    same(
        [
            (trade["id"], trade["price"], trade["amount"], trade["side"], trade["timestamp"])
            for trade in found
        ],
        [
            (
                str(trade["id"]),
                float(trade["price"]),
                float(trade["size"]),
                trade["side"],
                trade["time_ns"] // 10**6,
            )
            for trade in true
        ],
        "trades",
    )
    assert len(found) > 60


@check("fetch_ticker and fetch_order_book: bid and ask are the market's")
def quotes(truth: Truth) -> None:
    exchange, before_ns = rest(truth), truth.now_ns()
    exchange.load_markets()
    ticker, book = exchange.fetch_ticker("BTC/USD"), exchange.fetch_order_book("BTC/USD", 10)

    true = {
        (float(quote[0]), float(quote[2])) for quote in truth.quotes("BTC/USD", before_ns, truth.now_ns())
    }
    assert (ticker["bid"], ticker["ask"]) in true
    assert (book["bids"][0][0], book["asks"][0][0]) in true


@check("Errors arrive as ccxt's own: BadSymbol, ExchangeNotAvailable, DDoSProtection")
def errors(truth: Truth) -> None:
    exchange = rest(truth)
    exchange.load_markets()
    for fault, details, expected in (
        ("rest_error", {"text": "EQuery:Invalid asset pair"}, ccxt.BadSymbol),
        ("maintenance", {}, ccxt.ExchangeNotAvailable),
        ("rest_error", {"text": "EService:Unavailable"}, ccxt.ExchangeNotAvailable),
        ("rest_error", {"text": "EGeneral:Too many requests"}, ccxt.DDoSProtection),
        ("html_520", {}, ccxt.ExchangeNotAvailable),
    ):
        truth.inject(fault, **details)
        try:
            exchange.fetch_ohlcv("BTC/USD", "1m")
        except expected:
            continue
        finally:
            truth.inject(fault, on=False)
        raise AssertionError(f"{fault} {details} raised nothing")


@check("watch_ohlcv over the end of a minute: every closed candle equals the truth")
async def watched_candles(truth: Truth) -> None:
    async with pro(truth) as exchange:
        told: dict[int, list[float]] = {}
        started_ms = truth.now_ns() // 10**6
        while not any(opened > started_ms for opened in told):
            for row in await soon(exchange.watch_ohlcv("BTC/USD", "1m")):
                told[row[0]] = row[1:]
    *closed, _ = sorted(told)
    assert len(closed) >= 1
    true = true_rows(truth, "BTC/USD", "1m", closed[0], closed[-1] + MINUTE_MS)
    same({opened: told[opened] for opened in closed}, true, "candles")


@check("watch_trades: nothing missing, nothing twice, all as in truth")
async def watched_trades(truth: Truth) -> None:
    async with pro(truth) as exchange:
        found: list[Any] = []
        while len(found) < 25:
            found += await soon(exchange.watch_trades("BTC/USD"))
    true = {
        str(trade["id"]): trade
        for trade in truth.trades("BTC/USD", truth.now_ns() - 120 * 10**9, truth.now_ns())
    }
    ids = [int(trade["id"]) for trade in found]
    same(ids, list(range(ids[0], ids[0] + len(ids))), "ids")
    for trade in found:
        expected = true[trade["id"]]
        same(
            (trade["price"], trade["amount"], trade["side"]),
            (float(expected["price"]), float(expected["size"]), expected["side"]),
            f"trade {trade['id']}",
        )


@check("watch_ticker and watch_order_book: best levels are the market's")
async def watched_quotes(truth: Truth) -> None:
    before_ns = truth.now_ns()
    tickers: list[tuple[float, float]] = []
    books: list[tuple[float, float]] = []
    async with pro(truth) as exchange:
        while len(tickers) < 5 or len(books) < 20:
            ticker = await soon(exchange.watch_ticker("BTC/USD"))
            tickers.append((ticker["bid"], ticker["ask"]))
            book = await soon(exchange.watch_order_book("BTC/USD", 25))
            books.append((book["bids"][0][0], book["asks"][0][0]))
            same((len(book["bids"]), len(book["asks"])), (25, 25), "levels")
    true = {
        (float(quote[0]), float(quote[2])) for quote in truth.quotes("BTC/USD", before_ns, truth.now_ns())
    }
    assert set(tickers) <= true
    assert set(books) <= true
    assert len(set(books)) > 3


@check("After a cut ccxt reports a network error, and a new watch goes on")
async def survives_a_cut(truth: Truth) -> None:
    async with pro(truth) as exchange:
        await go_on_after_a_cut(exchange, truth)


if __name__ == "__main__":
    main()
