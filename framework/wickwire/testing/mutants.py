"""Takes the mutation score: draws changes of an adapter's code, and lets the checks look at each.

A change is put into a copy, which is looked at in a process of its own. Only checks that pass with the code
as it is can find anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import attrs

from wickwire.errors import PluginError, UsageError
from wickwire.testing.checks import Check
from wickwire.testing.copies import Looked, Original, UncopiedError, looked_at
from wickwire.testing.material import Material
from wickwire.testing.running import Outcome, State
from wickwire.testing.score import Change, Fate, Score

__all__ = ["drawn", "need_cosmic_ray", "quickest", "score"]

LEAST_EFFORT: Final = 1
"""Examples for each check at the first look: most changes are found by any example."""
LEAST_BOUND_S: Final = 20.0
TIMES: Final = 10.0
"""How much longer than with the code as it is a check may take, beside `LEAST_BOUND_S`."""
CONTROL_S: Final = 600.0
"""What a check of the code as it is may take: it ended before, with more examples."""


def need_cosmic_ray() -> None:
    """Look whether changes can be drawn at all.

    Raises:
        UsageError: cosmic-ray is not installed.
    """
    if find_spec("cosmic_ray") is None:
        raise UsageError(
            "mutants need the package 'cosmic-ray', which is not installed; pip install 'wickwire[mutation]'"
        )


def drawn(files: Sequence[Path], most: int, seed: int) -> tuple[int, Sequence[Change]]:
    """Return how many changes of *files* there could be, and *most* of them, or all, drawn by *seed*.

    Raises:
        UsageError: cosmic-ray is not installed.
        PluginError: It does not understand the files.
    """
    need_cosmic_ray()
    command = [sys.executable, "-P", "-W", "ignore", "-m", "wickwire.testing.changing"]
    command += ["--sample", str(most), "--seed", str(seed), "--", *map(str, files)]
    done = subprocess.run(  # noqa: S603 - this interpreter, a module of ours
        command, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise PluginError(f"no changes could be drawn: {said[0]}")
    told = json.loads(done.stdout)
    changes = [Change(**one | {"file": Path(one["file"])}) for one in told["sample"]]
    return int(told["possible"]), changes


def score(
    material: Material,
    outcomes: Sequence[Outcome],
    most: int,
    *,
    jobs: int = 1,
    shown: Callable[[Sequence[Fate]], None] = lambda _: None,
) -> Score:
    """Try *most* changes of the adapter of *material*, and return what became of them.

    Each is looked at with the least effort first; what survives that, once more with the effort of the run.

    Args:
        material: Whose samples, symbols, seed and effort are taken.
        outcomes: What became of the checks of the run: those that passed may find something.
        most: How many changes.
        jobs: How many of them at once, each in a process of its own; more than there are processors may let
            checks take longer than they are given.
        shown: Is told all that was tried so far, after each.

    Raises:
        UsageError: cosmic-ray is not installed.
    """
    need_cosmic_ray()
    told = Score(asked=most, effort=material.effort)
    passed = {one.check: one.took_s for one in outcomes if one.state is State.PASSED}
    try:
        trial = _trial(material, passed)
        possible, changes = drawn(trial.original.files, most, material.seed)
    except (UncopiedError, PluginError) as exc:  # the rest of the report is there by now
        return attrs.evolve(told, why_not=str(exc))
    fates: list[Fate] = []
    with _looking(jobs) as look:
        for fate in look(trial.fate, changes):
            fates.append(fate)
            shown(fates)
    why_not = "" if fates else "nothing of its code could be changed"
    return attrs.evolve(told, why_not=why_not, possible=possible, checks=trial.checks, fates=tuple(fates))


_Looking = Callable[[Callable[[Change], Fate], Sequence[Change]], Iterator[Fate]]


@contextmanager
def _looking(jobs: int) -> Iterator[_Looking]:
    """Yield what looks at changes, *jobs* of them at once, and tells their fates in order."""
    if jobs == 1:  # without a thread, whoever is tired of it ends it at once
        yield map
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


@attrs.frozen(kw_only=True)
class _Trial:
    """How changes are looked at: by which checks, quickest first, and how long each may take, by effort."""

    original: Original
    look: Callable[..., Looked]
    checks: Sequence[Check]
    bounds_s: Mapping[int, Mapping[Check, float]]

    def fate(self, change: Change) -> Fate:
        """Look at a copy with *change*, with ever more effort, until a check finds it."""
        began_s = time.perf_counter()
        check, why = None, ""
        for effort, bounds_s in self.bounds_s.items():
            looked = self.look({change.file: change.text}, self.checks, effort=effort, bounds_s=bounds_s)
            check, why = looked.failed, looked.why
            if check is not None:
                break
        took_s = time.perf_counter() - began_s
        return Fate(change=change, place=self.original.name(change.file), check=check, why=why, took_s=took_s)


def _trial(material: Material, passed: Mapping[Check, float]) -> _Trial:
    """Look at a copy of the code as it is first, with the checks that *passed*, each in so many seconds.

    Raises:
        UncopiedError: There is nothing to change, or nobody to find it.
    """
    if not passed:
        raise UncopiedError("no check passed, so none could find anything")
    original = Original.of(material)
    look = partial(looked_at, original, samples=material.folder, symbols=material.given, seed=material.seed)
    patient = dict.fromkeys(passed, CONTROL_S)
    control = look({}, tuple(passed), effort=LEAST_EFFORT, bounds_s=patient, until_failed=False)
    checks = quickest(control)
    if not checks:
        raise UncopiedError(f"no check passes with a copy of the code as it is: {control.why}")
    took_s = {LEAST_EFFORT: control.seconds}
    if material.effort > LEAST_EFFORT:
        took_s[material.effort] = passed
    bounds_s = {
        effort: {check: LEAST_BOUND_S + TIMES * seconds[check] for check in checks}
        for effort, seconds in took_s.items()
    }
    return _Trial(original=original, look=look, checks=checks, bounds_s=bounds_s)


def quickest(control: Looked) -> Sequence[Check]:
    """Return the checks that passed, those that took least first."""
    passed = [check for check, state in control.states.items() if state is State.PASSED]
    return sorted(passed, key=lambda check: control.seconds[check])


def _environment() -> Mapping[str, str]:
    """Return ours, for a process that imports what this one could."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(one).absolute()) for one in sys.path)}
