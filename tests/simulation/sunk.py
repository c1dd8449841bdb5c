"""Judges what a sink holds in the end, as the checker does: by plain data."""

from __future__ import annotations

from tests.simulation.judging import Run, few

__all__ = ["fallen_back", "sunk"]


def sunk(name: str, series: Run) -> list[str]:
    """I1 I3: what is stored is in the sink too, whatever befell that, and else only what was forgotten."""
    stored, held = ({row[0]: row for row in series[what]} for what in ("stored", "sunk"))
    lines = few(sorted(stored.keys() - held), lambda ns: f"I1 {name}: {ns} is stored, and not in the sink")
    more = [ns for ns in held.keys() - stored if ns >= series["forgotten_ns"]]
    lines += few(sorted(more), lambda ns: f"I1 {name}: {ns} is in the sink, and not stored")
    other = [ns for ns in stored.keys() & held if stored[ns] != held[ns]]
    return lines + few(
        sorted(other), lambda ns: f"I3 {name}: the sink has {held[ns]}, stored is {stored[ns]}"
    )


def fallen_back(run: Run) -> list[str]:
    """I4: nothing is put after what is newer, but for repeats of what a death left doubtful."""
    return few(run["fell_back"], lambda told: f"I4 the sink was given {told}")
