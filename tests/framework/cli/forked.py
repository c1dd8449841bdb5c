"""Commands in processes of their own that do not import everything anew: forked from one that did.

Hundreds of tests run a command to its end; most of what each would cost is the start of Python.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

import wickwire.cli

__all__ = ["is_possible", "run"]

PATIENCE_S: Final = 60
"""How long to wait for what has to end; only a failing test waits so long."""

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "tests.framework.cli.forked",
        *(f"wickwire.cli.{module.name}" for module in pkgutil.iter_modules(wickwire.cli.__path__)),
        *("wickwire.collector", "wickwire.simulate.loopback_venue", "wickwire.transport.net"),
        *(f"wickwire_{name}" for name in ("alpaca", "coinbase", "dxlink", "kraken", "yahoo", "sqlite")),
    ]
)


def is_possible(environment: Mapping[str, str]) -> bool:
    """Say whether a forked process sees all of *environment*: some of it Python reads at its start."""
    ours, theirs = (
        {name: value for name, value in told.items() if name.startswith("PYTHON")}
        for told in (os.environ, environment)
    )
    return ours == theirs


def run(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], scratch: Path
) -> CompletedProcess[str]:
    """Run wickwire with *arguments* in *folder* to its end; what it writes goes to files in *scratch*."""
    told = scratch / "out", scratch / "err"
    process = _CONTEXT.Process(target=_command, args=(arguments, folder, dict(environment), told))
    process.start()
    process.join(PATIENCE_S)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(
            f"{arguments}: not ended after {PATIENCE_S} s; {[one.read_text() for one in told]}"
        )
    out, err = (one.read_text() for one in told)
    return CompletedProcess(["wickwire", *arguments], process.exitcode, out, err)


def _command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], told: tuple[Path, Path]
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for descriptor, path in enumerate(told, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    sys.argv = ["wickwire", *arguments]
    wickwire.cli.main()
