"""wickwire as people run it: a process with arguments, lines that come out, signals that go in.

Most are forked from a Python that has imported wickwire: see `tests.framework.cli.forked`.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

from tests.framework.cli import forked

__all__ = ["SPEED", "Collector", "Program", "Venue", "said"]

SPEED: Final = 60
"""A minute a second. A machine that is too busy for that slows time down, for each process on its own."""
PATIENCE_S: Final = 90.0
"""How long to wait for what has to come; only a failing test waits so long."""
_SMALL_PIPE_BYTES: Final = 4_096
_SCRIPT: Final = Path(sys.executable).with_name("wickwire")


def said(*words: object, cwd: Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    if not prefix and forked.is_possible(_environment()):
        with TemporaryDirectory() as scratch:
            arguments = [*map(str, words)]
            return forked.run(arguments, folder=cwd, environment=_environment(), scratch=Path(scratch))
    return subprocess.run(
        [*prefix, str(_SCRIPT), *map(str, words)],
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WICKWIRE_")}


class Program:
    """A running command; killed at the latest when the block ends.

    Attributes:
        command: What is run, where it is started anew.
        lines: What it has written to stdout so far, whole lines only.
        errors: The same for stderr.
    """

    command: Sequence[str] = (str(_SCRIPT),)

    def __init__(
        self, *words: object, cwd: Path, prefix: Sequence[str] = (), listen: bool = True, anew: bool = False
    ) -> None:
        """Start it in *cwd*.

        Args:
            words: The command's.
            cwd: Where it runs.
            prefix: A command that runs it.
            listen: Else nobody reads its stdout, and little fits in.
            anew: Start Python anew for it; else it is forked from one that has imported wickwire.
        """
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self.process: subprocess.Popen[bytes] | forked.Forked
        if not prefix and not anew and forked.is_possible(_environment()):
            self.process = forked.start([*map(str, words)], folder=cwd, environment=_environment())
        else:
            self.process = subprocess.Popen(
                [*prefix, *self.command, *map(str, words)],
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self._readers = [threading.Thread(target=self._read, args=(self.process.stderr, self.errors))]
        if listen:
            self._readers.append(threading.Thread(target=self._read, args=(self.process.stdout, self.lines)))
        else:
            assert self.process.stdout is not None
            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, _SMALL_PIPE_BYTES)
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Any, into: list[str]) -> None:
        for raw in pipe:
            if raw.endswith(b"\n"):  # a process that is killed may leave half a line
                with self._changed:
                    into.append(raw.decode().rstrip("\n"))
                    self.heard(into)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def heard(self, lines: list[str]) -> None:
        """Look at the line that was just added to *lines*."""

    def __enter__(self) -> Self:
        """Return itself; it runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, if it runs still."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def wait_until(self, true: Callable[[], object], what: str) -> None:
        """Wait until *true* of what it has written; fail when it ends before.

        Raises:
            AssertionError: It did not come; tells *what*, and what was said instead.
        """
        with self._changed:
            came = self._changed.wait_for(lambda: true() or self.process.poll() is not None, PATIENCE_S)
            done = bool(true())
        tail = "\n".join([*self.lines[-3:], *self.errors[-20:]])
        assert came, f"waited {PATIENCE_S} s for {what}:\n{tail}"
        assert done, f"ended with {self.process.returncode} before {what}:\n{tail}"

    def first_line(self) -> str:
        """Wait for the first line on stdout, and return it."""
        self.wait_until(lambda: self.lines, "its first line")
        return self.lines[0]

    def wait_for_error(self, text: str) -> None:
        """Wait until *text* was written to stderr."""
        self.wait_until(lambda: any(text in line for line in self.errors), f"{text!r} on stderr")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end and return its exit status, negative for a signal."""
        status = self.process.wait(within_s)
        for reader in self._readers:
            reader.join()
        return status

    def limit_files(self, size: int) -> None:
        """Let no file that it writes grow beyond *size* bytes."""
        self._limit(resource.RLIMIT_FSIZE, size)

    def limit_descriptors(self, most: int) -> None:
        """Let it open files and sockets up to *most*; what is open stays open, so 0 means no more."""
        self._limit(resource.RLIMIT_NOFILE, most)

    def limit_memory(self, more_bytes: int) -> None:
        """Let its address space grow by *more_bytes* at most."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[0])
        self._limit(resource.RLIMIT_AS, pages * resource.getpagesize() + more_bytes)

    def _limit(self, what: int, most: int) -> None:
        _, hard = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (most, hard))

    @property
    def peak_kib(self) -> int:
        """The most memory that it ever used, in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


class Venue(Program):
    """Simulated venues that outlive the collectors: `wickwire simulate`.

    Attributes:
        redirects: Origin to origin.
        speed: How many times faster than the machine's its clock is.
    """

    def __init__(
        self,
        *names: str,
        seed: int,
        cwd: Path,
        at: str | None = None,
        speed: float = SPEED,
        prefix: Sequence[str] = (),
    ) -> None:
        """Serve *names* from *at* on, and wait until they answer; without *at* by the machine's own clock."""
        clock = () if at is None else ("--at", at, "--speed", speed)
        words = ("simulate", *names, "--seed", seed, "--json", *clock)
        super().__init__(*words, cwd=cwd, prefix=prefix)
        self.speed = speed
        self.redirects: dict[str, str] = json.loads(self.first_line())["redirects"]

    def port(self, venue: str) -> int:
        """Return the port of the venue whose origins contain *venue*."""
        return next(
            int(target.rpartition(":")[2]) for origin, target in self.redirects.items() if venue in origin
        )

    def now(self) -> str:
        """Return what time it is there, to the second, as its Date header says."""
        origin = next(target for target in self.redirects.values() if target.startswith("http:"))
        with urllib.request.urlopen(f"{origin}/0/public/Time") as reply:
            return parsedate_to_datetime(reply.headers["Date"]).strftime("%Y-%m-%dT%H:%M:%SZ")

    def wait_minutes(self, count: int) -> None:
        """Wait until it is so many minutes later there: this is how long a fault lasts."""
        threading.Event().wait(60 * count / self.speed)

    def through(self, **ports: int) -> dict[str, str]:
        """Return the redirects with other ports, by a part of the origin: `through(kraken=relay.port)`."""
        return {
            origin: next(
                (f"{target.rpartition(':')[0]}:{port}" for name, port in ports.items() if name in origin),
                target,
            )
            for origin, target in self.redirects.items()
        }


class Collector(Program):
    """`wickwire collect --json`.

    Attributes:
        candles: What it acknowledged, in order.
    """

    def __init__(
        self,
        *series: str,
        cwd: Path,
        redirects: Mapping[str, str],
        options: Sequence[object] = (),
        store: str = "sqlite:wickwire.db",
        prefix: Sequence[str] = (),
        listen: bool = True,
        anew: bool = False,
    ) -> None:
        """Start it."""
        self.candles: list[dict[str, Any]] = []
        words: list[object] = ["collect", *series, "--json", "--store", store, *options]
        for origin, target in redirects.items():
            words += ["--redirect", f"{origin}={target}"]
        super().__init__(*words, cwd=cwd, prefix=prefix, listen=listen, anew=anew)

    def heard(self, lines: list[str]) -> None:
        """Keep candles."""
        if lines is self.lines:
            self.candles.append(json.loads(lines[-1]))

    def wait_for_candles(self, count: int) -> None:
        """Wait until it has acknowledged *count* more."""
        until = len(self.candles) + count
        self.wait_until(lambda: len(self.candles) >= until, f"{count} more candles")

    def wait_for_candle_at(self, series: Sequence[str], open_time: str) -> None:
        """Wait until each of *series* has one that opens at *open_time* or later."""

        def there() -> bool:
            late = {candle["series"] for candle in self.candles if candle["open_time"] >= open_time}
            return late >= set(series)

        self.wait_until(there, f"candles of {open_time}")
