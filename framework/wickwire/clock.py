"""Where the present comes from. Waiting is the event loop's (`asyncio.sleep`), stamping is a Clock's."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final, Protocol

import attrs

__all__ = [
    "CLOCKS_AGREE_S",
    "Clock",
    "Comparison",
    "LoopClock",
    "Moment",
    "SystemClock",
    "ahead_s",
    "loop_s",
    "running_loop",
]

CLOCKS_AGREE_S: Final = 180.0
"""A venue's clock and ours may differ by so much; more is no delay, one of them is wrong."""

_KEPT: Final = 8
"""How many tellings of a venue's time are compared: on the way some of them took longer than others."""

_TOLD_S: Final = 0.5
"""Venues tell whole seconds: what they told had passed by so much, on average."""

_DRIFT_S: Final = 1.0
"""Our clock and the loop's time go apart by more only when one is set, or the machine sleeps."""


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


@attrs.frozen
class Moment:
    """One instant, as two clocks tell it.

    Attributes:
        ns: The wall clock's, which somebody may set, less what it is known to be ahead: buckets end by it.
        s: The event loop's, which nobody sets: waits are counted in it.
    """

    ns: int
    s: float


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of this thread; None where none runs."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def loop_s() -> float:
    """Return the time of the running loop in seconds, which no change of the wall clock moves."""
    return asyncio.get_running_loop().time()


def ahead_s(clock: Clock) -> float:
    """Return by how much *clock* is ahead of the running loop's time: another number once it was set.

    That is so where the machine slept, too: the loop's time stands still meanwhile.
    """
    return clock.now_ns() / 1e9 - loop_s()


@attrs.define
class Comparison:
    """Another clock beside ours, told apart only when one of them must be wrong.

    Attributes:
        whose: Whose clock it is, for people.
        ahead_s: How far our clock was ahead of the venue's when the venue last told its time; None before.
    """

    whose: str = "the venue's"
    ahead_s: float | None = None
    _told: tuple[int, int, float] | None = None
    _last_s: deque[float] = attrs.field(factory=lambda: deque(maxlen=_KEPT))

    def heard(self, venue_ns: int, now_ns: int, now_s: float) -> bool:
        """Note what time it is for the venue; return whether this is news: a clock turned wrong, or right.

        Args:
            venue_ns: What the venue told.
            now_ns: The present, by our clock.
            now_s: The present in the loop's time.
        """
        before = self.wrong
        if self._gone_apart_s(now_ns, now_s):
            self._last_s.clear()
        self.ahead_s = (now_ns - venue_ns) / 1e9
        self._last_s.append(self.ahead_s)
        self._told = venue_ns, now_ns, now_s
        return self.wrong != before

    def venue_ns(self, now_s: float) -> int | None:
        """Return the venue's time at *now_s* of the loop, as far as it told; None before it told any.

        The loop's time has gone on since then, whatever was done to the wall clock meanwhile.
        """
        if self._told is None:
            return None
        told_ns, _, told_s = self._told
        return told_ns + round((now_s - told_s) * 1e9)

    def told_of_ns(self, then_s: float) -> int | None:
        """Return the venue's time at *then_s* of the loop, where it has told any since; None elsewhere."""
        return None if self._told is None or self._told[2] < then_s else self.venue_ns(then_s)

    def latest_ns(self, now_ns: int, now_s: float) -> int:
        """Return the latest that a venue's present may be, at *now_ns* of ours and *now_s* of the loop.

        A clock of ours that is wrong is put right by what the venue told; while it told nothing, ours counts.
        Where ours was set since then, or the machine slept, nobody knows which, and the later one counts.
        """
        latest_ns = now_ns
        if self.ahead_s is not None and self.wrong and not self._gone_apart_s(now_ns, now_s):
            latest_ns -= round(self.ahead_s * 1e9)
        return max(latest_ns, self.venue_ns(now_s) or 0) + round(CLOCKS_AGREE_S * 1e9)

    def at_venue_ns(self, now_ns: int, now_s: float) -> int:
        """Return what time it is for the venue: *now_ns*, less what our clock is ahead.

        A clock that was set since is left as it is. It is never earlier than what the venue told, and how
        long ago that was by the loop's time: where our clock is behind, that counts.
        """
        if self._last_s and not self._gone_apart_s(now_ns, now_s):
            now_ns -= round(max(min(self._last_s) - _TOLD_S, 0.0) * 1e9)
        return max(now_ns, self.venue_ns(now_s) or 0)

    def is_set_right(self, now_ns: int, now_s: float) -> bool:
        """Say whether our clock was wrong when the venue told its time, and was set by just so much since."""
        apart_s = self._gone_apart_s(now_ns, now_s)
        return self.wrong and abs(apart_s + (self.ahead_s or 0.0)) <= CLOCKS_AGREE_S

    def _gone_apart_s(self, now_ns: int, now_s: float) -> float:
        """Return by how much our clock was set since the venue told its time, or the machine slept."""
        if self._told is None:
            return 0.0
        _, then_ns, then_s = self._told
        apart_s = (now_ns - then_ns) / 1e9 - (now_s - then_s)
        return apart_s if abs(apart_s) > _DRIFT_S else 0.0

    @property
    def wrong(self) -> bool:
        """Whether the two differ by more than any delay explains."""
        return self.ahead_s is not None and abs(self.ahead_s) > CLOCKS_AGREE_S

    def __str__(self) -> str:
        """Say what is wrong and what to do; empty where nothing is."""
        if self.ahead_s is None or not self.wrong:
            return ""
        way = "ahead of" if self.ahead_s > 0 else "behind"
        return (
            f"this machine's clock is {abs(self.ahead_s):,.0f} s {way} {self.whose}, so candles come "
            "late or not at all; set it by a time server"
        )
