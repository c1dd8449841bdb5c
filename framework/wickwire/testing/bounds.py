"""Level 2, bounds: no message costs more than a few seconds and some memory, however monstrous it is.

It is tried in a copy of this process that limits itself: who does not come back from a hook is ended there by
the system.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import attrs

from wickwire.conversation import HttpReply
from wickwire.testing.checks import Broken, Checks, Level, Skipped
from wickwire.testing.foreign import outcome_of
from wickwire.testing.literals import numbers
from wickwire.testing.material import Material
from wickwire.testing.pages import ask_again
from wickwire.testing.search import presented

__all__ = ["BOUNDS", "size_bytes"]

BOUNDS: Final = Checks(Level.PARSE)

MEGABYTE: Final = 1_000_000
MOST_CPU_S: Final = 5
MORE_BYTES: Final = 1_500 * MEGABYTE
MOST_NUMBERS: Final = 6
MOST_PLACES: Final = 6
MONSTERS: Final = (
    b"9" * MEGABYTE,
    b"0." + b"1" * MEGABYTE,
    b"1e999999999999",
    b"-1e-999999999999",
)
HEAPS: Final = (
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b"\x91" * 100_000,
    b"\xff" * MEGABYTE,
    b'"' + b"\\" * MEGABYTE,
    b" " * MEGABYTE,
    b"|" * MEGABYTE,
)


@BOUNDS("P12", "No frame or reply of a megabyte costs more than a few seconds, or memory without end.")
def bounded(material: Material) -> None:
    if not hasattr(os, "fork"):
        raise Skipped("this system cannot copy a process, and so cannot limit one")
    trials = list(_trials(material))
    if not trials:
        raise Skipped("there are no frames and no replies; give --samples DIR, or implement simulate()")
    reached, status = _in_a_copy([call for _, call in trials])
    material.count(reached)
    if reached < len(trials):
        how = (
            f"used more than {MOST_CPU_S} s or {MORE_BYTES // MEGABYTE} MB" if status else "ended the process"
        )
        raise Broken(f"it {how} (status {status})", shown=presented(trials[reached][0]))


def _trials(material: Material) -> Iterator[tuple[str, Callable[[], object]]]:
    adapter = material.adapter
    for stage in material.stages[:MOST_PLACES]:
        for name, frame in _monstrous(stage.step.frame):
            memory: Any = stage.memory(adapter)
            yield f"frame: {name}", partial(adapter.parse, frame, memory)
    for fetched in material.replied[:2]:
        replies = [one.reply for one in fetched.exchanges]
        for at, reply in enumerate(replies):
            if isinstance(reply, HttpReply):
                for name, body in _monstrous(reply.body):
                    changed = [*replies[:at], attrs.evolve(reply, body=body), *replies[at + 1 :]]
                    yield f"reply: {name}", partial(ask_again, adapter, fetched, changed)


def _monstrous(frame: bytes) -> Iterator[tuple[str, bytes]]:
    for literal in list(numbers(frame))[:MOST_NUMBERS]:
        for monster in MONSTERS:
            name = f"{monster[:12]!r} ({len(monster)} bytes) in place of {literal.text} in {frame!r:.200}"
            yield name, frame[: literal.start] + monster + frame[literal.end :]
    for heap in HEAPS:
        yield f"{heap[:12]!r} ... ({len(heap)} bytes)", heap


def _in_a_copy(calls: Sequence[Callable[[], object]]) -> tuple[int, int]:
    """Make *calls* in a copy of this process; return how many came back, and what the copy ended with."""
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the copy starts no thread and waits for none
        child = os.fork()
    if not child:
        try:
            os.close(ours)
            _limited(calls, theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as told:
        lines = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    return json.loads(lines[-1]) if lines else 0, status


def _limited(calls: Sequence[Callable[[], object]], pipe: int) -> None:
    import resource  # noqa: PLC0415 - only POSIX has it
    import signal  # noqa: PLC0415 - as above

    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    size = size_bytes()
    if size:
        resource.setrlimit(resource.RLIMIT_AS, (size + MORE_BYTES, resource.RLIM_INFINITY))
    for number, call in enumerate(calls, 1):
        used_s = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        resource.setrlimit(resource.RLIMIT_CPU, (used_s + MOST_CPU_S, resource.RLIM_INFINITY))
        if isinstance(outcome_of(call)[1], MemoryError):  # what else it may raise is said by other checks
            return
        os.write(pipe, f"{number}\n".encode())


def size_bytes() -> int:
    """Return how much address space this process has; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as sizes:  # noqa: PTH123 - a file of the system
            return int(sizes.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
