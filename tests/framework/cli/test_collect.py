"""`collect` as a person runs it, against simulated venues in its own process."""

import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, PROGRAM, interrupt

KRAKEN, YAHOO = "kraken:BTC/USD@1m", "yahoo:AAPL@1m"
SIMULATED = ("--simulate", "--speed", FAST)
UNTIL = ("--until", "2026-11-20T15:10:00Z")
FULL = Path("/dev/full")
FIELDS = [
    "series",
    "open_time",
    "close_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trade_count",
    "vwap",
    "state",
    "evidence",
    "revision",
    "healed",
    "route",
]


def first_line(process):
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return line


def test_each_closed_candle_is_one_json_line(collected):
    assert {KRAKEN, YAHOO} == {line["series"] for line in collected.told}
    for line in collected.told:
        assert [*line] == FIELDS
        assert all(isinstance(line[name], str) for name in ("open", "high", "low", "close", "volume"))
        assert line["open_time"].endswith("Z")
        assert line["state"] in ("closed", "revised")
    assert {line["route"] for line in collected.told if line["series"] == YAHOO} == {"poll"}


def test_what_was_told_is_what_is_stored(collected):
    with closing(sqlite3.connect(collected.folder / "wickwire.db")) as database, database:
        stored = database.execute("SELECT open_time, open, close, volume, venue FROM candles").fetchall()

    told = [
        (one["open_time"], one["open"], one["close"], one["volume"], one["series"].partition(":")[0])
        for one in collected.told
    ]
    assert sorted(told) == sorted(stored)


def test_no_close_is_told_twice(collected):
    first = [(one["series"], one["open_time"]) for one in collected.told if one["revision"] == 0]

    assert len(first) == len(set(first))


def test_a_second_run_goes_on_where_the_first_one_ended(shell):
    first = shell.lines("collect", KRAKEN, *SIMULATED, *FIVE_MINUTES)
    second = shell.lines("collect", KRAKEN, *SIMULATED, "--at", "2026-11-20T15:08:00Z", *UNTIL)

    assert max(one["open_time"] for one in first) < min(one["open_time"] for one in second)
    [gaps] = shell.json("gaps", KRAKEN)
    assert ([], 0) == (gaps["holes"], gaps["duplicates"])
    assert gaps["candles"] == len(first) + len(second)


def test_without_a_terminal_it_writes_plain_lines(shell):
    told = shell.run("collect", KRAKEN, *SIMULATED, *FIVE_MINUTES, "--store", "memory:").stdout

    assert "simulated venues, seed 1" in told.splitlines()[0]
    assert f"  {KRAKEN}  O " in told
    assert "\x1b" not in told
    assert shell.files() == []


def test_trades_and_quotes_come_as_lines_too(shell):
    series = ("kraken:BTC/USD@trades", "kraken:BTC/USD@quotes")

    lines = shell.lines("collect", *series, *SIMULATED, *FIVE_MINUTES, "--store", "memory:")

    trades, quotes = ([line for line in lines if line["series"] == one] for one in series)
    assert {"time", "id", "price", "size", "side"} <= set(trades[0])
    assert {"time", "bid", "bid_size", "ask", "ask_size"} <= set(quotes[0])


def test_for_is_time_on_the_wall(shell):
    began = time.monotonic()
    shell.run("collect", KRAKEN, *SIMULATED, "--for", "3s", "--store", "memory:")

    assert 3 <= time.monotonic() - began < 12


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_signals_end_it_cleanly_and_soon(shell, number, status):
    """What was told is stored, what is stored was told, and nothing is said on stderr."""
    process = shell.start("collect", KRAKEN, *SIMULATED, "--json")
    told = [first_line(process)]
    began = time.monotonic()

    ended, rest, err = interrupt(process, number)

    assert (status, "") == (ended, err)
    assert time.monotonic() - began < 10
    told += rest.splitlines()
    [gaps] = shell.json("gaps", KRAKEN)
    assert len(told) == gaps["candles"]
    assert gaps["holes"] == []


def test_a_reader_that_has_enough_ends_it_without_a_word(shell):
    process = shell.start("collect", KRAKEN, *SIMULATED, "--json")
    json.loads(first_line(process))
    process.stdout.close()

    assert process.wait(timeout=20) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_refused_series_stops_all_before_anything_is_written(shell):
    done = shell.run("collect", KRAKEN, "kraken:BTC/USD@7m", "--simulate", status=3)

    assert "kraken:BTC/USD@7m" in done.stderr
    assert shell.files() == []


def test_until_ends_it_once_all_that_closed_by_then_is_stored(shell):
    shell.run("collect", KRAKEN, YAHOO, *SIMULATED, *FIVE_MINUTES)

    for row in shell.json("gaps"):
        assert row["since"] <= "2026-11-20T15:00:00Z"
        assert "2026-11-20T15:05:00Z" <= row["until"] <= "2026-11-20T15:07:00Z"
        assert row["candles"] >= 5
        assert row["holes"] == []


def test_a_symbol_that_the_venue_does_not_know_ends_it(shell):
    """It does not wait for --for: nothing will come."""
    done = shell.run("collect", "kraken:FOO/BAR@1m", *SIMULATED, "--store", "memory:", status=1)

    assert "error: nothing was collected" in done.stderr
    assert "FOO/BAR" in done.stderr


def test_since_brings_what_was_before(shell):
    lines = shell.lines("collect", KRAKEN, "--since", "2h", *SIMULATED, *FIVE_MINUTES)

    assert any(line["healed"] for line in lines)
    [gaps] = shell.json("gaps", KRAKEN)
    assert gaps["candles"] > 90
    assert gaps["holes"] == []


def test_the_same_seed_gives_the_same_candles(shell):
    run = (*SIMULATED, *FIVE_MINUTES, "--store", "memory:")
    first, second = (shell.lines("collect", KRAKEN, *run, "--seed", 7) for _ in range(2))
    other = shell.lines("collect", KRAKEN, *run, "--seed", 8)

    def values(lines):
        return {line["open_time"]: line["close"] for line in lines}

    assert values(first)
    assert values(first) == values(second)
    assert values(other).items().isdisjoint(values(first).items())


def test_a_full_disk_under_its_output_ends_it_with_a_reason(shell):
    if not FULL.exists():
        pytest.skip("this system has no /dev/full")
    with FULL.open("w") as full:
        process = subprocess.Popen(
            [*PROGRAM, "collect", KRAKEN, *map(str, SIMULATED)],
            cwd=shell.folder,
            env=shell.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
        _, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "error: stdout: cannot be written" in err


@pytest.mark.parametrize(("pinned", "wanted"), [(KRAKEN, "kraken:XBT/USD@1m"), ("kraken:XBT/USD@1m", KRAKEN)])
def test_a_pin_holds_whichever_way_the_symbol_is_spelled(shell, pinned, wanted):
    (shell.folder / "c.toml").write_text(f'[venues.kraken.pins]\n"{pinned}" = "poll"\n')

    told = shell.lines("collect", wanted, "--config", "c.toml", *SIMULATED, *FIVE_MINUTES)

    assert {"poll"} == {one["route"] for one in told}


FLOATING = """
from wickwire import Candle, Description, OhlcvSupport, Page, Timeframe, Utc, hookimpl

@hookimpl
def describe():
    return Description(title="Floating", timeframes=(Timeframe.parse("1m"),))

@hookimpl
def supports_ohlcv():
    return OhlcvSupport(rest=True, grid=Utc())

@hookimpl
def fetch_ohlcv(query):
    if query.symbol == "":
        yield
    minute_ns = 60 * 10**9
    row = query.since_ns // minute_ns * minute_ns, query.since_ns // minute_ns * minute_ns + minute_ns
    rows = [Candle(query.symbol, query.timeframe, *row, 95.1, 95.1, 95.1, 95.1, 1.0)]
    return Page(candles=rows, covered=(query.since_ns, query.until_ns))
"""


def test_an_adapter_whose_rows_are_all_refused_is_not_silent(shell):
    (shell.folder / "floating.py").write_text(FLOATING)
    (shell.folder / "own.toml").write_text('[plugins.local]\nfloating = "floating.py"\n')

    done = shell.run("collect", "floating:X@1m", "--config", "own.toml", "--for", "1s", "-v", status=1)

    assert done.stderr.count("warning") == 1
    assert "nothing was collected: floating:X@1m: refused the candle of" in done.stderr
    assert "95.1 is a float, not a Decimal made from the venue's digits" in done.stderr


def test_simulated_venues_stand_in_for_every_environment(shell):
    shell.environment["HTTPS_PROXY"] = "http://127.0.0.1:1"  # nothing leaves this machine
    (shell.folder / "w.toml").write_text('[venues.kraken]\nenvironment = "beta"')

    lines = shell.lines("collect", KRAKEN, "--config", "w.toml", *SIMULATED, *FIVE_MINUTES)

    assert "stream" in {line["route"] for line in lines}
