"""A recording holds what crossed the transport, no secret, and survives killed processes and full disks."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import stat
import subprocess
import sys

import attrs
import pytest

from wickwire import ConfigError, Endpoint, HttpReply, HttpRequest, StreamClosed, TransportError
from wickwire.transport import Stream, Transport
from wickwire.transport.recorder import Recorder, RecordingTransport

BEGAN_NS = 1_795_255_200_000_000_000


@attrs.define
class Ticking:
    """A clock that goes on by a millisecond whenever it is read."""

    now: int = BEGAN_NS

    def now_ns(self) -> int:
        self.now += 1_000_000
        return self.now


@attrs.define
class ScriptedStream:
    """A stream that brings *frames* and then ends."""

    frames: list[bytes]
    sent: list[str | bytes] = attrs.field(factory=list)

    async def receive(self) -> bytes:
        if not self.frames:
            raise StreamClosed("gone", code=1012, reason="restart")
        return self.frames.pop(0)

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        self.sent.append(frame)

    async def ping(self) -> None:
        pass

    async def aclose(self, code: int = 1000) -> None:
        pass


@attrs.define
class Scripted:
    """A transport that answers from lists."""

    frames: list[bytes] = attrs.field(factory=list)
    replies: list[HttpReply | TransportError] = attrs.field(factory=list)
    streams: list[ScriptedStream] = attrs.field(factory=list)

    async def open(self, endpoint: Endpoint) -> Stream:
        self.streams.append(ScriptedStream(list(self.frames)))
        return self.streams[-1]

    async def request(self, request: HttpRequest) -> HttpReply:
        reply = self.replies.pop(0)
        if isinstance(reply, TransportError):
            raise reply
        return reply

    async def aclose(self) -> None:
        pass


def recorded(path):
    """Return the lines of a recording, decoded."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def converse(transport: Transport) -> None:
    """Open, say two things, hear what there is until the end."""
    stream = await transport.open(Endpoint(url="wss://ws.example.com/v2?token=abc"))
    await stream.send('{"method":"subscribe"}')
    await stream.send(b"\x01")
    try:
        while True:
            await stream.receive()
    except StreamClosed:
        await stream.aclose()


def test_a_conversation_is_written_down_line_by_line(tmp_path):
    inner = Scripted(frames=[b'{"a":1.10}', b"\xff\x00"])
    transport = RecordingTransport(inner, tmp_path / "r.jsonl", clock=Ticking(), venue="kraken")
    asyncio.run(converse(transport))

    ms = 1_000_000
    at = BEGAN_NS + ms
    assert recorded(tmp_path / "r.jsonl") == [
        {"wickwire": "recording", "version": 1, "venue": "kraken", "started": "2026-11-21T10:00:00.001Z"},
        {"what": "open", "at": at + ms, "connection": 1, "url": "wss://ws.example.com/v2?token=***"},
        {"what": "out", "at": at + 2 * ms, "connection": 1, "text": '{"method":"subscribe"}'},
        {"what": "out", "at": at + 3 * ms, "connection": 1, "base64": "AQ=="},
        {"what": "in", "at": at + 4 * ms, "connection": 1, "text": '{"a":1.10}'},
        {"what": "in", "at": at + 5 * ms, "connection": 1, "base64": "/wA="},
        {
            "what": "close",
            "at": at + 6 * ms,
            "connection": 1,
            "by": "venue",
            "code": 1012,
            "reason": "restart",
        },
    ]
    assert inner.streams[0].sent == ['{"method":"subscribe"}', b"\x01"]


def test_a_request_keeps_what_is_needed_to_answer_it_again(tmp_path):
    """Not what was secret: our headers and body, and of the reply's headers those that nobody vouches for."""
    reply = HttpReply(
        status=200,
        body=b'{"error":[]}',
        headers={"date": "Sat, 21 Nov 2026 10:00:00 GMT", "set-cookie": "canary", "x-ratelimit-limit": "9"},
    )
    transport = RecordingTransport(
        Scripted(replies=[reply]), tmp_path / "r.jsonl", clock=Ticking(), venue="kraken"
    )
    request = HttpRequest(
        url="https://api.example.com/0/public/OHLC",
        params={"pair": "BTC/USD", "key": "canary"},
        headers={"authorization": "canary"},
        body=b"canary",
    )
    assert asyncio.run(transport.request(request)) is reply

    assert recorded(tmp_path / "r.jsonl")[1] == {
        "what": "http",
        "at": BEGAN_NS + 2_000_000,
        "took_ns": 1_000_000,
        "method": "GET",
        "url": "https://api.example.com/0/public/OHLC",
        "params": {"pair": "BTC/USD", "key": "***"},
        "status": 200,
        "headers": {"date": "Sat, 21 Nov 2026 10:00:00 GMT", "x-ratelimit-limit": "9"},
        "text": '{"error":[]}',
    }


def test_a_failure_is_recorded_and_passed_on(tmp_path):
    failure = TransportError("https://api.example.com: no whole reply within 15 s")
    transport = RecordingTransport(
        Scripted(replies=[failure]), tmp_path / "r.jsonl", clock=Ticking(), venue="kraken"
    )
    with pytest.raises(TransportError, match="no whole reply"):
        asyncio.run(transport.request(HttpRequest(url="https://api.example.com/x")))

    assert recorded(tmp_path / "r.jsonl")[1]["what"] == "failed"


def test_the_secrets_of_the_account_are_masked_in_both_directions(tmp_path):
    inner = Scripted(frames=[b'{"hello":"canary-key"}', b"\xffcanary-key"])
    transport = RecordingTransport(
        inner, tmp_path / "r.jsonl", clock=Ticking(), venue="alpaca", secrets=["canary-key"]
    )

    async def main():
        stream = await transport.open(Endpoint(url="wss://ws.example.com/canary-key"))
        await stream.send('{"action":"auth","key":"canary-key"}')
        assert [await stream.receive(), await stream.receive()] == [
            b'{"hello":"canary-key"}',
            b"\xffcanary-key",
        ]

    asyncio.run(main())
    assert inner.streams[0].sent == ['{"action":"auth","key":"canary-key"}']
    assert b"canary" not in (tmp_path / "r.jsonl").read_bytes()
    assert "Y2FuYXJ5" not in (tmp_path / "r.jsonl").read_text()


def test_of_a_secret_frame_only_its_length_is_kept(tmp_path):
    """Also where the recorder could not know that it holds a secret."""

    inner = Scripted()
    transport = RecordingTransport(inner, tmp_path / "r.jsonl", clock=Ticking(), venue="kraken")

    async def play():
        stream = await transport.open(Endpoint(url="wss://ws.example.com"))
        await stream.send("login hunter2", secret=True)
        await stream.send(b"hunter2", secret=True)

    asyncio.run(play())

    assert inner.streams[0].sent == ["login hunter2", b"hunter2"]
    assert ["*** (13 characters)", "*** (7 bytes)"] == [
        line["text"] for line in recorded(tmp_path / "r.jsonl")[2:]
    ]


def test_only_the_owner_may_read_a_recording(tmp_path):
    """S13: whatever the umask says."""
    old = os.umask(0)
    try:
        Recorder(tmp_path / "r.jsonl", venue="kraken", clock=Ticking()).close()
    finally:
        os.umask(old)

    assert stat.S_IMODE((tmp_path / "r.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("make", ["file", "link"])
def test_nothing_is_overwritten_or_followed(tmp_path, make):
    """S13: a link that somebody put there would let us write where he cannot."""
    path, other = tmp_path / "r.jsonl", tmp_path / "other"
    other.write_text("kept")
    if make == "file":
        path.write_text("kept")
    else:
        path.symlink_to(other)

    with pytest.raises(ConfigError, match="exists; name a new one"):
        Recorder(path, venue="kraken", clock=Ticking())
    assert {one.read_text() for one in (path, other)} == {"kept"}


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere/r.jsonl: cannot be made: No such file"):
        Recorder(tmp_path / "nowhere" / "r.jsonl", venue="kraken", clock=Ticking())


def test_a_full_disk_ends_the_recording_and_not_the_collecting(tmp_path, caplog):
    """Every write to /dev/full fails, as on a full disk: said once, counted, and the frames still come."""
    recorder = Recorder(tmp_path / "r.jsonl", venue="kraken", clock=Ticking())
    full = os.open("/dev/full", os.O_WRONLY)
    assert recorder._file is not None
    os.dup2(full, recorder._file)
    os.close(full)

    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            recorder.received(1, b"{}")

    assert (recorder.lines, recorder.lost, recorder.failed) == (0, 3, True)
    [line] = caplog.records
    assert (line.getMessage(), line.reason) == ("recording stopped", "No space left on device")


def test_a_killed_process_loses_at_most_the_line_it_was_writing(tmp_path):
    """F56: every line that was recorded before the kill is there, whole."""
    script = """
import os, signal, sys
from pathlib import Path
from wickwire.clock import SystemClock
from wickwire.transport.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), venue="kraken", clock=SystemClock())
for number in range(1000):
    recorder.received(1, b'{"number":%d}' % number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "r.jsonl"
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert [line["text"] for line in recorded(path)[1:]] == [
        f'{{"number":{number}}}' for number in range(1000)
    ]
