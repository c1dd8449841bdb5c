"""A collector whose cable is pulled out: run by `unshare -rn`, in a network of its own.

half_open.py                 prints what happened, as JSON, in seconds of the collector's own time
half_open.py venue BEGAN     is what it starts in a second network: a simulated venue behind TLS

The two networks are joined by a pair of virtual interfaces. When one is down, what is sent is lost, and
nobody is told: both ends hold a connection that is half open.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import trustme

from wickwire import MemoryStore, load_adapter, parse_instant
from wickwire.clock import LoopClock
from wickwire.collector import Collector
from wickwire.simulate import SeededMarket
from wickwire.simulate.loopback import serve
from wickwire.simulate.loops import run_scaled
from wickwire.transport.net import NetTransport

HOURS_BEFORE_NS: Final = 2 * 3_600 * 10**9
START_NS: Final = parse_instant("2026-11-20T15:00:00Z")
SPEED: Final = 60.0
SERIES: Final = "kraken:BTC/USD@1m"
HERE, THERE = "10.9.0.1", "10.9.0.2"
PULLED_S: Final = 60.0


def clock_since(began_s: float) -> LoopClock:
    """Return the clock that both processes live by, whose time began at *began_s* on the wall."""
    loop = asyncio.get_running_loop()
    return LoopClock(loop, START_NS + round((time.time() - began_s) * SPEED * 10**9), loop.time())


def ip(*words: str) -> None:
    """Set up the network of this process."""
    subprocess.run(["ip", *words], check=True)


def tell(what: object) -> None:
    """Print it, as one line of JSON."""
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


async def venue(began_s: float) -> None:
    """Serve until killed: two ports of TLS, stream and requests, which it prints."""
    ip("link", "set", "lo", "up")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("venue.pem")
    make = load_adapter("kraken").simulate
    assert make is not None
    market = SeededMarket(1, START_NS - HOURS_BEFORE_NS)
    async with serve([make(market)], clock_since(began_s)) as served:
        [port] = {int(target.rpartition(":")[2]) for target in served.redirects.values()}

        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner, outer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, outer), pump(inner, writer), return_exceptions=True)

        tell("here")
        await asyncio.to_thread(sys.stdin.readline)  # the interface has come
        ip("addr", "add", f"{THERE}/24", "dev", "there")
        ip("link", "set", "there", "up")
        server = await asyncio.start_server(join, THERE, 0, ssl=context)
        tell([server.sockets[0].getsockname()[1], sorted(served.redirects)])
        await asyncio.Event().wait()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends."""
    try:
        while said := await reader.read(65_536):
            writer.write(said)
            await writer.drain()
    finally:
        writer.close()


async def collect(began_s: float, port: int, origins: list[str], trusted: ssl.SSLContext) -> None:
    """Collect, pull the cable out, put it back; print what was seen of it."""
    loop, clock = asyncio.get_running_loop(), clock_since(began_s)
    redirects = {one: f"{one.partition(':')[0]}://{THERE}:{port}" for one in origins}
    transport = NetTransport(clock=clock, redirects=redirects, tls=trusted)
    store = MemoryStore()
    async with Collector(store, transport=transport, clock=clock) as collector:
        series = await collector.add(SERIES)

        async def until(connected: int) -> float:
            while collector.health().venues[0].connections != connected:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.1)
            return loop.time()

        await until(1)
        await asyncio.sleep(60.0)
        ip("link", "set", "here", "down")
        pulled_s = loop.time()
        detected_s = await until(0) - pulled_s
        await asyncio.sleep(PULLED_S - detected_s)
        ip("link", "set", "here", "up")
        plugged_s = loop.time()
        back_s = await until(1) - plugged_s
        await asyncio.sleep(150.0)
        [state] = await store.states()
        candles = await store.candles(series, 0, 2**62, limit=1_000)
        late_s = (clock.now_ns() - state.frontier_ns) / 10**9
        told = {"detected_s": detected_s, "back_s": back_s, "candles": len(candles), "late_s": late_s}
        tell({**told, "holes": len(state.holes)})


def main() -> None:
    """Set up both networks and collect across them."""
    began_s = time.time()
    authority = trustme.CA()
    authority.issue_cert(THERE).private_key_and_cert_chain_pem.write_to_path("venue.pem")
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    ip("link", "set", "lo", "up")
    ip("link", "add", "here", "type", "veth", "peer", "name", "there")
    command = ["unshare", "-n", sys.executable, str(Path(__file__)), "venue", str(began_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdout.readline()
            ip("link", "set", "there", "netns", str(other.pid))
            ip("addr", "add", f"{HERE}/24", "dev", "here")
            ip("link", "set", "here", "up")
            other.stdin.write("come\n")
            other.stdin.flush()
            port, origins = json.loads(other.stdout.readline())
            run_scaled(collect(began_s, port, origins, trusted), SPEED)
        finally:
            other.kill()


if __name__ == "__main__":
    if sys.argv[1:]:
        run_scaled(venue(float(sys.argv[2])), SPEED)
    else:
        main()
