"""Owning tasks: what comes out of a group of them, and that nobody goes on who was told to end."""

from __future__ import annotations

import asyncio

import pytest

from wickwire import TransportError
from wickwire.scope import children, unwrapped


async def fail(failing: asyncio.Event, error: Exception) -> None:
    await failing.wait()
    raise error


async def keep_trying(failing: asyncio.Event, error: Exception) -> None:
    """Run a group for ever, as connections are kept."""
    while True:
        try:
            with unwrapped():
                async with children() as tasks:
                    tasks.create_task(fail(failing, error))
        except TransportError:
            await asyncio.Event().wait()


async def cancelled(error: Exception, turns: int) -> str:
    """Let the group fail, and so many turns of the loop later cancel whoever runs it; say what it did."""
    failing = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(keep_trying(failing, error))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        failing.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.5)
        task.cancel()
    return "ended" if done else "went on"


@pytest.mark.parametrize("turns", range(6))
def test_who_is_cancelled_while_its_group_fails_ends(turns: int) -> None:
    """A connection that a rotation had left went on, because it broke in that very moment (seed 4)."""
    assert "ended" == asyncio.run(cancelled(TransportError("cut"), turns))


def test_a_bug_comes_out_although_its_task_is_cancelled() -> None:
    with pytest.raises(BaseExceptionGroup) as told:
        asyncio.run(cancelled(KeyError("bug"), 2))
    assert told.group_contains(KeyError, depth=1)


@pytest.mark.parametrize("turns", range(5))
def test_whose_child_fails_when_the_block_is_over_is_not_cancelled(turns: int) -> None:
    """A connection for history broke as it was not wanted any more: none was opened again (seed 3051)."""

    async def main() -> list[str]:
        came: list[str] = []
        for number in range(3):
            failing = asyncio.Event()
            try:
                with unwrapped():
                    async with children() as tasks:
                        child = tasks.create_task(fail(failing, TransportError(f"cut {number}")))
                        await asyncio.sleep(0)
                        failing.set()
                        for _ in range(turns):
                            await asyncio.sleep(0)
                        child.cancel()
                came.append("canceled")
            except TransportError as exc:
                came.append(str(exc))
            async with children() as tasks:
                tasks.create_task(asyncio.sleep(0))
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
        return came

    told = asyncio.run(main())
    assert 3 == len(told)
    assert set(told) <= {"canceled"} | {f"cut {number}" for number in range(3)}


def test_a_block_that_fails_and_one_that_is_cancelled_end_all_children() -> None:
    owned: list[asyncio.Task[None]] = []

    async def fail_with_a_child() -> None:
        async with children() as tasks:
            owned.append(tasks.create_task(asyncio.sleep(3_600)))
            raise KeyError("bug")

    async def wait_for_a_child() -> None:
        async with children() as tasks:
            owned.append(tasks.create_task(asyncio.sleep(3_600)))

    async def main() -> None:
        with pytest.raises(BaseExceptionGroup) as told:
            await fail_with_a_child()
        assert told.group_contains(KeyError, depth=1)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(wait_for_a_child())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running.cancel()
        assert running.cancelled()

    asyncio.run(main())
    assert [True, True] == [child.cancelled() for child in owned]
