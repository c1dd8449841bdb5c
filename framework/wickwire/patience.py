"""How long a silent series is believed to be quiet, by what was seen of it before. Pure."""

from __future__ import annotations

import math
from typing import Final

import attrs

__all__ = ["Patience"]

_SURPRISE: Final = 0.05
"""An empty bucket is asked about when so improbable, by what was seen of the series before."""
_LONGEST: Final = 10
_LEARNING: Final = 1 / 16
_LEARNT_AT_ONCE: Final = 64
"""Empty buckets of one page that are learnt from: as many say all that there is to say."""


@attrs.define(eq=False)
class Patience:
    """Learns how often the buckets of a series are empty.

    Attributes:
        emptiness: Learnt share of buckets without a candle, 0 to 1.
    """

    emptiness: float = 0.0

    def traded(self) -> None:
        """Learn of a bucket with a candle."""
        self.emptiness -= self.emptiness * _LEARNING

    def empty(self, buckets: int) -> None:
        """Learn of so many buckets that were proven empty."""
        for _ in range(min(_LEARNT_AT_ONCE, buckets)):
            self.emptiness += (1.0 - self.emptiness) * _LEARNING

    @property
    def buckets(self) -> int:
        """How many buckets may stay empty before history is asked, 1 to 10."""
        if self.emptiness <= _SURPRISE:
            return 1
        return min(_LONGEST, math.ceil(math.log(_SURPRISE) / math.log(self.emptiness)))
