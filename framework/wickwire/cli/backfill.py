"""`backfill`: brings a series' history into a store, page by page, as fast as the venue lets us."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from wickwire.cli.door import ExitCode
from wickwire.cli.gaps import gaps_json
from wickwire.cli.job import Job, in_world, refuse
from wickwire.cli.lines import echo_json
from wickwire.cli.options import (
    DURATION,
    INSTANT,
    Moment,
    at_option,
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
from wickwire.cli.stored import Gaps, gaps_of, reading
from wickwire.cli.tables import gaps_table, show
from wickwire.cli.worlds import World
from wickwire.errors import TransportError, UsageError
from wickwire.model import Feed, HoleKind, Series

if TYPE_CHECKING:
    from wickwire.clock import Clock
    from wickwire.closer import Closer

__all__ = ["backfill"]

LOOK_S: Final = 0.1
"""How often progress is looked at, on the wall."""
SHOWN_STEP: Final = 10
"""Where there is no terminal a line is written for so many percent."""


@click.command()
@click.option(
    "--since", type=INSTANT, required=True, metavar="INSTANT", help="From when on: 2026-11-01 or 30d."
)
@click.option(
    "--until", type=INSTANT, metavar="INSTANT", help="Until when it has to be whole; now by default."
)
@click.option(
    "--patience",
    "patience_s",
    type=DURATION,
    default="60s",
    show_default=True,
    help="Give up when nothing new has come for so long.",
)
@simulation_options
@at_option
@redirect_option
@store_option
@config_option
@json_option
@series_argument
def backfill(
    series: tuple[Series, ...],
    since: Moment,
    until: Moment | None,
    patience_s: float,
    simulate: bool,
    speed: float | None,
    seed: int | None,
    at: Moment | None,
    redirects: tuple[tuple[str, str], ...],
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Bring a series' history into a store.

    What the store has already is not asked for again, so it may be interrupted and repeated. A series stays
    in one piece: all from --since to now is fetched, newest first, and --until only says what has to be there
    for success. The exit status is 4 when something is still missing.
    """
    settings = read_settings(config_file)
    job = Job(
        settings=settings,
        series=settings.wanted(series),
        store=settings.store_url(store),
        since=since,
        until=until,
        route="poll",
        redirects=dict(redirects),
        simulate=simulate,
        seed=seed,
        speed=speed,
        at=at,
    )
    feeds = [str(one) for one in job.series if isinstance(one.what, Feed)]
    if feeds:
        raise UsageError(f"{', '.join(feeds)}: only candles have a history here; name a timeframe")
    found: list[Gaps] = []

    async def main(stop: Stop) -> ExitCode | None:
        refuse(job)
        async with in_world(job) as world:
            await stop.unless(_filling(job, world, patience_s))
            since_ns, until_ns = range_ns(since, until, world.clock.now_ns())
        async with reading(settings, store) as opened:
            for plan in settings.plans(job.series):
                loaded = await opened.load(plan.series)
                if loaded is not None:
                    found.append(await gaps_of(opened, loaded.state, since_ns, until_ns))
        return ExitCode.HOLES if any(one.lacking for one in found) else ExitCode.DONE

    status = run(main, speed=speed)
    if as_json:
        echo_json([gaps_json(one) for one in found], indent=2)
    else:
        show(gaps_table(found))
    return status


async def _filling(job: Job, world: World, patience_s: float) -> None:
    """Collect until history can bring nothing more.

    Raises:
        TransportError: A venue brings nothing but errors.
    """
    collector = job.settings.collector(job.store, job.series, world, seed=job.seed, whose=job.world)
    assert job.since is not None
    since_ns = job.since.ns(world.clock.now_ns())
    async with collector:
        closers = [
            collector.closer(await collector.add(one, since=since_ns, route="poll")) for one in job.series
        ]
        fillings = [_Filling(closer, world.clock, since_ns) for closer in closers]
        with _progress(fillings) as show:
            async with asyncio.TaskGroup() as tasks:
                wholes = [tasks.create_task(collector.history_is_whole(closer.series)) for closer in closers]
                while not all(whole.done() for whole in wholes):
                    show()
                    await asyncio.sleep(LOOK_S * (job.speed or 1.0))
                    for filling, whole in zip(fillings, wholes, strict=True):
                        if filling.stuck(patience_s * (job.speed or 1.0)):
                            whole.cancel()
            show()
    errors = [f"{one.closer.series}: {one.closer.trouble}" for one in fillings if one.closer.trouble]
    if errors:
        raise TransportError(f"the history could not be brought: {'; '.join(errors)}")


class _Filling:
    """How far one series is."""

    def __init__(self, closer: Closer, clock: Clock, since_ns: int) -> None:
        self.closer = closer
        self._clock = clock
        self._since_ns = since_ns
        self._total_ns = max(1, clock.now_ns() - since_ns)
        self._seen = closer.ledger.progress
        self._moved_s = asyncio.get_running_loop().time()

    @property
    def percent(self) -> float:
        """How much of the time since the beginning is known, one way or the other."""
        ledger = self.closer.ledger
        holes = [hole for hole in ledger.holes if hole.kind in (HoleKind.MISSING, HoleKind.UNKNOWN)]
        behind_ns = self._clock.now_ns() - max(ledger.frontier_ns, self._since_ns)
        if behind_ns < 2 * ledger.series.timeframe.nominal_ns:
            behind_ns = 0  # the running bucket is not history
        left_ns = behind_ns + sum(hole.until_ns - max(hole.since_ns, self._since_ns) for hole in holes)
        return max(0.0, 100.0 * (1 - left_ns / self._total_ns))

    def stuck(self, patience_s: float) -> bool:
        """Say whether it has not come forward for so long, in seconds of the loop."""
        now_s, progress = asyncio.get_running_loop().time(), self.closer.ledger.progress
        if progress != self._seen:
            self._seen, self._moved_s = progress, now_s
        return bool(self.closer.refusal) or now_s - self._moved_s > patience_s


@contextmanager
def _progress(fillings: Sequence[_Filling]) -> Iterator[Callable[[], None]]:
    """Yield what shows how far all of them are: bars on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield partial(_show_lines, fillings, {})
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[candles]} candles"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bars:
        rows = {bars.add_task(str(one.closer.series), total=100, candles=0): one for one in fillings}

        def show() -> None:
            for row, one in rows.items():
                bars.update(row, completed=one.percent, candles=one.closer.ledger.closed_count)
            bars.refresh()

        yield show


def _show_lines(fillings: Sequence[_Filling], shown: dict[_Filling, int]) -> None:
    for one in fillings:
        step = int(one.percent) // SHOWN_STEP * SHOWN_STEP
        if step > shown.get(one, -1):
            shown[one] = step
            count = one.closer.ledger.closed_count
            click.echo(f"{one.closer.series}  {step} %  {count} candles", err=True)
