"""Owning tasks: what comes out of a group of them, and that nobody goes on who was told to end."""

from __future__ import annotations

import asyncio

import pytest

from wickwire import TransportError
from wickwire.scope import unwrapped


async def fail(failing: asyncio.Event, error: Exception) -> None:
    await failing.wait()
    raise error


async def keep_trying(failing: asyncio.Event, error: Exception) -> None:
    """Run a group for ever, as connections are kept."""
    while True:
        try:
            with unwrapped():
                async with asyncio.TaskGroup() as tasks:
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
