"""What runs while a facade is used: one task, in which everything else is.

The interface that hosts call has no begin and no end: whoever asks for a handler first may be any task of the
host, and is gone long before the last candle. A TaskGroup belongs to the task that opened it. So the facade
has a task of its own, the only one that nobody's block owns; `stop` waits for it, and a loop that ends, as
`asyncio.run` does, cancels it like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wickwire import UsageError

__all__ = ["Life"]


class Life:
    """One life of a facade, on one event loop.

    Attributes:
        loop: The loop.
        consumers: The tasks in which the host is called back.
    """

    def __init__(self) -> None:
        """Begin on the running loop."""
        self.loop = asyncio.get_running_loop()
        self.consumers: dict[asyncio.Task[None], None] = {}
        self._locks: dict[object, asyncio.Lock] = {}
        self._begun = asyncio.Event()
        self._end = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._task = self.loop.create_task(self._run(), name="fullon facade")

    @property
    def is_over(self) -> bool:
        """Whether nothing runs any more, or will soon."""
        return self._end.is_set() or self._task.done() or self.loop.is_closed()

    def lock(self, key: object) -> asyncio.Lock:
        """Return the lock of *key*: what is made once is made under it."""
        return self._locks.setdefault(key, asyncio.Lock())

    async def start(self, make: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None]:
        """Run what *make* makes, which must not raise, until it ends or this life does.

        Raises:
            UsageError: It is over.
        """
        await self._begun.wait()
        if self.is_over or self._tasks is None:
            raise UsageError("this facade is shut down; call initialize_factory() first")
        return self._tasks.create_task(make(), name=name)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._begun.set()
                await self._end.wait()
        finally:
            self._end.set()

    async def stop(self) -> None:
        """Let it end, and return when nothing is left; from within a callback, return before that one ends.

        Everything that runs ends by itself once it was told to: that comes first, and is the caller's.
        """
        self._end.set()
        if asyncio.current_task() not in self.consumers:
            await asyncio.wait([self._task])
