"""The body of one reply, inflated piece by piece and never beyond a limit; gzip bombs exist."""

from __future__ import annotations

import zlib
from typing import Final, final

__all__ = ["ENCODINGS", "Body", "BodyError"]

ENCODINGS: Final = "gzip"
"""What we ask for in Accept-Encoding; anything else is refused rather than misread."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_STEP_BYTES: Final = 1024 * 1024


class BodyError(ValueError):
    """The body is too large, torn, or in an encoding that nobody asked for."""


@final
class Body:
    """Collects a body. Feed it what came, then finish."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Begin a body.

        Args:
            encoding: The Content-Encoding header, possibly empty.
            limit: Most bytes that the inflated body may have.

        Raises:
            BodyError: The encoding is not ours.
        """
        name = encoding.strip().lower()
        if name not in {"", "identity", "gzip", "x-gzip"}:
            raise BodyError(f"the reply is encoded as {name[:20]!r}, asked was {ENCODINGS}")
        self._inflate = zlib.decompressobj(_GZIP) if name.endswith("gzip") else None
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._fed = False

    def feed(self, data: bytes) -> None:
        """Take the next piece as it came over the line.

        Raises:
            BodyError: It is too much, or no gzip.
        """
        self._fed = self._fed or bool(data)
        if self._inflate is None:
            self._keep(data)
            return
        while data:
            if self._inflate.eof:  # a gzip file may have several members, RFC 1952, 2.2
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                self._keep(self._inflate.decompress(data, _STEP_BYTES))
            except zlib.error as exc:
                raise BodyError("the reply says gzip and is none") from exc
            data = self._inflate.unused_data or self._inflate.unconsumed_tail

    def finish(self) -> bytes:
        """Return the whole body.

        Raises:
            BodyError: It ends in the middle.
        """
        if self._inflate is not None and self._fed:
            self._keep(self._inflate.flush())
            if not self._inflate.eof:
                raise BodyError("the reply ends in the middle of its gzip data")
        return b"".join(self._parts)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise BodyError(f"the reply is larger than {self._limit} bytes")
        if data:
            self._parts.append(data)
