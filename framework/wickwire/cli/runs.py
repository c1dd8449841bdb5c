"""Runs a command that lasts: on which loop, until when, and with which exit status it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, final

from wickwire.cli.door import ExitCode
from wickwire.scope import children, unwrapped

__all__ = ["Ending", "Stop", "run"]

T = TypeVar("T")


@final
class Ending(enum.Enum):
    """Why a command stops waiting."""

    DONE = "done"
    ELAPSED = "elapsed"
    TERMINATED = "terminated"
    INTERRUPTED = "interrupted"


@final
class Stop:
    """The one place where the end of a command is decided; the first reason counts.

    Attributes:
        ending: Why it ends; None while it runs.
    """

    def __init__(self) -> None:
        """Start without an end in sight."""
        self._event = asyncio.Event()
        self.ending: Ending | None = None

    def now(self, ending: Ending = Ending.DONE) -> None:
        """End it."""
        if self.ending is None:
            self.ending = ending
        self._event.set()

    async def wait(self) -> None:
        """Return when it ends."""
        await self._event.wait()

    async def within(self, seconds: float) -> bool:
        """Wait for the end, at most *seconds* of the loop's time; say whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True

    async def unless(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what *work* returns, or None when the end comes first; *work* is cancelled then."""
        async with children() as tasks:
            working = tasks.create_task(work)
            waiting = tasks.create_task(self._event.wait())
            await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not working.done():
                working.cancel()
        return None if working.cancelled() else working.result()

    @property
    def status(self) -> ExitCode:
        """The exit status that the end means."""
        return ExitCode.INTERRUPTED if self.ending is Ending.INTERRUPTED else ExitCode.DONE


@final
class _Lookups(concurrent.futures.ThreadPoolExecutor):
    """Where names are looked up: a thread for each, which nobody waits for in the end.

    The system's resolver cannot be interrupted. In asyncio's own executor a few lookups that hang would keep
    those of all other venues waiting, and then the process from ending.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[T]:
        """Return what `fn(*args, **kwargs)` will have returned."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()

        def look_up() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except Exception as exc:  # noqa: BLE001 - not handled, handed on: whoever awaits it gets it
                    future.set_exception(exc)

        threading.Thread(target=look_up, name="wickwire-lookup", daemon=True).start()
        return future


def run(
    main: Callable[[Stop], Awaitable[ExitCode | None]],
    *,
    for_s: float | None = None,
    speed: float | None = None,
) -> ExitCode:
    """Run *main* until it returns; Ctrl-C, SIGTERM and the end of *for_s* tell it to stop.

    Args:
        main: Gets the `Stop`, and returns an exit status where it knows better than that.
        for_s: Seconds on the wall, whatever the loop's speed.
        speed: How many times as fast the loop's time passes; None for the machine's own.

    A second Ctrl-C or SIGTERM waits for nothing: the process ends as if it had been killed.
    """

    async def supervised() -> ExitCode:
        stop = Stop()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_Lookups())

        def ending(ending: Ending) -> None:
            stop.now(ending)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)  # Python's own would wait for a thread in the store

        loop.add_signal_handler(signal.SIGINT, ending, Ending.INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, ending, Ending.TERMINATED)
        loop.add_signal_handler(signal.SIGALRM, stop.now, Ending.ELAPSED)
        if for_s is not None:
            signal.setitimer(signal.ITIMER_REAL, for_s)
        try:
            with unwrapped():
                status = await main(stop)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return stop.status if status is None or stop.status else status

    def scaled() -> asyncio.AbstractEventLoop:
        from wickwire.simulate.loops import ScaledLoop

        assert speed is not None
        return ScaledLoop(speed)

    with asyncio.Runner(loop_factory=None if speed is None else scaled) as runner:
        return runner.run(supervised())
