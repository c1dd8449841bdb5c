"""Where the present comes from. Waiting is the event loop's (`asyncio.sleep`), stamping is a Clock's."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import attrs

__all__ = ["Clock", "LoopClock", "SystemClock"]


class Clock(Protocol):
    """Says what time it is, in nanoseconds since 1970-01-01T00:00Z."""

    def now_ns(self) -> int:
        """Return the present."""
        ...


@attrs.frozen
class SystemClock:
    """The wall clock of this machine."""

    def now_ns(self) -> int:
        """Return the present, as the operating system says."""
        return time.time_ns()


@attrs.frozen
class LoopClock:
    """A clock that goes exactly as fast as an event loop: virtual, scaled or real.

    Attributes:
        loop: The loop whose `time()` is read.
        start_ns: What the clock says when the loop's `time()` is *start_s*.
        start_s: See *start_ns*.
    """

    loop: asyncio.AbstractEventLoop
    start_ns: int
    start_s: float = 0.0

    def now_ns(self) -> int:
        """Return the present of that loop; microseconds are exact, since the loop counts in floats."""
        return self.start_ns + round((self.loop.time() - self.start_s) * 1_000_000) * 1_000
