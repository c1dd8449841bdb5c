"""Runs checks over the material of one adapter, and says what became of each."""

from __future__ import annotations

import enum
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final, final

import attrs

from wickwire.discovery import Kind
from wickwire.errors import ConfigError, PluginError, UsageError
from wickwire.registry import Registry
from wickwire.testing.bounds import BOUNDS
from wickwire.testing.branches import Taken
from wickwire.testing.checks import PROFILE, Broken, Check, Checks, Skipped
from wickwire.testing.claims import CAPABILITIES
from wickwire.testing.deviations import Deviation
from wickwire.testing.dialogue import DIALOGUES
from wickwire.testing.line import LINES
from wickwire.testing.material import Material
from wickwire.testing.paging import PAGING
from wickwire.testing.parsing import PARSING
from wickwire.testing.ranges import RANGES
from wickwire.testing.replies import REPLIES
from wickwire.testing.score import UNASKED, Score
from wickwire.testing.search import blamed
from wickwire.testing.static import STATIC
from wickwire.testing.system import SYSTEM
from wickwire.testing.trading import TRADING
from wickwire.testing.truth import TRUTHS
from wickwire.testing.unfinished import UNFINISHED, is_unfinished, still_to_do
from wickwire.testing.values import VALUES

__all__ = [
    "CHECKS",
    "DEFAULT_EFFORT",
    "Outcome",
    "Report",
    "State",
    "chosen",
    "material_of",
    "run",
    "run_one",
]

CHECKS: Final = Checks.joined(
    (
        STATIC,
        UNFINISHED,
        PARSING,
        VALUES,
        REPLIES,
        BOUNDS,
        DIALOGUES,
        TRUTHS,
        LINES,
        RANGES,
        PAGING,
        TRADING,
        CAPABILITIES,
        SYSTEM,
    )
)
"""Every check there is, shallow ones first."""
DEFAULT_EFFORT: Final = 50
"""Examples that a check tries, if it does not say otherwise."""
UNWRITTEN: Final = "it comes upon what is still to do, see S12"
"""Why a check that meets an unanswered question of a skeleton is skipped: one check tells of them all."""


@final
class State(enum.Enum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXCUSED = "excused"


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one check.

    Attributes:
        check: Which one.
        state: What became of it.
        why: Why it failed, was skipped, or is excused; empty where it passed.
        shown: The smallest input that shows a failure; empty where there is none.
        command: What replays a failure.
        examples: How many inputs were tried.
        took_s: Seconds.
    """

    check: Check
    state: State
    why: str = ""
    shown: str = ""
    command: str = ""
    examples: int = 0
    took_s: float = 0.0


@attrs.frozen(kw_only=True)
class Report:
    """What became of all checks of a run.

    Attributes:
        adapter: The venue.
        distribution: What brought it, with its version; may be empty.
        profile: Which checks are mandatory.
        seed: What everything that was drawn follows from.
        effort: Examples for each check.
        outcomes: One for each check, in order.
        branches: Which branches the samples take, by file; empty where nobody looked, or there are none.
        score: How many changes of the adapter's code the checks find.
    """

    adapter: str
    distribution: str = ""
    profile: str = PROFILE
    seed: int = 1
    effort: int = DEFAULT_EFFORT
    outcomes: Sequence[Outcome] = ()
    branches: Sequence[Taken] = ()
    score: Score = UNASKED

    @property
    def failed(self) -> Sequence[Outcome]:
        """Those that make the run fail."""
        return [one for one in self.outcomes if one.state is State.FAILED]

    def count(self, state: State) -> int:
        """Return how many ended so."""
        return sum(one.state is state for one in self.outcomes)


def chosen(only: Iterable[str] = (), level: int | None = None) -> Sequence[Check]:
    """Return the checks of these ids, or up to this level; all of them where neither is said.

    Raises:
        UsageError: There is no such check.
    """
    ids = {one.upper() for one in only}
    unknown = ids - {one.id for one in CHECKS}
    if unknown:
        known = ", ".join(one.id for one in CHECKS)
        raise UsageError(f"there is no check {min(unknown)!r}; there are {known}")
    return [one for one in CHECKS if (not ids or one.id in ids) and (level is None or one.level <= level)]


def material_of(
    name: str,
    registry: Registry,
    *,
    samples: Path | None = None,
    symbols: Sequence[str] = (),
    seed: int = 1,
    effort: int = DEFAULT_EFFORT,
) -> Material:
    """Return the material of the adapter *name*; where it cannot be loaded, the material says why.

    Raises:
        UsageError: There is no such adapter.
    """
    adapter, problem = None, ""
    try:
        adapter = registry.load(name)
    except PluginError as exc:
        problem = str(exc)
    return Material(
        adapter,
        name=name,
        problem=problem,
        module=_module(name, registry),
        samples=samples,
        symbols=symbols,
        seed=seed,
        effort=effort,
    )


def _module(name: str, registry: Registry) -> str:
    """Return what to import for the adapter *name*: a module, or a file; nothing where neither is known."""
    for one in registry.discover():
        if one.kind is Kind.ADAPTER and one.name == name:
            return one.entry_point.module if one.entry_point else one.distribution
    return ""


def run(
    material: Material,
    checks: Sequence[Check] = CHECKS,
    *,
    deviations: Mapping[str, Deviation] | None = None,
    today: date,
    options: Sequence[str] = (),
) -> Iterator[Outcome]:
    """Yield what becomes of each of *checks*, one after the other.

    Args:
        material: Of the adapter.
        checks: Which.
        deviations: Promises that need not be kept yet, by check.
        today: By which a deviation expires.
        options: What else the command that replays a failure needs.
    """
    for check in checks:
        yield excused(run_one(material, check, options=options), (deviations or {}).get(check.id), today)


def run_one(material: Material, check: Check, *, options: Sequence[str] = ()) -> Outcome:
    """Return what becomes of *check*, without excuses."""
    began_s, before = time.perf_counter(), material.examples
    state, why, shown = State.PASSED, "", ""
    try:
        if material.problem and check.id != CHECKS[0].id:
            raise Skipped(f"it is no adapter, see {CHECKS[0].id}")
        lacking = next(filter(None, map(material.lacking, check.needs)), "")
        if lacking:
            raise Skipped(lacking)
        check.look(material)
    except Skipped as exc:
        state, why = State.SKIPPED, str(exc)
    except Broken as exc:
        state, why, shown = State.FAILED, exc.why, exc.shown
        if is_unfinished(exc) and still_to_do(material):
            state, why, shown = State.SKIPPED, UNWRITTEN, ""
    except (ConfigError, UsageError):
        raise
    except Exception as exc:  # noqa: BLE001 - an adapter is a plugin's code
        state, why = State.FAILED, blamed(exc.__cause__ or exc, material.code)
        if is_unfinished(exc) and still_to_do(material):
            state, why = State.SKIPPED, UNWRITTEN
    command = ""
    if state is State.FAILED:
        words = (
            "wickwire",
            "check",
            material.name,
            "--only",
            check.id,
            "--seed",
            str(material.seed),
            *options,
        )
        command = shlex.join(words)
    return Outcome(
        check=check,
        state=state,
        why=why,
        shown=shown,
        command=command,
        examples=material.examples - before,
        took_s=time.perf_counter() - began_s,
    )


def excused(outcome: Outcome, deviation: Deviation | None, today: date) -> Outcome:
    """Return *outcome* as *deviation* has it: excused, or failed where that expired or is not needed."""
    if deviation is None or outcome.state is State.SKIPPED:
        return outcome
    if outcome.state is State.PASSED:
        why = "it is kept by now: take its deviation away"
        return attrs.evolve(outcome, state=State.FAILED, why=why)
    if deviation.expires < today:
        return attrs.evolve(outcome, why=f"its deviation expired on {deviation.expires}: {outcome.why}")
    why = f"until {deviation.expires}: {deviation.reason}"
    return attrs.evolve(outcome, state=State.EXCUSED, why=why, command="")
