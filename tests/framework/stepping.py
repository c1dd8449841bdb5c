"""Cancelling a coroutine at any of its steps, and counting what is left afterwards."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Container, Coroutine, Generator
from pathlib import Path
from typing import Any, Generic, TypeVar

import attrs

from wickwire.simulate.memory import MemoryTransport

__all__ = ["Left", "Stepped"]

T = TypeVar("T")


class Stepped(Generic[T]):
    """Drives a coroutine, counts how often it waits, and cancels its task at some of these moments.

    Attributes:
        steps: How often it waited so far.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], at: Container[int] = (), *, waking: bool = False
    ) -> None:
        """Cancel the task *at* these steps: as it begins to wait, or, *waking*, as that is over."""
        self.steps = 0
        self._coroutine = coroutine
        self._at = at
        self._waking = waking

    def __await__(self) -> Generator[Any, None, T]:
        task = asyncio.current_task()
        assert task is not None
        thrown: BaseException | None = None
        while True:
            try:
                waits_for = self._coroutine.send(None) if thrown is None else self._coroutine.throw(thrown)
            except StopIteration as stop:
                found: T = stop.value
                return found
            self.steps += 1
            if self.steps in self._at:
                if self._waking and isinstance(waits_for, asyncio.Future):
                    waits_for.add_done_callback(lambda _: task.cancel())
                else:
                    asyncio.get_running_loop().call_soon(task.cancel)
            thrown = None
            try:
                yield waits_for
            except BaseException as exc:  # noqa: BLE001 - handed to whom it was meant for
                thrown = exc


@attrs.frozen
class Left:
    """What there is beside the program itself: equal before and after, where nothing was left behind.

    Attributes:
        tasks: Names of the tasks of the loop, but for the running one.
        streams: Open ones.
        threads: Names of all.
        files: What is open.
    """

    tasks: list[str]
    streams: int
    threads: list[str]
    files: list[str]

    @classmethod
    def now(cls, transport: MemoryTransport | None) -> Left:
        """Count."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return cls(
            sorted(task.get_name() for task in others),
            0 if transport is None else len(transport.open_streams),
            sorted(thread.name for thread in threading.enumerate()),
            sorted(_opened()),
        )


def _opened() -> list[str]:
    """Return what files and sockets this process has open, where the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return []
    found = []
    for one in os.listdir(folder):  # noqa: PTH208 - the one that is open for this is among them
        try:
            found.append(os.readlink(folder / one))  # noqa: PTH115 - a path need not exist
        except FileNotFoundError:
            continue
    return [one for one in found if not one.startswith("/proc/")]
