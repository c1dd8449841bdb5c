"""`audit`: compares what a store holds with the venues' history, and mends it."""

from __future__ import annotations

from typing import Any

import click

from wickwire.audit import Audited
from wickwire.cli.door import ExitCode
from wickwire.cli.job import Job, asking, in_world, refuse
from wickwire.cli.lines import echo_json
from wickwire.cli.options import (
    INSTANT,
    Moment,
    at_option,
    budget_option,
    config_option,
    json_option,
    range_ns,
    redirect_option,
    series_argument,
    simulation_options,
    store_option,
)
from wickwire.cli.runs import Stop, run
from wickwire.cli.settings import read_settings
from wickwire.cli.tables import audit_table, show
from wickwire.model import Series, iso

__all__ = ["audit", "audited_json"]


@click.command()
@click.option(
    "--since", type=INSTANT, required=True, metavar="INSTANT", help="From when on: 2026-11-01 or 30d."
)
@click.option("--until", type=INSTANT, metavar="INSTANT", help="Until when; now by default.")
@simulation_options
@at_option
@redirect_option
@store_option
@budget_option
@config_option
@json_option
@series_argument
def audit(
    series: tuple[Series, ...],
    since: Moment,
    until: Moment | None,
    simulate: bool,
    speed: float | None,
    seed: int | None,
    at: Moment | None,
    redirects: tuple[tuple[str, str], ...],
    store: str | None,
    budget: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Compare what a store holds with history, and mend it.

    `gaps` believes what the store says of itself; this reads history again, newest first, stores what was
    lost, and revises what history says otherwise. It may be interrupted and repeated with --until where it
    ended. The exit status is 4 when something could not be read, or cannot be mended.
    """
    settings = read_settings(config_file)
    job = Job(
        settings=settings,
        series=settings.wanted(series),
        store=settings.store_url(store),
        since=since,
        until=until,
        budget=budget,
        past_only=True,
        redirects=dict(redirects),
        simulate=simulate,
        seed=seed,
        speed=speed,
        at=at,
    )
    found: list[Audited] = []

    async def main(stop: Stop) -> ExitCode | None:
        refuse(job)
        async with in_world(job) as world:
            since_ns, until_ns = range_ns(since, until, world.clock.now_ns())
            assert since_ns is not None

            async def read() -> None:
                plans = job.settings.plans(job.series, past_only=True)
                whose = asking(job, world)
                async with whose as collector:
                    for name in dict.fromkeys(plan.series for plan in plans):
                        one = await collector.audit(name, since_ns, until_ns)
                        found.append(one)

            await stop.unless(read())
        return ExitCode.HOLES if any(one.left or one.misplaced for one in found) else ExitCode.DONE

    status = run(main, speed=speed)
    if as_json:
        echo_json([audited_json(one) for one in found], indent=2)
    else:
        show(audit_table(found))
    return status


def audited_json(found: Audited) -> dict[str, Any]:
    """Return what `audit --json` says of a series: a contract, see docs/cli.md."""
    return {
        "series": str(found.series),
        "since": iso(found.since_ns),
        "until": iso(found.until_ns),
        "candles": found.candles,
        "lost": [iso(ns) for ns in found.lost],
        "revised": [iso(ns) for ns in found.revised],
        "disputed": [iso(ns) for ns in found.disputed],
        "unconfirmed": [iso(ns) for ns in found.unconfirmed],
        "misplaced": [iso(ns) for ns in found.misplaced],
        "left": [{"since": iso(since), "until": iso(until)} for since, until in found.left],
        "why": found.why,
    }
