"""What time it is for a venue: by the clock of what serves its candles, else by what its feed shows. Pure.

Three voices are kept apart, since hosts of one venue need not agree:

* what serves the candles tells its time: the Date header of history's replies, a heartbeat of the stream;
* a feed that tells no time shows some: nothing that it brings lies ahead of it;
* another host, where logins and lists come from, tells what time it is there. It settles nothing, and is
  believed about one thing only: that this machine's clock is wrong.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import attrs

from wickwire.clock import CLOCKS_AGREE_S, Comparison

__all__ = ["FeedTime", "VenueTime"]

_KEPT: Final = 8
"""How many advances of a feed count: some came at once, others when something was traded at last."""

_AGREE_NS: Final = round(CLOCKS_AGREE_S * 1e9)


@attrs.define
class FeedTime:
    """What time it must be for a feed at least, by the times in its data and how long ago they came.

    A wrong time among them, which is at most a little ahead, is forgotten after some more advances.
    """

    _latest_ns: int = 0
    _leads_ns: deque[int] = attrs.field(factory=lambda: deque(maxlen=_KEPT))

    def reached(self, feed_ns: int, now_s: float) -> None:
        """Note that data of *feed_ns* had come at *now_s* of the loop; only what is newer tells anything."""
        if feed_ns > self._latest_ns:
            self._latest_ns = int(feed_ns)  # one row with a float for a time must not spoil all questions
            self._leads_ns.append(self._latest_ns - round(now_s * 1e9))

    def at_least_ns(self, now_s: float) -> int | None:
        """Return what the feed's clock had reached for certain at *now_s* of the loop; None before data."""
        return max(self._leads_ns) + round(now_s * 1e9) if self._leads_ns else None


@attrs.define
class VenueTime:
    """The present of one venue. Its rows settle by `served` or `feed`, never by the clock of another host.

    Attributes:
        served: The clock of what serves the candles, as far as it tells.
        feed: What the data of its streams shows, which counts where `served` tells nothing.
        elsewhere: The clock of hosts of the venue that serve no candles.
    """

    served: Comparison = attrs.field(factory=Comparison)
    feed: FeedTime = attrs.field(factory=FeedTime)
    elsewhere: Comparison = attrs.field(factory=Comparison)

    @property
    def told(self) -> bool:
        """Whether what serves the candles told its time."""
        return self.served.ahead_s is not None

    @property
    def ahead_s(self) -> float | None:
        """How far our clock is ahead of the venue's; None where nothing was told, or only elsewhere.

        What is told elsewhere counts where it differs by more than any delay explains.
        """
        return self.served.ahead_s if self.told or not self.elsewhere.wrong else self.elsewhere.ahead_s

    # ----------------------------------------------------------------------------------------- what is proven

    def venue_ns(self, now_s: float) -> int | None:
        """Return the venue's time at *now_s* of the loop: as it told, or what it had reached at least.

        None where neither is known. The loop's time goes on whatever was done to the wall clock meanwhile.
        """
        return self.served.venue_ns(now_s) if self.told else self.feed.at_least_ns(now_s)

    def told_of_ns(self, then_s: float) -> int | None:
        """Return the venue's time at *then_s* of the loop, where it has told any since; None elsewhere."""
        return self.served.told_of_ns(then_s)

    def least_of_ns(self, then_s: float) -> int | None:
        """Return what the venue's time was at least at *then_s* of the loop; None where it told it, or later.

        Where the machine slept since, it may have been earlier still.
        """
        return None if self.told or then_s == math.inf else self.feed.at_least_ns(then_s)

    def agreed_ns(self, now_ns: int, now_s: float) -> int | None:
        """Return what is over for certain where our clock and that of another host agree; None elsewhere.

        Neither proves anything alone. Where both are wrong by less than `CLOCKS_AGREE_S`, what lies further
        back than that is over, however long a feed has shown nothing new.
        """
        told_ns = self.elsewhere.venue_ns(now_s)
        if self.told or told_ns is None or abs(now_ns - told_ns) > _AGREE_NS:
            return None
        return min(now_ns, told_ns) - _AGREE_NS

    # ------------------------------------------------------------------------------------ what is likely

    def at_venue_ns(self, now_ns: int, now_s: float) -> int:
        """Return what time it is for the venue, to decide what to ask it; nothing is settled by it.

        Args:
            now_ns: The present, by our clock. It counts where nothing better is known.
            now_s: The present in the loop's time.
        """
        if self.told:
            return self.served.at_venue_ns(now_ns, now_s)
        if self.elsewhere.wrong:
            now_ns = self.elsewhere.at_venue_ns(now_ns, now_s)
        return max(now_ns, self.feed.at_least_ns(now_s) or 0)

    def latest_ns(self, now_ns: int, now_s: float) -> int:
        """Return the latest that the venue's present may be; see `Comparison.latest_ns`.

        No other host makes it earlier: rows that it knows nothing of would be refused as those of a future.
        """
        if self.told:
            return self.served.latest_ns(now_ns, now_s)
        voices = (now_ns, self.elsewhere.venue_ns(now_s), self.feed.at_least_ns(now_s))
        return max(voice for voice in voices if voice is not None) + _AGREE_NS

    # --------------------------------------------------------------------------------------------- our clock

    def is_set_right(self, now_ns: int, now_s: float) -> bool:
        """Say whether our clock was wrong when it was compared, and was set by just so much since."""
        return self._compared.is_set_right(now_ns, now_s)

    def trouble(self, now_ns: int, now_s: float) -> str:
        """Say what is wrong with our clock, as far as is known since it was last set; empty for nothing."""
        return "" if self.is_set_right(now_ns, now_s) else str(self._compared)

    @property
    def _compared(self) -> Comparison:
        return self.served if self.told else self.elsewhere
