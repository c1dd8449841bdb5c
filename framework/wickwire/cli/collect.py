"""`collect`: the one command that matters.

Real, simulated or recorded venues differ only in the world that it gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs
import click

from wickwire.binding import listed
from wickwire.cli.contents import Contents, contents_of, with_rows
from wickwire.cli.door import ExitCode, printable
from wickwire.cli.job import PATIENCE_NS, Job, in_world, made_budget, made_hot, made_sinks, refuse
from wickwire.cli.keeping import keeping
from wickwire.cli.options import (
    Moment,
    at_option,
    budget_option,
    config_option,
    for_option,
    hot_option,
    json_option,
    named_once,
    range_ns,
    redirect_option,
    route_option,
    series_argument,
    simulation_options,
    since_option,
    sink_option,
    store_option,
    until_option,
)
from wickwire.cli.runs import Ending, Stop, run
from wickwire.cli.settings import Settings, read_settings, retention_of
from wickwire.cli.tables import troubles
from wickwire.cli.views import View, view_of
from wickwire.cli.worlds import World
from wickwire.clock import SystemClock
from wickwire.collector import Collector
from wickwire.errors import StoreError, TransportError, UsageError
from wickwire.health import Health, SeriesHealth
from wickwire.instants import iso_second
from wickwire.model import SECOND_NS, Feed, HoleKind, Series, iso
from wickwire.store import REAL

__all__ = ["collect", "collecting", "never_seen", "run_job"]

_MUTE: Final = "the venue did not answer in this time; give it longer"
LACKING: Final = (HoleKind.MISSING, HoleKind.UNKNOWN)
"""Kinds of holes that history may still fill."""
LINGER_NS: Final = 5 * SECOND_NS
"""How long after --until trades and quotes of before may take to arrive, and what a capture holds, as that
falls due at once."""


@click.command()
@since_option
@route_option
@for_option
@until_option
@simulation_options
@click.option(
    "--replay",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Collect from a recording, with the clock of its time.",
)
@at_option
@redirect_option
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Record what the venue says.",
)
@click.option("--keep-trades", is_flag=True, help="Store the trades of trade series, too.")
@click.option("--retention", metavar="400d", help="Forget candles that are older.")
@click.option("--trades-retention", metavar="30d", help="Forget stored trades that are older.")
@store_option
@sink_option
@hot_option
@budget_option
@config_option
@json_option
@series_argument
def collect(
    series: tuple[Series, ...],
    since: Moment | None,
    route: str | None,
    for_s: float | None,
    until: Moment | None,
    simulate: bool,
    speed: float | None,
    seed: int | None,
    replay: tuple[Path, ...],
    at: Moment | None,
    redirects: tuple[tuple[str, str], ...],
    record: Path | None,
    keep_trades: bool,
    retention: str | None,
    trades_retention: str | None,
    store: str | None,
    sinks: tuple[tuple[str, str], ...],
    hot: str | None,
    budget: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Collect series, live, into a store.

    On a terminal a table shows how each is doing; elsewhere a line tells of each closed candle, with --json
    for programs. It ends with --for, --until, Ctrl-C or SIGTERM, and the next start completes what was
    missed.

    Where no series is written, those of the config are collected; with --replay, those that the recordings
    hold, and it ends when they do.
    """
    settings = read_settings(config_file)
    inside: Contents | None = None
    if replay:
        settings = attrs.evolve(settings, invented=True)
        inside, series = _inside(settings, replay, series)
        at = at or (None if inside.clock_ns is None else Moment(inside.clock_ns))
        until = until or (None if inside.until_ns is None else Moment(inside.until_ns))
        if since is None and inside.started_ns is None and inside.first_ns is not None:
            since = Moment(inside.first_ns)
    job = Job(
        settings=settings,
        series=settings.wanted(series),
        store=settings.store_url(store),
        sinks=named_once(sinks),
        hot=hot,
        budget=budget,
        keep_trades=keep_trades or settings.config.keep_trades,
        retention=retention_of(settings, retention, trades_retention),
        since=since,
        until=until,
        patience_ns=LINGER_NS if inside and inside.started_ns is None else PATIENCE_NS,
        route=route,
        redirects=dict(redirects),
        record=record,
        simulate=simulate,
        replay=replay,
        recorded=inside.world if inside else REAL,
        seed=seed,
        speed=speed,
        at=at,
    )
    return run_job(job, as_json=as_json, for_s=for_s)


def _inside(
    settings: Settings, replay: Sequence[Path], series: Sequence[Series]
) -> tuple[Contents, tuple[Series, ...]]:
    """Return what recordings hold, and which series to collect from them: *series*, else those in them.

    Raises:
        UsageError: Neither says, or one is of a venue that was not recorded, and would be asked itself.
    """
    inside = contents_of(settings.registry, replay)
    files = ", ".join(map(str, replay))
    candles = [one for one in inside.series if not isinstance(one.what, Feed)]
    wanted = tuple(series or candles or inside.series or settings.config.series)
    if not wanted:
        raise UsageError(
            f"which series? {files} does not say; write venue:symbol@what, such as kraken:BTC/USD@1m"
        )
    for one in wanted:
        if one.venue not in inside.venues:
            raise UsageError(
                f"{one}: nothing of {one.venue!r} is recorded in {files}, but of {listed(inside.venues)}; "
                "leave it out"
            )
    return with_rows(inside, settings.registry, wanted, settings.accounts(wanted)), wanted


def run_job(job: Job, *, as_json: bool, for_s: float | None) -> ExitCode:
    """Run *job* until it is told to stop.

    Raises:
        WickwireError: It cannot start, or nothing was collected.
    """
    now_ns = SystemClock().now_ns()
    if (
        job.until is not None
        and job.until.ns(now_ns) <= now_ns
        and not (job.replay or job.simulate or job.at)
    ):
        raise UsageError(
            f"--until {iso(job.until.ns(now_ns))} is over already; `wickwire backfill` brings what was"
        )

    async def main(stop: Stop) -> None:
        refuse(job)
        async with in_world(job) as world:
            await collecting(job, world, stop, view_of(stop, as_json=as_json, note=world.note))

    return run(main, for_s=for_s, speed=job.speed)


async def collecting(job: Job, world: World, stop: Stop, view: View) -> None:
    """Collect in *world* until *stop*, and show it in *view*.

    Raises:
        WickwireError: Nothing was collected, and why.
    """
    since_ns, until_ns = range_ns(job.since, job.until, world.clock.now_ns())
    async with keeping(job, world) as transport:
        collector = job.settings.collector(
            job.store,
            job.series,
            world,
            sinks=made_sinks(job),
            hot=made_hot(job),
            budget=made_budget(job),
            keep_trades=job.keep_trades,
            retention=job.retention,
            seed=job.seed,
            whose=job.world,
            transport=transport,
        )
        async with view.shown():
            async with collector:
                view.watch(collector)
                names = []
                for plan in job.settings.plans(job.series, job.route):
                    route = plan.rung if plan.pinned else None
                    name = await collector.add(plan.series, since=since_ns, route=route)
                    if name in job.settings.priority:
                        collector.prioritise(name)
                    names.append(name)
                    view.follow(names[-1])
                began_ns = world.clock.now_ns()
                while stop.ending is None and not hopeless(collector, names):
                    if ended(collector, names, world, job, began_ns, until_ns):
                        break
                    view.refresh()
                    await stop.within(view.every_s * (job.speed or 1.0))
                health = collector.health()
                empty = never_seen(collector, names, health)
            view.refresh()
        trouble = collector.health().store_trouble
        if trouble and stop.ending in (None, Ending.ELAPSED):
            raise StoreError(f"not everything was stored, the next run completes it: {trouble}")
        for line in empty:
            click.echo(printable(line), err=True)
        complain(health, stop)


def ended(
    collector: Collector,
    series: Iterable[Series],
    world: World,
    job: Job,
    began_ns: int,
    until_ns: int | None,
) -> bool:
    """Say whether all that closed by *until_ns* is stored, or did not come within the patience of *job*.

    What is recorded is heard to its end, even where it lags behind the clock, and has time to arrive; where
    nothing says until when, its end is when nothing new was said for so long.
    """
    now_ns, told_ns = world.clock.now_ns(), world.told_ns()
    if (until_ns is None and not job.replay) or now_ns < (until_ns or 0) or world.speaking():
        return False
    late_ns = now_ns - max(until_ns or 0, began_ns, told_ns or 0)
    patience_ns: float = job.patience_ns
    if job.replay and told_ns is None:  # it was not even asked yet, on a busy machine: a minute on the wall
        patience_ns = PATIENCE_NS * (job.speed or 1.0)
    if late_ns > patience_ns:
        return True
    return until_ns is not None and all(_has_reached(collector, one, until_ns, late_ns) for one in series)


def _has_reached(collector: Collector, series: Series, until_ns: int, late_ns: int) -> bool:
    if isinstance(series.what, Feed):
        return late_ns > LINGER_NS
    closer = collector.closer(series)
    lacking = [hole for hole in closer.ledger.holes if hole.kind in LACKING and hole.since_ns < until_ns]
    try:
        open_ns = series.what.open_at(until_ns, closer.ledger.support.grid)
    except ValueError:  # nobody can say where its buckets open
        return False
    return bool(closer.refusal) or (closer.ledger.frontier_ns >= open_ns and not lacking)


def hopeless(collector: Collector, series: Iterable[Series]) -> bool:
    """Say whether the venues refuse each of *series* and know no history of any: waiting will not help."""
    return all(_refused(collector, one) for one in series)


def _refused(collector: Collector, series: Series) -> bool:
    if isinstance(series.what, Feed):
        return False  # one connection is asked again now and then; nothing is lost by waiting
    closer = collector.closer(series)
    asked = bool(closer.trouble) or not closer.ledger.support.rest
    return bool(closer.refusal) and asked and closer.ledger.last_close is None


def never_seen(collector: Collector, series: Iterable[Series], health: Health) -> Sequence[str]:
    """Ask about each of *series* of which nobody has ever had a candle: a venue may not say what it knows."""
    told = []
    for one in series:
        if isinstance(one.what, Feed):
            continue
        closer = collector.closer(one)
        ledger = closer.ledger
        proven = closer.verified and ledger.frontier_ns > ledger.origin_ns  # one bucket at least is empty
        if proven and ledger.last_close is None and closer.forming is None and not ledger.refused:
            since, until = iso_second(ledger.origin_ns), iso_second(health.at_ns)
            told.append(
                f"{one}: the venue has no candle of it from {since} to {until}; does the symbol exist?"
            )
    return told


def complain(health: Health, stop: Stop) -> None:
    """Say what is wrong when nothing came, or a series was never answered for.

    Whoever stopped it by hand has seen it.

    Raises:
        TransportError: Something was not collected, and why.
    """
    if stop.ending not in (None, Ending.ELAPSED):
        return
    wrong = troubles(health)
    if wrong and all(map(_came_nothing, health.series)):
        raise TransportError(
            f"nothing was collected: {'; '.join(f'{where}: {what}' for where, what in wrong)}"
        )
    unheard = [one for one in health.series if not one.verified]
    if unheard:
        reasons = [f"{one.series}: {one.trouble or _reason(health, one)}" for one in unheard]
        raise TransportError(f"not everything was collected: {'; '.join(reasons)}")


def _reason(health: Health, one: SeriesHealth) -> str:
    """Return why a series that tells nothing itself was not answered for."""
    scope = one.series.scope
    return next((venue.trouble for venue in health.venues if venue.venue == scope and venue.trouble), _MUTE)


def _came_nothing(one: SeriesHealth) -> bool:
    return one.closed == 0 and one.received == 0 and one.forming is None
