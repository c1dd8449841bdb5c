"""The log of events of one simulated run, and its hash: the same seed gives the same, byte for byte."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import IO, Any

import attrs

from wickwire.clock import Clock

__all__ = ["Journal"]


@attrs.define(eq=False)
class Journal:
    """Notes what happened, with its virtual time.

    Attributes:
        clock: The true time.
        out: Where the lines go, besides into the hash.
        counts: Events by kind.
    """

    clock: Clock
    out: IO[str] | None = None
    counts: Counter[str] = attrs.field(factory=Counter)
    _hash: Any = attrs.field(factory=hashlib.sha256)

    def note(self, kind: str, *words: object) -> None:
        """Note one event."""
        line = " ".join([str(self.clock.now_ns()), kind, *map(str, words)]) + "\n"
        self.counts[kind] += 1
        self._hash.update(line.encode())
        if self.out is not None:
            self.out.write(line)

    @property
    def hash(self) -> str:
        """The hash of all that was noted, as 16 hexadecimal digits."""
        return str(self._hash.hexdigest()[:16])
