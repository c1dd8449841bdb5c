"""Collectors in a thread of their own, of simulated venues, in quick time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from wickwire import DAY_NS, HOUR_NS, MINUTE_NS, Collector, Registry, SeriesCandle
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, ScaledLoop, running_clock
from wickwire.simulate.memory import MemoryTransport

__all__ = ["KRAKEN", "PAST_NS", "PATIENCE_S", "YAHOO_HOURS", "away", "minutes", "quick", "simulated"]

KRAKEN = "kraken:BTC/USD@1m"
YAHOO_HOURS = "yahoo:BTC/USD@1h"
PAST_NS = VIRTUAL_START_NS - 5 * HOUR_NS
"""Three hours from then on are over and settled."""
PATIENCE_S = 60.0
"""So long a test waits for what has to come, on however busy a machine."""

quick = partial(ScaledLoop, 200, start_ns=VIRTUAL_START_NS)


def simulated(**more: Any) -> Callable[[], Collector]:
    """What makes a collector of simulated venues, in the thread whose loop it lives by."""

    def make() -> Collector:
        market = SeededMarket(1, VIRTUAL_START_NS - DAY_NS)
        servers = []
        for name in ("kraken", "yahoo"):
            simulate = Registry().load(name).simulate
            assert simulate is not None
            servers.append(simulate(market))
        clock = running_clock()
        transport = MemoryTransport(servers, clock, latency_s=0.05)
        return Collector(transport=transport, clock=clock, world="simulated", **more)

    return make


def away(**more: Any) -> Callable[[], Collector]:
    """What makes a collector that reaches no venue."""

    def make() -> Collector:
        clock = running_clock()
        return Collector(transport=MemoryTransport([], clock), clock=clock, world="simulated", **more)

    return make


def minutes(candles: Sequence[SeriesCandle]) -> list[int]:
    return [candle.open_ns // MINUTE_NS for candle in candles]
