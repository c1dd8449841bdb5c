"""Simulated venues without sockets: a transport whose other end is in the same loop.

Nothing here waits for anything but the loop's own timers, so on a `VirtualLoop` it is as deterministic as the
venues and their client are.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Mapping, Sequence
from typing import Final, final

from wickwire.clock import Clock
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.endpoint import Endpoint
from wickwire.errors import PluginError, TransportError
from wickwire.simulate.driver import asked
from wickwire.simulate.memory_stream import ABNORMAL_CLOSURE, MemoryStream
from wickwire.simulate.requests import opening_of, reply_of, request_of
from wickwire.simulate.server import Answer, VenueServer
from wickwire.transport.failures import refused_stream
from wickwire.transport.origins import HTTP_SCHEMES, STREAM_SCHEMES, Address, Origin

__all__ = ["MemoryStream", "MemoryTransport"]

OPEN_TIMEOUT_S: Final = 10.0
"""How long opening a stream at a muted origin takes to fail."""

_CLOSED: Final = "this transport is closed; make a new one"
_parsed = functools.lru_cache(maxsize=256)(Address.parse)  # a run asks few addresses, again and again


@final
class MemoryTransport:
    """Simulated venues as a `wickwire.transport.Transport`; adapters, sessions and pollers do not notice.

    Attributes:
        opened: How many streams were asked for.
        requested: How many requests were sent.
        latency_s: Time from one end to the other; it may change while things are under way.
    """

    def __init__(
        self,
        servers: Sequence[VenueServer],
        clock: Clock,
        *,
        latency_s: float = 0.0,
        apart_s: float = 0.0,
        rng: random.Random | None = None,
    ) -> None:
        """Stand in for the origins of *servers*.

        Args:
            servers: Simulated venues; the first one that names an origin has it.
            clock: The clock that they live by, best that of the running loop.
            latency_s: Time from one end to the other.
            apart_s: One stream is slower than another by up to so much, as if it led to another machine.
            rng: Where given, each time is drawn from between half and one and a half of *latency_s*,
                and that of each stream once more, up to *apart_s*.
        """
        self._streams_at = _table(servers, STREAM_SCHEMES)
        self._rest_at = _table(servers, HTTP_SCHEMES)
        self._clock = clock
        self.latency_s = latency_s
        self._apart_s = apart_s
        self._rng = rng
        self._streams: dict[MemoryStream, None] = {}
        self._refused: dict[Origin, None] = {}
        self._muted: dict[Origin, None] = {}
        self._closed = False
        self.opened = 0
        self.requested = 0

    # -------------------------------------------------------------------------------------- as a transport

    async def open(self, endpoint: Endpoint) -> MemoryStream:
        """Open the stream that *endpoint* describes.

        Raises:
            PluginError: The URL leads where the real transport would not go, or the simulator has a bug.
            TransportError: No simulated venue has its origin, or it was refused or muted.
            VenueError: The opening request was answered with a refusing HTTP status.
        """
        self.opened += 1
        address, server = self._routed(endpoint.url, STREAM_SCHEMES, self._streams_at)
        await self._travel(address.origin, OPEN_TIMEOUT_S)
        answer = asked(server.accept, opening_of(endpoint, address), self._clock.now_ns())
        await self._travel(address.origin, OPEN_TIMEOUT_S)
        if isinstance(answer, Answer):
            raise refused_stream(address.origin, answer.status, answer.headers, self._clock.now_ns())
        more_s = self._rng.uniform(0.0, self._apart_s) if self._rng is not None else 0.0
        stream = MemoryStream(
            answer,
            self._clock,
            origin=address.origin,
            max_frame_bytes=endpoint.max_frame_bytes,
            latency=lambda: self._latency() + more_s,
            ended=self._forget,
        )
        self._streams[stream] = None
        stream.start()
        return stream

    async def request(self, request: HttpRequest) -> HttpReply:
        """Send one request and return the reply, whatever its status.

        Raises:
            PluginError: The URL leads where the real transport would not go, or the simulator has a bug.
            TransportError: No simulated venue has its origin, it was refused or muted, or it took too long.
        """
        self.requested += 1
        address, server = self._routed(request.url, HTTP_SCHEMES, self._rest_at)
        try:
            async with asyncio.timeout(request.timeout_s):
                await self._travel(address.origin, request.timeout_s)
                now_ns = self._clock.now_ns()
                answer = asked(server.answer, request_of(request, address), now_ns)
                await self._travel(address.origin, request.timeout_s)
        except TimeoutError as exc:
            raise TransportError(f"{address.origin}: no whole reply within {request.timeout_s:g} s") from exc
        return reply_of(answer, now_ns)

    async def aclose(self) -> None:
        """Close everything that is still open, and open nothing more."""
        self._closed = True
        for stream in list(self._streams):
            await stream.aclose()

    # ------------------------------------------------------------------------------------ controls of tests

    @property
    def open_streams(self) -> Sequence[MemoryStream]:
        """The streams that are open now, oldest first."""
        return tuple(self._streams)

    def cut(self, origin: str | None = None, *, code: int = ABNORMAL_CLOSURE, reason: str = "") -> int:
        """End every open stream, or those of *origin*, and return how many; reopening works at once."""
        streams = [stream for stream in self._streams if origin in (None, str(stream.origin))]
        for stream in streams:
            stream.cut(code, reason)
        return len(streams)

    def refuse(self, origin: str, *, refused: bool = True) -> None:
        """Let nothing connect to *origin* any more, or again; what is open stays open."""
        _mark(self._refused, self._known(origin), on=refused)

    def mute(self, origin: str, *, muted: bool = True) -> None:
        """Swallow all that goes to and comes from *origin*, streams that are open included, or no longer.

        A stream that was muted stays open and lost what was said meanwhile.
        """
        known = self._known(origin)
        _mark(self._muted, known, on=muted)
        for stream in self._streams:
            if stream.origin == known:
                stream.muted = muted or stream.is_stranded

    def strand(self, origin: str | None = None) -> int:
        """Let every open stream, or those of *origin*, be half open for good, and return how many were.

        So it is when a router forgets a connection: nothing comes, nothing ends. A new stream works.
        """
        streams = [stream for stream in self._streams if origin in (None, str(stream.origin))]
        for stream in streams:
            stream.strand()
        return len(streams)

    # ------------------------------------------------------------------------------------------------ inside

    def _latency(self) -> float:
        return self.latency_s * (0.5 + self._rng.random()) if self._rng is not None else self.latency_s

    async def _travel(self, origin: Origin, timeout_s: float) -> None:
        if origin in self._refused:
            raise TransportError(f"{origin} refused the connection; nothing listens there")
        if origin in self._muted:
            await asyncio.sleep(timeout_s)
            raise TransportError(f"{origin}: did not answer in time")
        await asyncio.sleep(self._latency())
        if self._closed:
            raise TransportError(_CLOSED)

    def _routed(
        self, url: str, schemes: tuple[str, ...], table: Mapping[Origin, VenueServer]
    ) -> tuple[Address, VenueServer]:
        if self._closed:
            raise TransportError(_CLOSED)
        try:
            address = _parsed(url, schemes)
        except ValueError as exc:
            raise PluginError(f"an adapter asks for an address that is not allowed: {exc}") from exc
        server = table.get(address.origin)
        if server is None:
            there = ", ".join(map(str, table)) or "none"
            raise TransportError(f"{address.origin}: no simulated venue has this origin; there are {there}")
        return address, server

    def _known(self, origin: str) -> Origin:
        for known in (*self._streams_at, *self._rest_at):
            if str(known) == origin:
                return known
        there = ", ".join(map(str, (*self._streams_at, *self._rest_at)))
        raise ValueError(f"no simulated venue has the origin {origin!r}; there are {there}")

    def _forget(self, stream: MemoryStream) -> None:
        self._streams.pop(stream, None)


def _table(servers: Sequence[VenueServer], schemes: tuple[str, ...]) -> dict[Origin, VenueServer]:
    table: dict[Origin, VenueServer] = {}
    for server in servers:
        origins = server.stream_origins if schemes is STREAM_SCHEMES else server.rest_origins
        for origin in origins:
            table.setdefault(Address.parse(origin, schemes).origin, server)
    return table


def _mark(marks: dict[Origin, None], origin: Origin, *, on: bool) -> None:
    if on:
        marks[origin] = None
    else:
        marks.pop(origin, None)
