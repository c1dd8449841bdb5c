"""`gaps --audit`: what a store holds of a range, as a table and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType

from wickwire.cli.stored import Gaps
from wickwire.cli.tables import instant, table, text
from wickwire.description import OhlcvSupport
from wickwire.model import Evidence, iso
from wickwire.range_audit import RangeAudit
from wickwire.store import Store

__all__ = ["audited", "range_audit_json", "stored_table"]

_SHOWN: Final = 20


async def audited(store: Store, gaps: Gaps, support: OhlcvSupport) -> RangeAudit | None:
    """Return what *store* holds of the range of *gaps*, by the grid that the venue's adapter tells of."""
    return await store.audit(
        gaps.series, gaps.since_ns, gaps.until_ns, grid=support.grid, signed_prices=support.signed_prices
    )


def stored_table(found: Sequence[RangeAudit]) -> RenderableType:
    """Return what is stored, one series a row; below them whence it is, what is empty, and what is wrong."""
    rows = table("series", "candles", "rev", "healed", "empty", "wrong")
    below = []
    for one in found:
        wrong = sum(one.faults.values())
        rows.add_row(
            text(one.series),
            text(one.candles),
            text(one.revised),
            text(one.healed),
            text("?" if one.empty_buckets is None else one.empty_buckets),
            text(wrong, "bold red" if wrong else "green"),
        )
        below += [text(f"{one.series}: {line}", style) for line, style in _said(one)]
    return Group(rows, *below)


def _said(one: RangeAudit) -> Iterable[tuple[str, str]]:
    """Yield what there is to say of one series in words, each with its style."""
    if one.first_ns is not None and one.last_ns is not None:
        yield f"from {instant(one.first_ns)} to {instant(one.last_ns)}: {_counted(one)}", "dim"
    if one.forgotten_ns is not None:
        yield f"forgotten before {instant(one.forgotten_ns)}", "dim"
    for since_ns, until_ns in one.empty[:_SHOWN]:
        yield f"nothing traded from {instant(since_ns)} to {instant(until_ns)}", "dim"
    if len(one.empty) > _SHOWN:
        yield "and more of these; --json names a hundred", "dim"
    for each in one.faulty[:_SHOWN]:
        yield f"{instant(each.open_ns)} {each.fault.value.replace('_', ' ')}: {each.why}", "bold red"
    if len(one.faulty) > _SHOWN:
        yield f"and {sum(one.faults.values()) - _SHOWN} more; --json names a hundred", "bold red"


def _counted(one: RangeAudit) -> str:
    """Return by which evidence and routes its candles came, the most first."""
    evidence = {_name(which): count for which, count in one.evidence.items()}
    routes = {which.value: count for which, count in one.routes.items()}
    return "; ".join(", ".join(_most_first(counts)) for counts in (evidence, routes) if counts)


def _most_first(counts: Mapping[str, int]) -> Iterable[str]:
    return (f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _name(evidence: Evidence) -> str:
    return evidence.name.lower()


def range_audit_json(one: RangeAudit) -> dict[str, Any]:
    """Return what `gaps --audit --json` says of a series: a contract, see docs/cli.md."""
    return {
        "candles": one.candles,
        "first": None if one.first_ns is None else iso(one.first_ns),
        "last": None if one.last_ns is None else iso(one.last_ns),
        "evidence": {_name(which): count for which, count in one.evidence.items()},
        "routes": {which.value: count for which, count in one.routes.items()},
        "revised": one.revised,
        "healed": one.healed,
        "holes": [
            {"since": iso(hole.since_ns), "until": iso(hole.until_ns), "kind": hole.kind.value}
            for hole in one.holes
        ],
        "never_known": _ranges(one.never_known),
        "forgotten_before": None if one.forgotten_ns is None else iso(one.forgotten_ns),
        "faults": {which.value: count for which, count in one.faults.items()},
        "faulty": [
            {"open_time": iso(each.open_ns), "fault": each.fault.value, "why": each.why}
            for each in one.faulty
        ],
        "empty_buckets": one.empty_buckets,
        "empty": _ranges(one.empty),
    }


def _ranges(ranges: Iterable[tuple[int, int]]) -> list[dict[str, str]]:
    return [{"since": iso(since_ns), "until": iso(until_ns)} for since_ns, until_ns in ranges]
