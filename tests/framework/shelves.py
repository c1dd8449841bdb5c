"""Sinks that remember all that they were given, and what befalls them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import attrs

from wickwire import Poisoned, Quote, Series, SeriesCandle, SinkError

__all__ = ["Prices", "Shelf"]


@attrs.define(eq=False)
class Shelf:
    """A sink that remembers all that it was given, and what befalls it."""

    got: list[SeriesCandle] = attrs.field(factory=list)
    puts: list[int] = attrs.field(factory=list)
    away: bool = False
    half: bool = False  # it takes half of the next batch, and says that it took none
    mute: bool = False
    poison: set[int] = attrs.field(factory=set)
    bugs: set[int] = attrs.field(factory=set)
    unusable: str = ""
    raises: BaseException | None = None
    says: str = ""
    opened: int = 0

    async def open(self) -> None:
        if self.unusable:
            raise SinkError(self.unusable)
        self.opened += 1

    async def aclose(self) -> None:
        self.opened -= 1

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        assert self.opened == 1
        await asyncio.sleep(0.001)
        if self.away:
            raise SinkError("sink 'shelf': away")
        if self.raises is not None:
            raise self.raises
        if self.mute:
            await asyncio.sleep(10**9)
        if self.half:
            self.half = False
            self.got += candles[: len(candles) // 2]
            raise SinkError("sink 'shelf': cut")
        for candle in candles:
            if candle.seq in self.bugs:
                raise ZeroDivisionError("a bug")
            if candle.seq in self.poison:
                raise Poisoned(self.says or f"no {candle.seq}", seq=candle.seq)
        self.got += candles
        self.puts.append(len(candles))

    @property
    def held(self) -> dict[tuple[Series, int], SeriesCandle]:
        """What a reader of it finds: of each candle, the last that was put."""
        return {(one.series, one.open_ns): one for one in self.got}


@attrs.define(eq=False)
class Prices(Shelf):
    """One that takes quotes too."""

    quotes: list[dict[str, str]] = attrs.field(factory=list)
    slow_s: float = 0.0

    async def put_quotes(self, quotes: Mapping[Series, Quote]) -> None:
        if self.away:
            raise SinkError("sink 'prices': away")
        await asyncio.sleep(self.slow_s)
        self.quotes.append({str(series): str(quote.bid) for series, quote in quotes.items()})
