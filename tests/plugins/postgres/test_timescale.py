"""What can be said of TimescaleDB without one: how our calls of its functions meet each other.

The contract's tests run on a real one where WICKWIRE_TIMESCALE_URL names it.
"""

from __future__ import annotations

import asyncio

import asyncpg

from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import opened, schema_of
from wickwire_postgres.address import DAY_NS, parse_address
from wickwire_postgres.timescale import set_policies

# It keeps one job of a kind for a table, and refuses a second.
STAND_INS = """SET search_path = {};
CREATE TABLE jobs (name text PRIMARY KEY, age_ns bigint);
INSERT INTO jobs VALUES ('retention of closed', 1);
CREATE FUNCTION remove_retention_policy(regclass, if_exists boolean) RETURNS void LANGUAGE sql
AS 'DELETE FROM jobs WHERE name = ''retention of '' || $1::text';
CREATE FUNCTION remove_compression_policy(regclass, if_exists boolean) RETURNS void LANGUAGE sql
AS 'DELETE FROM jobs WHERE name = $1::text';
CREATE FUNCTION add_compression_policy(regclass, age_ns bigint) RETURNS void LANGUAGE sql
AS 'INSERT INTO jobs VALUES ($1::text, age_ns)'"""


def test_collectors_that_start_together_do_not_refuse_each_others_policies(monkeypatch):
    """And no job stays that drops chunks of which series still say that they are there."""
    url = fresh_url()
    schema = schema_of(url)
    monkeypatch.setattr("wickwire_postgres.timescale._COMPRESSES", "SELECT true")
    address = parse_address(f"{url}&retention=400d&compress_after=7d")
    assert address is not None

    async def start() -> None:
        connection = await asyncpg.connect(shared_server().url, server_settings={"search_path": schema})
        try:
            for _ in range(10):
                await set_policies(connection, f'"{schema}"', address)
        finally:
            await connection.close()

    async def main() -> None:
        async with opened(url):
            await asyncio.to_thread(shared_server().psql, STAND_INS.format(schema))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(6):
                    tasks.create_task(start())

    asyncio.run(main())
    assert f"closed|{7 * DAY_NS}" == shared_server().psql(f"SELECT * FROM {schema}.jobs")
