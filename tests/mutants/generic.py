"""Are adapters tested where nobody thought of it? Changes of their code, drawn by a seed, and who finds them.

    python -m tests.mutants.generic [--sample 200] [--seed 1] [--only kraken] [--jobs 2] [--quick]
                                    [--again FILE]

Each change, as cosmic-ray makes them, is put into a copy of its adapter: another operator, comparison or
number, a `not`, a loop that does not begin. The quick tests of the adapter look at the copy first, which
takes a second or two, then the kit, then the tests that collect for a while. The run fails where fewer than
85 in 100 of an adapter are found. Simulated venues are not changed: they are what adapters are tested with.

With `--quick` the quick tests alone look: a few minutes for an adapter, while each survivor costs the kit and
all tests, which take a minute. What a run writes can be read by another: with `--again` what was found there
counts as found, and only what survived, or was not tried, is looked at.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.mutants.corpus import ROOT, Mutant
from tests.mutants.run import Found, control, looked_at, original
from tests.simulation.planted import Bug
from wickwire.testing.copies import copied
from wickwire.testing.mutants import drawn
from wickwire.testing.score import Change

__all__ = [
    "ENOUGH",
    "Fate",
    "fate",
    "finders",
    "main",
    "mutant_of",
    "report",
    "sampled",
    "shortcomings",
    "suites",
]

ENOUGH: Final = 0.85
LONG: Final = ("collected", "many_products", "routes", "secrets")
NAMES: Final = ("alpaca", "coinbase", "dxlink", "kraken", "yahoo")
QUICK_S: Final = 60
"""What the quick tests may take, which is a few seconds with the code as it is: a change may never end."""
LONGEST_S: Final = 300
MOST_BYTES: Final = 6 * 2**30
MISSED: Final = "MISSED"
LINE: Final = re.compile(r"(?P<by>\S+) +[0-9.]+ s  (?P<change>\w+/.*)")


@attrs.frozen
class Fate:
    """Who found a change of an adapter: a check of the kit, `tests`, or nobody."""

    adapter: str
    change: Change
    by: str
    took_s: float = 0.0

    def __str__(self) -> str:
        """Return a line, which `finders` reads."""
        return f"{self.by or MISSED:<6} {self.took_s:5.1f} s  {_told(self.adapter, self.change)}"


def _told(adapter: str, change: Change) -> str:
    return f"{adapter}/{change.file.name}:{change.line}: {change.before}  =>  {change.after}"


def finders(lines: Iterable[str]) -> Mapping[str, str]:
    """Return who found what, by what a run wrote; of changes that read alike all have to be found."""
    found: dict[str, str] = {}
    for line in lines:
        told = LINE.fullmatch(line.rstrip())
        if told is not None:
            by = "" if told["by"] == MISSED else told["by"]
            found[told["change"]] = by if found.get(told["change"], by) else ""
    return found


def mutant_of(adapter: str, change: Change) -> Mutant:
    """Return *change* as a bug of the corpus, which the kit looks at."""
    file = change.file.name
    bug = Bug(file=file, what=change.operator, before=change.before, after=change.after)
    place = f"{adapter}-{file}-{change.line}-{change.operator}"
    return Mutant(id=place, adapter=adapter, trap=change.operator, kind="generic", bug=bug)


def sampled(adapter: str, sample: int, seed: int) -> Sequence[Change]:
    """Return *sample* changes of an adapter, or as many as there are, by *seed*."""
    _, changes = drawn(original(adapter).files, sample, seed)
    return changes


def fate(adapter: str, change: Change, *, first: Sequence[str] = (), quick_alone: bool = False) -> Fate:
    """Look for a change: with quick tests, with the kit, whose checks *first* come first, with long tests."""
    began_s = time.monotonic()

    def told(by: str) -> Fate:
        return Fate(adapter, change, by, time.monotonic() - began_s)

    quick, long = suites(adapter)
    if _fail(adapter, {change.file: change.text}, quick, longest_s=QUICK_S):
        return told("tests")
    if quick_alone:
        return told("")
    seen = looked_at(mutant_of(adapter, change), change.text, first=first)
    if seen.check or seen.why:  # also where the kit came to no end, or could not even begin
        return told(seen.check or "kit")
    return told("tests" if _fail(adapter, {change.file: change.text}, long) else "")


def suites(adapter: str) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return the files with an adapter's quick tests, and those with its long ones."""
    files = sorted(ROOT.glob(f"tests/adapters/{adapter}/test_*.py"))
    return [file for file in files if not _is_long(file)], [file for file in files if _is_long(file)]


def _fail(
    adapter: str, changed: Mapping[Path, str], tests: Sequence[Path], *, longest_s: float = LONGEST_S
) -> bool:
    """Say whether one of an adapter's *tests* fails on a copy of it in which files are *changed*."""
    with copied(original(adapter), changed) as copy:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
        try:
            ended = subprocess.run(
                [*command, *map(str, tests)],
                cwd=ROOT,
                env=copy.environment,
                capture_output=True,
                timeout=longest_s,
                check=False,
                preexec_fn=_limit_memory,
            )
        except subprocess.TimeoutExpired:
            return True
    return ended.returncode != 0


def _limit_memory() -> None:
    """A loop that does not end fills what there is."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def _is_long(file: Path) -> bool:
    """Say whether the tests of a file collect for a while, or are about the simulated venue."""
    return file.stem.endswith(LONG) or "simulator" in file.stem


def report(fates: Sequence[Fate]) -> Iterable[str]:
    """Yield the table, and what survived."""
    yield f"{'adapter':<12}{'changes':>8}{'kit':>6}{'tests':>7}{'found':>9}"
    for adapter in sorted({one.adapter for one in fates}):
        own = [one for one in fates if one.adapter == adapter]
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
    for adapter in sorted({one.adapter for one in fates}):
        own = [one for one in fates if one.adapter == adapter]
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
    parser.add_argument("--quick", action="store_true", help="let the quick tests alone look")
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="what a run wrote: what it found counts as found"
    )
    asked = parser.parse_args(arguments)
    before = {} if asked.again is None else finders(asked.again.read_text().splitlines())
    fates: list[Fate] = []
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        changes = [
            (name, change)
            for name in asked.only or NAMES
            for change in sampled(name, asked.sample, asked.seed)
        ]
        plain = _controls(pool, changes, quick_alone=asked.quick)
        failures = [f"{name} unchanged: {one.check} {one.why}" for name, one in plain.items() if one.why]

        def look(one: tuple[str, Change]) -> Fate:
            adapter, change = one
            if by := before.get(_told(adapter, change).rstrip()):
                return Fate(adapter, change, by)
            return fate(adapter, change, first=plain[adapter].quickest, quick_alone=asked.quick)

        for result in () if failures else pool.map(look, changes):
            fates.append(result)
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    sys.stdout.write("\n" + "\n".join(report(fates)) + "\n\n")
    failures += shortcomings(fates)
    sys.stdout.write("".join(f"FAILED {failure}\n" for failure in failures))
    return int(bool(failures))


def _controls(
    pool: concurrent.futures.Executor, changes: Iterable[tuple[str, Change]], *, quick_alone: bool
) -> dict[str, Found]:
    """Return what is said of each adapter as it is; else everything would count as found."""
    adapters = {adapter: mutant_of(adapter, one) for adapter, one in changes}

    def unchanged(adapter: str) -> Found:
        seen = Found(adapters[adapter]) if quick_alone else control(adapters[adapter])
        looking = suites(adapter)[:1] if quick_alone else suites(adapter)
        fails = not seen.why and any(_fail(adapter, {}, tests) for tests in looking)
        return attrs.evolve(seen, why="its own tests fail") if fails else seen

    return dict(zip(adapters, pool.map(unchanged, adapters), strict=True))


if __name__ == "__main__":
    sys.exit(main())
