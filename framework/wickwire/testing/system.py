"""Level 6, system: the whole runtime on virtual time, with troubles of line, REST, clock and process.

Nothing here knows a venue: troubles are those that any of them has.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from wickwire.conversation import HttpReply
from wickwire.model import Series
from wickwire.testing.checks import Checks, Level, Need, Skipped
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.replies import THROTTLE
from wickwire.testing.wholeness import left_behind, not_whole, require_whole
from wickwire.testing.world import World, played

__all__ = ["SYSTEM"]

SYSTEM: Final = Checks(Level.SYSTEM)

CODES: Final = (1000, 1001, 1006, 1011, 1012, 1013)
"""How venues end streams: in order, going away, cut, broken, restarting, too busy."""
RETRY_AFTER_S: Final = 25
SETTLED_MIN: Final = 22.0
"""So long after the last trouble all is whole: an audit may be what finds it."""
CALM_MIN: Final = 14.0
EFFORT_A_RUN: Final = 50
EFFORT_A_FAULT: Final = 10

Troubles = Callable[[World], Awaitable[None]]


@SYSTEM(
    "W01",
    "On a calm day every candle comes once, as history has it, and none before its end.",
    Need.COLLECTED,
)
def calm(material: Material) -> None:
    async def troubles(world: World) -> None:
        """None."""

    _play(material, troubles, "nothing happened", settled_min=CALM_MIN)


@SYSTEM("W02", "Connections that end, in whatever way, cost no candle.", Need.COLLECTED)
def connections_end(material: Material) -> None:
    _needs_stream(material)

    async def troubles(world: World) -> None:
        for code in world.rng.sample(CODES, len(CODES)):
            await world.minutes(world.rng.uniform(0.2, 3.0))
            world.transport.cut(code=code)

    _play(material, troubles, "connections ended")


@SYSTEM(
    "W03", "Connections that stay open and say nothing are found out, and cost no candle.", Need.COLLECTED
)
def connections_fall_silent(material: Material) -> None:
    _needs_stream(material)

    async def troubles(world: World) -> None:
        world.transport.strand()
        await world.minutes(world.rng.uniform(4.0, 6.0))
        world.broken += left_behind(world)
        world.mute()
        await world.minutes(world.rng.uniform(1.0, 4.0))
        world.mute(muted=False)

    _play(material, troubles, "connections fell silent")


@SYSTEM(
    "W04",
    "While no stream can be had candles are polled, if they can be; then they are streamed again.",
    Need.COLLECTED,
)
def streams_are_away(material: Material) -> None:
    _needs_stream(material)

    async def troubles(world: World) -> None:
        world.refuse()
        await world.minutes(world.rng.uniform(12.0, 16.0))
        world.broken += left_behind(world)
        world.refuse(refused=False)

    _play(material, troubles, "streams could not be opened")


@SYSTEM(
    "W05",
    "REST that fails, talks nonsense or wants no requests is left in peace, and costs no candle.",
    Need.COLLECTED,
)
def rest_is_away(material: Material) -> None:
    if not any(support.rest for support in material.playing.collected.values()):
        raise Skipped("no history of it is asked over REST")
    replies = (
        HttpReply(status=503, body=b"<html>maintenance</html>"),
        HttpReply(status=200, body=b"<html>please log in</html>", headers={"content-type": "text/html"}),
        HttpReply(status=429, body=b"slow down", headers={"retry-after": str(RETRY_AFTER_S)}),
    )

    async def troubles(world: World) -> None:
        world.refuse()  # so that it is REST that everything is asked of
        await world.minutes(2.0)
        for reply in replies:
            world.line.answers = reply
            await world.minutes(world.rng.uniform(3.0, 6.0))
            world.line.answers = None
            await world.minutes(world.rng.uniform(4.0, 7.0))
        world.refuse(refused=False)

    _play(material, troubles, "REST was away")


@SYSTEM(
    "W06",
    "A process that dies leaves nothing wrong, and the next one fetches what it missed.",
    Need.COLLECTED,
)
def process_dies(material: Material) -> None:
    async def troubles(world: World) -> None:
        for _ in range(3):
            await world.minutes(world.rng.uniform(0.3, 3.0))
            await world.kill()
            await world.minutes(world.rng.choice((0.0, 0.5, 4.0)))
            await world.begin()

    _play(material, troubles, "the process died")


@SYSTEM(
    "W07",
    "A clock that is a minute and a half off changes no candle, and none comes before its end.",
    Need.COLLECTED,
)
def clock_is_off(material: Material) -> None:
    async def troubles(world: World) -> None:
        world.transport.cut()

    for off_s in (-90.0, 90.0):
        _play(material, troubles, f"our clock was {off_s:+g} s off", off_s=off_s)


@SYSTEM(
    "W08",
    "What its own simulated venue can do wrong, and then stops doing, leaves nothing wrong.",
    Need.COLLECTED,
)
def venue_has_troubles(material: Material) -> None:
    faults = [
        (fault, details)
        for fault in sorted(material.playing.another_server().faults)
        if fault != THROTTLE  # P15 asks for that, at whatever effort
        and (details := _details(material, fault)) is not None
    ]
    if not faults:
        raise Skipped("its simulated venue has no faults")
    rng = random.Random(material.seed)
    for fault, details in rng.sample(faults, min(len(faults), max(1, material.effort // EFFORT_A_FAULT))):

        async def troubles(world: World, fault: str = fault, details: Mapping[str, str] = details) -> None:
            world.server.inject(fault, **details)
            await world.minutes(world.rng.uniform(2.0, 5.0))
            if _lasts(material, fault, details):
                world.server.inject(fault, **details, on=False)

        _play(
            material,
            troubles,
            f"with the fault {fault!r}",
            seeds=[material.seed],
            settled_min=2 * SETTLED_MIN,
            first_closes=False,
        )


def _details(material: Material, fault: str) -> Mapping[str, str] | None:
    """Return what *fault* has to be told before it happens to what is collected; None where nothing helps."""
    symbol = Series.parse(next(iter(material.playing.collected))).symbol
    spellings: tuple[dict[str, str], ...] = (
        {},
        {"symbol": symbol},
        {"symbol": material.adapter.to_venue(symbol)},
    )
    for details in spellings:
        server = material.playing.another_server()
        if outcome_of(partial(server.inject, fault, **details))[1] is None:
            return details
    return None


def _lasts(material: Material, fault: str, details: Mapping[str, str]) -> bool:
    """Say whether *fault* goes on until it is switched off; others happen once."""
    server = material.playing.another_server()
    return outcome_of(partial(server.inject, fault, **details, on=False))[1] is None


def _needs_stream(material: Material) -> None:
    if not any(support.stream or support.trades for support in material.playing.collected.values()):
        raise Skipped("no candle of it is streamed")


def _play(
    material: Material,
    troubles: Troubles,
    what: str,
    *,
    off_s: float = 0.0,
    seeds: Sequence[int] = (),
    settled_min: float = SETTLED_MIN,
    first_closes: bool = True,
) -> None:
    """Let all begin, then *troubles*, then let all settle, with a few seeds.

    Raises:
        Broken: Anything is not whole then, or was not on the way; *what* says what happened.
    """

    async def script(world: World) -> list[str]:
        await world.well()
        await troubles(world)
        await world.minutes(settled_min)
        return await not_whole(world, first_closes=first_closes)

    few = range(material.seed, material.seed + max(1, material.effort // EFFORT_A_RUN))
    for seed in seeds or few:
        material.count()
        require_whole(played(material, script, seed=seed, off_s=off_s), what)
