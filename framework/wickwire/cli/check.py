"""`check`: the promises that every adapter keeps, looked at one by one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wickwire.cli.door import ExitCode, loud_options, printable
from wickwire.cli.lines import echo, echo_json
from wickwire.cli.options import config_option, json_option
from wickwire.cli.scorecard import scorecard
from wickwire.cli.settings import read_settings
from wickwire.cli.survivors import score_part, trials_shown
from wickwire.cli.tables import check_table, show
from wickwire.clock import SystemClock
from wickwire.errors import UsageError
from wickwire.model import when

if TYPE_CHECKING:
    from wickwire.testing.material import Material
    from wickwire.testing.running import Outcome
    from wickwire.testing.score import Score

__all__ = ["check"]

DEFAULT_SEED: Final = 1
DEFAULT_EFFORT: Final = 50
MOST_EFFORT: Final = 100_000


@click.command()
@click.argument("name")
@click.option(
    "--samples",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="Frames, replies and recordings of the venue.",
)
@click.option("--symbol", "symbols", multiple=True, metavar="S", help="What to ask for; may be repeated.")
@click.option("--only", multiple=True, metavar="ID", help="This check alone; may be repeated.")
@click.option("--level", type=click.IntRange(min=1), metavar="N", help="Checks up to this level.")
@click.option(
    "--seed", type=int, default=DEFAULT_SEED, show_default=True, metavar="N", help="Draws other inputs."
)
@click.option(
    "--effort",
    type=click.IntRange(1, MOST_EFFORT),
    default=DEFAULT_EFFORT,
    show_default=True,
    metavar="N",
    help="How many inputs a check draws.",
)
@click.option(
    "--mutants",
    type=click.IntRange(min=1),
    metavar="N",
    help="Change the adapter's code in N ways, in copies, and tell which of them no check finds.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="So many mutants at once.",
)
@click.option(
    "--deviations",
    type=click.Path(dir_okay=False, path_type=Path),
    default="conformance.toml",
    show_default=True,
    metavar="FILE",
    help="Promises that are not kept yet.",
)
@click.option("--hide-passed", is_flag=True, help="Show what failed, was skipped or is excused alone.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a page of it too.",
)
@config_option
@json_option
@loud_options
def check(
    name: str,
    samples: Path | None,
    symbols: tuple[str, ...],
    only: tuple[str, ...],
    level: int | None,
    seed: int,
    effort: int,
    mutants: int | None,
    jobs: int,
    deviations: Path,
    hide_passed: bool,
    page: Path | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Check the adapter NAME against the promises that every adapter keeps.

    Nothing connects. What cannot be looked at is skipped, with the reason. The exit status is 1 when a
    promise is broken, or a deviation has expired or is not needed any more; what becomes of mutants has no
    part in it.
    """
    _need_the_extra()
    from wickwire.testing.branches import branches_taken
    from wickwire.testing.deviations import read_deviations
    from wickwire.testing.mutants import need_cosmic_ray
    from wickwire.testing.report import failure_text, report_json, summary
    from wickwire.testing.running import CHECKS, Report, State, chosen, material_of, run
    from wickwire.testing.score import UNASKED

    if mutants is not None:
        need_cosmic_ray()
    wanted = chosen(only, level)
    excuses = read_deviations(deviations, [one.id for one in CHECKS])
    registry = read_settings(config_file).registry
    material = material_of(name, registry, samples=samples, symbols=symbols, seed=seed, effort=effort)
    options = _options(samples, symbols, effort, deviations, config_file)
    now = when(SystemClock().now_ns())
    outcomes = tuple(run(material, wanted, deviations=excuses, today=now.date(), options=options))
    made = Report(
        adapter=name,
        distribution=""
        if material.problem
        else f"{material.adapter.distribution} {material.adapter.version}".strip(),
        seed=seed,
        effort=effort,
        outcomes=outcomes,
        branches=branches_taken(material) if (page is not None or as_json) and not material.problem else (),
        score=UNASKED if mutants is None else _scored(material, outcomes, mutants, jobs),
    )
    if page is not None:
        _write(page, scorecard(made, now, _peak_bytes()))
    if as_json:
        echo_json(report_json(made), indent=2)
    else:
        shown = [one for one in outcomes if not (hide_passed and one.state is State.PASSED)]
        if shown:
            show(check_table(shown))
        for outcome in made.failed:
            echo("")
            for line in failure_text(outcome).splitlines():
                echo(printable(line))
        echo("")
        show(score_part(made.score))
        echo("")
        echo(summary(made))
    return ExitCode.FAILED if made.failed else ExitCode.DONE


def _scored(material: Material, outcomes: Sequence[Outcome], mutants: int, jobs: int) -> Score:
    """Return how many of so many changes are found by what passed."""
    from wickwire.testing.mutants import score

    with trials_shown(mutants) as shown:
        return score(material, outcomes, mutants, jobs=jobs, shown=shown)


def _write(page: Path, text: str) -> None:
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"{page} cannot be written: {exc.strerror}; name another file with --html") from exc


def _peak_bytes() -> int | None:
    """Return the most memory that this process had; None where the system does not tell."""
    if find_spec("resource") is None:
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _need_the_extra() -> None:
    for package in ("hypothesis", "pytest", "coverage"):
        if find_spec(package) is None:
            raise UsageError(
                f"check needs the package {package!r}, which is not installed; "
                "pip install 'wickwire[testing]'"
            )


def _options(
    samples: Path | None, symbols: tuple[str, ...], effort: int, deviations: Path, config_file: str | None
) -> list[str]:
    """Return what the command that replays a failure has to say beside the seed."""
    words: list[str] = []
    if samples is not None:
        words += ["--samples", str(samples)]
    for symbol in symbols:
        words += ["--symbol", symbol]
    if effort != DEFAULT_EFFORT:
        words += ["--effort", str(effort)]
    if str(deviations) != "conformance.toml":
        words += ["--deviations", str(deviations)]
    if config_file is not None:
        words += ["--config", config_file]
    return words
