"""What a commit waits for and what not, how large it may be, and which failures are tried again."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.plugins.batches import NEWS_OF_FIRST, batch, both, closing
from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import check_holds, opened, schema_of
from wickwire import Change, SeriesState, StoreError
from wickwire_postgres.driver import passes

TELLING = """SET search_path = {};
CREATE TABLE told (waits text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN INSERT INTO told VALUES (current_setting('synchronous_commit')); RETURN NEW; END$$;
CREATE TRIGGER telling BEFORE UPDATE ON sequence FOR EACH ROW EXECUTE FUNCTION tell()"""


@pytest.mark.parametrize(
    ("role", "option", "waits"),
    [
        ("on", "full", "on"),
        ("off", "full", "on"),
        ("remote_apply", "full", "remote_apply"),
        ("on", "normal", "off"),
    ],
)
def test_a_commit_waits_for_the_disk_as_the_address_says_and_never_less(role, option, waits):
    """Acknowledged is durable, also where the role was set up to be in a hurry."""
    server, url = shared_server(), fresh_url()

    async def main() -> None:
        async with opened(f"{url}&synchronous={option}") as store:
            await asyncio.to_thread(server.psql, TELLING.format(schema_of(url)))
            await store.commit(batch("kraken", 0))

    server.psql(f"ALTER ROLE postgres SET synchronous_commit = {role}")
    try:
        asyncio.run(main())
    finally:
        server.psql("ALTER ROLE postgres RESET synchronous_commit")
    assert waits == server.psql(f"SELECT waits FROM {schema_of(url)}.told")


SLOW = """SET search_path = {};
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON closed FOR EACH ROW EXECUTE FUNCTION wait()"""


def test_a_commit_may_take_longer_than_any_statement_may(monkeypatch):
    """Else what has piled up while a server was away would be too much for ever."""
    monkeypatch.setattr("wickwire_postgres.driver.COMMAND_S", 1.5)
    monkeypatch.setattr("wickwire_postgres.commit._PIECE", 10, raising=False)
    [series, _] = both("kraken")
    state = SeriesState(series=series, origin_ns=0, frontier_ns=0)

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await asyncio.to_thread(shared_server().psql, SLOW.format(schema_of(url)))
            minutes = range(200)

            news = await store.commit(
                [Change(state=state, closings=[closing(series, one, 1) for one in minutes])]
            )

            assert len(news) == len(minutes)
            assert news == await store.committed(0, limit=999)

    asyncio.run(main())


def test_readers_that_wait_leave_a_connection_to_the_commits(monkeypatch):
    monkeypatch.setattr("wickwire_postgres.driver.LOCK_S", 8.0)
    monkeypatch.setattr("wickwire_postgres.store._PAUSES_S", ())

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            greedy = await asyncpg.connect(shared_server().url)
            async with asyncio.TaskGroup() as tasks, greedy.transaction():
                await greedy.execute(f"LOCK TABLE {schema_of(url)}.superseded")
                readers = [tasks.create_task(store.check()) for _ in range(9)]
                await asyncio.sleep(0.1)
                assert len(await store.commit(batch("yahoo", 0))) == NEWS_OF_FIRST
                assert not any(one.done() for one in readers)
            await greedy.close()
            assert all(list(one.result()) == [] for one in readers)

    asyncio.run(main())


def test_a_claim_that_meets_a_running_commit_holds_for_the_next_one():
    async def main() -> None:
        async with opened() as store:
            await store.commit(batch("kraken", 0))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(store.commit(batch("kraken", 1)))
                await asyncio.sleep(0.002)
                tasks.create_task(store.claim("seed 7"))
            with pytest.raises(StoreError, match="it holds candles of the real venues, and those of seed 7"):
                await store.commit(batch("kraken", 2))
            await check_holds(store, "kraken", 2)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("exc", "again"),
    [
        (
            asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
            True,
        ),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.DeadlockDetectedError("deadlock detected"), True),
        (asyncpg.CannotConnectNowError("the database system is starting up"), True),
        (ConnectionRefusedError(111, "Connect call failed"), True),
        (TimeoutError(), False),
        (asyncpg.DataError("invalid input for query argument $1"), False),
        (asyncpg.InvalidPasswordError("password authentication failed"), False),
        (asyncpg.UndefinedTableError("relation does not exist"), False),
        (asyncpg.DiskFullError("No space left on device"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_concerns_this_moment_or_this_connection_is_tried_again(exc, again):
    assert passes(exc) is again
