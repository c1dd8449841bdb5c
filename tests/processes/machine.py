"""A machine of its own for a process: its clock can be set, its disk and its resolver can fail.

A small library, built from machine.c where there is a C compiler, stands between the process and the system's
own. The processes are as they are run everywhere, on the wall clock and on asyncio's own loop; only time goes
faster, so that minutes need not be waited for.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from wickwire import iso, parse_instant

__all__ = ["Machine"]

_SOURCE: Final = Path(__file__).with_name("machine.c")
_TOLD: Final = struct.Struct("qqdqii")
"""`struct machine`."""


@cache
def _library(folder: Path) -> Path:
    """Build the library in *folder*; skip the test that needs it where nothing can build it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a machine with a clock of its own needs a C compiler (cc)")
    library = folder / "machine.so"
    built = subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl", "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"a machine with a clock of its own needs glibc: {built.stderr.splitlines()[0]}")
    return library


class Machine:
    """What one or several processes take for their machine.

    Attributes:
        prefix: What stands before a command that is to run on it.
        began_ns: When it began, in the time of the machine below; who shares it lives at the same time.
    """

    def __init__(
        self, folder: Path, name: str, *, at: str, speed: float, began_ns: int | None = None
    ) -> None:
        """Begin at *at*, with time *speed* times as fast, told by a file *name* in *folder*."""
        self._wall_ns, self._speed = parse_instant(at), speed
        self.began_ns = time.monotonic_ns() if began_ns is None else began_ns
        self._offset_ns, self._sync_fails, self._names_hang = 0, False, False
        path = folder / name
        path.write_bytes(bytes(_TOLD.size))
        with path.open("r+b") as file:
            self._told = mmap.mmap(file.fileno(), _TOLD.size)
        self._tell()
        self.prefix = ("env", f"LD_PRELOAD={_library(folder)}", f"MACHINE={path}")

    def __enter__(self) -> Self:
        """Return itself; it is there already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of its file."""
        self._told.close()

    def _tell(self) -> None:
        numbers = (self.began_ns, self._wall_ns, self._speed)
        self._told[:] = _TOLD.pack(*numbers, self._offset_ns, self._sync_fails, self._names_hang)

    def now(self) -> str:
        """Return what time it is, to the second, where nobody has set the clock."""
        passed_ns = round((time.monotonic_ns() - self.began_ns) * self._speed)
        return iso((self._wall_ns + passed_ns) // 10**9 * 10**9)

    def set_clock(self, wrong_by_s: float) -> None:
        """Set its wall clock: to the right time and so many seconds more. Nothing else jumps."""
        self._offset_ns = round(wrong_by_s * 10**9)
        self._tell()

    def disk_syncs(self, *, well: bool) -> None:
        """Let what asks for data to be brought to the disk succeed, or fail with EIO."""
        self._sync_fails = not well
        self._tell()

    def names_resolve(self, *, well: bool) -> None:
        """Let names be resolved, or let whoever asks wait."""
        self._names_hang = not well
        self._tell()
