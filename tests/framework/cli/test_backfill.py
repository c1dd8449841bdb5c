"""`backfill`: paged, resumable, and honest about what is still missing."""

import csv
import io

from tests.framework.cli.conftest import interrupt

SIMULATED = ("--simulate",)


def test_a_day_of_history_is_brought_page_by_page(shell):
    done = shell.run("backfill", "yahoo:BTC/USD@1m", "--since", "1d", *SIMULATED)

    assert "whole" in done.stdout
    assert "100 %" in done.stderr
    rows = list(csv.DictReader(io.StringIO(shell.run("export", "yahoo:BTC/USD@1m").stdout)))
    assert len(rows) > 1_300
    assert len(rows) == len({row["open_time"] for row in rows})


def test_it_says_what_the_venue_no_longer_has(shell):
    """Kraken serves the last 720 rows of each interval, whatever is asked."""
    [row] = shell.json("backfill", "kraken:BTC/USD@1m", "--since", "2d", *SIMULATED, status=4)

    assert {hole["kind"] for hole in row["holes"]} == {"unreachable"}
    assert 600 < row["candles"] <= 720


def test_it_may_be_repeated_and_finds_all_there(shell):
    run = ("backfill", "kraken:BTC/USD@5m", "--since", "1d", *SIMULATED)
    [first], [second] = shell.json(*run), shell.json(*run)

    assert first["holes"] == second["holes"] == []
    assert second["candles"] >= first["candles"] - 1


def test_an_interrupted_one_is_completed_by_the_next(shell):
    run = ("backfill", "yahoo:BTC/USD@1m", "--since", "6d", *SIMULATED)
    process = shell.start(*run)
    assert "0 %" in process.stderr.readline()
    status, _, _ = interrupt(process)
    assert status == 130

    [row] = shell.json(*run, "--speed", 20)
    assert row["holes"] == []
    assert row["duplicates"] == 0
    assert row["candles"] > 8_000
