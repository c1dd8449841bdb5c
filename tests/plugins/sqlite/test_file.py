"""The file: whose it may be, what it looks like inside, and what is refused untouched."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Sequence
from contextlib import closing as closed_after
from decimal import Decimal
from pathlib import Path

import pytest

from wickwire import (
    MINUTE_NS,
    REAL,
    Candle,
    Change,
    Closing,
    Cursor,
    Evidence,
    Hole,
    HoleKind,
    Parked,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Side,
    StoreError,
    Stretch,
    Trade,
    TradeBatch,
)
from wickwire_sqlite import SqliteStore, store
from wickwire_sqlite.rows import _digits
from wickwire_sqlite.schema import APPLICATION_ID, MIGRATIONS, migrate

BTC = Series.parse("kraken:BTC/USD@1m")


def change(*minutes: int, price: str = "10.50", evidence: Evidence = Evidence.SUCCESSOR) -> Change:
    value = Decimal(price)
    closings = [
        Closing(
            Candle(
                BTC.symbol,
                BTC.timeframe,
                at * MINUTE_NS,
                (at + 1) * MINUTE_NS,
                value,
                value,
                value,
                value,
                value,
            ),
            evidence,
            Rung.STREAM,
        )
        for at in minutes
    ]
    hole = Hole(90 * MINUTE_NS, 99 * MINUTE_NS, HoleKind.MISSING)
    return Change(
        state=SeriesState(series=BTC, origin_ns=0, frontier_ns=99, holes=(hole,)), closings=closings
    )


def commit(path: Path, *changes: Change) -> Sequence[SeriesCandle]:
    """Open, commit, close."""

    async def main() -> Sequence[SeriesCandle]:
        store = SqliteStore(path, inline=True)
        await store.open()
        try:
            return await store.commit(changes)
        finally:
            await store.aclose()

    return asyncio.run(main())


def read(path: Path) -> Sequence[SeriesCandle]:
    """What a read-only store finds."""

    async def main() -> Sequence[SeriesCandle]:
        store = SqliteStore(path, inline=True, readonly=True)
        await store.open()
        try:
            return await store.candles(BTC, 0, 10**18, limit=1_000)
        finally:
            await store.aclose()

    return asyncio.run(main())


def refusal(path: Path, *, readonly: bool = False) -> str:
    """The text with which opening *path* is refused."""
    with pytest.raises(StoreError) as refused:
        asyncio.run(SqliteStore(path, readonly=readonly).open())
    assert repr(str(path)) in str(refused.value)
    return str(refused.value)


def sql(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """What another program finds, or does."""
    with closed_after(sqlite3.connect(path)) as connection, connection:
        return [row for statement in statements for row in connection.execute(statement).fetchall()]


# ------------------------------------------------------------------------------------------------- inside


def test_other_programs_read_plain_columns(tmp_path):
    """The view `candles` is the face of the file: text for decimals, RFC 3339 and nanoseconds for times."""
    commit(tmp_path / "w.db", change(1))

    columns = "venue, variant, symbol, timeframe, open_time, open_ns, close, volume, evidence, route, seq"
    [row] = sql(tmp_path / "w.db", f"SELECT {columns} FROM candles")
    assert row[:4] == ("kraken", "", "BTC/USD", "1m")
    assert row[4:] == ("1970-01-01T00:01:00Z", MINUTE_NS, "10.50", "10.50", "successor", "stream", 1)


def test_small_numbers_are_written_out():
    written = [
        _digits(Decimal(text)) for text in ("1E-8", "0E-10", "-2.50E-7", "1E+3", "1E-999999", "64001.10")
    ]

    assert written == ["0.00000001", "0.0000000000", "-0.000000250", "1E+3", "1E-999999", "64001.10"]


def test_what_a_revision_replaced_is_kept(tmp_path):
    commit(tmp_path / "w.db", change(1), change(1, price="11", evidence=Evidence.HISTORY))
    commit(tmp_path / "w.db", change(1, price="12", evidence=Evidence.VENUE))

    assert [("10.50", 0, 1), ("11", 1, 2)] == sql(
        tmp_path / "w.db", "SELECT close, revision, seq FROM superseded ORDER BY revision"
    )
    assert [("12", 2, 3)] == sql(tmp_path / "w.db", "SELECT close, revision, seq FROM candles")


def test_a_sequence_number_is_never_given_twice(tmp_path):
    """Not even after somebody deleted the newest candles: a sink's cursor stands behind them."""
    commit(tmp_path / "w.db", change(1, 2))
    sql(tmp_path / "w.db", "DELETE FROM closed")

    assert [3] == [news.seq for news in commit(tmp_path / "w.db", change(1))]


def test_a_range_the_newest_candle_and_the_commits_are_found_by_index(tmp_path):
    commit(tmp_path / "w.db", change(1))
    with closed_after(sqlite3.connect(tmp_path / "w.db")) as connection:
        for query, arguments in ((store._RANGE, 7), (store._LAST, 5), (store._SINCE, 2)):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ("",) * arguments).fetchall()
            assert not [step for *_, step in plan if "SCAN" in step or "TEMP B-TREE" in step]


# ---------------------------------------------------------------------------------------- modes and places


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_all_files_are_for_their_owner_alone_whatever_the_umask(tmp_path, umask):
    async def main():
        store = SqliteStore(tmp_path / "w.db", inline=True)
        await store.open()
        await store.commit([change(1)])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        await store.aclose()
        return modes

    before = os.umask(umask)
    try:
        modes = asyncio.run(main())
    finally:
        os.umask(before)
    assert modes == {"w.db": 0o600, "w.db-wal": 0o600, "w.db-shm": 0o600}


def test_nothing_is_created_through_a_symbolic_link(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")

    assert "symbolic link" in refusal(tmp_path / "link.db")
    commit(tmp_path / "real.db", change(1))
    (tmp_path / "other.db").symlink_to(tmp_path / "real.db")
    assert "symbolic link" in refusal(tmp_path / "other.db")
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_place_where_no_file_can_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.db")

    assert "create it" in refusal(tmp_path / "missing" / "w.db")
    assert "not a regular file" in refusal(tmp_path)
    assert "not a regular file" in refusal(tmp_path / "pipe.db")
    assert "Not a directory" in refusal(tmp_path / "file" / "w.db")
    assert "File name too long" in refusal(tmp_path / ("x" * 300))


def test_a_name_full_of_special_characters_is_only_a_name(tmp_path):
    path = tmp_path / "a?mode=memory&x#y%41 é'.db"
    commit(path, change(1))

    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert len(read(path)) == 1


# ------------------------------------------------------------------------------------------------ read-only


def test_reading_creates_no_file_and_leaves_none_behind(tmp_path):
    assert "no such file" in refusal(tmp_path / "w.db", readonly=True)
    assert list(tmp_path.iterdir()) == []

    commit(tmp_path / "w.db", change(1))
    before = (tmp_path / "w.db").read_bytes()
    assert len(read(tmp_path / "w.db")) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.db"]
    assert (tmp_path / "w.db").read_bytes() == before


def test_a_read_only_store_refuses_to_commit(tmp_path):
    commit(tmp_path / "w.db", change(1))

    async def main():
        store = SqliteStore(tmp_path / "w.db", readonly=True)
        await store.open()
        with pytest.raises(StoreError, match="readonly"):
            await store.commit([change(2)])
        assert await store.last_seq() == 1
        await store.aclose()

    asyncio.run(main())


def test_reading_sees_what_a_running_collector_commits(tmp_path):
    async def main():
        writer, reader = (SqliteStore(tmp_path / "w.db", readonly=flag) for flag in (False, True))
        await writer.open()
        await reader.open()
        for minute in range(5):
            await writer.commit([change(minute)])
            assert len(await reader.committed(0, limit=99)) == minute + 1
        await reader.aclose()
        await writer.aclose()

    asyncio.run(main())


# --------------------------------------------------------------------------------- somebody else's, or broken


def test_a_foreign_database_is_refused_and_not_changed(tmp_path):
    path = tmp_path / "books.db"
    sql(path, "CREATE TABLE books (title)", "INSERT INTO books VALUES ('Emma')")
    before = path.read_bytes()

    assert "not a wickwire store" in refusal(path)
    assert "not a wickwire store" in refusal(path, readonly=True)
    assert path.read_bytes() == before


def test_an_application_id_of_another_program_is_refused_even_without_tables(tmp_path):
    sql(tmp_path / "w.db", "PRAGMA application_id = 252006675", "PRAGMA journal_mode = DELETE")

    assert "not a wickwire store" in refusal(tmp_path / "w.db")


def test_an_empty_file_becomes_a_store_but_not_for_a_reader(tmp_path):
    (tmp_path / "w.db").touch(mode=0o640)

    assert "not a wickwire store" in refusal(tmp_path / "w.db", readonly=True)
    assert len(commit(tmp_path / "w.db", change(1))) == 1


@pytest.mark.parametrize(
    "content", [b"not a database, but a long enough text" * 99, b"PK\3\4" + bytes(5_000), b"{}"]
)
def test_a_file_that_is_no_database_is_refused_and_not_changed(tmp_path, content):
    (tmp_path / "w.db").write_bytes(content)

    assert "not a SQLite file" in refusal(tmp_path / "w.db")
    assert (tmp_path / "w.db").read_bytes() == content


def test_a_newer_schema_is_refused(tmp_path):
    commit(tmp_path / "w.db", change(1))
    sql(tmp_path / "w.db", f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    assert "use the newer wickwire" in refusal(tmp_path / "w.db")
    assert "use the newer wickwire" in refusal(tmp_path / "w.db", readonly=True)


def test_a_damaged_file_is_an_error_with_a_next_step_wherever_the_damage_is(tmp_path):
    """Any page may be garbage: every answer is either right or a StoreError, never a wrong candle."""
    path, pages = tmp_path / "w.db", 0
    commit(path, change(*range(200)))
    sound = path.read_bytes()
    for start in range(0, len(sound), 4_096):
        path.write_bytes(sound[:start] + b"\xa5" * 4_096 + sound[start + 4_096 :])
        try:
            found = read(path)
        except StoreError as exc:
            assert "damaged" in str(exc) or "not a SQLite file" in str(exc)  # noqa: PT017 - both outcomes are legal
            pages += 1
        else:
            assert [minute * MINUTE_NS for minute in range(200)] == [candle.open_ns for candle in found]
    assert pages >= 3


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE closed SET close = 'garbage'",
        "UPDATE closed SET high = x'00'",
        "UPDATE closed SET evidence = 'hearsay'",
        "UPDATE series SET what = '1x'",
        "UPDATE holes SET kind = 'black'",
    ],
)
def test_a_value_that_we_never_wrote_is_an_error_not_a_candle(tmp_path, damage):
    commit(tmp_path / "w.db", change(1))
    sql(tmp_path / "w.db", damage)

    async def main():
        store = SqliteStore(tmp_path / "w.db", readonly=True)
        await store.open()
        with pytest.raises(StoreError, match="damaged"):
            await asyncio.gather(store.load(BTC), store.states(), store.committed(0, limit=9))
        await store.aclose()

    asyncio.run(main())


def test_a_truncated_file_is_an_error_with_a_next_step(tmp_path):
    commit(tmp_path / "w.db", change(*range(200)))
    os.truncate(tmp_path / "w.db", 3 * 4_096)

    with pytest.raises(StoreError, match="damaged"):
        read(tmp_path / "w.db")


def wrongs(path):
    async def main():
        store = SqliteStore(path, readonly=True)
        await store.open()
        try:
            return list(await store.check())
        finally:
            await store.aclose()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DROP TABLE superseded", "the table 'superseded' is missing"),
        ("DROP VIEW candles", "the view 'candles' is missing"),
        ("DROP INDEX closed_by_seq", "the index 'closed_by_seq' is missing"),
        ("DELETE FROM sequence", "the table 'sequence' has 0 rows in place of one"),
        ("DELETE FROM series", "a hole belongs to the series 1, which is not there"),
        ("UPDATE closed SET close = 'garbage' WHERE open_ns > 0", "is damaged"),
        ("UPDATE series SET what = '1x'", "a series is damaged"),
        ("UPDATE holes SET kind = 'black'", "a hole is damaged"),
    ],
)
def test_a_check_says_what_is_missing_or_cannot_be_read(tmp_path, damage, said):
    commit(tmp_path / "w.db", change(*range(200)))
    assert [] == wrongs(tmp_path / "w.db")
    sql(tmp_path / "w.db", damage)

    found = wrongs(tmp_path / "w.db")

    assert said in found[0]
    assert len(found) <= 6, "nobody reads two hundred of them"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE trades SET price = 'garbage'", "a trade of kraken:BTC/USD@trades is damaged"),
        ("UPDATE trades SET action = 'rumoured'", "a trade of kraken:BTC/USD@trades is damaged"),
        ("UPDATE trades SET tape = 9", "a trade belongs to the tape 9, which is not there"),
        ("UPDATE stretches SET tape = 9", "a stretch belongs to the tape 9, which is not there"),
        ("UPDATE parked SET series = 9", "a parked candle belongs to the series 9, which is not there"),
        ("DELETE FROM sinks", "a parked candle belongs to the sink 'redis', which is not there"),
    ],
)
def test_a_check_looks_at_trades_and_at_what_sinks_do_not_take(tmp_path, damage, said):
    trade = Trade(BTC.symbol, "1", Decimal("10.50"), Decimal(1), Side.BUY, MINUTE_NS)
    tape = TradeBatch(
        series=Series.parse("kraken:BTC/USD@trades"), trades=[trade], stretch=Stretch(MINUTE_NS, MINUTE_NS)
    )
    cursor = Cursor(seq=1, parked=(Parked(series=BTC, open_ns=MINUTE_NS, seq=1, why="too odd"),))

    async def fill() -> None:
        store = SqliteStore(tmp_path / "w.db")
        await store.open()
        await store.commit([change(1)])
        await store.put_trades([tape])
        await store.move("redis", cursor)
        await store.aclose()

    asyncio.run(fill())
    assert [] == wrongs(tmp_path / "w.db")
    sql(tmp_path / "w.db", damage)

    assert [said] == [found[: len(said)] for found in wrongs(tmp_path / "w.db")]


def test_a_check_finds_a_damaged_page_wherever_it_is(tmp_path):
    path, found = tmp_path / "w.db", 0
    commit(path, change(*range(200)))
    sound = path.read_bytes()
    for start in range(4_096, len(sound), 4_096):
        path.write_bytes(sound[:start] + b"\xa5" * 4_096 + sound[start + 4_096 :])
        try:
            found += bool(wrongs(path))
        except StoreError as exc:
            assert "damaged" in str(exc)  # noqa: PT017 - both outcomes are legal
            found += 1
    assert found == len(sound) // 4_096 - 1


# ----------------------------------------------------------------------------------------------- migrations


def test_a_new_file_carries_our_mark_and_the_newest_schema(tmp_path):
    commit(tmp_path / "w.db")

    assert [(APPLICATION_ID,), (len(MIGRATIONS),), ("wal",)] == sql(
        tmp_path / "w.db", "PRAGMA application_id", "PRAGMA user_version", "PRAGMA journal_mode"
    )


def test_an_older_file_is_brought_forward_with_all_it_holds(tmp_path):
    path = tmp_path / "w.db"
    commit(path, change(1))
    later = (
        *MIGRATIONS,
        ("CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('two')"),
        ("DROP TABLE notes",),
    )
    with closed_after(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, later[:-1])
        assert connection.execute("SELECT text FROM notes").fetchall() == [("two",)]
        migrate(connection, later)
        migrate(connection, MIGRATIONS)  # an older version of us meets it: nothing goes back

    assert [(len(MIGRATIONS) + 2,), (1,)] == sql(path, "PRAGMA user_version", "SELECT count(*) FROM candles")


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "w.db"
    commit(path, change(1))
    before = sql(path, "SELECT sql FROM sqlite_master", "PRAGMA user_version", "SELECT * FROM candles")
    broken = (*MIGRATIONS, ("DELETE FROM closed", "CREATE TABLE notes (text)", "nonsense"))
    with (
        closed_after(sqlite3.connect(path, isolation_level=None)) as connection,
        pytest.raises(sqlite3.OperationalError, match="nonsense"),
    ):
        migrate(connection, broken)

    assert before == sql(
        path, "SELECT sql FROM sqlite_master", "PRAGMA user_version", "SELECT * FROM candles"
    )


@pytest.mark.parametrize(("minutes", "world"), [((1,), REAL), ((), "")])
def test_a_file_of_the_first_schema_holds_real_candles_as_far_as_anybody_knows(tmp_path, minutes, world):
    path = tmp_path / "w.db"
    with closed_after(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, MIGRATIONS[:1])
        if minutes:
            connection.execute("INSERT INTO series VALUES (1, 'kraken', '', 'BTC/USD', '1m', 0, 0)")

    async def main():
        store = SqliteStore(path)
        await store.open()
        assert world == await store.world()
        await store.claim("simulated venues, seed 1")
        if world:
            with pytest.raises(StoreError, match="holds candles of the real venues"):
                await store.commit([change(2)])
        else:
            await store.commit([change(2)])
        await store.aclose()

    asyncio.run(main())


def test_whoever_commits_first_settles_whose_candles_a_file_holds(tmp_path):
    """Two processes may open a new file at the same time; one of them is refused, with nothing stored."""

    async def main():
        one, other = SqliteStore(tmp_path / "w.db"), SqliteStore(tmp_path / "w.db")
        await one.open()
        await other.open()
        await one.claim("simulated venues, seed 1")
        await other.commit([change(1)])
        with pytest.raises(StoreError, match="the real venues"):
            await one.commit([change(2)])
        assert 1 == len(await other.committed(0, limit=9))
        await one.aclose()
        await other.aclose()

    asyncio.run(main())
