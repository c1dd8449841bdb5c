"""A thread with an event loop of its own, and the way into it from threads that have none."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, TypeVar, final

from wickwire.errors import UsageError
from wickwire.scope import children
from wickwire.threads import frames_of, innermost, line_of, stack_of

__all__ = ["Answer", "Deadline", "Ended", "LoopFactory", "Portal"]

log = logging.getLogger(__name__)

T = TypeVar("T")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
"""Makes an event loop."""

LOOK_S: Final = 0.5
"""A thread waits at most so long at a time."""
_MORE_S: Final = 1.0
"""So much longer than allowed a block may take to be left when nobody waits for its opening any more."""


class Ended(UsageError):
    """There is nobody any more who could answer."""


@final
class Deadline:
    """When a wait ends, by the clock of this machine; a thread without a loop has no other."""

    def __init__(self, timeout_s: float | None) -> None:
        """Begin to wait; None and infinity are no end."""
        endless = timeout_s is None or timeout_s == math.inf
        self._at_s = math.inf if endless or timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        """How many seconds are left, at least 0; None where there is no end."""
        return None if self._at_s == math.inf else max(0.0, self._at_s - time.monotonic())

    def awaits(self, is_there: Callable[[], bool], wait: Callable[[float], object]) -> bool:
        """Call *wait* until *is_there*; return False where the time is over before.

        It waits step by step: Ctrl-C that comes a moment before a thread waits for a lock wakes nobody.
        """
        while not is_there():
            left_s = self.left_s
            if left_s == 0.0:
                return False
            wait(LOOK_S if left_s is None else min(left_s, LOOK_S))
        return True


def _look(future: concurrent.futures.Future[Any], most_s: float) -> None:
    """Return when *future* is done, or after so many seconds."""
    with suppress(TimeoutError):
        future.exception(most_s)


@final
class Answer(Generic[T]):
    """What was asked through a portal. It comes once; who stopped waiting may wait again.

    Attributes:
        what: What was asked, for messages.
        unwanted: Nobody will wait for it.
    """

    def __init__(self, portal: Portal, what: str) -> None:
        """Wait for what the loop of *portal* says to *what*."""
        self.what = what
        self.unwanted = False
        self.task: asyncio.Task[None] | None = None
        self.future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._portal = portal

    @property
    def is_there(self) -> bool:
        """Whether `result` would return at once."""
        return self.future.done()

    def result(self, timeout_s: float | None) -> T:
        """Return the answer, or raise what came instead, within so many seconds.

        Raises:
            TimeoutError: It did not come by then; it is still asked for.
            Ended: It will not come.
        """
        if Deadline(timeout_s).awaits(self.future.done, partial(_look, self.future)):
            return self.future.result()
        raise TimeoutError(f"{self.what}: no answer within {timeout_s:g} s{self._portal.held()}")

    def cancel(self) -> None:
        """Let nobody work on it any more, unless it is there."""
        self._portal.soon(self._cancel)

    def _cancel(self) -> None:
        self.unwanted = True
        if self.task is not None:
            self.task.cancel()


class Portal:
    """Runs one async block in a thread of its own, and what other threads ask meanwhile beside it.

    Attributes:
        finished: Set when the thread has nothing to do any more.
        failure: What ended the block, unless somebody let it end.
        stopping: Somebody lets it end.
    """

    def __init__(
        self,
        block: Callable[[], AbstractAsyncContextManager[None]],
        *,
        name: str,
        loop_factory: LoopFactory | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            block: What is entered in the thread, and left when the portal ends.
            name: Of the thread, and in messages.
            loop_factory: Makes its loop; by default asyncio's own.
        """
        self.finished = threading.Event()
        self.failure: BaseException | None = None
        self.stopping = False
        self._trace: TracebackType | None = None
        self._block = block
        self._name = name
        self._loop_factory = loop_factory
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._calls: asyncio.TaskGroup | None = None
        self._unanswered: dict[Answer[Any], None] = {}
        self._over = False

    # --------------------------------------------------------------------------------------- begin and end

    @property
    def started(self) -> bool:
        """Whether there is, or was, a thread of it in this process."""
        return self._thread is not None and self._pid == os.getpid()

    @property
    def running(self) -> bool:
        """Whether something can be asked."""
        return self.started and self._opened.done() and not self.finished.is_set()

    def start(self, timeout_s: float | None) -> None:
        """Start the thread; return when the block is entered, or raise what that raises.

        Raises:
            UsageError: It was started before.
            TimeoutError: The block was not entered in so many seconds; it is left.
        """
        with self._lock:
            if self._thread is not None:
                raise UsageError(f"the {self._name} was started already; it runs once, so make a new one")
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        deadline = Deadline(timeout_s)
        try:
            started = deadline.awaits(self._opened.done, partial(_look, self._opened))
            where = "" if started else self.held()
            if started:
                self._opened.result()
                return
        except BaseException:  # also Ctrl-C
            self._abandon()
            raise
        self._abandon()
        raise TimeoutError(f"the {self._name} did not start within {timeout_s:g} s{where}")

    def _abandon(self) -> None:
        """Leave a block that nobody waits for."""
        with self._lock:
            self.stopping = True
            main = self._main
        if main is not None:
            self.soon(main.cancel)
        Deadline(_MORE_S).awaits(self.finished.is_set, self.finished.wait)

    def end(self) -> None:
        """Let the block be left; `finished` says when that is done."""
        self.stopping = True
        self.soon(self._ending.set)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._live())
        except BaseException as exc:  # noqa: BLE001 - not handled, handed on: whoever asks anything gets it
            self._failed(exc)
        finally:
            with self._lock:
                self._over = True
                unanswered, self._unanswered = list(self._unanswered), {}
            for one in unanswered:
                one.future.set_exception(self._ended(one.what))
            self.finished.set()

    def _failed(self, error: BaseException) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
            return
        self.failure, self._trace = error, error.__traceback__
        log.error("thread failed", extra={"where": self._name, "why": str(error)}, exc_info=error)

    async def _live(self) -> None:
        with self._lock:
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
            if self.stopping:
                raise self._ended("start")
        async with self._block(), children() as calls:
            self._calls = calls
            self._opened.set_result(None)
            try:
                await self._ending.wait()
            finally:
                self._calls = None  # `_run` answers what is asked now: then it is known why it ended
            with self._lock:
                tasks = [one.task for one in self._unanswered if one.task is not None]
            for task in tasks:
                task.cancel()

    # --------------------------------------------------------------------------------------------- asking

    def call(self, ask: Callable[[], Coroutine[Any, Any, T]], timeout_s: float | None, what: str) -> T:
        """Run *ask* in the thread, and return what it returns or raise what it raises.

        Raises:
            UsageError: Nothing runs, or this is the thread itself or another process.
            TimeoutError: It took longer than so many seconds, and was cancelled.
        """
        answer = None
        try:
            answer = self.ask(ask, what)
            return answer.result(timeout_s)
        except Ended as exc:
            ended = exc
        except BaseException:  # a timeout, or Ctrl-C
            if answer is not None and not answer.is_there:
                answer.cancel()
            raise
        raise self.why() or ended

    def ask(self, ask: Callable[[], Coroutine[Any, Any, T]], what: str) -> Answer[T]:
        """Let *ask* be run in the thread, beside all else; raises as `call`, which `Ended` is part of."""
        self.check(what)
        answer = Answer[T](self, what)
        with self._lock:
            if self._over:
                raise self._ended(what)
            self._unanswered[answer] = None
        self.soon(self._begin, answer, ask)
        return answer

    def check(self, what: str) -> None:
        """Raise UsageError where *what* could not be answered here, and would be waited for without end."""
        if self._thread is None:
            raise UsageError(f"{what}: the {self._name} does not run yet; enter it, or call start()")
        if self._pid != os.getpid():
            raise UsageError(
                f"{what}: the {self._name} was started before this process was forked off, and its thread "
                "stayed behind; make and start one in each process, after the fork"
            )
        if self._thread is threading.current_thread():
            raise UsageError(
                f"{what}: called in the event loop of the {self._name}, which would wait for itself; "
                "call it from another thread"
            )
        if not self._opened.done():
            raise UsageError(f"{what}: the {self._name} does not run yet; another thread starts it")

    def soon(self, function: Callable[..., object], *args: object) -> None:
        """Call *function* in the thread, from any; nothing happens where there is none any more."""
        if self._loop is not None and self._pid == os.getpid():
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function, *args)

    def spawn(self, ask: Callable[[], Coroutine[Any, Any, object]], what: str) -> None:
        """Run *ask* in the thread, from any, for nobody who waits; nothing happens where none runs."""
        self.soon(self._begin, Answer[object](self, what), ask)

    def why(self) -> BaseException | None:
        """Return the failure that ended it, ready to be raised again."""
        return None if self.failure is None else self.failure.with_traceback(self._trace)

    def held(self) -> str:
        """Say where the thread is, if it is in a step of its loop just now."""
        thread = self._thread
        frames = [] if thread is None or thread.ident is None else frames_of(thread.ident)
        stack, begins = stack_of(frames)
        inside = stack[begins:]
        return f"; its event loop is held at {line_of(innermost(inside))}" if begins and inside else ""

    def _ended(self, what: str) -> Ended:
        return Ended(f"{what}: the {self._name} has ended; make a new one")

    def _begin(self, answer: Answer[T], ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        if self._calls is None:
            return
        if answer.unwanted:
            self._cancelled(answer)
            return
        task = self._calls.create_task(self._answering(answer, ask), name=answer.what)
        task.add_done_callback(partial(self._done, answer))  # a task may be cancelled before its first step
        answer.task = task

    def _done(self, answer: Answer[Any], task: asyncio.Task[None]) -> None:
        if task.cancelled() and (answer.unwanted or self._calls is not None):
            self._cancelled(answer)

    async def _answering(self, answer: Answer[T], ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            found = await ask()
        except Exception as exc:  # noqa: BLE001 - not handled, handed on: whoever asked gets it
            self._settled(answer)
            answer.future.set_exception(exc)
        else:
            self._settled(answer)
            answer.future.set_result(found)

    def _cancelled(self, answer: Answer[Any]) -> None:
        self._settled(answer)
        answer.future.set_exception(Ended(f"{answer.what}: it was cancelled"))

    def _settled(self, answer: Answer[Any]) -> None:
        with self._lock:
            self._unanswered.pop(answer, None)
