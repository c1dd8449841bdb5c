"""Real servers on 127.0.0.1, with certificates of a throw-away authority where they speak TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from wickwire.clock import SystemClock
from wickwire.transport.net import NetTransport

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Converse = Callable[[ServerConnection], Awaitable[None]]
RawVenue = Callable[..., AbstractAsyncContextManager[int]]


@asynccontextmanager
async def _raw_venue(speak: Speak, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, as many of these tests want it to
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def _ws_venue(converse: Converse, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    async with serve(converse, "127.0.0.1", 0, ssl=tls, compression=None, max_size=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


@pytest.fixture
def raw_venue() -> RawVenue:
    """`raw_venue(speak, tls=None)`: a TCP server that runs *speak* per connection; gives the port."""
    return _raw_venue


@pytest.fixture
def ws_venue() -> RawVenue:
    """`ws_venue(converse, tls=None)`: the same for WebSockets."""
    return _ws_venue


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Whose certificates the tests may trust."""
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    """`server_tls("127.0.0.1", not_after=...)`: what a server with that certificate needs."""

    def make(*names: str, signed_by: trustme.CA = authority, **options: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        signed_by.issue_cert(*names, **options).configure_cert(context)  # type: ignore[arg-type]  # as given
        return context

    return make


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def net() -> Callable[..., NetTransport]:
    """`net(redirects=...)`: a transport on the machine's clock."""

    def make(**options: object) -> NetTransport:
        return NetTransport(clock=SystemClock(), **options)  # type: ignore[arg-type]  # as given

    return make
