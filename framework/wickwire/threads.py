"""What one thread does, as seen from another: where it is, and for how long it has been at work."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, chain, repeat, starmap
from pathlib import Path
from types import FrameType
from typing import Any, Final

__all__ = [
    "ThreadClock",
    "frames_of",
    "innermost",
    "line_of",
    "module_of",
    "package_of",
    "place_of",
    "stack_of",
    "waits",
]

_STEP: Final = asyncio.Handle._run.__code__  # noqa: SLF001 - each step of asyncio's loops runs in a new frame of it
_TURN: Final = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # noqa: SLF001 - and each turn here
_SELECTORS: Final = ("selectors", "wickwire.simulate.loops")
_PASSING_ON: Final = "wickwire.binding"


def frames_of(ident: int) -> list[FrameType]:
    """Return the frames of another thread, the innermost first; none when it has ended.

    The other thread must not run meanwhile: it would leave its frames, and what `f_back` then leads to may be
    freed memory. Threads change places between two steps of bytecode, so all of this is one: `extend` takes
    the innermost frame and walks outwards inside of the interpreter, until None has no `f_back`.
    """
    now = starmap(sys._current_frames, ((),))  # noqa: SLF001 - documented, in spite of its name
    walk: Iterator[Any] = chain(map(dict.get, now, (ident,)), repeat("f_back"))
    frames: list[FrameType] = []
    with suppress(AttributeError):
        frames.extend(accumulate(walk, getattr))
    return frames[:-1]  # the last is the None


def stack_of(frames: Sequence[FrameType]) -> tuple[list[FrameType], int]:
    """Return the frames of a thread, the outermost first, and where its present step of the loop begins.

    That is 0 outside of any step: the loop waits, or it is none of asyncio's own.
    """
    stack = [*reversed(frames)]
    steps = [place for place, one in enumerate(stack) if one.f_code is _STEP]
    return stack, steps[-1] + 1 if steps else 0


def waits(frames: Sequence[FrameType]) -> bool:
    """Say whether a thread with these *frames* is in the selector of one of asyncio's loops."""
    outer = next((one for one in frames if module_of(one) not in _SELECTORS), None)
    return outer is not None and outer.f_code is _TURN


def module_of(frame: FrameType) -> str:
    """Return the name of the module whose code *frame* runs."""
    return str(frame.f_globals.get("__name__", ""))


def package_of(frame: FrameType) -> str:
    """Return the name of the package whose code *frame* runs."""
    return module_of(frame).partition(".")[0]


def innermost(inside: Sequence[FrameType]) -> FrameType:
    """Return the innermost frame that is neither the standard library's nor that of a call passed on."""
    for one in reversed(inside):
        if package_of(one) not in sys.stdlib_module_names and module_of(one) != _PASSING_ON:
            return one
    return inside[-1]


def place_of(frame: FrameType) -> str:
    """Return file and line of *frame*."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def line_of(frame: FrameType) -> str:
    """Return file, line and function of *frame*."""
    return f"{place_of(frame)} in {frame.f_code.co_qualname}"


class ThreadClock:
    """How long a thread has computed, or slept: all but the time for which it waited for a processor.

    Where the system does not tell, all time counts.
    """

    def __init__(self, thread: threading.Thread) -> None:
        """Read the clock of *thread*."""
        assert thread.ident is not None
        self._state = Path(f"/proc/self/task/{thread.native_id}/stat")
        told = getattr(time, "pthread_getcpuclockid", None)
        self._clock: int | None = None if told is None else told(thread.ident)
        self._busy_s = 0.0
        self._computed_s, self._wall_s = self._read()

    def _read(self) -> tuple[float, float]:
        return 0.0 if self._clock is None else time.clock_gettime(self._clock), time.monotonic()

    def busy_s(self, most_s: float) -> float:
        """Return the seconds so far; of those asleep since the last call at most *most_s* count."""
        computed_s, wall_s = self._read()
        if computed_s > self._computed_s:
            self._busy_s += computed_s - self._computed_s
        elif not self._waits_for_a_processor():
            self._busy_s += min(wall_s - self._wall_s, most_s)
        self._computed_s, self._wall_s = computed_s, wall_s
        return self._busy_s

    def _waits_for_a_processor(self) -> bool:
        """Say whether it is ready to run (state R), though it did not."""
        try:
            return self._state.read_text().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError):
            return False
