"""The client's end of a simulated stream: what arrived, what is under way, and how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, final

from wickwire.clock import Clock
from wickwire.errors import PluginError, StreamClosed
from wickwire.simulate.driver import Driver
from wickwire.simulate.server import Connection, Hangup, Outgoing
from wickwire.transport.origins import Origin

__all__ = ["MemoryStream"]

UNREAD_FRAMES: Final = 256
"""With so many frames unread, the venue has nothing more fall due: policy WAIT, as TCP has it."""
MOST_UNREAD_FRAMES: Final = 65_536
"""With so many, since a client that asks and never reads is answered all the same, the venue hangs up."""

NORMAL_CLOSURE: Final = 1000
ABNORMAL_CLOSURE: Final = 1006
POLICY_VIOLATION: Final = 1008
MESSAGE_TOO_BIG: Final = 1009

_Delivery = Callable[[], None]


@final
class _Line:
    """One direction of a stream: deliveries arrive in order, each some time after it was sent."""

    def __init__(self, latency: Callable[[], float]) -> None:
        self._latency = latency
        self._loop = asyncio.get_running_loop()
        self._under_way: deque[tuple[float, _Delivery]] = deque()
        self._last_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._under_way)

    def put(self, deliver: _Delivery) -> None:
        latency_s = self._latency()
        if not latency_s and not self._under_way:
            deliver()
            return
        self._last_s = max(self._last_s, self._loop.time() + latency_s)
        self._under_way.append((self._last_s, deliver))
        self._arm()

    def clear(self) -> None:
        self._under_way.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._under_way:
            self._timer = self._loop.call_at(self._under_way[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        while self._under_way and self._under_way[0][0] <= now_s:
            self._under_way.popleft()[1]()
        self._arm()


@final
class MemoryStream:
    """One open stream; a `wickwire.transport.Stream`. Made by `MemoryTransport.open`."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        *,
        origin: Origin,
        max_frame_bytes: int,
        latency: Callable[[], float],
        ended: Callable[[MemoryStream], None],
    ) -> None:
        self.origin, self.connection = origin, connection
        self.muted = self.is_stranded = False
        self._max_frame_bytes = max_frame_bytes
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._to_server, self._to_client = _Line(latency), _Line(latency)
        self._unread: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._pings: dict[asyncio.Future[None], None] = {}
        self._end: StreamClosed | PluginError | None = None
        self._driver = Driver(connection, clock, emit=self._emit, broke=self._finish)

    @property
    def unread(self) -> int:
        """How many frames have arrived and wait to be received."""
        return len(self._unread)

    def start(self) -> None:
        """Let the server speak first."""
        self._driver.start()

    async def receive(self) -> bytes:
        """Return the next whole message. Cancelling it loses nothing.

        Raises:
            StreamClosed: The stream ended, by whomever, and all that came before was received.
            PluginError: The simulated venue has a bug.
            RuntimeError: Two tasks receive.
        """
        while not self._unread:
            if self._end is not None:
                raise self._end.with_traceback(None)
            if self._reader is not None:
                raise RuntimeError("a stream is received from by one task at a time")
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        frame = self._unread.popleft()
        if len(self._unread) < UNREAD_FRAMES // 2:
            self._driver.resume()
        return frame

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:  # noqa: ARG002 - for recorders
        """Send `str` as text, `bytes` as binary.

        Raises:
            StreamClosed: The stream ended.
        """
        self._check_open()
        self._to_server.put(lambda: None if self.muted else self._driver.received(frame))

    async def ping(self) -> None:
        """Send a WebSocket ping and return when its pong came; from a muted stream none comes.

        Raises:
            StreamClosed: The stream ended.
        """
        self._check_open()
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pings[pong] = None
        self._to_server.put(lambda: self._to_client.put(lambda: self._answer_ping(pong)))
        try:
            await pong
        finally:
            self._pings.pop(pong, None)

    async def aclose(self, code: int = NORMAL_CLOSURE) -> None:
        """Close it. Safe to repeat."""
        self._unread.clear()
        self._finish(StreamClosed(f"we closed the stream with code {code}", code=code))

    def cut(self, code: int = ABNORMAL_CLOSURE, reason: str = "") -> None:
        """End it from the venue's side, now: without a close frame when *code* is 1006."""
        self._finish(_closed(self.origin, Hangup(code, reason)))

    def strand(self) -> None:
        """Let it be half open for good: nothing passes any more, and nobody says that it ended."""
        self.muted = self.is_stranded = True

    # -------------------------------------------------------------------------------------- the other end

    def _emit(self, outgoing: Outgoing) -> None:
        self._to_client.put(lambda: self._arrived(outgoing))
        unread = len(self._unread) + len(self._to_client)
        if unread >= MOST_UNREAD_FRAMES:
            self.cut(POLICY_VIOLATION, "too slow")
        elif unread >= UNREAD_FRAMES:
            self._driver.pause()

    def _arrived(self, outgoing: Outgoing) -> None:
        if self.muted or self._end is not None:
            return
        if isinstance(outgoing, Hangup):
            self._finish(_closed(self.origin, outgoing))
            return
        frame = outgoing.encode() if isinstance(outgoing, str) else outgoing
        if len(frame) > self._max_frame_bytes:
            text = f"{self.origin} sent a frame of {len(frame)} bytes, allowed are {self._max_frame_bytes}"
            self._finish(StreamClosed(text, code=MESSAGE_TOO_BIG))
            return
        self._unread.append(frame)
        self._wake()

    def _answer_ping(self, pong: asyncio.Future[None]) -> None:
        if not self.muted and not pong.done():
            pong.set_result(None)

    def _finish(self, end: StreamClosed | PluginError) -> None:
        if self._end is not None:
            return
        self._end = end
        self._driver.stop()
        self._to_server.clear()
        self._to_client.clear()
        for pong in self._pings:
            if not pong.done():
                pong.set_exception(end)
        self._wake()
        self._ended(self)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end.with_traceback(None)


def _closed(origin: Origin, hangup: Hangup) -> StreamClosed:
    if hangup.code == ABNORMAL_CLOSURE:
        return StreamClosed(f"{origin} cut the stream without a close frame")
    reason = f" {hangup.reason!r}" if hangup.reason else ""
    text = f"{origin} closed the stream with code {hangup.code}{reason}"
    return StreamClosed(text, code=hangup.code, reason=hangup.reason)
