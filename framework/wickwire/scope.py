"""Owning tasks: a group of failures comes out as the one that says what to do, and what is open is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from wickwire.errors import WickwireError

__all__ = ["children", "closed", "failures", "unwrapped"]

log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0
"""So long a task that is cancelled while it closes something still waits for that."""


@asynccontextmanager
async def children() -> AsyncIterator[asyncio.TaskGroup]:
    """Own tasks as an `asyncio.TaskGroup` does; the block ends with the last of them.

    A group cancels its own task to end the block, and takes that back when the block ends. Before Python 3.13
    it does not where a child fails after that (gh-116720): then the task counts as cancelled for good, and
    the next group or `unwrapped` in it ends it, though nobody wants that.
    """
    async with asyncio.TaskGroup() as tasks:
        yield tasks
        while left := tasks._tasks:  # noqa: SLF001 - all Pythons have it, and nothing public tells who is left
            await asyncio.wait(left)


@contextmanager
def unwrapped() -> Iterator[None]:
    """Turn an ExceptionGroup into the failure it stands for, so that `except TransportError` catches.

    A TaskGroup wraps even a single failure. One cut wire may be reported by reader and keepalive in the same
    turn of the loop: where all failures are typed, the first comes out. A bug among several keeps the group.

    Before Python 3.13 a TaskGroup that fails in the turn in which its task is cancelled forgets that
    (gh-116720), and whoever was to end would go on for ever: here the cancellation counts.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        inside = list(failures(group))
        if _is_cancelled() and all(isinstance(one, WickwireError) for one in inside):
            raise asyncio.CancelledError from group
        if len(inside) > 1 and not all(isinstance(one, WickwireError) for one in inside):
            raise
        raise inside[0] from inside[0].__cause__


def _is_cancelled() -> bool:
    """Say whether whoever runs this was told to end, where it is a task."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


async def closed(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *close* to its end though this task is cancelled meanwhile, however often; then be cancelled.

    Who is cancelled in the middle of closing would leave a file or a socket open: nobody closes it again.
    What takes longer than `CLOSE_S` from then on is cancelled too.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(close(), name="closing")  # a group would cancel it together with this one
    cancelled: asyncio.CancelledError | None = None
    until_s: float | None = None
    while not task.done():
        try:
            async with asyncio.timeout_at(until_s):
                await asyncio.wait([task])
        except TimeoutError:
            until_s = None
            log.warning(
                "not closed",
                extra={"what": getattr(close, "__qualname__", ""), "why": f"it took over {CLOSE_S:g} s"},
            )
            task.cancel()
        except asyncio.CancelledError as exc:
            cancelled = exc
            until_s = until_s or loop.time() + CLOSE_S
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    await task


def failures(error: BaseException) -> Iterator[BaseException]:
    """Yield what failed: *error* itself, or all that a group stands for."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from failures(one)
    else:
        yield error
