"""Level 6, system: the whole runtime on virtual time, with troubles of line, REST, clock and process.

Nothing here knows a venue: troubles are those that any of them has.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from wickwire.conversation import HttpReply
from wickwire.testing.checks import Checks, Level, Skipped
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.wholeness import left_behind, not_whole, require_whole
from wickwire.testing.world import World, played, series_of

__all__ = ["SYSTEM"]

SYSTEM: Final = Checks(Level.SYSTEM)

CODES: Final = (1000, 1001, 1006, 1011, 1012, 1013)
"""How venues end streams: in order, going away, cut, broken, restarting, too busy."""
RETRY_AFTER_S: Final = 25
SETTLED_MIN: Final = 22.0
"""So long after the last trouble all is whole: an audit may be what finds it."""
EFFORT_A_RUN: Final = 50
EFFORT_A_FAULT: Final = 10

Script = Callable[[World], Awaitable[list[str]]]


@SYSTEM("W01", "On a calm day every candle comes once, as history has it, and none before its end.")
def calm(material: Material) -> None:
    async def script(world: World) -> list[str]:
        await world.well()
        await world.minutes(14)
        return await not_whole(world)

    _play(material, script, "nothing happened")


@SYSTEM("W02", "Connections that end, in whatever way, cost no candle.")
def connections_end(material: Material) -> None:
    _needs_stream(material)

    async def script(world: World) -> list[str]:
        await world.well()
        for code in world.rng.sample(CODES, len(CODES)):
            await world.minutes(world.rng.uniform(0.2, 3.0))
            world.transport.cut(code=code)
        await world.minutes(SETTLED_MIN)
        return await not_whole(world)

    _play(material, script, "connections ended")


@SYSTEM("W03", "Connections that stay open and say nothing are found out, and cost no candle.")
def connections_fall_silent(material: Material) -> None:
    _needs_stream(material)

    async def script(world: World) -> list[str]:
        await world.well()
        world.transport.strand()
        await world.minutes(world.rng.uniform(4.0, 6.0))
        behind = left_behind(world)
        world.mute()
        await world.minutes(world.rng.uniform(1.0, 4.0))
        world.mute(muted=False)
        await world.minutes(SETTLED_MIN)
        return [*behind, *await not_whole(world)]

    _play(material, script, "connections fell silent")


@SYSTEM("W04", "While no stream can be had candles are polled, if they can be; then they are streamed again.")
def streams_are_away(material: Material) -> None:
    _needs_stream(material)

    async def script(world: World) -> list[str]:
        await world.well()
        world.refuse()
        await world.minutes(world.rng.uniform(12.0, 16.0))
        behind = left_behind(world)
        world.refuse(refused=False)
        await world.minutes(SETTLED_MIN)
        return [*behind, *await not_whole(world)]

    _play(material, script, "streams could not be opened")


@SYSTEM("W05", "REST that fails, talks nonsense or wants no requests is left in peace, and costs no candle.")
def rest_is_away(material: Material) -> None:
    if not any(support.rest for _, support in series_of(material)):
        raise Skipped("no history of it is asked over REST")
    replies = (
        HttpReply(status=503, body=b"<html>maintenance</html>"),
        HttpReply(status=200, body=b"<html>please log in</html>", headers={"content-type": "text/html"}),
        HttpReply(status=429, body=b"slow down", headers={"retry-after": str(RETRY_AFTER_S)}),
    )

    async def script(world: World) -> list[str]:
        await world.well()
        world.refuse()  # so that it is REST that everything is asked of
        await world.minutes(2.0)
        for reply in replies:
            world.line.answers = reply
            await world.minutes(world.rng.uniform(3.0, 6.0))
            world.line.answers = None
            await world.minutes(world.rng.uniform(4.0, 7.0))
        world.refuse(refused=False)
        await world.minutes(SETTLED_MIN)
        return await not_whole(world)

    _play(material, script, "REST was away")


@SYSTEM("W06", "A process that dies leaves nothing wrong, and the next one fetches what it missed.")
def process_dies(material: Material) -> None:
    async def script(world: World) -> list[str]:
        await world.well()
        for _ in range(3):
            await world.minutes(world.rng.uniform(0.3, 3.0))
            await world.kill()
            await world.minutes(world.rng.choice((0.0, 0.5, 4.0)))
            await world.begin()
        await world.minutes(SETTLED_MIN)
        return await not_whole(world)

    _play(material, script, "the process died")


@SYSTEM("W07", "A clock that is a minute and a half off changes no candle, and none comes before its end.")
def clock_is_off(material: Material) -> None:
    async def script(world: World) -> list[str]:
        await world.well()
        world.transport.cut()
        await world.minutes(SETTLED_MIN)
        return await not_whole(world)

    for off_s in (-90.0, 90.0):
        _play(material, script, f"our clock was {off_s:+g} s off", off_s=off_s)


@SYSTEM("W08", "What its own simulated venue can do wrong, and then stops doing, leaves nothing wrong.")
def venue_has_troubles(material: Material) -> None:
    series_of(material)
    faults = sorted(material.playing.another_server().faults)
    if not faults:
        raise Skipped("its simulated venue has no faults")
    rng = random.Random(material.seed)
    for fault in rng.sample(faults, min(len(faults), max(1, material.effort // EFFORT_A_FAULT))):
        _play(material, partial(_troubled, fault), f"with the fault {fault!r}", seeds=[material.seed])


async def _troubled(fault: str, world: World) -> list[str]:
    await world.well()
    symbol = next(iter(world.series)).partition(":")[2].rpartition("@")[0]
    native = world.material.adapter.to_venue(symbol)
    for details in ({}, {"symbol": symbol}, {"symbol": native}):
        if outcome_of(partial(world.server.inject, fault, **details))[1] is None:
            break
    else:
        return []
    await world.minutes(world.rng.uniform(2.0, 5.0))
    outcome_of(partial(world.server.inject, fault, **details, on=False))
    await world.minutes(2 * SETTLED_MIN)
    return await not_whole(world, first_closes=False)


def _needs_stream(material: Material) -> None:
    if not any(support.stream or support.trades for _, support in series_of(material)):
        raise Skipped("no candle of it is streamed")


def _play(
    material: Material,
    script: Script,
    what: str,
    *,
    off_s: float = 0.0,
    seeds: Sequence[int] = (),
) -> None:
    """Play *script* with a few seeds; raises `Broken` where anything is not whole."""
    few = range(material.seed, material.seed + max(1, material.effort // EFFORT_A_RUN))
    for seed in seeds or few:
        material.count()
        lines: list[str] = []

        async def judged(world: World, lines: list[str] = lines) -> None:
            lines += await script(world)

        played(material, judged, seed=seed, off_s=off_s)
        require_whole(lines, what)
