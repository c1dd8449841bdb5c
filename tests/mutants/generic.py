"""Are adapters tested where nobody thought of it? Changes of their code, drawn by a seed, and who finds them.

    python -m tests.mutants.generic [--sample 200] [--seed 1] [--only kraken] [--jobs 2]

Each change, as cosmic-ray makes them, is put into a copy of its adapter: another operator, comparison or
number, a `not`, a loop that does not begin. The kit looks at the copy first, then the tests of the
adapter. The run fails where fewer than 85 in 100 of an adapter are found. Simulated venues are not changed:
they are what adapters are tested with.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.mutants.corpus import ADAPTERS, ROOT, Mutant
from tests.mutants.run import Found, control, copied, looked_at
from tests.simulation.planted import Bug

__all__ = ["ENOUGH", "Change", "Fate", "fate", "main", "report", "sampled", "shortcomings"]

ENOUGH: Final = 0.85
NAMES: Final = ("alpaca", "coinbase", "dxlink", "kraken", "yahoo")
LONGEST_S: Final = 600
ENVIRONMENT: Final = ROOT / ".venv-mutation"
SAMPLER: Final = Path(__file__).with_name("changes.py")


@attrs.frozen(kw_only=True)
class Change:
    """One change of a file of an adapter.

    Attributes:
        adapter: Whose it is.
        file: Which of its files.
        line: Where.
        operator: What kind of change, by cosmic-ray's name.
        before: The line as it was.
        after: The line as it is.
        text: The whole file, changed.
    """

    adapter: str
    file: str
    line: int
    operator: str
    before: str
    after: str
    text: str = attrs.field(repr=False)

    @property
    def mutant(self) -> Mutant:
        """The same as a bug of the corpus, which the kit looks at."""
        place = f"{self.adapter}-{self.file}-{self.line}-{self.operator}"
        bug = Bug(file=self.file, what=self.operator, before=self.before, after=self.after)
        return Mutant(id=place, adapter=self.adapter, trap=self.operator, kind="generic", bug=bug)


@attrs.frozen
class Fate:
    """Who found a change: a check of the kit, `tests`, or nobody."""

    change: Change
    by: str
    took_s: float = 0.0

    def __str__(self) -> str:
        """Return a line."""
        one = self.change
        place = f"{one.adapter}/{one.file}:{one.line}"
        return f"{self.by or 'MISSED':<6} {self.took_s:5.1f} s  {place}: {one.before}  =>  {one.after}"


def sampled(adapter: str, sample: int, seed: int) -> Sequence[Change]:
    """Return *sample* changes of an adapter, or as many as there are, by *seed*."""
    folder = ADAPTERS / f"wickwire_{adapter}"
    files = [file for file in sorted(folder.glob("*.py")) if not file.name.startswith("simulator")]
    python = ENVIRONMENT / "bin" / "python"
    command = [str(python), "-W", "ignore", str(SAMPLER), "--sample", str(sample), "--seed", str(seed)]
    told = subprocess.run([*command, *map(str, files)], check=True, capture_output=True, text=True)
    changes = json.loads(told.stdout)["sample"]
    return [Change(adapter=adapter, **one | {"file": Path(one["file"]).name}) for one in changes]


def fate(change: Change, *, first: Sequence[str] = ()) -> Fate:
    """Look for a change: with the kit, whose checks *first* come first on their levels, then with tests."""
    told = looked_at(change.mutant, change.text, first=first)
    if told.check or told.why:  # also where the kit came to no end, or could not even begin
        return Fate(change, told.check or "kit", told.took_s)
    return Fate(change, "tests" if _fails(change) else "", told.took_s)


def _fails(change: Change) -> bool:
    """Say whether a test of the adapter fails with a change."""
    tests = f"tests/adapters/{change.adapter}"
    with copied(change.mutant, change.text) as (_, environment):
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", tests]
        try:
            ended = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            return True
    return ended.returncode != 0


def report(fates: Sequence[Fate]) -> Iterable[str]:
    """Yield the table, and what survived."""
    yield f"{'adapter':<12}{'changes':>8}{'kit':>6}{'tests':>7}{'found':>9}"
    for adapter in sorted({one.change.adapter for one in fates}):
        own = [one for one in fates if one.change.adapter == adapter]
        tests, caught = sum(one.by == "tests" for one in own), sum(bool(one.by) for one in own)
        share = f"{100 * caught / len(own):.1f} %"
        yield f"{adapter:<12}{len(own):>8}{caught - tests:>6}{tests:>7}{share:>9}"
    survivors = [one for one in fates if not one.by]
    if survivors:
        yield ""
        yield "survivors"
    yield from (f"  {one}" for one in survivors)


def shortcomings(fates: Sequence[Fate]) -> Iterable[str]:
    """Yield why a run fails, or nothing."""
    for adapter in sorted({one.change.adapter for one in fates}):
        own = [one for one in fates if one.change.adapter == adapter]
        caught = sum(bool(one.by) for one in own)
        if caught < ENOUGH * len(own):
            yield f"{adapter}: {caught} of {len(own)} are fewer than {100 * ENOUGH:.0f} in 100"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw changes and look for each; return 1 where the run fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, default=200, help="changes of each adapter")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=NAMES, action="append", help="these adapters alone")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args(arguments)
    fates: list[Fate] = []
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        changes = [
            change for name in asked.only or NAMES for change in sampled(name, asked.sample, asked.seed)
        ]
        plain = _controls(pool, changes)
        failures = [f"{name} unchanged: {one.check} {one.why}" for name, one in plain.items() if one.why]

        def look(change: Change) -> Fate:
            return fate(change, first=plain[change.adapter].quickest)

        for result in () if failures else pool.map(look, changes):
            fates.append(result)
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    sys.stdout.write("\n" + "\n".join(report(fates)) + "\n\n")
    failures += shortcomings(fates)
    sys.stdout.write("".join(f"FAILED {failure}\n" for failure in failures))
    return int(bool(failures))


def _controls(pool: concurrent.futures.Executor, changes: Iterable[Change]) -> dict[str, Found]:
    """Return what the kit says of each adapter as it is; else everything would count as found."""
    adapters = {one.adapter: one.mutant for one in changes}
    return dict(zip(adapters, pool.map(control, adapters.values()), strict=True))


if __name__ == "__main__":
    sys.exit(main())
