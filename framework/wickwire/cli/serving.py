"""`simulate` and `replay`: venues on loopback, for wickwire in another terminal or any client."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from wickwire.cli.contents import contents_of
from wickwire.cli.door import ExitCode, loud_options
from wickwire.cli.lines import echo, echo_json
from wickwire.cli.options import (
    DEFAULT_SEED,
    FASTEST,
    INSTANT,
    Moment,
    Number,
    config_option,
    for_option,
    json_option,
    range_ns,
)
from wickwire.cli.runs import Stop, run
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.worlds import World, replayed, seed_of, simulated
from wickwire.clock import SystemClock
from wickwire.discovery import Kind
from wickwire.instants import iso_second
from wickwire.model import SECOND_NS, Rung, Series, Timeframe, iso
from wickwire.registry import Registry, State

if TYPE_CHECKING:
    from wickwire.simulate.replay import RecordedServer

__all__ = ["replay", "simulate"]

LOOK_S: Final = 0.2
IDLE_NS: Final = 3 * SECOND_NS
"""Whoever asked for nothing for so long, and has no stream open, has left."""

port_option = click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    help="Of the first venue, the next one's is one more; any free ones by default.",
)


@click.command()
@click.argument("venue", nargs=-1)
@port_option
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True, help="Same seed, same trades.")
@click.option(
    "--speed",
    type=Number(min=0, min_open=True, max=FASTEST),
    metavar="N",
    help="Let time pass N times as fast; who collects from it has to do the same.",
)
@click.option("--at", type=INSTANT, metavar="INSTANT", help="When their clock starts; now by default.")
@click.option(
    "--since", type=INSTANT, metavar="INSTANT", help="How far their history reaches back; 3d by default."
)
@for_option
@config_option
@json_option
@loud_options
def simulate(
    venue: tuple[str, ...],
    port: int,
    seed: int,
    speed: float | None,
    at: Moment | None,
    since: Moment | None,
    for_s: float | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Serve simulated venues on loopback.

    All that are installed, where none is named. It prints what sends a collector there, and serves until
    --for or Ctrl-C.
    """
    settings = read_settings(config_file)
    registry = settings.registry
    venues = venue or _simulated(registry)
    now_ns = SystemClock().now_ns()

    async def main(stop: Stop) -> None:
        at_ns = now_ns if at is None else at.ns(now_ns)
        range_ns(since, None, at_ns)
        async with simulated(
            registry,
            (),
            venues=venues,
            plans=settings.config.plans,
            seed=seed,
            at_ns=at_ns,
            since=since,
            port=port,
        ) as world:
            examples = [series for name in world.servers for series in _examples(settings, world, name)]
            options = []
            if at is not None or speed is not None:  # who collects lives by the same clock
                options += ["--at", iso_second(at_ns)]
            if speed is not None:
                options += ["--speed", f"{speed:g}"]
            options += ["--seed", str(seed)]  # that its store knows that they are not real
            _announce(world, examples, options, as_json=as_json)
            await stop.wait()

    return run(main, for_s=for_s, speed=speed)


def _examples(settings: Settings, world: World, venue: str) -> Sequence[str]:
    """Return a series that a simulated venue has, for the command that is shown."""
    assert world.market is not None
    minutes = [Series(venue, symbol, Timeframe.of_minutes(1)) for symbol in world.market.symbols]
    return [str(one.series) for one in settings.plans(minutes) if one.rung is not Rung.REFUSE][:1]


def _simulated(registry: Registry) -> Sequence[str]:
    listed = [one.name for one in registry.listing(Kind.ADAPTER) if one.state is State.OK]
    return [name for name in listed if registry.load(name).simulate is not None]


@click.command()
@click.argument("file", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--venue", metavar="NAME", help="Whose they are, where the files and folders do not say.")
@port_option
@click.option(
    "--speed",
    type=Number(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="N",
    help="How many times faster than it was recorded.",
)
@click.option(
    "--once", is_flag=True, help="End when all that is recorded has been served and everybody has left."
)
@for_option
@config_option
@json_option
@loud_options
def replay(
    file: tuple[Path, ...],
    venue: str | None,
    port: int,
    speed: float,
    once: bool,
    for_s: float | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Serve recordings on loopback as if they were the venue.

    Takes files that `wickwire record` wrote, plain captures, and folders of either. It prints the command
    that collects from it, says when everything has been served, and serves on until --for or Ctrl-C, or,
    with --once, until everybody has left.
    """
    registry = read_settings(config_file).registry
    inside = contents_of(registry, file, venue)
    options: list[str] = []
    if inside.started_ns is None and inside.first_ns is not None:
        options += ["--since", iso(inside.first_ns)]
    if inside.clock_ns is not None:
        options += ["--at", iso_second(inside.clock_ns)]
    if inside.until_ns is not None:
        options += ["--until", iso(-(-inside.until_ns // SECOND_NS) * SECOND_NS)]
    if inside.clock_ns is not None and speed != 1:
        options += ["--speed", f"{min(speed, FASTEST):g}"]
    options += _seed(inside.world)

    async def main(stop: Stop) -> None:
        async with replayed(registry, file, venue=venue, speed=speed, port=port) as world:
            _announce(world, [str(one) for one in inside.series], options, once=once, as_json=as_json)
            told = ""
            while not (once and told and left_alone(world)):
                told = told or _tell_when_served(world, once=once)
                if await stop.within(LOOK_S):
                    return

    return run(main, for_s=for_s)


def _tell_when_served(world: World, *, once: bool) -> str:
    """Say that all is served, where it is, and return what was said."""
    servers = cast("Mapping[str, RecordedServer]", world.servers).values()
    streams, replies = map(sum, zip(*(server.left for server in servers), strict=True))
    then = "ends when everybody has left" if once else "still serving; Ctrl-C ends it"
    if not (streams or replies):
        told = f"everything recorded has been served; {then}"
    elif all(server.over(world.clock.now_ns()) for server in servers) and left_alone(world):
        told = (
            f"the recorded time is over; nobody asked for {_count(streams, 'stream', 'streams')} and "
            f"{_count(replies, 'reply', 'replies')} of it; {then}"
        )
    else:
        return ""
    click.echo(told, err=True)
    return told


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def left_alone(world: World) -> bool:
    """Say whether everybody has left: no stream is open, and nothing was asked for a while."""
    servers = cast("Mapping[str, RecordedServer]", world.servers).values()
    idle_ns = world.clock.now_ns() - max(server.last_asked_ns for server in servers)
    return world.streams() == 0 and idle_ns > IDLE_NS


def _seed(world: str) -> Sequence[str]:
    """Return the option that tells a collector that candles of *world* are not real."""
    seed = seed_of(world)
    return () if seed is None else ("--seed", str(seed))


def _announce(
    world: World, series: Sequence[str], options: Sequence[str], *, once: bool = False, as_json: bool
) -> None:
    """Say where the venues are, and with which command to collect from them."""
    wanted = series or [f"{name}:SYMBOL@1m" for name in world.servers]
    words = ["wickwire", "collect", *wanted, *options]
    for source, target in world.redirects.items():
        words += ["--redirect", f"{source}={target}"]
    if as_json:
        echo_json(
            {
                "venues": list(world.servers),
                "redirects": dict(world.redirects),
                "series": list(series),
                "command": words,
            }
        )
        return
    echo(world.note)
    for source, target in world.redirects.items():
        echo(f"  {source} is at {target}")
    echo("In another terminal:")
    echo(f"  {shlex.join(words)}")
    echo("Ctrl-C ends it." if not once else "Ctrl-C ends it, or the end of what is recorded.")
