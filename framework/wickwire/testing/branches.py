"""Which branches of an adapter its samples take: what no sample shows is checked against invention alone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from wickwire.testing.material import Material
from wickwire.testing.unfinished import sources_of

__all__ = ["Taken", "branches_taken"]

NOT_RUN: Final = "if TYPE_CHECKING:"


@attrs.frozen
class Taken:
    """How many branches of one file samples take.

    Attributes:
        file: Its name, from the folder of the adapter on.
        branches: How many there are: two for a condition, one for each case.
        taken: How many of them.
        missed: The others, as the lines from which and to which they lead; a negative one leaves what begins
            there.
    """

    file: str
    branches: int
    taken: int
    missed: Sequence[tuple[int, int]] = ()


def branches_taken(material: Material) -> Sequence[Taken]:
    """Return what the samples of *material* take of each file that they touch; nothing without samples.

    Frames, recordings and replies are read once more, each as the checks of level 2 read them; what the
    simulated venue would say is left out.
    """
    import coverage  # noqa: PLC0415 - an extra

    files = sources_of(material)
    again = material.of_samples()
    if again is None or not files:
        return ()
    measured = coverage.Coverage(
        data_file=None, config_file=False, branch=True, include=[str(file) for file in files], messages=False
    )
    measured.exclude(NOT_RUN)
    with measured.collect():
        again.read_samples()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "branches.json")
        measured.json_report(outfile=str(report), ignore_errors=True)
        told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    root = min((file.parent for file in files), key=lambda folder: len(folder.parts)).parent
    return [_taken(Path(name), one, root) for name, one in sorted(told["files"].items())]


def _taken(file: Path, told: Any, root: Path) -> Taken:
    whole = file.absolute()
    return Taken(
        file=str(whole.relative_to(root)) if whole.is_relative_to(root) else file.name,
        branches=told["summary"]["num_branches"],
        taken=told["summary"]["covered_branches"],
        missed=[(since, until) for since, until in told["missing_branches"]],
    )
