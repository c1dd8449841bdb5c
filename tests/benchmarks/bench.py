"""What one event costs, from the socket to the store, beside a bare loop on the same frames in the same run.

`make bench` runs it. Figures are CPU time of this process per event, medians over alternating rounds; on a
shared machine only the ratios within one run travel. No test asserts any of them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import attrs
import msgspec
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from wickwire import Endpoint, HttpReply, HttpRequest
from wickwire.clock import SystemClock
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.transport import Stream
from wickwire.transport.net import NetTransport

CASES = {"ohlc1": 1, "trade1": 1, "trade50": 50}
SERIES = {
    "ohlc1": "kraken:BTC/USD@1m",
    "trade1": "kraken:BTC/USD@trades",
    "trade50": "kraken:BTC/USD@trades",
}
SUBSCRIBE = '{"method":"subscribe","params":{"channel":"ohlc","symbol":["BTC/USD"]}}'


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


async def bare(port: int, kind: str, count: int, rate: float) -> float:
    """Receive and decode, and nothing else: the `websockets` loop that anybody would write."""
    decode = msgspec.json.Decoder(Ohlc | Trades).decode
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
    return spent


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
        """Ask nobody: the benchmark has no REST."""
        return await self.inner.request(request)

    async def aclose(self) -> None:
        """Close the real one."""
        await self.inner.aclose()


async def ours(port: int, kind: str, count: int, rate: float, store: str | None) -> float:
    """Run the whole collector on the same frames: session, adapter, ledger and, with *store*, SQLite."""
    registry = Registry()
    redirects = {
        "wss://ws.kraken.com": f"ws://127.0.0.1:{port}",
        "https://api.kraken.com": "http://127.0.0.1:9",
    }
    net = NetTransport(clock=SystemClock(), redirects=redirects)
    transport = Rerouted(net, f"/{kind}/{count}/{rate:g}/v2")
    async with Collector(store, registry=registry, transport=transport) as collector:
        series = await collector.add(SERIES[kind])
        while not (frames := collector.health().venues[0].frames):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
        started, begun = time.process_time(), frames
        while collector.health().venues[0].frames < count:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.02)
        spent = time.process_time() - started
        health = next(each for each in collector.health().series if each.series == series)
        got = health.received if kind != "ohlc1" else health.closed
        expected = count * CASES[kind] if kind != "ohlc1" else (count - 1) // 50
        if got != expected:
            raise SystemExit(f"{kind}: {got} of {expected} arrived: the benchmark is broken")
    await transport.aclose()
    return spent * count / (count - begun)


def measure(rounds: int, count: int, rate: float, console: Console) -> None:
    """Run everything *rounds* times in turn, and print medians and ratios."""
    pace = f"paced at {rate:,.0f} frames/s" if rate else "flood"
    table = Table(title=f"CPU µs per event, {pace}, median of {rounds} rounds (lowest to highest)")
    for name in ("frames", "bare loop", "session and ledger", "ratio", "into SQLite", "ratio"):
        table.add_column(name, justify="left" if name == "frames" else "right")
    with server() as port, tempfile.TemporaryDirectory() as folder:
        for kind, events in CASES.items():
            frames = max(count // events, 200)
            runs: list[tuple[float, float, float]] = []
            for number in range(rounds):
                store = f"sqlite:{folder}/{kind}-{rate:g}-{number}.db"
                base = asyncio.run(bare(port, kind, frames, rate))
                ledger = asyncio.run(ours(port, kind, frames, rate, None))
                runs.append((base, ledger, asyncio.run(ours(port, kind, frames, rate, store))))
            per_event = [
                [spent / frames / events * 1e6 for spent in column] for column in zip(*runs, strict=True)
            ]
            ratios = [
                statistics.median(mine / base for base, mine in zip(per_event[0], column, strict=True))
                for column in per_event[1:]
            ]
            cells = [
                f"{statistics.median(column):.2f} ({min(column):.2f} to {max(column):.2f})"
                for column in per_event
            ]
            table.add_row(kind, cells[0], cells[1], f"{ratios[0]:.2f}", cells[2], f"{ratios[1]:.2f}")
    console.print(table)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=50_000, help="events per run, flooding")
    parser.add_argument(
        "--paced", type=float, default=10_000.0, help="frames a second; 0 leaves this part out"
    )
    arguments = parser.parse_args()
    console = Console(width=120)
    measure(arguments.rounds, arguments.events, 0.0, console)
    if arguments.paced:
        measure(arguments.rounds, arguments.events // 2, arguments.paced, console)


if __name__ == "__main__":
    main()
