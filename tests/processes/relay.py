"""A network that misbehaves on request: a TCP relay on loopback between a collector and a venue.

Threads and blocking sockets: it has to go on while everything that it connects is busy, stopped or dead.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, final

__all__ = ["Line", "Relay"]

_CHUNK_BYTES: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST."""
_UPGRADE: Final = b"upgrade: websocket"


@final
class Line(enum.Enum):
    """What the relay does with bytes at the moment."""

    WHOLE = "whole"
    DEAD = "dead"
    """Nothing passes and nobody is told: a cable that was pulled out."""
    MUTE = "mute"
    """Nothing passes from the venue on WebSocket connections; requests are answered."""
    TRICKLING = "trickling"
    """What the venue says on WebSocket connections comes in pieces of a few bytes, slowly."""
    REFUSING = "refusing"
    """New connections are accepted and reset at once; open ones were reset."""


class _Pair:
    """Two sockets that belong together."""

    def __init__(self, client: socket.socket, venue: socket.socket) -> None:
        self.client = client
        self.venue = venue
        self.streams = False
        self.pumps = 2

    def reset(self) -> None:
        """Close both with RST; whoever waits in one of them wakes."""
        for one in (self.client, self.venue):
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                one.shutdown(socket.SHUT_RD)
        self.close()

    def close(self) -> None:
        """Close both."""
        self.client.close()
        self.venue.close()


class Relay:
    """Passes on what comes, until told otherwise.

    Attributes:
        port: Where it listens on 127.0.0.1.
        passed: Bytes that venues sent and clients were given.
        opened: Connections that clients opened.
    """

    def __init__(self, target: int, *, piece_bytes: int = 7, pause_s: float = 0.01) -> None:
        """Relay to port *target*; when trickling, *piece_bytes* every *pause_s* seconds."""
        self._target = target
        self._piece_bytes = piece_bytes
        self._pause_s = pause_s
        self._changed = threading.Condition()
        self._line = Line.WHOLE
        self._pairs: list[_Pair] = []
        self._marks: list[tuple[int, Callable[[], object]]] = []
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed = self.opened = 0
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        """Return itself; it listens already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Reset everything."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in accept()
        self._listener.close()
        self.reset()
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def become(self, line: Line) -> None:
        """Do so from now on, with all connections."""
        with self._changed:
            self._line = line
            self._changed.notify_all()
        if line is Line.REFUSING:
            self.reset()

    def reset(self) -> None:
        """Reset all connections; new ones are welcome."""
        with self._changed:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.reset()

    def after(self, count: int, action: Callable[[], object]) -> None:
        """Call *action* when clients were given *count* more bytes, exactly, and not one after it."""
        with self._changed:
            self._marks.append((self.passed + count, action))

    def wait_passed(self, count: int, seconds: float) -> bool:
        """Wait until *count* bytes more have passed; say whether they did."""
        with self._changed:
            until = self.passed + count
            return self._changed.wait_for(lambda: self.passed >= until, seconds)

    def wait_closed(self, seconds: float) -> bool:
        """Wait until clients have closed all connections; say whether they did."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pairs, seconds)

    # ------------------------------------------------------------------------------------------- inside

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                venue = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            pair = _Pair(client, venue)
            with self._changed:
                self.opened += 1
                refused = self._line is Line.REFUSING or self._closed
                if not refused:
                    self._pairs.append(pair)
            if refused:
                pair.reset()
                continue
            for one in (client, venue):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._up, pair)
            self._start(self._down, pair)

    def _up(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while chunk := pair.client.recv(_CHUNK_BYTES):
                pair.streams = pair.streams or _UPGRADE in chunk.lower()
                self._wait_while(lambda: self._line is Line.DEAD)
                pair.venue.sendall(chunk)
            pair.venue.shutdown(socket.SHUT_WR)
        self._ended(pair)

    def _down(self, pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            while chunk := pair.venue.recv(_CHUNK_BYTES):
                while chunk:
                    muted = (Line.DEAD, Line.MUTE) if pair.streams else (Line.DEAD,)
                    self._wait_while(lambda muted=muted: self._line in muted)  # type: ignore[misc]  # bound by its default
                    chunk = self._pass_on(pair, chunk)
            pair.client.shutdown(socket.SHUT_WR)
        self._ended(pair)

    def _ended(self, pair: _Pair) -> None:
        with self._changed:
            pair.pumps -= 1
            if not pair.pumps:
                pair.close()
                self._pairs = [one for one in self._pairs if one is not pair]
                self._changed.notify_all()

    def _wait_while(self, blocked: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not blocked())

    def _pass_on(self, pair: _Pair, chunk: bytes) -> bytes:
        """Give the client a piece of *chunk*, up to the next mark; return the rest."""
        with self._changed:
            trickling = pair.streams and self._line is Line.TRICKLING
            size = min(len(chunk), self._piece_bytes) if trickling else len(chunk)
            if self._marks:
                size = min(size, self._marks[0][0] - self.passed)
            self.passed += size
            due = [action for at, action in self._marks if at <= self.passed]
            self._marks = [mark for mark in self._marks if mark[0] > self.passed]
            if trickling:
                self._changed.wait(self._pause_s)
            self._changed.notify_all()
        try:
            pair.client.sendall(chunk[:size])
        finally:  # the client may be dead already
            for action in due:
                action()
        return chunk[size:]
