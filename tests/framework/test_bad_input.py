"""What hosts do wrong: each is named, by an error or in health and the log, and harms no other series."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.framework.test_cancelling import MINUTES, OTHERS, Place, servers
from tests.framework.virtual import virtual
from wickwire import Collector, Condition, MemoryStore, Policy, SeriesCandle, UsageError
from wickwire.simulate.loops import VIRTUAL_START_NS, ScaledLoop, run_scaled, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport

ELSEWHERE = "the collector runs in another event loop"


def simulated(store: Any = None) -> Collector:
    clock = running_clock()
    transport = MemoryTransport(list(servers().values()), clock, latency_s=0.05)
    return Collector(store, transport=transport, clock=clock, world="simulated")


def condition(collector: Collector, name: str) -> Condition:
    [found] = [one.condition for one in collector.health().series if str(one.series) == name]
    return found


@virtual
async def test_what_is_not_known_is_refused_while_others_run() -> None:
    async with simulated() as collector:
        await collector.add(MINUTES)
        candles = collector.candles()
        for wrong, match in [
            ("nowhere:BTC/USD@1m", "there is no adapter 'nowhere'"),
            ("kraken:BTC/USD@7m", r"'?7m"),
            ("kraken", "venue"),
            ("", "venue"),
        ]:
            with pytest.raises(Exception, match=match) as refused:
                await collector.add(wrong)
            assert type(refused.value).__module__ == "wickwire.errors", wrong
        assert [MINUTES] == [str(plan.series) for plan in collector.plan()]
        await collector.add("kraken:NONE/USD@1m")  # only the venue knows
        await anext(candles)
        await asyncio.sleep(60)

        assert Condition.REFUSED is condition(collector, "kraken:NONE/USD@1m")
        assert Condition.LIVE is condition(collector, MINUTES)


Use = Callable[[Collector], Any]
RUNNING: dict[str, Use] = {
    "add": lambda it: it.add(MINUTES),
    "audit": lambda it: it.audit(MINUTES, 0),
    "candles": lambda it: it.candles(),
    "could_fall_back": lambda it: it.could_fall_back(),
    "events": lambda it: it.events(),
    "forming": lambda it: it.forming(),
    "history": lambda it: it.history(MINUTES, 0),
    "history_is_whole": lambda it: it.history_is_whole(MINUTES),
    "later_candles": lambda it: it.later_candles(policy=Policy.SPILL, bound=1, name=""),
    "later_quotes": lambda it: it.later_quotes(policy=Policy.CONFLATE, bound=1, name=""),
    "later_trades": lambda it: it.later_trades(policy=Policy.CONFLATE, bound=1, name=""),
    "latest": lambda it: it.latest(MINUTES),
    "on_candle": lambda it: it.on_candle(print),
    "on_event": lambda it: it.on_event(print),
    "on_quote": lambda it: it.on_quote(print),
    "on_trade": lambda it: it.on_trade(print),
    "past": lambda it: it.past(MINUTES, 0),
    "quotes": lambda it: it.quotes(),
    "reader": lambda it: it.reader(MINUTES),
    "rotate": lambda it: it.rotate("kraken"),
    "settled": lambda it: it.settled(MINUTES),
    "trades": lambda it: it.trades(),
    "walk": lambda it: it.walk(MINUTES, 0),
    "walk_trades": lambda it: it.walk_trades("kraken:BTC/USD@trades", 0),
}
"""What needs a collector that runs."""
HERE: dict[str, Use] = {
    "closer": lambda it: it.closer(MINUTES),
    "health": lambda it: it.health(),
    "on_switch": lambda it: it.on_switch(print),
    "plan": lambda it: it.plan(),
    "prioritise": lambda it: it.prioritise(MINUTES),
    "remove": lambda it: it.remove(MINUTES),
    "stop": lambda it: it.stop(),
}
"""What answers also before and afterwards: nothing is collected, and nothing has to be stopped."""


def test_every_method_is_tried() -> None:
    methods = {name for name, _ in inspect.getmembers(Collector, inspect.isfunction) if name[0] != "_"}
    assert methods == RUNNING.keys() | HERE.keys()


async def used(collector: Collector, use: Use) -> None:
    answer = use(collector)
    if inspect.isawaitable(answer):
        await answer


@pytest.mark.parametrize("name", RUNNING)
def test_before_the_start_after_a_stop_and_after_the_end_it_says_that_it_does_not_run(name: str) -> None:
    over = r"is not running any more: it was stopped, and runs once; make another|not collected here"

    async def main() -> None:
        collector = simulated()
        with pytest.raises(UsageError, match=r"is not running; use it inside|not collected here"):
            await used(collector, RUNNING[name])
        async with collector:
            await collector.add(OTHERS)
            await collector.stop()
            with pytest.raises(UsageError, match=over):
                await used(collector, RUNNING[name])
        with pytest.raises(UsageError, match=over):
            await used(collector, RUNNING[name])

    run_virtual(main())


@virtual
async def test_a_collector_is_entered_once() -> None:
    collector = simulated()
    async with collector:
        await collector.add(MINUTES)
        with pytest.raises(UsageError, match="a collector runs once, and this one was entered already"):
            async with collector:
                pass
        await asyncio.sleep(70)
        assert Condition.LIVE is condition(collector, MINUTES)
    with pytest.raises(UsageError, match="a collector runs once"):
        await collector.__aenter__()


@virtual
async def test_one_that_could_not_be_entered_may_be_tried_again() -> None:
    class Away(MemoryStore):
        calls = 0

        async def open(self) -> None:
            self.calls += 1
            if self.calls == 1:
                raise OSError("away")

    collector = simulated(Away())
    with pytest.raises(OSError, match="away"):
        await collector.__aenter__()
    async with collector:
        await collector.add(MINUTES)


def test_what_runs_in_one_loop_is_refused_in_another_and_outside_of_any() -> None:
    """And goes on."""
    refused: list[str] = []

    async def elsewhere(collector: Collector, uses: dict[str, Use]) -> None:
        for name, use in uses.items():
            with pytest.raises(UsageError, match=ELSEWHERE):
                await used(collector, use)
            refused.append(name)

    def outside(collector: Collector, candles: AsyncIterator[SeriesCandle]) -> None:
        for name in ("health", "candles", "plan", "on_candle"):
            with pytest.raises(UsageError, match=ELSEWHERE):
                {**RUNNING, **HERE}[name](collector)
        named = ("closer", "on_switch")  # they touch nothing that runs
        asyncio.run(elsewhere(collector, {k: v for k, v in {**RUNNING, **HERE}.items() if k not in named}))

        async def read() -> None:
            with pytest.raises(UsageError, match="candles 1: read in another event loop"):
                await anext(candles)

        asyncio.run(read())

    async def main() -> None:
        async with simulated() as collector:
            await collector.add(MINUTES)
            candles = collector.candles()
            await asyncio.to_thread(outside, collector, candles)
            await anext(candles)
            assert Condition.LIVE is condition(collector, MINUTES)

    run_scaled(main(), 200, start_ns=VIRTUAL_START_NS)
    assert len(RUNNING) + len(HERE) - 2 == len(refused)


# --------------------------------------------------------------------------------------------- callbacks


def test_a_function_that_holds_the_loop_is_named_and_the_candles_come_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wickwire.watchdog")
    never = threading.Event()

    def hold(candle: SeriesCandle) -> None:
        never.wait(0.3)

    async def main() -> None:
        async with simulated() as collector:
            stop = collector.on_candle(hold)
            await collector.add(MINUTES)
            candles = collector.candles()
            found = [await anext(candles) for _ in range(2)]
            stop()
            assert found[0].open_ns < found[1].open_ns
            assert any("hold" in line for one in collector.health().holds for line in one.stack)

    run_scaled(main(), 200, start_ns=VIRTUAL_START_NS)
    assert "event loop held" in caplog.text


@virtual
async def test_a_function_that_raises_is_counted_and_holds_up_no_other() -> None:
    calm: list[SeriesCandle] = []

    def raises(_: SeriesCandle) -> None:
        raise ValueError("mine")

    async with simulated() as collector:
        collector.on_candle(raises)
        collector.on_candle(calm.append)
        await collector.add(MINUTES)
        await asyncio.sleep(200)
        assert 2 <= collector.listener_errors == len(calm)
        assert Condition.LIVE is condition(collector, MINUTES)


# ------------------------------------------------------------------------------------ two on one store


@pytest.mark.parametrize("names", [(MINUTES, OTHERS), (MINUTES, MINUTES)], ids=["two series", "one series"])
def test_two_collectors_on_one_file_store_what_is_true(names: tuple[str, str], tmp_path: Path) -> None:
    async def main() -> None:
        await asyncio.sleep(7)
        place = Place(tmp_path / "candles.db")
        handed: list[tuple[str, int]] = []
        async with place.collector() as one, place.collector() as other:
            for collector, name in zip((one, other), names, strict=True):
                collector.on_candle(lambda row: handed.append((str(row.series), row.open_ns)))
                await collector.add(name)
            await asyncio.sleep(400)
            for collector, name in zip((one, other), names, strict=True):
                told = collector.health().series[0].shared, collector.health().events.get("SeriesShared", 0)
                assert told == ((True, 1) if names[0] == names[1] else (False, 0))
                assert Condition.LIVE is condition(collector, name)
                await collector.history_is_whole(name)
                assert [] == await place.wrong(collector)
        assert len(handed) == len({*handed}) >= 6 * len({*names}), "by the one that committed it"

    run_virtual(main())


@virtual
async def test_two_collectors_do_not_share_a_store_object() -> None:
    store = MemoryStore()
    async with simulated(store) as collector:
        await collector.add(MINUTES)
        with pytest.raises(UsageError, match="MemoryStore is another collector's, which closes it"):
            await simulated(store).__aenter__()
        await asyncio.sleep(130)
        assert (Condition.LIVE, "") == (condition(collector, MINUTES), collector.health().store_trouble)


def test_a_host_that_forgets_to_leave_loses_nothing_that_was_committed(tmp_path: Path, caplog: Any) -> None:
    """Its loop ends under it: what it began is cancelled, as a host's task is."""
    path, kept = tmp_path / "candles.db", list[SeriesCandle]()

    async def forgets() -> None:
        collector = Place(path).collector()
        await collector.__aenter__()
        await collector.add(MINUTES)
        candles = collector.candles()
        kept.extend([await anext(candles) for _ in range(3)])

    async def again() -> None:
        place = Place(path)
        async with place.collector() as collector:
            await collector.add(MINUTES)
            await asyncio.sleep(200)
            stored = await collector.reader(MINUTES).range(0)
            assert {row.open_ns for row in kept} <= {row.open_ns for row in stored}
            await collector.history_is_whole(MINUTES)
            assert [] == await place.wrong(collector)

    with asyncio.Runner(loop_factory=partial(ScaledLoop, 200, start_ns=VIRTUAL_START_NS)) as runner:
        runner.run(forgets())
    with pytest.warns(ResourceWarning, match="a Collector was entered and never left") as told:
        gc.collect()
    told.clear()  # what it keeps keeps the file
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # since Python 3.13 SQLite says of its file that nobody closed it
    assert "collector was never left" in caplog.text
    run_virtual(again(), start_ns=VIRTUAL_START_NS + 3_600_000_000_000)
