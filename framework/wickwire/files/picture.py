"""Where the candles of a picture stand, and what lies between them. Pure, and without any library.

Every candle has a place of its own, one wide. What lies between two of them is as wide as it lasts, up to a
bound: nights and weekends of shares, or a hole of a month, would leave no room for candles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from wickwire.holes import within
from wickwire.instants import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from wickwire.model import HoleKind, Series, SeriesCandle
from wickwire.store import SeriesState

__all__ = ["Bar", "Gap", "Picture", "laid_out", "lasting"]

_WIDEST_EMPTY: Final = 4
_WIDEST_SHARE: Final = 12
"""A hole is at most as wide as a twelfth of all candles, and at least as six of them may be."""
_LEAST_WIDEST: Final = 6
_UNITS: Final = ((DAY_NS, "d"), (HOUR_NS, "h"), (MINUTE_NS, "min"), (SECOND_NS, "s"))


@attrs.frozen
class Bar:
    """A candle, and the middle of its place."""

    place: float
    candle: SeriesCandle


@attrs.frozen
class Gap:
    """What lies between two candles.

    Attributes:
        first: Where it begins.
        last: Where it ends.
        since_ns: When it begins.
        until_ns: When it ends.
        kind: Why there are no candles; EMPTY where it is known that nothing was traded.
        is_cut: It lasts longer than it is wide.
    """

    first: float
    last: float
    since_ns: int
    until_ns: int
    kind: HoleKind
    is_cut: bool


@attrs.frozen(kw_only=True)
class Picture:
    """What there is to draw.

    Attributes:
        series: Which one.
        world: Whose candles these are.
        bars: Candles, oldest first.
        gaps: What lies before, between and after them, oldest first.
        width: The end of the last place.
    """

    series: Series
    world: str
    bars: Sequence[Bar]
    gaps: Sequence[Gap]
    width: float

    @property
    def holes(self) -> Sequence[Gap]:
        """The gaps in which candles may lack, or did."""
        return [gap for gap in self.gaps if gap.kind is not HoleKind.EMPTY]

    @property
    def revised(self) -> Sequence[Bar]:
        """The candles that were changed after they were closed."""
        return [bar for bar in self.bars if bar.candle.revision]


def laid_out(
    state: SeriesState, candles: Sequence[SeriesCandle], since_ns: int, until_ns: int, world: str
) -> Picture:
    """Return where *candles* stand that open in a range, with what *state* knows of the time between them."""
    widest = max(_LEAST_WIDEST, len(candles) // _WIDEST_SHARE)
    bars: list[Bar] = []
    gaps: list[Gap] = []
    place, now_ns = 0.0, max(since_ns, state.origin_ns)
    for candle in candles:
        for gap in _between(state, now_ns, candle.open_ns, place, widest):
            gaps.append(gap)
            place = gap.last
        bars.append(Bar(place + 0.5, candle))
        place, now_ns = place + 1, candle.close_ns
    for gap in _between(state, now_ns, min(until_ns, state.frontier_ns), place, widest):
        gaps.append(gap)
        place = gap.last
    return Picture(series=state.series, world=world, bars=bars, gaps=gaps, width=place)


def _between(state: SeriesState, since_ns: int, until_ns: int, place: float, widest: int) -> Iterator[Gap]:
    """Yield the parts of a time without candles, one after the other from *place* on."""
    length_ns = state.series.timeframe.nominal_ns
    for begin_ns, end_ns, kind in _parts(state, since_ns, until_ns):
        most = _WIDEST_EMPTY if kind is HoleKind.EMPTY else widest
        buckets = math.ceil((end_ns - begin_ns) / length_ns)
        width = min(buckets, most)
        yield Gap(place, place + width, begin_ns, end_ns, kind, buckets > most)
        place += width


def _parts(state: SeriesState, since_ns: int, until_ns: int) -> Iterator[tuple[int, int, HoleKind]]:
    for hole in sorted(within(state.holes, since_ns, until_ns)):
        if since_ns < hole.since_ns:
            yield since_ns, hole.since_ns, HoleKind.EMPTY
        yield max(since_ns, hole.since_ns), hole.until_ns, hole.kind
        since_ns = hole.until_ns
    if since_ns < until_ns:
        yield since_ns, until_ns, HoleKind.EMPTY


def lasting(length_ns: int) -> str:
    """Return how long that is in at most two units, such as `3 h 20 min`."""
    words: list[str] = []
    for unit_ns, name in _UNITS:
        count, length_ns = divmod(length_ns, unit_ns)
        if count:
            words.append(f"{count} {name}")
        if words and (len(words) == 2 or not count):  # noqa: PLR2004 - two words are enough
            break
    return " ".join(words) or "no time"
