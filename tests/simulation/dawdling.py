"""One who reads a feed too slowly, beside one who keeps up: what the first lost has to be counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import attrs

from wickwire import Trade
from wickwire.collector import Collector
from wickwire.health import Health

__all__ = ["Dawdler"]

BOUND: Final = 4
PAUSE_S: Final = 90.0
"""How many trades wait for it at most, and how long it takes for each: there are several a minute."""

KEEPER: Final = "who keeps up"
DAWDLER: Final = "who dawdles"


@attrs.define(eq=False)
class Dawdler:
    """Both of them, from before the first trade on.

    Attributes:
        kept: Trades that the one took who keeps up.
        taken: Those that the other one took.
    """

    kept: int = 0
    taken: int = 0

    async def run(self, collector: Collector, name: str) -> None:
        """Read the trades of a series for ever, as long as it takes."""
        fast = collector.trades(name, name=KEEPER)
        slow = collector.trades(name, name=DAWDLER, bound=BOUND)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_up(fast), name=KEEPER)
            tasks.create_task(self._dawdle(slow), name=DAWDLER)

    async def _keep_up(self, trades: AsyncIterator[Trade]) -> None:
        async for _ in trades:
            self.kept += 1

    async def _dawdle(self, trades: AsyncIterator[Trade]) -> None:
        async for _ in trades:
            self.taken += 1
            await asyncio.sleep(PAUSE_S)

    def account(self, health: Health) -> tuple[int, int] | None:
        """Return how many trades there were, and how many the slow one took, has yet to take, or lost."""
        told = {one.name: one for one in health.consumers}
        if not told.keys() >= {KEEPER, DAWDLER}:
            return None
        slow = told[DAWDLER]
        return self.kept + told[KEEPER].waiting, self.taken + slow.waiting + slow.dropped
