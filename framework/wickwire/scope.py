"""Owning tasks: a group of failures comes out as the one that says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from wickwire.errors import WickwireError

__all__ = ["failures", "unwrapped"]


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


def failures(error: BaseException) -> Iterator[BaseException]:
    """Yield what failed: *error* itself, or all that a group stands for."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from failures(one)
    else:
        yield error
