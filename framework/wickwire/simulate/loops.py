"""Event loops on which time is not the machine's: virtual for tests, scaled for demonstrations.

`VirtualLoop` jumps from timer to timer and never waits. `ScaledLoop` waits, N times shorter. Both tell a
`LoopClock`, `running_clock()`, so that stamping and waiting agree. Time stands still between two turns of
either loop: whatever runs in one turn happens at one instant.

`ScaledLoop` rests on what asyncio documents: a selector given to the loop. `VirtualLoop` makes its turns
itself, which asyncio does not document: it replaces `_run_once`, keeps timers in a heap of its own, and takes
what is ready from `_ready`. A third of the time of a simulated run went into a turn that is made for sockets.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import heapq
import itertools
import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple, final

from wickwire.clock import Clock, LoopClock, SystemClock
from wickwire.errors import UsageError
from wickwire.model import SECOND_NS

__all__ = [
    "VIRTUAL_START_NS",
    "InlineExecutor",
    "ScaledLoop",
    "VirtualLoop",
    "run_scaled",
    "run_virtual",
    "running_clock",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_Events = list[tuple[selectors.SelectorKey, int]]

VIRTUAL_START_NS: Final = 1_800_000_000 * SECOND_NS
"""What a virtual clock says first: 2027-01-15T08:00:00Z, a Friday."""
MOST_A_TURN_S: Final = 0.25
"""How far scaled time moves in one turn at most: a machine that is too busy slows time, and nobody takes its
silence for a venue's."""
_TICK_S: Final = 0.001
_TURNS_A_LOOK: Final = 64
"""A virtual loop makes so many turns, and then looks for signals: each look is a call to the system."""
_CANCELLED_KEPT: Final = 100
"""Cancelled timers are thrown away once there are more than these, and more than half of all."""
_MOST_NAMED: Final = 20
"""Tasks that the report of a deadlock lists."""


class _Turns(selectors.DefaultSelector):
    """A selector that lets its loop decide how long to wait, and learn when a turn begins."""

    def __init__(self, turn: Callable[[float | None, Callable[[float | None], _Events]], _Events]) -> None:
        super().__init__()
        self._turn = turn

    def select(self, timeout: float | None = None) -> _Events:
        return self._turn(timeout, super().select)


class _OwnTime(asyncio.SelectorEventLoop):
    """A selector loop whose time is moved by its own turns."""

    clock: LoopClock

    def __init__(self, start_ns: int, selector: selectors.BaseSelector | None = None) -> None:
        self._now_s = 0.0
        super().__init__(selector)
        self.clock = LoopClock(self, start_ns)

    def time(self) -> float:
        """Return the seconds since the loop was made, of its own time."""
        return self._now_s


# ---------------------------------------------------------------------------------------------- virtual time


class _Task(asyncio.Task[T]):
    """A task that hashes by its number: a set of tasks has the same order in every process."""

    def __init__(self, coro: Coroutine[Any, Any, T], number: int, **options: Any) -> None:
        self._number = number  # before the rest: asyncio puts a new task into a set at once
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number

    def set_name(self, value: object, /) -> None:
        if value is not None:  # Python 3.13.0 tells a task that nobody named so
            super().set_name(value)


class _Timer(asyncio.TimerHandle):
    """A timer that is in the heap from birth, and does not remember who set it.

    It sets what asyncio's own does, without asking the loop about debugging: every frame sets some.
    """

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True


@final
class InlineExecutor(concurrent.futures.Executor):
    """Runs what it is given at once, in the caller's thread: the executor for virtual time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[T]:
        """Return the finished future of `fn(*args, **kwargs)`."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - not handled, handed on: whoever awaits the future gets it
            future.set_exception(exc)
        return future


@final
class VirtualLoop(_OwnTime):
    """An event loop that never waits: when nothing is ready, it is at once the time of the next timer.

    Tasks are numbered and named in the order of their birth, and hash by that number. With a *seed*, what is
    ready at the same instant runs in an order drawn from it: other seeds, other interleavings. Without one
    the order is asyncio's own. Either way the same program does the same, step by step, in every process.

    Threads have no place here, as nobody can say how long one takes: executors other than `InlineExecutor`
    are refused, and with them name resolution and `asyncio.to_thread`. Nor have sockets.

    Attributes:
        virtual: Real time means nothing on it, so nobody should measure it.
    """

    virtual: Final = True

    # asyncio's own, which its types do not tell
    _stopping: bool
    _selector: selectors.BaseSelector
    _process_events: Callable[[_Events], None]

    def __init__(self, *, seed: int | None = None, start_ns: int = VIRTUAL_START_NS) -> None:
        """Make a loop whose clock says *start_ns*."""
        self._rng = None if seed is None else random.Random(f"ready/{seed}")
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._cancelled = 0
        super().__init__(start_ns)
        self._waiting = _attribute(self, "_ready", deque)
        births = itertools.count(1)

        def bear(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], **options: Any) -> _Task[T]:
            number = next(births)
            if options.get("name") is None:
                options["name"] = f"task-{number}"
            return _Task(coro, number, loop=loop, **options)

        self.set_task_factory(bear)  # type: ignore[arg-type]  # typeshed wants coroutines of any kind

    def leap(self, seconds: float) -> None:
        """Let time pass in which nothing runs, as for a process that was stopped and goes on.

        Raises:
            UsageError: Time does not go back.
        """
        if not seconds >= 0:
            raise UsageError(f"time passes forward, got a leap of {seconds} s")
        self._now_s += seconds

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call *callback* at *when*; with a seed, timers of one instant take part in the shuffle."""
        handle = _Timer(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def close(self) -> None:
        """Close it, and forget all timers."""
        super().close()
        self._timers.clear()

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run *func* inline.

        Raises:
            RuntimeError: The executor would use a thread, for which virtual time cannot wait.
        """
        if isinstance(executor, InlineExecutor):
            return super().run_in_executor(executor, func, *args)
        raise RuntimeError(
            f"virtual time cannot wait for a thread: {func!r} was given to "
            f"{'the default executor' if executor is None else repr(executor)}; inject an InlineExecutor"
        )

    def _run_once(self) -> None:
        """Make turns as asyncio's own does, without waiting, until it is to stop or to look outside again."""
        # nobody but a signal or another thread may wake this loop from outside, and that has time
        self._look_outside()
        waiting, timers = self._waiting, self._timers
        shuffle = None if self._rng is None else self._rng.shuffle
        for _ in range(_TURNS_A_LOOK):
            if not waiting and not self._stopping:
                self._jump()
            now_s = self._now_s
            while timers and timers[0][0] <= now_s:  # its time has come
                handle = heapq.heappop(timers)[2]
                handle._scheduled = False  # asyncio's own  # noqa: SLF001 - it left the heap
                if handle._cancelled:  # noqa: SLF001 - asked of every timer
                    self._cancelled -= 1
                else:
                    waiting.append(handle)
            count = len(waiting)  # what these make ready waits for the next turn
            if count > 1 and shuffle is not None:
                shuffle(waiting)
            for _ in range(count):
                ready = waiting.popleft()
                if not ready._cancelled:  # noqa: SLF001 - asked of all that is ready
                    ready._run()  # noqa: SLF001 - as asyncio's own turn does
            if self._stopping:
                return

    def _jump(self) -> None:
        """Let it be the time of the next timer."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 - asked of every timer
            heapq.heappop(timers)
            self._cancelled -= 1
        if timers:
            self._now_s = max(self._now_s, timers[0][0])
            return
        self._look_outside()
        if not self._waiting:
            raise RuntimeError(self._deadlock())

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Be told by asyncio that a timer was cancelled."""
        if not handle._scheduled:  # type: ignore[attr-defined]  # asyncio's own  # noqa: SLF001 - not in the heap
            return
        self._cancelled += 1
        if self._cancelled > _CANCELLED_KEPT and 2 * self._cancelled > len(self._timers):
            self._timers[:] = [timer for timer in self._timers if not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _look_outside(self) -> None:
        self._process_events(self._selector.select(0))

    def _deadlock(self) -> str:
        tasks = sorted((task for task in asyncio.all_tasks(self)), key=hash)
        lines = [f"  {task.get_name()}: {_place(task)}" for task in tasks[:_MOST_NAMED]]
        if len(tasks) > _MOST_NAMED:
            lines.append(f"  and {len(tasks) - _MOST_NAMED} more")
        what = f"virtual time: deadlock after {self._now_s:.6f} s: nothing is ready, no timer is set"
        return "\n".join((f"{what}, and {len(tasks)} tasks wait for ever:", *lines))


def _place(task: asyncio.Task[Any]) -> str:
    """Say where *task* waits: the innermost frame that is still ours to see."""
    awaited: Any = task.get_coro()
    place = repr(awaited)
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        place = f"{frame.f_code.co_qualname} in {frame.f_code.co_filename}:{frame.f_lineno}"
        awaited = awaited.cr_await
    return place


def _attribute(loop: asyncio.AbstractEventLoop, name: str, kind: type[T]) -> T:
    """Return one of asyncio's own attributes, or say that this Python keeps it elsewhere."""
    value = getattr(loop, name, None)
    if isinstance(value, kind):
        return value
    raise RuntimeError(f"virtual time: asyncio's {name} is not the {kind.__name__} that it was")


# ----------------------------------------------------------------------------------------------- scaled time


@final
class ScaledLoop(_OwnTime):
    """An event loop on which every wait is *speed* times shorter, for real sockets and threads.

    One turn moves time by at most 0.25 s, and not beyond the next timer unless something else is ready. So a
    busy machine slows time down, and so does a *speed* that the selector cannot follow: it waits for whole
    milliseconds, which makes some 250 the fastest.
    """

    def __init__(self, speed: float, *, start_ns: int | None = None) -> None:
        """Make a loop whose clock says *start_ns*, or the present.

        Raises:
            UsageError: *speed* is not above zero and finite.
        """
        self.speed = speed
        self._read = time.monotonic
        self._read_at = self._read()
        self._owed_s = 0.0
        super().__init__(SystemClock().now_ns() if start_ns is None else start_ns, _Turns(self._turn))
        if not 0 < speed < float("inf"):
            self.close()  # made first, since a loop's finaliser wants one that is whole
            raise UsageError(f"the speed of time has to be above zero, got {speed}")

    def _turn(self, timeout: float | None, select: Callable[[float | None], _Events]) -> _Events:
        """Wait in *select* for at most *timeout* seconds of loop time (None: without end), and move time."""
        most = MOST_A_TURN_S if timeout is None else min(timeout, MOST_A_TURN_S)
        wait_s = max(0.0, most - self._owed_s) / self.speed
        # epoll rounds up to whole milliseconds; rounded down, no wait outlasts what a turn may move
        events = select(wait_s if wait_s < _TICK_S else wait_s // _TICK_S * _TICK_S)
        before, self._read_at = self._read_at, self._read()
        owed = min(self._owed_s + (self._read_at - before) * self.speed, MOST_A_TURN_S)
        # Up to the next timer and not beyond, so that it fires at its own instant; the turns to come make up
        # for what is left. A timeout of zero says nothing about timers: something is ready now.
        step = owed if timeout == 0 else min(owed, most)
        self._now_s += step
        self._owed_s = owed - step
        return events


# --------------------------------------------------------------------------------------------------- running


def run_virtual(
    main: Coroutine[Any, Any, T], *, seed: int | None = None, start_ns: int = VIRTUAL_START_NS
) -> T:
    """Run *main* on a `VirtualLoop`, as `asyncio.run` does, and return its result.

    Raises:
        RuntimeError: Everything waits and no timer is set (the text lists who waits where), or a thread was
            asked for.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed=seed, start_ns=start_ns)) as runner:
        return runner.run(main)


def run_scaled(main: Coroutine[Any, Any, T], speed: float, *, start_ns: int | None = None) -> T:
    """Run *main* on a `ScaledLoop`, as `asyncio.run` does, and return its result.

    Raises:
        UsageError: *speed* is not above zero and finite.
    """
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(speed, start_ns=start_ns)) as runner:
        return runner.run(main)


def running_clock() -> Clock:
    """Return the clock of the running loop: its own where it is one of these, else the machine's."""
    loop = asyncio.get_running_loop()
    return loop.clock if isinstance(loop, _OwnTime) else SystemClock()
