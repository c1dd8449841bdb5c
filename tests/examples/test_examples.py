"""Every program in docs/examples does what it says, against simulated venues."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.examples.loading import FOLDER, loaded
from wickwire import DAY_NS, BlockingCollector, Collector, MemoryStore, Registry, Status
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, ScaledLoop, run_scaled, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport


def simulated(**more: Any) -> Collector:
    market = SeededMarket(1, VIRTUAL_START_NS - DAY_NS)
    servers = []
    for name in ("kraken", "coinbase", "yahoo"):
        make = Registry().load(name).simulate
        assert make is not None
        servers.append(make(market))
    clock = running_clock()
    return Collector(transport=MemoryTransport(servers, clock), clock=clock, world="simulated", **more)


def on_virtual_time(run: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await run()

    run_virtual(main())


def test_every_example_is_on_the_page_and_tried_here() -> None:
    files = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    there = {name for name in files if not name.endswith(".pyc")}
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))

    page = (FOLDER.parent / "examples.md").read_text()
    assert there == set(re.findall(r"\(examples/([\w./]+)\)", page))
    assert all(Path(name).stem in tests for name in there)


def test_the_plain_script_prints_candles_of_both_venues(capsys: pytest.CaptureFixture[str]) -> None:
    example = loaded("plain_script")
    on_virtual_time(lambda: example.run(simulated()))

    lines = capsys.readouterr().out.splitlines()
    closed = [line for line in lines if re.fullmatch(r"\w+:BTC/USD@1m \S+ \S+\+00:00 \d+\.\d+ \w+", line)]
    assert len(closed) == 6
    assert {"kraken", "coinbase"} == {line.partition(":")[0] for line in closed}
    assert "kraken:BTC/USD@1m live" in lines[-2]


def test_three_hours_become_a_frame_of_hours(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    example = loaded("candles_into_pandas")
    store = MemoryStore()
    on_virtual_time(lambda: example.run(simulated(store=store), store, running_clock()))

    printed = capsys.readouterr().out
    assert 170 < sum(map(int, re.findall(r"^(\d+) candles from", printed, re.MULTILINE))) <= 180
    assert len(re.findall(r"^2027-01-15 0[567]:00:00\+00:00( +\d+\.\d+){4}$", printed, re.MULTILINE)) == 3


def test_a_program_without_a_loop_prints_stores_and_reads(capsys: pytest.CaptureFixture[str]) -> None:
    """On scaled time, as it waits in threads."""
    example = loaded("without_a_loop")
    quick = partial(ScaledLoop, 200, start_ns=VIRTUAL_START_NS)
    example.run(BlockingCollector(simulated, loop_factory=quick))

    printed = capsys.readouterr().out
    assert len(re.findall(r"^2027-\S+ \S+ \d+\.\d+ \w+$", printed, re.MULTILINE)) == 3
    assert "was stored in wickwire on_candle 1" in printed
    assert "3 before that" in printed


@pytest.mark.slow
def test_the_sink_of_ones_own_holds_what_was_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On scaled time, as it writes in a thread."""
    example = loaded("custom_sink")

    async def main() -> None:
        await example.run(simulated(sinks={"closes": example.Closes(tmp_path / "closes.db")}))

    run_scaled(main(), 200, start_ns=VIRTUAL_START_NS)

    printed = capsys.readouterr().out.splitlines()
    with closing(sqlite3.connect(tmp_path / "closes.db")) as table:
        rows = table.execute(
            "select series, open_ns, close, revision from closes order by open_ns"
        ).fetchall()
    assert len(printed) == 3
    assert len(rows) >= 3
    assert {("kraken:BTC/USD@1m", 0)} == {(row[0], row[3]) for row in rows}


def test_the_register_is_told_of_changes_and_that_a_daily_series_lives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example = loaded("custom_status_sink")
    processes = example.Processes()
    on_virtual_time(lambda: example.run(simulated(status=processes)))

    printed = capsys.readouterr().out
    assert "begins: yahoo:BTC/USD@1d - 1d of BTC/USD" in printed
    assert re.search(r"^kraken:BTC/USD@1m is running", printed, re.MULTILINE)
    assert {Status.STOPPED} == {status for status, _ in processes.rows.values()}
    assert processes.beats["yahoo:BTC/USD@1d"] >= 5
