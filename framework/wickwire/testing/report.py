"""What became of a run, for programs. For people the command line makes a table of it."""

from __future__ import annotations

from typing import Any

from wickwire.testing.checks import Level
from wickwire.testing.running import Outcome, Report, State
from wickwire.testing.score import Score

__all__ = ["failure_text", "reached", "report_json", "score_line", "summary"]


def report_json(report: Report) -> dict[str, Any]:
    """Return all of it as JSON values: a contract, see docs/conformance.md."""
    return {
        "adapter": report.adapter,
        "distribution": report.distribution,
        "profile": report.profile,
        "seed": report.seed,
        "effort": report.effort,
        **{state.value: report.count(state) for state in State},
        "checks": [
            {
                "id": one.check.id,
                "level": one.check.level.value,
                "promise": one.check.promise,
                "state": one.state.value,
                "why": one.why,
                "input": one.shown,
                "command": one.command,
                "examples": one.examples,
                "seconds": round(one.took_s, 3),
            }
            for one in report.outcomes
        ],
        "branches": [
            {
                "file": one.file,
                "branches": one.branches,
                "taken": one.taken,
                "missed": [list(lines) for lines in one.missed],
            }
            for one in report.branches
        ],
        "mutation": _score_json(report.score),
    }


def _score_json(score: Score) -> dict[str, Any]:
    return {
        "why_not": score.why_not,
        "asked": score.asked,
        "possible": score.possible,
        "tried": len(score.fates),
        "found": score.found,
        "score": None if score.share is None else round(score.share, 4),
        "effort": score.effort,
        "checks": [check.id for check in score.checks],
        "levels": [{"level": level.value, "found": found} for level, found in score.by_level.items()],
        "survivors": [
            {
                "file": one.place,
                "line": one.change.line,
                "operator": one.change.operator,
                "before": one.change.before,
                "after": one.change.after,
            }
            for one in score.survivors
        ],
    }


def reached(report: Report) -> Level | None:
    """Return the deepest level on which something passed, and up to which nothing failed; None for no level.

    What does not apply to an adapter, as streams to one that only polls, does not count against it.
    """
    failed = min((one.check.level for one in report.failed), default=None)
    passed = {one.check.level for one in report.outcomes if one.state is State.PASSED}
    return max((one for one in passed if failed is None or one < failed), default=None)


def summary(report: Report) -> str:
    """Return the last line: how many ended how."""
    counts = ", ".join(f"{report.count(state)} {state.value}" for state in State if report.count(state))
    return (
        f"{report.adapter}, profile {report.profile}, seed {report.seed}: {counts or 'nothing was checked'}"
    )


def score_line(score: Score) -> str:
    """Return how many changes were found, or why none was tried."""
    if score.share is None:
        return f"Mutation score: {score.why_not}."
    tried = "the 1 change" if len(score.fates) == 1 else f"{len(score.fates)} changes"
    return (
        f"Mutation score: {100 * score.share:.0f} %. Of {tried} of its code, drawn from {score.possible}, "
        f"{score.found} {'was' if score.found == 1 else 'were'} found by {len(score.checks)} checks."
    )


def failure_text(outcome: Outcome) -> str:
    """Return a failure in full: the promise, what breaks it, the input, and how to see it again."""
    lines = [f"{outcome.check}", f"  {outcome.why}"]
    lines += [f"  {line}" for line in outcome.shown.splitlines()]
    if outcome.command:
        lines.append(f"  again: {outcome.command}")
    return "\n".join(lines)
