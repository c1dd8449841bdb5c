"""What a recording is made of: one JSON value a line, a header first. `docs/recordings.md` is for people.

The recorder writes these, `wickwire.simulate.replay` serves them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wickwire.store import REAL

__all__ = [
    "VERSION",
    "Closed",
    "Exchange",
    "Failed",
    "Header",
    "Line",
    "Opened",
    "Received",
    "Sent",
    "decode_line",
    "frame_of",
]

VERSION: Final = 1


class Header(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The first line.

    Attributes:
        wickwire: Always "recording".
        version: Of the format; a reader refuses what is newer than itself.
        venue: Name of the adapter.
        started: When, RFC 3339 in UTC.
        series: What was asked for, where that was known; replies do not say it.
        world: Whose words these are, where not the real venue's: a simulated one's, with its seed.
    """

    wickwire: str
    version: int
    venue: str
    started: str
    series: tuple[str, ...] = ()
    world: str = REAL


class _Payload(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Text where it is UTF-8, base64 where it is not; exactly one of them is there."""

    text: str | None = None
    base64: bytes | None = None


class Opened(msgspec.Struct, tag_field="what", tag="open", kw_only=True, omit_defaults=True):
    """A stream was opened. Times (`at`) are nanoseconds since 1970-01-01T00:00Z by the recorder's clock."""

    at: int
    connection: int
    url: str


class Received(_Payload, tag_field="what", tag="in", kw_only=True):
    """The venue sent a message."""

    at: int
    connection: int


class Sent(_Payload, tag_field="what", tag="out", kw_only=True):
    """We sent a message: `text` as text, `base64` as binary."""

    at: int
    connection: int


class Closed(msgspec.Struct, tag_field="what", tag="close", kw_only=True, omit_defaults=True):
    """A stream ended, by the "venue" or by "us"; code 1006 is an end without a close frame."""

    at: int
    connection: int
    by: str
    code: int
    reason: str = ""


class Exchange(_Payload, tag_field="what", tag="http", kw_only=True):
    """One request without headers and body, and its reply with the harmless headers."""

    at: int
    took_ns: int
    method: str
    url: str
    params: dict[str, str] = {}
    status: int
    headers: dict[str, str] = {}


class Failed(msgspec.Struct, tag_field="what", tag="failed", kw_only=True):
    """An opening or a request to which no usable answer came, and why."""

    at: int
    url: str
    why: str


Line = Opened | Received | Sent | Closed | Exchange | Failed

decode_line: Final = msgspec.json.Decoder(Line).decode
"""Reads one line after the header.

Raises `msgspec.ValidationError` or `msgspec.DecodeError`.
"""


def frame_of(line: Received | Sent) -> str | bytes:
    """Return the message of *line*."""
    return line.text if line.text is not None else line.base64 or b""
