"""What is promised of simulated venues on loopback, seen by the real websockets and httpx."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.framework.simulate.echo_venue import REST, STREAM, EchoVenue
from wickwire import SECOND_NS, ConfigError, PluginError
from wickwire.simulate.loopback import Loopback, serve
from wickwire.simulate.loops import VIRTUAL_START_NS, run_scaled, running_clock

Scene = Callable[[Loopback, str, str], Awaitable[None]]


def play(scene: Scene, *, speed: float = 1.0, compress: bool = False) -> None:
    """Run *scene* with the loopback and the two addresses that stand in for the venue's."""

    async def main() -> None:
        async with asyncio.timeout(30), serve([EchoVenue()], running_clock(), compress=compress) as loopback:
            await scene(loopback, loopback.redirects[STREAM], loopback.redirects[REST])

    run_scaled(main(), speed, start_ns=VIRTUAL_START_NS)


async def receive_all(client: ClientConnection) -> None:
    while True:
        await client.recv()


def test_streams_and_requests_share_a_port_and_any_path():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        assert stream.removeprefix("ws://") == rest.removeprefix("http://")
        assert stream.startswith("ws://127.0.0.1:")
        async with connect(f"{stream}/any/path?x=1") as client, httpx.AsyncClient() as http:
            assert await client.recv() == "hello"
            await client.send("text")
            assert await client.recv() == "text"
            await client.send(b"\x00bytes")
            assert await client.recv() == b"\x00bytes"
            assert loopback.streams == 1
            assert (await http.get(f"{rest}/missing")).status_code == 404

    play(scene)


def test_a_request_arrives_decoded_and_its_reply_carries_the_simulated_date():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with httpx.AsyncClient() as http:
            url = f"{rest}/v8/%5EGSPC/ES%3DF?pair=XBT%2FUSD&note=a+b&empty="
            reply = await http.post(url, headers={"X-Key": "k"}, content=b"{}")
        said = json.loads(reply.content)
        assert said["path"] == "/v8/^GSPC/ES=F"
        assert said["query"] == {"pair": "XBT/USD", "note": "a b", "empty": ""}
        assert (said["method"], said["key"], said["body"]) == ("POST", "k", "{}")
        assert reply.headers["date"].startswith("Fri, 15 Jan 2027 08:00:")
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-left"] == "3"

    play(scene)


def test_the_opening_carries_the_simulated_date_and_no_compression():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as client:
            assert client.response is not None
            assert client.response.headers["Date"].startswith("Fri, 15 Jan 2027 08:00:")
            assert "Sec-WebSocket-Extensions" not in client.response.headers

    play(scene)


def test_compression_is_agreed_to_when_asked_for():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as client:
            assert client.response is not None
            assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
            await client.send("big 100000")
            assert [await client.recv(), await client.recv()] == ["hello", b"x" * 100_000]

    play(scene, compress=True)


def test_an_opening_is_refused_with_the_venue_s_answer():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{stream}/busy")
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "7"

    play(scene)


@pytest.mark.parametrize("code", [1000, 1013, 4001])
def test_a_hangup_closes_with_its_code_after_the_last_words(code: int):
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as client:
            await client.send(f"bye {code} so long")
            assert [await client.recv(), await client.recv()] == ["hello", "last words"]
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "so long")

    play(scene)


def test_code_1006_cuts_without_a_close_frame():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as client:
            assert await client.recv() == "hello"
            await client.send("bye 1006")
            with pytest.raises(ConnectionClosed) as closed:
                await receive_all(client)  # the last words may be lost with the connection
            assert closed.value.rcvd is None

    play(scene)


def test_everybody_can_be_cut_off_and_come_back():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as one, connect(stream) as other:
            assert loopback.cut("wss://nobody.example") == 0
            assert loopback.cut(STREAM) == 2
            for client in (one, other):
                with pytest.raises(ConnectionClosed) as closed:
                    await receive_all(client)
                assert closed.value.rcvd is None
        async with connect(stream) as again:
            assert await again.recv() == "hello"

    play(scene)


def test_large_frames_go_both_ways():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream, max_size=None) as client:
            await client.recv()
            await client.send("big 12000000")
            assert len(await client.recv()) == 12_000_000
            await client.send(b"y" * 12_000_000)
            assert await client.recv() == b"y" * 12_000_000

    play(scene)


def test_what_is_due_is_said_when_it_is_due_on_scaled_time():
    """Sixty times as fast: ten ticks, a second apart, in the loop's time and in the venue's."""

    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as client:
            await client.recv()
            await client.send("tick")
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            ticks = [str(await client.recv()).split() for _ in range(10)]
            assert [int(tick[1]) for tick in ticks] == list(range(1, 11))
            assert loop.time() - begun_s >= 9
            assert all(int(tick[5]) >= int(tick[3]) for tick in ticks)
            assert int(ticks[-1][3]) - int(ticks[0][3]) == 9 * SECOND_NS

    play(scene, speed=60)


def test_a_client_that_does_not_read_holds_the_venue_up_and_nobody_else():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream, max_queue=1, max_size=None) as lazy, connect(stream) as other:
            for _ in range(40):
                await lazy.send("big 1000000")
            assert await other.recv() == "hello"
            await other.send("still served")
            assert await other.recv() == "still served"
            assert await lazy.recv() == "hello"
            assert [len(await lazy.recv()) for _ in range(40)] == [1_000_000] * 40

    play(scene)


@pytest.mark.parametrize("order", ["nothing special", "big 50000000"])
def test_open_clients_do_not_hold_up_the_end(order: str):
    """Not one that would answer a goodbye, and not one whose socket is full; loop time is real here."""

    async def main() -> tuple[float, int | None]:
        loop = asyncio.get_running_loop()
        async with serve([EchoVenue()], running_clock()) as loopback:
            client = await connect(loopback.redirects[STREAM], max_queue=1, max_size=None)
            await client.recv()
            await client.send(order)
            leaving_s = loop.time()
        left_s = loop.time()
        client.transport.abort()
        await client.wait_closed()
        return left_s - leaving_s, client.close_code

    took_s, code = run_scaled(main(), 1.0)
    assert took_s < 1
    assert order.startswith("big") or code == 1001


def test_a_bug_of_a_simulator_ends_the_stream_and_comes_out_at_the_end():
    async def scene(loopback: Loopback, stream: str, rest: str) -> None:
        async with connect(stream) as client:
            await client.send("bug")
            assert await client.recv() == "hello"
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1011
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{rest}/bug")).status_code == 500

    with pytest.raises(PluginError, match=r"EchoConnection\.received.*ZeroDivisionError"):
        play(scene)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost", "::", ""])
def test_nobody_but_this_machine_is_served(host: str):
    async def main() -> None:
        async with serve([EchoVenue()], running_clock(), host=host):
            pytest.fail("served")

    with pytest.raises(ConfigError, match="not a loopback address"):
        asyncio.run(main())


def test_ports_can_be_chosen_and_a_taken_one_is_named():
    async def main() -> None:
        async with serve([EchoVenue()], running_clock()) as loopback:
            port = int(loopback.redirects[REST].rpartition(":")[2])
            with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
                async with serve([EchoVenue()], running_clock(), ports=port):
                    pytest.fail("served")
        async with serve([EchoVenue()], running_clock(), ports=port) as loopback:
            assert loopback.redirects[STREAM] == f"ws://127.0.0.1:{port}"

    asyncio.run(main())


def test_every_venue_has_a_port_of_its_own():
    other = EchoVenue()
    other.stream_origins = ("wss://other.example",)
    other.rest_origins = ("https://other.example", "https://more.example")

    async def main() -> dict[str, str]:
        async with serve([EchoVenue(), other], running_clock()) as loopback:
            return loopback.redirects

    redirects = asyncio.run(main())
    assert len(redirects) == 5
    assert redirects["https://other.example"] == redirects["https://more.example"] != redirects[REST]


def test_without_aiohttp_the_error_says_what_to_install():
    program = (
        "import asyncio, sys; sys.modules['aiohttp'] = None\n"
        "from wickwire.clock import SystemClock\n"
        "from wickwire.simulate.loopback import serve\n"
        "async def main():\n"
        "    async with serve([], SystemClock()): pass\n"
        "try: asyncio.run(main())\n"
        "except Exception as exc: print(type(exc).__name__, exc)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout

    assert told.startswith("ConfigError")
    assert "wickwire[simulate]" in told
