"""Names that resolve slowly, not at all, or to addresses of which only the last one answers (F66)."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest

from wickwire import Endpoint, HttpRequest, TransportError
from wickwire.clock import SystemClock
from wickwire.transport.net import NetTransport

NAME = "venue.example"
BACKLOG = 8
"""More than fit into the queue of a listener that takes none."""

Answer = tuple[socket.AddressFamily, str]


class Resolving(asyncio.SelectorEventLoop):
    """A loop of the machine's own time, on which `NAME` resolves as a test says.

    Attributes:
        answers: Addresses, the first one first.
        asked: How often it was asked.
    """

    answers: tuple[Answer, ...] = ()
    asked = 0

    async def getaddrinfo(self, host, port, *, family=0, type=0, proto=0, flags=0):  # noqa: A002 - asyncio's names
        if host not in (NAME, NAME.encode()):
            return await super().getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
        self.asked += 1
        return [(each, socket.SOCK_STREAM, 6, "", (address, port)) for each, address in self.answers]


class Mute(asyncio.SelectorEventLoop):
    """A loop whose resolver never answers."""

    async def getaddrinfo(self, *_, **__):
        await asyncio.Event().wait()


@contextmanager
def blackhole(place: Answer, port: int) -> Iterator[None]:
    """Listen there, and answer nobody: whoever connects waits, as where packets are dropped."""
    family, address = place
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(BACKLOG):
            client = stack.enter_context(socket.socket(family))
            client.settimeout(0)
            client.connect_ex((address, port))
        yield


@pytest.mark.parametrize(
    "dead", [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2")], ids=["ipv6", "ipv4"]
)
@pytest.mark.parametrize("silent", [False, True], ids=["refusing", "silent"])
def test_of_all_addresses_the_one_that_answers_is_found(
    ws_venue, raw_venue, server_tls, trusting, dead, silent
):
    """Also where the first one, as IPv6 behind many a router, swallows what is sent to it."""

    async def converse(connection):
        await connection.send("here")

    async def reply(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
        await writer.drain()
        await reader.read()

    async def main(loop):
        tls = server_tls(NAME)
        async with ws_venue(converse, tls) as streams, raw_venue(reply, tls) as requests:
            loop.answers = (dead, (socket.AF_INET, "127.0.0.1"))
            with ExitStack() as stack:
                if silent:
                    for port in (streams, requests):
                        stack.enter_context(blackhole(dead, port))
                transport = NetTransport(clock=SystemClock(), tls=trusting)
                stream = await transport.open(Endpoint(url=f"wss://{NAME}:{streams}/"))
                assert await stream.receive() == b"here"
                answer = await transport.request(HttpRequest(url=f"https://{NAME}:{requests}/"))
                assert answer.body == b"here"
                await transport.aclose()
            assert loop.asked == 2

    with asyncio.Runner(loop_factory=Resolving) as runner:
        runner.run(main(runner.get_loop()))


async def opened(transport: NetTransport) -> None:
    await transport.open(Endpoint(url=f"wss://{NAME}/"))


async def requested(transport: NetTransport, timeout_s: float = 60.0) -> None:
    await transport.request(HttpRequest(url=f"https://{NAME}/", timeout_s=timeout_s))


@pytest.mark.parametrize("use", [opened, partial(requested, timeout_s=0.05)], ids=["opened", "requested"])
def test_a_resolver_that_does_not_answer_meets_the_deadline(use):
    async def main():
        with pytest.raises(TransportError, match=f"{NAME}.*(in time|within 0.05 s)"):
            await use(NetTransport(clock=SystemClock(), open_timeout_s=0.05))

    with asyncio.Runner(loop_factory=Mute) as runner:
        runner.run(main())


@pytest.mark.parametrize("use", [opened, requested])
def test_while_a_name_is_looked_up_the_loop_goes_on(monkeypatch, use):
    """The system's own resolver blocks whoever asks it; here until the loop has turned a thousand times."""
    turned = threading.Event()

    def slow(*_, **__):
        assert turned.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    async def turn():
        for _ in range(1_000):
            await asyncio.sleep(0)
        turned.set()

    async def main():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(turn())
            with pytest.raises(TransportError, match="its name cannot be resolved"):
                await use(NetTransport(clock=SystemClock(), open_timeout_s=60.0))

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    asyncio.run(main())
