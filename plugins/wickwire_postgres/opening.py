"""Opening a schema: the server is looked at before anything in it is changed."""

from __future__ import annotations

from typing import Final

from wickwire import StoreError
from wickwire_postgres.address import Address
from wickwire_postgres.driver import Connection
from wickwire_postgres.schema import MIGRATIONS, Layout, layout_of, migrate, quoted, refuse_newer, version_of
from wickwire_postgres.timescale import set_policies

__all__ = ["OLDEST_SERVER", "prepare"]

OLDEST_SERVER: Final = 13
# who attaches a partition has to own the table that it becomes a part of
_LACKING: Final = """
SELECT name || ': ' || what FROM (VALUES
    ('series', 'SELECT'), ('series', 'INSERT'), ('series', 'UPDATE'),
    ('closed', 'SELECT'), ('closed', 'INSERT'), ('closed', 'UPDATE'), ('closed', 'DELETE'),
    ('superseded', 'SELECT'), ('superseded', 'INSERT'), ('superseded', 'DELETE'),
    ('holes', 'SELECT'), ('holes', 'INSERT'), ('holes', 'DELETE'),
    ('sequence', 'SELECT'), ('sequence', 'UPDATE'), ('world', 'SELECT'), ('world', 'UPDATE'),
    ('sinks', 'SELECT'), ('sinks', 'INSERT'), ('sinks', 'UPDATE'),
    ('parked', 'SELECT'), ('parked', 'INSERT'), ('parked', 'DELETE'),
    ('tapes', 'SELECT'), ('tapes', 'INSERT'), ('tapes', 'UPDATE'),
    ('trades', 'SELECT'), ('trades', 'INSERT'), ('trades', 'DELETE'),
    ('stretches', 'SELECT'), ('stretches', 'INSERT'), ('stretches', 'DELETE')
) needed (name, what) WHERE NOT has_table_privilege(to_regclass(name), what)
UNION ALL
SELECT 'closed: to own it' FROM pg_class
WHERE oid = to_regclass('closed') AND relkind = 'p' AND NOT pg_has_role(relowner, 'USAGE')
UNION ALL
SELECT 'the schema: CREATE' FROM pg_class
WHERE oid = to_regclass('closed') AND relkind = 'p' AND NOT has_schema_privilege(relnamespace, 'CREATE')"""


async def prepare(connection: Connection, address: Address) -> Layout:
    """Look at the server, bring the schema of *address* to the newest version, and return how it is laid out.

    Raises:
        StoreError: The server is too old or of another encoding, lacks what an option needs, or the schema is
            somebody else's, or newer.
    """
    server = connection.get_server_version()
    if server.major < OLDEST_SERVER:
        raise StoreError(
            f"store {address.shown!r}: the server is PostgreSQL {server.major}.{server.minor}, and "
            f"{OLDEST_SERVER} is the oldest that is supported; upgrade it, or name another one"
        )
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise StoreError(
            f"store {address.shown!r}: the database is encoded as {encoding}, which does not hold every "
            "symbol; make one with createdb --encoding=UTF8 --template=template0"
        )
    version = await version_of(connection, address.schema, address.shown)
    refuse_newer(version, address.shown)
    if not address.readonly:
        await migrate(connection, address.schema, address.shown, timescale=address.timescale)
        await _check_rights(connection, address.shown)
        layout = await layout_of(connection)
        if not layout.native:
            await set_policies(connection, quoted(layout.timescale), address)
        elif address.compress_after_ns is not None:
            raise StoreError(
                f"store {address.shown!r}: compress_after is done by TimescaleDB, which this schema "
                "does not use; leave it out, or CREATE EXTENSION timescaledb and name a new schema"
            )
        return layout
    if not version:
        raise StoreError(
            f"store {address.shown!r}: there is nothing in the schema {address.schema!r}; `wickwire collect` "
            "or `wickwire backfill` makes it, --store names another"
        )
    if version < len(MIGRATIONS):
        raise StoreError(
            f"store {address.shown!r}: its schema {version} is older than {len(MIGRATIONS)}, which this is "
            "for; open it for writing once to bring it forward"
        )
    return await layout_of(connection)


async def _check_rights(connection: Connection, shown: str) -> None:
    """See that the role may commit: what it lacks is better known now than with the first candle."""
    lacking = [row[0] for row in await connection.fetch(_LACKING)]
    if lacking:
        raise StoreError(
            f"store {shown!r}: the role lacks rights: {', '.join(lacking)}; to commit it has to be the role "
            "that made the schema, or GRANTed that; for reading, write ?mode=ro"
        )
