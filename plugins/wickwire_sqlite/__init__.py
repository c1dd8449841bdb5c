"""The embedded store: closed candles in one SQLite file. Addresses and schema: docs/stores.md."""

from __future__ import annotations

from typing import Final

from wickwire import Store, hookimpl
from wickwire_sqlite.address import parse_address
from wickwire_sqlite.store import SqliteStore

__all__ = ["SqliteStore", "open_store"]

API_LEVEL: Final = 1


@hookimpl
def open_store(url: str) -> Store | None:
    """Make the store of `sqlite:PATH` or `sqlite:///ABSOLUTE/PATH`.

    Options: `?mode=ro`, `?synchronous=normal`, `?executor=inline`.

    Raises:
        ConfigError: The address is ours, and something in it is wrong.
    """
    address = parse_address(url)
    if address is None:
        return None
    return SqliteStore(
        address.path, inline=address.inline, readonly=address.readonly, power_safe=address.power_safe
    )
