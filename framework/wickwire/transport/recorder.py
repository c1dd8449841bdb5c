"""Records what crosses a transport, without secrets, to a file that `wickwire replay` serves.

Every line goes to the operating system at once, so a killed process loses at most the line it was writing,
and nothing waits in memory. A disk that fails ends the recording, loudly; collecting goes on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

import msgspec

from wickwire.clock import Clock
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.endpoint import Endpoint
from wickwire.errors import ConfigError, StreamClosed, WickwireError
from wickwire.model import iso
from wickwire.store import REAL
from wickwire.transport import Stream, Transport
from wickwire.transport.recording import (
    VERSION,
    Closed,
    Exchange,
    Failed,
    Header,
    Line,
    Opened,
    Received,
    Sent,
)
from wickwire.transport.scrub import MASK, Scrubber

__all__ = ["Recorder", "RecordingTransport"]

_log: Final = logging.getLogger("wickwire.recorder")

# What a reader of a reply needs. A list of what is allowed, since nobody can list what will be secret.
_KEPT: Final = frozenset({"content-type", "date", "retry-after", "last-modified", "age", "cache-control"})


@final
class Recorder:
    """One recording being written.

    Attributes:
        path: The file.
        lines: Lines written, the header not counted.
        failed: The disk failed, which ended the recording.
        lost: Lines not written because of that.
        heard: Messages and replies of the venue among the lines.
    """

    def __init__(
        self,
        path: Path,
        *,
        venue: str,
        clock: Clock,
        secrets: Iterable[str] = (),
        series: Iterable[str] = (),
        world: str = REAL,
    ) -> None:
        """Make the file, readable by its owner only, and write its header.

        Args:
            path: A file that is not there yet.
            venue: Name of the adapter whose transport this is.
            clock: Stamps the lines.
            secrets: Known secrets, such as `Account.secrets.values()`, masked wherever they occur.
            series: What will be asked for, where that is known.
            world: Whose words these will be, where not the real venue's.

        Raises:
            ConfigError: The file is there, or cannot be made.
        """
        self.path = path
        self.lines = 0
        self.failed = False
        self.lost = 0
        self.heard = 0
        self._clock = clock
        self._scrubber = Scrubber(secrets)
        self._connections = 0
        try:
            # O_EXCL follows no link that somebody else put there.
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError as exc:
            raise ConfigError(f"recording {path}: the file exists; name a new one, or remove it") from exc
        except OSError as exc:
            raise ConfigError(f"recording {path}: cannot be made: {exc.strerror}") from exc
        if not self._write(
            Header(
                wickwire="recording",
                version=VERSION,
                venue=venue,
                started=iso(clock.now_ns()),
                series=tuple(series),
                world=world,
            )
        ):
            path.unlink(missing_ok=True)
            raise ConfigError(f"recording {path}: not a line could be written; look at the disk")

    def opened(self, url: str) -> int:
        """Record an opening; return the number of the connection, from 1."""
        self._connections += 1
        self._put(Opened(at=self._now, connection=self._connections, url=self._scrubber.url(url)))
        return self._connections

    def received(self, connection: int, frame: bytes) -> None:
        """Record a message of the venue."""
        self.heard += 1
        text, data = self._payload(frame)
        self._put(Received(at=self._now, connection=connection, text=text, base64=data))

    def sent(self, connection: int, frame: str | bytes, *, secret: bool = False) -> None:
        """Record a message of ours; of a *secret* one, that it was sent and how long it was."""
        if secret:
            text = f"{MASK} ({len(frame)} {'characters' if isinstance(frame, str) else 'bytes'})"
            line = Sent(at=self._now, connection=connection, text=text)
        elif isinstance(frame, str):
            line = Sent(at=self._now, connection=connection, text=self._scrubber.text(frame))
        else:
            line = Sent(at=self._now, connection=connection, base64=self._scrubber.data(frame))
        self._put(line)

    def closed(self, connection: int, *, by: str, code: int, reason: str = "") -> None:
        """Record an end, by "venue" or "us"."""
        reason = self._scrubber.text(reason)
        self._put(Closed(at=self._now, connection=connection, by=by, code=code, reason=reason))

    def exchanged(self, request: HttpRequest, reply: HttpReply, began_ns: int) -> None:
        """Record a request that began at *began_ns*, and its reply."""
        self.heard += 1
        text, data = self._payload(reply.body)
        line = Exchange(
            at=began_ns,
            took_ns=self._now - began_ns,
            method=request.method,
            url=self._scrubber.url(request.url),
            params=self._scrubber.params(request.params),
            status=reply.status,
            headers={
                name: self._scrubber.text(value)
                for name, value in reply.headers.items()
                if name in _KEPT or "ratelimit" in name.replace("-", "")
            },
            text=text,
            base64=data,
        )
        self._put(line)

    def refused(self, url: str, why: WickwireError) -> None:
        """Record that no usable answer came."""
        self._put(Failed(at=self._now, url=self._scrubber.url(url), why=self._scrubber.text(str(why))))

    def close(self) -> None:
        """Close the file; what comes later is not recorded. Safe to repeat."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def _now(self) -> int:
        return self._clock.now_ns()

    def _payload(self, data: bytes) -> tuple[str | None, bytes | None]:
        try:
            return self._scrubber.text(data.decode()), None
        except UnicodeDecodeError:
            return None, self._scrubber.data(data)

    def _put(self, line: Line) -> None:
        if self._write(line):
            self.lines += 1
        elif self.failed:
            self.lost += 1

    def _write(self, line: Line | Header) -> bool:
        if self._file is None:
            return False
        waiting = memoryview(msgspec.json.encode(line) + b"\n")
        try:
            while waiting:  # a disk that is nearly full takes a part
                waiting = waiting[os.write(self._file, waiting) :]
        except OSError as exc:
            self.failed = True
            self.close()
            _log.error(
                "recording stopped",
                extra={"path": str(self.path), "reason": exc.strerror, "lines": self.lines},
            )
            return False
        return True


@final
class RecordingTransport:
    """A transport that records what crosses another one."""

    def __init__(
        self,
        inner: Transport,
        path: Path,
        *,
        clock: Clock,
        venue: str,
        secrets: Iterable[str] = (),
        series: Iterable[str] = (),
        world: str = REAL,
    ) -> None:
        """Record what crosses *inner* from now on; for the arguments see `Recorder`.

        Raises:
            ConfigError: The file is there, or cannot be made.
        """
        self.recorder = Recorder(path, venue=venue, clock=clock, secrets=secrets, series=series, world=world)
        self._inner = inner
        self._clock = clock

    async def open(self, endpoint: Endpoint) -> Stream:
        """Open a stream through the inner transport, whose errors pass."""
        try:
            stream = await self._inner.open(endpoint)
        except WickwireError as exc:
            self.recorder.refused(endpoint.url, exc)
            raise
        return RecordedStream(stream, self.recorder, self.recorder.opened(endpoint.url))

    async def request(self, request: HttpRequest) -> HttpReply:
        """Send one request through the inner transport, whose errors pass."""
        began_ns = self._clock.now_ns()
        try:
            reply = await self._inner.request(request)
        except WickwireError as exc:
            self.recorder.refused(request.url, exc)
            raise
        self.recorder.exchanged(request, reply, began_ns)
        return reply

    async def aclose(self) -> None:
        """Close the inner transport, then the file."""
        try:
            await self._inner.aclose()
        finally:
            self.recorder.close()


@final
class RecordedStream:
    """A stream that is being recorded."""

    def __init__(self, inner: Stream, recorder: Recorder, connection: int) -> None:
        self._inner = inner
        self._recorder = recorder
        self._connection = connection
        self._over = False

    async def receive(self) -> bytes:
        """Return the next message of the inner stream."""
        try:
            frame = await self._inner.receive()
        except StreamClosed as exc:
            self._end("venue", exc.code, exc.reason)
            raise
        self._recorder.received(self._connection, frame)
        return frame

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        """Send on the inner stream."""
        # Before it goes out: the answer must not stand in front of the question.
        self._recorder.sent(self._connection, frame, secret=secret)
        await self._inner.send(frame, secret=secret)

    async def ping(self) -> None:
        """Ping through the inner stream; pings are not recorded."""
        await self._inner.ping()

    async def aclose(self, code: int = 1000) -> None:
        """Close the inner stream."""
        self._end("us", code)
        await self._inner.aclose(code)

    def _end(self, by: str, code: int, reason: str = "") -> None:
        if not self._over:
            self._over = True
            self._recorder.closed(self._connection, by=by, code=code, reason=reason)
