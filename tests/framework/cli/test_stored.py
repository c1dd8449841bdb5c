"""`gaps` and `export`: what is in a store, read while nobody is disturbed."""

import asyncio
import csv
import io
import shutil

import pytest

from tests.framework.cli.conftest import FAST
from wickwire.cli.stored import gaps_of
from wickwire.memory_store import MemoryStore
from wickwire.model import Hole, HoleKind, Series, iso, parse_instant
from wickwire.store import SeriesState

KRAKEN, YAHOO = "kraken:BTC/USD@1m", "yahoo:AAPL@1m"


def test_gaps_is_a_contract(collected):
    rows = collected.json("gaps", KRAKEN, YAHOO)

    assert [KRAKEN, YAHOO] == [row["series"] for row in rows]
    for row in rows:
        assert {"series", "since", "until", "candles", "duplicates", "holes"} == set(row)
        assert row["candles"] == sum(one["series"] == row["series"] for one in collected.told)
        assert (0, []) == (row["duplicates"], row["holes"])


def test_native_spellings_are_understood(collected):
    assert collected.json("gaps", "kraken:XBT/USD@1m")[0]["series"] == KRAKEN


def test_what_was_never_asked_for_is_missing(collected):
    """A range that is wider than what was collected has holes at both ends; the exit status says so."""
    [row] = collected.json("gaps", KRAKEN, "--since", "2020-01-01", "--until", "2030-01-01", status=4)

    first, last = row["holes"]
    assert ("2020-01-01T00:00:00Z", "missing") == (first["since"], first["kind"])
    assert ("2030-01-01T00:00:00Z", "missing") == (last["until"], last["kind"])
    assert "missing" in collected.run("gaps", KRAKEN, "--since", "2020-01-01", status=4).stdout


def test_gaps_for_people_is_a_table(collected):
    table = collected.run("gaps", KRAKEN).stdout

    assert "candles" in table.splitlines()[0]
    assert "whole" in table


def test_an_unknown_series_says_what_is_there(collected):
    done = collected.run("gaps", "kraken:ETH/USD@1m", status=2)

    assert KRAKEN in done.stderr


def test_csv_has_what_the_lines_had(collected):
    rows = list(csv.DictReader(io.StringIO(collected.run("export", KRAKEN, YAHOO).stdout)))

    told = {(one["series"], one["open_time"]): one for one in collected.told}
    assert len(rows) == len(told)
    for row in rows:
        line = told[row["series"], row["open_time"]]
        assert all(
            row[name] == line[name] for name in ("open", "high", "low", "close", "volume", "close_time")
        )
        assert row["healed"] in ("true", "false")
        assert row["vwap"] == (line["vwap"] or "")


def test_a_range_is_half_open(collected):
    times = sorted(one["open_time"] for one in collected.told if one["series"] == KRAKEN)

    out = collected.run("export", KRAKEN, "--since", times[0], "--until", times[-1]).stdout

    assert [row["open_time"] for row in csv.DictReader(io.StringIO(out))] == times[:-1]


def test_a_file_is_written_whole_or_not_at_all(collected, tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("precious")

    collected.run("export", "kraken:ETH/USD@1m", "-o", target, status=2)
    assert target.read_text() == "precious"

    collected.run("export", KRAKEN, "-o", target)
    assert target.read_text() == collected.run("export", KRAKEN).stdout
    assert [target] == list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["gaps"], ["export"]])
def test_reading_changes_nothing(collected, command):
    before = (collected.folder / "wickwire.db").read_bytes()

    collected.run(*command, KRAKEN)

    assert before == (collected.folder / "wickwire.db").read_bytes()


def test_it_can_be_read_while_somebody_collects(shell):
    process = shell.start("collect", KRAKEN, "--simulate", "--speed", FAST, "--json")
    try:
        assert process.stdout.readline()
        [row] = shell.json("gaps", KRAKEN)
    finally:
        process.terminate()
        process.communicate(timeout=15)

    assert row["candles"] >= 1


@pytest.mark.parametrize("command", ["gaps", "export"])
@pytest.mark.parametrize(
    ("ends", "phrase"),
    [
        (("--since", "2026-11-02", "--until", "2026-11-01"), "there is nothing between them"),
        (("--since", "1h", "--until", "1h"), "there is nothing between them"),
        (("--since", "2100-01-01"), "lies in the future"),
    ],
)
def test_a_range_in_which_nothing_can_lie_is_a_wrong_usage(collected, command, ends, phrase):
    assert phrase in collected.run(command, KRAKEN, *ends, status=2).stderr


def test_without_a_series_it_is_about_all_that_is_in_the_store(collected, shell):
    """A config that names series names those; feeds among them are not stored."""
    shutil.copytree(collected.folder, shell.folder, dirs_exist_ok=True)
    collected = shell
    assert [KRAKEN, YAHOO] == [row["series"] for row in collected.json("gaps")]
    assert collected.run("export").stdout == collected.run("export", KRAKEN, YAHOO).stdout

    (collected.folder / "c.toml").write_text(f"series = ['{YAHOO}', 'kraken:BTC/USD@trades']")
    assert [YAHOO] == [row["series"] for row in collected.json("gaps", "--config", "c.toml")]


def test_a_store_without_anything_in_it_says_so(shell):
    shell.run("collect", "kraken:FOO/BAR@1m", "--simulate", "--for", "10s", status=1)

    assert "holds nothing yet" in shell.run("gaps", status=2).stderr


def test_simulated_candles_get_into_no_store_of_others(collected, shell):
    """Nor do those of another seed, or real ones among them; the same ones are welcome."""
    shutil.copytree(collected.folder, shell.folder, dirs_exist_ok=True)
    collected = shell
    before = collected.run("export").stdout
    for other in (("--simulate", "--seed", 2), ("--redirect", "wss://ws.kraken.com=ws://127.0.0.1:1")):
        done = collected.run("collect", KRAKEN, *other, "--for", "1s", status=2)
        assert "it holds candles of simulated venues, seed 1" in done.stderr
        assert "name another store" in done.stderr
    assert before == collected.run("export").stdout

    collected.run("backfill", KRAKEN, "--simulate", "--since", "2h")


@pytest.mark.parametrize(
    ("what", "since", "until"),
    [
        ("1h", "2024-09-25T09:31:00Z", "2026-09-25T07:11:00Z"),
        ("90s", "2024-09-25T09:30:01Z", "2026-09-25T07:10:38Z"),
        ("1d", "2024-09-25T09:30:01Z", "2026-09-25T07:10:38Z"),
    ],
)
def test_bounds_at_which_nothing_opens_are_told_as_the_next_at_which_something_can(what, since, until):
    """Where nobody knows the grid, what is known ends whenever the venue said so."""
    begin, end = parse_instant("2024-09-25T09:30:00.267634Z"), parse_instant("2026-09-25T07:10:38Z")
    hole = Hole(parse_instant("2024-09-20T00:00Z"), begin, HoleKind.UNREACHABLE)
    state = SeriesState(
        series=Series.parse(f"yahoo:7974.T@{what}"), origin_ns=hole.since_ns, frontier_ns=end, holes=(hole,)
    )

    found = asyncio.run(gaps_of(MemoryStore(), state, None, None))

    assert (since, until) == (iso(found.holes[0].until_ns), iso(found.until_ns))
    assert "2024-09-20T00:00:00Z" == iso(found.holes[0].since_ns) == iso(found.since_ns)


@pytest.mark.parametrize(
    "command",
    [["export", KRAKEN], ["gaps"], ["gaps", "--json"], ["plan", KRAKEN, "--json"], ["adapters"], ["doctor"]],
)
def test_a_pipe_that_nobody_reads_is_no_failure(collected, command):
    process = collected.start(*command)
    process.stdout.close()

    assert process.stderr.read() == ""
    assert process.wait(timeout=30) == 0
    process.stderr.close()
