"""Sees what a hook does beside returning a value: files, sockets, clocks, processes, threads, print and log.

Python tells of most of these through audit events. What goes to stdout, stderr and the log is replaced while
a call is sealed, and clocks are seen by a profiler, whatever name they were imported under. A hook may import
(then the import system reads files), and the framework may read time zones for it. An audit hook cannot be
taken away again, so there is one for the process, which does nothing unless a call is sealed in the same
thread.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import date
from typing import TYPE_CHECKING, Any, Final, final

import attrs

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Sealed", "sealed"]

FORBIDDEN: Final = (
    *(
        "socket.",
        "subprocess.",
        "os.system",
        "os.exec",
        "os.fork",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
    ),
    *(
        "os.listdir",
        "os.scandir",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.truncate",
        "os.putenv",
    ),
    *("shutil.", "sqlite3.", "urllib.", "http.", "ftplib.", "smtplib.", "_thread.", "ctypes."),
    *("signal.", "tempfile.", "pathlib.Path.glob", "glob.", "webbrowser.", "mmap."),
)
IMPORTING: Final = ("<frozen importlib", "<frozen zipimport")
ZONES: Final = ("zoneinfo", "tzdata")
CLOCKS: Final = frozenset(
    one
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    for one in (getattr(time, name), getattr(time, f"{name}_ns"))
)
NOW: Final = frozenset({"now", "utcnow", "today"})
OTHERS: Final = frozenset({"logging", "hypothesis"})
"""Who reads clocks for themselves meanwhile: the log stamps its records, Hypothesis times the collector."""


@final
@attrs.define
class Sealed:
    """What happened while a call was sealed.

    Attributes:
        deeds: What it did that no hook does, such as `open '/etc/passwd'`.
        output: What it wrote to stdout and stderr.
        logged: What it logged.
    """

    deeds: list[str] = attrs.field(factory=list)
    output: str = ""
    logged: list[str] = attrs.field(factory=list)

    @property
    def all(self) -> list[str]:
        """All of it in words."""
        printed = [f"wrote {self.output!r:.200}"] if self.output else []
        return [*self.deeds, *printed, *(f"logged {text!r:.200}" for text in self.logged)]


class _Here(threading.local):
    """What is sealed in this thread."""

    seal: Sealed | None = None


_here: Final = _Here()
_installed: Final = threading.Event()


def _audited(event: str, arguments: tuple[Any, ...]) -> None:
    seal = _here.seal
    if seal is None:
        return
    if event == "open":
        if not _may_read(arguments):
            seal.deeds.append(f"open {arguments[0]!r:.100}")
    elif event.startswith(FORBIDDEN):
        seal.deeds.append(f"{event} {', '.join(repr(one)[:60] for one in arguments)}".strip())


@contextmanager
def _told_of(owner: Any, name: str) -> Iterator[None]:
    """Let *owner*'s function say that it was called: older Pythons audit neither sleep nor threads."""
    plain = getattr(owner, name)

    def told(*args: Any, **kwargs: Any) -> Any:
        if _here.seal is not None:
            _here.seal.deeds.append(f"{owner.__name__}.{name}")
        return plain(*args, **kwargs)

    setattr(owner, name, told)
    try:
        yield
    finally:
        setattr(owner, name, plain)


def _is_clock(called: Any) -> bool:
    """Say whether a built-in function reads a clock: one of `time`, or `datetime.now` and the like."""
    owner = getattr(called, "__self__", None)
    if owner is time:
        return called in CLOCKS
    return isinstance(owner, type) and issubclass(owner, date) and called.__name__ in NOW


@contextmanager
def _clocks_told_of(seal: Sealed) -> Iterator[None]:
    """Note in *seal* each clock that is read in this thread on behalf of the call."""
    before = sys.getprofile()

    def profiled(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call" or not _is_clock(called):
            return
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in OTHERS:
            seal.deeds.append(f"reads the clock {getattr(called, '__qualname__', called)}")

    sys.setprofile(profiled)
    try:
        yield
    finally:
        sys.setprofile(before)


def _may_read(arguments: tuple[Any, ...]) -> bool:
    """Say whether a file is one that an import or a time zone needs."""
    path, mode = str(arguments[0]), str(arguments[1] or "r")
    if any(place in path for place in ZONES) and "w" not in mode:
        return True
    frame = sys._getframe(2)  # noqa: SLF001 - the only way to learn on whose behalf
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


@contextmanager
def sealed() -> Iterator[Sealed]:
    """Watch what the block does; what it raises passes."""
    if not _installed.is_set():
        _installed.set()
        sys.addaudithook(_audited)
    seal = Sealed()
    written = io.StringIO()
    made = logging.getLogRecordFactory()

    def recorded(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = made(*args, **kwargs)
        seal.logged.append(record.getMessage())
        return record

    before = _here.seal
    logging.setLogRecordFactory(recorded)
    try:
        with redirect_stdout(written), redirect_stderr(written):
            _here.seal = seal
            try:
                with _told_of(time, "sleep"), _told_of(threading.Thread, "start"), _clocks_told_of(seal):
                    yield seal
            finally:
                _here.seal = before
    finally:
        logging.setLogRecordFactory(made)
        seal.output = written.getvalue()
