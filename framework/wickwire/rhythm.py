"""How often a topic brings something, learnt from what it brought, and which silence is no accident. Pure."""

from __future__ import annotations

import math
from typing import Final

import attrs

__all__ = ["Rhythm"]

_LEARNING: Final = 1 / 8
_LEAST_EVENTS: Final = 8
"""What fewer events say is chance."""

_SURPRISE: Final = 7.0
"""A silence of so many usual gaps is surprising: of gaps that come by chance alone, one in a thousand."""

_SHORTEST_S: Final = 5.0
"""Less is never surprising: a network may take as long."""


@attrs.define(eq=False)
class Rhythm:
    """Learns the usual gap between two events of a topic.

    Attributes:
        gap_s: The usual gap; infinite before enough was seen.
    """

    gap_s: float = math.inf
    _events: int = 0
    _lasted_s: float = 0.0

    def saw(self, events: int, lasted_s: float) -> None:
        """Learn that so many events came in so many seconds, the last of them at the end."""
        self._events += events
        self._lasted_s += lasted_s
        if self._events < _LEAST_EVENTS:
            return
        gap_s = self._lasted_s / self._events
        self.gap_s = gap_s if math.isinf(self.gap_s) else self.gap_s + (gap_s - self.gap_s) * _LEARNING
        self._events, self._lasted_s = 0, 0.0

    @property
    def limit_s(self) -> float:
        """How long nothing may come until that is surprising."""
        return max(self.gap_s * _SURPRISE, _SHORTEST_S)
