"""A candle that an older one holds up is called back when that is settled, and nothing looks meanwhile."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs

from wickwire import MINUTE_NS, Candle, Change, Closing, Evidence, Hole, HoleKind, Rung, Series, SeriesState
from wickwire.fanout import CandleReader
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire_fullon.calling import HostCall
from wickwire_fullon.candle_calls import CandleCalls
from wickwire_fullon.told_store import ToldStore

SERIES = Series.parse("kraken:BTC/USD@1m")
FIRST_NS = VIRTUAL_START_NS


class Counted(ToldStore):
    """A store that counts how often it is asked what is known."""

    loads = 0

    async def load(self, series: Series) -> Any:
        self.loads += 1
        return await super().load(series)


@attrs.define
class Waiting:
    """Minutes of which the second is missing, and a host that is called with the others.

    Attributes:
        came: Which minutes it was called with, and when, in the loop's time.
    """

    store: Counted = attrs.field(factory=Counted)
    came: list[tuple[int, float]] = attrs.field(factory=list)

    def call(self, open_ns: int) -> None:
        minute = (open_ns - FIRST_NS) // MINUTE_NS
        self.came.append((minute, round(asyncio.get_running_loop().time())))

    def calls(self, patience_s: float) -> CandleCalls:
        call = HostCall(self.call, lambda row: row.open_ns, "kraken", "BTC/USD")
        reader = CandleReader(self.store, {SERIES}, 0)
        return CandleCalls(call, SERIES, self.store, reader, running_clock(), FIRST_NS, patience_s)

    async def commit(self, frontier: int, *minutes: int, hole: HoleKind) -> None:
        state = SeriesState(
            series=SERIES,
            origin_ns=FIRST_NS,
            frontier_ns=FIRST_NS + frontier * MINUTE_NS,
            holes=(Hole(FIRST_NS + MINUTE_NS, FIRST_NS + 2 * MINUTE_NS, hole),),
        )
        await self.store.commit([Change(state=state, closings=[closing(minute) for minute in minutes])])


def closing(minute: int) -> Closing:
    opens, one = FIRST_NS + minute * MINUTE_NS, Decimal(1)
    row = Candle(SERIES.symbol, SERIES.timeframe, opens, opens + MINUTE_NS, one, one, one, one, one)
    return Closing(row, Evidence.VENUE, Rung.STREAM)


def test_what_is_settled_without_a_candle_lets_the_next_one_go_at_once() -> None:
    waiting = Waiting()

    async def main() -> None:
        calls = waiting.calls(600.0)
        await waiting.commit(3, 0, 2, hole=HoleKind.MISSING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(calls.run())
            await asyncio.sleep(301.5)
            looked = waiting.store.loads
            await waiting.commit(3, hole=HoleKind.EMPTY)
            await asyncio.sleep(300)
            calls.end()
        assert looked < 15, "it is told, so that it need not look all the time"
        assert {} == waiting.store._told

    run_virtual(main())
    assert [(0, 0), (2, 302)] == waiting.came


def test_what_is_never_settled_is_waited_for_as_long_as_the_host_is_patient() -> None:
    waiting = Waiting()

    async def main() -> None:
        calls = waiting.calls(100.0)
        await waiting.commit(3, 0, 2, hole=HoleKind.MISSING)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(calls.run())
            await asyncio.sleep(200)
            calls.end()

    run_virtual(main())
    assert [(0, 0), (2, 100)] == waiting.came


def test_only_changes_of_its_own_series_are_told() -> None:
    told: list[str] = []
    waiting = Waiting()

    async def main() -> None:
        waiting.store.tell(Series.parse("kraken:ETH/USD@1m"), lambda: told.append("other"))
        waiting.store.tell(SERIES, lambda: told.append("this"))
        await waiting.commit(1, 0, hole=HoleKind.MISSING)

    run_virtual(main())
    assert ["this"] == told
