"""What is promised of simulated venues in memory: they behave as over a socket, in the loop's own time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

import pytest

from tests.framework.simulate.echo_venue import REST, STREAM, EchoVenue
from wickwire import SECOND_NS, FaultKind, PluginError, StreamClosed, TransportError, VenueError
from wickwire.conversation import HttpRequest
from wickwire.endpoint import Endpoint
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.transport import Stream, Transport

ENDPOINT = Endpoint(url=f"{STREAM}/v1")


def play(
    scene: Callable[[MemoryTransport], Awaitable[None]],
    *,
    seed: int | None = None,
    latency_s: float = 0.0,
    rng: random.Random | None = None,
    venue: EchoVenue | None = None,
) -> None:
    async def main() -> None:
        transport = MemoryTransport([venue or EchoVenue()], running_clock(), latency_s=latency_s, rng=rng)
        typed: Transport = transport
        try:
            await scene(transport)
        finally:
            await typed.aclose()

    run_virtual(main(), seed=seed)


async def receive_all(stream: Stream) -> None:
    while True:
        await stream.receive()


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
@pytest.mark.parametrize("latency_s", [0.0, 0.08])
def test_what_is_said_arrives_in_order_whatever_the_latency(seed: int | None, latency_s: float):
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        for number in range(50):
            await stream.send(f"message {number}")
        await stream.send(b"\x00\x01")

        assert await stream.receive() == b"hello"
        assert [await stream.receive() for _ in range(50)] == [b"message %d" % n for n in range(50)]
        assert await stream.receive() == b"\x00\x01"

    play(scene, seed=seed, latency_s=latency_s, rng=random.Random(1))


def test_latency_is_paid_both_ways():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        begun_s = now_s()
        await stream.send("there and back")
        await stream.receive()
        assert now_s() - begun_s == pytest.approx(0.2)
        await stream.ping()
        assert now_s() - begun_s == pytest.approx(0.4)

    play(scene, latency_s=0.1)


def test_what_is_due_is_said_exactly_when_it_is_due():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        await asyncio.sleep(0.1234567)
        await stream.send("tick")
        for number in range(1, 4):
            text = (await stream.receive()).decode().split()
            assert (text[1], text[3]) == (str(number), text[5])
        assert now_s() == pytest.approx(3.1234567, abs=2e-6)

    play(scene)


def test_last_words_are_heard_before_the_close_and_nothing_after():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.send("bye 1013 try later")

        assert [await stream.receive(), await stream.receive()] == [b"hello", b"last words"]
        with pytest.raises(StreamClosed, match="1013 'try later'") as closed:
            await stream.receive()
        assert (closed.value.code, closed.value.reason) == (1013, "try later")
        with pytest.raises(StreamClosed):
            await stream.send("too late")
        assert not transport.open_streams

    play(scene)


def test_a_frame_above_the_limit_closes_with_1009():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(Endpoint(url=f"{STREAM}/", max_frame_bytes=1_000))
        await stream.receive()
        await stream.send("big 1000")
        assert len(await stream.receive()) == 1_000
        await stream.send("big 1001")
        with pytest.raises(StreamClosed, match="1001 bytes") as closed:
            await stream.receive()
        assert closed.value.code == 1009

    play(scene)


def test_a_cut_ends_a_waiting_receive_and_a_waiting_ping_with_1006():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        transport.mute(STREAM)
        asyncio.get_running_loop().call_later(5, transport.cut)

        async def ends(wait: Awaitable[object]) -> int:
            with pytest.raises(StreamClosed) as closed:
                await wait
            return closed.value.code

        async with asyncio.TaskGroup() as tasks:
            waits = [tasks.create_task(ends(wait)) for wait in (stream.receive(), stream.ping())]
        assert [wait.result() for wait in waits] == [1006, 1006]
        assert now_s() == 5

    play(scene)


def test_a_refused_origin_cannot_be_reached_until_it_can():
    async def scene(transport: MemoryTransport) -> None:
        transport.refuse(STREAM)
        with pytest.raises(TransportError, match="refused"):
            await transport.open(ENDPOINT)
        transport.refuse(STREAM, refused=False)
        await (await transport.open(ENDPOINT)).aclose()
        assert transport.opened == 2

    play(scene)


def test_a_muted_origin_swallows_everything_and_stays_open():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        await stream.send("tick")
        await stream.receive()
        transport.mute(STREAM)
        await stream.send("unheard")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.5):
                await stream.receive()
        with pytest.raises(TransportError, match="in time"):
            await transport.open(ENDPOINT)
        transport.mute(STREAM, muted=False)
        later = int((await stream.receive()).split()[1])
        assert later > 4
        assert transport.open_streams == (stream,)

    play(scene)


def test_a_client_that_does_not_read_holds_the_venue_up_and_loses_nothing():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.send("tick")
        await asyncio.sleep(1_000)
        assert await stream.receive() == b"hello"
        numbers = [int((await stream.receive()).split()[1]) for _ in range(1_000)]
        assert numbers == list(range(1, 1_001))
        assert now_s() == 1_000

    play(scene)


def test_a_client_that_asks_and_never_reads_is_hung_up_on():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.send("many 70000")
        heard = [await stream.receive() for _ in range(60_000)]
        assert heard[-1] == b"answer 59998"
        with pytest.raises(StreamClosed) as closed:
            await receive_all(stream)
        assert closed.value.code == 1008

    play(scene)


def test_cancelling_a_receive_loses_nothing():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await stream.receive()
        await stream.send("still here")
        assert await stream.receive() == b"still here"

    play(scene, latency_s=0.02)


def test_closing_is_safe_to_repeat_and_ends_what_waits():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        asyncio.get_running_loop().call_later(1, lambda: stream.cut(1012, "restart"))
        with pytest.raises(StreamClosed, match="restart"):
            await stream.receive()
        await stream.aclose()
        await stream.aclose()

    play(scene)


def test_a_refused_opening_is_judged_by_its_status():
    async def scene(transport: MemoryTransport) -> None:
        with pytest.raises(VenueError) as refused:
            await transport.open(Endpoint(url=f"{STREAM}/busy"))
        assert (refused.value.kind, refused.value.retry_after_s) == (FaultKind.WAIT, 7)

    play(scene)


def test_a_request_arrives_decoded_and_its_reply_carries_the_simulated_date():
    async def scene(transport: MemoryTransport) -> None:
        await asyncio.sleep(2.9)
        reply = await transport.request(
            HttpRequest(
                url=f"{REST}/v8/%5EGSPC?a=1%202", params={"b": "x/y&z"}, headers={"X-Key": "k"}, body=b"{}"
            )
        )
        said = json.loads(reply.body)
        assert (said["path"], said["query"]) == ("/v8/^GSPC", {"a": "1 2", "b": "x/y&z"})
        assert (said["key"], said["body"], said["method"]) == ("k", "{}", "GET")
        assert reply.date_ns == VIRTUAL_START_NS + 2 * SECOND_NS
        assert reply.headers["date"] == "Fri, 15 Jan 2027 08:00:02 GMT"
        assert reply.headers["x-left"] == "3"
        assert (await transport.request(HttpRequest(url=f"{REST}/missing"))).status == 404
        assert transport.requested == 2

    play(scene)


def test_a_reply_that_takes_too_long_is_a_transport_error():
    async def scene(transport: MemoryTransport) -> None:
        with pytest.raises(TransportError, match="within 1 s"):
            await transport.request(HttpRequest(url=f"{REST}/", timeout_s=1))
        assert now_s() == 1

    play(scene, latency_s=2)


def test_an_unknown_origin_is_a_transport_error_that_names_those_there_are():
    async def scene(transport: MemoryTransport) -> None:
        with pytest.raises(TransportError, match=r"wss://other\.example.*wss://echo\.example"):
            await transport.open(Endpoint(url="wss://other.example/"))
        with pytest.raises(ValueError, match="no simulated venue has the origin 'wss://other"):
            transport.mute("wss://other.example")

    play(scene)


def test_an_address_that_the_real_transport_refuses_is_refused_here_too():
    async def scene(transport: MemoryTransport) -> None:
        with pytest.raises(PluginError, match="not allowed"):
            await transport.request(HttpRequest(url="http://echo.example/"))

    play(scene)


def test_a_bug_of_a_simulator_reaches_the_client_by_name():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await stream.receive()
        await stream.send("bug")
        with pytest.raises(PluginError, match=r"EchoConnection\.received.*ZeroDivisionError"):
            await stream.receive()
        with pytest.raises(PluginError, match=r"EchoVenue\.answer.*ZeroDivisionError"):
            await transport.request(HttpRequest(url=f"{REST}/bug"))

    play(scene)


def test_a_closed_transport_opens_nothing_more():
    async def scene(transport: MemoryTransport) -> None:
        stream = await transport.open(ENDPOINT)
        await transport.aclose()
        with pytest.raises(StreamClosed):
            await stream.receive()
        with pytest.raises(TransportError, match="closed"):
            await transport.open(ENDPOINT)

    play(scene)


def test_the_same_seed_gives_the_same_times():
    def run(seed: int) -> list[tuple[bytes, float]]:
        heard: list[tuple[bytes, float]] = []

        async def scene(transport: MemoryTransport) -> None:
            async def listen(number: int) -> None:
                stream = await transport.open(ENDPOINT)
                await stream.send("tick")
                heard.extend([(await stream.receive(), now_s()) for _ in range(number + 3)])

            async with asyncio.TaskGroup() as tasks:
                for number in range(5):
                    tasks.create_task(listen(number))

        play(scene, seed=seed, latency_s=0.05, rng=random.Random(seed))
        return heard

    assert run(1) == run(1)
    assert run(1) != run(2)
