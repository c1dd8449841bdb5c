"""A network between a client and its server that fails at a chosen moment: real bytes, real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes bytes on; what the client sends decides whether that gets lost, or its answer.

    Attributes:
        swallow: Whether the answer to this gets lost.
        lose: Whether this gets lost itself.
        port: Where it listens.
        lost: How many connections it broke.
        silent: Everything is swallowed, in both directions, and nothing closed: a cable that was pulled.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.lost = 0
        self.silent = False
        self.swallow: Callable[[bytes], bool] = lambda _: False
        self.lose: Callable[[bytes], bool] = lambda _: False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        doomed = asyncio.Event()
        self._writers |= {writer, far_writer}

        async def out() -> None:
            while data := await reader.read(2**16):
                if self.lose(data):
                    self.lost += 1
                    self.cut()
                    break
                if self.swallow(data):
                    doomed.set()
                if self.silent:
                    continue
                far_writer.write(data)
            far_writer.close()

        async def back() -> None:
            while data := await far_reader.read(2**16):
                if self.silent:
                    continue
                if doomed.is_set():  # the server has done it, and nobody hears of it
                    self.lost += 1
                    break
                writer.write(data)
            writer.transport.abort()
            far_writer.close()

        with suppress(OSError, BaseExceptionGroup):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(out())
                tasks.create_task(back())
        self._writers -= {writer, far_writer}

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def proxied(target_port: int) -> AsyncGenerator[Proxy]:
    """Run a proxy to *target_port*."""
    proxy = Proxy(target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await asyncio.sleep(0)
