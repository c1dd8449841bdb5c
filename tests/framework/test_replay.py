"""What was recorded is served again: to whom it fits, in order, at its pace, and nothing is invented."""

from __future__ import annotations

import asyncio
import json
import math
import os
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wickwire import ConfigError, Endpoint, HttpReply, HttpRequest, StreamClosed
from wickwire.clock import SystemClock
from wickwire.simulate.loopback import serve
from wickwire.simulate.replay import RecordedServer, recorded_servers
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, VenueServer
from wickwire.transport import Stream
from wickwire.transport.net import NetTransport
from wickwire.transport.recorder import Recorder, RecordingTransport

SECOND_NS = 1_000_000_000


@attrs.define
class Settable:
    now: int = 1_795_255_200 * SECOND_NS

    def now_ns(self) -> int:
        return self.now


def opening(path="/v2"):
    return Incoming(method="GET", path=path, query={}, headers={})


def asking(path, /, **query):
    return Incoming(method="GET", path=path, query=query, headers={})


def accepted(server: VenueServer, path: str = "/v2") -> Connection:
    connection = server.accept(opening(path), 0)
    assert not isinstance(connection, Answer)
    return connection


def served(path: Path, **options: float) -> RecordedServer:
    [server] = recorded_servers([path], **options).values()  # type: ignore[arg-type]  # what a test passes on
    return server


def record(path, *steps):
    """Write a recording: ("open"|"in"|"out"|"close"|..., seconds after the start, what)."""
    clock = Settable()
    began = clock.now
    number = 0
    recorder = Recorder(path, venue="kraken", clock=clock)
    for what, at_s, value in steps:
        clock.now = began + int(at_s * SECOND_NS)
        if what == "open":
            number = recorder.opened(value)
        elif what == "in":
            recorder.received(number, value)
        elif what == "out":
            recorder.sent(number, value)
        elif what == "close":
            recorder.closed(number, by=value[0], code=value[1])
        else:
            request, body = value
            recorder.exchanged(request, HttpReply(status=200, body=body), clock.now)
    recorder.close()
    return path


# ---------------------------------------------------------------------------------------------- streams


def test_the_venue_says_again_what_it_said_at_its_pace(tmp_path):
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("in", 1, b"status"),
        ("out", 5, "subscribe"),
        ("in", 6, b"ack"),
        ("in", 8, b"\xff"),
        ("close", 9, ("venue", 1012)),
    )
    connection = accepted(served(path))

    assert connection.opened(0) == ("status",)
    assert connection.due(100 * SECOND_NS) == ()
    began = 1000 * SECOND_NS
    assert connection.received("subscribe", began) == []
    assert connection.next_ns(began) == began + SECOND_NS
    assert connection.due(began + SECOND_NS) == ["ack"]
    assert connection.received("more", began + 2 * SECOND_NS) == []
    assert connection.due(began + 3 * SECOND_NS) == [b"\xff"]
    assert connection.due(began + 5 * SECOND_NS) == [Hangup(1012)]
    assert connection.due(began + 9 * SECOND_NS) == []
    assert connection.next_ns(began + 9 * SECOND_NS) > began + 3600 * SECOND_NS


@pytest.mark.parametrize(("speed", "due_ns"), [(2.0, SECOND_NS), (0.5, 4 * SECOND_NS), (math.inf, 0)])
def test_speed_divides_the_pauses(tmp_path, speed, due_ns):
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("out", 1, "subscribe"),
        ("in", 3, b"late"),
    )
    connection = accepted(served(path, speed=speed))
    connection.opened(0)
    said = [*connection.received("subscribe", 0)]
    if due_ns:
        assert connection.due(due_ns - 1) == []
        said += connection.due(due_ns)

    assert said == ["late"]


def test_a_venue_that_was_never_spoken_to_speaks_from_the_opening_on(tmp_path):
    path = record(
        tmp_path / "r.jsonl", ("open", 0, "wss://ws.kraken.com/v2"), ("in", 0, b"a"), ("in", 2, b"b")
    )
    connection = accepted(served(path))

    assert connection.opened(7) == ["a"]
    assert connection.due(7 + 2 * SECOND_NS) == ["b"]


def test_a_close_of_ours_is_not_the_venues(tmp_path):
    """It stays silent and open, as it would have."""
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("out", 0, "subscribe"),
        ("close", 1, ("us", 1000)),
    )
    connection = accepted(served(path, speed=math.inf))
    connection.opened(0)

    assert connection.received("subscribe", 0) == []


def test_each_client_gets_the_connection_on_which_its_words_were_said(tmp_path):
    """Two intervals of one symbol ride on two connections, and who connects first is chance."""
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("in", 0, b"hello"),
        ("out", 0, "1m"),
        ("in", 0, b"minutes"),
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("in", 0, b"hello"),
        ("out", 0, "5m"),
        ("in", 0, b"five minutes"),
    )
    server = served(path)
    first, second = accepted(server), accepted(server)

    assert first.opened(0) == second.opened(0) == ("hello",)
    assert first.received("5m", 0) == ["five minutes"]
    assert second.received("1m", 0) == ["minutes"]


def test_a_client_that_comes_again_gets_the_next_connection_then_the_last_again(tmp_path):
    """And is not hung up on for ever: the second time, the end is silence."""
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("out", 0, "s"),
        ("in", 0, b"1"),
        ("close", 0, ("venue", 1006)),
        ("open", 9, "wss://ws.kraken.com/v2"),
        ("out", 9, "s"),
        ("in", 9, b"2"),
        ("close", 9, ("venue", 1001)),
    )
    server = served(path)
    said = []
    for _ in range(3):
        connection = accepted(server)
        connection.opened(0)
        said.append(connection.received("s", 0))

    assert said == [["1", Hangup(1006)], ["2", Hangup(1001)], ["2"]]


def test_another_path_is_refused_and_counted(tmp_path):
    path = record(tmp_path / "r.jsonl", ("open", 0, "wss://ws.kraken.com/v2"), ("out", 0, "s"))
    server = served(path)
    answer = server.accept(opening("/v1"), 0)

    assert isinstance(answer, Answer)
    assert (answer.status, server.unmatched) == (404, 1)


@attrs.define
class Pacing:
    """A venue that sends *frames* to whoever opens it, pausing before each, and hangs up."""

    clock: Settable
    frames: list[tuple[int, bytes]]

    async def open(self, endpoint: Endpoint) -> Stream:
        return self

    async def receive(self) -> bytes:
        if not self.frames:
            raise StreamClosed("gone", code=1012)
        pause, frame = self.frames.pop(0)
        self.clock.now += pause
        return frame

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None: ...

    async def ping(self) -> None: ...

    async def request(self, request: HttpRequest) -> HttpReply:
        raise NotImplementedError

    async def aclose(self, code: int = 1000) -> None: ...


def recorded_conversation(path: Path, frames: list[tuple[int, bytes]], greeting: int) -> None:
    """Record: *greeting* frames come unasked, the others after our subscription, then the venue hangs up."""
    clock = Settable()
    transport = RecordingTransport(Pacing(clock, list(frames)), path, clock=clock, venue="kraken")

    async def converse() -> None:
        stream = await transport.open(Endpoint(url="wss://ws.kraken.com/v2"))
        for _ in frames[:greeting]:
            await stream.receive()
        await stream.send("subscribe")
        for _ in frames[greeting:]:
            await stream.receive()
        with pytest.raises(StreamClosed):
            await stream.receive()
        await transport.aclose()

    asyncio.run(converse())


@settings(max_examples=50, deadline=None)
@given(
    frames=st.lists(
        st.tuples(
            st.integers(0, 10 * SECOND_NS),
            st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)),
        ),
        max_size=8,
    ),
    greeting=st.integers(0, 3),
    speed=st.sampled_from([0.5, 1.0, 60.0, math.inf]),
)
def test_what_is_recorded_and_replayed_arrives_again(tmp_path_factory, frames, greeting, speed):
    """Byte for byte and in order, whatever the frames, the pauses and the speed."""
    path = tmp_path_factory.mktemp("replay") / "r.jsonl"
    recorded_conversation(path, frames, greeting)
    connection = accepted(served(path, speed=speed))
    now = 0
    said = [*connection.opened(now), *connection.received("subscribe", now)]
    while Hangup(1012) not in said:
        now = connection.next_ns(now)
        said += connection.due(now)

    arrived = [one.encode() if isinstance(one, str) else one for one in said if not isinstance(one, Hangup)]
    assert arrived == [frame for _, frame in frames]


# --------------------------------------------------------------------------------------------- requests


def ohlc(pair, since, **more):
    return HttpRequest(
        url="https://api.kraken.com/0/public/OHLC", params={"pair": pair, "since": str(since), **more}
    )


def test_a_request_is_answered_by_what_was_recorded_for_it(tmp_path):
    path = record(
        tmp_path / "r.jsonl",
        ("http", 0, (ohlc("BTC/USD", 100), b"btc 100")),
        ("http", 1, (ohlc("ETH/USD", 100), b"eth 100")),
        ("http", 2, (ohlc("BTC/USD", 200), b"btc 200")),
    )
    server = served(path)

    def ask(**query):
        return server.answer(asking("/0/public/OHLC", **query), 0).body

    # exactly, then without regard to time, in order, the last again
    assert ask(pair="BTC/USD", since="200") == b"btc 200"
    assert ask(pair="BTC/USD", since="100") == b"btc 100"
    assert [ask(pair="BTC/USD", since="7") for _ in range(3)] == [b"btc 100", b"btc 200", b"btc 200"]
    assert ask(pair="ETH/USD") == b"eth 100"
    assert server.unmatched == 0


def test_what_was_not_recorded_is_not_invented(tmp_path):
    """Another symbol, interval, path or method: 404 in nobody's shape."""
    path = record(tmp_path / "r.jsonl", ("http", 0, (ohlc("BTC/USD", 100, interval="1"), b"btc")))
    server = served(path)
    unknown = [
        asking("/0/public/OHLC", pair="ETH/USD", interval="1"),
        asking("/0/public/OHLC", pair="BTC/USD", interval="5"),
        asking("/0/public/Trades", pair="BTC/USD"),
        attrs.evolve(asking("/0/public/OHLC", pair="BTC/USD"), method="POST"),
    ]
    for number, incoming in enumerate(unknown, 1):
        answer = server.answer(incoming, 0)
        assert (answer.status, server.unmatched) == (404, number)
        assert json.loads(answer.body)["wickwire"] == "replay"


def test_a_parameter_that_the_recording_lacks_does_not_matter_but_agreement_counts(tmp_path):
    path = record(
        tmp_path / "r.jsonl",
        ("http", 0, (ohlc("BTC/USD", 1), b"any interval")),
        ("http", 1, (ohlc("BTC/USD", 1, interval="5"), b"five")),
    )
    server = served(path)

    assert server.answer(asking("/0/public/OHLC", pair="BTC/USD", interval="5", x="y"), 0).body == b"five"
    assert server.answer(asking("/0/public/OHLC", pair="BTC/USD", interval="15"), 0).body == b"any interval"


def test_a_reply_keeps_its_status_and_the_servers_time(tmp_path):
    """So that what was forming when it was asked is still forming."""
    recorder = Recorder(tmp_path / "r.jsonl", venue="kraken", clock=Settable())
    headers = {"date": "Sat, 21 Nov 2026 10:00:00 GMT", "content-type": "text/html", "retry-after": "3"}
    recorder.exchanged(ohlc("BTC/USD", 1), HttpReply(status=429, body=b"\xff", headers=headers), 0)
    recorder.close()
    answer = served(tmp_path / "r.jsonl").answer(asking("/0/public/OHLC", pair="BTC/USD"), 0)

    assert answer == Answer(
        status=429,
        body=b"\xff",
        content_type="text/html",
        headers={"date": "Sat, 21 Nov 2026 10:00:00 GMT", "retry-after": "3"},
    )


def test_a_path_is_matched_decoded(tmp_path):
    """Shells of servers hand on either form."""
    request = HttpRequest(url="https://query1.finance.yahoo.com/v8/finance/chart/%5EGSPC")
    server = served(record(tmp_path / "r.jsonl", ("http", 0, (request, b"gspc"))))

    assert server.answer(asking("/v8/finance/chart/^GSPC"), 0).body == b"gspc"
    assert server.answer(asking("/v8/finance/chart/%5EGSPC"), 0).body == b"gspc"


async def visit(path: Path, again: Path) -> tuple[list[bytes], HttpReply]:
    """Serve *path* on loopback, talk to it over real sockets as if it were the venue, and record that."""
    clock = SystemClock()
    async with serve([served(path, speed=math.inf)], clock) as loopback:
        net = NetTransport(clock=clock, redirects=loopback.redirects)
        transport = RecordingTransport(net, again, clock=clock, venue="kraken")
        reply = await transport.request(ohlc("BTC/USD", 1))
        stream = await transport.open(Endpoint(url="wss://ws.kraken.com/v2"))
        frames = [await stream.receive()]
        await stream.send("subscribe")
        try:
            while True:
                frames.append(await stream.receive())
        except StreamClosed as exc:
            frames.append(str(exc.code).encode())
        await stream.aclose()
        await transport.aclose()
    return frames, reply


def test_a_replay_recorded_over_real_sockets_is_the_same_recording(tmp_path):
    """Frames, close code, status, body and the server's time: what comes out once comes out for ever."""
    request = ohlc("BTC/USD", 1)
    date = {"date": "Sat, 21 Nov 2026 10:00:00 GMT", "content-type": "application/json"}
    first = tmp_path / "1.jsonl"
    recorder = Recorder(first, venue="kraken", clock=Settable())
    recorder.exchanged(request, HttpReply(status=520, body='{"€":1.10}'.encode(), headers=date), 0)
    number = recorder.opened("wss://ws.kraken.com/v2")
    recorder.received(number, b"status")
    recorder.sent(number, "subscribe")
    for frame in (b'{"a":1.10}', b"\xff\x00", b"", "€".encode()):
        recorder.received(number, frame)
    recorder.closed(number, by="venue", code=1013, reason="later")
    recorder.close()

    once = asyncio.run(visit(first, tmp_path / "2.jsonl"))
    twice = asyncio.run(visit(tmp_path / "2.jsonl", tmp_path / "3.jsonl"))

    assert once[0] == twice[0] == [b"status", b'{"a":1.10}', b"\xff\x00", b"", "€".encode(), b"1013"]
    for _, reply in (once, twice):
        assert (reply.status, reply.body, reply.date_ns) == (520, '{"€":1.10}'.encode(), Settable().now)


# --------------------------------------------------------------------------------- plain captures, files


def test_a_capture_of_frames_is_one_connection_without_pauses(tmp_path):
    """Nothing is said before the client has spoken; then all of it."""
    folder = tmp_path / "kraken"
    folder.mkdir()
    (folder / "ws.x.jsonl").write_bytes(b'{"a":1.10}\n\n{"b":2}\r\n')
    server = served(folder / "ws.x.jsonl")
    connection = accepted(server, "/any/path")

    assert connection.opened(0) == ()
    assert connection.received("subscribe", 5) == ['{"a":1.10}', '{"b":2}']
    assert (server.venue, server.started_ns) == ("kraken", None)


def test_a_capture_of_a_reply_answers_any_path(tmp_path):
    (tmp_path / "rest.json").write_bytes(b'{"chart":\n {}}')
    [(venue, server)] = recorded_servers([tmp_path / "rest.json"], venue="yahoo").items()

    assert venue == "yahoo"
    assert server.answer(asking("/v8/finance/chart/7974.T", range="1d"), 0).body == b'{"chart":\n {}}'


def test_a_folder_is_served_without_what_is_no_reply(tmp_path):
    for name in ("rest.a.json", "rest.a.expect.json", "ws.a.sent.jsonl", "index.json", "README.md"):
        (tmp_path / name).write_text(json.dumps({"name": name}))
    [server] = recorded_servers([tmp_path], venue="kraken").values()

    bodies = [json.loads(server.answer(asking("/"), 0).body)["name"] for _ in range(2)]
    assert bodies == ["rest.a.json", "rest.a.json"]
    assert isinstance(server.accept(opening(), 0), Answer)


def test_origins_are_the_recorded_ones_and_those_of_whom_it_stands_in_for(tmp_path):
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("http", 0, (ohlc("BTC/USD", 1), b"")),
    )
    server = served(path)
    other = served(
        record(
            tmp_path / "other.jsonl",
            ("open", 0, "wss://beta.kraken.com/v2"),
            ("http", 0, (ohlc("X", 1), b"")),
        )
    )
    server.stand_in_for(other.stream_origins, other.rest_origins)

    assert server.stream_origins == ("wss://ws.kraken.com", "wss://beta.kraken.com")
    assert server.rest_origins == ("https://api.kraken.com",)
    assert server.started_ns == Settable().now


def test_venues_are_kept_apart(tmp_path):
    for venue in ("kraken", "yahoo"):
        (tmp_path / venue).mkdir()
        (tmp_path / venue / "rest.json").write_text(venue)
    servers = recorded_servers([tmp_path / "yahoo", tmp_path / "kraken" / "rest.json"])

    assert {venue: server.answer(asking("/"), 0).body for venue, server in servers.items()} == {
        "yahoo": b"yahoo",
        "kraken": b"kraken",
    }


def test_a_recording_cut_off_by_a_kill_is_served_up_to_its_last_whole_line(tmp_path):
    path = record(
        tmp_path / "r.jsonl",
        ("open", 0, "wss://ws.kraken.com/v2"),
        ("out", 0, "s"),
        ("in", 0, b"a"),
        ("in", 0, b"b"),
    )
    path.write_bytes(path.read_bytes()[:-7])
    connection = accepted(served(path))
    connection.opened(0)

    assert connection.received("s", 0) == ["a"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("r.jsonl", '{"wickwire":"recording","version":2,"venue":"x","started":"2026-11-21"}\n', "version 2"),
        ("r.jsonl", '{"wickwire":"recording","version":1,"venue":"x","started":"soon"}\n', "line 1"),
        (
            "r.jsonl",
            '{"wickwire":"recording","version":1,"venue":"x","started":"2026-11-21"}\n{"what":"dance"}\n{}\n',
            "line 2 is not of a recording",
        ),
        ("r.csv", "a,b\n", "captures end in .json or .jsonl"),
    ],
)
def test_what_cannot_be_served_is_named_with_file_and_reason(tmp_path, name, content, why):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=rf"replay .*{name}.*{why}"):
        recorded_servers([tmp_path / name])


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl: no such file"):
        recorded_servers([tmp_path / "nowhere.jsonl"])
    with pytest.raises(ConfigError, match=r"no \.json or \.jsonl file in this folder"):
        recorded_servers([tmp_path])


def test_a_replay_has_no_faults_to_switch(tmp_path):
    (tmp_path / "rest.json").write_text("{}")
    server = served(tmp_path / "rest.json")

    assert server.faults == {}
    with pytest.raises(ValueError, match="no fault 'cut'"):
        server.inject("cut")


@pytest.mark.skipif(
    "WICKWIRE_CAPTURES" not in os.environ, reason="WICKWIRE_CAPTURES is not set: no captures here"
)
def test_every_capture_of_real_venues_can_be_served():
    """All that `index.json` calls received, and nothing else, byte for byte."""
    folder = Path(os.environ["WICKWIRE_CAPTURES"])
    index = json.loads((folder / "index.json").read_bytes())
    received = {entry["file"] for entry in index["files"] if entry["role"] == "received"}
    for venue in sorted({entry["venue"] for entry in index["files"]}):
        [(name, server)] = recorded_servers([folder / venue]).items()
        assert name == venue
        mine = sorted(folder / file for file in received if file.startswith(f"{venue}/"))
        bodies = [path.read_bytes() for path in mine if path.suffix == ".json"]
        assert [server.answer(asking("/"), 0).body for _ in bodies] == bodies
        for path in (path for path in mine if path.suffix == ".jsonl"):
            said = accepted(server).received("subscribe", 0)
            assert [line for line in path.read_text().split("\n") if line.strip()] == said
