"""What is refused before collection starts, each by name and with the next step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from tests.plugins.batches import batch, both, closing
from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import check_holds, opened, schema_of
from wickwire import MINUTE_NS, Change, SeriesState, StoreError
from wickwire_postgres.address import Address
from wickwire_postgres.opening import OLDEST_SERVER, prepare
from wickwire_postgres.schema import MIGRATIONS, migrate

NEXT = ("ALTER TABLE series ADD COLUMN note text NOT NULL DEFAULT 'brought forward'",)
"""What a newer wickwire may do to the schema."""


@asynccontextmanager
async def connected(schema: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(shared_server().url, server_settings={"search_path": schema})
    try:
        yield connection
    finally:
        await connection.close()


async def bring_forward(connection: asyncpg.Connection, schema: str, migration: tuple[str, ...]) -> None:
    await migrate(connection, schema, "", timescale=False, migrations=(*MIGRATIONS, migration))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("wickwire_postgres.store._PAUSES_S", (0.01,))


def refusal(url: str) -> str:
    """Open *url* and return why that is refused; the password `hunter2` must not be in it."""

    async def main() -> None:
        async with opened(url):
            pass

    with pytest.raises(StoreError) as caught:
        asyncio.run(main())
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def base() -> str:
    """The server's address without user and database, and roles with fewer rights than others."""
    server = shared_server()
    for statement in (
        "CREATE ROLE ada LOGIN PASSWORD 'hunter2'",
        "CREATE ROLE reader LOGIN PASSWORD 'hunter2'",
        "CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0",
        "CREATE DATABASE adas OWNER ada",
        "REVOKE CREATE ON DATABASE postgres FROM PUBLIC",
    ):
        server.psql(statement)
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("address", "reason", "step"),
    [
        ("ada:wrong@{}/adas", "password authentication failed", "look at user and password in the address"),
        ("nobody:hunter2@{}/adas", "password authentication failed", "look at user and password"),
        ("ada:hunter2@{}/nowhere", 'database "nowhere" does not exist', "make it with createdb"),
        ("ada:hunter2@{}/latin", "encoded as LATIN1", "createdb --encoding=UTF8"),
        ("ada:hunter2@{}/postgres", "permission denied for database", "GRANT CREATE ON DATABASE"),
        ("ada:hunter2@127.0.0.1:1/adas", "Connect call failed", "see that the server runs"),
        ("ada:hunter2@nowhere.invalid/adas", "cannot open it", "see that the server runs"),
        ("ada:hunter2@{}/adas?compress_after=7d", "compress_after is done by TimescaleDB", "leave it out"),
        ("ada:hunter2@{}/adas?schema=nothing&mode=ro", "there is nothing in the schema", "makes it"),
        ("ada:hunter2@{}/adas?sslmode=require", "rejected SSL upgrade", "it speaks no TLS there"),
        ("ada:hunter2@{}/adas?sslmode=verify-full&sslrootcert=/no", "cannot open it", "options of the"),
    ],
)
def test_what_cannot_be_opened_is_named_with_the_next_step(base, address, reason, step):
    said = refusal("postgresql://" + address.format(base))

    assert said.startswith("store 'postgresql://...@")
    assert reason in said
    assert step in said


def test_what_an_address_leaves_out_is_taken_from_where_psql_takes_it(base, monkeypatch, tmp_path):
    host, _, port = base.partition(":")
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"{host}:{port}:adas:ada:hunter2\n")
    passwords.chmod(0o600)
    settings = {"PGHOST": host, "PGPORT": port, "PGUSER": "ada", "PGDATABASE": "adas"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    async def main(query: str) -> None:
        async with opened(f"postgresql://?schema=from_variables{query}") as store:
            assert list(await store.check()) == []

    asyncio.run(main(f"&passfile={passwords}"))
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    asyncio.run(main(""))
    monkeypatch.setenv("PGPASSFILE", "")
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    asyncio.run(main(""))


def test_a_host_that_is_a_directory_is_where_the_socket_lies():
    server = shared_server()
    schema = schema_of(fresh_url())

    async def main() -> None:
        where = f"host={server.folder}&port={server.port}&user=postgres"
        async with opened(f"postgresql:///postgres?{where}&schema={schema}") as store:
            await store.commit(batch("kraken", 0))
            await check_holds(store, "kraken", 1)

    asyncio.run(main())


def test_a_role_that_may_only_read_can_read_and_is_refused_as_a_collector(base):
    """Before it collects: not with the first candle."""
    url = f"postgresql://ada:hunter2@{base}/adas?schema=shared"
    reading = f"postgresql://reader:hunter2@{base}/adas?schema=shared"

    async def commit() -> None:
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))

    asyncio.run(commit())
    adas = f"postgresql://postgres@{base}/adas"
    assert "USAGE ON SCHEMA" in refusal(reading)
    grants = "GRANT USAGE ON SCHEMA shared TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA shared TO reader"

    async def grant() -> None:
        connection = await asyncpg.connect(adas)
        await connection.execute(grants)
        await connection.close()
        async with opened(f"{reading}&mode=ro") as reader:
            await check_holds(reader, "kraken", 1)
            with pytest.raises(StoreError, match="answers for reading only"):
                await reader.commit(batch("kraken", 1))

    asyncio.run(grant())
    said = refusal(reading)
    assert "the role lacks rights: series: INSERT" in said
    assert "?mode=ro" in said


def test_collectors_of_several_roles_share_a_schema_where_one_is_granted_to_the_others(base):
    """All rights on the tables are not enough: a new month needs the owner's."""
    ours = f"postgresql://ada:hunter2@{base}/adas?schema=team"
    theirs = f"postgresql://bob:hunter2@{base}/adas?schema=team"
    rights = (
        "CREATE ROLE bob LOGIN PASSWORD 'hunter2'; GRANT USAGE, CREATE ON SCHEMA team TO bob; "
        "GRANT ALL ON ALL TABLES IN SCHEMA team TO bob"
    )

    async def main() -> None:
        admin = await asyncpg.connect(f"postgresql://postgres@{base}/adas")
        async with opened(ours) as store:
            await store.commit(batch("kraken", 0))
            await admin.execute(rights)
            with pytest.raises(
                StoreError, match=r"lacks rights: closed: to own it; .* the role that made the"
            ):
                async with opened(theirs):
                    pass
            await admin.execute("GRANT ada TO bob")
            await admin.close()
            series = both("kraken")[0]
            state = SeriesState(series=series, origin_ns=0, frontier_ns=3 * 10**7 * MINUTE_NS)  # in 2027
            async with opened(theirs) as other:
                newest = 29_500_000  # of 2026: that is what the age of the others counts from
                for number, minute in enumerate((10**7, 2 * 10**7, newest), 1):  # 1989 and 2008
                    change = Change(state=state, closings=[closing(series, minute, number)])
                    assert len(await (other, store)[number % 2].commit([change])) == 1
        async with opened(f"{ours}&retention=400d") as store:  # drops what the other one has made
            left = await store.candles(series, 0, 2**62, limit=9)
            assert [newest * MINUTE_NS] == [one.open_ns for one in left]

    asyncio.run(main())


def test_a_schema_of_somebody_else_is_left_alone():
    url = fresh_url()
    schema = schema_of(url)
    shared_server().psql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.closed (accounts text)")

    assert "and they are not wickwire's; name another one with ?schema=" in refusal(url)
    tables = f"SELECT count(*) FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"
    assert shared_server().psql(tables) == "1"


def test_an_empty_schema_that_was_made_for_it_is_used(base):
    """As an administrator does who gives nobody the right to make schemas."""
    url = f"postgresql://ada:hunter2@{base}/postgres?schema=desk"
    shared_server().psql("CREATE SCHEMA desk AUTHORIZATION ada")

    async def main() -> None:
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            await check_holds(store, "kraken", 1)

    asyncio.run(main())


def test_a_schema_of_a_newer_wickwire_is_refused():
    url = fresh_url()

    async def main() -> None:
        async with opened(url):
            pass

    asyncio.run(main())
    shared_server().psql(f"UPDATE {schema_of(url)}.wickwire_schema SET version = {len(MIGRATIONS) + 1}")

    assert "use the newer wickwire" in refusal(url)
    assert "use the newer wickwire" in refusal(f"{url}&mode=ro")


def test_a_collector_stops_committing_when_a_newer_wickwire_has_taken_over_the_schema():
    """Several machines share it, and are not brought forward in the same moment."""
    url = fresh_url()
    schema = schema_of(url)

    async def main() -> None:
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            async with connected(schema) as connection:
                await bring_forward(connection, schema, NEXT)
            with pytest.raises(StoreError, match=r"newer than .* use the newer wickwire"):
                await store.commit(batch("kraken", 1))
            await check_holds(store, "kraken", 1)

    asyncio.run(main())


def test_a_server_that_is_too_old_is_refused():
    """None is at hand that is so old: all that is asked of it here is its version."""

    class Old:
        def get_server_version(self) -> Any:
            return asyncpg.types.ServerVersion(OLDEST_SERVER - 1, 22, 0, "final", 0)

    with pytest.raises(StoreError, match=r"PostgreSQL 12\.22, and 13 is the oldest.*upgrade it"):
        asyncio.run(prepare(Old(), Address(shown="postgresql://h/db")))


def test_an_older_schema_is_brought_forward_with_all_that_it_holds():
    url = fresh_url()
    schema = schema_of(url)

    async def main() -> None:
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
        async with connected(schema) as connection:
            for _ in range(2):
                await bring_forward(connection, schema, NEXT)
            assert await connection.fetchval("SELECT version FROM wickwire_schema") == len(MIGRATIONS) + 1
            [[note]] = await connection.fetch("SELECT DISTINCT note FROM series")
            assert note == "brought forward"
            await connection.execute(f"UPDATE wickwire_schema SET version = {len(MIGRATIONS)}")
        async with opened(url) as store:
            await check_holds(store, "kraken", 1)

    asyncio.run(main())


def test_a_migration_that_fails_changes_nothing():
    url = fresh_url()
    schema = schema_of(url)

    async def main() -> None:
        async with opened(url):
            pass
        async with connected(schema) as connection:
            with pytest.raises(asyncpg.UndefinedTableError):
                await bring_forward(connection, schema, (*NEXT, "DROP TABLE nowhere"))
            assert await connection.fetchval("SELECT version FROM wickwire_schema") == len(MIGRATIONS)
            assert not await connection.fetch(
                "SELECT FROM pg_attribute WHERE attrelid = 'series'::regclass AND attname = 'note'"
            )

    asyncio.run(main())


def test_many_that_open_a_new_store_together_make_it_once():
    async def main() -> None:
        url = fresh_url()

        async def one() -> None:
            async with opened(url) as store:
                await store.commit(batch("kraken", 0))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(6):
                tasks.create_task(one())
        async with opened(url) as store:
            await check_holds(store, "kraken", 1)

    asyncio.run(main())
