"""The border to asyncpg: connecting, and what its errors mean for the one who meets them."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from wickwire import StoreError
from wickwire_postgres.address import Address
from wickwire_postgres.rows import DamagedError

__all__ = ["ERRORS", "Connection", "Pool", "explained", "make_pool", "passes", "spoils"]

Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"
Pool: TypeAlias = "asyncpg.Pool[Any]"

ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    DamagedError,
    OverflowError,
    UnicodeError,
)
"""What may come out of a piece of work with a connection; TimeoutError is an OSError."""

CONNECT_S: Final = 10.0
COMMAND_S: Final = 30.0
LOCK_S: Final = 5.0
MOST_CONNECTIONS: Final = 4

_LOST: Final = "the connection was lost: see that the server runs and can be reached"
_AWAY: Final = "look at host and port in the address, and see that the server runs and can be reached"
_NO_TLS: Final = (
    "it speaks no TLS there: switch it on at the server (ssl = on), or ask for none with ?sslmode=disable, "
    "where nobody else is on the way"
)
_TLS_ALONE: Final = (
    "it takes nobody without TLS, or not from here: leave sslmode=disable out of the address, and see the "
    "server's pg_hba.conf"
)
_DISTRUSTED: Final = "look at sslmode and sslrootcert in the address, and at the server's certificate"
_NEXT_STEP: Final[Mapping[str, str]] = {
    "08": _LOST,
    "22": "it cannot hold such a value",
    "28": "look at user and password in the address, in PGPASSWORD or ~/.pgpass, and at the server's "
    "pg_hba.conf",
    "25006": "it answers for reading only, as a standby does: name the primary, or all servers with commas",
    "3D000": "make it with createdb, or name another one",
    "3F000": "the schema is gone: start again, which makes it, or restore a copy",
    "40": "another commit was in the way: it may be tried again",
    "42501": "the role lacks a right: GRANT CREATE ON DATABASE lets it make its schema; to commit into one "
    "that is there it has to be the role that made it, or GRANTed that; to read, USAGE ON SCHEMA and SELECT "
    "will do",
    "42": "it is not as wickwire made it: `wickwire doctor --store URL` says what is wrong",
    "23": "it is not as wickwire made it: `wickwire doctor --store URL` says what is wrong",
    "53100": "the server's disk is full: free some space; nothing of this batch was stored",
    "53300": "the server has no connection left: raise its max_connections, or end other programs",
    "53": "the server lacks resources: see its log",
    "54": "it cannot hold such a value",
    "55P03": "another process holds a lock on it: look into pg_stat_activity, or try again",
    "57014": "the server broke it off: see its statement_timeout and its log",
    "57": "the server stops or starts: wait for it",
    "58": "the server's disk did not do its work: see its log",
    "XX": "the database may be damaged: see the server's log",
}
"""What to do, by SQLSTATE or the class that its first two characters are."""

_PASSING: Final = frozenset(
    {
        "08",
        "40",
        "72",
        "55P03",
        "57P01",
        "57P02",
        "57P03",
        "57P05",
        "25P02",
        "25P03",
        "25006",
        "53300",
        "23514",
    }
)
"""What is tried again: it concerns this moment, or this connection. 23514: a partition has been dropped."""


def _state(exc: BaseException) -> str:
    return str(getattr(exc, "sqlstate", None) or "")


def _speaks_otherwise(exc: BaseException) -> str:
    """Return what to do where one side wants TLS and the other has none; nothing where that is not so.

    Both say so in words alone, and pg_hba.conf knows more than one reason.
    """
    said = str(exc)
    if isinstance(exc, ConnectionError) and "rejected SSL upgrade" in said:
        return _NO_TLS
    return _TLS_ALONE if _state(exc) == "28000" and said.endswith("no encryption") else ""


def passes(exc: BaseException) -> bool:
    """Say whether the same work may succeed a moment later, perhaps on another connection."""
    if isinstance(exc, asyncpg.PostgresError):
        state = _state(exc)
        return state in _PASSING or state[:2] in _PASSING
    if isinstance(exc, asyncpg.InterfaceError):
        return not isinstance(exc, asyncpg.DataError | asyncpg.ClientConfigurationError)
    if isinstance(exc, TimeoutError | ssl.SSLCertVerificationError) or _speaks_otherwise(exc):
        return False  # that was patience enough, or changes nothing: whoever asked decides what next
    # InternalClientError: a connection that breaks between two messages can leave asyncpg in such confusion
    return isinstance(exc, OSError | asyncpg.TargetServerAttributeNotMatched | asyncpg.InternalClientError)


def spoils(exc: BaseException) -> bool:
    """Say whether other connections may be as useless as this one: their server is gone, or demoted."""
    return passes(exc) or isinstance(exc, OSError)


def explained(shown: str, doing: str, exc: BaseException) -> StoreError:
    """Return the error that names store, work, reason and next step."""
    state = _state(exc)
    step = _speaks_otherwise(exc) or _NEXT_STEP.get(state) or _NEXT_STEP.get(state[:2]) or ""
    if isinstance(exc, DamagedError):
        step = "`wickwire doctor --store URL` says what else is wrong; restore a copy"
    elif isinstance(exc, asyncpg.TargetServerAttributeNotMatched):
        return explained(shown, doing, asyncpg.ReadOnlySQLTransactionError("no server of it takes commits"))
    elif isinstance(exc, TimeoutError):
        return StoreError(f"store {shown!r}: cannot {doing}: the server did not answer in time; {_LOST}")
    elif isinstance(exc, asyncpg.ClientConfigurationError):
        step = "look at the options of the address"
    elif isinstance(exc, FileNotFoundError):
        step = "a file or a socket is not there: look at the options of the address, and that the server runs"
    elif isinstance(exc, ssl.SSLError):
        step = _DISTRUSTED
    elif isinstance(exc, OSError):
        step = step or _AWAY
    elif isinstance(exc, asyncpg.InterfaceError) and not isinstance(exc, asyncpg.DataError):
        step = _LOST
    elif not step and isinstance(exc, asyncpg.DataError | OverflowError | UnicodeError):
        step = "it cannot hold such a value"
    said = " ".join(str(exc).split()) or type(exc).__name__
    return StoreError(f"store {shown!r}: cannot {doing}: {said}" + (f"; {step}" if step else ""))


async def make_pool(
    address: Address, schema: str, connected: Callable[[Connection], Awaitable[None]]
) -> Pool:
    """Return a pool that connects when it is needed; *schema* is quoted.

    Each new connection is shown to *connected* before it is used.

    Raises:
        asyncpg.InterfaceError, OSError: Some option cannot be followed.
    """
    tls = "&".join(f"{name}={_escaped(value)}" for name, value in address.tls.items())
    settings = {
        "application_name": "wickwire",
        "search_path": schema,
        "TimeZone": "UTC",
        "jit": "off",  # planning for it takes longer than anything that is asked here
        "lock_timeout": f"{LOCK_S * 1000:.0f}ms",
        # who is frozen in the middle of a commit must not stop all others
        "idle_in_transaction_session_timeout": "30s",
        "default_transaction_isolation": "read committed",
    }
    if address.readonly:
        settings["default_transaction_read_only"] = "on"
    return await asyncpg.create_pool(
        f"postgresql:///?{tls}" if tls else None,
        host=list(address.hosts) or None,
        port=list(address.ports) or None,
        user=address.user,
        password=address.password,
        passfile=address.passfile,
        database=address.database,
        target_session_attrs="any" if address.readonly else "read-write",
        min_size=0,  # a floor is kept by a task of the pool, which logs each attempt while a server is away
        max_size=MOST_CONNECTIONS,
        timeout=CONNECT_S,
        command_timeout=COMMAND_S,
        server_settings=settings,
        init=connected,
        reset=_nothing,
    )


async def _nothing(_: object) -> None:
    """Reset nothing: what is set is set for a transaction."""


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26").replace("+", "%2B").replace(" ", "%20")
