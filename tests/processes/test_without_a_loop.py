"""Programs without an event loop: they forget to stop, are forked, are interrupted. Each is a process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from wickwire import Registry, Series, SeriesCandle

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0

BEGIN = """
import os, sys, threading
from functools import partial
from wickwire import DAY_NS, BlockingCollector, Collector, UsageError
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, ScaledLoop, running_clock
from wickwire.simulate.memory import MemoryTransport
import wickwire_kraken

def make():
    market, clock = SeededMarket(1, VIRTUAL_START_NS - DAY_NS), running_clock()
    transport = MemoryTransport([wickwire_kraken.simulate(market)], clock)
    return Collector("sqlite:candles.db", transport=transport, clock=clock, world="simulated")

quick = partial(ScaledLoop, 200, start_ns=VIRTUAL_START_NS)
collector = BlockingCollector(make, loop_factory=quick, timeout=60)
collector.start()
collector.add("kraken:BTC/USD@1m")
candles = collector.candles()
for _ in range(3):
    print(next(candles).open_ns, flush=True)
"""


def program(text: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "always::ResourceWarning", "-c", BEGIN + textwrap.dedent(text)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(folder: Path) -> Sequence[SeriesCandle]:
    async def read() -> Sequence[SeriesCandle]:
        store = Registry().open_store(f"sqlite:{folder / 'candles.db'}")
        await store.open()
        try:
            return await store.candles(Series.parse("kraken:BTC/USD@1m"), 0, 2**62, limit=100)
        finally:
            await store.aclose()

    return asyncio.run(read())


@pytest.mark.parametrize("callback", ["", "collector.on_candle(lambda _: threading.Event().wait())"])
def test_a_program_that_forgets_to_stop_ends_and_says_so(tmp_path: Path, callback: str) -> None:
    """Whatever its callbacks do."""
    with program(callback, tmp_path) as running:
        out, err = running.communicate(timeout=DEADLINE_S)

    assert (0, 3) == (running.returncode, len(out.split()))
    assert "warning: collector was not stopped: the end of the program stops it" in err
    assert "ResourceWarning: 1 collectors were not stopped; use `with BlockingCollector(...)`" in err
    assert "Traceback" not in err
    kept = [str(candle.open_ns) for candle in stored(tmp_path)]
    assert out.split() == kept[:3]
    assert {"candles.db"} == {path.name for path in tmp_path.iterdir()}, "closed, so nothing lies beside it"


def test_a_process_that_is_forked_off_is_told_and_ends_while_its_parent_goes_on(tmp_path: Path) -> None:
    text = """
    if (child := os.fork()) == 0:
        for use in (collector.health, lambda: next(candles), lambda: collector.add("kraken:ETH/USD@1m")):
            try:
                use()
            except UsageError as exc:
                print(exc, flush=True)
        collector.close()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    print(next(candles).open_ns)
    collector.close()
    """
    with program(text, tmp_path) as running:
        out, err = running.communicate(timeout=DEADLINE_S)

    assert (0, "") == (running.returncode, err if sys.version_info < (3, 12) else "")
    lines = out.splitlines()
    assert 3 == sum("was started before this process was forked off" in line for line in lines)
    times = [int(line) for line in lines if line.isdigit()]
    assert [*range(times[0], times[0] + 4 * 60 * 10**9, 60 * 10**9)] == times


@pytest.mark.parametrize(
    "waits",
    [
        "for _ in collector.candles(after_seq=10**9): pass",
        "collector.run(lambda _: __import__('asyncio').Event().wait())",
    ],
)
def test_ctrl_c_ends_what_waits_and_the_block_stops_in_order(tmp_path: Path, waits: str) -> None:
    text = f"""
    try:
        with collector.candles():
            print("waits", flush=True)
            {waits}
    except KeyboardInterrupt:
        print("interrupted", len(collector.health().series))
    finally:
        collector.close()
        print([one.name for one in threading.enumerate()])
    """
    with program(text, tmp_path) as running:
        assert running.stdout is not None
        while running.stdout.readline() != "waits\n":
            pass
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=DEADLINE_S)

    assert ["interrupted 1", "['MainThread']"] == out.splitlines(), err
    assert len(stored(tmp_path)) >= 3
