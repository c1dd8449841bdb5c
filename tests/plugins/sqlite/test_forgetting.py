"""A file forgets batch by batch: others commit in between, and a death in the middle leaves no lie."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing as closed_after

import attrs
import pytest

from tests.framework.test_forgetting import filled, known, trade
from tests.framework.test_store import BTC, closing
from tests.plugins.batches import WIDTH, both, running
from wickwire import (
    FORGET_ROWS,
    MINUTE_NS,
    Change,
    Forgotten,
    Series,
    StoreError,
    Stretch,
    TradeBatch,
    Unknown,
)
from wickwire.simulate.loops import run_virtual
from wickwire_sqlite import SqliteStore
from wickwire_sqlite.schema import MIGRATIONS, migrate
from wickwire_sqlite.store import PAUSE_S

WRITER = "tests.plugins.sqlite.writer"
TRADES = Series.parse("kraken:BTC/USD@trades")


def rows(path) -> int:
    with closed_after(sqlite3.connect(path)) as connection:
        [count] = connection.execute("SELECT count(*) FROM closed").fetchone()
        return int(count)


@pytest.mark.parametrize("seed", range(8))
def test_a_process_that_dies_while_it_forgets_leaves_nothing_that_is_claimed_and_gone(tmp_path, seed):
    """It kills itself after a random number of SQLite's own instructions; the next one goes on with it."""
    path = tmp_path / "w.db"
    steps = random.Random(seed).choice((1_000, 20_000, 100_000)) + random.Random(seed).randrange(20_000)
    with running(WRITER, "forget", path, "kraken", steps) as process:
        process.communicate()
    last = 1_000 * WIDTH

    async def main() -> None:
        store = SqliteStore(path, inline=True)
        await store.open()
        for _ in range(2):
            for series in both("kraken"):
                found = await store.audit(series, 0, 2**62, grid=Unknown())
                assert found is not None
                loaded = await store.load(series)
                assert loaded is not None
                first = max(loaded.state.origin_ns, 0) // MINUTE_NS
                assert last - first == found.candles, "what is claimed is there"
                assert {} == dict(found.faults)
            await store.forget(2_901 * MINUTE_NS)
        assert 2 * 100 == rows(path)
        assert list(await store.check()) == []
        await store.aclose()

    asyncio.run(main())


def test_between_two_batches_others_see_what_is_gone_and_commit(tmp_path):
    """The write lock is held for one batch, however much is too old."""
    path, count = tmp_path / "w.db", 5 * FORGET_ROWS

    async def main() -> None:
        store, other = SqliteStore(path, inline=True), SqliteStore(path, inline=True, lock_wait_s=0.0)
        await store.open()
        await store.commit([filled(known(0, count))])
        await other.open()
        loaded = await other.load(BTC)
        assert loaded is not None
        seen = []

        async def collect() -> None:
            state = loaded.state
            while rows(path) > 2 * FORGET_ROWS:
                minute = state.frontier_ns // MINUTE_NS
                state = attrs.evolve(state, frontier_ns=(minute + 1) * MINUTE_NS)
                assert 1 == len(await other.commit([Change(state=state, closings=[closing(minute)])]))
                seen.append(rows(path))
                await asyncio.sleep(PAUSE_S)

        async with asyncio.TaskGroup() as tasks:
            forgetting = tasks.create_task(store.forget((count - 9) * MINUTE_NS))
            await asyncio.sleep(0)
            tasks.create_task(collect())
        assert count - 10 == forgetting.result()
        assert len(seen) > 1
        assert sorted(set(seen), reverse=True) == seen, "each commit saw that less was there"
        for one in (store, other):
            await one.aclose()

    run_virtual(main())


def test_the_lock_is_free_for_a_while_between_two_batches(tmp_path):
    """SQLite has no queue: who waits looks every now and then, and must not find it taken each time."""

    async def main() -> None:
        loop, store = asyncio.get_running_loop(), SqliteStore(tmp_path / "w.db", inline=True)
        await store.open()
        await store.commit([filled(known(0, 3 * FORGET_ROWS))])
        trades = [trade(at) for at in range(3 * FORGET_ROWS)]
        await store.put_trades([TradeBatch(series=TRADES, trades=trades)])
        for forgetting in (store.forget(3 * FORGET_ROWS * MINUTE_NS), store.forget_trades(3 * FORGET_ROWS)):
            began_s = loop.time()
            await forgetting
            assert loop.time() - began_s >= 2 * PAUSE_S
        await store.aclose()

    run_virtual(main())


def test_what_is_asked_for_again_between_two_batches_stays(tmp_path):
    """Each batch looks what is claimed: the next one would take what was just brought."""
    path, count = tmp_path / "w.db", 3 * FORGET_ROWS

    async def main() -> None:
        store, other = SqliteStore(path, inline=True), SqliteStore(path, inline=True)
        await store.open()
        await store.commit([filled(known(0, count))])
        await other.open()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.forget((count - 9) * MINUTE_NS))
            await asyncio.sleep(0)
            loaded = await other.load(BTC)
            assert loaded is not None
            again = attrs.evolve(loaded.state, origin_ns=5 * MINUTE_NS)
            assert 1 == len(await other.commit([Change(state=again, closings=[closing(5)])]))
        loaded = await store.load(BTC)
        assert loaded is not None
        assert again == loaded.state
        assert [5] == [
            one.open_ns // MINUTE_NS for one in await store.candles(BTC, 0, MINUTE_NS * 9, limit=9)
        ]
        for one in (store, other):
            await one.aclose()

    asyncio.run(main())


def test_a_locked_file_is_an_error_that_changes_nothing(tmp_path):
    path = tmp_path / "w.db"

    async def main() -> None:
        store = SqliteStore(path, inline=True, lock_wait_s=0.0)
        await store.open()
        await store.commit([filled(known(0, 10))])
        await store.put_trades([TradeBatch(series=TRADES, trades=[trade(1)], stretch=Stretch(1, 1))])
        with closed_after(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for attempt in (store.forget(7 * MINUTE_NS), store.forget_trades(9)):
                with pytest.raises(StoreError, match=r"cannot forget .*: database is locked; another"):
                    await attempt
        loaded = await store.load(BTC)
        assert loaded is not None
        assert known(0, 10) == loaded.state
        assert 10 == rows(path)
        assert 6 == await store.forget(7 * MINUTE_NS)
        await store.aclose()

    asyncio.run(main())


def test_a_read_only_store_refuses_to_forget(tmp_path):
    path = tmp_path / "w.db"

    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.commit([filled(known(0, 10))])
        await store.aclose()
        reader = SqliteStore(path, readonly=True)
        await reader.open()
        with pytest.raises(StoreError, match="attempt to write a readonly database"):
            await reader.forget(7 * MINUTE_NS)
        await reader.aclose()

    asyncio.run(main())
    assert 10 == rows(path)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_file_of_every_earlier_schema_forgets_too(tmp_path, version):
    path = tmp_path / "w.db"
    with closed_after(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, MIGRATIONS[:version])
        connection.execute(
            "INSERT INTO series (id, venue, variant, symbol, what, origin_ns, frontier_ns) "
            "VALUES (1, 'kraken', '', 'BTC/USD', '1m', 0, ?)",
            (10 * MINUTE_NS,),
        )
        connection.executemany(
            "INSERT INTO closed VALUES "
            "(1, ?, ?, '1', '1', '1', '1', '1', NULL, NULL, 'history', 0, 0, 'poll', ?, ?)",
            [(at * MINUTE_NS, (at + 1) * MINUTE_NS, at + 1, at + 1) for at in range(10)],
        )
        connection.execute("UPDATE sequence SET last_seq = 10")

    async def main() -> None:
        store = SqliteStore(path)
        await store.open()
        loaded = await store.load(BTC)
        assert loaded is not None
        assert (known(0, 10), 10) == (loaded.state, len(loaded.tail))
        assert 6 == await store.forget(7 * MINUTE_NS)
        loaded = await store.load(BTC)
        assert loaded is not None
        assert known(6, 10, forgotten=Forgotten(6 * MINUTE_NS, 1)) == loaded.state
        await store.aclose()

    asyncio.run(main())
