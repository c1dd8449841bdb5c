"""Does the conformance kit find bugs? Each is put into a copy of its adapter, which the kit looks at then.

    python -m tests.mutants.run [--only WORD] [--jobs 2] [--expected]

Each copy is looked at in a process of its own, the cheapest level first, until a check fails. The run fails
where fewer than 95 in 100 are found, where a bug that nobody explains is not, where one that is explained is
found by now, and where one does not apply any more. An adapter without any bug has to pass first: else
everything would count as found.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, final

import attrs

from tests.mutants.corpus import ADAPTERS, ROOT, Mutant, corpus
from wickwire.testing import copies
from wickwire.testing.checks import Level
from wickwire.testing.copies import Original
from wickwire.testing.running import chosen

__all__ = ["ENOUGH", "Found", "control", "found", "looked_at", "main", "original", "report", "shortcomings"]

ENOUGH: Final = 0.95
EFFORT: Final = 8
"""Examples for a check, as in tests/adapters/test_conformance.py."""
LONGEST_S: Final = 600
"""A check that takes longer never ends: the kit bounds each, so it should have said so itself."""
SAMPLES: Final = {"dxlink": "samples"}
"""Their folders; `wire` where it is not here. That of dxlink holds dialogues, as documents print them."""


@final
@attrs.frozen
class Found:
    """What became of one bug.

    Attributes:
        mutant: Which.
        check: The check that failed; empty where none did.
        level: Its level, 0 where none failed.
        why: What the check said, or why the kit came to no end.
        took_s: Seconds on the clock.
        quickest: All checks that were made, those that took least first.
    """

    mutant: Mutant
    check: str = ""
    level: int = 0
    why: str = ""
    took_s: float = 0.0
    quickest: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return a line: what it was, and what found it."""
        one = self.mutant
        word = f"{self.check:<6}" if self.check else "spared" if one.survives else "MISSED"
        said = self.why if self.check else one.survives or self.why or "by no check"
        return f"{word} {self.took_s:5.1f} s  {one.id}: {one.trap}\n{' ' * 16}{said.splitlines()[0][:160]}"


def found(mutant: Mutant, *, only: Sequence[str] = (), first: Sequence[str] = ()) -> Found:
    """Put a bug into a copy of its adapter, and let the kit look at it.

    Args:
        mutant: The bug.
        only: These checks alone; all of them by default.
        first: Which checks come first on their level.
    """
    return looked_at(mutant, mutant.bug.planted(mutant.text), only=only, first=first)


def control(mutant: Mutant) -> Found:
    """Let the kit look at a copy of the adapter of *mutant* without any bug."""
    return looked_at(mutant, mutant.text)


def original(adapter: str) -> Original:
    """Return the code of one of our adapters."""
    root = ADAPTERS / f"wickwire_{adapter}"
    files = [file for file in sorted(root.glob("*.py")) if not file.name.startswith("simulator")]
    return Original(adapter=adapter, root=root, place=Path(root.name), files=files)


def looked_at(mutant: Mutant, text: str, *, only: Sequence[str] = (), first: Sequence[str] = ()) -> Found:
    """Let the kit look at a copy of an adapter with *text* in place of a file; the rest as in `found`."""
    began_s = time.perf_counter()
    places = {check: place for place, check in enumerate(first)}
    ordered = sorted(chosen(only), key=lambda one: (one.level, places.get(one.id, len(places))))
    samples = ROOT / "tests" / "adapters" / mutant.adapter / SAMPLES.get(mutant.adapter, "wire")
    looked = copies.looked_at(
        original(mutant.adapter),
        {ADAPTERS / mutant.package / mutant.bug.file: text},
        ordered,
        samples=samples,
        effort=EFFORT,
        bounds_s=dict.fromkeys(ordered, LONGEST_S),
    )
    took_s = time.perf_counter() - began_s
    quickest = tuple(check.id for check in sorted(looked.seconds, key=looked.seconds.__getitem__))
    if looked.failed is None or not looked.is_told:
        return Found(mutant, why=looked.why, took_s=took_s, quickest=quickest)
    return Found(mutant, looked.failed.id, looked.failed.level.value, looked.why, took_s, quickest)


# ------------------------------------------------------------------------------------------------ the report


def report(results: Sequence[Found]) -> Iterable[str]:
    """Yield the table: how many were found on each level and in each adapter, and what survived."""
    left = len(results)
    yield f"{'level':<16}{'met':>6}{'caught':>8}"
    for level in Level:
        caught = sum(one.level == level for one in results)
        yield f"{level.value} {level.word:<14}{left:>6}{caught:>8}"
        left -= caught
    yield ""
    yield f"{'adapter':<16}{'bugs':>6}{'caught':>8}"
    for adapter in sorted({one.mutant.adapter for one in results}):
        own = [one for one in results if one.mutant.adapter == adapter]
        yield f"{adapter:<16}{len(own):>6}{sum(bool(one.check) for one in own):>8}"
    total, caught = len(results), sum(bool(one.check) for one in results)
    yield f"{'all':<16}{total:>6}{caught:>8}  {100 * caught / max(1, total):.1f} %"
    survivors = [one for one in results if not one.check]
    if survivors:
        yield ""
        yield "survivors"
    for one in survivors:
        yield f"  {one.mutant.id}: {one.mutant.survives or one.why or 'nobody knows why'}"


def shortcomings(results: Sequence[Found]) -> Iterable[str]:
    """Yield why a run fails, or nothing."""
    caught = sum(bool(one.check) for one in results)
    if caught < ENOUGH * len(results):
        yield f"{caught} of {len(results)} are fewer than {100 * ENOUGH:.0f} in 100"
    for one in results:
        if not one.check and not one.mutant.survives:
            yield f"{one.mutant.id}: it survives, and nothing says why"
        if one.check and one.mutant.survives:
            yield f"{one.mutant.id}: {one.check} finds it by now: take its explanation away"


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at all bugs that were chosen; return 1 where the run fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="bugs whose id, adapter, class or trap holds this word")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--expected", action="store_true", help="run the check alone that should find a bug")
    asked = parser.parse_args(arguments)
    chosen = [one for one in corpus() if asked.only in one.words]
    wrong = [f"{one.id}: {why}" for one in chosen if (why := one.misfit())]
    if wrong or not chosen:
        sys.stdout.write("\n".join(wrong or [f"no bug has {asked.only!r} in it"]) + "\n")
        return 1
    began_s = time.perf_counter()
    results = []
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        plain = {} if asked.expected else _controls(pool, chosen)
        failures = [
            f"{name} without any bug: {one.check} {one.why}" for name, one in plain.items() if one.why
        ]

        def look(mutant: Mutant) -> Found:
            if asked.expected:
                return found(mutant, only=[mutant.check] if mutant.check else ())
            return found(mutant, first=plain[mutant.adapter].quickest)

        for result in () if failures else pool.map(look, chosen):
            results.append(result)
            sys.stdout.write(f"{result}\n")
            sys.stdout.flush()
    sys.stdout.write("\n" + "\n".join(report(results)) + "\n\n")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    took_s = time.perf_counter() - began_s
    sys.stdout.write(f"{took_s:.0f} s on the clock, {used.ru_utime + used.ru_stime:.0f} s of a processor\n")
    failures += shortcomings(results)
    sys.stdout.write("".join(f"FAILED {failure}\n" for failure in failures))
    return int(bool(failures))


def _controls(pool: concurrent.futures.Executor, chosen: Iterable[Mutant]) -> dict[str, Found]:
    """Return what the kit says of each adapter without any bug."""
    adapters = {one.adapter: one for one in chosen}
    return dict(zip(adapters, pool.map(control, adapters.values()), strict=True))


if __name__ == "__main__":
    sys.exit(main())
