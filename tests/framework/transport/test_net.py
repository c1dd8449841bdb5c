"""The transport as a whole: what it loads and when, and which of its redirects led nowhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from wickwire import HttpRequest, TransportError
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
