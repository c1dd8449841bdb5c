"""SQL is a fixed set of statements: what is stored is given to them beside, whatever it looks like (S9)."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from tests.plugins.batches import closing
from wickwire import Change, Evidence, Series, SeriesState, Timeframe
from wickwire_sqlite import SqliteStore

MINUTE = Timeframe.parse("1m")
INNOCENT = ("BTC/USD", "")
HOSTILE = [
    ("x'; DROP TABLE candles; --", ""),
    ('x" OR "1"="1', "x'"),
    ("?", "?1"),
    (":name", "@name"),
    ("/* */ -- ;", "x/*"),
    ("%_*[a]", "%"),
    ("a\x00b\r\n", "$1"),
]


@pytest.fixture
def statements(monkeypatch):
    """Every text that is given to SQLite as a statement."""
    told: set[str] = set()

    class Listening(sqlite3.Connection):
        def execute(self, sql, *values):
            told.add(sql)
            return super().execute(sql, *values)

        def executemany(self, sql, values):
            told.add(sql)
            return super().executemany(sql, values)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *at, **how: connect(*at, factory=Listening, **how))
    return told


def used(path, symbol: str, variant: str) -> list[Series]:
    """Commit a candle of a series and read all that can be read; return the series that are there then."""
    series = Series("kraken", symbol, MINUTE, variant)
    end_ns = MINUTE.nominal_ns
    state = SeriesState(series=series, origin_ns=0, frontier_ns=end_ns, holes=())

    async def main() -> list[Series]:
        store = SqliteStore(path, inline=True)
        await store.open()
        await store.commit([Change(state=state, closings=[closing(series, 0, 1, Evidence.HISTORY)])])
        [candle] = await store.candles(series, 0, end_ns, limit=9)
        assert candle.series == series
        [told] = await store.committed(0, limit=9)
        assert told.series == series
        found = [state.series for state in await store.states()]
        await store.aclose()
        return found

    return asyncio.run(main())


@pytest.mark.parametrize(("symbol", "variant"), HOSTILE)
def test_what_a_symbol_looks_like_changes_no_statement(tmp_path, statements, symbol, variant):
    used(tmp_path / "innocent.db", *INNOCENT)
    expected = set(statements)
    statements.clear()

    found = used(tmp_path / "hostile.db", symbol, variant)

    assert expected
    assert expected == statements
    assert [(symbol, variant)] == [(series.symbol, series.variant) for series in found]
