"""python-kraken-sdk against the simulated Kraken: what it parses is compared with the market's truth."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zlib import crc32

from checks import Truth, check, main, same, until
from kraken.exceptions import KrakenUnknownAssetError
from kraken.spot import Market, SpotOrderBookClient, SpotWSClient

SYMBOLS = ("BTC/USD", "ETH/USD")
DECIMALS = {"BTC/USD": (1, 8), "ETH/USD": (2, 8)}


# --------------------------------------------------------------------------------------------------- REST


@check("Market.get_ohlc: 721 rows, those with trades equal the truth, the others are flat")
def ohlc(truth: Truth) -> None:
    for pair, symbol, minutes, timeframe in (
        ("XBTUSD", "BTC/USD", 1, "1m"),
        ("XETHZUSD", "ETH/USD", 60, "1h"),
        ("XMRUSD", "XMR/USD", 1, "1m"),
    ):
        reply = Market(url=truth.rest).get_ohlc(pair=pair, interval=minutes)
        [key] = [key for key in reply if key != "last"]
        *rows, running = reply[key]
        if minutes == 1:
            same(len(rows), 720, "rows before the running one")
        same(reply["last"], rows[-1][0], "last is the row before the running one")
        same(running[0], rows[-1][0] + 60 * minutes, "the running row")
        true = truth.candles(symbol, timeframe, rows[0][0] * 10**9, running[0] * 10**9)
        same({row[0] for row in rows if row[7]}, set(true), f"buckets of {symbol} with trades")
        assert pair != "XMRUSD" or len(true) < 720, "an idle minute"
        previous = None
        for row in rows:
            if row[7]:
                same(_rest_row(row), _true_row(true[row[0]]), f"{symbol} {row[0]}")
            elif previous is not None:
                same((*row[1:5], row[5], row[6]), (*(previous,) * 4, "0.0", "0.00000000"), "a flat row")
            previous = row[4]


def _rest_row(row: list[Any]) -> tuple[object, ...]:
    return (*(Decimal(text) for text in (*row[1:5], row[6], row[5])), row[7])


def _true_row(row: dict[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("open", "high", "low", "close", "volume", "vwap", "trade_count"))


@check("Market.get_recent_trades: prices, sizes, sides and ids equal the truth")
def recent_trades(truth: Truth) -> None:
    since_ns = truth.now_ns() - 120 * 10**9
    reply = Market(url=truth.rest).get_recent_trades(pair="XBTUSD", since=since_ns)

    rows = reply["XXBTZUSD"]
    true = truth.trades("BTC/USD", since_ns + 1, int(reply["last"]) + 1)
    same(
        [(Decimal(row[0]), Decimal(row[1]), {"b": "buy", "s": "sell"}[row[3]], row[6]) for row in rows],
        [(trade["price"], trade["size"], trade["side"], trade["id"]) for trade in true],
        "trades",
    )
    assert len(rows) > 100


@check("Market.get_ticker and get_order_book: bid and ask are the market's")
def quotes(truth: Truth) -> None:
    market, before_ns = Market(url=truth.rest), truth.now_ns()
    ticker = market.get_ticker(pair="XBTUSD")["XXBTZUSD"]
    book = market.get_order_book(pair="BTC/USD", count=5)["BTC/USD"]

    best = {(quote[0], quote[2]) for quote in truth.quotes("BTC/USD", before_ns, truth.now_ns())}
    assert (Decimal(ticker["b"][0]), Decimal(ticker["a"][0])) in best
    assert (Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0])) in best
    same(len(book["asks"]), 5, "levels")


@check("Market.get_assets, get_asset_pairs, get_system_status: names and decimals")
def facts(truth: Truth) -> None:
    market = Market(url=truth.rest)

    same(market.get_assets(assets="XBT")["XXBT"]["altname"], "XBT", "asset")
    pair = market.get_asset_pairs(pair="DOGE/USD")["DOGE/USD"]
    same((pair["wsname"], pair["pair_decimals"], pair["lot_decimals"]), ("XDG/USD", 7, 8), "pair")
    same(market.get_system_status()["status"], "online", "status")


@check("An unknown pair raises KrakenUnknownAssetError")
def unknown_pair(truth: Truth) -> None:
    try:
        Market(url=truth.rest).get_ohlc(pair="NONSENSE")
    except KrakenUnknownAssetError:
        return
    raise AssertionError("no error")


# ------------------------------------------------------------------------------------------------- stream


class Recorder:
    """A `SpotWSClient` that keeps what it hears."""

    def __init__(self, truth: Truth) -> None:
        self.heard: list[Any] = []
        self.client = SpotWSClient(callback=self._hear, ws_url=truth.stream, rest_url=truth.rest)

    async def _hear(self, message: object) -> None:
        self.heard.append(message)

    def rows(self, channel: str, kind: str = "update") -> list[Any]:
        """Return the rows of one kind of message."""
        return [
            row
            for message in self.heard
            if message.get("channel") == channel and message.get("type") == kind
            for row in message["data"]
        ]

    def replies(self) -> list[Any]:
        """Return the answers to subscriptions."""
        return [message for message in self.heard if message.get("method") == "subscribe"]


@check("SpotWSClient: a minute of ohlc, trade, ticker and book equals the truth, every CRC is right")
async def minute_of_everything(truth: Truth) -> None:
    recorder = Recorder(truth)
    await recorder.client.start()
    from_ns = truth.now_ns()
    for params in (
        {"channel": "ohlc", "interval": 1},
        {"channel": "trade", "snapshot": True},
        {"channel": "ticker", "event_trigger": "bbo"},
        {"channel": "book", "depth": 25},
    ):
        await recorder.client.subscribe(params={**params, "symbol": list(SYMBOLS)})
    await until(lambda: len(recorder.replies()) == 8, 30, "eight acks")
    same(len(recorder.client.active_public_subscriptions), 8, "subscriptions that the SDK tracks")
    await until(
        lambda: len({row["interval_begin"] for row in recorder.rows("ohlc")}) > 1, 90, "a minute that ends"
    )
    await asyncio.sleep(3)
    await recorder.client.close()

    same(recorder.heard[0]["channel"], "status", "the first message")
    assert {"channel": "heartbeat"} in recorder.heard
    for symbol in SYMBOLS:
        _compare_candles(truth, symbol, recorder, from_ns)
        _compare_trades(truth, symbol, recorder)
        _compare_books(symbol, recorder)
        told = {
            (row["bid"], row["bid_qty"], row["ask"], row["ask_qty"])
            for row in recorder.rows("ticker")
            if row["symbol"] == symbol
        }
        true = truth.quotes(symbol, from_ns, truth.now_ns())
        assert told <= {tuple(float(number) for number in quote) for quote in true}
        assert len(told) > 10


def _compare_candles(truth: Truth, symbol: str, recorder: Recorder, from_ns: int) -> None:
    """Compare the last row of every bucket that ended while we listened."""
    told: dict[str, Any] = {}
    for row in recorder.rows("ohlc", "snapshot") + recorder.rows("ohlc"):
        if row["symbol"] == symbol:
            told[row["interval_begin"]] = row
    *ended, _ = sorted(told)
    true = {
        row["open_ns"]: row
        for row in truth.candles(symbol, "1m", from_ns - 30 * 60 * 10**9, truth.now_ns()).values()
    }
    by_minute = {_utc_minute(open_ns): row for open_ns, row in true.items()}
    assert len(ended) >= 12, ended
    for begin in ended:
        row, expected = told[begin], by_minute[begin[:16]]
        names = ("open", "high", "low", "close", "volume", "vwap")
        same([row[name] for name in names], [float(expected[name]) for name in names], f"{symbol} {begin}")
        same(row["trades"], expected["trade_count"], f"trades of {symbol} {begin}")


def _utc_minute(open_ns: int) -> str:
    return datetime.fromtimestamp(open_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M")


def _compare_trades(truth: Truth, symbol: str, recorder: Recorder) -> None:
    rows = [
        row for row in recorder.rows("trade", "snapshot") + recorder.rows("trade") if row["symbol"] == symbol
    ]
    assert len(rows) > 60
    assert all(after["trade_id"] == before["trade_id"] + 1 for before, after in pairwise(rows))
    true = {
        trade["id"]: trade for trade in truth.trades(symbol, truth.now_ns() - 600 * 10**9, truth.now_ns())
    }
    for row in rows:
        trade = true[row["trade_id"]]
        same(
            (row["price"], row["qty"], row["side"]),
            (float(trade["price"]), float(trade["size"]), trade["side"]),
            f"trade {row['trade_id']} of {symbol}",
        )


def _compare_books(symbol: str, recorder: Recorder) -> None:
    """Keep the book as the venue documents it and recompute every checksum, that of the snapshot too."""
    prices, sizes = DECIMALS[symbol]
    book: dict[str, dict[float, float]] = {"asks": {}, "bids": {}}
    rows = [
        row
        for kind in ("snapshot", "update")
        for row in recorder.rows("book", kind)
        if row["symbol"] == symbol
    ]
    assert len(rows) > 20
    for row in rows:
        text = ""
        for side, levels in book.items():
            for level in row[side]:
                levels[level["price"]] = level["qty"]
            kept = sorted((p for p, size in levels.items() if size), reverse=side == "bids")[:25]
            book[side] = {price: levels[price] for price in kept}
            for price in kept[:10]:
                for number, decimals in ((price, prices), (levels[price], sizes)):
                    text += f"{number:.{decimals}f}".replace(".", "").lstrip("0")
        same(row["checksum"], crc32(text.encode()), f"checksum of {symbol}")


@check(
    "SpotWSClient: wrong symbols, a second interval and a wrong unsubscription are refused in Kraken's words"
)
async def refusals(truth: Truth) -> None:
    recorder = Recorder(truth)
    await recorder.client.start()
    await recorder.client.subscribe(
        params={"channel": "ohlc", "symbol": ["BTC/USD", "XBT/USD"], "interval": 1}
    )
    await recorder.client.subscribe(params={"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 5})
    await recorder.client.unsubscribe(params={"channel": "ticker", "symbol": ["ETH/USD"]})
    await until(lambda: len(recorder.replies()) == 4, 30, "four answers")
    await recorder.client.close()

    same(
        [reply.get("error") for reply in recorder.replies()],
        [
            None,
            "Currency pair not supported XBT/USD",
            "Already subscribed to one ohlc interval on this symbol",
            "Subscription Not Found",
        ],
        "answers",
    )


@check("SpotWSClient: after a cut by either side it subscribes again and trades go on")
async def reconnects(truth: Truth) -> None:
    recorder = Recorder(truth)
    await recorder.client.start()
    await recorder.client.subscribe(params={"channel": "trade", "symbol": ["BTC/USD"], "snapshot": True})
    await until(lambda: recorder.rows("trade"), 30, "a trade")
    for cut in ("ours", "theirs"):
        heard = len(recorder.heard)
        if cut == "ours":
            await recorder.client._pub_conn.close_connection()
        else:
            await asyncio.to_thread(truth.inject, "hangup", code=1013)
        await until(
            lambda since=heard: any("success" in message for message in recorder.heard[since:]),
            40,
            f"a new subscription after a cut that was {cut}",
        )
        again = len(recorder.rows("trade"))
        await until(lambda count=again: len(recorder.rows("trade")) > count, 30, "more trades")
    await recorder.client.close()


@check("SpotOrderBookClient: it validates every update, and finds a checksum that we spoil")
async def order_book(truth: Truth) -> None:
    messages: list[Any] = []
    client = SpotOrderBookClient(depth=10, callback=lambda pair, message: messages.append((pair, message)))
    # the SDK has no parameter for the address here
    client._pub_conn._ConnectSpotWebsocketBase__ws_endpoint = f"{truth.stream}/v2"
    client._SpotOrderBookClient__market.URL = truth.rest
    await client.start()
    await client.add_book(pairs=list(SYMBOLS))
    await until(lambda: len(messages) > 60, 90, "sixty messages")
    bad = [message for _, message in messages if "error" in message]
    same(bad, [], "checksums that the SDK found wrong")
    assert all(client.get(pair=symbol)["valid"] for symbol in SYMBOLS)
    await asyncio.to_thread(truth.inject, "bad_checksum")
    await until(lambda: any("error" in message for _, message in messages), 40, "a mismatch")
    await asyncio.to_thread(truth.inject, "bad_checksum", on=False)
    await client.close()


if __name__ == "__main__":
    main()
