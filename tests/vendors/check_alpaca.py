"""alpaca-py against the simulated Alpaca: what it parses is compared with the truth.

Its streams speak msgpack, where ccxt speaks JSON.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestQuoteRequest,
    CryptoSnapshotRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit
from checks import Truth, check, main, same, until

KEYS = ("PKTEST", "SECRET")
MINUTE_NS = 60 * 10**9
HEARD: dict[str, list[Any]] = {}
"""What the streams brought, by kind: one listening serves several checks."""


def when_ns(moment: datetime) -> int:
    """Return a datetime of the SDK, cut to microseconds, in nanoseconds."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC)


def keep(kind: str) -> Any:
    """Return a handler that keeps what it is called with."""

    async def handler(data: Any) -> None:
        HEARD.setdefault(kind, []).append(data)

    return handler


@asynccontextmanager
async def running(*streams: Any) -> AsyncIterator[None]:
    """Run streams of the SDK for as long as the block lasts; one that does not stop then is an error."""
    async with asyncio.timeout(150), asyncio.TaskGroup() as tasks:
        for stream in streams:
            tasks.create_task(stream._run_forever())
        try:
            yield
        finally:
            for stream in streams:
                await stream.stop_ws()


def told_bar(bar: Any) -> tuple[object, ...]:
    return (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trade_count, bar.vwap)


def true_bar(row: dict[str, Any]) -> tuple[object, ...]:
    prices = (row["open"], row["high"], row["low"], row["close"], row["volume"])
    return (*map(float, prices), row["trade_count"], float(row["vwap"]))


def check_bars(bars: list[Any], truth: Truth, timeframe: str = "1m") -> None:
    """Fail unless every bar is the truth."""
    for bar in bars:
        at_ns = when_ns(bar.timestamp)
        [row] = truth.candles(bar.symbol, timeframe, at_ns, at_ns + 1).values()
        same(told_bar(bar), true_bar(row), f"{bar.symbol} {bar.timestamp}")


# ------------------------------------------------------------------------------------------------- streams


@check("StockDataStream and CryptoDataStream: connect, authenticate and subscribe, both at once")
async def listening(truth: Truth) -> None:
    stocks = StockDataStream(*KEYS, url_override=f"{truth.stream}/v2/iex")
    crypto = CryptoDataStream(*KEYS, url_override=f"{truth.stream}/v1beta3/crypto/us")
    raw = CryptoDataStream(
        "PKOTHER", "SECRET", raw_data=True, url_override=f"{truth.stream}/v1beta3/crypto/us"
    )
    stocks.subscribe_trades(keep("t"), "AAPL", "SPY")
    stocks.subscribe_quotes(keep("q"), "AAPL")
    stocks.subscribe_bars(keep("b"), "AAPL", "MSFT", "DUSK")
    stocks.subscribe_updated_bars(keep("u"), "AAPL")
    stocks.subscribe_daily_bars(keep("d"), "SPY")
    stocks.subscribe_trading_statuses(keep("s"), "AAPL")
    stocks.register_trade_corrections(keep("c"))
    stocks.register_trade_cancels(keep("x"))
    crypto.subscribe_trades(keep("crypto t"), "BTC/USD")
    crypto.subscribe_quotes(keep("crypto q"), "ETH/USD")
    crypto.subscribe_bars(keep("crypto b"), "BTC/USD", "XTZ/BTC")
    raw.subscribe_trades(keep("raw t"), "BTC/USD")
    async with running(stocks, crypto, raw):
        await until(lambda: HEARD.get("b") and len(HEARD.get("crypto b", ())) > 1, 75, "the bars of a minute")
        over_ns = truth.now_ns() // MINUTE_NS * MINUTE_NS
        ago_s = (truth.now_ns() - over_ns) / 1e9 + 20
        await asyncio.to_thread(truth.inject, "late_trade", symbol="AAPL", ago_s=ago_s)
        await asyncio.to_thread(truth.inject, "correct_trade", symbol="SPY")
        await asyncio.to_thread(truth.inject, "cancel_trade", symbol="SPY")
        await asyncio.to_thread(truth.inject, "status", symbol="AAPL", code="H", text="Trading Halt")
        await until(lambda: all(map(HEARD.get, "ucxsd")), 45, "updated bar, correction, cancellation, status")


@check("StockDataStream: bars are the minutes of the market; one without trades has none")
def bars(truth: Truth) -> None:
    check_bars([bar for bar in HEARD["b"] if bar.symbol != "AAPL"], truth)
    first = min(bar.timestamp for bar in HEARD["b"])
    told = {bar.symbol for bar in HEARD["b"] if bar.timestamp == first}
    at_ns = when_ns(first)
    true = {name for name in ("AAPL", "MSFT", "DUSK") if truth.candles(name, "1m", at_ns, at_ns + 1)}
    same(told, true, "who has a bar")


@check("StockDataStream: an updated bar has the late trade that its bar had not")
def updated(truth: Truth) -> None:
    after = HEARD["u"][0]
    [before] = [bar for bar in HEARD["b"] if bar.symbol == "AAPL" and bar.timestamp == after.timestamp]
    same(after.trade_count, before.trade_count + 1, "trades")
    assert after.volume > before.volume
    check_bars([after], truth)


@check("StockDataStream: a daily bar is the day so far, from midnight in New York")
def daily(truth: Truth) -> None:
    bar = HEARD["d"][0]
    same((bar.timestamp.hour, bar.timestamp.minute), (5, 0), "when it opens")
    [row] = truth.candles("SPY", "1d", when_ns(bar.timestamp), when_ns(bar.timestamp) + 1).values()
    same(bar.open, float(row["open"]), "open")
    assert 0 < bar.volume <= row["volume"]


@check("StockDataStream: trades and quotes are those of the market")
def ticks(truth: Truth) -> None:
    late = HEARD["u"][0].timestamp + timedelta(minutes=1)
    told = [each for each in HEARD["t"] if each.symbol == "AAPL" and each.timestamp >= late]
    times = [when_ns(each.timestamp) for each in told]
    true = truth.trades("AAPL", min(times), max(times) + 1000)
    same(
        [(each.price, each.size) for each in told],
        [(float(row["price"]), float(row["size"])) for row in true],
        "trades",
    )
    assert all(each.id and each.conditions and str(each.exchange).endswith("V") for each in told)
    at_ns = [when_ns(each.timestamp) for each in HEARD["q"]]
    known = truth.quotes("AAPL", min(at_ns) - MINUTE_NS, max(at_ns) + 1000)
    true_quotes = {tuple(map(float, quote)) for quote in known}
    told_quotes = {(each.bid_price, each.bid_size, each.ask_price, each.ask_size) for each in HEARD["q"]}
    assert told_quotes <= true_quotes, told_quotes - true_quotes


@check("StockDataStream: correction, cancellation and status are parsed")
def news(truth: Truth) -> None:
    corrected, canceled, status = HEARD["c"][0], HEARD["x"][0], HEARD["s"][0]
    [last] = truth.trades("SPY", 0, truth.now_ns())[-1:]
    assert corrected.original_id is not None
    assert corrected.corrected_id not in (None, corrected.original_id)
    assert corrected.corrected_price > corrected.original_price
    assert (canceled.symbol, canceled.action) == ("SPY", "C")
    assert canceled.id is not None
    assert canceled.id <= 52_983_525_000_000 + last["id"]
    same((status.symbol, status.status_code, status.status_message), ("AAPL", "H", "Trading Halt"), "status")


@check("CryptoDataStream: trades, quotes and bars; a minute without trades is made of quotes")
def crypto_stream(truth: Truth) -> None:
    told = HEARD["crypto t"]
    times = [when_ns(each.timestamp) for each in told]
    true = truth.trades("BTC/USD", min(times), max(times) + 1000)
    same(
        [(each.price, each.size) for each in told],
        [(float(row["price"]), float(row["size"])) for row in true],
        "trades",
    )
    assert all(each.id > 2**53 for each in told)
    check_bars(HEARD["crypto b"], truth)
    quiet = [bar for bar in HEARD["crypto b"] if bar.symbol == "XTZ/BTC"]
    same({(bar.volume, bar.trade_count, bar.vwap) for bar in quiet}, {(0.0, 0.0, 0.0)}, "a minute of quotes")
    assert all(quote.bid_price < quote.ask_price for quote in HEARD["crypto q"])


@check("CryptoDataStream, raw: the side is the taker's, the time has nine digits")
def raw_stream(truth: Truth) -> None:
    told = HEARD["raw t"]
    times = [each["t"].to_unix_nano() for each in told]
    true = truth.trades("BTC/USD", min(times), max(times) + 1)
    sides = {"B": "buy", "S": "sell"}
    same(
        [(at_ns, sides[each["tks"]]) for at_ns, each in zip(times, told, strict=True)],
        [(row["time_ns"], row["side"]) for row in true],
        "times and sides",
    )
    assert all(next(iter(each)) == "T" for each in told), "T comes first"


async def complaint(stream: Any, text: str) -> None:
    """Run a stream that cannot work until the SDK logs *text*."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Lines()
    logging.getLogger("alpaca").addHandler(handler)
    stream.subscribe_trades(keep("never"), "AAPL")
    try:
        async with running(stream):
            await until(lambda: any(text in line for line in lines), 15, f"{text!r} in the log, got {lines}")
    finally:
        logging.getLogger("alpaca").removeHandler(handler)
    assert "never" not in HEARD


@check("StockDataStream: wrong keys and a second connection to one endpoint are told apart")
async def refused(truth: Truth) -> None:
    url = f"{truth.stream}/v2/iex"
    await complaint(StockDataStream("BADKEY", "x", url_override=url), "auth failed")
    await asyncio.to_thread(truth.inject, "slot_taken")
    await complaint(StockDataStream(*KEYS, url_override=url), "connection limit exceeded")
    await asyncio.to_thread(truth.inject, "slot_taken", on=False)


@check("StockDataStream: a feed that the plan does not have ends it")
async def not_in_the_plan(truth: Truth) -> None:
    await asyncio.to_thread(truth.inject, "plan", name="basic")
    try:
        await complaint(
            StockDataStream(*KEYS, url_override=f"{truth.stream}/v2/sip"), "insufficient subscription"
        )
    finally:
        await asyncio.to_thread(truth.inject, "plan", name="plus")


# ---------------------------------------------------------------------------------------------------- REST


def stocks_of(truth: Truth, key: str = "PKTEST") -> StockHistoricalDataClient:
    return StockHistoricalDataClient(key, "SECRET", url_override=truth.rest)


@check(
    "StockHistoricalDataClient: two symbols over short pages come whole, days open at midnight in New York"
)
def stock_bars(truth: Truth) -> None:
    client, now_ns = stocks_of(truth), truth.now_ns() // MINUTE_NS * MINUTE_NS
    truth.inject("short_pages", rows=7)
    try:
        asked = StockBarsRequest(
            symbol_or_symbols=["AAPL", "DUSK"],
            timeframe=TimeFrame.Minute,
            start=moment(now_ns - 30 * MINUTE_NS),
            end=moment(now_ns - 6 * MINUTE_NS),
            feed=DataFeed.IEX,
        )
        found = client.get_stock_bars(asked).data
    finally:
        truth.inject("short_pages", on=False)
    for symbol in ("AAPL", "DUSK"):
        true = truth.candles(symbol, "1m", now_ns - 30 * MINUTE_NS, now_ns - 6 * MINUTE_NS + 1)
        same(
            [when_ns(bar.timestamp) // 10**9 for bar in found.get(symbol, [])],
            list(true),
            f"minutes of {symbol}",
        )
    assert len(found["AAPL"]) > 20
    check_bars(found["AAPL"], truth)
    asked = StockBarsRequest(
        symbol_or_symbols="AAPL", timeframe=TimeFrame.Day, start=moment(now_ns - 3 * 1440 * MINUTE_NS)
    )
    days = client.get_stock_bars(asked).data["AAPL"]
    same({bar.timestamp.hour for bar in days}, {5}, "hour of opening")
    check_bars(days[:-1], truth, "1d")


@check("StockHistoricalDataClient: limit, other lengths, trades, latest quotes")
def stock_rest(truth: Truth) -> None:
    client, now_ns = stocks_of(truth), truth.now_ns() // MINUTE_NS * MINUTE_NS
    hour_ns = now_ns - now_ns % (60 * MINUTE_NS)
    asked = StockBarsRequest(
        symbol_or_symbols="SPY",
        timeframe=TimeFrame(5, TimeFrameUnit.Minute),
        start=moment(hour_ns - 30 * MINUTE_NS),
        limit=3,
        feed=DataFeed.IEX,
    )
    found = client.get_stock_bars(asked).data["SPY"]
    same(len(found), 3, "rows")
    check_bars(found, truth, "5m")
    asked = StockTradesRequest(
        symbol_or_symbols="AAPL", start=moment(hour_ns - 20 * MINUTE_NS), end=moment(hour_ns - 19 * MINUTE_NS)
    )
    trades = client.get_stock_trades(asked).data["AAPL"]
    true = truth.trades("AAPL", hour_ns - 20 * MINUTE_NS, hour_ns - 19 * MINUTE_NS + 1)
    same(
        [(each.price, each.size) for each in trades],
        [(float(row["price"]), float(row["size"])) for row in true],
        "trades",
    )
    quote = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"]
    known = truth.quotes("AAPL", truth.now_ns() - 2 * MINUTE_NS, truth.now_ns())
    assert (quote.bid_price, quote.ask_price) in {(float(each[0]), float(each[2])) for each in known}


@check("StockHistoricalDataClient, CryptoHistoricalDataClient: quotes of the past, snapshots")
def quotes_and_snapshots(truth: Truth) -> None:
    now_ns = truth.now_ns() // MINUTE_NS * MINUTE_NS
    span = (now_ns - 5 * MINUTE_NS, now_ns - 4 * MINUTE_NS)
    asked = StockQuotesRequest(symbol_or_symbols="AAPL", start=moment(span[0]), end=moment(span[1]))
    quotes = stocks_of(truth).get_stock_quotes(asked).data["AAPL"]
    true = truth.quotes("AAPL", span[0], span[1] + 1)[1:]
    same(
        [(each.bid_price, each.bid_size, each.ask_price, each.ask_size) for each in quotes],
        [tuple(map(float, each)) for each in true],
        "quotes",
    )
    shot = stocks_of(truth).get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols="SPY"))["SPY"]
    check_bars([shot.minute_bar], truth)
    check_bars([shot.previous_daily_bar], truth, "1d")
    same(shot.daily_bar.timestamp.hour, 5, "hour of opening")
    crypto = CryptoHistoricalDataClient(url_override=truth.rest)
    shot = crypto.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols="XTZ/BTC"))["XTZ/BTC"]
    check_bars([shot.minute_bar], truth)
    same(shot.daily_bar.timestamp.hour, 6, "hour of opening")


@check("CryptoHistoricalDataClient, without keys: bars, latest quotes, nothing for what is unknown")
def crypto_rest(truth: Truth) -> None:
    client, now_ns = (
        CryptoHistoricalDataClient(url_override=truth.rest),
        truth.now_ns() // MINUTE_NS * MINUTE_NS,
    )

    def asked(symbols: Any, timeframe: Any = TimeFrame.Minute, minutes: int = 20) -> Any:
        start, end = moment(now_ns - minutes * MINUTE_NS), moment(now_ns - 3 * MINUTE_NS)
        return client.get_crypto_bars(
            CryptoBarsRequest(symbol_or_symbols=symbols, timeframe=timeframe, start=start, end=end)
        ).data

    found = asked(["BTC/USD", "XMR/USD"])
    same({symbol: len(rows) for symbol, rows in found.items()}, {"BTC/USD": 18, "XMR/USD": 18}, "rows")
    check_bars([*found["BTC/USD"], *found["XMR/USD"]], truth)
    assert any(bar.trade_count == 0 for bar in found["XMR/USD"]), "a minute of quotes"
    same(asked("NOPE/USD"), {}, "an unknown pair")
    days = asked("BTC/USD", TimeFrame.Day, 2 * 1440)["BTC/USD"]
    same({bar.timestamp.hour for bar in days}, {6}, "a day opens at midnight in Chicago")
    quote = client.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="ETH/USD"))["ETH/USD"]
    assert 0 < quote.bid_price < quote.ask_price


@check("Errors of REST: 403 for keys and for SIP of the last 15 minutes, 400 for a symbol, 429 is waited out")
def errors(truth: Truth) -> None:
    def bars_of(symbol: str, key: str = "PKTEST", feed: DataFeed = DataFeed.IEX) -> Any:
        start = moment(truth.now_ns() - 5 * MINUTE_NS)
        asked = StockBarsRequest(
            symbol_or_symbols=symbol,
            timeframe=TimeFrame.Minute,
            start=start,
            end=moment(truth.now_ns()),
            feed=feed,
        )
        return stocks_of(truth, key).get_stock_bars(asked)

    def message(*arguments: Any) -> tuple[int, str]:
        try:
            bars_of(*arguments)
        except APIError as exc:
            return exc.status_code, exc.message
        raise AssertionError("it was answered")

    same(message("AAPL", "BADKEY"), (403, "forbidden."), "wrong keys")
    same(message("NO-SUCH"), (400, "invalid symbol: NO-SUCH"), "a symbol of a wrong form")
    truth.inject("plan", name="basic")
    refusal = "subscription does not permit querying recent SIP data"
    same(message("AAPL", "PKTEST", DataFeed.SIP), (403, refusal), "SIP of now")
    truth.inject("rest_rate", burst=1, per_s=0.5)
    started = time.monotonic()
    bars_of("AAPL")
    found = bars_of("AAPL").data
    waited_s = time.monotonic() - started
    truth.inject("plan", name="plus")
    assert waited_s > 2.5, f"429 was waited out in {waited_s} s"
    assert found["AAPL"]


if __name__ == "__main__":
    main()
