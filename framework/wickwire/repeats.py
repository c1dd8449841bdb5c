"""What was told of one trouble already, and whether it is news when it comes again. Pure.

A reason is news the first time in an outage, whatever comes in between; while the outage lasts it is told
again after ever longer distances, with how often it came meanwhile. So a day of two reasons in turn is a
handful of lines, and so is a connection that is cut each minute.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Final

import attrs

__all__ = ["AGAIN_S", "CALM_S", "MOST_REASONS", "Repeats", "counted", "without_numbers"]

CALM_S: Final = 300.0
"""An outage is over when all went well for so long, unless said otherwise: what comes then is another one."""

AGAIN_S: Final = 6 * 3_600.0
"""After so long a reason that lasts is told again, then after twice as long, and so on."""

MOST_REASONS: Final = 16
"""So many reasons of one outage are told; whoever has more has one trouble with many words."""

_NUMBER: Final = re.compile(r"[-+\d.,]+(?:[eE][-+]?\d+)?")


def without_numbers(why: str) -> str:
    """Return *why* without its numbers: what differs in these alone is the same reason."""
    return _NUMBER.sub("", why)


def counted(times: int) -> dict[str, int]:
    """Return what a log line says of how often its reason came since it was told last: nothing of once."""
    return {"times": times} if times > 1 else {}


@attrs.define
class _Told:
    """A reason that was told: when, after how long it may be again, and how often it came since."""

    at_s: float
    wait_s: float = AGAIN_S
    since: int = 0


@attrs.define(eq=False)
class Repeats:
    """The reasons that were told of one thing that fails; nothing else about it is known here.

    Attributes:
        calm_s: An outage is over when all went well for so long.
    """

    calm_s: float = CALM_S
    _told: dict[Hashable, _Told] = attrs.field(factory=dict)
    _well_since_s: float | None = None

    def failed(self, reason: Hashable, now_s: float) -> int:
        """Note a failure; return 0 where that is no news.

        Args:
            reason: What makes it the same or another one.
            now_s: The present, in the loop's time.

        Returns:
            How often this reason came since it was told last, this time included, where it is to be told now.
        """
        if self._well_since_s is not None and now_s - self._well_since_s >= self.calm_s:
            self._told.clear()
        self._well_since_s = None
        told = self._told.get(reason)
        if told is None:
            if len(self._told) >= MOST_REASONS:
                return 0
            self._told[reason] = _Told(now_s)
            return 1
        told.since += 1
        if now_s - told.at_s < told.wait_s:
            return 0
        self._told[reason] = _Told(now_s, 2 * told.wait_s)
        return told.since

    def works(self, since_s: float) -> None:
        """Note that all has gone well since then, in the loop's time."""
        if self._well_since_s is None:
            self._well_since_s = since_s
