"""docs/first-adapter.md, followed to the letter: its commands are run, and its blocks are what is written.

First by a stranger who has nothing but wickwire's wheel, then in this process, where time is virtual.
"""

from __future__ import annotations

import asyncio
import csv
import importlib
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import attrs
import pytest

from tests.third_party.environment import Installed
from tests.third_party.journey import PAGE, commands, steps, write
from wickwire import (
    SECOND_NS,
    Candle,
    Finality,
    HttpReply,
    MemoryStore,
    OhlcvQuery,
    Rung,
    SeriesCandle,
    Timeframe,
    Utc,
)
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.scaffold import distribution
from wickwire.scaffold import write as write_skeleton
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.testing.running import CHECKS

PROJECT = "wickwire-binance"
FAILS = (
    *("wickwire check binance", "wickwire check binance --level 1 --effort 10 --symbol BTC/USDT"),
    *("wickwire check binance --only S12", "wickwire check harbour --config wickwire.toml"),
    "wickwire collect binance:NOSUCH/USDT@1m --simulate --speed 60 --for 10s --store memory:",
)
"""What the page says to fail: while something is still to do, and where no such pair exists."""
pytestmark = pytest.mark.timeout(600)  # one fixture runs all commands of the page

OWN = 2
"""The tests that the page's reader writes."""

Done = Mapping[str, subprocess.CompletedProcess[str]]


# ------------------------------------------------------------------------------ as a stranger follows it


@pytest.fixture(scope="module")
def done(wickwire_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """What came of each command of the page; its blocks are written in between, in the page's order."""
    there = Installed.of([wickwire_wheel], tmp_path_factory.mktemp("journey"))
    found: dict[str, subprocess.CompletedProcess[str]] = {}
    for step in steps():
        if step[1] == "console":
            found |= {line: there.shell(line) for line in step[2].splitlines()}
        else:
            write(step, there.folder / PROJECT)
    return found


@pytest.mark.parametrize("line", commands())
def test_every_command_ends_as_the_page_says(done, line):
    said = done[line]

    assert int(line in FAILS) == said.returncode, said.stdout + said.stderr
    assert "Traceback" not in said.stdout + said.stderr


def test_what_is_expected_to_fail_is_on_the_page():
    assert {*FAILS} <= {*commands()}


def test_the_skeleton_is_found_where_it_is_installed(done):
    [row] = [line for line in done["wickwire adapters"].stdout.splitlines() if line.startswith("binance")]

    assert ["binance", "ok", "wickwire-binance", "0.1.0"] == row.split()


def test_the_list_of_what_is_to_do_is_the_shown_one(done):
    [shown] = [text for _, language, text in steps() if language == "text"]

    assert shown in done["wickwire check binance"].stdout


def test_nothing_hides_the_list(done):
    """Of all the checks two fail: no document is named, and something is still to do."""
    rows = re.findall(r"^([SP]\d\d) +failed", done["wickwire check binance"].stdout, re.MULTILINE)

    assert ["S02", "S12"] == rows


def test_the_list_gets_shorter(done):
    left = done["wickwire check binance --only S12"].stdout

    assert re.search(r"^  5 things are still to do$", left, re.MULTILINE)
    assert 5 == len(re.findall(r"^  simulator.py, line", left, re.MULTILINE))
    rows = re.findall(
        r"^(S\d\d) +failed",
        done["wickwire check binance --level 1 --effort 10 --symbol BTC/USDT"].stdout,
        re.MULTILINE,
    )
    assert ["S12"] == rows


def test_every_promise_is_kept_in_the_end(done):
    said = done["python -m pytest wickwire-binance"].stdout

    [(passed, skipped)] = re.findall(r"(\d+) passed, (\d+) skipped in ", said)
    assert len(CHECKS) + OWN == int(passed) + int(skipped)
    assert int(passed) > 30


def test_it_is_planned_and_collected_whole(done):
    planned = done["wickwire plan binance:BTC/USDT@1m binance:BTC/USDT@45m"].stdout.splitlines()
    assert ["stream", "resample"] == [line.split()[1] for line in planned[1:3]]
    gaps = done["wickwire gaps --store sqlite:try.db"].stdout
    rows = [line.split() for line in gaps.splitlines()[1:]]
    assert {"binance:BTC/USDT@1m", "binance:ETH/BTC@5m"} == {row[0] for row in rows}
    assert {("0", "whole")} == {(row[4], row[5]) for row in rows}
    exported = done["wickwire export binance:BTC/USDT@1m --store sqlite:try.db"].stdout
    assert "venue" in {row["evidence"] for row in csv.DictReader(exported.splitlines())}


def test_a_pair_that_does_not_exist_is_told_of_by_history(done):
    [said] = [one for line, one in done.items() if "NOSUCH" in line]

    assert "Invalid symbol." in said.stdout + said.stderr


def test_the_page_says_that_it_was_never_run_live():
    page = PAGE.read_text()

    assert "never run against Binance" in page
    assert "All of them are **transcribed**" in page
    assert "**never run against Binance**" in page.partition("**`README.md`**")[2]


# ---------------------------------------------------------------------------------------- in this process


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the reader of the page has in the end."""
    folder = tmp_path_factory.mktemp("binance") / PROJECT
    write_skeleton(distribution("binance"), folder)
    for step in steps():
        write(step, folder)
    return folder


@pytest.fixture(scope="module")
def binance(project: Path) -> Iterator[ModuleType]:
    sys.path.insert(0, str(project / "src"))
    yield importlib.import_module("wickwire_binance")
    sys.path.remove(str(project / "src"))
    for name in [name for name in sys.modules if name.startswith("wickwire_binance")]:
        del sys.modules[name]


def test_what_the_reader_has_written_is_clean_and_typed(project):
    pytest.importorskip("ruff")
    pytest.importorskip("mypy")
    environment = {**os.environ, "MYPYPATH": str(PAGE.parents[1] / "framework")}
    for words in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", "--follow-imports=silent", "--cache-dir", os.devnull),
    ):
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, done.stdout


def test_a_row_of_history_is_there_once_and_says_nothing_of_its_end(binance):
    """The skeleton's part: whether a row is over the framework knows, and no clock is asked here."""
    row = [60_000, "2", "3", "1", "2", "5", 119_999, "0", 7, "0", "0", "0"]
    query = OhlcvQuery(
        symbol="BTC/USDT", timeframe=Timeframe.parse("1m"), since_ns=0, until_ns=120 * SECOND_NS, now_ns=0
    )
    talk = binance.fetch_ohlcv(query)
    next(talk)

    with pytest.raises(StopIteration) as done:
        talk.send(HttpReply(status=200, body=json.dumps([row, row]).encode()))

    [candle] = done.value.value.candles
    assert (60 * SECOND_NS, Finality.UNSAID) == (candle.open_ns, candle.finality)


@attrs.define
class Seen:
    """What a collector brought, and the truth."""

    rungs: list[Rung] = attrs.field(factory=list)
    candles: list[SeriesCandle] = attrs.field(factory=list)
    truth: dict[int, Candle] = attrs.field(factory=dict)


@pytest.mark.parametrize("rung", [Rung.STREAM, Rung.POLL])
def test_its_simulated_venue_is_collected_completely(binance, rung):
    """On virtual time: every candle since the start is there once, with the market's values."""
    minute = Timeframe.parse("1m")
    seen = Seen()

    async def main() -> None:
        clock = running_clock()
        began_ns = clock.now_ns()
        market = SeededMarket(1, began_ns - 24 * 3600 * SECOND_NS)
        registry = Registry(adapters={"binance": binance})
        simulate = registry.load("binance").simulate
        assert simulate is not None
        transport = MemoryTransport([simulate(market)], clock, latency_s=0.05)
        async with Collector(
            MemoryStore(), registry=registry, transport=transport, clock=clock, rng=random.Random(1)
        ) as collector:
            collector.on_candle(seen.candles.append)
            await collector.add("binance:BTC/USDT@1m", route=rung)
            await asyncio.sleep(30 * 60)
            seen.rungs = [plan.rung for plan in collector.plan()]
        last_ns = clock.now_ns() - 120 * SECOND_NS
        truth = market.candles("BTC/USD", minute, minute.open_at(began_ns, Utc()), last_ns, grid=Utc())
        seen.truth = {
            one.open_ns: one for one in truth if began_ns <= one.open_ns and one.close_ns <= last_ns
        }

    run_virtual(main())

    stored = {one.open_ns: one for one in seen.candles}
    assert [rung] == seen.rungs
    assert len(seen.truth) > 20
    assert len(stored) == len(seen.candles)
    assert [] == [
        ns for ns, true in seen.truth.items() if ns not in stored or not true.same_values(stored[ns])
    ]
