"""What a folder of samples holds: frames, replies and recordings.

`*.json`, `*.bin` and `*.msgpack` hold one frame each; `*.txt` one a line; `*.jsonl` is a recording by
`wickwire record`, or one frame a line. A file whose name begins with `rest_` holds the body of a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from wickwire.errors import ConfigError
from wickwire.model import Series
from wickwire.simulate.recordings import read_recording
from wickwire.simulate.server import Hangup

__all__ = ["RecordedTalk", "Samples", "read_samples"]

WHOLE: Final = (".json", ".bin", ".msgpack")
REPLY: Final = "rest_"


@attrs.frozen
class RecordedTalk:
    """One recorded connection: what came before we said anything, and what came after."""

    source: str
    series: Sequence[Series]
    greeting: Sequence[bytes]
    frames: Sequence[bytes]


@attrs.frozen
class Samples:
    """What was found, each with the name of its file.

    Attributes:
        frames: Single frames.
        talks: Recorded connections.
        bodies: Bodies of replies, and when they were given where that is known.
    """

    frames: Sequence[tuple[str, bytes]] = ()
    talks: Sequence[RecordedTalk] = ()
    bodies: Sequence[tuple[str, bytes, int | None]] = ()


def read_samples(folder: Path) -> Samples:
    """Read *folder*, without those inside of it.

    Raises:
        ConfigError: It is not there, a file cannot be read, or nothing in it is a sample.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as exc:
        raise ConfigError(f"samples {folder}: {exc.strerror}") from exc
    frames: list[tuple[str, bytes]] = []
    talks: list[RecordedTalk] = []
    bodies: list[tuple[str, bytes, int | None]] = []
    for path in paths:
        if path.suffix == ".jsonl" and not path.name.endswith(".sent.jsonl"):
            recording = read_recording(path, venue="")
            talks += [
                RecordedTalk(
                    path.name,
                    recording.series,
                    tuple(map(_bytes, stream.greeting)),
                    tuple(_bytes(said) for _, said in stream.script if not isinstance(said, Hangup)),
                )
                for stream in recording.streams
            ]
            bodies += [
                (path.name, one.body, recording.ended_ns)
                for one in recording.replies
                if one.status == 200  # noqa: PLR2004 - OK
            ]
        elif path.suffix in WHOLE and path.name.startswith(REPLY):
            bodies.append((path.name, _read(path), None))
        elif path.suffix in WHOLE:
            frames.append((path.name, _read(path)))
        elif path.suffix == ".txt":
            frames += [(path.name, line) for line in _read(path).splitlines() if line.strip()]
    if not (frames or talks or bodies):
        raise ConfigError(f"samples {folder}: no .json, .txt, .bin, .msgpack or .jsonl file in it")
    return Samples(frames, talks, bodies)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"samples {path}: cannot be read: {exc.strerror}") from exc


def _bytes(said: str | bytes) -> bytes:
    return said.encode() if isinstance(said, str) else said
