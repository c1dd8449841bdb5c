"""Simulated runs by hand: `python -m tests.simulation.run --seed 7 --hours 24`, or many with `--seeds 200`.

A run ends with one line: seed, hours, candles, faults, verdict, and the hash of its log of events. The same
seed gives the same log, byte for byte, in every process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import attrs

from tests.simulation.checker import judge
from tests.simulation.evidence import evidence
from tests.simulation.script import Script, drawn
from tests.simulation.stage import acted
from wickwire.simulate.loops import run_virtual

__all__ = ["Outcome", "main", "played", "run"]


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of one run.

    Attributes:
        seed: What it followed from.
        hours: How long it was.
        candles: Closes and revisions that were handed out.
        faults: Troubles that were played.
        broken: Every broken invariant.
        hash: Of the log of events.
    """

    seed: int
    hours: float
    candles: int
    faults: int
    broken: Sequence[str]
    hash: str

    def __str__(self) -> str:
        """Return the one line."""
        numbers = sorted({line.split()[0] for line in self.broken}, key=lambda name: (len(name), name))
        verdict = f"BROKEN {','.join(numbers)}" if self.broken else "whole"
        return (
            f"seed {self.seed} hours {self.hours:g} candles {self.candles} faults {self.faults} "
            f"verdict {verdict} hash {self.hash}"
        )


def run(seed: int, hours: float, out: IO[str] | None = None, *, each: int = 4) -> Outcome:
    """Play the run that *seed* draws on virtual time, with *each* so many series of five venues; judge it."""
    return played(drawn(seed, hours, each=each), out)


def played(
    script: Script,
    out: IO[str] | None = None,
    *,
    shuffle: bool = True,
    lots: bool = True,
    lively: int = 1,
) -> Outcome:
    """Play *script* on virtual time, and judge it.

    Args:
        script: What is played.
        out: Where the log of events goes.
        shuffle: What is ready at the same instant runs in an order drawn by the seed.
        lots: How long everything takes is drawn by lot too.
        lively: How many times more trades there are than usual.
    """

    async def main() -> Outcome:
        async with acted(script, out=out, lots=lots, lively=lively) as stage:
            broken = judge(await evidence(stage))
            return Outcome(
                seed=script.seed,
                hours=script.hours,
                candles=stage.journal.counts["candle"],
                faults=len(script.acts),
                broken=broken,
                hash=stage.journal.hash,
            )

    try:
        return run_virtual(main(), seed=script.seed if shuffle else None, start_ns=script.starts_ns)
    except Exception as exc:  # noqa: BLE001 - a run that crashes is a verdict too
        return Outcome(
            seed=script.seed,
            hours=script.hours,
            candles=0,
            faults=len(script.acts),
            broken=[f"CRASH the run ended with {_causes(exc)}"],
            hash="-",
        )


def _causes(error: BaseException) -> str:
    """Return what went wrong, without the groups around it."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_causes(one) for one in error.exceptions)
    return repr(error)


def _one(asked: tuple[int, float, int]) -> Outcome:
    seed, hours, each = asked
    return run(seed, hours, each=each)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 1 where anything is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="which run, or the first of many")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs")
    parser.add_argument("--hours", type=float, default=2.0, help="how long each is, in simulated hours")
    parser.add_argument("--each", type=int, default=4, help="series of every venue, 1 to 6; 4 by default")
    parser.add_argument("--jobs", type=int, default=2, help="processes for many runs")
    parser.add_argument("--log", help="write the log of events to this file")
    parser.add_argument(
        "--until-broken", action="store_true", help="end with the first run that is not whole"
    )
    chosen = parser.parse_args(arguments)
    if chosen.until_broken:
        return _until_broken(range(chosen.seed, chosen.seed + chosen.seeds), chosen.hours, chosen.each)
    if chosen.seeds > 1:
        return _many(range(chosen.seed, chosen.seed + chosen.seeds), chosen.hours, chosen.each, chosen.jobs)
    began_s = time.process_time()
    with Path(chosen.log).open("w", encoding="utf-8") if chosen.log else nullcontext() as out:
        outcome = run(chosen.seed, chosen.hours, out, each=chosen.each)
    took_s = time.process_time() - began_s
    for line in outcome.broken:
        print(line, file=sys.stderr)
    print(f"{took_s / chosen.hours:.2f} s of one processor for a simulated hour", file=sys.stderr)
    print(outcome)
    return 1 if outcome.broken else 0


def _until_broken(seeds: Sequence[int], hours: float, each: int) -> int:
    """Run seeds one after the other, in this process."""
    for seed in seeds:
        outcome = run(seed, hours, each=each)
        print(outcome, *outcome.broken, sep="\n", flush=True)
        if outcome.broken:
            return 1
    return 0


def _many(seeds: Sequence[int], hours: float, each: int, jobs: int) -> int:
    """Run many seeds in processes of their own; say how to replay those that fail."""
    failed: list[Outcome] = []
    context = multiprocessing.get_context("spawn")
    # not concurrent.futures: its pool stands still for ever when a child has done its tasks (gh-115634)
    with context.Pool(jobs, maxtasksperchild=20) as pool:
        for outcome in pool.imap(_one, [(seed, hours, each) for seed in seeds]):
            print(outcome, flush=True)
            if outcome.broken:
                failed.append(outcome)
                print(*outcome.broken, sep="\n", file=sys.stderr, flush=True)
    for outcome in failed:
        print(f"replay: make simulate SEED={outcome.seed} HOURS={outcome.hours:g} EACH={each}")
    print(f"{len(seeds) - len(failed)} of {len(seeds)} runs whole")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
