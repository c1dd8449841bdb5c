"""Reads recordings: our own, and plain captures that others made. What is served from them is in `replay`.

A plain capture is a `.jsonl` file of WebSocket messages as received, one a line, or a `.json` file that is
the body of one REST reply; its venue is the name of its folder. `docs/recordings.md` has the formats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import msgspec

from wickwire.errors import ConfigError, UsageError
from wickwire.model import Series, parse_instant
from wickwire.simulate.server import Hangup, Outgoing
from wickwire.store import REAL
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
    decode_line,
    frame_of,
)

__all__ = ["RecordedReply", "RecordedStream", "Recording", "find_recordings", "read_recording"]

_OURS: Final = b'{"wickwire"'
_IGNORED: Final = (".expect.json", ".sent.jsonl")
_ENDED_NORMALLY: Final = {1005: 1000, 1015: 1006}
"""Codes for "none said" and "TLS failed", which may not stand in a close frame (RFC 6455, 7.4.1)."""


@attrs.frozen(kw_only=True)
class RecordedStream:
    """What a venue said on one connection.

    Attributes:
        path: Of the URL, decoded; None when not known, which fits any.
        asked: What the client sent.
        greeting: What the venue said before the client said anything.
        script: What it said after, each with the nanoseconds since the client's first message, or since the
            opening where the client said nothing; all 0 where no times are known. Ends with a `Hangup` where
            the venue hung up.
        waits: It says its script only once the client has spoken.
    """

    path: str | None = None
    asked: tuple[str | bytes, ...] = ()
    greeting: tuple[str | bytes, ...] = ()
    script: tuple[tuple[int, Outgoing], ...] = ()
    waits: bool = True


@attrs.frozen(kw_only=True)
class RecordedReply:
    """One REST reply and, where it is known, the request that it answers.

    Attributes:
        method: GET or POST; None where the request is not known, which fits any.
        path: Of the request, decoded.
        query: Of the request.
        status: Of the reply.
        body: Of the reply.
        headers: The harmless ones of the reply, by lower-case name.
    """

    method: str | None = None
    path: str = ""
    query: dict[str, str] = attrs.field(factory=dict)
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Recording:
    """One file, read.

    Attributes:
        venue: Name of the adapter.
        started_ns: When the recording began; None for a plain capture.
        ended_ns: When its last line was written; None for a plain capture.
        series: What was asked for, where it says so.
        world: Whose words these are.
        streams: Connections, in the order of their opening.
        replies: REST replies, in order.
        stream_origins: Origins of the recorded streams.
        rest_origins: Origins of the recorded requests.
        failure: Where no usable answer came from first, and why; empty where all went well.
    """

    venue: str
    started_ns: int | None = None
    ended_ns: int | None = None
    series: tuple[Series, ...] = ()
    world: str = REAL
    streams: tuple[RecordedStream, ...] = ()
    replies: tuple[RecordedReply, ...] = ()
    stream_origins: tuple[str, ...] = ()
    rest_origins: tuple[str, ...] = ()
    failure: str = ""

    @property
    def silent(self) -> bool:
        """Whether the venue says nothing in it."""
        said = any(one.greeting or one.script for one in self.streams)
        return not (said or self.replies)


def find_recordings(paths: Iterable[Path]) -> list[Path]:
    """Return the files among *paths*, and those in the folders among them, without what is no recording.

    Raises:
        ConfigError: One of them does not exist, or a folder holds nothing to replay.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix in {".json", ".jsonl"})
            inside = [one for one in inside if one.name != "index.json" and not one.name.endswith(_IGNORED)]
            if not inside:
                raise ConfigError(f"replay {path}: no .json or .jsonl file in this folder")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ConfigError(f"replay {path}: no such file; `wickwire record` makes one")
    return found


def read_recording(path: Path, *, venue: str | None = None) -> Recording:
    """Read one file.

    Args:
        path: A recording, or a plain capture (`.jsonl` or `.json`).
        venue: Whose it is; by default what the recording says, else the name of the folder.

    Raises:
        ConfigError: It cannot be read or is neither; the text names the file, the line and the reason.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"replay {path}: cannot be read: {exc.strerror}") from exc
    name = venue or path.resolve().parent.name
    first, _, rest = data.partition(b"\n")
    header = _header(path, first)
    if header is not None:
        return _recording(path, header, rest, venue or header.venue)
    if path.suffix == ".json":
        return Recording(venue=name, replies=(RecordedReply(body=data),))
    if path.suffix != ".jsonl":
        raise ConfigError(
            f"replay {path}: neither a recording nor a capture; captures end in .json or .jsonl"
        )
    script = tuple((0, _outgoing(line.removesuffix(b"\r"))) for line in data.split(b"\n") if line.strip())
    return Recording(venue=name, streams=(RecordedStream(script=script),))


def _outgoing(line: bytes) -> str | bytes:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line


def _header(path: Path, first: bytes) -> Header | None:
    try:
        header = msgspec.json.decode(first, type=Header)
    except (msgspec.DecodeError, RecursionError) as exc:  # a capture's first line is something else
        if first.startswith(_OURS):
            raise ConfigError(
                f"replay {path}: a recording whose first line is broken: {exc}; record it again"
            ) from exc
        return None
    if header.wickwire != "recording" or header.version > VERSION:
        raise ConfigError(
            f"replay {path}: a {header.wickwire} of version {header.version}; version {VERSION} can be read"
        )
    return header


def _recording(path: Path, header: Header, rest: bytes, venue: str) -> Recording:
    lines = list(_lines(path, rest))
    opened = {line.connection: line for line in lines if isinstance(line, Opened)}
    exchanges = [line for line in lines if isinstance(line, Exchange)]
    try:
        started_ns = parse_instant(header.started)
        series = tuple(map(Series.parse, header.series))
    except UsageError as exc:
        raise ConfigError(f"replay {path}: line 1: {exc}") from exc
    return Recording(
        venue=venue,
        started_ns=started_ns,
        ended_ns=max([started_ns, *(line.at for line in lines)]),
        series=series,
        world=header.world,
        streams=tuple(_stream(line, lines) for line in opened.values()),
        replies=tuple(map(_reply, exchanges)),
        stream_origins=_origins(line.url for line in opened.values()),
        rest_origins=_origins(line.url for line in exchanges),
        failure=next((f"{line.url}: {line.why}" for line in lines if isinstance(line, Failed)), ""),
    )


def _lines(path: Path, rest: bytes) -> Iterator[Line]:
    numbered = list(enumerate(rest.split(b"\n"), start=2))
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            yield decode_line(line)
        except msgspec.DecodeError as exc:
            if number == numbered[-1][0]:
                return  # the process was killed while it wrote this line, which has no end
            raise ConfigError(f"replay {path}: line {number} is not of a recording: {exc}") from exc


def _stream(opened: Opened, lines: Sequence[Line]) -> RecordedStream:
    mine = [
        line
        for line in lines
        if isinstance(line, Received | Sent | Closed) and line.connection == opened.connection
    ]
    spoke = next((index for index, line in enumerate(mine) if isinstance(line, Sent)), None)
    began_ns = opened.at if spoke is None else mine[spoke].at
    greeting = [] if spoke is None else mine[:spoke]
    script: list[tuple[int, Outgoing]] = []
    for line in mine[0 if spoke is None else spoke :]:
        if isinstance(line, Received):
            script.append((line.at - began_ns, frame_of(line)))
        elif isinstance(line, Closed) and line.by == "venue":
            code = _ENDED_NORMALLY.get(line.code, line.code)
            script.append((line.at - began_ns, Hangup(code, line.reason)))
    return RecordedStream(
        path=_path(opened.url),
        asked=tuple(frame_of(line) for line in mine if isinstance(line, Sent)),
        greeting=tuple(frame_of(line) for line in greeting if isinstance(line, Received)),
        script=tuple(script),
        waits=spoke is not None,
    )


def _reply(line: Exchange) -> RecordedReply:
    query = dict(parse_qsl(urlsplit(line.url).query, keep_blank_values=True))
    return RecordedReply(
        method=line.method,
        path=_path(line.url),
        query=query | line.params,
        status=line.status,
        body=line.text.encode() if line.text is not None else line.base64 or b"",
        headers=line.headers,
    )


def _path(url: str) -> str:
    return unquote(urlsplit(url).path) or "/"


def _origins(urls: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in urls))
