"""What a host with many symbols costs: by the facade of fullon, and by a plain `Collector`, on virtual time.

`python -m tests.benchmarks.hosts 30 100 300`. Both are fed by one simulated venue, whose own work is in the
figures: what the facade costs is the difference.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import attrs

from wickwire import DAY_NS, Collector, Registry
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire_fullon import FullonQueue

MINUTES = 10


@attrs.define
class Kind:
    """The catalogue of an exchange, as a host's database has it."""

    name: str


@attrs.define
class Exchange:
    """An exchange, as a host's database has it."""

    cat_exchange: Kind
    ex_id: int = 1
    test: bool = False


@attrs.define
class Cost:
    """What one run took.

    Attributes:
        subscribing_s: CPU seconds until all was subscribed.
        running_s: CPU seconds of the minutes that followed.
        candles: So many came in them.
        tasks: So many more ran than before.
        kilobytes: So much more was held than before, where that was looked at.
    """

    subscribing_s: float = 0.0
    running_s: float = 0.0
    candles: int = 0
    tasks: int = 0
    kilobytes: float = 0.0


Place = Callable[..., Collector]


async def by_collector(symbols: Sequence[str], make: Place, came: Callable[[], object]) -> Any:
    """Subscribe with one function for all."""
    collector = make()
    await collector.__aenter__()

    async def save(_: object) -> None:
        came()

    collector.on_candle(save)
    for symbol in symbols:
        await collector.add(f"kraken:{symbol}@1m")
    return partial(collector.__aexit__, None, None, None)


async def by_facade(symbols: Sequence[str], make: Place, came: Callable[[], object]) -> Any:
    """Subscribe each as fullon's collectors do."""
    queue = FullonQueue(collector=make, clock=running_clock())
    handler = await queue.get_websocket_handler(Exchange(Kind("kraken")))

    async def save(_: object) -> None:
        came()

    for symbol in symbols:
        await handler.subscribe_ohlcv(symbol, "1m", save)
    return queue.shutdown_factory


async def measured(count: int, subscribe: Callable[..., Coroutine[Any, Any, Any]], *, memory: bool) -> Cost:
    """Run a host with so many symbols for some minutes."""
    clock, cost = running_clock(), Cost()
    await asyncio.sleep(7)
    market = SeededMarket(1, clock.now_ns() - DAY_NS, synthetic_count=count)
    symbols = [one for one in market.symbols if one.startswith("SYNTH")]
    simulate = Registry().load("kraken").simulate
    assert simulate is not None
    transport = MemoryTransport([simulate(market)], clock, latency_s=0.05, rng=random.Random(1))
    make = partial(Collector, transport=transport, world="simulated", rng=random.Random(1), clock=clock)
    came = 0

    def count_one() -> None:
        nonlocal came
        came += 1

    gc.collect()
    tasks = len(asyncio.all_tasks())
    if memory:
        tracemalloc.start()
    begun_s = time.process_time()
    end = await subscribe(symbols, make, count_one)
    cost.subscribing_s = time.process_time() - begun_s
    await asyncio.sleep(120)
    before, begun_s = came, time.process_time()
    await asyncio.sleep(MINUTES * 60)
    cost.running_s, cost.candles = time.process_time() - begun_s, came - before
    cost.tasks = len(asyncio.all_tasks()) - tasks
    if memory:
        gc.collect()
        ours = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(inclusive=False, filename_pattern="*simulat*")]
        )
        cost.kilobytes = sum(one.size for one in ours.statistics("filename")) / 1_000
        tracemalloc.stop()
    await end()
    return cost


def main(counts: Sequence[int]) -> None:
    """Measure, and print a table."""
    print("| symbols | by | candles | CPU ms a symbol, minute | ms to subscribe one | tasks | kB a symbol |")
    print("|---|---|---|---|---|---|---|")
    for count in counts:
        for name, subscribe in (("Collector", by_collector), ("facade", by_facade)):
            cost, held = (
                run_virtual(measured(count, subscribe, memory=memory), start_ns=VIRTUAL_START_NS)
                for memory in (False, True)
            )
            print(
                f"| {count} | {name} | {cost.candles} | {1_000 * cost.running_s / count / MINUTES:.2f}"
                f" | {1_000 * cost.subscribing_s / count:.2f} | {cost.tasks}"
                f" | {held.kilobytes / count:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main([*map(int, sys.argv[1:])] or [30, 100, 300])
