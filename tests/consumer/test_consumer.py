"""A project of somebody else's does what it is for, and uses what the face has for people like them.

Its types are looked at where wickwire is a wheel, by mypy and by pyright: tests/wheel/check.py.
"""

from __future__ import annotations

import ast
import io
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import wickwire_kraken
from scripts.face_names import GROUPS
from wickwire import DAY_NS, Collector, HungHook, Series, UsageError
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, ScaledLoop, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport

HERE = Path(__file__).parent / "theirs"
FILES = ("host", "keeping", "going_out", "telling", "tables", "waiting")
FOR_AUTHORS_OF_ADAPTERS = ("Adapters", "Plugins", "Simulated", "Writing a simulator", "Faults of")
"""Groups of which a stranger's adapter shows what it needs: tests/third_party/lantern."""


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.syspath_prepend(str(HERE))
    yield {name: import_module(name) for name in FILES}
    for name in FILES:
        sys.modules.pop(name, None)


def test_the_host_gets_all_that_it_asks_for(theirs: dict[str, Any]) -> None:
    hosts = []

    async def main() -> None:
        clock = running_clock()
        market = SeededMarket(1, VIRTUAL_START_NS - DAY_NS)
        transport = MemoryTransport([wickwire_kraken.simulate(market)], clock, latency_s=0.05)
        hosts.append(theirs["host"].Host(transport, clock, world="simulated venues, seed 1"))
        await hosts[0].run(3)

    run_virtual(main())

    [host] = hosts
    told = "\n".join(host.told)
    for expected in ("by stream for 1 connections", "sound: True", "0 faults, 0 named", "write it otherwise"):
        assert expected in told, told
    assert "kraken:BTC/USD@1m live stream" in told
    assert len(host.seen) >= 3
    assert {str(one.series) for one in host.seen} == {"kraken:BTC/USD@1m"}
    assert {(one.series, one.open_ns) for one in host.seen} <= {*host.shelf.candles}
    assert host.shelf.quotes
    assert host.store.asked["commit"] > 0
    assert host.store.asked["put_trades"] > 0
    assert {status.value for _, status in host.processes.said} >= {"running", "stopped"}


def test_a_script_without_a_loop_waits_for_what_comes(theirs: dict[str, Any]) -> None:
    def make() -> Collector:
        clock = running_clock()
        market = SeededMarket(1, VIRTUAL_START_NS - DAY_NS)
        transport = MemoryTransport([wickwire_kraken.simulate(market)], clock, latency_s=0.05)
        return Collector(transport=transport, clock=clock, world="simulated venues, seed 1")

    script = theirs["waiting"].Script(
        make, "kraken:BTC/USD@1m", lambda: ScaledLoop(200, start_ns=VIRTUAL_START_NS)
    )
    health = script.run(3)

    assert len(script.closes) == 3
    assert script.closes == [str(one.close) for one in script.heard[:3]]
    assert script.past >= 30
    assert len(script.kept) >= 3
    assert [str(one.series) for one in health.series] == ["kraken:BTC/USD@1m"]


def test_what_a_script_logs_says_of_whom(theirs: dict[str, Any]) -> None:
    stream = io.StringIO()
    handler = theirs["waiting"].log_to(stream)
    try:
        logging.getLogger("wickwire.pool").warning("stream ended", extra={"venue": "kraken", "why": "cut"})
    finally:
        logging.getLogger("wickwire").removeHandler(handler)

    assert stream.getvalue() == "WARNING wickwire.pool: stream ended venue=kraken why=cut\n"


def test_what_the_host_is_told_can_be_said(theirs: dict[str, Any]) -> None:
    telling = theirs["telling"]

    assert "write it otherwise" == telling.advice(UsageError("no"))
    opened, closed = telling.bucket(Series.parse("kraken:BTC/USD@5m"), "2026-11-20T15:03:00Z")
    assert ("15:00", "15:05") == (f"{opened:%H:%M}", f"{closed:%H:%M}")
    assert "exit" == HungHook.EXIT.value


def test_it_uses_every_name_that_is_for_its_like() -> None:
    """So the type checkers see each of them from outside."""
    imported = {
        (node.module, one.name)
        for file in FILES
        for node in ast.walk(ast.parse((HERE / f"{file}.py").read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for one in node.names
    }
    wanted = {
        (group.module, name)
        for group in GROUPS
        if not group.title.startswith(FOR_AUTHORS_OF_ADAPTERS)
        for name in group.names or import_module(group.module).__all__
    }

    assert set() == wanted - imported
