"""coinbase-advanced-py against the simulated Coinbase, over TLS: what it parses is compared with truth."""

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from checks import Truth, check, main, same, until
from coinbase.rest import RESTClient
from coinbase.websocket import WebsocketResponse, WSClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from requests.exceptions import HTTPError

PRODUCTS = ("BTC-USD", "ETH-USD")
SYMBOLS = {"BTC-USD": "BTC/USD", "ETH-USD": "ETH/USD"}
TAKERS = {"BUY": "sell", "SELL": "buy"}
"""The venue tells the maker's side, the truth the taker's."""
FIVE_S = 300


# ---------------------------------------------------------------------------------------------------- TLS


def certificate(folder: Path) -> Path:
    """Return a file with a new key and its self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "simulated Coinbase")])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a certificate is valid in real time
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "coinbase.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def tls(truth: Truth) -> Iterator[tuple[str, str]]:
    """Own a TLS port before the venue, as its SDK knows nothing else: `host:port` and certificate."""
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        place = urlsplit(truth.rest)
        loop = asyncio.new_event_loop()

        async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inside = await asyncio.open_connection(place.hostname, place.port)
            await asyncio.gather(pipe(reader, inside[1]), pipe(inside[0], writer))

        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        started = asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
        server = asyncio.run_coroutine_threadsafe(started, loop).result()
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", str(pem)
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)


@contextmanager
def rest(truth: Truth) -> Iterator[RESTClient]:
    """Own the REST client, pointed at loopback through its parameters and its session."""
    with tls(truth) as (place, pem):
        client = RESTClient(base_url=place)
        client.session.verify = pem
        client.session.trust_env = False
        yield client


# --------------------------------------------------------------------------------------------------- REST


def values(row: Any) -> tuple[Decimal, ...]:
    """Return the numbers of a candle, of whatever kind its row is."""
    names = ("open", "high", "low", "close", "volume")
    return tuple(Decimal(getattr(row, name)) for name in names)


def true_values(row: dict[str, Any]) -> tuple[Decimal, ...]:
    """Return the same of the truth."""
    return tuple(row[name] for name in ("open", "high", "low", "close", "volume"))


@check("get_public_candles: nine granularities, newest first, all equal the truth; idle buckets are absent")
def candles(truth: Truth) -> None:
    now_s = truth.now_ns() // 10**9
    with rest(truth) as client:
        for product, symbol, granularity, timeframe, length_s in (
            ("BTC-USD", "BTC/USD", "ONE_MINUTE", "1m", 60),
            ("XMR-USD", "XMR/USD", "ONE_MINUTE", "1m", 60),
            ("ETH-USD", "ETH/USD", "FIVE_MINUTE", "5m", 300),
            ("BTC-USD", "BTC/USD", "FIFTEEN_MINUTE", "15m", 900),
            ("BTC-USD", "BTC/USD", "THIRTY_MINUTE", "30m", 1_800),
            ("BTC-USDC", "BTC/USD", "ONE_HOUR", "1h", 3_600),
            ("BTC-USD", "BTC/USD", "TWO_HOUR", "2h", 7_200),
            ("BTC-USD", "BTC/USD", "FOUR_HOUR", "4h", 14_400),
            ("BTC-USD", "BTC/USD", "SIX_HOUR", "6h", 21_600),
            ("BTC-USD", "BTC/USD", "ONE_DAY", "1d", 86_400),
        ):
            end_s = now_s - now_s % length_s
            start_s = end_s - 300 * length_s
            found = client.get_public_candles(product, str(start_s), str(end_s - 1), granularity).candles
            starts = [int(row.start) for row in found]
            same(starts, sorted(starts, reverse=True), "newest first")
            true = truth.candles(symbol, timeframe, start_s * 10**9, end_s * 10**9)
            told = {int(row.start): values(row) for row in found}
            same(told, {opens: true_values(row) for opens, row in true.items()}, f"{product} {granularity}")
            assert symbol != "XMR/USD" or 0 < len(told) < 300, "an idle minute"


@check("get_public_market_trades: the newest trades, with the maker's side")
def recent_trades(truth: Truth) -> None:
    before_ns = truth.now_ns()
    with rest(truth) as client:
        found = client.get_public_market_trades("BTC-USD", 100)

    true = {trade["id"]: trade for trade in truth.trades("BTC/USD", before_ns - 600 * 10**9, truth.now_ns())}
    ids = [int(row.trade_id) for row in found.trades]
    same(ids, list(range(ids[0], ids[0] - 100, -1)), "ids, newest first")
    for row in found.trades:
        trade = true[int(row.trade_id)]
        same(
            (Decimal(row.price), Decimal(row.size), TAKERS[row.side]),
            (trade["price"], trade["size"], trade["side"]),
            f"trade {row.trade_id}",
        )
    quotes = {(quote[0], quote[2]) for quote in truth.quotes("BTC/USD", before_ns, truth.now_ns())}
    assert (Decimal(found.best_bid), Decimal(found.best_ask)) in quotes


@check("get_public_products, get_public_product, get_public_product_book, get_unix_time")
def facts(truth: Truth) -> None:
    before_ns = truth.now_ns()
    with rest(truth) as client:
        told_s = int(client.get_unix_time().epoch_seconds)
        products = {product.product_id: product for product in client.get_public_products().products}
        product = client.get_public_product("BTC-USDC")
        book = client.get_public_product_book("BTC-USD", 5)["pricebook"]

    assert before_ns // 10**9 <= told_s <= truth.now_ns() // 10**9
    same(products["BTC-USD"].alias_to, ["BTC-USDC"], "aliases")
    same((product.alias, product.status, product.is_disabled), ("BTC-USD", "online", False), "product")
    quotes = {(quote[0], quote[2]) for quote in truth.quotes("BTC/USD", before_ns, truth.now_ns())}
    assert (Decimal(book["bids"][0]["price"]), Decimal(book["asks"][0]["price"])) in quotes
    same((len(book["bids"]), len(book["asks"])), (5, 5), "levels")


@check("A range too wide, an unknown product and a limit are HTTPErrors in the venue's words")
def errors(truth: Truth) -> None:
    def refusal(product: str, width_s: int) -> HTTPError:
        now_s = truth.now_ns() // 10**9
        try:
            client.get_public_candles(product, str(now_s - width_s), str(now_s), "ONE_MINUTE")
        except HTTPError as error:
            return error
        raise AssertionError("no error")

    with rest(truth) as client:
        wide, unknown = refusal("BTC-USD", 351 * 60), refusal("NOPE-USD", 60)
        truth.inject("rest_rate", per_s=1)
        try:
            refusals = [refusal("NOPE-USD", 60) for _ in range(3)]
        finally:
            truth.inject("rest_rate", per_s=100)
    assert "number of candles requested should be less than 350" in str(wide)
    same(wide.response.status_code, 400, "too wide")
    same(unknown.response.status_code, 404, "unknown")
    assert 429 in {error.response.status_code for error in refusals}


# ------------------------------------------------------------------------------------------------- stream


class Recorder:
    """A `WSClient` that keeps what it hears, parsed by the SDK where it can."""

    def __init__(self, place: str, **options: Any) -> None:
        self.raw: list[Any] = []
        self.client = WSClient(base_url=f"wss://{place}", on_message=self._hear, **options)

    def _hear(self, message: str) -> None:
        self.raw.append(json.loads(message))

    @property
    def heard(self) -> list[WebsocketResponse]:
        """All messages but errors, as the SDK's own values."""
        whole = [json.loads(json.dumps(message)) for message in self.raw if "channel" in message]
        return [WebsocketResponse(message) for message in whole]

    def of(self, channel: str) -> list[WebsocketResponse]:
        """Return the messages of one channel."""
        return [message for message in self.heard if message.channel == channel]

    def count(self, channel: str) -> int:
        """Return how many there are, cheaply."""
        return sum(message.get("channel") == channel for message in self.raw)


@check("WSClient: five minutes end; candles, trades, tickers and books equal the truth, no number is missing")
async def all_channels(truth: Truth) -> None:
    with tls(truth) as (place, _):
        recorder = Recorder(place, retry=False)
        client, from_ns = recorder.client, truth.now_ns()
        await client.open_async()
        await client.heartbeats_async()
        for subscribe in (
            client.candles_async,
            client.market_trades_async,
            client.ticker_async,
            client.ticker_batch_async,
            client.level2_async,
        ):
            await subscribe(list(PRODUCTS))
        end_s = truth.now_ns() // 10**9 // FIVE_S * FIVE_S + FIVE_S
        await until(lambda: truth.now_ns() // 10**9 > end_s + 4, 200, "five minutes that end")
        await client.status_async(list(PRODUCTS))
        await until(lambda: recorder.count("status"), 30, "a status")
        await client.unsubscribe_all_async()
        await client.close_async()

    heard = recorder.heard
    same([message.sequence_num for message in heard], list(range(len(heard))), "the count of messages")
    firsts = {channel: recorder.of(channel)[0].events[0].type for channel in ("candles", "ticker", "l2_data")}
    same(set(firsts.values()), {"snapshot"}, "first events")
    assert all(isinstance(b.events[0].heartbeat_counter, int) for b in recorder.of("heartbeats"))
    assert recorder.count("ticker_batch") >= 4
    for product in PRODUCTS:
        _compare_candles(truth, product, recorder, end_s)
        _compare_trades(truth, product, recorder)
        _compare_quotes(truth, product, recorder, from_ns)


def _compare_candles(truth: Truth, product: str, recorder: Recorder, end_s: int) -> None:
    """Compare the last row of every bucket that is over."""
    told: dict[int, Any] = {}
    for message in recorder.of("candles"):
        for event in message.events:
            for row in event.candles:
                if row.product_id == product:
                    told[int(row.start)] = values(row)
    over = {start: row for start, row in told.items() if start < end_s}
    true = truth.candles(SYMBOLS[product], "5m", min(over) * 10**9, end_s * 10**9)
    same(over, {opens: true_values(row) for opens, row in true.items()}, f"candles of {product}")
    assert len(over) >= 12


def _compare_trades(truth: Truth, product: str, recorder: Recorder) -> None:
    rows = {
        int(row.trade_id): row
        for message in recorder.of("market_trades")
        for event in message.events
        for row in event.trades
        if row.product_id == product
    }
    same(sorted(rows), list(range(min(rows), max(rows) + 1)), f"ids of {product}")
    assert len(rows) > 80  # fifty are the snapshot's
    since_ns = truth.now_ns() - 600 * 10**9
    true = {trade["id"]: trade for trade in truth.trades(SYMBOLS[product], since_ns, truth.now_ns())}
    for number, row in rows.items():
        trade = true[number]
        same(
            (Decimal(row.price), Decimal(row.size), TAKERS[row.side]),
            (trade["price"], trade["size"], trade["side"]),
            f"trade {number} of {product}",
        )


def _compare_quotes(truth: Truth, product: str, recorder: Recorder, from_ns: int) -> None:
    """Every ticker is a quote of the market; a book kept from the updates has the same best levels."""
    true = set(truth.quotes(SYMBOLS[product], from_ns, truth.now_ns()))
    names = ("best_bid", "best_bid_quantity", "best_ask", "best_ask_quantity")
    told = {
        tuple(Decimal(getattr(row, name)) for name in names)
        for message in recorder.of("ticker")
        for event in message.events
        for row in event.tickers
        if row.product_id == product
    }
    assert len(told) > 20
    assert told <= true
    best = {(quote[0], quote[2]) for quote in true}
    book: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "offer": {}}
    for message in recorder.of("l2_data"):
        for event in message.events:
            if event.product_id != product:
                continue
            for level in event.updates:
                book[level.side][Decimal(level.price_level)] = Decimal(level.new_quantity)
            bids, asks = ([price for price, size in book[side].items() if size] for side in ("bid", "offer"))
            assert (max(bids), min(asks)) in best


@check("WSClient: -USDC is answered under -USD, an unknown channel is an authentication failure")
async def aliases_and_errors(truth: Truth) -> None:
    with tls(truth) as (place, _):
        recorder = Recorder(place, retry=False)
        await recorder.client.open_async()
        await recorder.client.candles_async(["ETH-USDC"])
        await until(lambda: recorder.count("candles") > 2, 60, "candles")
        await recorder.client.subscribe_async(["ETH-USD"], ["level3"])
        await until(lambda: "channel" not in recorder.raw[-1], 30, "an error")
        await recorder.client.close_async()

    same(recorder.raw[-1], {"type": "error", "message": "authentication failure"}, "error")
    rows = [row for message in recorder.of("candles") for event in message.events for row in event.candles]
    same({row.product_id for row in rows}, {"ETH-USD"}, "products")


@check("WSClient: it subscribes again after a cut, and trades go on without a hole but for the cut")
async def reconnects(truth: Truth) -> None:
    with tls(truth) as (place, _):
        recorder = Recorder(place)
        await recorder.client.open_async()
        await recorder.client.market_trades_async(["BTC-USD"])
        await until(lambda: recorder.count("market_trades") > 3, 30, "trades")
        heard = len(recorder.raw)
        await asyncio.to_thread(truth.inject, "hangup", code=1011, reason="restart")
        await until(lambda: len(recorder.raw) > heard + 5, 60, "trades after the cut")
        await recorder.client.close_async()

    numbers = [message["sequence_num"] for message in recorder.raw]
    again = numbers.index(0, 1)
    same(numbers, [*range(again), *range(len(numbers) - again)], "each connection counts from nought")
    same(recorder.raw[again]["events"][0]["type"], "snapshot", "the first message after the cut")


@check("WSClient: a client that subscribes to nothing is left after five seconds")
async def silence(truth: Truth) -> None:
    with tls(truth) as (place, _):
        recorder = Recorder(place, retry=False)
        await recorder.client.open_async()
        await until(lambda: not recorder.client._is_websocket_open(), 15, "the end of the connection")
    same(recorder.raw, [], "messages")


if __name__ == "__main__":
    main()
