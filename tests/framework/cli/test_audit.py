"""`audit`: what was deleted by hand comes back."""

from __future__ import annotations

import sqlite3
from contextlib import closing

SIMULATED = ("--simulate", "--at", "2026-11-20T16:00:00Z")
SERIES = "kraken:BTC/USD@5m"


def test_rows_that_somebody_deleted_are_found_by_an_audit_and_by_nothing_else(shell):
    shell.run("backfill", SERIES, "--since", "1d", *SIMULATED)
    with closing(sqlite3.connect(shell.folder / "wickwire.db")) as store, store:
        opened = store.execute("SELECT open_ns FROM closed ORDER BY open_ns LIMIT 3 OFFSET 50").fetchall()
        store.execute("DELETE FROM closed WHERE open_ns BETWEEN ? AND ?", (opened[0][0], opened[-1][0]))
    assert shell.json("gaps", SERIES)[0]["holes"] == []

    [found] = shell.json("audit", SERIES, "--since", "1d", *SIMULATED)
    assert len(found["lost"]) == 3
    assert (found["revised"], found["disputed"], found["left"], found["why"]) == ([], [], [], "")

    table = shell.run("audit", SERIES, "--since", "1d", *SIMULATED).stdout.split()
    assert table[table.index(SERIES) + 4] == "0", "nothing is lost any more"


def test_a_series_that_nobody_collected_is_refused(shell):
    done = shell.run("audit", SERIES, "--since", "1d", *SIMULATED, status=2)

    assert "the store knows nothing of it" in done.stderr
