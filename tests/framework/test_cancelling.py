"""A host is cancelled anywhere, once or twice: nothing is left behind, and what is stored is whole."""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.framework.stepping import Left, Stepped
from tests.simulation.venues import Venues
from wickwire import DAY_NS, HOUR_NS, Collector, HoleKind, Registry
from wickwire.scope import CLOSE_S, closed
from wickwire.simulate import SeededMarket, VenueServer
from wickwire.simulate.loopback import serve
from wickwire.simulate.loops import VIRTUAL_START_NS, run_scaled, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire_sqlite.store import SqliteStore

T = TypeVar("T")

MINUTES = "kraken:BTC/USD@1m"
OTHERS = "kraken:ETH/USD@1m"
HOURS = "yahoo:BTC/USD@1h"
TRADES = "kraken:BTC/USD@trades"


class Leisurely(SqliteStore):
    """A file that takes its time: before what is done there, and before anybody hears of that."""

    async def _in_executor(self, job: Callable[..., T], *arguments: Any) -> T:
        await asyncio.sleep(0.01)
        found = await super()._in_executor(job, *arguments)
        await asyncio.sleep(0.01)
        return found


@cache
def market() -> SeededMarket:
    return SeededMarket(1, VIRTUAL_START_NS - DAY_NS)


def servers() -> dict[str, VenueServer]:
    found = {}
    for name in ("kraken", "yahoo"):
        make = Registry().load(name).simulate
        assert make is not None
        found[name] = make(market())
    return found


@attrs.define
class Place:
    """Two venues, the way there, and a file."""

    path: Path
    venues: Venues = attrs.field(init=False)
    transport: MemoryTransport = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.venues = Venues(market=market(), servers=servers())
        clock, rng = running_clock(), random.Random(1)
        self.transport = MemoryTransport(list(self.venues.servers.values()), clock, latency_s=0.05, rng=rng)

    def collector(self) -> Collector:
        store = Leisurely(self.path, inline=True)
        clock, rng = running_clock(), random.Random(1)
        return Collector(store, transport=self.transport, clock=clock, rng=rng, world="simulated")

    async def wrong(self, collector: Collector) -> list[str]:
        """Compare what is stored with the truth."""
        store, lines = collector._life.store, list[str]()
        for state in await store.states():
            name, series = str(state.series), state.series
            truth = {c.open_ns: c for c in self.venues.truth(name, state.origin_ns, state.frontier_ns)}
            stored = {c.open_ns: c for c in await store.candles(series, 0, 2**62, limit=100_000)}
            lines += [f"{name} lacks {ns}" for ns in truth.keys() - stored.keys()]
            lines += [f"{name} invented {ns}" for ns in stored.keys() - truth.keys()]
            both = truth.keys() & stored.keys()
            lines += [f"{name} has {stored[ns]}" for ns in both if not truth[ns].same_values(stored[ns])]
            lines += [f"{name} {hole}" for hole in state.holes if hole.kind is not HoleKind.UNREACHABLE]
        return lines


async def life(collector: Collector, *, stops: bool = True) -> None:
    """Everything that a host asks, from beginning to end."""
    now_ns = running_clock().now_ns()
    async with collector:

        async def slowly(_: object) -> None:
            await asyncio.sleep(0.5)

        collector.on_candle(slowly)
        collector.on_event(lambda _: None)
        await collector.add(MINUTES)
        await collector.add(HOURS, since=now_ns - 5 * HOUR_NS)
        await collector.add(TRADES)
        candles, trades = collector.candles(MINUTES), collector.trades()
        await anext(trades)
        await anext(candles)
        async for _ in collector.history(OTHERS, now_ns - 2 * HOUR_NS):
            await asyncio.sleep(0.1)
        async with collector.past(HOURS, now_ns - 8 * HOUR_NS):
            await collector.history_is_whole(HOURS)
        async for _ in collector.walk(OTHERS, now_ns - 15 * HOUR_NS):
            await asyncio.sleep(0.1)
        await collector.audit(MINUTES, now_ns - HOUR_NS)
        await collector.rotate("kraken")
        await collector.latest(HOURS)
        await collector.reader(HOURS).range(0)
        await collector.remove(MINUTES)
        await collector.add(MINUTES)
        await anext(candles)
        if stops:
            await collector.stop(drain=5.0)


async def cancelled(
    host: Coroutine[Any, Any, None], at: Sequence[int], *, waking: bool
) -> tuple[int, asyncio.Task[None]]:
    """Run *host* as a task of its own and cancel it at these steps; return how many it made."""
    stepped = Stepped(host, at, waking=waking)

    async def main() -> None:
        await stepped

    async with asyncio.timeout(3_600), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(main(), name="host")
    return stepped.steps, task


async def lived(at: Sequence[int], folder: Path, *, waking: bool = False, stops: bool = True) -> int:
    await asyncio.sleep(7)
    gc.collect()
    place = Place(folder / "candles.db")
    before = Left.now(place.transport)

    steps, task = await cancelled(life(place.collector(), stops=stops), at, waking=waking)

    assert task.cancelled() == bool(at), "it never goes on as if nothing had been said"
    await asyncio.sleep(0)
    gc.collect()
    assert before == Left.now(place.transport)
    async with place.collector() as again:
        for name in (MINUTES, HOURS, OTHERS):
            await again.add(name)
        await asyncio.sleep(130)
        for name in (MINUTES, HOURS, OTHERS):
            await again.history_is_whole(name)
        assert [] == await place.wrong(again)
    assert before == Left.now(place.transport)
    return steps


def live(at: Sequence[int], *, waking: bool = False, stops: bool = True) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return run_virtual(lived(at, Path(folder), waking=waking, stops=stops))


@cache
def steps_of_a_life() -> int:
    return live(())


@settings(max_examples=settings().max_examples // 3)
@given(share=st.floats(0, 1), later=st.integers(0, 5), waking=st.booleans(), stops=st.booleans())
@example(share=0.03, later=1, waking=False, stops=True)  # it begins; what was opened is closed
@example(share=0.99, later=0, waking=True, stops=False)  # the store is closed
@example(share=0.97, later=2, waking=False, stops=True)
def test_a_host_that_is_cancelled_anywhere_leaves_nothing_behind(
    *, share: float, later: int, waking: bool, stops: bool
) -> None:
    """Its tasks, streams, threads and open files are gone, and its store is whole once it is run again."""
    step = 1 + int(share * (steps_of_a_life() - 1))
    live((step, step + later), waking=waking, stops=stops)


# ------------------------------------------------------------------------------------- one call of many


async def adds(collector: Collector, since_ns: int) -> None:
    await collector.add(OTHERS, since=since_ns)


async def reaches_back(collector: Collector, since_ns: int) -> None:
    await collector.add(MINUTES, since=since_ns)


async def removes(collector: Collector, _: int) -> None:
    await collector.remove(MINUTES)
    await collector.add(MINUTES)


async def reads_history(collector: Collector, since_ns: int) -> None:
    async for _ in collector.history(OTHERS, since_ns):
        await asyncio.sleep(0.1)


async def reads_more_history(collector: Collector, since_ns: int) -> None:
    async for _ in collector.history(MINUTES, since_ns):
        await asyncio.sleep(0.1)


async def walks(collector: Collector, since_ns: int) -> None:
    async for _ in collector.walk(OTHERS, since_ns):
        await asyncio.sleep(0.1)


async def has_the_past(collector: Collector, since_ns: int) -> None:
    async with collector.past(OTHERS, since_ns):
        await collector.history_is_whole(OTHERS)


async def audits(collector: Collector, since_ns: int) -> None:
    await collector.audit(MINUTES, since_ns)


async def rotates(collector: Collector, _: int) -> None:
    await collector.rotate("kraken")


async def iterates(collector: Collector, _: int) -> None:
    candles = collector.candles(after_seq=0)
    for _ in range(4):
        await anext(candles)


CALLS = [
    *(adds, reaches_back, removes, reads_history, reads_more_history, walks, has_the_past, audits),
    *(rotates, iterates),
]
MOST_STEPS = 20


async def called(call: Callable[[Collector, int], Coroutine[Any, Any, None]], step: int, path: Path) -> None:
    """Cancel one call while others run, and see that these go on, and that it can be made again."""
    await asyncio.sleep(7)
    place = Place(path)
    async with place.collector() as collector:
        await collector.add(MINUTES)
        await collector.add(HOURS)
        await asyncio.sleep(70)
        since_ns = running_clock().now_ns() - 10 * HOUR_NS  # two hours less than Kraken keeps
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        readers, places = len(collector._audience), [plan.series for plan in collector.plan()]

        steps, host = await cancelled(call(collector, since_ns), (step,), waking=bool(step % 2))

        assert host.cancelled() == (step <= steps)
        await asyncio.sleep(1)  # a connection that nobody needs any more ends meanwhile
        gc.collect()
        assert readers == len(collector._audience)
        assert {} == collector._roster._borrowed
        held = [plan.series for plan in collector.plan()]
        assert set(held) == {name for name in (*held, *places) if collector._roster._places.of(name)}
        if call not in {adds, removes}:
            assert places == held
        if call not in {adds, removes, rotates}:
            assert tasks == {task.get_name() for task in asyncio.all_tasks()}
        await call(collector, since_ns)
        await collector.add(MINUTES)
        for plan in collector.plan():
            await collector.history_is_whole(plan.series)
        assert [] == await place.wrong(collector)


@settings(max_examples=settings().max_examples // 3)
@given(st.sampled_from(CALLS), st.integers(1, MOST_STEPS))
def test_a_call_that_is_cancelled_leaves_the_collector_as_it_was(
    call: Callable[[Collector, int], Coroutine[Any, Any, None]], step: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_virtual(called(call, step, Path(folder) / "candles.db"))


# --------------------------------------------------------------------------- real sockets and real threads


async def sockets(step: int, folder: Path) -> None:
    clock = running_clock()
    gc.collect()
    threads, before = {*threading.enumerate()}, Left.now(None)
    async with serve(list(servers().values()), clock) as loopback:
        collector = Collector(
            f"sqlite:{folder / 'candles.db'}",
            redirects=loopback.redirects,
            confined="these are simulated venues,",
            clock=clock,
            world="simulated",
        )
        await cancelled(life(collector), (step, step + step % 4), waking=bool(step % 2))
    for thread in {*threading.enumerate()} - threads:
        thread.join(10)  # what opened a file for nobody closes it, and ends then
    gc.collect()  # asyncio drops a socket that is connected in the very turn in which nobody wants it
    assert before == Left.now(None)


@pytest.mark.filterwarnings("ignore:unclosed <socket")
@pytest.mark.parametrize("step", [3, 7, 14, 25, 40])
def test_sockets_and_threads_of_a_cancelled_host_are_gone(step: int, tmp_path: Path) -> None:
    run_scaled(sockets(step, tmp_path), 200, start_ns=VIRTUAL_START_NS)


# ------------------------------------------------------------------------------------------------- closing


def test_what_takes_for_ever_to_close_is_not_waited_for_once_somebody_is_cancelled(caplog: Any) -> None:
    closing: list[str] = []

    async def close() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closing.append("left")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(closed(close))
            await asyncio.sleep(100)
            task.cancel()
            begun_s = loop.time()
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.wait([task])
            assert loop.time() - begun_s == pytest.approx(CLOSE_S)
            assert task.cancelled()

    run_virtual(main())
    assert ["left"] == closing
    assert "not closed" in caplog.text


def test_what_fails_to_close_says_so_unless_somebody_is_cancelled() -> None:
    async def close() -> None:
        await asyncio.sleep(1)
        raise OSError("full")

    async def main() -> None:
        with pytest.raises(OSError, match="full"):
            await closed(close)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(closed(close))
            await asyncio.sleep(0.5)
            task.cancel()
        assert task.cancelled()

    run_virtual(main())
