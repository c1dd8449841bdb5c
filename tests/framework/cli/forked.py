"""Commands in processes of their own that do not import everything anew: forked from one that did.

Hundreds of tests run commands; most of what each would cost is the start of Python. The process that forks
is a fresh Python that has imported wickwire and nothing of the tests. What it forks has a process number,
signals and an end of its own, as if a shell had started it. docs/decisions/0100 says what is not forked.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import pkgutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

import wickwire.cli

__all__ = ["Forked", "is_possible", "run", "start"]

PATIENCE_S: Final = 60
"""How long to wait for what has to end; only a failing test waits so long."""

_NUMBER: Final = struct.Struct("q")
"""How a length, a process number and an exit status are told."""
_LOADED: Final = (
    *(f"wickwire.cli.{module.name}" for module in pkgutil.iter_modules(wickwire.cli.__path__)),
    *("wickwire.collector", "wickwire.simulate.loopback_venue", "wickwire.transport.net"),
    *("wickwire.transport.http", "wickwire.transport.ws", "wickwire.testing.running"),
    *(f"wickwire_{name}" for name in ("alpaca", "coinbase", "dxlink", "kraken", "yahoo", "sqlite")),
    *(f"wickwire_{name}.simulator" for name in ("kraken", "yahoo")),
)


def is_possible(environment: Mapping[str, str]) -> bool:
    """Say whether a forked process sees all of *environment*: some of it Python reads at its start."""
    ours, theirs = (
        {name: value for name, value in told.items() if name.startswith("PYTHON") and name != "PYTHONPATH"}
        for told in (os.environ, environment)
    )
    return ours == theirs and _added(environment) is not None


def _added(environment: Mapping[str, str]) -> list[str] | None:
    """Return the folders that *environment* puts before those that Python looks in here; None for others."""
    ours, theirs = (told.get("PYTHONPATH", "") for told in (os.environ, environment))
    if not theirs.endswith(ours):
        return None
    return [folder for folder in theirs.removesuffix(ours).split(os.pathsep) if folder]


class Forked:
    """A running command, with what tests use of `subprocess.Popen`.

    Attributes:
        args: The command.
        pid: Its number.
        returncode: Its exit status once it is known, negative for a signal.
        stdout: What it writes; None where that goes elsewhere.
        stderr: The same.
    """

    def __init__(self, args: Sequence[str], told: socket.socket, pipes: Sequence[Any]) -> None:
        self.args = args
        self.returncode: int | None = None
        self.stdout, self.stderr = pipes
        self._told = told
        self._lock = threading.Lock()
        self.pid = _heard(told)

    def poll(self) -> int | None:
        """Return its exit status, or None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit status.

        Raises:
            subprocess.TimeoutExpired: It goes on.
        """
        until_s = None if timeout is None else time.monotonic() + timeout
        while (status := self._look(0.1)) is None:  # others may ask meanwhile
            if until_s is not None and time.monotonic() > until_s:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float) -> int | None:
        with self._lock:
            if self.returncode is None:
                self._told.settimeout(timeout_s or 1e-6)
                try:
                    self.returncode = _heard(self._told)
                except TimeoutError:
                    return None
                self._told.close()
            return self.returncode


def _heard(told: socket.socket) -> int:
    [number] = _NUMBER.unpack(told.recv(_NUMBER.size, socket.MSG_WAITALL))
    return int(number)


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    into: tuple[Path, Path] | None = None,
) -> Forked:
    """Start wickwire with *arguments* in *folder*; what it writes goes to two files, or into pipes."""
    ours, theirs = socket.socketpair()
    if into is None:
        pairs = [os.pipe() for _ in range(2)]
        ends = [write for _, write in pairs]
        pipes: list[Any] = [open(read, "rb") for read, _ in pairs]  # noqa: PTH123, SIM115 - whoever reads closes
    else:
        ends = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in into]
        pipes = [None, None]
    told = {
        "arguments": list(arguments),
        "folder": str(folder),
        "environment": dict(environment),
        "paths": _added(environment),
    }
    message = json.dumps(told).encode()
    with _ASKING:
        line = _started()
        socket.send_fds(line, [_NUMBER.pack(len(message))], [theirs.fileno(), *ends])
        line.sendall(message)
    theirs.close()
    for end in ends:
        os.close(end)
    return Forked(["wickwire", *arguments], ours, pipes)


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], scratch: Path
) -> CompletedProcess[str]:
    """Run wickwire with *arguments* in *folder* to its end; what it writes goes to files in *scratch*."""
    into = scratch / "out", scratch / "err"
    process = start(arguments, folder=folder, environment=environment, into=into)
    try:
        status = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise TimeoutError(
            f"{arguments}: not ended after {PATIENCE_S} s; {[one.read_text() for one in into]}"
        ) from None
    out, err = (one.read_text() for one in into)
    return CompletedProcess(process.args, status, out, err)


_ASKING: Final = threading.Lock()


@functools.cache
def _started() -> socket.socket:
    """Start the process that forks, and return the line to it."""
    ours, theirs = socket.socketpair()
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve({theirs.fileno()})"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# --------------------------------------------------------------------------------- in the process that forks


def serve(descriptor: int) -> None:
    """Fork whatever is asked for on the socket *descriptor*, until nobody can ask any more."""
    for name in _LOADED:
        import_module(name)
    gc.freeze()  # the pages stay shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest
    line = socket.socket(fileno=descriptor)
    attending = 0
    while True:
        length, descriptors, _, _ = socket.recv_fds(line, _NUMBER.size, 3)
        while attending and os.waitpid(-1, os.WNOHANG)[0]:
            attending -= 1
        if not length:
            return
        message = line.recv(_NUMBER.unpack(length)[0], socket.MSG_WAITALL)
        if os.fork() == 0:
            line.close()
            _attend(json.loads(message), *descriptors)
            return
        attending += 1
        for one in descriptors:
            os.close(one)


def _attend(asked: Mapping[str, Any], told: int, out: int, err: int) -> None:
    """Fork the command, tell its number and how it ended; in the command itself, run it."""
    number = os.fork()
    if number:
        os.close(out)
        os.close(err)
        os.write(told, _NUMBER.pack(number))
        _, status = os.waitpid(number, 0)
        os.write(told, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(told)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    for descriptor, one in ((1, out), (2, err)):
        os.dup2(one, descriptor)
        os.close(one)
    sys.path[:0] = asked["paths"]
    invalidate_caches()
    sys.argv = ["wickwire", *asked["arguments"]]
    wickwire.cli.main()
