"""At whatever step it is cancelled nothing is left behind, and a seed is a run."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted, ScriptedStream, ScriptedTransport
from tests.framework.test_collector import accepted, play
from tests.framework.test_runtime_history import Venue, passes
from wickwire import Endpoint, HttpReply, HttpRequest, SeriesCandle
from wickwire.collector import Collector
from wickwire.simulate.loops import VirtualLoop, run_virtual

# ------------------------------------------------------------------------------- cancelled at any step


class CancellingLoop(VirtualLoop):  # type: ignore[misc]  # it is final for everybody but this test
    """A virtual loop that cancels one task at a given turn."""

    def __init__(self, at_turn: int) -> None:
        super().__init__()
        self.at_turn = at_turn
        self.turns = 0
        self.victim: asyncio.Task[None] | None = None
        self.cancelled_s: float | None = None

    def _run_once(self) -> None:
        if self.victim is not None and not self.victim.done():
            self.turns += 1
            if self.turns == self.at_turn:
                self.victim.cancel()
                self.cancelled_s = self.time()
        super()._run_once()


class SlowTransport(ScriptedTransport):
    """Takes its time, so that there are instants in between."""

    async def open(self, endpoint: Endpoint) -> ScriptedStream:
        await asyncio.sleep(0.2)
        return await super().open(endpoint)

    async def request(self, request: HttpRequest) -> HttpReply:
        await asyncio.sleep(0.3)
        return await super().request(request)


async def short_life(world: Venue) -> None:
    """Backfill, subscription, closes, a cut, a listener, history, removal, adding again."""
    heard: list[SeriesCandle] = []

    async def listener(candle: SeriesCandle) -> None:
        await asyncio.sleep(0.01)
        heard.append(candle)

    async with world.collector() as collector:
        collector.on_candle(listener)
        await collector.add(SERIES, since=(world.minute - 25) * MINUTE_NS)
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.trade(101)
        world.stream.hang_up(1006)
        await world.next_minute(1)
        await accepted(world)
        world.trade(102)
        async for _ in collector.history(SERIES, (world.minute - 30) * MINUTE_NS):
            await asyncio.sleep(0.1)
        await world.next_minute(1)
        await collector.remove(SERIES)
        await collector.add(SERIES)
        await accepted(world)
        world.trade(103)
        await world.next_minute(8)


def live_and_cancel(at_turn: int) -> int:
    """Cancel a short life at a turn, judge what it left, live once more, and judge that; return the turns."""
    loop = CancellingLoop(at_turn)

    async def main() -> None:
        world = Venue(plugin=Scripted(support={"page_rows": 10}))
        world.transport = SlowTransport(answer=world._answer)
        await asyncio.sleep(10)
        world.truth |= {world.minute - number: 50 + number for number in range(1, 40)}
        loop.victim = asyncio.get_running_loop().create_task(short_life(world))
        await asyncio.wait([loop.victim])
        assert loop.victim.cancelled() or loop.victim.exception() is None
        if loop.cancelled_s is not None:
            assert loop.time() - loop.cancelled_s < 10, "it took too long to stop"
        await whole(world)
        world.transport.streams.clear()
        async with world.collector() as collector:
            await collector.add(SERIES)
            await passes(world, 2)
            await collector.history_is_whole(SERIES)
        await whole(world)
        assert [] == [hole for state in await world.store.states() for hole in state.holes]

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    return loop.turns


async def whole(world: Venue) -> None:
    """Say what a stopped collector has to leave: nothing running, and a store that is true."""
    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert all(stream.closed is not None for stream in world.transport.streams)
    stored = {candle.open_ns // MINUTE_NS: int(candle.close) for candle in await world.stored()}
    assert stored.items() <= world.truth.items()
    for state in await world.store.states():
        lacking = [
            minute
            for minute in world.truth
            if state.origin_ns <= minute * MINUTE_NS < state.frontier_ns and minute not in stored
        ]
        assert all(
            any(hole.since_ns <= minute * MINUTE_NS < hole.until_ns for hole in state.holes)
            for minute in lacking
        ), "a candle is neither stored nor in a hole"


TURNS = live_and_cancel(-1)


@pytest.mark.parametrize("part", range(10))
def test_cancelled_at_any_step_nothing_is_left_and_the_next_run_is_whole(part: int) -> None:
    for at_turn in range(1 + part, TURNS + 1, 10):
        live_and_cancel(at_turn)


# --------------------------------------------------------------------------------------- adding, removing


def test_a_series_removed_and_added_in_any_rhythm_is_whole() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        rng = random.Random(5)
        heard: list[int] = []
        collector.on_candle(lambda candle: heard.append(candle.open_ns) if not candle.revision else None)
        await collector.add(SERIES)
        world.transport.greet = lambda stream: stream.say({"accepted": ["BTC/USD@1m"]})
        for _ in range(200):
            world.trade(rng.randrange(100, 110), streamed=bool(world.transport.streams))
            await asyncio.sleep(rng.uniform(0, 30))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(collector.remove(SERIES))
                tasks.create_task(collector.add(SERIES))
                tasks.create_task(collector.add(SERIES))
        await passes(world, 3)
        await collector.history_is_whole(SERIES)
        await asyncio.sleep(1)
        stored = {candle.open_ns // MINUTE_NS: int(candle.close) for candle in await world.stored()}
        assert stored == {minute: close for minute, close in world.truth.items() if minute < world.minute}
        assert len(heard) == len(set(heard)) == len(stored)
        closers = [task for task in asyncio.all_tasks() if "closer" in task.get_name()]
        assert 1 == len(closers)

    play(test, Venue())


def test_two_collectors_in_one_process_know_nothing_of_each_other() -> None:
    async def main() -> None:
        await asyncio.sleep(10)
        one, two = Venue(), Venue()
        async with one.collector() as first, two.collector() as second:
            await first.add(SERIES)
            await second.add(SERIES)
            await accepted(one)
            await accepted(two)
            one.trade(100)
            two.trade(200)
            await one.next_minute(20)
        assert [100] == [int(candle.close) for candle in await one.stored()]
        assert [200] == [int(candle.close) for candle in await two.stored()]

    run_virtual(main())


# ------------------------------------------------------------------------------------------- determinism


async def eventful(log: list[str]) -> None:
    """Run a busy collector and write down every request, frame, candle and switch, each at its instant."""
    await asyncio.sleep(10)
    world, rng = Venue(plugin=Scripted(alone=True)), random.Random(7)
    answer = world.transport.answer

    def note(what: object) -> None:
        log.append(f"{asyncio.get_running_loop().time()} {what}")

    def answered(request: HttpRequest) -> Any:
        note(dict(request.params))
        return answer(request)

    world.transport.answer = answered
    async with world.collector() as collector:
        collector.on_candle(note)
        collector.on_switch(note)
        for name in ("BTC/USD@1m", "ETH/USD@1m", "SOL/USD@5m", "BTC/USD@trades"):
            await collector.add(f"scripted:{name}")
        for _ in range(30):
            await asyncio.sleep(rng.uniform(1, 40))
            for stream in world.transport.streams:
                stream.say({"accepted": ["BTC/USD@1m", "ETH/USD@1m"]})
                if rng.random() < 0.2:
                    stream.hang_up()
            world.trade(rng.randrange(100, 110))
        for stream in world.transport.streams:
            log.extend(map(str, stream.sent))


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_the_same_seed_is_the_same_run(seed: int | None) -> None:
    logs: tuple[list[str], list[str]] = ([], [])
    for log in logs:
        run_virtual(eventful(log), seed=seed)
    assert len(logs[0]) > 50
    assert logs[0] == logs[1]
