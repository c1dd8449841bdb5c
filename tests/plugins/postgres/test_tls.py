"""What TLS options of an address do, in front of a server whose certificate is ours."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from tests.plugins.batches import batch
from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import check_holds, opened
from wickwire import StoreError
from wickwire_postgres.driver import explained

trustme = pytest.importorskip("trustme")


@asynccontextmanager
async def encrypted(folder: Path) -> AsyncGenerator[int]:
    """A port that speaks TLS for the server, which was built without it; `ca.pem` is who vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def passed(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(2**16):
                sink.write(data)
            sink.close()

        with suppress(OSError, asyncio.IncompleteReadError, BaseExceptionGroup):
            await reader.readexactly(8)  # SSLRequest
            writer.write(b"S")
            await writer.start_tls(context)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", shared_server().port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(passed(reader, far_writer))
                tasks.create_task(passed(far_reader, writer))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)


def through(port: int, host: str, mode: str, folder: Path) -> str:
    url = fresh_url().replace(f"127.0.0.1:{shared_server().port}", f"{host}:{port}")
    return f"{url}&sslmode={mode}&sslrootcert={folder / 'ca.pem'}"


@pytest.mark.parametrize(
    ("host", "mode"), [("localhost", "verify-full"), ("127.0.0.1", "verify-ca"), ("127.0.0.1", "require")]
)
def test_a_certificate_is_checked_as_far_as_the_mode_asks(tmp_path, host, mode):
    async def main() -> None:
        async with encrypted(tmp_path) as port, opened(through(port, host, mode, tmp_path)) as store:
            await store.commit(batch("kraken", 0))
            await check_holds(store, "kraken", 1)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "authority", "reason"),
    [
        ("127.0.0.1", "", "certificate is not valid for '127.0.0.1'"),
        ("localhost", "other", "certificate verify failed"),
    ],
)
def test_a_server_that_cannot_be_trusted_is_refused_at_once_with_the_next_step(
    tmp_path, monkeypatch, host, authority, reason
):
    """Who is told that the connection was lost looks in the wrong place; and trying again changes nothing."""
    monkeypatch.setattr("wickwire_postgres.store._PAUSES_S", (3_600.0,))
    other = tmp_path / "other"
    other.mkdir()
    trustme.CA().cert_pem.write_to_path(str(other / "ca.pem"))

    async def main() -> str:
        async with encrypted(tmp_path) as port:
            with pytest.raises(StoreError) as refusal:
                async with opened(through(port, host, "verify-full", tmp_path / authority)):
                    pass
        return str(refusal.value)

    said = asyncio.run(main())
    assert reason in said
    assert "; look at sslmode and sslrootcert in the address" in said


def test_a_server_without_tls_is_named_at_once_where_the_address_asks_for_it():
    """The one of the tests has none. Trying again would change nothing."""

    async def main() -> None:
        with pytest.raises(StoreError, match=r"it speaks no TLS there: .*\?sslmode=disable") as caught:
            async with opened(f"{fresh_url()}&sslmode=require"):
                pass
        assert "rejected SSL upgrade" in str(caught.value)

    asyncio.run(main())


def test_a_server_that_wants_tls_is_named_where_the_address_refuses_it():
    said = 'no pg_hba.conf entry for host "192.0.2.1", user "ada", database "market", no encryption'
    error = explained("db", "open it", asyncpg.InvalidAuthorizationSpecificationError(said))
    assert "it takes nobody without TLS" in str(error)
    assert "leave sslmode=disable out" in str(error)
