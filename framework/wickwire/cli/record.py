"""`record`: keeps what a venue says in a file that `replay` serves."""

from __future__ import annotations

from pathlib import Path

import click

from wickwire.cli.collect import run_job
from wickwire.cli.door import ExitCode
from wickwire.cli.job import Job
from wickwire.cli.options import (
    Moment,
    at_option,
    config_option,
    for_option,
    json_option,
    redirect_option,
    route_option,
    series_argument,
    simulation_options,
    since_option,
    until_option,
)
from wickwire.cli.settings import read_settings
from wickwire.model import Series

__all__ = ["record"]


@click.command()
@since_option
@route_option
@for_option
@until_option
@simulation_options
@at_option
@redirect_option
@config_option
@json_option
@series_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def record(
    series: tuple[Series, ...],
    file: Path,
    since: Moment | None,
    route: str | None,
    for_s: float | None,
    until: Moment | None,
    simulate: bool,
    speed: float | None,
    seed: int | None,
    at: Moment | None,
    redirects: tuple[tuple[str, str], ...],
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Record what a venue says to a file.

    The series, all of one venue, are collected into memory, where a candle takes 1 kB until the end; frames
    and replies go to FILE, without secrets. Where the venue says nothing there is no FILE; where it only
    refuses, FILE holds how it did.
    """
    settings = read_settings(config_file)
    job = Job(
        settings=settings,
        series=settings.wanted(series),
        store="memory:",
        since=since,
        until=until,
        route=route,
        redirects=dict(redirects),
        record=file,
        simulate=simulate,
        seed=seed,
        speed=speed,
        at=at,
    )
    return run_job(job, as_json=as_json, for_s=for_s)
