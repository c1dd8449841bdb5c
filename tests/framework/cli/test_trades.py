"""Trades that are kept, and candles that are compared with them, on the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell

SERIES = "kraken:BTC/USD@1m"
BOTH = (SERIES, "kraken:BTC/USD@trades")
SIMULATED = ("--simulate", "--speed", FAST, *FIVE_MINUTES)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Shell:
    there = Shell(tmp_path_factory.mktemp("kept"))
    (there.folder / "wickwire.toml").write_text("keep_trades = true\n")
    there.run("collect", *BOTH, *SIMULATED, "--config", "wickwire.toml")
    return there


def test_candles_are_what_the_trades_make_of_them_until_somebody_changes_one(kept):
    [told] = kept.json("gaps", SERIES, "--verify")
    assert {"buckets": 3, "differing": []} == told["verified"]
    assert [SERIES, "3", "0"] == kept.run("gaps", SERIES, "--verify").stdout.splitlines()[-1].split()
    assert "verified" not in kept.json("gaps", SERIES)[0]

    with closing(sqlite3.connect(kept.folder / "wickwire.db")) as connection, connection:
        [opens] = connection.execute(
            "SELECT open_ns FROM closed ORDER BY open_ns LIMIT 1 OFFSET 2"
        ).fetchone()
        connection.execute("UPDATE closed SET high = '99999999' WHERE open_ns = ?", (opens,))
        connection.execute("DELETE FROM closed WHERE open_ns = ?", (opens + 60_000_000_000,))
    [told] = kept.json("gaps", SERIES, "--verify", status=4)
    assert 3 == told["verified"]["buckets"]
    [high, gone] = told["verified"]["differing"]
    assert high["why"].startswith("high 99999999, of trades ")
    assert "2026-11-20T15:02:00Z" == high["open_time"]
    assert {"open_time": "2026-11-20T15:03:00Z", "why": "no candle is stored"} == gone


def test_trades_are_kept_only_where_somebody_says_so(shell):
    shell.run("collect", *BOTH, *SIMULATED)

    assert shell.json("gaps", SERIES, "--verify")[0]["verified"] is None
    assert "No trades of these series are stored." in shell.run("gaps", SERIES, "--verify").stdout


def test_an_option_says_so_too(shell):
    shell.run("collect", *BOTH, *SIMULATED, "--keep-trades")

    assert 3 == shell.json("gaps", SERIES, "--verify")[0]["verified"]["buckets"]
