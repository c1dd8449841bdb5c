"""ccxt and ccxt.pro against the simulated Coinbase: what they return is compared with the market's truth."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
from ccxt_checks import MINUTE_MS, go_on_after_a_cut, soon, true_rows
from checks import Truth, check, main, same

MAKERS = {"buy": "sell", "sell": "buy"}
"""ccxt hands on the venue's side, which is the maker's; the truth tells the taker's."""


def rest(truth: Truth) -> Any:
    """Return the plain client, pointed at loopback through its public settings."""
    exchange = ccxt.coinbase({"enableRateLimit": False})
    exchange.urls["api"]["rest"] = truth.rest
    return exchange


@asynccontextmanager
async def pro(truth: Truth) -> AsyncIterator[Any]:
    """Own the WebSocket client for as long as the block runs."""
    exchange = ccxt.pro.coinbase({"enableRateLimit": False, "newUpdates": True})
    exchange.urls["api"]["rest"] = truth.rest
    exchange.urls["api"]["ws"] = truth.stream
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


@check("load_markets: symbols, ids and precisions, the aliases in USDC too")
def markets(truth: Truth) -> None:
    found = rest(truth).load_markets()

    assert {"BTC/USD", "BTC/USDC", "ETH/BTC", "DOGE/USD"} <= set(found)
    same(found["BTC/USD"]["id"], "BTC-USD", "id")
    precision = found["BTC/USD"]["precision"]
    same((precision["price"], precision["amount"]), (0.1, 1e-8), "precision")


@check("fetch_ohlcv: what the venue tells newest first comes oldest first, and equals the truth")
def candles(truth: Truth) -> None:
    now_ms = truth.now_ns() // 10**6
    exchange = rest(truth)
    for symbol, timeframe, length_ms in (
        ("BTC/USD", "1m", MINUTE_MS),
        ("XMR/USD", "1m", MINUTE_MS),
        ("ETH/USD", "1h", 60 * MINUTE_MS),
    ):
        since_ms = now_ms - now_ms % length_ms - 40 * length_ms
        rows = exchange.fetch_ohlcv(symbol, timeframe, since=since_ms, limit=40)
        until_ms = since_ms + 40 * length_ms
        told = {row[0]: row[1:] for row in rows if row[0] < until_ms}
        same(told, true_rows(truth, symbol, timeframe, since_ms, until_ms), f"candles of {symbol}")


@check("fetch_trades: the truth, with the maker's side")
def trades(truth: Truth) -> None:
    found = rest(truth).fetch_trades("BTC/USD", limit=100)

    true = {trade["id"]: trade for trade in truth.trades("BTC/USD", truth.now_ns() - 10**12, truth.now_ns())}
    same(len(found), 100, "trades")
    for told in found:
        trade = true[int(told["id"])]
        same(
            (told["price"], told["amount"], told["side"], told["timestamp"]),
            (
                float(trade["price"]),
                float(trade["size"]),
                MAKERS[trade["side"]],
                trade["time_ns"] // 10**6,
            ),
            f"trade {told['id']}",
        )


@check("fetch_ticker and fetch_order_book: bid and ask are the market's")
def quotes(truth: Truth) -> None:
    exchange, before_ns = rest(truth), truth.now_ns()
    ticker, book = exchange.fetch_ticker("BTC/USD"), exchange.fetch_order_book("BTC/USD", 10)

    told = truth.quotes("BTC/USD", before_ns, truth.now_ns())
    true = {(float(quote[0]), float(quote[2])) for quote in told}
    assert (ticker["bid"], ticker["ask"]) in true
    assert (book["bids"][0][0], book["asks"][0][0]) in true


@check("Errors arrive as ccxt's own: BadRequest, RateLimitExceeded, ExchangeNotAvailable")
def errors(truth: Truth) -> None:
    exchange = rest(truth)
    exchange.load_markets()

    def raises(expected: type[Exception], what: str, **params: object) -> None:
        try:
            exchange.fetch_ohlcv("BTC/USD", "1m", params=params)
        except expected:
            return
        raise AssertionError(f"{what} raised nothing")

    raises(ccxt.BadRequest, "a granularity that is not there", granularity="THREE_MINUTE")
    for fault, details, off, expected in (
        ("rest_rate", {"per_s": 0}, {"per_s": 100}, ccxt.RateLimitExceeded),
        ("html_503", {}, {"on": False}, ccxt.ExchangeNotAvailable),
    ):
        truth.inject(fault, **details)
        try:
            raises(expected, fault)
        finally:
            truth.inject(fault, **off)


@check("watch_trades: nothing missing, nothing twice, all as in truth, for the alias in USDC too")
async def watched_trades(truth: Truth) -> None:
    for symbol in ("BTC/USD", "ETH/USDC"):
        async with pro(truth) as exchange:
            found: list[Any] = []
            while len({trade["id"] for trade in found}) < 80:  # fifty are the snapshot's
                found += await soon(exchange.watch_trades(symbol))
        market = symbol.replace("USDC", "USD")
        since_ns = truth.now_ns() - 300 * 10**9
        true = {str(trade["id"]): trade for trade in truth.trades(market, since_ns, truth.now_ns())}
        ids = sorted({int(trade["id"]) for trade in found})  # those of an alias it hands out more than once
        assert len(ids) == len(found) or symbol == "ETH/USDC"
        same(ids, list(range(ids[0], ids[0] + len(ids))), f"ids of {symbol}")
        for trade in found:
            expected = true[trade["id"]]
            same(
                (trade["price"], trade["amount"], trade["side"]),
                (float(expected["price"]), float(expected["size"]), MAKERS[expected["side"]]),
                f"trade {trade['id']} of {symbol}",
            )


@check("watch_ticker and watch_order_book: best levels are the market's")
async def watched_quotes(truth: Truth) -> None:
    before_ns = truth.now_ns()
    tickers: list[tuple[float, float]] = []
    books: list[tuple[float, float]] = []
    async with pro(truth) as exchange:
        while len(tickers) < 10:
            ticker = await soon(exchange.watch_ticker("BTC/USD"))
            tickers.append((ticker["bid"], ticker["ask"]))
            book = await soon(exchange.watch_order_book("BTC/USD"))
            books.append((book["bids"][0][0], book["asks"][0][0]))
    told = truth.quotes("BTC/USD", before_ns, truth.now_ns())
    true = {(float(quote[0]), float(quote[2])) for quote in told}
    assert set(tickers) <= true
    assert set(books) <= true
    assert len(set(books)) > 3


@check("After a cut ccxt reports a network error, and a new watch goes on")
async def survives_a_cut(truth: Truth) -> None:
    async with pro(truth) as exchange:
        await go_on_after_a_cut(exchange, truth)


if __name__ == "__main__":
    main()
