"""`gaps` and `export`: what is in a store, read while nobody is disturbed."""

import csv
import io

import pytest

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
    process = shell.start("collect", KRAKEN, "--simulate", "--speed", 100, "--json")
    try:
        assert process.stdout.readline()
        [row] = shell.json("gaps", KRAKEN)
    finally:
        process.terminate()
        process.communicate(timeout=15)

    assert row["candles"] >= 1
