"""Four ways from the same socket, each longer than the one before: received, decoded, collected, stored.

Each returns CPU seconds of this process for all frames, the first left out.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
import msgspec
from websockets.asyncio.client import connect

from tests.benchmarks.server import BUCKET_FRAMES
from wickwire import MINUTE_NS, Endpoint, HttpReply, HttpRequest
from wickwire.clock import SystemClock
from wickwire.collector import Collector
from wickwire.errors import TransportError
from wickwire.registry import Registry
from wickwire.transport import Stream
from wickwire.transport.net import NetTransport

CASES: Final = {"ohlc1": 1, "trade1": 1, "trade50": 50}
"""Events in one frame."""
SERIES: Final = {
    "ohlc1": "kraken:BTC/USD@1m",
    "trade1": "kraken:BTC/USD@trades",
    "trade50": "kraken:BTC/USD@trades",
}
LONGEST_S: Final = 120.0
"""A run that takes longer is broken, and says so instead of waiting for ever."""
SUBSCRIBE: Final = '{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USD"]}}'
VENUE: Final = "wss://ws.kraken.com"


class OhlcRow(msgspec.Struct):
    """The fields that a candle needs, typed."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    trades: int
    volume: Decimal
    vwap: Decimal
    interval_begin: str
    interval: int


class TradeRow(msgspec.Struct):
    """The fields that a trade needs, typed."""

    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    trade_id: int
    timestamp: str


class Ohlc(msgspec.Struct, tag="ohlc", tag_field="channel"):
    """A message of candles."""

    data: list[OhlcRow]


class Trades(msgspec.Struct, tag="trade", tag_field="channel"):
    """A message of trades."""

    data: list[TradeRow]


decode: Final = msgspec.json.Decoder(Ohlc | Trades).decode
"""What the bare loop does with a frame."""


def since(kind: str, count: int) -> int | None:
    """Return from when on to collect, so that *count* frames that end now are all taken."""
    early_ns = (count // BUCKET_FRAMES + 3) * MINUTE_NS
    return SystemClock().now_ns() - early_ns if kind == "ohlc1" else None


@contextmanager
def server() -> Iterator[int]:
    """Run the sending process; give its port."""
    command = [sys.executable, str(Path(__file__).with_name("server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _net(port: int) -> NetTransport:
    redirects = {VENUE: f"ws://127.0.0.1:{port}", "https://api.kraken.com": "http://127.0.0.1:9"}
    return NetTransport(clock=SystemClock(), redirects=redirects)


async def bare(port: int, kind: str, count: int, rate: float) -> float:
    """Receive and decode, and nothing else: the `websockets` loop that anybody would write."""
    url = f"ws://127.0.0.1:{port}/{kind}/{count}/{rate:g}/v2"
    async with connect(url, compression=None, ping_interval=None, max_queue=64) as stream:
        if hasattr(stream.transport, "max_size"):
            stream.transport.max_size = 65_536  # the same treatment that ours gives it
        await stream.send(SUBSCRIBE)
        first = await stream.recv(decode=False)
        started = time.process_time()
        for _ in range(count - 1):
            decode(await stream.recv(decode=False))
        spent = time.process_time() - started
        decode(first)
        stream.transport.abort()
    return spent * count / (count - 1)


async def received(port: int, kind: str, count: int, rate: float) -> float:
    """Receive through our transport and drop every frame: what is left of `collected` is ours."""
    net = _net(port)
    stream = await net.open(Endpoint(url=f"{VENUE}/{kind}/{count}/{rate:g}/v2"))
    await stream.send(SUBSCRIBE)
    await stream.receive()
    started = time.process_time()
    for _ in range(count - 1):
        await stream.receive()
    spent = time.process_time() - started
    await stream.aclose()
    await net.aclose()
    return spent * count / (count - 1)


@attrs.frozen
class Rerouted:
    """The real transport, with the benchmark's path instead of the venue's."""

    inner: NetTransport
    path: str

    async def open(self, endpoint: Endpoint) -> Stream:
        """Open the stream of the sending process."""
        url = endpoint.url.replace("/v2", self.path)
        return await self.inner.open(attrs.evolve(endpoint, url=url, silence_limit_s=60.0))

    async def request(self, request: HttpRequest) -> HttpReply:
        """Ask nobody."""
        raise TransportError(f"the benchmark has no REST: {request.url}")

    async def aclose(self) -> None:
        """Close the real one."""
        await self.inner.aclose()


async def collected(port: int, kind: str, count: int, rate: float, store: str | None = None) -> float:
    """Run the whole collector on the same frames: session, adapter, ledger and, with *store*, SQLite."""
    transport = Rerouted(_net(port), f"/{kind}/{count}/{rate:g}/v2")
    async with (
        asyncio.timeout(LONGEST_S),
        Collector(store, registry=Registry(), transport=transport) as collector,
    ):
        series = await collector.add(SERIES[kind], since=since(kind, count))
        while not (frames := collector.health().venues[0].frames):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
        started, begun = time.process_time(), frames
        while collector.health().venues[0].frames < count:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.02)
        spent = time.process_time() - started
        health = next(each for each in collector.health().series if each.series == series)
        got = health.received if kind != "ohlc1" else health.closed
        expected = count * CASES[kind] if kind != "ohlc1" else (count - 1) // BUCKET_FRAMES
        if got != expected:
            raise SystemExit(f"{kind}: {got} of {expected} arrived: the benchmark is broken")
    await transport.aclose()
    return spent * count / (count - begun)
