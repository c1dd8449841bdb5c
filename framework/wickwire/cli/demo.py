"""`demo`: an hour of candles of all venues in a minute, a broken stream on the way, a check at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import click
from click.core import ParameterSource

from wickwire.cli.door import ExitCode, loud_options
from wickwire.cli.job import Job, in_world, refuse
from wickwire.cli.lines import echo
from wickwire.cli.options import DEFAULT_SEED, DURATION, Number
from wickwire.cli.runs import Stop, run
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.stored import gaps_of, reading
from wickwire.cli.tables import show, verdict_table
from wickwire.cli.truth import Verdict, compare, teller
from wickwire.cli.views import View, view_of
from wickwire.cli.worlds import World
from wickwire.clock import loop_s
from wickwire.collector import Collector
from wickwire.config import Config
from wickwire.errors import ConfigError, UsageError
from wickwire.instants import iso_second
from wickwire.model import MINUTE_NS, Rung, Series
from wickwire.news import Switch
from wickwire.pages import stored_candles
from wickwire.scope import children
from wickwire.store import shown_store

__all__ = ["demo"]

FILE: Final = Path("wickwire-demo.db")
BREAKING: Final = ("kraken:BTC/USD@1m", "kraken:ETH/USD@3m", "kraken:LTC/USD@1m")
"""Their stream breaks. LTC trades every other minute: many of its minutes are proven to be empty."""
EXACT: Final = (
    *BREAKING,
    "coinbase:BTC/USD@5m",
    "coinbase:BTC/USD@15m",
    "coinbase:BTC/USD@1m",
    "alpaca.iex:AAPL@1m",
    "dxlink:AAPL@1m",
)
"""Venues that send every digit: streamed, resampled from what is streamed, and built from trades."""
ROUNDED: Final = ("yahoo:AAPL@1m", "yahoo:DUSK@1m")
"""Yahoo has no stream, and sends prices that were 32-bit floats once."""
BROKEN: Final = "kraken"
BREAK_AT: Final = 0.25
MEND_AT: Final = 0.5
"""When the stream breaks and is mended, as parts of the demo."""
LATE_NS: Final = 2 * MINUTE_NS
"""What ended so long before the end of the demo has to be stored by then."""
LONG_ENOUGH_NS: Final = 40 * MINUTE_NS
"""A demo of so much simulated time has to show the switch to polling and back."""


@attrs.frozen(kw_only=True)
class Told:
    """What happened, for the summary.

    Attributes:
        began_ns: When the demo began, by its own clock.
        ended_ns: When it ended.
        switches: Changes of route.
        verdicts: What the check found, by series; nothing where no truth is known.
        candles: How many are stored.
        lacking: Series that have holes.
    """

    began_ns: int
    ended_ns: int
    switches: Sequence[Switch]
    verdicts: Sequence[Verdict]
    candles: int = 0
    lacking: Sequence[str] = ()

    @property
    def there_and_back(self) -> bool:
        """Whether each streamed series was polled for a while and is streamed again."""
        streamed = [Series.parse(text) for text in BREAKING]
        routes = {one: [switch.rung for switch in self.switches if switch.series == one] for one in streamed}
        return all(Rung.POLL in rungs and rungs[-1].streams for rungs in routes.values())

    @property
    def complaints(self) -> Sequence[str]:
        """What is not as it should be."""
        wrong = [f"{one.series} is not what the market knows" for one in self.verdicts if not one.sound]
        if not self.candles:
            wrong.append("no candle closed")
        wrong += [f"{series} has holes; look: wickwire gaps {series}" for series in self.lacking]
        lasted_ns = self.ended_ns - self.began_ns
        if self.verdicts and lasted_ns >= LONG_ENOUGH_NS and not self.there_and_back:
            wrong.append(
                "not every streamed series was polled while the stream was broken, and streamed again"
            )
        return wrong


@click.command()
@click.option("--for", "for_s", type=DURATION, default="60s", show_default=True, help="How long it lasts.")
@click.option(
    "--speed",
    type=Number(min=1, max=200),
    default=60.0,
    show_default=True,
    metavar="N",
    help="How many times as fast time passes.",
)
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True, help="Same seed, same trades.")
@click.option("--store", metavar="URL", help=f"Where candles are kept.  [default: a new {FILE}]")
@click.option(
    "--live", is_flag=True, help="The real venues, as they are now; without keys only some of them."
)
@loud_options
def demo(for_s: float, speed: float, seed: int, store: str | None, *, live: bool) -> ExitCode:
    """Collect from all venues, simulated, for a minute; check all candles against the truth.

    Candles are streamed, resampled from smaller ones, built from trades, or polled: whatever the venue has.
    On the way one stream breaks: its series are polled until it is back. At the end every stored candle is
    compared with what the simulated market knows; the exit status is 1 when one is missing, doubled or wrong.

    With --live the venues are real, nothing is broken on purpose, and keys come from variables such as
    WICKWIRE_ALPACA_KEY, or from the config that WICKWIRE_CONFIG names.
    """
    _refuse(live=live, store=store)
    quiet = logging.getLogger("wickwire")
    if quiet.level == logging.WARNING:  # unless -v: what breaks here breaks on purpose, and is shown
        quiet.setLevel(logging.ERROR)
    if store is None:
        _clear(FILE)
    job = Job(
        settings=read_settings(None) if live else Settings(Config()).watched(),
        series=[Series.parse(text) for text in (*EXACT, *ROUNDED)],
        store=store or f"sqlite:{FILE}",
        simulate=not live,
        seed=None if live else seed,
        speed=None if live else speed,
    )
    if live:
        job = _possible(job)
    told: list[Told] = []

    async def main(stop: Stop) -> ExitCode | None:
        refuse(job)
        async with in_world(job) as world:
            view = view_of(stop, as_json=False, note=world.note)
            told.append(await _showing(job, world, stop, view, for_s * (job.speed or 1.0)))
        return ExitCode.FAILED if told[0].complaints else ExitCode.DONE

    status = run(main, speed=job.speed)
    for one in told:
        _sum_up(one, job)
    return status


def _refuse(*, live: bool, store: str | None) -> None:
    """Refuse what would be of no effect, or be noticed only in the end.

    Raises:
        UsageError: The real venues can't be hurried or chosen; or nothing would be left to look at.
    """
    source = click.get_current_context().get_parameter_source
    given = [name for name in ("speed", "seed") if source(name) is ParameterSource.COMMANDLINE]
    if live and given:
        raise UsageError(f"--{given[0]}: with --live the venues are real, as they are now; leave it out")
    if store is not None and store.partition(":")[0] == "memory":
        raise UsageError(
            "--store memory: what was stored is looked at in the end; name a file, sqlite:demo.db"
        )


def _possible(job: Job) -> Job:
    """Return *job* with the series alone that can be collected now; the others are named."""
    plans = job.settings.plans(job.series)
    for plan in plans:
        if plan.rung is Rung.REFUSE:
            echo(f"left out  {plan.series}: {plan.why}")
    series = [plan.series for plan in plans if plan.rung is not Rung.REFUSE and plan.series.symbol != "DUSK"]
    return attrs.evolve(job, series=series)


def _clear(path: Path) -> None:
    """Remove what an earlier demo left.

    Raises:
        ConfigError: It cannot be removed.
    """
    try:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"store '{path}': what an earlier demo left cannot be removed ({exc.strerror}); "
            "go to another directory, or name a --store"
        ) from exc


async def _showing(job: Job, world: World, stop: Stop, view: View, lasts_s: float) -> Told:
    """Collect for *lasts_s* seconds of the loop's time, with the stream broken for a part of it."""
    collector = job.settings.collector(job.store, job.series, world, seed=job.seed, whose=job.world)
    switches: list[Switch] = []
    began_ns = world.clock.now_ns()
    async with view.shown():
        async with collector, children() as tasks:
            view.watch(collector)
            collector.on_switch(switches.append)
            for one in job.series:
                await collector.add(one)
            breaking = tasks.create_task(_break_and_mend(world, view, lasts_s))
            end_s = loop_s() + lasts_s
            while stop.ending is None and loop_s() < end_s:
                view.refresh()
                await stop.within(view.every_s * (job.speed or 1.0))
            breaking.cancel()
            ended_ns = world.clock.now_ns()
        view.refresh()
    async with reading(job.settings, job.store) as store:
        gaps = [await gaps_of(store, state, None, None) for state in await store.states()]
    return Told(
        began_ns=began_ns,
        ended_ns=ended_ns,
        switches=switches,
        verdicts=await _check(job, world, collector, began_ns, ended_ns),
        candles=sum(one.candles for one in gaps),
        lacking=[str(one.series) for one in gaps if one.lacking],
    )


async def _break_and_mend(world: World, view: View, lasts_s: float) -> None:
    venue = world.servers.get(BROKEN)
    if venue is None:
        return
    await asyncio.sleep(lasts_s * BREAK_AT)
    venue.inject("refuse_connections")
    venue.inject("hangup", code=1006)
    view.say(f"{_minute(world)}  the stream of {BROKEN} breaks, and cannot be opened again for a while")
    await asyncio.sleep(lasts_s * (MEND_AT - BREAK_AT))
    venue.inject("refuse_connections", on=False)
    view.say(f"{_minute(world)}  the stream of {BROKEN} can be opened again")


def _minute(world: World) -> str:
    now_ns = world.clock.now_ns()
    return iso_second(now_ns)


async def _check(
    job: Job, world: World, collector: Collector, began_ns: int, ended_ns: int
) -> Sequence[Verdict]:
    """Compare all that is stored with the market."""
    if world.market is None:
        return []
    verdicts = []
    async with reading(job.settings, job.store) as store:
        for plan in collector.plan(*job.series):
            loaded = await store.load(plan.series)
            if loaded is None or plan.support is None:
                raise UsageError(f"{plan.series}: nothing of it was stored")
            since_ns = min(loaded.state.origin_ns, began_ns)
            stored = [row async for page in stored_candles(store, plan.series, since_ns) for row in page]
            verdict = compare(
                teller(world.market, world.servers.get(plan.series.venue)),
                plan.series,
                stored,
                since_ns=since_ns,
                until_ns=ended_ns - LATE_NS - plan.series.timeframe.nominal_ns,
                end_ns=ended_ns,
                grid=plan.support.grid,
                exact=str(plan.series) in EXACT,
            )
            verdicts.append(verdict)
    return verdicts


def _sum_up(told: Told, job: Job) -> None:
    """Say what came of it."""
    minutes = (told.ended_ns - told.began_ns) / MINUTE_NS
    echo("")
    if told.verdicts:
        _compared(told, minutes)
    else:
        echo(f"{minutes:.0f} minutes, {told.candles} candles.")
    for complaint in told.complaints:
        echo(f"NOT AS IT SHOULD BE: {complaint}")
    if not told.complaints:
        echo("Nothing missing, nothing doubled, nothing wrong." if told.verdicts else "No holes.")
    store = shown_store(job.store)
    echo(f"They are in {store}; look: wickwire export --store {store} {job.series[0]}")


def _compared(told: Told, minutes: float) -> None:
    """Say what the comparison with the truth found."""
    show(verdict_table(told.verdicts))
    echo("")
    total = sum(one.closed for one in told.verdicts)
    switches = [switch for switch in told.switches if switch.series.venue == BROKEN]
    away = len({switch.series for switch in switches if switch.rung is Rung.POLL})
    back = len({switch.series for switch in switches if switch.rung.streams})
    if not all(one.exact for one in told.verdicts):
        echo("32 bit: the venue keeps prices as 32-bit floats, and they agree as far as these go.")
    echo(f"{minutes:.0f} simulated minutes, {total} candles, all of them compared with the market.")
    echo(f"While the stream was broken {away} series were polled, and {back} came back to it.")
