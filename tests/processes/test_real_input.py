"""Real frames, served by one process and collected by another: exactly what they prove is stored."""

from __future__ import annotations

import json
import os
import shlex
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.processes.captured import Rows, kraken_rest, kraken_stream, loaded, yahoo_chart
from tests.processes.programs import Program, said
from tests.processes.scene import BITCOIN, ETHER, SHARE, at_once
from tests.processes.truth import differences, holes, stored

CAPTURES = Path(os.environ.get("WICKWIRE_CAPTURES", "captures-are-not-here"))
pytestmark = pytest.mark.slow
needs_captures = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="WICKWIRE_CAPTURES is unset: no real frames here"
)

EVERY_MINUTE_TRADES = "2026-11-20T16:00:00Z"
"""From here on, for a while, by the seed below: a recording that ends after a minute without a trade need not
hold the proof that it had none, and what is collected from it then has a hole, rightly."""

CALM = 20
"""How fast time passes where no process may hear nothing for ten seconds because another one gets no
processor: it would connect anew, hear all from the beginning, and be at the end of its time too early."""


def captures(pattern: str, holding: str) -> list[Any]:
    """The captures that match and hold a text, as parameters; without captures one that says so."""
    found = [path for path in sorted(CAPTURES.glob(pattern)) if not path.name.endswith(".expect.json")]
    found = [path for path in found if holding in path.read_text()]
    return [pytest.param(path, id=path.name) for path in found] or [
        pytest.param(CAPTURES, marks=needs_captures)
    ]


def command_of(replay: Program) -> list[str]:
    """The command that a replay shows to people, word by word."""
    replay.wait_until(lambda: any("Ctrl-C" in line for line in replay.lines), "its command")
    [line] = [line for line in replay.lines if line.strip().startswith("wickwire collect")]
    return shlex.split(line)[1:]


def kept(series: str, folder: Path) -> Rows:
    """What the store holds."""
    names = ("open", "high", "low", "close", "volume")
    return {row["open_time"]: tuple(Decimal(row[name]) for name in names) for row in stored(series, folder)}


def collect(words: list[str], folder: Path, series: str, rows: Rows) -> None:
    """Run a collector until it has acknowledged as many candles as *rows* holds; compare what is stored."""
    with Program(*words, "--json", cwd=folder) as collector:
        collector.wait_until(lambda: len(collector.lines) >= len(rows), f"{len(rows)} candles")
        collector.process.terminate()
        assert collector.ended() == 0
    assert sorted(rows) == [json.loads(line)["open_time"] for line in sorted(collector.lines)]
    assert rows == kept(series, folder)
    assert 0 == holes([series], folder)[1][0]["duplicates"]


@pytest.mark.parametrize("path", captures("kraken/ws.*.jsonl", '"channel":"ohlc"'))
def test_a_captured_stream_is_stored_by_the_command_that_its_replay_shows(tmp_path, path):
    with Program("replay", path, cwd=tmp_path) as replay:
        command = command_of(replay)
        for series, rows in kraken_stream(path).items():
            assert series in command
            if rows:
                collect(command, tmp_path, series, rows)
                expected = path.with_name(path.name.replace(".jsonl", ".expect.json"))
                if expected.exists():
                    proven = loaded(expected.read_text())["candles"][:-1]
                    assert [tuple(row[1:]) for row in proven] == list(rows.values())
            else:  # nothing is proven closed: nothing may be stored
                end = said(*command, "--json", "--for", "2s", cwd=tmp_path)
                assert (end.returncode, end.stdout) == (0, "")


@pytest.mark.parametrize("path", captures("kraken/rest.*.json", '"result"'))
def test_a_captured_reply_of_history_is_stored(tmp_path, path):
    """Its last row is forming and is not; a symbol may be spelled as the venue does."""
    replies = list(kraken_rest(path))
    if not replies:
        pytest.skip("it holds no candles")
    for series, rows, clock in replies:
        with Program("replay", path, "--json", cwd=tmp_path) as replay:
            redirects = json.loads(replay.first_line())["redirects"]
            words = ["collect", series, "--since", min(rows), "--at", clock]
            words += [word for pair in redirects.items() for word in ("--redirect", "=".join(pair))]
            collect(words, tmp_path, series, rows)
        expected = path.with_name(path.name.replace(".json", ".expect.json"))
        if expected.exists():
            proven = loaded(expected.read_text())["candles"]
            assert {tuple(row[1:]) for row in proven} <= set(rows.values())


@pytest.mark.parametrize("path", captures("yahoo/rest.*.json", '"chart"'))
def test_a_captured_chart_is_stored(tmp_path, path):
    """The live row off the grid is not."""
    expected = json.loads(path.with_name(path.name.replace(".json", ".expect.json")).read_text())
    series, rows, clock = yahoo_chart(path, expected)
    assert len(rows) == expected["on_grid_rows"]
    with Program("replay", path, "--json", cwd=tmp_path) as replay:
        redirects = json.loads(replay.first_line())["redirects"]
        words = ["collect", series, "--since", min(rows), "--at", clock]
        words += [word for pair in redirects.items() for word in ("--redirect", "=".join(pair))]
        collect(words, tmp_path, series, rows)


@needs_captures
def test_collecting_from_a_captured_chart_stores_all_of_it_and_ends(tmp_path):
    path = CAPTURES / "yahoo/rest.yfinance_7974T_1h.json"
    expected = json.loads(path.with_name(path.name.replace(".json", ".expect.json")).read_text())
    series, rows, _ = yahoo_chart(path, expected)

    end = said("collect", series, "--replay", path, "--json", cwd=tmp_path)

    assert (end.returncode, len(end.stdout.splitlines())) == (0, len(rows))
    assert rows == kept(series, tmp_path)


@needs_captures
@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("yahoo/rest.yfinance_7974T_1h.json", "yahoo:AAPL@1h"),
        ("yahoo/rest.yfinance_7974T_1h.json", "yahoo:7974.T@5m"),
        ("kraken/rest.clim_eth_1m.json", "kraken:ETH/USD@1h"),
        ("kraken/rest.clim_eth_1m.json", "kraken:BTC/USD@1m"),
    ],
)
def test_a_reply_about_another_symbol_or_timeframe_is_not_taken_for_what_was_asked(tmp_path, name, series):
    with Program("replay", CAPTURES / name, "--json", cwd=tmp_path) as replay:
        redirects = json.loads(replay.first_line())["redirects"]
        words = [
            "collect",
            series,
            "--route",
            "poll",
            "--since",
            "2026-08-20",
            "--at",
            "2026-10-06T10:30:00Z",
        ]
        words += [word for pair in redirects.items() for word in ("--redirect", "=".join(pair))]
        end = said(*words, "--for", "2s", "--json", cwd=tmp_path)
    assert end.stdout == ""
    assert end.returncode == 1


@pytest.mark.parametrize("path", captures("kraken/ws.*.jsonl", '"channel":"ticker"'))
def test_captured_quotes_are_told_in_order(tmp_path, path):
    frames = [loaded(line) for line in path.read_text().splitlines()]
    told = [row for frame in frames if frame.get("channel") == "ticker" for row in frame["data"]]
    with (
        Program("replay", path, cwd=tmp_path) as replay,
        Program(*command_of(replay), "--json", cwd=tmp_path) as reader,
    ):
        reader.wait_until(lambda: len(reader.lines) >= len(told), "its quotes")
        quotes = [json.loads(line) for line in reader.lines]
    assert [(row["bid"], row["bid_qty"], row["ask"], row["ask_qty"]) for row in told] == [
        tuple(Decimal(quote[name]) for name in ("bid", "bid_size", "ask", "ask_size")) for quote in quotes
    ]


def recorded_and_collected(tmp_path: Path, series: tuple[str, ...]) -> None:
    seed, minutes = 61, 3
    simulated = ("--simulate", "--seed", seed, "--at", EVERY_MINUTE_TRADES, "--speed", CALM, "--json")
    with Program("record", *series, "kept.jsonl", *simulated, cwd=tmp_path) as record:
        record.wait_until(lambda: len(record.lines) >= minutes * len(series), "its candles")
        record.process.terminate()
        assert record.ended() == 0
    first = [json.loads(line) for line in record.lines]
    with Program("replay", "kept.jsonl", "--speed", CALM, cwd=tmp_path) as replay:
        command = command_of(replay)
        if not set(series) <= set(command):  # replies do not say which series they are
            command[1:2] = series
        with Program(*command, "--speed", CALM, "--json", cwd=tmp_path) as collector:
            collector.wait_until(lambda: len(collector.lines) >= len(first), "the same candles")
            collector.process.terminate()
            assert collector.ended() == 0
    again = [json.loads(line) for line in collector.lines]
    values = ("series", "open_time", "open", "high", "low", "close", "volume", "trade_count")
    assert sorted([one[name] or 0 for name in values] for one in first) == sorted(
        [one[name] or 0 for name in values] for one in again
    )
    assert [] == differences(series, tmp_path, seed, again)


def test_a_recording_of_our_own_is_collected_as_it_was_when_it_was_recorded(tmp_path):
    """Recorded by one process, served by a second, collected by a third: the same candles, and true."""
    at_once(tmp_path, *(partial(recorded_and_collected, series=one) for one in ((BITCOIN, ETHER), (SHARE,))))
