"""Clocks that jump: the machine's wall clock may be set, and the machine may sleep."""

from __future__ import annotations

import attrs

from wickwire.clock import Clock

__all__ = ["TrueClock", "WallClock"]


@attrs.define(eq=False)
class TrueClock:
    """What time it is for the venues; *slept_ns* is how long the loop stood while they went on."""

    loop: Clock
    slept_ns: int = 0

    def now_ns(self) -> int:
        """Return the present."""
        return self.loop.now_ns() + self.slept_ns


@attrs.define(eq=False)
class WallClock:
    """What the collector's machine says.

    Attributes:
        true: What is right.
        off_ns: How far it is ahead all the time, as clocks are.
        wrong_ns: How much further it was set ahead.
    """

    true: TrueClock
    off_ns: int = 0
    wrong_ns: int = 0

    def now_ns(self) -> int:
        """Return the present, as far as this machine knows."""
        return self.true.now_ns() + self.off_ns + self.wrong_ns
