"""The pages in docs/migration: their programs are the files that are run, and their commands work."""

from __future__ import annotations

import csv
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.migration_pages import FOLDER, rendered
from tests.framework.cli.conftest import Shell
from tests.migration.worlds import commands
from wickwire import parse_instant

PAGES = ("ccxt.md", "cryptofeed.md", "dxlink.md", "coinbase.md")
AT = "2026-11-20T15:00:20Z"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_what_is_run(page: str) -> None:
    """After a change of a program: make pages."""
    text = (FOLDER / page).read_text()

    assert rendered(text) == text


def test_each_program_is_shown_and_each_page_is_listed() -> None:
    shown = {
        name for page in PAGES for name in re.findall(r"<!-- file: (\S+) -->", (FOLDER / page).read_text())
    }

    assert {path.name for path in FOLDER.glob("*.py")} == shown
    assert [*PAGES] == re.findall(r"\]\((\w+\.md)\) \|", (FOLDER / "index.md").read_text())


def written_by_the_loop(table: Path, rows: list[dict[str, Any]]) -> None:
    """Make the table of the polling loop: a minute is stored too early in it, and another one is missing."""
    with closing(sqlite3.connect(table)) as database, database:
        database.execute(
            "create table candles (symbol text, open_ms integer, open real, high real, low real, "
            "close real, volume real, primary key (symbol, open_ms))"
        )
        for number, row in enumerate(rows):
            values = [float(row[name]) for name in ("open", "high", "low", "close", "volume")]
            if number == 20:
                values[4] /= 2
            if number != 30:
                database.execute(
                    "insert into candles values ('BTC/USD', ?, ?, ?, ?, ?, ?)",
                    (parse_instant(row["open_time"]) // 10**6, *values),
                )


def exported(shell: Shell, store: str = "wickwire.db") -> list[dict[str, Any]]:
    shell.run("export", "kraken:BTC/USD@1m", "--store", f"sqlite:{store}", "-o", f"{store}.csv")
    with (shell.folder / f"{store}.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_the_commands_bring_an_old_table_along_without_a_hole_or_a_double(tmp_path: Path) -> None:
    """The new store has the last half hour, the old table the hours before, and some of the same."""
    shell, simulated = Shell(tmp_path), ("--simulate", "--at", AT)
    series = "kraken:BTC/USD@1m"
    shell.run("backfill", series, *simulated, "--since", "2026-11-20T13:00:00Z", "--store", "sqlite:all.db")
    true = exported(shell, "all.db")
    written_by_the_loop(tmp_path / "candles.db", true[:-10])
    shell.run("backfill", series, *simulated, "--since", "2026-11-20T14:30:00Z")

    query, importing, gaps, audit = commands("index.md")
    with closing(sqlite3.connect(tmp_path / query[3])) as table, (tmp_path / "old.csv").open("w") as lines:
        found = table.execute(query[4])
        csv.writer(lines).writerows([[name for name, *_ in found.description], *found])
    shell.run(*importing[1:], "--seed", 1)  # where the store holds simulated candles

    assert "missing" in shell.run(*gaps[1:], status=4).stdout
    shell.run(*audit[1:-1], "2026-11-20T13:00:00Z", *simulated)

    told = exported(shell)
    assert [row["open_time"] for row in told] == [row["open_time"] for row in true]
    for row, right in zip(told, true, strict=True):
        for name in ("open", "high", "low", "close", "volume"):
            assert Decimal(row[name]) == Decimal(right[name]), row
    assert shell.json(*gaps[1:])[0]["holes"] == []
