"""How somebody wants what is collected in a simulated run, where that is not the usual way."""

from __future__ import annotations

import random
from collections.abc import Sequence

import attrs

from wickwire import Series, Timeframe

__all__ = ["Way", "polled_by", "ways"]


@attrs.frozen(kw_only=True)
class Way:
    """How somebody wants a series.

    Attributes:
        past_min: Also what was before the start, so many minutes.
        polled: Over REST, though there is a stream.
        priority: Before others.
    """

    past_min: float = 0.0
    polled: bool = False
    priority: bool = False


def ways(series: Sequence[str], rng: random.Random) -> dict[str, Way]:
    """Let a third of the candles be wanted otherwise than usual: with a past, polled, or before others."""
    found = {
        name: [
            Way(past_min=rng.uniform(5.0, 45.0)),
            Way(polled=True),
            Way(priority=True),
            Way(polled=True, priority=True),
        ][rng.randrange(4)]
        for name in series
        if rng.random() < 1 / 3
    }
    return {name: way for name, way in found.items() if isinstance(Series.parse(name).what, Timeframe)}


def polled_by(login_ahead_s: float, series: Sequence[str]) -> dict[str, Way]:
    """Let one series of DXLink be polled where the clock of its login is ahead: it is told too early."""
    first = [name for name in series if name.startswith("dxlink:")][:1]
    return {name: Way(polled=True) for name in first if login_ahead_s > 0}
