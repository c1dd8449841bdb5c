"""What a simulated venue says, passed on as a bad line would: some frames twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, Outgoing, VenueServer

__all__ = ["Relay"]


@final
class Relay:
    """A `VenueServer` before another one; it disturbs streams, and passes requests on as they are.

    Attributes:
        twice: So many of the next frames are said twice.
        said: How many frames were passed on.
        echoes: Which of them said again what the one before had said, counted from 0.
    """

    def __init__(self, server: VenueServer) -> None:
        """Disturb nothing yet."""
        self._server = server
        self.twice = 0
        self.said = 0
        self.echoes: set[int] = set()

    @property
    def stream_origins(self) -> Sequence[str]:
        """Those of the venue."""
        return self._server.stream_origins

    @property
    def rest_origins(self) -> Sequence[str]:
        """Those of the venue."""
        return self._server.rest_origins

    @property
    def faults(self) -> Mapping[str, str]:
        """Those of the venue."""
        return self._server.faults

    def inject(self, fault: str, **details: object) -> None:
        """Pass it on."""
        self._server.inject(fault, **details)

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Let the venue accept a stream, and stand between."""
        line = self._server.accept(incoming, now_ns)
        return line if isinstance(line, Answer) else _Line(self, line)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Pass it on."""
        return self._server.answer(incoming, now_ns)


@final
class _Line:
    """A `Connection` behind a relay."""

    def __init__(self, relay: Relay, line: Connection) -> None:
        self._relay = relay
        self._line = line

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        return self._passed(self._line.opened(now_ns))

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        return self._passed(self._line.received(frame, now_ns))

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        return self._passed(self._line.due(now_ns))

    def next_ns(self, now_ns: int) -> int:
        return self._line.next_ns(now_ns)

    def _passed(self, frames: Sequence[Outgoing]) -> Sequence[Outgoing]:
        relay = self._relay
        passed: list[Outgoing] = []
        for one in frames:
            passed.append(one)
            relay.said += 1
            if relay.twice and not isinstance(one, Hangup):
                relay.twice -= 1
                relay.echoes.add(relay.said)
                relay.said += 1
                passed.append(one)
        return passed
