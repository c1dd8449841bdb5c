"""The border to redis-py: connecting, and what its errors mean for the one who meets them."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

import redis.asyncio as redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from wickwire import SinkError
from wickwire_redis.address import Address
from wickwire_redis.rows import DamagedError

__all__ = [
    "ERRORS",
    "Client",
    "ServerError",
    "close",
    "code_of",
    "connect",
    "explained",
    "first_look",
    "lasts",
    "reason",
    "refuse_other_speech",
    "within",
]

T = TypeVar("T")

PROBE_S: Final = 1.0
"""So long a server that did not answer may take to show which way it speaks."""

Client: TypeAlias = "redis.Redis"


class ServerError(Exception):
    """The server is one that we cannot work with; the text says why, and what to do."""


ERRORS: Final = (exceptions.RedisError, OSError, DamagedError, ServerError)
"""What may come out of a piece of work with a connection; TimeoutError is an OSError."""

_RIGHTS: Final = (
    "docs/redis.md lists the commands, keys and channels that its user needs; grant them with ACL SETUSER"
)
_AWAY: Final = (
    "see that the server runs and can be reached at the host and port of the address, with TLS where that "
    "begins with rediss:, and else without"
)
_OTHERWISE: Final = "it speaks {} there: write {}: in place of {}:, or name another port"
_NEXT_STEP: Final[Mapping[str, str]] = {
    "WRONGPASS": "look at user and password in the address, or at REDISCLI_AUTH",
    "NOAUTH": "the server wants a password: put it into the address, or into REDISCLI_AUTH",
    "NOPERM": _RIGHTS,
    "OOM": "its memory is full: raise its maxmemory, shorten ?window=, ?keep= or ?stream=maxlen:, or choose "
    "another maxmemory-policy",
    "READONLY": "it is a replica, which takes no writes: name its master",
    "LOADING": "it has started and still loads its data: wait for it",
    "MASTERDOWN": "it is a replica without its master: name the master",
    "MISCONF": "it cannot save to its disk and so takes no writes: see its log",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write wants: see why they are away",
    "WRONGTYPE": "a key of that name is somebody else's: choose a ?prefix= of our own, or rename that key",
    "NOSCRIPT": "it forgets scripts at once: see that nobody calls SCRIPT FLUSH all the time",
    "BUSY": "a script of somebody else keeps it busy: see SCRIPT KILL",
    "MOVED": "it is a node of Redis Cluster, which is not supported yet: name a server that is none",
    "CROSSSLOT": "it is a node of Redis Cluster, which is not supported yet: name a server that is none",
    "CLUSTERDOWN": "it is a node of Redis Cluster, which is not supported yet: name a server that is none",
    "DENIED": "it is in protected mode: give it a password, or let it listen on loopback alone",
    "DBINDEX": "name a database that it has, as in redis://host:6379/0",
    "UNKNOWN": "it is older than Redis 6.2, or that command has been renamed or taken away: name another one",
    "CLIENTS": "it has no connection left: raise its maxclients, or end other programs",
}
"""What to do, by the first word of an error; DBINDEX, UNKNOWN and CLIENTS are our own names."""

_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.AuthenticationError, "WRONGPASS"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.NoScriptError, "NOSCRIPT"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.MovedError, "MOVED"),
)
_PHRASES: Final[Mapping[str, str]] = {
    "authentication required": "NOAUTH",
    "must be called with the client already authenticated": "NOAUTH",
    "user executing the script": "NOPERM",
    "acl failure in script": "NOPERM",
    "unknown command": "UNKNOWN",
    "index is out of range": "DBINDEX",
    "max number of clients": "CLIENTS",
    "protected mode": "DENIED",
}
# what happens in a script comes in a sentence around it, before Redis 7
_WORD: Final = re.compile(rf"\b({'|'.join(_NEXT_STEP)})\b")
_LASTING: Final = frozenset(
    {"WRONGPASS", "NOAUTH", "NOPERM", "UNKNOWN", "DENIED", "DBINDEX", "MOVED", "CROSSSLOT"}
)
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
"""What a server is that speaks no TLS, in the words of OpenSSL 3.0 and of newer ones."""


def connect(address: Address) -> Client:
    """Return a client that connects when it is needed, and tries nothing twice: who calls decides that.

    How long a reply may take is for who calls as well, with `within`.

    Raises:
        OSError: A file that the address names cannot be read; ssl.SSLError is one.
    """
    options: dict[str, Any] = {
        "db": address.database,
        "username": address.user,
        "password": address.password or os.environ.get("REDISCLI_AUTH"),
        "protocol": 3,
        "socket_timeout": None,  # a timer for each reply costs as much as reading it: see `within`
        "socket_connect_timeout": float(address.timeout_s),
        "retry": Retry(NoBackoff(), 0),
    }
    if address.socket is not None:
        return _client(redis.UnixDomainSocketConnection, path=address.socket, **options)
    options |= {"host": address.host, "port": address.port, "socket_keepalive": True}
    if not address.tls:
        return _client(redis.Connection, **options)
    _check_files(address)
    return _client(
        redis.SSLConnection,
        ssl_cert_reqs="required",
        ssl_check_hostname=True,
        ssl_ca_certs=address.cafile,
        ssl_certfile=address.certfile,
        ssl_keyfile=address.keyfile or address.certfile,  # one file may hold both
        **options,
    )


def _client(kind: type[Any], **options: Any) -> Client:
    try:
        # the managed services that send these are told by another protocol than the one a reader expects
        from redis.maint_notifications import MaintNotificationsConfig  # noqa: PLC0415 - newer versions have it
    except ImportError:
        pass
    else:
        options["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    client = redis.Redis(connection_pool=redis.ConnectionPool(kind, **options))
    client.response_callbacks.clear()  # a reply is what the server said, in every version of redis-py
    return client


def _check_files(address: Address) -> None:
    """Read what the address names, as redis-py takes a file that is not there for a server that is away."""
    context = ssl.create_default_context(cafile=address.cafile)
    if address.certfile is not None:
        context.load_cert_chain(address.certfile, address.keyfile)


async def close(client: Client) -> None:
    """Disconnect, whatever the server does."""
    await client.connection_pool.disconnect(inuse_connections=True)


async def first_look(look: Callable[[], Awaitable[None]], give_up: Callable[[], Awaitable[None]]) -> None:
    """Let *look* see whether a server is one for us. One that is merely away is looked at later.

    Raises:
        redis.exceptions.RedisError, ServerError, OSError: It is none until somebody mends that; all was given
            up before, as for whatever else *look* raises.
    """
    try:
        await look()
    except ERRORS as exc:
        if lasts(exc):
            await give_up()
            raise
    except BaseException:
        await give_up()
        raise


async def refuse_other_speech(address: Address) -> None:
    """See whether a server that did not answer speaks TLS where the address has none, or none where it has.

    Nothing that is secret is sent. Where that cannot be seen, nothing is said.

    Raises:
        ServerError: It does.
    """
    if address.socket is not None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(PROBE_S):
            if address.tls and await _speaks_plainly(address):
                raise ServerError(_OTHERWISE.format("no TLS", "redis", "rediss"))
            if not address.tls and await _speaks_tls(address):
                raise ServerError(_OTHERWISE.format("TLS", "rediss", "redis"))


async def _speaks_plainly(address: Address) -> bool:
    writer: asyncio.StreamWriter | None = None
    try:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"PING\r\n")
        return await reader.read(1) in {b"+", b"-"}  # done, or refused
    except OSError:
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


async def _speaks_tls(address: Address) -> bool:
    context = ssl.create_default_context(cafile=address.cafile)
    try:
        _, writer = await asyncio.open_connection(
            address.host, address.port, ssl=context, ssl_handshake_timeout=PROBE_S
        )
    except ssl.SSLError as exc:  # a certificate or an alert is an answer, too
        return isinstance(exc, ssl.SSLCertVerificationError) or "ALERT" in (exc.reason or "")
    except OSError:
        return False
    writer.transport.abort()
    return True


async def within(address: Address, job: Callable[[], Awaitable[T]]) -> T:
    """Do *job* in the time that the address gives a pipeline, however slowly the server sends.

    Raises:
        TimeoutError: It took longer.
    """
    async with asyncio.timeout(address.timeout_s):
        return await job()


def code_of(exc: BaseException) -> str:
    """Return what kind of refusal this is, a key of the table above, or nothing."""
    said = str(exc)
    for phrase, code in _PHRASES.items():
        if phrase in said.lower():
            return code
    for kind, code in _CODES:
        if isinstance(exc, kind):
            return code
    found = _WORD.search(said) if isinstance(exc, exceptions.ResponseError) else None
    return found[1] if found else ""


def _tls_failure(exc: BaseException) -> ssl.SSLError | None:
    """Return what was wrong with TLS, if anything: redis-py raises an error of its own beside it."""
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def lasts(exc: BaseException) -> bool:
    """Say whether this stays so until somebody changes the address or the server."""
    if isinstance(exc, ServerError) or code_of(exc) in _LASTING:
        return True
    tls = _tls_failure(exc)
    return isinstance(tls, ssl.SSLCertVerificationError) or (tls is not None and tls.reason in _NO_TLS)


def explained(shown: str, doing: str, exc: BaseException, *, what: str = "sink") -> SinkError:
    """Return the error that names sink, or *what* it is, and work, reason and next step."""
    return SinkError(f"{what} {shown!r}: cannot {doing}: {reason(exc)}")


def reason(exc: BaseException) -> str:
    """Return what the server said, or what became of it, and the next step."""
    said = " ".join(" ".join((str(exc), *getattr(exc, "__notes__", ()))).split()) or type(exc).__name__
    step = _NEXT_STEP.get(code_of(exc), "")
    if isinstance(exc, ServerError):
        step = ""
    elif isinstance(exc, TimeoutError | exceptions.TimeoutError):
        said, step = "the server did not answer in time", f"{_AWAY}, and what keeps it busy"
    elif (tls := _tls_failure(exc)) is not None:
        said = f"TLS failed: {tls}"
        step = "see that the server speaks TLS there, and look at ?cafile= and at its certificate"
    elif isinstance(exc, DamagedError):
        step = "somebody else writes there: choose a ?prefix= of our own"
    elif not step and isinstance(exc, exceptions.ConnectionError):
        step = _AWAY
    elif isinstance(exc, OSError):
        step = "look at the files that the address names"
    return f"{said}; {step}" if step else said
