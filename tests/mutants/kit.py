"""The conformance kit over one adapter, the cheapest level first, until a check fails.

    python -m tests.mutants.kit kraken --samples tests/adapters/kraken/wire [--only P06] [--first P08 D09]

It writes one JSON value: `{package, check, level, why, seconds}`: the file that was imported, the check that
failed with its level and its reason, which are empty where none did, and what each check took. Within a level
the checks of `--first` come first.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wickwire.registry import Registry
from wickwire.testing.running import State, chosen, material_of, run_one

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run checks over one adapter; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("adapter")
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--first", nargs="*", default=[])
    parser.add_argument("--effort", type=int, default=8)
    asked = parser.parse_args(arguments)
    told = _told(asked)
    sys.stdout.write(f"{json.dumps(told)}\n")
    return int(bool(told["check"]))


def _told(asked: argparse.Namespace) -> dict[str, Any]:
    material = material_of(asked.adapter, Registry(), samples=asked.samples, effort=asked.effort)
    told: dict[str, Any] = {"package": "", "check": "", "level": 0, "why": material.problem, "seconds": {}}
    if not material.problem:
        told["package"] = importlib.import_module(str(material.module)).__file__ or ""
    places = {check: place for place, check in enumerate(asked.first)}
    ordered = sorted(chosen(asked.only), key=lambda one: (one.level, places.get(one.id, len(places))))
    for check in ordered:
        outcome = run_one(material, check)
        told["seconds"][check.id] = round(outcome.took_s, 3)
        if outcome.state is State.FAILED:
            return told | {"check": check.id, "level": check.level.value, "why": outcome.why}
    return told


if __name__ == "__main__":
    sys.exit(main())
