"""Where SQL runs: a thread of the store's own, a given executor, or the loop's thread under virtual time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.plugins.batches import batch
from wickwire import StoreError
from wickwire.simulate.loops import InlineExecutor, run_virtual
from wickwire_sqlite import SqliteStore, open_store


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("wickwire-sqlite")]


def test_a_store_has_one_thread_from_its_opening_to_its_closing(tmp_path):
    async def main():
        store = SqliteStore(tmp_path / "w.db")
        assert threads() == []
        await store.open()
        await asyncio.gather(*(store.commit(batch("kraken", number)) for number in range(5)))
        assert len(threads()) == 1
        [its_own] = [thread for thread in threading.enumerate() if thread.name in threads()]
        await store.aclose()
        await store.aclose()
        its_own.join()

    asyncio.run(main())
    assert threads() == []


def test_a_store_that_could_not_be_opened_leaves_no_thread(tmp_path):
    async def main():
        with pytest.raises(StoreError):
            await SqliteStore(tmp_path).open()

    asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name.startswith("wickwire-sqlite"):
            thread.join()
    assert threads() == []


def test_a_given_executor_is_used_and_left_alone(tmp_path):
    """Several threads may be in it: the store lets one in at a time."""

    async def main(executor: ThreadPoolExecutor) -> None:
        store = SqliteStore(tmp_path / "w.db", executor=executor)
        await store.open()
        news = await asyncio.gather(*(store.commit(batch(f"v{number}", 0)) for number in range(40)))
        await store.aclose()
        assert list(range(1, 241)) == sorted(each.seq for batch_news in news for each in batch_news)
        assert await asyncio.get_running_loop().run_in_executor(executor, lambda: "alive") == "alive"

    with ThreadPoolExecutor(4) as executor:
        asyncio.run(main(executor))
    assert threads() == []


@pytest.mark.parametrize("how", ["inline", "executor", "address"])
def test_under_virtual_time_sql_runs_in_the_loops_own_thread(tmp_path, how):
    async def main():
        store = {
            "inline": lambda: SqliteStore(tmp_path / "w.db", inline=True),
            "executor": lambda: SqliteStore(tmp_path / "w.db", executor=InlineExecutor()),
            "address": lambda: open_store(f"sqlite:{tmp_path}/w.db?executor=inline"),
        }[how]()
        assert store is not None
        await store.open()
        assert len(await store.commit(batch("kraken", 0))) == 6
        await asyncio.sleep(3_600)
        assert len(await store.committed(0, limit=99)) == 6
        await store.aclose()
        return threads()

    assert run_virtual(main()) == []


def test_a_commit_that_nobody_waits_for_any_more_is_whole_or_absent(tmp_path):
    """Cancelling stops the waiting, not the thread; committing again is harmless."""

    async def main():
        store = SqliteStore(tmp_path / "w.db")
        await store.open()
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                task = tasks.create_task(store.commit(batch("kraken", number)))
                await asyncio.sleep(0)
                task.cancel()
        await store.aclose()
        await store.open()
        held = {row.open_ns for row in await store.committed(0, limit=999)}
        for number in range(10):
            first, second, *_ = batch("kraken", number)[0].closings
            assert len({first.candle.open_ns, second.candle.open_ns} & held) in {0, 2}
            await store.commit(batch("kraken", number))
        assert len(await store.committed(0, limit=999)) == 60
        await store.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("given", [False, True])
def test_an_opening_that_is_cancelled_leaves_no_thread_and_no_connection(tmp_path, given):
    async def main(executor):
        store = SqliteStore(tmp_path / "w.db", executor=executor)
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(store.open())
            await asyncio.sleep(0)
            its_own = [thread for thread in threading.enumerate() if thread.name in threads()]
            opening.cancel()
        assert opening.cancelled()
        for thread in its_own:
            thread.join()
        if executor is not None:
            executor.shutdown()
        assert store._connection is None
        with pytest.raises(StoreError, match="not open"):
            await store.last_seq()

    asyncio.run(main(ThreadPoolExecutor(1) if given else None))
    assert threads() == []
