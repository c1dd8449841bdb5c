"""`adapters` and `plan`: what there is, and what would be done with it. Nothing here connects."""

from __future__ import annotations

import attrs
import click

from wickwire.cli.door import ExitCode, loud_options
from wickwire.cli.lines import echo_json
from wickwire.cli.options import config_option, json_option, route_option, series_argument
from wickwire.cli.settings import read_settings
from wickwire.cli.tables import listing_table, plan_table, show
from wickwire.discovery import Kind
from wickwire.model import Rung, Series

__all__ = ["adapters", "plan"]


@click.command()
@config_option
@json_option
@loud_options
def adapters(config_file: str | None, as_json: bool) -> None:
    """List the venues that are installed, and whether they work.

    A broken one is listed with its reason and stops no other.
    """
    listed = read_settings(config_file).registry.listing(Kind.ADAPTER)
    if as_json:
        rows = [
            {
                "name": one.name,
                "distribution": one.distribution,
                "version": one.version,
                "state": one.state.value,
                "reason": one.reason,
            }
            for one in listed
        ]
        echo_json(rows, indent=2)
    else:
        show(listing_table(listed))


@click.command()
@route_option
@click.option("--simulate", is_flag=True, help="As with simulated venues, which take any key.")
@config_option
@json_option
@series_argument
def plan(
    series: tuple[Series, ...], route: str | None, simulate: bool, config_file: str | None, as_json: bool
) -> ExitCode:
    """Say how series would be collected, and why.

    Nothing connects. The exit status is 3 when one of them cannot be collected.
    """
    settings = attrs.evolve(read_settings(config_file), invented=simulate)
    settings.store_url(None)  # what is wrong with it is told now and not when it is needed
    plans = settings.plans(settings.wanted(series), route)
    if as_json:
        rows = [
            {
                "series": str(one.series),
                "rung": one.rung.value,
                "why": one.why,
                "falls_to": None if one.falls_to is None else one.falls_to.value,
                "takes": str(one.cost),
                "notes": [] if one.support is None else list(one.support.notes),
            }
            for one in plans
        ]
        echo_json(rows, indent=2)
    else:
        show(plan_table(plans, settings.fall_back(plans)))
    return ExitCode.REFUSED if any(one.rung is Rung.REFUSE for one in plans) else ExitCode.DONE
