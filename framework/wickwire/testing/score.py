"""The mutation score: of changes of an adapter's code that nobody thought of, how many the checks find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from wickwire.testing.checks import Check, Level

__all__ = ["UNASKED", "Change", "Fate", "Score"]


@attrs.frozen(kw_only=True)
class Change:
    """One change of one file.

    Attributes:
        file: Which file.
        line: Where, from 1.
        operator: What kind of change, by cosmic-ray's name.
        before: The line as it was.
        after: The line as it is.
        text: The whole file, changed.
    """

    file: Path
    line: int
    operator: str
    before: str
    after: str
    text: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Fate:
    """What became of one change.

    Attributes:
        change: Which.
        place: Its file, from the folder of the adapter on.
        check: What found it; None where nothing did.
        why: What the check said.
        took_s: Seconds on the clock.
    """

    change: Change
    place: str
    check: Check | None = None
    why: str = ""
    took_s: float = 0.0

    def __str__(self) -> str:
        """Return `wickwire_beacon/rows.py:12: low, high  =>  high, low`."""
        return f"{self.place}:{self.change.line}: {self.change.before}  =>  {self.change.after}"


@attrs.frozen(kw_only=True)
class Score:
    """What became of all changes of a run, or why there were none.

    Attributes:
        why_not: Why no change was tried; empty where some were.
        asked: How many changes were wanted.
        possible: How many there could be.
        checks: The checks that looked: those that passed with the code as it is, quickest first.
        effort: Examples for each check, where few did not find it.
        fates: One for each change that was tried.
    """

    why_not: str = ""
    asked: int = 0
    possible: int = 0
    checks: Sequence[Check] = ()
    effort: int = 0
    fates: Sequence[Fate] = ()

    @property
    def found(self) -> int:
        """How many were found."""
        return sum(one.check is not None for one in self.fates)

    @property
    def share(self) -> float | None:
        """How many of all that were tried, from 0 to 1; None where none was."""
        return self.found / len(self.fates) if self.fates else None

    @property
    def by_level(self) -> Mapping[Level, int]:
        """How many were found by checks of each level that looked."""
        finding = [one.check.level for one in self.fates if one.check is not None]
        return {level: finding.count(level) for level in sorted({one.level for one in self.checks})}

    @property
    def survivors(self) -> Sequence[Fate]:
        """Those that nothing found, by their places."""
        left = [one for one in self.fates if one.check is None]
        return sorted(left, key=lambda one: (one.place, one.change.line, one.change.operator))


UNASKED: Final = Score(
    why_not="not taken: --mutants 50 changes the adapter's code in 50 ways, one after the other"
)
"""What a report says where nobody asked for a score."""
