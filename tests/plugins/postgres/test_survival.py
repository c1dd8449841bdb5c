"""What is acknowledged stays, and is told once: servers and processes that die, networks that break."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest

from tests.plugins.batches import NEWS_OF_FIRST, NEWS_OF_OTHERS, batch, both, closing, running
from tests.plugins.postgres.server import fresh_url, new_server, shared_server
from tests.plugins.postgres.stores import check_holds, opened, schema_of, seqs, store_at
from tests.plugins.proxy import Proxy, proxied
from wickwire import Change, Evidence, SeriesCandle, SeriesState, StoreError
from wickwire_postgres import PostgresStore

WRITER = "tests.plugins.postgres.writer"


def through(proxy: Proxy, url: str) -> str:
    """The same address over a network that may break."""
    return url.replace(str(shared_server().port), str(proxy.port))


async def taken(store: PostgresStore) -> Sequence[SeriesCandle]:
    """Commit the second batch, as often as it takes."""
    while True:
        try:
            return await store.commit(batch("kraken", 1))
        except StoreError:
            await asyncio.sleep(0.05)


def test_a_server_that_dies_under_commits_and_comes_back_loses_nothing_acknowledged():
    """SIGQUIT: it forgets what it was doing at once, and recovers from its log when it starts."""
    server = new_server()
    url = f"{server.url}?schema=survivor"

    async def main() -> None:
        async with opened(url) as store:
            told: list[SeriesCandle] = []

            async def commit() -> None:
                for number in range(120):
                    while True:  # as the collector's writer does
                        try:
                            told.extend(await store.commit(batch("kraken", number)))
                            break
                        except StoreError:
                            await asyncio.sleep(0.1)

            async def trouble() -> None:
                for _ in range(3):
                    before = await store.last_seq()
                    while await store.last_seq() < before + 10 * NEWS_OF_OTHERS:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.01)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(commit())
                tasks.create_task(trouble())
            await check_holds(store, "kraken", 120)
            assert await store.last_seq() == NEWS_OF_FIRST + 119 * NEWS_OF_OTHERS
            assert len(set(seqs(told))) == len(told)

    try:
        asyncio.run(main())
    finally:
        server.stop()


@pytest.mark.parametrize("seed", range(4))
def test_a_process_that_is_killed_loses_nothing_acknowledged(seed):
    url = fresh_url()
    with running(WRITER, url, "kraken", 0) as process:
        assert process.stdout is not None
        heard = [process.stdout.readline() for _ in range(random.Random(seed).randrange(1, 40))]
        process.kill()
        heard += process.stdout.read().splitlines()

    async def main() -> None:
        async with opened(url) as store:
            seq = await store.last_seq()
            count = (seq - NEWS_OF_FIRST) // NEWS_OF_OTHERS + 1
            assert count - len(heard) in {0, 1}
            await check_holds(store, "kraken", count)

    asyncio.run(main())


def test_two_collectors_share_a_schema_from_its_creation_on_and_a_reader_misses_nothing():
    """The reader remembers the last seq it has seen, as a sink does: all rows, in order, none twice."""
    url, count = fresh_url(), 40

    async def follow() -> None:
        async with opened(url) as reader:
            seen: dict[int, SeriesCandle] = {}
            last = 0
            everything = 2 * (NEWS_OF_FIRST + (count - 1) * NEWS_OF_OTHERS)
            while last < everything:
                page = await reader.committed(last, limit=7)
                assert seqs(page) == sorted(seqs(page))
                for one in page:
                    assert one.seq > last
                    seen[one.seq] = one
                    last = one.seq
            stored = await reader.committed(0, limit=10**6)
            assert {one.seq: one for one in stored}.items() <= seen.items()
            assert seqs(stored) == sorted({one.seq for one in stored})
            for venue in ("kraken", "yahoo"):
                await check_holds(reader, venue, count)
            assert await reader.last_seq() == everything

    with running(WRITER, url, "kraken", count) as one, running(WRITER, url, "yahoo", count) as other:
        asyncio.run(follow())
        assert [count, count] == [len(process.communicate()[0].splitlines()) for process in (one, other)]
        assert (0, 0) == (one.returncode, other.returncode)


def test_two_collectors_of_one_series_store_each_candle_once_and_neither_fails():
    async def main() -> None:
        url = fresh_url()
        async with opened(url) as one, opened(url) as other:
            news: list[SeriesCandle] = []
            for number in range(20):
                both_news = await asyncio.gather(
                    one.commit(batch("kraken", number)), other.commit(batch("kraken", number))
                )
                assert sorted(map(len, both_news)) == [0, NEWS_OF_OTHERS if number else NEWS_OF_FIRST]
                news += [candle for part in both_news for candle in part]
            assert seqs(news) == [*range(1, len(news) + 1)]
            await check_holds(one, "kraken", 20)

    asyncio.run(main())


@pytest.mark.parametrize("lost", ["swallow", "lose"])
def test_a_commit_whose_answer_or_itself_was_lost_on_its_way_is_told_once(lost):
    """Swallowed: the server committed, and the repeat finds what was news then. Lost: it knows of nothing."""

    async def main() -> None:
        url = fresh_url()
        async with proxied(shared_server().port) as proxy, opened(through(proxy, url)) as store:
            first = await store.commit(batch("kraken", 0))
            setattr(proxy, lost, lambda data: b"COMMIT" in data and proxy.lost == 0)

            second = await store.commit(batch("kraken", 1))

            assert proxy.lost == 1
            assert seqs([*first, *second]) == [*range(1, NEWS_OF_FIRST + NEWS_OF_OTHERS + 1)]
            assert [*second] == [*await store.committed(NEWS_OF_FIRST, limit=99)]
            await check_holds(store, "kraken", 2)

    asyncio.run(main())


def test_a_lost_answer_is_found_even_when_another_collector_has_revised_a_candle_since():
    """The lost news is among what was superseded then."""
    [series, _] = both("kraken")
    state = SeriesState(series=series, origin_ns=0, frontier_ns=0)

    async def main() -> None:
        url = fresh_url()
        async with (
            opened(url) as other,
            proxied(shared_server().port) as proxy,
            opened(through(proxy, url)) as store,
        ):
            revising: list[asyncio.Task[object]] = []

            async def revise() -> None:
                revision = closing(series, 1, 7, Evidence.HISTORY)
                await other.commit([Change(state=state, closings=[revision])])

            def swallow(data: bytes) -> bool:
                if b"COMMIT" not in data or revising:
                    return False
                revising.append(tasks.create_task(revise()))
                return True

            proxy.swallow = swallow
            async with asyncio.TaskGroup() as tasks:
                news = await store.commit([Change(state=state, closings=[closing(series, 1, 1)])])
                await revising[0]

            assert [(1, 0)] == [(one.seq, one.revision) for one in news]
            [held] = await store.committed(0, limit=9)
            assert (held.seq, held.revision, held.first_seq) == (2, 1, 1)

    asyncio.run(main())


def test_a_commit_that_never_reached_the_server_is_made_again():
    async def main() -> None:
        url = fresh_url()
        async with proxied(shared_server().port) as proxy, opened(through(proxy, url)) as store:
            for number in range(10):
                proxy.cut()
                assert len(await store.commit(batch("kraken", number))) > 0
            await check_holds(store, "kraken", 10)

    asyncio.run(main())


def test_a_network_that_swallows_everything_is_an_error_in_time_and_is_left_behind(monkeypatch):
    """Nothing is refused and nothing closed, as behind a pulled cable: it is not waited for for ever."""

    def be_impatient() -> None:
        monkeypatch.setattr("wickwire_postgres.driver.COMMAND_S", 1.5)
        monkeypatch.setattr("wickwire_postgres.driver.CONNECT_S", 1.5)
        monkeypatch.setattr("wickwire_postgres.store._CLOSE_S", 0.5)

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as other, proxied(shared_server().port) as proxy:
            await other.commit(batch("kraken", 0))
            be_impatient()
            store = store_at(through(proxy, url))
            await store.open()
            proxy.silent = True
            with pytest.raises(StoreError, match="the server did not answer in time"):
                await store.commit(batch("kraken", 1))
            proxy.silent = False
            assert len(await taken(store)) == NEWS_OF_OTHERS
            await check_holds(other, "kraken", 2)
            proxy.silent = True
            await store.aclose()

    asyncio.run(main())


def test_of_several_servers_the_one_that_takes_commits_is_used():
    async def main() -> None:
        url = fresh_url().replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:")
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            await check_holds(store, "kraken", 1)

    asyncio.run(main())


def test_a_lock_that_is_not_given_up_is_an_error_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr("wickwire_postgres.driver.LOCK_S", 0.1)
    monkeypatch.setattr("wickwire_postgres.store._PAUSES_S", (0.01,))

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            greedy = await asyncpg.connect(shared_server().url)
            async with greedy.transaction():
                await greedy.execute(f"LOCK TABLE {schema_of(url)}.sequence")
                with pytest.raises(StoreError, match="another process holds a lock on it"):
                    await store.commit(batch("kraken", 1))
            await greedy.close()
            assert len(await store.commit(batch("kraken", 1))) == NEWS_OF_OTHERS
            await check_holds(store, "kraken", 2)

    asyncio.run(main())


def test_a_collector_that_is_frozen_in_the_middle_of_a_commit_does_not_stop_the_others(monkeypatch):
    """SIGSTOP, or a suspended machine: the server ends its transaction after a while."""

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            frozen = await asyncpg.connect(
                shared_server().url, server_settings={"idle_in_transaction_session_timeout": "300ms"}
            )
            await frozen.execute(f"BEGIN; SELECT * FROM {schema_of(url)}.sequence FOR UPDATE")
            assert len(await store.commit(batch("kraken", 1))) == NEWS_OF_OTHERS
            frozen.terminate()
            [row] = await _settings(url)
            assert row == "30s"

    async def _settings(url: str) -> list[str]:
        async with opened(url) as store:
            pool = store._pool
            assert pool is not None
            return [await pool.fetchval("SHOW idle_in_transaction_session_timeout")]

    asyncio.run(main())


def test_a_cancelled_commit_leaves_nothing_behind():
    """Wherever it is cancelled, the batch is whole or absent, and the store goes on."""

    async def main() -> None:
        async with opened() as store:
            await store.commit(batch("kraken", 0))
            for turns in range(1, 60, 3):
                task = asyncio.get_running_loop().create_task(store.commit(batch("kraken", 1)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                    await asyncio.sleep(0.0003)
                task.cancel()
                await asyncio.wait([task])
                assert await store.last_seq() in {NEWS_OF_FIRST, NEWS_OF_FIRST + NEWS_OF_OTHERS}
            await store.commit(batch("kraken", 1))
            await check_holds(store, "kraken", 2)
            pool = store._pool
            assert pool is not None
            assert pool.get_idle_size() == pool.get_size()

    asyncio.run(main())


def test_a_server_that_takes_no_commits_any_more_is_named_and_waited_for(monkeypatch):
    """What a demoted primary answers is 25006, on connections that worked a moment before."""
    monkeypatch.setattr("wickwire_postgres.store._PAUSES_S", (0.01, 0.05))
    server = shared_server()

    def demote(to: str) -> None:
        server.psql(f"ALTER SYSTEM SET default_transaction_read_only = {to}")
        server.psql("SELECT pg_reload_conf()")

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            await asyncio.to_thread(demote, "on")
            try:
                with pytest.raises(StoreError, match="it answers for reading only") as caught:
                    await refused(store)
                assert "name the primary" in str(caught.value)
                async with opened(f"{url}&mode=ro") as reader:
                    assert await reader.last_seq() == NEWS_OF_FIRST
            finally:
                await asyncio.to_thread(demote, "off")
            news = await taken(store)
            assert len(news) == NEWS_OF_OTHERS
            await check_holds(store, "kraken", 2)

    async def refused(store: PostgresStore) -> None:
        while True:  # the server hears of its new settings a moment later
            await store.commit(batch("kraken", 0))
            await asyncio.sleep(0.02)

    asyncio.run(main())
