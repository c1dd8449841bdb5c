"""The service of docs/examples under a real uvicorn: what it answers, what it streams, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.examples.loading import loaded
from tests.framework.virtual import virtual
from tests.processes.programs import PATIENCE_S, Venue
from wickwire import DAY_NS, MINUTE_NS, Collector, Registry, Series, Utc, parse_instant
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, running_clock
from wickwire.simulate.memory import MemoryTransport

Response = pytest.importorskip("fastapi").Response
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
START = "2026-11-20T15:00:00Z"
SEED = 21
SPEED = 60
BITCOIN = "kraken:BTC/USD@1m"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(
    store: Path, redirects: Mapping[str, str], now: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """Start the service, and return what talks to it once it answers."""
    port = free_port()
    told = (str(port), str(SPEED), str(parse_instant(now)), f"sqlite:{store}", json.dumps(redirects))
    command = [sys.executable, "-m", "tests.examples.served", *told]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said: list[str] = []
        up = threading.Event()

        def listen(lines: Iterable[str]) -> None:
            for line in lines:
                said.append(line)
                if "Uvicorn running" in line:
                    up.set()
            up.set()  # it has ended

        reader = threading.Thread(target=listen, args=[process.stderr])
        reader.start()
        try:
            assert up.wait(PATIENCE_S)
            assert any("Uvicorn running" in line for line in said), "".join(said)
            # a connection that is kept would be closed after five seconds, which are soon over here
            limits = httpx.Limits(max_keepalive_connections=0)
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, timeout=PATIENCE_S, limits=limits) as client:
                yield client, process
        finally:
            process.kill()
            process.wait()
            reader.join()


class Told:
    """A stream of the service: what came of it so far."""

    def __init__(self, client: httpx.Client, last_event_id: int | None = None) -> None:
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        self._response = client.stream("GET", f"/stream/{BITCOIN}", headers=headers)
        self._lines = self._response.__enter__().iter_lines()
        self.candles: list[dict[str, Any]] = []
        self.ids: list[int] = []

    def read(self, count: int) -> None:
        """Read so many more."""
        until = len(self.ids) + count
        for line in self._lines:
            self._take(line)
            if not line and len(self.ids) >= until:
                return
        raise AssertionError(f"it ended after {len(self.ids)}, expected {until}")

    def read_to_its_end(self) -> None:
        """Read the rest; raises where it is cut in the middle."""
        for line in self._lines:
            self._take(line)

    def _take(self, line: str) -> None:
        field, _, value = line.partition(": ")
        if field == "data":
            self.candles.append(json.loads(value))
        if field == "id":
            self.ids.append(int(value))

    def close(self) -> None:
        self._response.__exit__(None, None, None)


def truth(since_ns: int, until_ns: int) -> dict[int, Decimal]:
    """Return the closes that the market knows, by open time; a minute without a trade has none."""
    market = SeededMarket(SEED, parse_instant(START) - DAY_NS)
    timeframe = Series.parse(BITCOIN).timeframe
    return {
        one.open_ns: one.close
        for one in market.candles("BTC/USD", timeframe, since_ns, until_ns, grid=Utc())
        if one.close_ns <= until_ns
    }


def prices(bars: Iterable[Mapping[str, Any]]) -> dict[int, Decimal]:
    return {parse_instant(bar["open_time"]): Decimal(bar["close"]) for bar in bars}


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    folder = tmp_path_factory.mktemp("venue")
    with Venue("kraken", "coinbase", at=START, speed=SPEED, seed=SEED, cwd=folder) as venue:
        yield venue


def until_healthy(client: httpx.Client) -> httpx.Response:
    for _ in range(round(PATIENCE_S * 10)):
        answer = client.get("/health")
        if answer.status_code == 200:
            return answer
        threading.Event().wait(0.1)
    raise AssertionError("never healthy")


def test_it_answers_with_what_is_true_and_says_why_where_it_cannot(venue: Venue, tmp_path: Path) -> None:
    with running(tmp_path / "candles.db", venue.redirects, venue.now()) as (client, _):
        healthy = until_healthy(client).json()
        assert {BITCOIN, "coinbase:BTC/USD@1m"} == set(healthy["series"])
        assert {} == healthy["troubles"]

        since, until = "2026-11-20T14:00:00Z", "2026-11-20T14:30:00Z"
        bars = client.get(f"/candles/{BITCOIN}", params={"since": since, "until": until}).json()
        assert truth(parse_instant(since), parse_instant(until)) == prices(bars)
        assert all(isinstance(bar["close"], str) for bar in bars), "digits, and no float"

        newest = client.get(f"/latest/{BITCOIN}").json()
        assert newest["open_time"] > bars[-1]["open_time"]

        for path, why in {
            "kraken:ETH/USD@1m": "kraken:ETH/USD@1m is not collected here; there are kraken:BTC/USD@1m, ",
            "krakem:BTC/USD@1m": "there is no adapter 'krakem'",
            "kraken:BTC/USD": "not a series: 'kraken:BTC/USD'; write venue:symbol@what",
            "kraken:BTC/USD@trades": "kraken:BTC/USD@trades carries trades, no candles",
        }.items():
            for route in ("candles", "latest", "stream"):
                answer = client.get(f"/{route}/{path}")
                assert 404 == answer.status_code, answer.text
                assert why in answer.json()["detail"]
        assert 422 == client.get(f"/candles/{BITCOIN}", params={"since": "yesterday"}).status_code
        described = client.get("/openapi.json").json()["components"]["schemas"]["Bar"]["required"]
        assert {*described} >= {"open_time", "close", "revision"}


def test_a_signal_ends_it_with_open_streams_and_the_next_start_goes_on_without_a_hole(
    venue: Venue, tmp_path: Path
) -> None:
    with running(tmp_path / "candles.db", venue.redirects, venue.now()) as (client, process):
        until_healthy(client)
        first = Told(client)
        first.read(2)
        process.send_signal(signal.SIGTERM)
        first.read_to_its_end()
        assert -signal.SIGTERM == process.wait(PATIENCE_S), "uvicorn ends by the signal once all is done"
        first.close()
        with closing(sqlite3.connect(tmp_path / "candles.db")) as store:
            [(newest,)] = store.execute("select max(seq) from closed").fetchall()
        assert first.ids[-1] <= newest
    venue.wait_minutes(2)  # nobody is there meanwhile

    with running(tmp_path / "candles.db", venue.redirects, venue.now()) as (client, process):
        then = Told(client, first.ids[-1])
        later = parse_instant(venue.now())
        first_ns = min(prices(first.candles))
        while lacking := [
            ns for ns in truth(first_ns, later) if ns not in prices(first.candles + then.candles)
        ]:
            then.read(1)  # a live candle may come before what was missed
        assert not lacking
        process.send_signal(signal.SIGTERM)
        then.read_to_its_end()
        assert -signal.SIGTERM == process.wait(PATIENCE_S)
        then.close()

    told = first.candles + then.candles
    closed = [bar["open_time"] for bar in told if bar["revision"] == 0]
    assert len(closed) == len({*closed}), "none comes twice"
    assert truth(first_ns, max(prices(told)) + MINUTE_NS) == prices(told), "none is missing"


def test_it_is_unhealthy_while_a_venue_is_away_and_serves_the_past_meanwhile(
    venue: Venue, tmp_path: Path
) -> None:
    """The status is for whoever sends requests here; the reason is for people."""
    with running(tmp_path / "candles.db", venue.redirects, venue.now()) as (client, _):
        until_healthy(client)
    gone = {origin: f"{target.partition(':')[0]}://127.0.0.1:1" for origin, target in venue.redirects.items()}
    with running(tmp_path / "candles.db", gone, "2026-11-20T20:00:00Z") as (client, _):
        answer = client.get("/health")
        assert 503 == answer.status_code
        assert {BITCOIN, "coinbase:BTC/USD@1m"} == set(answer.json()["troubles"])
        assert len(client.get(f"/candles/{BITCOIN}", params={"since": "2026-11-20T14:00:00Z"}).json()) > 50


@virtual
async def test_a_venue_that_died_is_told_of_before_a_candle_of_its_is_late() -> None:
    """Of a series of hours none is for the next hour."""
    example, name = loaded("fastapi_service"), "kraken:BTC/USD@1h"
    simulate = Registry().load("kraken").simulate
    assert simulate is not None
    server, clock = simulate(SeededMarket(1, VIRTUAL_START_NS - DAY_NS)), running_clock()
    transport = MemoryTransport([server], clock, latency_s=0.05)

    async with Collector(transport=transport, clock=clock, world="simulated") as collector:
        await collector.add(name)
        await collector.settled(name)
        response = Response()
        assert {} == (await example.health(collector, response)).troubles

        server.inject("refuse_connections")
        server.inject("html_520")
        server.inject("hangup", code=1006)
        await asyncio.sleep(600)
        state = await example.health(collector, response)
        assert (503, ["kraken"]) == (response.status_code, [*state.troubles])
        assert "HTTP 520" in state.troubles["kraken"]

        for fault in ("refuse_connections", "html_520"):
            server.inject(fault, on=False)
        await asyncio.sleep(600)
        assert {} == (await example.health(collector, response)).troubles
        assert 200 == response.status_code
