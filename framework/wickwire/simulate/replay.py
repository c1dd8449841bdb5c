"""A venue that says again what it once said: recordings and captures, for the shells of simulated venues.

Streams are matched by path and by what the client says first, requests by path and query; when all has been
said, the last is said again. What nobody recorded is answered by 404 and counted.
"""

from __future__ import annotations

import bisect
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, final
from urllib.parse import unquote
from weakref import WeakSet

from wickwire.errors import ConfigError
from wickwire.model import DAY_NS
from wickwire.simulate.recordings import (
    RecordedReply,
    RecordedStream,
    Recording,
    find_recordings,
    read_recording,
)
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, Outgoing

__all__ = ["RecordedServer", "recorded_servers"]

# Parameters that say how much and from when, by names that venues use: a replay cannot choose its rows, so
# they do not decide which reply fits. All others do: a reply for another symbol or interval would be a lie.
_EXTENT: Final = re.compile(
    r"since|until|from|to|start|end|(start|end)[_-]?(time|date|at)|period[12]|before|after|last|time(stamp)?"
    r"|range|limit|count|size|page|(next[_-]?)?page[_-]?token|cursor|offset|nonce",
    re.IGNORECASE,
)
_MASKED: Final = "***"


@final
class RecordedServer:
    """One venue's recordings as a `wickwire.simulate.server.VenueServer`.

    Attributes:
        venue: Name of the adapter.
        started_ns: When the earliest recording began; None for plain captures.
        ended_ns: When the latest one ended; None for plain captures.
        first_asked_ns: When it was first asked for anything; None before.
        last_asked_ns: When it was last asked for anything.
        told_ns: When it last said something that it had not said before; None where it never did.
        stream_origins: Origins that it stands in for.
        rest_origins: The same for REST.
        unmatched: How many openings and requests nothing was recorded for.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        speed: float = 1.0,
    ) -> None:
        """Serve *recordings*, all of one venue.

        Args:
            recordings: In the order in which they are to be served.
            speed: How many times faster than recorded; `math.inf` leaves no pause.

        Raises:
            ConfigError: Nothing to serve, several venues, or a speed that is not positive.
        """
        venues = sorted({recording.venue for recording in recordings})
        if len(venues) != 1:
            raise ConfigError(f"replay: expected recordings of one venue, got {', '.join(venues) or 'none'}")
        if not speed > 0:
            raise ConfigError(f"replay: the speed has to be positive, got {speed}")
        self.venue = venues[0]
        self.started_ns = min((r.started_ns for r in recordings if r.started_ns is not None), default=None)
        self.ended_ns = max((r.ended_ns for r in recordings if r.ended_ns is not None), default=None)
        self.first_asked_ns: int | None = None
        self.last_asked_ns = 0
        self.told_ns: int | None = None
        self.stream_origins: Sequence[str] = _united(r.stream_origins for r in recordings)
        self.rest_origins: Sequence[str] = _united(r.rest_origins for r in recordings)
        self.unmatched = 0
        self._speed = speed
        self._streams = [stream for recording in recordings for stream in recording.streams]
        self._served: set[int] = set()
        self._replies = [reply for recording in recordings for reply in recording.replies]
        self._cursors: dict[tuple[int, ...], int] = {}
        self._given: set[int] = set()
        self._ended: set[int] = set()
        self._clients: WeakSet[_Replayed] = WeakSet()

    @property
    def left(self) -> tuple[int, int]:
        """How many streams were not served to their end yet, and how many replies never."""
        return len(self._streams) - len(self._ended), len(self._replies) - len(self._given)

    @property
    def speaking(self) -> bool:
        """Whether anybody is in the middle of a recorded stream that was not served to its end before."""
        return any(client.speaking for client in self._clients)

    def over(self, now_ns: int) -> bool:
        """Say whether as much time has passed since it was first asked as the recording took."""
        if self.first_asked_ns is None or self.started_ns is None or self.ended_ns is None:
            return False
        return now_ns - self.first_asked_ns > (self.ended_ns - self.started_ns) / self._speed

    def stand_in_for(self, stream_origins: Sequence[str], rest_origins: Sequence[str]) -> None:
        """Answer for these origins too: a recording tells only those that were asked, and a capture none.

        Then nothing that was not recorded can reach the real venue either.
        """
        self.stream_origins = _united([self.stream_origins, stream_origins])
        self.rest_origins = _united([self.rest_origins, rest_origins])

    @property
    def faults(self) -> Mapping[str, str]:
        """None: a recording shows the faults that it recorded."""
        return {}

    def inject(self, fault: str, **details: object) -> None:
        """Refuse.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"no fault {fault!r}{details or ''}: a replay has none to switch")

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Answer an opening: with a connection if any was recorded at this path, else with 404."""
        self._asked(now_ns)
        path = unquote(incoming.path)
        if not any(stream.path in {None, path} for stream in self._streams):
            return self._unknown(incoming)
        client = _Replayed(self, path, self._speed)
        self._clients.add(client)
        return client

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer a request with the recorded reply that fits best; the last of several is repeated."""
        self._asked(now_ns)
        fitting = _best(self._replies, incoming)
        if not fitting:
            return self._unknown(incoming)
        place = self._cursors.get(fitting, 0)
        self._cursors[fitting] = place + 1
        index = fitting[min(place, len(fitting) - 1)]
        if index not in self._given:
            self._given.add(index)
            self.told_ns = now_ns
        reply = self._replies[index]
        headers = {name: value for name, value in reply.headers.items() if name != "content-type"}
        kind = reply.headers.get("content-type", "application/json")
        return Answer(status=reply.status, body=reply.body, content_type=kind, headers=headers)

    def next_stream(self, path: str) -> RecordedStream:
        """Return the connection that would be served next at *path*."""
        return self._streams[self._next(path, None)]

    def claim(self, path: str, said: str | bytes) -> tuple[int, RecordedStream, bool]:
        """Take the connection on which *said* was said, else the next; tell whether it was served before."""
        index = self._next(path, said)
        again = index in self._served
        self._served.add(index)
        return index, self._streams[index], again

    def is_news(self, index: int) -> bool:
        """Say whether nobody was told all that was said on a connection yet."""
        return index not in self._ended

    def told(self, index: int, now_ns: int, *, whole: bool) -> None:
        """Note that a client was told more of what was said on a connection, or all of it."""
        if self.is_news(index):
            self.told_ns = now_ns
        if whole:
            self._ended.add(index)

    def _asked(self, now_ns: int) -> None:
        self.first_asked_ns = now_ns if self.first_asked_ns is None else self.first_asked_ns
        self.last_asked_ns = now_ns

    def _next(self, path: str, said: str | bytes | None) -> int:
        there = [index for index, stream in enumerate(self._streams) if stream.path in {None, path}]
        fresh = [index for index in there if index not in self._served]
        same = [index for index in there if said is not None and said in self._streams[index].asked]
        for wanted in ([index for index in fresh if index in same], same[-1:], fresh):
            if wanted:
                return wanted[0]
        return there[-1]

    def _unknown(self, incoming: Incoming) -> Answer:
        self.unmatched += 1
        text = {"wickwire": "replay", "error": f"nothing recorded for {incoming.method} {incoming.path}"}
        return Answer(status=404, body=json.dumps(text).encode())


def recorded_servers(
    paths: Sequence[Path],
    *,
    venue: str | None = None,
    speed: float = 1.0,
) -> dict[str, RecordedServer]:
    """Return one server for each venue that was recorded in *paths*: files, or folders of files.

    *venue* overrides what files and folders say. They serve the origins that were
    asked; for others see `RecordedServer.stand_in_for`.

    Raises:
        ConfigError: A file cannot be read or is no recording.
    """
    by_venue: dict[str, list[Recording]] = {}
    for path in find_recordings(paths):
        recording = read_recording(path, venue=venue)
        by_venue.setdefault(recording.venue, []).append(recording)
    return {name: RecordedServer(recordings, speed=speed) for name, recordings in by_venue.items()}


@final
class _Replayed:
    """One client of a replay; a `wickwire.simulate.server.Connection`."""

    def __init__(self, server: RecordedServer, path: str, speed: float) -> None:
        self._server = server
        self._path = path
        self._speed = speed
        self._script: Sequence[tuple[int, Outgoing]] = ()
        self._said = 0
        self._began_ns: int | None = None
        self._index = -1

    @property
    def speaking(self) -> bool:
        """Whether there is more to say in its time that nobody heard yet."""
        return self._unsaid and self._server.is_news(self._index)

    @property
    def _unsaid(self) -> bool:
        return self._began_ns is not None and self._said < len(self._script)

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Say what the venue said unasked."""
        stream = self._server.next_stream(self._path)
        if stream.waits:
            return stream.greeting
        # No client ever spoke on this one, so it cannot be told from its neighbours later.
        return self._begin(b"", now_ns)

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Begin the script at the client's first message; later ones were answered in the script already."""
        return self._begin(frame, now_ns) if self._began_ns is None else self.due(now_ns)

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Say what the venue had said by now."""
        if self._began_ns is None:
            return ()
        passed_ns = float(now_ns - self._began_ns)
        until = bisect.bisect_right(self._script, passed_ns, key=lambda step: step[0] / self._speed)
        saying = [outgoing for _, outgoing in self._script[self._said : until]]
        self._said = max(self._said, until)
        if saying or not self._unsaid:
            self._server.told(self._index, now_ns, whole=not self._unsaid)
        return saying

    def next_ns(self, now_ns: int) -> int:
        """Return when the next message is due; nothing more comes tomorrow either."""
        if self._began_ns is None or not self._unsaid:
            return now_ns + DAY_NS
        due_ns = self._began_ns + math.ceil(self._script[self._said][0] / self._speed)
        return max(due_ns, now_ns + 1)

    def _begin(self, said: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        self._index, stream, again = self._server.claim(self._path, said)
        # Hanging up again and again would only make the client call again and again.
        self._script = [step for step in stream.script if not (again and isinstance(step[1], Hangup))]
        self._began_ns = now_ns
        return self.due(now_ns)


def _best(replies: Sequence[RecordedReply], incoming: Incoming) -> tuple[int, ...]:
    """Return which of *replies* fit best, in order; a plain capture only where nothing was recorded."""
    path = unquote(incoming.path)
    fits: dict[tuple[bool, int], list[int]] = {}
    plain: list[int] = []
    for index, reply in enumerate(replies):
        if reply.method is None:
            plain.append(index)
        elif reply.method == incoming.method and reply.path == path:
            fit = _fit(reply.query, incoming.query)
            if fit is not None:
                fits.setdefault(fit, []).append(index)
    return tuple(fits[max(fits)]) if fits else tuple(plain)


def _fit(recorded: Mapping[str, str], asked: Mapping[str, str]) -> tuple[bool, int] | None:
    """Return how well two queries agree, better ones greater; None where they contradict each other."""
    shared = [name for name in recorded if name in asked and not _EXTENT.fullmatch(name)]
    if any(recorded[name] not in {asked[name], _MASKED} for name in shared):
        return None
    return (dict(recorded) == dict(asked), len(shared))


def _united(many: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for origins in many for one in origins))
