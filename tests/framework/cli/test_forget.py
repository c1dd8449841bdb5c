"""`gaps --audit` and `forget`: what a store holds, and what of it is too old."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell

SERIES = "kraken:BTC/USD@1m"
TRADES = "kraken:BTC/USD@trades"
SIMULATED = ("--simulate", "--speed", FAST, *FIVE_MINUTES)


@pytest.fixture
def held(shell: Shell) -> Shell:
    shell.run("collect", SERIES, TRADES, *SIMULATED, "--keep-trades")
    return shell


def changed(shell: Shell, *statements: str) -> None:
    with closing(sqlite3.connect(shell.folder / "wickwire.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_an_audit_says_what_is_stored_and_names_what_is_wrong(held):
    [told] = held.json("gaps", SERIES, "--audit")
    audit = told["audit"]
    assert (5, 5) == (told["candles"], audit["candles"])
    assert ("2026-11-20T15:00:00Z", "2026-11-20T15:04:00Z") == (audit["first"], audit["last"])
    assert 5 == sum(audit["evidence"].values()) == sum(audit["routes"].values())
    assert (0, [], {}, None) == (
        audit["empty_buckets"],
        audit["empty"],
        audit["faults"],
        audit["forgotten_before"],
    )
    assert "audit" not in held.json("gaps", SERIES)[0]

    minute = "(SELECT min(open_ns) FROM closed) + 60000000000"
    changed(
        held,
        f"UPDATE closed SET high = '0.1' WHERE open_ns = {minute}",
        f"DELETE FROM closed WHERE open_ns = {minute} + 60000000000",
    )
    [told] = held.json("gaps", SERIES, "--audit", status=4)
    audit = told["audit"]
    assert ({"law": 1}, 1) == (audit["faults"], audit["empty_buckets"])
    [faulty] = audit["faulty"]
    assert ("2026-11-20T15:01:00Z", "law") == (faulty["open_time"], faulty["fault"])
    assert [{"since": "2026-11-20T15:02:00Z", "until": "2026-11-20T15:03:00Z"}] == audit["empty"]
    shown = held.run("gaps", SERIES, "--audit", status=4).stdout
    assert "nothing traded" in shown
    assert "law: open" in shown


def test_what_would_be_forgotten_is_shown_and_kept_until_somebody_says_yes(held):
    """Ages count from the newest that is stored, so that this does not depend on today."""
    [old] = held.json("forget", "--before", "2m")
    assert {
        "series": SERIES,
        "before": "2026-11-20T15:02:00Z",
        "count": 2,
        "sinks": [],
        "forgotten": False,
    } == old
    assert "Nothing was done; --yes forgets it." in held.run("forget", "--before", "2m").stdout
    assert 5 == held.json("gaps", SERIES)[0]["candles"]

    assert "Forgotten." in held.run("forget", "--before", "2m", "--yes").stdout
    [told] = held.json("gaps", SERIES, "--audit", "--since", "2026-11-20T15:00:00Z")
    assert ("2026-11-20T15:02:00Z", 3, []) == (told["since"], told["candles"], told["holes"])
    assert "2026-11-20T15:02:00Z" == told["forgotten_before"] == told["audit"]["forgotten_before"]
    assert "Nothing in this store is so old." in held.run("forget", "--before", "2m", "--yes").stdout


@pytest.mark.parametrize("named", [(), (SERIES,)])
def test_holes_go_also_where_no_candle_is_so_old(held, named):
    minute = "(SELECT origin_ns FROM series) + {} * 60000000000"
    changed(
        held,
        f"DELETE FROM closed WHERE open_ns < {minute.format(4)}",
        f"INSERT INTO holes VALUES (1, {minute.format(0)}, {minute.format(4)}, 'missing')",
    )
    held.run("forget", *named, "--before", "2026-11-20T15:03:00Z", "--yes")
    [told] = held.json("gaps", SERIES, status=4)
    assert "2026-11-20T15:02:00Z" == told["since"]
    assert ["2026-11-20T15:02:00Z"] == [hole["since"] for hole in told["holes"]]


def test_of_what_is_brought_back_in_part_the_rest_stays_forgotten(held):
    """Nobody has asked for it again, so it does not lack."""
    held.run("forget", "--before", "2m", "--yes")
    back = ("--since", "2026-11-20T15:01:00Z", "--until", "2026-11-20T15:02:00Z")
    held.run("backfill", SERIES, *back, "--simulate", "--at", "2026-11-20T15:05:00Z")
    asked = ("gaps", SERIES, "--since", "2026-11-20T14:00:00Z")
    [told] = held.json(*asked)
    assert ("2026-11-20T15:01:00Z", 4, []) == (told["since"], told["candles"], told["holes"])
    assert "2026-11-20T15:01:00Z" == told["forgotten_before"]
    assert "  forgotten " in held.run(*asked).stdout
    [told] = held.json("gaps", SERIES, "--since", "2026-11-20T15:01:00Z")
    assert "forgotten_before" not in told


def test_what_was_exported_before_comes_back_with_an_import_and_stays(held):
    """Who imports knows what was forgotten, and wants it all the same."""
    held.run("export", SERIES, "-o", "old.csv")
    held.run("forget", "--before", "2m", "--yes")
    assert 3 == held.json("gaps", SERIES)[0]["candles"]

    held.run("import", "old.csv", "--seed", "1")
    held.run("collect", SERIES, *SIMULATED[:-1], "2026-11-20T15:07:00Z")
    [told] = held.json("gaps", SERIES, "--audit", "--since", "2026-11-20T15:00:00Z")
    assert ("2026-11-20T15:00:00Z", [], {}) == (told["since"], told["holes"], told["audit"]["faults"])
    assert 7 == told["candles"] + told["audit"]["empty_buckets"]
    assert "2026-11-20T15:02:00Z" == told["audit"]["forgotten_before"]


def test_trades_and_single_series_are_forgotten_alone(held):
    olds = held.json("forget", TRADES, "--before", "1m", "--trades-before", "2m")
    assert [TRADES] == [one["series"] for one in olds]
    assert olds[0]["count"] > 0
    held.run("forget", TRADES, "--before", "1m", "--trades-before", "2m", "--yes")
    assert 5 == held.json("gaps", SERIES)[0]["candles"]
    assert held.json("forget", "--trades-before", "2m") == []
    held.run("forget", SERIES, "--before", "1m", "--yes")
    assert 2 == held.json("gaps", SERIES)[0]["candles"]


def test_a_sink_that_has_not_had_it_is_named(held):
    changed(held, "INSERT INTO sinks VALUES ('late', 1, 0)", "INSERT INTO sinks VALUES ('current', 5, 0)")
    [old] = held.json("forget", "--before", "2m")
    assert ["late"] == old["sinks"]
    assert "late" in held.run("forget", "--before", "2m").stdout


def test_the_config_says_how_old_is_too_old_and_a_collector_follows_it(shell):
    (shell.folder / "wickwire.toml").write_text('[retention]\ncandles = "2d"\n')
    shell.run("collect", SERIES, *SIMULATED, "--since", "3d", "--config", "wickwire.toml")

    [told] = shell.json("gaps", SERIES, status=4)  # simulated history reaches back for less than that
    assert "2026-11-17T23:59:00Z" == told["since"]
    assert "Nothing in this store is so old." in shell.run("forget", "--config", "wickwire.toml").stdout
    refused = shell.run(
        "backfill", SERIES, "--since", "30d", "--simulate", "--config", "wickwire.toml", status=2
    )
    assert "candles are kept for 2d (retention.candles in the config)" in refused.stderr


@pytest.mark.parametrize("command", ["backfill", "audit"])
def test_who_fills_or_audits_a_store_forgets_nothing(shell, command):
    """The config says what `collect` keeps; another store may be an archive."""
    shell.run("collect", "kraken:BTC/USD@1h", *SIMULATED, "--since", "10d")
    [before] = shell.json("gaps", "kraken:BTC/USD@1h")
    (shell.folder / "wickwire.toml").write_text('[retention]\ncandles = "2d"\n')

    told = ("--simulate", "--speed", FAST, "--at", "2026-11-20T15:05:00Z", "--config", "wickwire.toml")
    shell.run(command, "kraken:BTC/USD@1h", "--since", "1d", *told)
    [after] = shell.json("gaps", "kraken:BTC/USD@1h")
    assert (before["since"], before["candles"]) == (after["since"], after["candles"])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "how old is too old? write --before 400d, --trades-before 30d, or [retention] in the config"),
        (("--before", "2199-01-01"), "lies in the future: everything would be forgotten"),
        (("--trades-before", "2199-01-01"), "--trades-before 2199-01-01T00:00:00Z lies in the future"),
        (("kraken:LTC/USD@1m", "--before", "1d"), "nothing of it is in this store"),
        (
            ("kraken:LTC/USD@trades", "--trades-before", "1d"),
            "nothing of it is in this store; it holds " + TRADES,
        ),
        ((SERIES, "--trades-before", "1d"), "how old is too old for it? write --before 400d"),
        ((TRADES, "--before", "1d"), "how old is too old for it? write --trades-before 400d"),
    ],
)
def test_what_cannot_be_meant_is_refused(held, arguments, why):
    assert why in held.run("forget", *arguments, status=2).stderr


def test_an_option_that_keeps_less_than_a_day_is_refused(shell):
    done = shell.run("collect", SERIES, "--retention", "12h", status=2)
    assert "retention: candles: expected a day at least, got '12h'" in done.stderr
