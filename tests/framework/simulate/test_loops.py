"""What is promised of virtual and scaled time. Nothing here looks at the machine's clock."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wickwire import SECOND_NS, UsageError
from wickwire.clock import LoopClock, SystemClock
from wickwire.simulate.loops import (
    MOST_A_TURN_S,
    VIRTUAL_START_NS,
    InlineExecutor,
    ScaledLoop,
    VirtualLoop,
    run_scaled,
    run_virtual,
    running_clock,
)

delays = st.lists(st.integers(0, 10_000_000).map(lambda us: us / 1_000_000), max_size=30)
seeds = st.none() | st.integers(0, 5)


def _note(fired: list[tuple[float, float]], due_s: float) -> None:
    fired.append((due_s, asyncio.get_running_loop().time()))


# ------------------------------------------------------------------------------------------- virtual time


@settings(max_examples=60, deadline=None)
@given(delays, seeds)
def test_timers_fire_in_their_order_each_exactly_at_its_time(delays_s: list[float], seed: int | None):
    async def main() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, float]] = []
        for delay_s in delays_s:
            loop.call_at(delay_s, _note, fired, delay_s)
        await asyncio.sleep(11)
        return fired

    fired = run_virtual(main(), seed=seed)

    assert sorted(delays_s) == [due_s for due_s, _ in fired]
    assert all(due_s == at_s for due_s, at_s in fired)


def test_forty_days_pass_at_once_and_the_clock_goes_with_them():
    async def main() -> int:
        await asyncio.sleep(40 * 86_400 + 0.25)
        return running_clock().now_ns()

    assert run_virtual(main()) == VIRTUAL_START_NS + 40 * 86_400 * SECOND_NS + SECOND_NS // 4


def test_a_deadlock_is_an_error_that_says_who_waits_where():
    async def starve() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(starve(), name="the hungry one")
            await asyncio.sleep(3)

    with pytest.raises(RuntimeError, match=r"deadlock after 3\.0+ s(.|\n)*the hungry one: .*wait in"):
        run_virtual(main())


def test_a_cancelled_timer_moves_no_time():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(3_600, print).cancel()
        async with asyncio.timeout(60):
            await asyncio.sleep(1)
        return loop.time()

    assert run_virtual(main(), seed=1) == 1


@pytest.mark.parametrize("seed", [None, 4])
def test_a_timer_cancelled_at_its_own_instant_does_not_fire(seed: int | None):
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        fired: list[str] = []
        handles: list[asyncio.TimerHandle] = []

        def fire(name: str, other: int) -> None:
            fired.append(name)
            handles[other].cancel()

        handles.append(loop.call_at(1, fire, "first", 1))
        handles.append(loop.call_at(1, fire, "second", 0))
        await asyncio.sleep(2)
        return fired

    assert len(run_virtual(main(), seed=seed)) == 1


async def _race() -> str:
    """Ten tasks that are ready at the same instants, in the order in which they ran."""
    order: list[str] = []

    async def runner(name: int) -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            order.append(str(name))

    async with asyncio.TaskGroup() as tasks:
        for name in range(10):
            tasks.create_task(runner(name))
    return "".join(order)


def test_seeds_explore_interleavings_and_repeat_them():
    runs = [run_virtual(_race(), seed=seed) for seed in range(8)]

    assert runs == [run_virtual(_race(), seed=seed) for seed in range(8)]
    assert len(set(runs)) == 8
    assert run_virtual(_race()) == run_virtual(_race())


def test_the_same_seed_gives_the_same_log_in_processes_with_other_hash_seeds():
    """A TaskGroup cancels in the order of a set, which is by address unless tasks hash by birth."""
    program = textwrap.dedent("""
        import asyncio
        from wickwire.simulate.loops import run_virtual

        async def worker(log, name):
            try:
                await asyncio.sleep(name % 3)
                log.append(f"{name} {asyncio.current_task().get_name()}")
                await asyncio.sleep(60)
            finally:
                log.append(f"{name} cancelled")

        async def main():
            log, litter = [], []
            try:
                async with asyncio.TaskGroup() as tasks:
                    for name in range(40):
                        # other addresses in every process
                        litter.append([bytes(hash(f"{name} {part}") % 600) for part in range(30)])
                        tasks.create_task(worker(log, name))
                    await asyncio.sleep(30)
                    raise LookupError
            except* LookupError:
                pass
            return log

        print(run_virtual(main(), seed=3), run_virtual(main()))
    """)
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]

    assert "39 cancelled" in told[0]
    assert told[1:] == told[:1] * 2


def test_tasks_are_named_by_birth():
    async def main() -> list[str]:
        async with asyncio.TaskGroup() as tasks:
            born = [tasks.create_task(asyncio.sleep(1)), tasks.create_task(asyncio.sleep(1), name="mine")]
        return [task.get_name() for task in (asyncio.current_task(), *born) if task is not None]

    assert run_virtual(main()) == ["task-1", "task-2", "mine"]


def test_threads_are_refused_with_the_way_out():
    with pytest.raises(RuntimeError, match=r"cannot wait for a thread.*inject an InlineExecutor"):
        run_virtual(asyncio.to_thread(print))


@pytest.mark.parametrize("seed", [None, 1])
def test_an_inline_executor_runs_at_once(seed: int | None):
    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(InlineExecutor(), lambda: 1 // 0)
        return await loop.run_in_executor(InlineExecutor(), lambda: 7), loop.time()

    assert run_virtual(main(), seed=seed) == (7, 0)


def test_an_error_of_main_comes_out_and_tasks_left_over_are_cancelled():
    ended: list[str] = []

    async def left_over() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("left over")

    async def main() -> None:
        task = asyncio.get_running_loop().create_task(left_over())
        await asyncio.sleep(1)
        raise LookupError(task.get_name())

    with pytest.raises(LookupError, match="task-2"):
        run_virtual(main())
    assert ended == ["left over"]


# -------------------------------------------------------------------------------------------- scaled time


@settings(max_examples=5, deadline=None)
@given(delays)
def test_scaled_timers_fire_in_their_order_and_never_early(delays_s: list[float]):
    async def main() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, float]] = []
        for delay_s in delays_s:
            loop.call_at(delay_s, _note, fired, delay_s)
        await asyncio.sleep(11)
        return fired

    fired = run_scaled(main(), speed=200)

    assert sorted(delays_s) == [due_s for due_s, _ in fired]
    assert all(at_s >= due_s - 1e-8 for due_s, at_s in fired)


def test_a_busy_machine_slows_time_instead_of_faking_silence():
    """Whatever one turn costs, loop time moves by a quarter of a second at most."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        steps: list[float] = []
        for _ in range(5):
            before_s = loop.time()
            threading.Event().wait(0.02)  # twenty milliseconds are two seconds of this loop
            assert loop.time() == before_s
            await asyncio.sleep(0)
            steps.append(loop.time() - before_s)
        return steps

    assert max(run_scaled(main(), speed=100)) <= MOST_A_TURN_S


def test_a_scaled_clock_starts_in_the_present_and_goes_with_its_loop():
    async def main() -> tuple[int, float]:
        clock = running_clock()
        loop = asyncio.get_running_loop()
        before_ns, before_s = clock.now_ns(), loop.time()
        await asyncio.sleep(30)
        return clock.now_ns() - before_ns, loop.time() - before_s

    started_ns = SystemClock().now_ns()
    loop = ScaledLoop(60)
    assert loop.clock.now_ns() >= started_ns
    loop.close()
    passed_ns, passed_s = run_scaled(main(), speed=200)
    assert passed_ns == pytest.approx(passed_s * SECOND_NS, abs=2_000)
    assert passed_s >= 30


def test_threads_and_sockets_work_on_scaled_time():
    async def main() -> tuple[int, bytes]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, asyncio.timeout(600):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"ping\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return await asyncio.to_thread(lambda: 7), line

    assert run_scaled(main(), speed=60) == (7, b"ping\n")


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_is_above_zero(speed: float):
    async def main() -> None: ...

    coroutine = main()
    with pytest.raises(UsageError, match="above zero"):
        run_scaled(coroutine, speed)
    coroutine.close()


# ------------------------------------------------------------------------------------------------- clocks


def test_every_loop_has_its_clock():
    async def main() -> object:
        return running_clock()

    assert isinstance(asyncio.run(main()), SystemClock)
    clock = run_virtual(main(), start_ns=5 * SECOND_NS)
    assert isinstance(clock, LoopClock)
    assert isinstance(clock.loop, VirtualLoop)
    assert clock.start_ns == 5 * SECOND_NS
