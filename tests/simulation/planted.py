"""Does the simulation find bugs? Each is planted into a copy of the framework, on which seeds are run then.

    python -m tests.simulation.planted --seeds 12 --hours 1.2 [--only WORD]

A bug is found when any run breaks an invariant, or crashes. What no seed finds is listed. Where something
else mends what it does, the corpus says so, and it does not count against the simulation.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

__all__ = ["Bug", "main", "planted"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
ROOMS: Final = ROOT / "framework" / "wickwire"
LONGEST_S: Final = 150
"""A run of an hour takes some ten seconds of a processor; one that takes so long never ends."""
CORPUS: Final = Path(__file__).with_name("planted.toml")


@attrs.frozen(kw_only=True)
class Bug:
    """One bug: in which file, what it does, what stands there, and what is put in its place.

    *mended* says what makes it good, so that whoever looks from outside hardly ever sees it.
    """

    file: str
    what: str
    before: str
    after: str
    mended: str = ""

    def fits(self, text: str) -> bool:
        """Say whether there is just one place for it."""
        return text.count(self.before) == 1

    def planted(self, text: str) -> str:
        """Return the text of the file with the bug in it."""
        return text.replace(self.before, self.after)

    def __str__(self) -> str:
        """Return it in a few words."""
        return f"{self.file}: {self.what}"


def planted() -> Sequence[Bug]:
    """Return all bugs of the corpus."""
    return [Bug(**one) for one in tomllib.loads(CORPUS.read_text())["bug"]]


def _found(bug: Bug, seeds: Sequence[int], hours: float, each: int) -> str:
    """Return which seed found a bug, and by what; nothing where none did."""
    with tempfile.TemporaryDirectory(prefix="wickwire-planted-") as folder:
        rooms = Path(folder) / "wickwire"
        shutil.copytree(ROOMS, rooms, ignore=shutil.ignore_patterns("__pycache__"))
        file = rooms / bug.file
        text = file.read_text()
        if not bug.fits(text):
            raise ValueError(f"{bug}: it does not fit any more")
        file.write_text(bug.planted(text))
        places = os.pathsep.join([folder, str(ROOT / "adapters"), str(ROOT / "plugins")])
        environment = os.environ | {"PYTHONPATH": places}
        command = [sys.executable, "-m", "tests.simulation.run", "--until-broken"]
        command += [
            "--seed",
            str(seeds[0]),
            "--seeds",
            str(len(seeds)),
            "--hours",
            str(hours),
            "--each",
            str(each),
        ]
        try:
            told = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LONGEST_S * len(seeds),
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            ended = str(exc.stdout or b"", "utf-8").count("verdict")
            return f"seed {seeds[0] + ended}: it never ends"
        if told.returncode:
            lines = (told.stdout.strip() or told.stderr.strip()).splitlines()
            seed = next((line.split()[1] for line in reversed(lines) if line.startswith("seed ")), "?")
            return f"seed {seed}: {lines[-1][:200]}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant each bug, one after the other; return 1 where more than one in twenty is not found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=12, help="runs that look for each bug, at most")
    parser.add_argument("--seed", type=int, default=1, help="the first of them")
    parser.add_argument("--hours", type=float, default=1.2, help="how long each is")
    parser.add_argument("--each", type=int, default=2, help="series of every venue, 1 to 6")
    parser.add_argument("--only", default="", help="bugs whose description holds this word")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args(arguments)
    bugs = [bug for bug in planted() if chosen.only in str(bug)]
    missed = mended = 0
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        seeds = range(chosen.seed, chosen.seed + chosen.seeds)
        looked = pool.map(lambda bug: _found(bug, seeds, chosen.hours, chosen.each), bugs)
        for bug, by in zip(bugs, looked, strict=True):
            missed += not by and not bug.mended
            mended += not by and bool(bug.mended)
            word = "found " if by else "mended" if bug.mended else "MISSED"
            sys.stdout.write(f"{word} {bug}  ({by or bug.mended or 'by no seed'})\n")
            sys.stdout.flush()
    counted = len(bugs) - mended
    sys.stdout.write(f"{counted - missed} of {counted} found, {mended} others mended\n")
    return int(missed > counted / 20)


if __name__ == "__main__":
    sys.exit(main())
