"""A sink as a collector meets it: what is in it outlives the process, and it is away now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import attrs

from tests.simulation.journal import Journal
from tests.simulation.shelf import Shelf
from wickwire import Series, SeriesCandle, SinkError

__all__ = ["Basin", "Pipe"]

AWAY_S: Final = 1_200.0
"""For so long it is away at most."""
OFTEN: Final = 0.02
"""How many of the batches find it away, or are taken in part only."""


@attrs.define(eq=False)
class Basin:
    """What went into the sink, in all lives.

    Attributes:
        journal: Where what was put is noted.
        rng: What befalls it.
        well_s: From then on nothing does, in the loop's time.
        held: What a reader finds, by series and open time: of each candle the highest revision.
        fell_back: What was put of a candle after something newer of it, in one life.
    """

    journal: Journal
    rng: random.Random
    well_s: float
    held: dict[tuple[Series, int], SeriesCandle] = attrs.field(factory=dict)
    fell_back: list[str] = attrs.field(factory=list)
    _away_s: float = 0.0

    def befall(self) -> str:
        """Return what is to happen to the next batch: "away", "half" or nothing."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self.well_s:
            return ""
        if now_s >= self._away_s and self.rng.random() < OFTEN:
            self._away_s = now_s + AWAY_S * self.rng.random() ** 2
        if now_s < self._away_s:
            return "away"
        return "half" if self.rng.random() < OFTEN else ""

    def take(self, one: SeriesCandle) -> None:
        """Keep one candle, unless what is there is newer."""
        key = one.series, one.open_ns
        if key not in self.held or self.held[key].revision <= one.revision:
            self.held[key] = one


@attrs.define(eq=False)
class Pipe:
    """One life's way into it."""

    basin: Basin
    shelf: Shelf
    last_seq: int = 0

    async def open(self) -> None:
        """Nothing to do: whether it is there is seen when something is put."""

    async def aclose(self) -> None:
        """Nothing to do."""

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        """Take *candles*, all, half of them, or none."""
        basin = self.basin
        await self.shelf.answering(0.01 * basin.rng.random())
        befalls = basin.befall()
        basin.journal.note("put", len(candles), candles[-1].seq, befalls)
        if befalls == "away":
            raise SinkError("simulated sink: connection refused")
        for one in candles[: len(candles) // 2] if befalls else candles:
            basin.take(one)
        if befalls:
            raise SinkError("simulated sink: the connection was cut before the answer came")
        for one in candles:
            if one.seq <= self.last_seq:
                basin.fell_back.append(f"{one.series} {one.open_ns}: {one.seq} after {self.last_seq}")
            self.last_seq = one.seq
