"""The mutation score for people: how many changes each level found, what survived, how far it is so far."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console, Group, RenderableType

from wickwire.cli.tables import table, text

if TYPE_CHECKING:
    from wickwire.testing.score import Fate, Score

__all__ = ["score_part", "trials_shown"]

SHOWN_EACH: Final = 10
"""Where there is no terminal, a line for so many changes."""


def score_part(score: Score) -> RenderableType:
    """Return the score, how many changes each level found, and what survived, as it was and as it is."""
    from wickwire.testing.report import score_line

    parts: list[RenderableType] = [text(score_line(score))]
    if score.fates:
        levels = table("level", "finds")
        for level, found in score.by_level.items():
            levels.add_row(text(f"{level.value} {level.word}"), text(found or "-"))
        parts += [text(""), levels]
    if score.survivors:
        parts += [text(""), text("No check found:")]
    for one in score.survivors:
        parts.append(text(f"  {one.place}:{one.change.line}"))
        parts.append(text(f"    - {one.change.before}", "red"))
        parts.append(text(f"    + {one.change.after}", "green"))
    return Group(*parts)


@contextmanager
def trials_shown(asked: int) -> Iterator[Callable[[Sequence[Fate]], None]]:
    """Yield what is told all that was tried, and shows it on stderr: a bar on a terminal, else lines."""
    if not sys.stderr.isatty():
        yield partial(_line, asked)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("mutants"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]} found"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        row = bars.add_task("", total=asked, found=0)
        yield lambda fates: bars.update(row, completed=len(fates), found=_found(fates))


def _line(asked: int, fates: Sequence[Fate]) -> None:
    if len(fates) % SHOWN_EACH == 0 or len(fates) == asked:
        click.echo(f"mutants: {len(fates)} of {asked} tried, {_found(fates)} found", err=True)


def _found(fates: Sequence[Fate]) -> int:
    return sum(one.check is not None for one in fates)
