"""A whole collector on virtual time: real runtime and adapters, simulated venues, and the truth beside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from wickwire import SECOND_NS, Candle, HoleKind, MemoryStore, Series, SeriesCandle, Utc
from wickwire.closer import Switch
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.simulate import SeededMarket, VenueServer
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport

DAY_NS = 86_400 * SECOND_NS


class Kept(MemoryStore):
    """A store that outlives its collector, as a file does."""

    async def aclose(self) -> None:
        """Keep everything."""


@attrs.define(eq=False)
class World:
    """Simulated venues over one market, and a collector."""

    market: SeededMarket
    servers: Mapping[str, VenueServer]
    transport: MemoryTransport
    store: MemoryStore
    collector: Collector
    switches: list[Switch] = attrs.field(factory=list)
    delivered: list[SeriesCandle] = attrs.field(factory=list)

    async def minutes(self, count: float) -> None:
        """Let so many minutes pass."""
        await asyncio.sleep(count * 60)

    async def differences(self, text: str) -> list[str]:
        """Compare what is stored of a Kraken series with the truth: every line is a broken promise."""
        series = Series.parse(text)
        [state] = [state for state in await self.store.states() if state.series == series]
        truth = {
            candle.open_ns: candle
            for candle in self.market.candles(
                series.symbol, series.timeframe, state.origin_ns, state.frontier_ns, grid=Utc()
            )
        }
        stored = {c.open_ns: c for c in await self.store.candles(series, 0, 2**62, limit=10**6)}
        lines = [f"{text} missing {truth[ns].open_time}" for ns in truth.keys() - stored.keys()]
        lines += [f"{text} invented {stored[ns].open_time}" for ns in stored.keys() - truth.keys()]
        lines += [
            f"{text} wrong {stored[ns]} instead of {truth[ns]}"
            for ns in truth.keys() & stored.keys()
            if not truth[ns].same_values(stored[ns])
        ]
        now_ns = running_clock().now_ns()
        late_s = (now_ns - state.frontier_ns) / SECOND_NS - series.timeframe.nominal_ns / SECOND_NS
        if late_s > 60:
            lines.append(f"{text} is {late_s:.0f} s behind")
        lines += [f"{text} {hole}" for hole in state.holes if hole.kind is HoleKind.MISSING]
        firsts = [c.open_ns for c in self.delivered if c.series == series and not c.revision]
        if len(firsts) != len(set(firsts)):
            lines.append(f"{text} delivered a first close twice")
        if set(firsts) != set(stored):
            lines.append(f"{text} delivered {len(firsts)} of {len(stored)}")
        return lines

    def truth(self, text: str, since_ns: int, until_ns: int) -> Sequence[Candle]:
        """Return the market's candles."""
        series = Series.parse(text)
        return self.market.candles(series.symbol, series.timeframe, since_ns, until_ns, grid=Utc())


def simulate(
    play: Callable[[World], Awaitable[None]], *names: str, seed: int = 1, shuffle: bool = False, **more: Any
) -> None:
    """Run *play* in a world in which *names* are collected."""

    async def main() -> None:
        clock = running_clock()
        await asyncio.sleep(7)  # not at the very turn of a minute
        registry = Registry()
        market = SeededMarket(seed, clock.now_ns() - DAY_NS)
        servers: dict[str, VenueServer] = {}
        for venue in {Series.parse(name).venue: None for name in names}:
            make = registry.load(venue).simulate
            assert make is not None
            servers[venue] = make(market)
        rng = random.Random(seed)
        transport = MemoryTransport(list(servers.values()), clock, latency_s=0.05, rng=rng)
        store = Kept()
        collector = Collector(store, registry=registry, transport=transport, clock=clock, rng=rng, **more)
        async with collector:
            world = World(market, servers, transport, store, collector)
            collector.on_switch(world.switches.append)
            collector.on_candle(world.delivered.append)
            for name in names:
                await collector.add(name)
            await play(world)

    run_virtual(main(), seed=seed if shuffle else None)
