"""A stream whose bytes come in pieces: cut anywhere they mean the same; what trickles has an end."""

from __future__ import annotations

import asyncio
import random

import pytest
from websockets.frames import Opcode

from tests.framework.scripted import ACCOUNT, TOPIC, adapter
from tests.framework.test_session import Notes
from tests.framework.transport.test_ws import leave, text, upgraded, url
from wickwire import Endpoint, Limits, TransportError
from wickwire.breaker import Breaker
from wickwire.budget import Budget
from wickwire.history import History
from wickwire.retry import Backoff
from wickwire.session import Session
from wickwire.simulate.loops import run_scaled, running_clock
from wickwire.transport.net import NetTransport

SPLITS = 10_000
MESSAGE = '{"symbol":"Ω/€ 🜁","rows":[["64001.10","0.5"],["64001.20","1.25"]]}'.encode()
SILENCE_S = 10.0
SPEED = 60.0


def fragments(message: bytes, rng: random.Random) -> bytes:
    """Return *message* in frames, cut at up to eight places, with pings and pongs between some of them."""
    places = sorted(rng.randrange(len(message) + 1) for _ in range(rng.randrange(9)))
    frames = []
    for number, (begin, end) in enumerate(zip([0, *places], [*places, len(message)], strict=True)):
        code = Opcode.CONT if number else Opcode.TEXT
        frames.append(text(message[begin:end], fin=number == len(places), op=code))
        if rng.random() < 0.1:
            frames.append(text(b"", op=Opcode.PONG))
    return b"".join(frames)


def test_ten_thousand_ways_to_cut_a_message_give_one_message(raw_venue, net):
    """F5: into frames anywhere, and these into packets anywhere: also inside a character, or a header."""
    rng = random.Random(5)

    async def speak(reader, writer):
        await upgraded(reader, writer)
        for _ in range(SPLITS // 100):
            said = b"".join(fragments(MESSAGE, rng) for _ in range(100))
            places = sorted(rng.randrange(len(said)) for _ in range(200))
            for begin, end in zip([0, *places], [*places, len(said)], strict=True):
                writer.write(said[begin:end])  # each is a packet of its own, as long as nothing waits
            await writer.drain()
        await leave(reader, writer)

    async def main():
        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port)))
            received = [await stream.receive() for _ in range(SPLITS)]
            await stream.aclose()
        assert {MESSAGE: SPLITS} == {each: received.count(each) for each in dict.fromkeys(received)}

    asyncio.run(main())


class Timed(Notes):
    """Notes when the connection was given up, in the loop's time."""

    lost_s = 0.0

    def lost(self, why: str) -> None:
        self.lost_s = asyncio.get_running_loop().time()


@pytest.mark.parametrize("fragmented", [False, True], ids=["one-frame", "fragments"])
def test_a_message_that_trickles_meets_the_limit_of_silence(raw_venue, fragmented):
    """F4: bytes, and parts of a message, are no sign of life; only a whole message is."""
    frame = text(b'{"beat": 1}')
    pieces = [frame[n : n + 1] for n in range(len(frame))]
    if fragmented:
        pieces = [text(b" ", fin=False, op=Opcode.CONT if n else Opcode.TEXT) for n in range(100)]

    left = asyncio.Event()

    async def speak(reader, writer):
        await upgraded(reader, writer)
        try:
            for piece in [frame, frame, *pieces]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(1.0)
        finally:
            left.set()

    async def main():
        clock, notes = running_clock(), Timed()
        async with raw_venue(speak) as port:
            bound = adapter(endpoint={"silence_limit_s": SILENCE_S})
            origins = {"wss://scripted.test": f"ws://127.0.0.1:{port}"}
            transport = NetTransport(clock=clock, redirects=origins)
            breaker = Breaker("scripted", Backoff(), clock, random.Random(1))
            history = History(bound, ACCOUNT, transport, Budget(Limits()), breaker, clock)
            session = Session(bound, ACCOUNT, transport, history, clock)
            session.want(TOPIC, notes, lambda: None)
            with pytest.raises(TransportError, match="nothing was received for 10 s"):
                await session.run()
            assert session.frames == 2
            assert SILENCE_S <= notes.lost_s - session.frame_s <= SILENCE_S + 1.0
            await left.wait()

    run_scaled(main(), SPEED)
