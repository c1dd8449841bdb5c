"""A conformance report as one page of HTML, which needs nothing beside it."""

from __future__ import annotations

import html
import io
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from wickwire.cli.door import printable
from wickwire.cli.survivors import score_part
from wickwire.cli.tables import check_table, level_table, table, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from wickwire.testing.branches import Taken
    from wickwire.testing.running import Report

__all__ = ["scorecard"]

MISSED: Final = "not taken, from line to line"
MOST_MISSED: Final = 12
"""Branches of a file that are named, of those that no sample takes."""
WIDTH: Final = 180
"""Characters in a line: promises and reasons stand beside one another."""
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>TITLE</title>
<style>body {{ margin: 2rem; color: {foreground}; background: {background} }}
pre {{ font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; overflow-x: auto }}</style>
</head>
<body><pre>{code}</pre></body>
</html>
"""


def scorecard(report: Report, at: datetime, memory_bytes: int | None) -> str:
    """Return *report* as a page.

    Args:
        report: What became of which checks.
        at: When they were made.
        memory_bytes: The most memory that the process had by then; None where that cannot be known.
    """
    from wickwire.testing.report import failure_text, reached, score_line, summary

    title = f"Conformance of {report.adapter}" + f" ({report.distribution})" * bool(report.distribution)
    out = Console(record=True, file=io.StringIO(), width=WIDTH, color_system="truecolor", highlight=False)
    out.print(title, style="bold")
    out.print(summary(report), markup=False)
    level = reached(report)
    kept = f"up to level {level.value}, {level.word}" if level else "on no level"
    out.print(f"Every promise that could be looked at is kept {kept}.")
    out.print(f"Made {at:%Y-%m-%d %H:%M} UTC, {report.effort} inputs for most checks.")
    if memory_bytes is not None:
        out.print(f"The process had {memory_bytes / 2**20:.0f} MiB of memory at most.")
    out.print(score_line(report.score), markup=False)
    out.print()
    out.print(level_table(report.outcomes))
    out.print()
    out.print(check_table(report.outcomes))
    if report.branches:
        every = sum(one.branches for one in report.branches)
        taken = sum(one.taken for one in report.branches)
        out.print()
        out.print(f"Its samples take {taken} of the {every} branches of the files that they touch:")
        out.print(_branches(report.branches))
    if report.score.fates:
        out.print()
        out.print(score_part(report.score))
    for outcome in report.failed:
        out.print()
        out.print("\n".join(printable(line) for line in failure_text(outcome).splitlines()), markup=False)
    page = _PAGE.replace("TITLE", html.escape(title).replace("{", "{{").replace("}", "}}"))
    return out.export_html(theme=DEFAULT_TERMINAL_THEME, inline_styles=True, code_format=page)


def _branches(files: Sequence[Taken]) -> RenderableType:
    """One row for each file: how many of its branches samples take, and some that none does."""
    made = table("file", "branches", "taken", "%", MISSED, wide=MISSED)
    for one in files:
        missed = [
            f"{since} to {until}" if until > 0 else f"{since} to its end" for since, until in one.missed
        ]
        more = f" and {len(missed) - MOST_MISSED} more" * (len(missed) > MOST_MISSED)
        made.add_row(
            text(one.file),
            text(one.branches),
            text(one.taken),
            text(f"{100 * one.taken / one.branches:.0f}" if one.branches else "-"),
            text(", ".join(missed[:MOST_MISSED]) + more),
        )
    return made
