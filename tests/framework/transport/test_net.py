"""The transport as a whole: what it loads and when, and which of its redirects led nowhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from wickwire import ConfigError, Endpoint, HttpRequest, TransportError
from wickwire.clock import SystemClock
from wickwire.transport.net import NetTransport


def test_the_libraries_load_when_first_used():
    """`wickwire --help` and adapters alone pay for neither."""
    script = """
import sys
from wickwire.clock import SystemClock
from wickwire.transport.net import NetTransport
NetTransport(clock=SystemClock(), redirects={"wss://ws.example.com": "ws://127.0.0.1:1"})
print(sorted({"certifi", "httpx", "websockets"} & {name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("https://venue.example", False),
        ("https://venu.example", True),
        ("wss://venue.example", False),  # no stream was opened: it may be used yet
    ],
)
def test_a_redirect_that_was_not_used_is_told_where_a_venue_was_asked_itself(
    monkeypatch, caplog, source, told
):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # nothing leaves this machine
    scheme = "ws" if source.startswith("wss") else "http"

    async def ask() -> None:
        transport = NetTransport(clock=SystemClock(), redirects={source: f"{scheme}://127.0.0.1:1"})
        with pytest.raises(TransportError):
            await transport.request(HttpRequest(url="https://venue.example/time"))
        await transport.aclose()
        await transport.aclose()

    asyncio.run(ask())

    why = "nothing went there; https://venue.example was asked itself"
    said = [(one.getMessage(), vars(one)["redirect"], vars(one)["why"]) for one in caplog.records]
    assert said == ([("redirect not used", source, why)] if told else [])


@pytest.mark.parametrize("scheme", ["wss", "https"])
@pytest.mark.parametrize("redirected", [(), ("{scheme}://other.venue.example",)])
def test_a_confined_transport_asks_no_venue_itself(monkeypatch, scheme, redirected):
    """Neither connection nor name is tried; what leads to loopback goes there."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")  # nothing leaves this machine
    plain = {"wss": "ws", "https": "http"}[scheme]
    redirects = {source.format(scheme=scheme): f"{plain}://127.0.0.1:1" for source in redirected}

    async def ask(url: str) -> None:
        transport = NetTransport(
            clock=SystemClock(), redirects=redirects, confined="these are simulated venues, seed 1,"
        )
        try:
            if scheme == "wss":
                await transport.open(Endpoint(url=url))
            else:
                await transport.request(HttpRequest(url=url))
        finally:
            await transport.aclose()

    with pytest.raises(ConfigError) as refused:
        asyncio.run(ask(f"{scheme}://venue.example/time?key=hunter2"))
    for url in (*(f"{source}/time" for source in redirects), f"{plain}://127.0.0.1:1/time"):
        with pytest.raises(TransportError):
            asyncio.run(ask(url))

    assert str(refused.value) == (
        f"{scheme}://venue.example: nothing was sent there, as these are simulated venues, seed 1, and no "
        "redirect says what stands in for it; add one, or let the simulate() of its adapter name it"
    )


STARVED = """
import asyncio, resource
from wickwire import Endpoint, HttpRequest, TransportError
from wickwire.clock import SystemClock
from wickwire.transport.net import NetTransport

async def said(transport):
    for use in (transport.open(Endpoint(url="wss://127.0.0.1:1/")),
                transport.request(HttpRequest(url="https://127.0.0.1:1/"))):
        try:
            await use
        except TransportError as exc:
            print(exc)

async def main():
    transport = NetTransport(clock=SystemClock())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    await said(transport)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await said(transport)

asyncio.run(main())
"""


def test_libraries_and_authorities_that_cannot_be_read_are_no_bug():
    """F67: they are read when first used, and then there may be no descriptor for it."""
    done = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True, check=True)

    stream, reply, *after = done.stdout.splitlines()
    assert stream.startswith("wss://127.0.0.1:1 cannot be connected to: too many open files")
    assert reply.startswith("https://127.0.0.1:1 cannot be connected to: too many open files")
    assert [line.partition(" ")[2] for line in after] == ["refused the connection; nothing listens there"] * 2
