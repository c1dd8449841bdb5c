"""What a connection costs on which nothing happens: hundreds have to fit into a small machine."""

from __future__ import annotations

import asyncio
import gc
import resource
from pathlib import Path

import pytest

from wickwire.endpoint import Endpoint
from wickwire.transport import Stream

KIB = 1024
CONNECTIONS = 60


def resident() -> int:
    """Return how many bytes of this process are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not say what is resident")
@pytest.mark.parametrize(("scheme", "most"), [("ws", 200 * KIB), ("wss", 2 * 512 * KIB)])
def test_an_idle_connection_is_small(ws_venue, net, server_tls, trusting, scheme: str, most: int) -> None:
    """Both of its ends are in this process; with TLS each of them may take 512 KiB."""

    async def converse(connection):
        await connection.wait_closed()

    async def main() -> None:
        async with ws_venue(converse, server_tls("127.0.0.1") if scheme == "wss" else None) as port:
            transport = net(tls=trusting) if scheme == "wss" else net()
            endpoint = Endpoint(url=f"{scheme}://127.0.0.1:{port}/")

            async def opened(count: int) -> list[Stream]:
                return [await transport.open(endpoint) for _ in range(count)]

            streams = await opened(5)  # what is loaded and allocated once
            gc.collect()
            before = resident()
            streams += await opened(CONNECTIONS)
            async with asyncio.TaskGroup() as tasks:
                waiting = [tasks.create_task(stream.receive()) for stream in streams]
                await asyncio.sleep(0)
                gc.collect()
                each = (resident() - before) / CONNECTIONS
                for task in waiting:
                    task.cancel()
            assert each < most, f"{each / KIB:.0f} KiB"
            for stream in streams:
                await stream.aclose()

    asyncio.run(main())
