"""`collect`: the one command that matters.

Real, simulated or recorded venues differ only in the world that it gets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import click

from wickwire.cli.contents import contents_of
from wickwire.cli.door import ExitCode
from wickwire.cli.options import (
    DEFAULT_SEED,
    INSTANT,
    Moment,
    config_option,
    for_option,
    json_option,
    redirect_option,
    series_argument,
    simulation_options,
    since_option,
    store_option,
)
from wickwire.cli.runs import Ending, Stop, run
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.tables import troubles
from wickwire.cli.views import View, view_of
from wickwire.cli.worlds import World, real, replayed, simulated
from wickwire.clock import SystemClock
from wickwire.collector import Collector
from wickwire.errors import PlanError, TransportError, UsageError
from wickwire.health import Health, SeriesHealth
from wickwire.model import Feed, Rung, Series

__all__ = ["Job", "collect", "collecting", "in_world", "refuse", "run_job"]


@attrs.frozen(kw_only=True)
class Job:
    """What was asked for on the command line.

    Attributes:
        settings: From the config.
        series: What to collect.
        store: URL of the store.
        since: From when on, where it matters.
        route: A pinned route.
        redirects: Origin to origin, beside those of the config.
        record: File to record to.
        simulate: Use simulated venues.
        replay: Use these recordings.
        seed: Which simulated market.
        speed: How fast time passes; None for as fast as it does.
        at: When the clock starts.
    """

    settings: Settings
    series: Sequence[Series]
    store: str
    since: Moment | None = None
    route: str | None = None
    redirects: Mapping[str, str] = attrs.field(factory=dict)
    record: Path | None = None
    simulate: bool = False
    replay: Sequence[Path] = ()
    seed: int | None = None
    speed: float | None = None
    at: Moment | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: They do.
        """
        if self.simulate and self.replay:
            raise UsageError(
                "--simulate and --replay: the venues are either simulated or recorded; choose one"
            )
        if (self.simulate or self.replay) and self.redirects:
            raise UsageError("--redirect: with --simulate or --replay the redirects are known; leave it out")
        if self.speed is not None and not (self.simulate or self.replay or (self.at and self.redirects)):
            raise UsageError(
                "--speed: real venues cannot be hurried; use it with --simulate or --replay, "
                "or with --at and --redirect"
            )
        if self.seed is not None and not self.simulate:
            raise UsageError("--seed: it chooses a simulated market; use it with --simulate")


@click.command()
@since_option
@click.option("--route", type=click.Choice(["stream", "poll"]), help="Collect so, or not at all.")
@for_option
@simulation_options
@click.option(
    "--replay",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Collect from a recording, with the clock of its time.",
)
@click.option(
    "--at", type=INSTANT, metavar="INSTANT", help="Let the clock start here, for a replay elsewhere."
)
@redirect_option
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Record what the venue says.",
)
@store_option
@config_option
@json_option
@series_argument
def collect(
    series: tuple[Series, ...],
    since: Moment | None,
    route: str | None,
    for_s: float | None,
    simulate: bool,
    speed: float | None,
    seed: int | None,
    replay: tuple[Path, ...],
    at: Moment | None,
    redirects: tuple[tuple[str, str], ...],
    record: Path | None,
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Collect series, live, into a store.

    On a terminal a table shows how each is doing; elsewhere a line tells of each closed candle, with --json
    for programs. It ends with --for, Ctrl-C or SIGTERM, and the next start completes what was missed.

    Where no series is written, those of the config are collected; with --replay, those that the recordings
    hold.
    """
    settings = read_settings(config_file)
    if replay:
        inside = contents_of(settings.registry, replay)
        series = series or tuple(one for one in inside.series if not isinstance(one.what, Feed))
        at = at or (None if inside.clock_ns is None else Moment(inside.clock_ns))
        if since is None and inside.started_ns is None and inside.first_ns is not None:
            since = Moment(inside.first_ns)
    job = Job(
        settings=settings,
        series=settings.wanted(series),
        store=settings.store_url(store),
        since=since,
        route=route,
        redirects=dict(redirects),
        record=record,
        simulate=simulate,
        replay=replay,
        seed=seed,
        speed=speed,
        at=at,
    )
    return run_job(job, as_json=as_json, for_s=for_s)


def run_job(job: Job, *, as_json: bool, for_s: float | None) -> ExitCode:
    """Run *job* until it is told to stop.

    Raises:
        WickwireError: It cannot start, or nothing was collected.
    """

    async def main(stop: Stop) -> None:
        refuse(job)
        async with in_world(job) as world:
            await collecting(job, world, stop, view_of(stop, as_json=as_json, note=world.note))

    return run(main, for_s=for_s, speed=job.speed)


def refuse(job: Job) -> None:
    """Refuse what cannot be collected, before anything connects or is written.

    Raises:
        PlanError: One or more series cannot be collected.
    """
    plans = job.settings.plans(job.series, job.route)
    refused = [f"{plan.series}: {plan.why}" for plan in plans if plan.rung is Rung.REFUSE]
    if refused:
        raise PlanError("; ".join(refused))


@asynccontextmanager
async def in_world(job: Job) -> AsyncIterator[World]:
    """Provide the venues that *job* wants."""
    registry, now_ns = job.settings.registry, SystemClock().now_ns()
    at_ns = None if job.at is None else job.at.ns(now_ns)
    if job.replay:
        async with replayed(registry, job.replay, at_ns=at_ns) as world:
            yield world
    elif job.simulate:
        async with simulated(
            registry,
            job.series,
            seed=DEFAULT_SEED if job.seed is None else job.seed,
            at_ns=at_ns,
            since=job.since,
            not_before_ns=await known_until_ns(job),
        ) as world:
            yield world
    else:
        yield real({**job.settings.config.redirects, **job.redirects}, at_ns)


async def known_until_ns(job: Job) -> int:
    """Return up to when the store knows any of the series; 0 where it knows nothing."""
    store = job.settings.registry.open_store(job.store)
    await store.open()
    try:
        loaded = [await store.load(plan.series) for plan in job.settings.plans(job.series)]
    finally:
        await store.aclose()
    return max((one.state.frontier_ns for one in loaded if one is not None), default=0)


async def collecting(job: Job, world: World, stop: Stop, view: View) -> None:
    """Collect in *world* until *stop*, and show it in *view*.

    Raises:
        WickwireError: Nothing was collected, and why.
    """
    collector = job.settings.collector(job.store, job.series, world, seed=job.seed, record=job.record)
    since_ns = None if job.since is None else job.since.ns(world.clock.now_ns())
    async with view.shown():
        async with collector:
            view.watch(collector)
            names = []
            for one in job.series:
                route = job.route or job.settings.config.pins.get(one)
                names.append(await collector.add(one, since=since_ns, route=route))
                view.follow(names[-1])
            while stop.ending is None and not hopeless(collector, names):
                view.refresh()
                await stop.within(view.every_s * (job.speed or 1.0))
            health = collector.health()
        view.refresh()
    complain(health, stop)


def hopeless(collector: Collector, series: Iterable[Series]) -> bool:
    """Say whether the venues refuse each of *series* and know no history of any: waiting will not help."""
    return all(_refused(collector, one) for one in series)


def _refused(collector: Collector, series: Series) -> bool:
    if isinstance(series.what, Feed):
        return False  # one connection is asked again now and then; nothing is lost by waiting
    closer = collector.closer(series)
    asked = bool(closer.trouble) or not closer.ledger.support.rest
    return bool(closer.refusal) and asked and closer.ledger.last_close is None


def complain(health: Health, stop: Stop) -> None:
    """Say what is wrong when nothing at all came; whoever stopped it by hand has seen it.

    Raises:
        TransportError: Nothing was collected, and why.
    """
    wrong = troubles(health)
    if stop.ending in (None, Ending.ELAPSED) and wrong and all(map(_came_nothing, health.series)):
        raise TransportError(
            f"nothing was collected: {'; '.join(f'{where}: {what}' for where, what in wrong)}"
        )


def _came_nothing(one: SeriesHealth) -> bool:
    return one.closed == 0 and one.received == 0 and one.forming is None
