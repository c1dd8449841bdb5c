"""`backfill`: brings a series' history into a store, page by page, as fast as the venue lets us."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import click

from wickwire.asking import MARGIN_S
from wickwire.cli.door import ExitCode
from wickwire.cli.gaps import gaps_json
from wickwire.cli.job import Job, asking, in_world, refuse
from wickwire.cli.lines import echo_json
from wickwire.cli.options import (
    DURATION,
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
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.stored import Gaps, gaps_of, nothing_of, reading
from wickwire.cli.tables import gaps_table, show
from wickwire.cli.worlds import World
from wickwire.clock import loop_s
from wickwire.errors import TransportError, UsageError
from wickwire.ledger import Ledger
from wickwire.model import SECOND_NS, HoleKind, Series, Session, Unknown, iso
from wickwire.scope import children

if TYPE_CHECKING:
    from wickwire.clock import Clock
    from wickwire.closer import Closer
    from wickwire.collector import Collector
    from wickwire.planner import Plan
    from wickwire.store import Store

__all__ = ["backfill"]

log = logging.getLogger(__name__)

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
    help="Give up on a venue when nothing new has come of it for so long.",
)
@simulation_options
@at_option
@redirect_option
@store_option
@budget_option
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
    budget: str | None,
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
        budget=budget,
        past_only=True,
        redirects=dict(redirects),
        simulate=simulate,
        seed=seed,
        speed=speed,
        at=at,
    )
    found: list[Gaps] = []
    fillings: list[_Filling] = []

    async def main(stop: Stop) -> ExitCode | None:
        refuse(job)
        async with in_world(job) as world:
            now_ns = world.clock.now_ns()
            since_ns, until_ns = range_ns(since, until, now_ns)
            assert since_ns is not None
            _refuse_forgotten(settings, since_ns, now_ns)
            span = _Span(since_ns, until_ns, now_ns)
            await stop.unless(_filling(job, world, span, patience_s, fillings))
        whole = {one.closer.series for one in fillings if one.whole}
        async with reading(settings, store) as opened:
            plans = _each(job)
            found[:] = [await _lacking(opened, plan, span, asked=plan.series in whole) for plan in plans]
        return ExitCode.HOLES if any(one.lacking for one in found) else ExitCode.DONE

    status = run(main, speed=speed)
    if as_json:
        echo_json([gaps_json(one) for one in found], indent=2)
    else:
        show(gaps_table(found))
    failed = [one.closer for one in fillings if one.over and one.closer.trouble]
    if failed:
        errors = [f"{one.series}: {one.trouble}" for one in failed]
        raise TransportError(f"the history could not be brought: {'; '.join(errors)}")
    return status


def _refuse_forgotten(settings: Settings, since_ns: int, now_ns: int) -> None:
    """Refuse to bring what the next collector would forget within the hour.

    Raises:
        UsageError: The config keeps less.
    """
    retention = settings.config.retention
    before_ns = retention.candles_before(now_ns)
    if before_ns is not None and since_ns < before_ns:
        raise UsageError(
            f"--since {iso(since_ns)}: candles are kept for {retention.candles} (retention.candles in the "
            f"config), so nothing from before {iso(before_ns)} is brought; begin there, or keep more"
        )


@attrs.frozen
class _Span:
    """What is to be brought.

    Attributes:
        since_ns: From when on.
        until_ns: Until when it has to be whole; None for *now_ns*.
        now_ns: When the command began. What ends later is nobody's fault: a series that is whole early is
            not asked again while others are filled.
    """

    since_ns: int
    until_ns: int | None
    now_ns: int


def _each(job: Job) -> Sequence[Plan]:
    """Return how the history of each series is brought, once in however many spellings it was asked for."""
    plans = job.settings.plans(job.series, past_only=True)
    return list({plan.series: plan for plan in plans}.values())


async def _lacking(store: Store, plan: Plan, span: _Span, *, asked: bool) -> Gaps:
    """Return what *store* lacks of a series, up to the end of the last bucket that history can hold.

    Where only history knows when a bucket ends, and it was *asked* for all, what it told is all there is.
    """
    loaded, support = await store.load(plan.series), plan.support
    assert support is not None
    ledger = Ledger.start(plan.series, support, loaded, span.since_ns)
    settled_ns = ledger.frontier_ns
    if not (asked and isinstance(support.grid, Unknown | Session)):
        wait_ns = round((support.settle_s + support.proof_s + MARGIN_S) * SECOND_NS)
        settled_ns = ledger.buckets.over_by(span.now_ns - wait_ns, ledger.frontier_ns)
    until_ns = span.until_ns
    if until_ns is None:
        until_ns = settled_ns
    elif until_ns <= span.now_ns:
        until_ns = min(until_ns, settled_ns)
    until_ns = max(until_ns, span.since_ns)
    if loaded is None:
        return nothing_of(plan.series, span.since_ns, until_ns)
    return await gaps_of(store, loaded.state, span.since_ns, until_ns, wanted=True)


async def _filling(job: Job, world: World, span: _Span, patience_s: float, fillings: list[_Filling]) -> None:
    """Ask until history can bring nothing more, or brought nothing for too long; *fillings* tell of it."""
    collector = asking(job, world)
    slow = job.speed or 1.0
    async with collector, AsyncExitStack() as stack:
        for plan in _each(job):
            asked = await stack.enter_async_context(AsyncExitStack())
            closer = await asked.enter_async_context(collector.past(plan.series, span.since_ns))
            fillings.append(_Filling(closer, asked, world.clock, span.since_ns))
        venues = [
            _Filled(name, [one for one in fillings if one.closer.series.venue == name])
            for name in dict.fromkeys(one.closer.series.venue for one in fillings)
        ]
        with _progress(fillings) as show:
            async with children() as tasks:
                for one in fillings:
                    one.task = tasks.create_task(one.run(collector))
                while any(one.busy for one in fillings):
                    show()
                    await asyncio.sleep(LOOK_S * slow)
                    for venue in venues:
                        venue.look(collector, patience_s, slow)
            show()


class _Filled:
    """One venue that is asked; patience is with it, as its series wait for each other under its limits."""

    def __init__(self, name: str, fillings: Sequence[_Filling]) -> None:
        self._name = name
        self._fillings = fillings
        self._seen = self._progress
        self._moved_s = loop_s()

    @property
    def _progress(self) -> Sequence[object]:
        """What changes when anything new comes."""
        return [(one.closer.ledger.progress, one.busy) for one in self._fillings]

    def look(self, collector: Collector, patience_s: float, slow: float) -> None:
        """Give up whom the venue refuses, and everybody when nothing new has come of it for too long.

        Args:
            collector: Who asks it.
            patience_s: How long that is, on the wall.
            slow: Seconds of the loop in one of the wall.
        """
        now_s, progress, busy = loop_s(), self._progress, []
        for one in self._fillings:
            if one.busy and one.closer.refusal:
                one.give_up(f"the venue refuses it: {one.closer.refusal}")
            elif one.busy:
                busy.append(one)
        if progress != self._seen:
            self._seen, self._moved_s = progress, now_s
        if now_s - self._moved_s <= patience_s * slow:
            return
        if self._queues(collector) and not all(one.closer.trouble for one in busy):
            self._moved_s = now_s  # somebody whom the venue owes no answer yet waits for a turn
            return
        for one in busy:
            trouble = f" ({one.closer.trouble})" if one.closer.trouble else ""
            one.give_up(f"nothing new has come from {self._name} for {patience_s:g} s{trouble}")

    def _queues(self, collector: Collector) -> bool:
        """Say whether requests wait for their turn under the limits, and not because the venue wants none."""
        told = [one for one in collector.health().venues if one.venue.partition(".")[0] == self._name]
        return any(one.waiting and not one.paused for one in told)


class _Filling:
    """How far one series is.

    Attributes:
        closer: What keeps it.
        whole: History brought all that it could.
        over: Nothing more is expected: it is whole or hopeless, or was given up.
        task: Who waits for that.
    """

    def __init__(self, closer: Closer, asked: AsyncExitStack, clock: Clock, since_ns: int) -> None:
        self.closer = closer
        self.whole = self.over = False
        self.task: asyncio.Task[None] | None = None
        self._asked = asked
        self._clock = clock
        self._since_ns = since_ns
        self._total_ns = max(1, clock.now_ns() - since_ns)
        self._ended_ns: int | None = None

    async def run(self, collector: Collector) -> None:
        """Wait until it is whole; then nobody asks for it any more, so that the others get the turns."""
        try:
            await collector.history_is_whole(self.closer.series)
            self.over, self.whole = True, not self.closer.trouble
        finally:
            self._ended_ns = self._clock.now_ns()
            await self._asked.aclose()

    @property
    def busy(self) -> bool:
        """Whether history is still asked for it."""
        return self.task is not None and not self.task.done()

    def give_up(self, why: str) -> None:
        """Ask no more for it."""
        assert self.task is not None
        self.over = True
        log.warning("given up", extra={"series": str(self.closer.series), "why": why})
        self.task.cancel()

    @property
    def percent(self) -> float:
        """How much of the time since the beginning is known, one way or the other."""
        ledger = self.closer.ledger
        holes = [hole for hole in ledger.holes if hole.kind in (HoleKind.MISSING, HoleKind.UNKNOWN)]
        now_ns = self._clock.now_ns() if self._ended_ns is None else self._ended_ns
        behind_ns = now_ns - max(ledger.frontier_ns, self._since_ns)
        if behind_ns < 2 * ledger.series.timeframe.nominal_ns:
            behind_ns = 0  # the running bucket is not history
        left_ns = behind_ns + sum(hole.until_ns - max(hole.since_ns, self._since_ns) for hole in holes)
        return max(0.0, 100.0 * (1 - left_ns / self._total_ns))


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
