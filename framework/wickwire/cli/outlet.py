"""Writes to stdout from a thread of its own: a reader that stands still holds up neither data nor signals."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, final

from wickwire.errors import ConfigError

if TYPE_CHECKING:
    from wickwire.cli.runs import Stop

__all__ = ["Outlet", "OutletFile"]

BOUND: Final = 256
"""Pieces that wait to be written; whoever has more waits too, and reads on from the store later."""
GRACE_S: Final = 1.0
"""How long, on the wall, a reader may stand still once everything ends; then the rest is not written."""
LOOK_S: Final = 0.05


@final
class Outlet:
    """One writer of stdout.

    The thread is a daemon and writes to the descriptor itself, so that a write that never returns does not
    keep the process alive.

    Attributes:
        dropped: Pieces that were not written, since nobody read.
    """

    def __init__(self, stop: Stop) -> None:
        """Write until the end; *stop* is told when nobody reads any more."""
        self.dropped = 0
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._pieces: deque[bytes] = deque()
        self._more = threading.Semaphore(0)
        self._room = asyncio.Event()
        self._writing = False
        self._failure: OSError | None = None
        self._ended_s: float | None = None
        sys.stdout.flush()  # what was printed before comes before
        self._descriptor = sys.stdout.fileno()
        threading.Thread(target=self._write, name="stdout", daemon=True).start()

    @property
    def idle(self) -> bool:
        """Whether everything so far was taken by the reader."""
        return not self._pieces and not self._writing

    async def put(self, text: str) -> None:
        """Write *text* in its turn; wait while too much waits already."""
        while len(self._pieces) >= BOUND and self._failure is None:
            if self._given_up():
                self.dropped += 1
                return
            self._room.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._room.wait()
            except TimeoutError:
                pass
        self._append(text)

    def tell(self, text: str) -> None:
        """Write *text* in its turn, or drop it where far too much waits."""
        if len(self._pieces) < 2 * BOUND:
            self._append(text)
        else:
            self.dropped += 1

    def finish(self) -> None:
        """Return when all is written, or the reader stood still for too long.

        Raises:
            ConfigError: It could not be written.
        """
        self._ended_s = self._ended_s or time.monotonic()
        while not self.idle and not self._given_up():
            time.sleep(LOOK_S / 10)
        if self._failure is not None and not isinstance(self._failure, BrokenPipeError):
            raise ConfigError(f"stdout: cannot be written: {self._failure.strerror}") from self._failure

    def _given_up(self) -> bool:
        """Say whether everything ends, and did so long ago."""
        if self._ended_s is None:
            if self._stop.ending is None:
                return False
            self._ended_s = time.monotonic()
        return time.monotonic() - self._ended_s > GRACE_S

    def _append(self, text: str) -> None:
        self._pieces.append(text.encode(errors="replace"))
        self._more.release()

    def _write(self) -> None:
        while True:
            self._more.acquire()
            self._writing = True
            piece = memoryview(self._pieces.popleft())
            try:
                while piece and self._failure is None:
                    piece = piece[os.write(self._descriptor, piece) :]
            except OSError as exc:
                self._failure = exc
            self._writing = False
            try:
                self._loop.call_soon_threadsafe(self._wrote)
            except RuntimeError:  # the loop is over, and so is all that could still be written
                return

    def _wrote(self) -> None:
        self._room.set()
        if self._failure is not None:
            self._stop.now()


@final
class OutletFile:
    """What `rich` takes for a terminal: it collects, and hands over at each flush."""

    encoding = "utf-8"

    def __init__(self, outlet: Outlet) -> None:
        """Hand over to *outlet*."""
        self._outlet = outlet
        self._written: list[str] = []

    def write(self, text: str) -> int:
        """Collect *text*."""
        self._written.append(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what was collected."""
        if self._written:
            self._outlet.tell("".join(self._written))
            self._written.clear()

    def isatty(self) -> bool:
        """Say yes: this is only used where stdout is a terminal."""
        return True

    def fileno(self) -> int:
        """Return stdout's descriptor, whose size is the terminal's."""
        return sys.__stdout__.fileno() if sys.__stdout__ is not None else 1
