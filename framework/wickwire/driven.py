"""Drives a coroutine of a plugin, and can stop doing so: also of one that swallows its cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["Driven"]

T = TypeVar("T")


class Driven(Generic[T]):
    """An awaitable that ends when its task is cancelled, at the latest when it *is_over*.

    A task ends only when its coroutine does, and nobody can make a coroutine end that catches CancelledError.
    So the task runs this, and this runs the coroutine, for as long as it is wanted.
    """

    def __init__(self, call: Awaitable[T], is_over: Callable[[], bool]) -> None:
        """Drive *call*; where *is_over* says so at a cancellation, it is left where it stands."""
        self._call = _coroutine(call)
        self._is_over = is_over

    def __await__(self) -> Generator[Any, None, T]:
        """Drive it in the present task, and return what it returns.

        Raises:
            asyncio.CancelledError: The task was cancelled, whatever the coroutine made of that.
            BaseException: What the coroutine raises.
        """
        task = asyncio.current_task()
        assert task is not None, "a coroutine is driven in a task"
        before = task.cancelling()
        thrown: BaseException | None = None
        while True:
            try:
                waits_for = self._call.send(None) if thrown is None else self._call.throw(thrown)
            except StopIteration as done:
                if task.cancelling() > before:
                    raise asyncio.CancelledError from None
                value: T = done.value
                return value
            except Exception as exc:
                if task.cancelling() > before:
                    raise asyncio.CancelledError from exc
                raise
            thrown = None
            try:
                yield waits_for
            except asyncio.CancelledError as exc:
                if self._is_over():
                    with suppress(RuntimeError):  # it swallows that, too
                        self._call.close()
                    raise
                thrown = exc
            except BaseException as exc:  # noqa: BLE001 - all of it is for the coroutine, GeneratorExit too
                thrown = exc


async def _coroutine_of(call: Awaitable[T]) -> T:
    return await call


def _coroutine(call: Awaitable[T]) -> Coroutine[Any, None, T]:
    return call if isinstance(call, Coroutine) else _coroutine_of(call)
