"""Checks over one adapter, in a process that may hang, crash and eat memory: what is left of it is told.

    python -P -m wickwire.testing.looking < ORDER

The order is one JSON value: `{adapter, file, samples, symbols, seed, effort, checks, bounds_s, import_s,
until_failed, to}`. The checks are made in their order, with *until_failed* until one fails. To the file *to*
it writes a JSON value a line: `{problem}` where it is no adapter, else `{package}`, the file that was
imported; `{began}` for each check, and `{ended, state, why, seconds}` when it ended. What takes longer than
its bound ends the process.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

from wickwire.registry import Registry
from wickwire.testing.bounds import size_bytes
from wickwire.testing.material import Material
from wickwire.testing.running import State, chosen, material_of, run_one

__all__ = ["main"]

MORE_BYTES: Final = 2 * 2**30
"""Memory that may come on top of what the process begins with."""


def main(order: Mapping[str, Any]) -> None:
    """Do what is ordered."""
    _limit_memory()
    with Path(order["to"]).open("a", encoding="utf-8", buffering=1) as told:
        file = order["file"]
        _end_after(order["import_s"])
        registry = Registry(local={order["adapter"]: Path(file)}, installed=False) if file else Registry()
        material = material_of(
            order["adapter"],
            registry,
            samples=Path(order["samples"]) if order["samples"] else None,
            symbols=order["symbols"],
            seed=order["seed"],
            effort=order["effort"],
        )
        _end_after(0.0)
        if material.problem:
            _tell(told, problem=material.problem)
            return
        _tell(told, package=_package(material))
        by_id = {check.id: check for check in chosen(order["checks"])}
        for name in order["checks"]:
            _tell(told, began=name)
            _end_after(order["bounds_s"][name])
            outcome = run_one(material, by_id[name])
            _end_after(0.0)
            _tell(
                told, ended=name, state=outcome.state.value, why=outcome.why, seconds=round(outcome.took_s, 3)
            )
            if order["until_failed"] and outcome.state is State.FAILED:
                return


def _package(material: Material) -> str:
    """Return the file that was imported."""
    if str(material.module).endswith(".py"):
        return str(material.module)
    return importlib.import_module(str(material.module)).__file__ or ""


def _tell(told: TextIO, **what: object) -> None:
    told.write(f"{json.dumps(what)}\n")


def _end_after(seconds: float) -> None:
    """Let the system end this process in so many seconds, whatever it does then; 0 takes that back."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a handler would wait for the interpreter
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory() -> None:
    import resource  # noqa: PLC0415 - only POSIX has it

    size = size_bytes()
    with suppress(OSError, ValueError):  # not every system limits it
        if size:
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (size + MORE_BYTES, hard))


if __name__ == "__main__":
    main(json.load(sys.stdin))
