"""TLS in front of a server: verified, always."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.plugins.redis.server import base_url, shared_server
from tests.plugins.redis.sinks import (
    BTC,
    BTC_QUOTES,
    Opens,
    candle,
    fresh_url,
    opened,
    quote,
    refusal_of,
    sink_at,
)
from wickwire import BudgetError, SinkError
from wickwire_redis import HotCandles, open_budget, open_cache

trustme = pytest.importorskip("trustme")


@asynccontextmanager
async def encrypted(folder: Path, *, wants_certificate: bool = False) -> AsyncGenerator[int]:
    """A port that speaks TLS for a server that may be built without; `ca.pem` is who vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(folder / "me.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if wants_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def passed(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(2**16):
                sink.write(data)
            sink.close()

        with suppress(OSError, BaseExceptionGroup):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", shared_server().port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(passed(reader, far_writer))
                tasks.create_task(passed(far_reader, writer))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)


def through(port: int, options: str, host: str = "localhost") -> str:
    return f"rediss://{host}:{port}?{fresh_url().partition('?')[2]}&{options}"


def test_candles_and_quotes_go_over_tls(tmp_path):
    async def main() -> None:
        async with encrypted(tmp_path) as port:
            url = through(port, f"cafile={tmp_path}/ca.pem")
            async with opened(url) as sink, HotCandles(url) as hot:
                await sink.put([candle(0, 1)])
                await sink.put_quotes({BTC_QUOTES: quote()})
                assert await hot.latest(BTC) == candle(0, 1)

    asyncio.run(main())


@pytest.mark.parametrize(("host", "options"), [("localhost", ""), ("127.0.0.1", "cafile={folder}/ca.pem")])
def test_who_cannot_be_trusted_is_refused_at_open(tmp_path, host, options):
    """An authority that nobody knows, and a certificate for another name."""

    async def main() -> None:
        async with encrypted(tmp_path) as port:
            sink = sink_at(through(port, options.format(folder=tmp_path), host))
            with pytest.raises(SinkError, match=r"look at \?cafile= and at its certificate"):
                await sink.open()

    asyncio.run(main())


def test_our_own_certificate_is_shown_where_the_server_wants_one(tmp_path):
    async def main() -> None:
        async with encrypted(tmp_path, wants_certificate=True) as port:
            bare = through(port, f"cafile={tmp_path}/ca.pem")
            async with opened(f"{bare}&certfile={tmp_path}/me.pem") as sink:
                await sink.put([candle(0, 1)])
            async with opened(bare) as sink:
                with pytest.raises(SinkError):
                    await sink.put([candle(0, 1)])

    asyncio.run(main())


def opener(what: str, url: str) -> tuple[Opens, type[Exception]]:
    """What is opened at an address of Redis, and what its errors are."""
    match what:
        case "sink":
            return sink_at(url), SinkError
        case "hot layer":
            cache = open_cache(url)
            assert cache is not None
            return cache.follower(), SinkError
        case _:
            budget = open_budget(url)
            assert budget is not None
            return budget, BudgetError


@pytest.mark.parametrize("what", ["sink", "hot layer"])
def test_a_server_without_tls_is_named_where_the_address_asks_for_it(what):
    """It does not say so itself: it waits for the end of a line."""
    url = base_url().replace("redis://", "rediss://").partition("?")[0]
    one, error = opener(what, f"{url}?timeout=1s")
    said = refusal_of(one, error)
    assert "it speaks no TLS there: write redis: in place of rediss:" in said


@pytest.mark.parametrize("what", ["sink", "hot layer", "budget"])
@pytest.mark.parametrize("wants_certificate", [False, True])
def test_a_server_that_speaks_tls_alone_is_named_where_the_address_has_none(
    tmp_path, what, wants_certificate
):
    """Also where nobody knows who vouches for it: nothing is said to it but that we speak TLS."""

    async def main() -> None:
        async with encrypted(tmp_path, wants_certificate=wants_certificate) as port:
            one, error = opener(what, f"redis://127.0.0.1:{port}")
            with pytest.raises(error, match="it speaks TLS there: write rediss: in place of redis:"):
                await one.open()
            await one.aclose()

    asyncio.run(main())
