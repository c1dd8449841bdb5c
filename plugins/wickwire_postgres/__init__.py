"""The shared store: closed candles in a schema of PostgreSQL. Addresses and tables: docs/stores.md."""

from __future__ import annotations

from typing import Final

from wickwire import Store, hookimpl
from wickwire_postgres.address import parse_address
from wickwire_postgres.store import PostgresStore

__all__ = ["PostgresStore", "open_store"]

API_LEVEL: Final = 1


@hookimpl
def open_store(url: str) -> Store | None:
    """Make the store of `postgresql://user@host/database?schema=wickwire`; `postgres:` is the same.

    Raises:
        ConfigError: The address is ours, and something in it is wrong.
    """
    address = parse_address(url)
    return None if address is None else PostgresStore(address)
