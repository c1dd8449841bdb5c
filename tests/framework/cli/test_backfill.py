"""`backfill`: paged, resumable, and honest about what is still missing."""

import csv
import io
import signal
import socket
from collections.abc import Iterator

import pytest

from tests.framework.cli.conftest import FAST, interrupt

SIMULATED = ("--simulate", "--at", "2026-11-20T16:00:00Z")
"""The clock is set: which minutes are empty depends on it."""
SERIES = "kraken:BTC/USD@1m"


@pytest.fixture
def silent() -> Iterator[tuple[str, ...]]:
    """A venue that takes connections and never says a word, as options."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
        yield ("--redirect", f"https://api.kraken.com={origin}")


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


def test_a_venue_that_is_slow_by_its_own_limits_is_not_given_up(shell):
    """Patience is with the venue: who waits for a turn there has lost none."""
    (shell.folder / "w.toml").write_text(
        "[venues.kraken.limits]\nrest = { amount = 1, per_s = 1.5, burst = 1 }"
    )
    series = [f"kraken:{coin}/USD@1h" for coin in ("BTC", "ETH", "SOL", "LTC")]

    rows = shell.json(
        "backfill", *series, "--since", "1d", "--patience", "1s", "--config", "w.toml", *SIMULATED
    )

    assert series == [row["series"] for row in rows]
    assert all(row["candles"] >= 23 and not row["holes"] for row in rows)


def test_a_silent_venue_is_given_up_aloud_and_its_series_lack_everything(shell, silent):
    span = ("--since", "2026-11-20T14:00:00Z", "--until", "2026-11-20T15:00:00Z")
    done = shell.run("backfill", SERIES, *span, "--patience", "1s", *silent, "--json", status=4)

    assert '"kind": "missing"' in done.stdout
    assert '"since": "2026-11-20T14:00:00Z"' in done.stdout
    assert '"until": "2026-11-20T15:00:00Z"' in done.stdout
    assert f"given up series={SERIES}" in done.stderr
    assert "nothing new has come from kraken for 1 s" in done.stderr


@pytest.fixture
def behind(shell, silent) -> tuple[str, ...]:
    """The command that asks a silent venue for more than the first minutes, which the store has."""
    start = ("--at", "2026-11-20T15:00:00Z", "--until", "2026-11-20T15:05:00Z", "--speed", FAST)
    shell.run("collect", SERIES, "--since", "2026-11-20T14:40:00Z", "--simulate", *start)
    later = ("--since", "2026-11-20T14:40:00Z", "--at", "2026-11-20T18:00:00Z", "--seed", "1")
    return ("backfill", SERIES, *later, *silent)


def test_it_has_to_be_whole_until_now_and_not_until_where_the_store_ends(shell, behind):
    [row] = shell.json(*behind, "--patience", "1s", status=4)

    assert "2026-11-20T17:59:00Z" == row["until"]
    [hole] = row["holes"]
    assert ("2026-11-20T15:05:00Z", "2026-11-20T17:59:00Z") == (hole["since"], hole["until"])


def test_one_that_is_terminated_says_what_is_still_missing(shell, behind):
    process = shell.start(*behind, "--json")
    assert "%" in process.stderr.readline()
    status, out, _ = interrupt(process, signal.SIGTERM)

    assert status == 4
    assert '"until": "2026-11-20T17:59:00Z"' in out


def test_more_series_than_could_be_polled_live_have_their_history_all_the_same(shell):
    """A budget that polling a minute takes twice: nobody polls here."""
    (shell.folder / "w.toml").write_text(
        "[venues.kraken.limits]\nrest = { amount = 1, per_s = 50.0, burst = 2 }"
    )
    series = ("kraken:BTC/USD@1m", "kraken:ETH/USD@1m")

    rows = shell.json("backfill", *series, "--since", "10m", "--config", "w.toml", *SIMULATED)

    assert [0, 0] == [len(row["holes"]) for row in rows]


def test_a_series_that_is_pinned_to_refuse_is_refused(shell):
    (shell.folder / "w.toml").write_text(f'[venues.kraken.pins]\n"{SERIES}" = "refuse"')
    run = ("backfill", SERIES, "--since", "10m", "--config", "w.toml", *SIMULATED)

    assert "pinned to refuse" in shell.run(*run, status=3).stderr


@pytest.mark.parametrize("pin", ["stream", "build", "resample", "poll"])
def test_how_a_series_is_pinned_to_be_collected_live_does_not_forbid_its_history(shell, pin):
    (shell.folder / "w.toml").write_text(f'[venues.kraken.pins]\n"{SERIES}" = "{pin}"')

    [row] = shell.json("backfill", SERIES, "--since", "10m", "--config", "w.toml", *SIMULATED)

    assert row["candles"] >= 8


def test_a_simulated_venue_that_takes_keys_needs_none(shell):
    """Also where what is missing is told: the plan is the same one."""
    [row] = shell.json("backfill", "dxlink:AAPL@1h", "--since", "2d", *SIMULATED)

    assert row["candles"]
