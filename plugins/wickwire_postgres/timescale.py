"""What TimescaleDB does where the database has it: chunks, compression, and dropping chunks that are over.

Compression is a policy, a job of the server. It is set when a store is opened with the option, and stays when
it is opened without. Retention is none: a job that drops chunks by their age alone does not tell the series
that they know less from then on, and what is gone would be claimed to be there. Chunks are dropped when a
store forgets.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from wickwire import StoreError
from wickwire_postgres.address import DAY_NS, Address
from wickwire_postgres.driver import Connection

__all__ = ["drop_chunks", "extension_schema", "make_hypertable", "set_policies"]

_CHUNK_NS: Final = 30 * DAY_NS
_NOW: Final = (
    "CREATE FUNCTION now_ns() RETURNS bigint LANGUAGE sql STABLE "
    "AS 'SELECT (extract(epoch FROM now()) * 1000000)::bigint * 1000'"
)
_COMPRESSES: Final = (
    "SELECT compression_enabled FROM timescaledb_information.hypertables "
    "WHERE hypertable_schema = current_schema() AND hypertable_name = 'closed'"
)
_COMPRESS: Final = (
    "ALTER TABLE closed SET (timescaledb.compress, timescaledb.compress_segmentby = 'series', "
    "timescaledb.compress_orderby = 'open_ns')"
)


async def extension_schema(connection: Connection) -> str:
    """Return the schema that holds the functions of TimescaleDB; nothing where the database has none."""
    found = await connection.fetchval(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'timescaledb'"
    )
    return found or ""


async def make_hypertable(connection: Connection, functions: str) -> None:
    """Let TimescaleDB cut `closed` into chunks of thirty days; *functions* is its quoted schema."""
    await connection.execute(_NOW)
    await connection.execute(
        f"SELECT {functions}.create_hypertable('closed', 'open_ns', chunk_time_interval => $1::bigint, "
        "create_default_indexes => false)",
        _CHUNK_NS,
    )
    await connection.execute(f"SELECT {functions}.set_integer_now_func('closed', 'now_ns')")


async def set_policies(connection: Connection, functions: str, address: Address) -> None:
    """Have chunks compressed at the age that *address* names, and no job drop any behind our back.

    Raises:
        StoreError: This edition of TimescaleDB has no policies.
    """
    try:
        async with connection.transaction():
            # of collectors that start together each would take a policy away, and the second could add none
            await connection.execute("SELECT FROM sequence FOR UPDATE")
            if address.compress_after_ns is not None:
                if not await connection.fetchval(_COMPRESSES):
                    await connection.execute(_COMPRESS)
                await connection.execute(
                    f"SELECT {functions}.remove_compression_policy('closed', if_exists => true)"
                )
                await connection.execute(
                    f"SELECT {functions}.add_compression_policy('closed', $1::bigint)",
                    address.compress_after_ns,
                )
            if address.retention_ns is not None:  # versions before schema 4 had the server drop them
                await connection.execute(
                    f"SELECT {functions}.remove_retention_policy('closed', if_exists => true)"
                )
    except asyncpg.FeatureNotSupportedError as exc:
        raise StoreError(
            f"store {address.shown!r}: this TimescaleDB has no policies ({exc}); install its community "
            "edition, or leave out compress_after"
        ) from exc


async def drop_chunks(connection: Connection, functions: str, cutoff_ns: int) -> None:
    """Drop the chunks that hold nothing at or after *cutoff_ns*; *functions* is its quoted schema."""
    await connection.execute(f"SELECT {functions}.drop_chunks('closed', older_than => $1::bigint)", cutoff_ns)
