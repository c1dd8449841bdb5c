"""Simulated venues in memory, a facade over them, and the market's truth, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs

from tests.plugins.fullon.host import Exchange, Repository
from tests.simulation.venues import Venues
from wickwire import DAY_NS, SECOND_NS, Collector, Registry
from wickwire.simulate import SeededMarket, VenueServer
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire_fullon import FullonQueue

__all__ = ["EXCHANGES", "Scene", "played"]

VENUES = ("kraken", "coinbase", "yahoo")
EXCHANGES = tuple(Exchange.named(name) for name in VENUES)


@attrs.define(eq=False, kw_only=True)
class Scene(Venues):
    """What a test plays in.

    Attributes:
        transport: The line, which can be cut.
        queue: The facade.
        repository: Where the host stores.
        saw: The tasks that there were before.
    """

    transport: MemoryTransport
    queue: FullonQueue
    repository: Repository = attrs.field(factory=Repository)
    before: set[asyncio.Task[Any]] = attrs.field(factory=asyncio.all_tasks)

    async def minutes(self, count: float) -> None:
        await asyncio.sleep(count * 60)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(running_clock().now_ns() / SECOND_NS, UTC)

    def exchange(self, name: str) -> Exchange:
        return next(one for one in EXCHANGES if one.cat_exchange.name == name)

    def refuse(self, venue: str, *, refused: bool = True) -> None:
        """Let nothing through to a venue, nor any connection that is there."""
        server = self.servers[venue]
        for origin in (*server.stream_origins, *server.rest_origins):
            self.transport.refuse(origin, refused=refused)
            if refused:
                self.transport.cut(origin)

    def wrong(self, key: str, what: str = "1m", *, behind_s: float = 90.0) -> list[str]:
        """Compare what the host stored of a symbol, from its first candle on, with the truth."""
        saved = self.repository.saved.get(key, [])
        if not saved:
            return [f"{key}: nothing stored"]
        stamps = [stamp for stamp, _ in saved]
        lines = [f"{key}: stored twice"] if len({*stamps}) < len(stamps) else []
        lines += [f"{key}: not in order"] if sorted(stamps) != stamps else []
        first_ns = round(stamps[0].timestamp()) * SECOND_NS
        until_ns = running_clock().now_ns() - round(behind_s * SECOND_NS)
        truth = self.truth(f"{key}@{what}", first_ns, max(until_ns, first_ns + 1))
        known = dict(saved)
        for candle in truth:
            values = (candle.open, candle.high, candle.low, candle.close, candle.volume)
            row = known.get(candle.open_time)
            if row is None and candle.close_ns <= until_ns:
                lines.append(f"{key}: missing {candle.open_time}")
            elif row is not None and row != tuple(map(float, values)):
                lines.append(f"{key}: {candle.open_time} is {row}, expected {values}")
        beyond = {stamp for stamp in known if stamp.timestamp() * SECOND_NS < until_ns}
        invented = beyond - {candle.open_time for candle in truth}
        return lines + [f"{key}: invented {stamp}" for stamp in sorted(invented)]

    def left(self) -> list[str]:
        """Return what runs that did not before, and streams that are open."""
        tasks = asyncio.all_tasks() - self.before
        return [task.get_name() for task in tasks] + [str(one) for one in self.transport.open_streams]


def played(
    play: Callable[[Scene], Awaitable[None]],
    *,
    days: float = 2,
    start_ns: int = VIRTUAL_START_NS,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> None:
    """Run *play* on virtual time, seven seconds after the turn of a minute.

    What *options* hold is for each collector, and *more* is for the facade.
    """

    async def main() -> None:
        clock = running_clock()
        await asyncio.sleep(7)
        registry = Registry()
        market = SeededMarket(1, clock.now_ns() - round(days * DAY_NS) // 1_000 * 1_000)
        servers: dict[str, VenueServer] = {}
        for venue in VENUES:
            make = registry.load(venue).simulate
            assert make is not None
            servers[venue] = make(market)
        transport = MemoryTransport(list(servers.values()), clock, latency_s=0.05, rng=random.Random(1))
        given = {"transport": transport, "world": "simulated", "rng": random.Random(2), **(options or {})}
        make_collector = partial(Collector, **given)
        queue = FullonQueue(adapters=registry, clock=clock, collector=make_collector, **more)
        scene = Scene(market=market, servers=servers, transport=transport, queue=queue)
        try:
            await play(scene)
        finally:
            await queue.shutdown_factory()
        assert [] == scene.left()

    run_virtual(main(), start_ns=start_ns)
