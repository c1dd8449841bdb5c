"""A tiny simulated venue: it repeats what it hears, and does on request what venues do to their clients."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from wickwire.model import SECOND_NS
from wickwire.simulate import Answer, Connection, Hangup, Incoming, Outgoing

STREAM = "wss://echo.example"
REST = "https://echo.example"


class EchoConnection:
    """Says hello, repeats messages; `tick`, `big N`, `bye CODE REASON`, `many N` and `bug` are orders."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self._next_tick_ns: int | None = None
        self._ticks = 0

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        return ("hello",)

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        self.heard.append(frame)
        if isinstance(frame, bytes):
            return (frame,)
        order, *rest = frame.split(" ", 2)
        match order:
            case "tick":
                self._next_tick_ns = now_ns + SECOND_NS
                return ()
            case "big":
                return (b"x" * int(rest[0]),)
            case "many":
                return tuple(f"answer {number}" for number in range(int(rest[0])))
            case "bye":
                return ("last words", Hangup(int(rest[0]), rest[1] if len(rest) > 1 else ""), "never said")
            case "bug":
                raise ZeroDivisionError("a bug of the simulator")
            case _:
                return (frame,)

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        said: list[Outgoing] = []
        while self._next_tick_ns is not None and self._next_tick_ns <= now_ns:
            self._ticks += 1
            said.append(f"tick {self._ticks} due {self._next_tick_ns} at {now_ns}")
            self._next_tick_ns += SECOND_NS
        return said

    def next_ns(self, now_ns: int) -> int:
        return self._next_tick_ns or now_ns + 60 * SECOND_NS


class EchoVenue:
    """A `VenueServer`; `/busy` refuses streams, `/bug` is one."""

    stream_origins: Sequence[str] = (STREAM,)
    rest_origins: Sequence[str] = (REST,)
    faults: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.connections: list[EchoConnection] = []

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        if incoming.path == "/busy":
            return Answer(status=429, body=b"busy", headers={"Retry-After": "7"})
        self.connections.append(EchoConnection())
        return self.connections[-1]

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        if incoming.path == "/bug":
            raise ZeroDivisionError("a bug of the simulator")
        said = {
            "method": incoming.method,
            "path": incoming.path,
            "query": dict(incoming.query),
            "key": incoming.headers.get("x-key"),
            "body": incoming.body.decode(),
            "now_ns": now_ns,
        }
        return Answer(
            status=404 if incoming.path == "/missing" else 200,
            body=json.dumps(said).encode(),
            headers={"X-Left": "3"},
        )

    def inject(self, fault: str, **details: object) -> None:
        raise ValueError("the echo venue has no faults")
