"""Where both sides of a guide live: the old program on loopback and scaled time, the new one in memory."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import re
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from wickwire import MINUTE_NS, SECOND_NS, Candle, Collector, Series, SeriesCandle, Timeframe, Utc
from wickwire.simulate.listings import Listing
from wickwire.simulate.loopback import Loopback, serve
from wickwire.simulate.loops import VIRTUAL_START_NS, run_scaled, run_virtual, running_clock
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.memory import MemoryTransport
from wickwire.simulate.server import VenueServer

FOLDER = Path(__file__).parents[2] / "docs" / "migration"
START_NS = VIRTUAL_START_NS + 40 * SECOND_NS
"""Twenty seconds before a minute ends."""
SPEED = 200
MINUTE = Timeframe.parse("1m")


def _pair(symbol: str, level: str, decimals: int, size: str, per_second: int) -> Listing:
    return Listing(
        symbol=symbol,
        price_decimals=decimals,
        size_decimals=8,
        level=Decimal(level),
        size=Decimal(size),
        trades_per_session=per_second * 86_400,
    )


LIVELY = (
    _pair("BTC/USD", "95000", 1, "0.05", 4),
    _pair("ETH/USD", "3500", 2, "0.8", 2),
    _pair("SOL/USD", "180", 2, "12", 2),
)
"""A snapshot of fifty trades reaches back for half a minute at most, as at the real venue, or less."""

Row = tuple[str, ...]


@attrs.frozen
class Trouble:
    """What a venue does at some instant of a scene."""

    after_s: float
    fault: str
    details: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Scene:
    """A venue's life for a while; the old and the new side see the same.

    Attributes:
        makes: Make the venues.
        troubles: What befalls all of them that know such a trouble.
        lasts_s: How long it is watched.
        listings: What is traded there.
        history_ns: How much of the past there is.
    """

    makes: Sequence[Callable[[SeededMarket], VenueServer]]
    troubles: Sequence[Trouble] = ()
    lasts_s: float = 250
    listings: Sequence[Listing] = LIVELY
    history_ns: int = 30 * MINUTE_NS

    def market(self) -> SeededMarket:
        return SeededMarket(5, VIRTUAL_START_NS - self.history_ns, self.listings)

    def whole_minutes(self) -> tuple[int, int]:
        """From the first minute that begins in it to the last that ends in it."""
        end_ns = START_NS + round(self.lasts_s * SECOND_NS)
        return -(-START_NS // MINUTE_NS) * MINUTE_NS, (end_ns - 10 * SECOND_NS) // MINUTE_NS * MINUTE_NS

    def truth(self, symbol: str) -> dict[int, Row]:
        """What the market's minutes are, by open time in seconds."""
        since_ns, until_ns = self.whole_minutes()
        return by_time(self.market().candles(symbol, MINUTE, since_ns, until_ns, grid=Utc()))

    def venues(self) -> Sequence[VenueServer]:
        market = self.market()
        return [make(market) for make in self.makes]

    async def befall(self, venues: Sequence[VenueServer]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for trouble in self.troubles:
            await asyncio.sleep(began + trouble.after_s - loop.time())
            for venue in venues:
                if trouble.fault in venue.faults:
                    venue.inject(trouble.fault, **trouble.details)


def by_time(candles: Sequence[Candle] | Sequence[SeriesCandle]) -> dict[int, Row]:
    return {
        row.open_ns // SECOND_NS: tuple(
            str(number.normalize()) for number in (row.open, row.high, row.low, row.close, row.volume)
        )
        for row in candles
    }


def plain(*numbers: object) -> Row:
    """Numbers that a program wrote, as they are compared."""
    return tuple(str(Decimal(str(number)).normalize()) for number in numbers)


def loaded(name: str) -> ModuleType:
    """Return a program of the guides."""
    spec = importlib.util.spec_from_file_location(f"migration_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for the types of their fields
    spec.loader.exec_module(module)
    return module


def commands(page: str) -> list[list[str]]:
    """Return the commands of a page, in words, without what they write to."""
    [block] = re.findall(r"^```console\n(.*?)^```", (FOLDER / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [shlex.split(line.partition(" > ")[0]) for line in lines]


def query_of(page: str) -> str:
    """Return what a page reads the old table with."""
    [*_, query] = commands(page)[0]
    return query


def lived_by_hand(scene: Scene, program: Callable[[Loopback], Awaitable[None]]) -> None:
    """Let an old program meet real sockets, as long as the scene lasts."""

    async def main() -> None:
        clock = running_clock()
        venues = scene.venues()
        async with serve(venues, clock) as loopback:
            try:
                async with asyncio.timeout(scene.lasts_s), asyncio.TaskGroup() as tasks:
                    tasks.create_task(scene.befall(venues))
                    await program(loopback)
            except TimeoutError:
                pass  # as it runs until somebody stops it

    run_scaled(main(), SPEED, start_ns=START_NS)


@attrs.define
class Kept:
    """A `wickwire.Sink` that keeps what it is given, of each candle the last version."""

    candles: dict[tuple[Series, int], SeriesCandle] = attrs.field(factory=dict)

    async def open(self) -> None:
        """Nothing has to be made."""

    async def aclose(self) -> None:
        """Nothing stays open."""

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        """Take candles."""
        for candle in candles:
            self.candles[candle.series, candle.open_ns] = candle


def collected(
    scene: Scene, program: Callable[[Collector], Awaitable[None]], **more: Any
) -> dict[str, dict[int, Row]]:
    """Let the new program live through a scene; return what came to a sink, in whole minutes."""
    kept = Kept()

    async def main() -> None:
        clock = running_clock()
        venues = scene.venues()
        transport = MemoryTransport(venues, clock, latency_s=0.02)
        collector = Collector(
            transport=transport,
            clock=clock,
            world="simulated",
            sinks={"kept": kept},
            rng=random.Random(3),
            **more,
        )
        try:
            async with asyncio.timeout(scene.lasts_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(scene.befall(venues))
                await program(collector)
        except TimeoutError:
            pass

    run_virtual(main(), seed=3, start_ns=START_NS)
    since_ns, until_ns = scene.whole_minutes()
    found: dict[str, list[SeriesCandle]] = {}
    for (series, open_ns), candle in kept.candles.items():
        if since_ns <= open_ns < until_ns:
            found.setdefault(str(series), []).append(candle)
    return {series: by_time(candles) for series, candles in found.items()}
