"""A register of processes is told how each series is doing: when it changes, and that it is still alive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from itertools import pairwise
from typing import Any

import attrs
import pytest

from tests.simulation.world import World, simulate
from wickwire import Collector, Condition, Hole, HoleKind, Rung, Series, SeriesHealth, Status
from wickwire.simulate.loops import run_virtual
from wickwire.status import ALIVE_S, CALL_S, status_of

KRAKEN = "kraken:BTC/USD@1m"
YAHOO = "yahoo:BTC/USD@1d"


@attrs.define
class Register:
    """What a host's cache would hold."""

    params: dict[str, Mapping[str, str]] = attrs.field(factory=dict)
    told: list[tuple[float, str, Status, str | None]] = attrs.field(factory=list)
    broken: bool = False
    hangs: bool = False
    plain: bool = False

    def register(self, component: str, params: Mapping[str, str]) -> Coroutine[Any, Any, str]:
        if self.plain:
            raise ConnectionError("raised by a plain function")
        return self._registered(component, params)

    async def _registered(self, component: str, params: Mapping[str, str]) -> str:
        self._fail()
        self.params[component] = params
        return f"process of {component}"

    async def update(self, handle: str, status: Status, message: str | None) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        self._fail()
        self.told.append((asyncio.get_running_loop().time(), handle, status, message))

    def _fail(self) -> None:
        if self.broken:
            raise ConnectionError("redis://:hunter2@cache is away")

    def of(self, series: str) -> list[Status]:
        """Every status of a series, without the repetitions."""
        told = [status for _, handle, status, _ in self.told if handle == f"process of {series}"]
        return [one for at, one in enumerate(told) if at == 0 or told[at - 1] is not one]


def test_a_series_is_registered_and_told_from_its_start_to_its_end() -> None:
    register = Register()

    async def play(world: World) -> None:
        await world.minutes(5)
        assert register.params[KRAKEN] == {"venue": "kraken", "symbol": "BTC/USD", "what": "1m"}
        assert [Status.STARTING, Status.RUNNING] == register.of(KRAKEN)
        await world.collector.remove(YAHOO)
        await world.minutes(1)
        assert register.of(YAHOO)[-1] is Status.STOPPED

    simulate(play, KRAKEN, YAHOO, status=register)
    assert register.of(KRAKEN)[-1] is Status.STOPPED
    assert len(register.params) == 2


def test_a_daily_series_stays_visibly_alive() -> None:
    register = Register()

    async def play(world: World) -> None:
        await world.minutes(60)
        times = [at_s for at_s, handle, _, _ in register.told if YAHOO in handle]
        assert max(b - a for a, b in pairwise(times)) <= ALIVE_S + 2
        assert len(times) < 70

    simulate(play, YAHOO, status=register)


def test_a_lost_venue_is_an_error_that_says_why_and_ends() -> None:
    register = Register()

    async def play(world: World) -> None:
        await world.minutes(3)
        for origin in (*world.servers["kraken"].stream_origins, *world.servers["kraken"].rest_origins):
            world.transport.refuse(origin)
            world.transport.cut(origin)
        await world.minutes(5)
        last = register.told[-1]
        assert last[2] is Status.ERROR
        assert last[3]
        for origin in (*world.servers["kraken"].stream_origins, *world.servers["kraken"].rest_origins):
            world.transport.refuse(origin, refused=False)
        await world.minutes(10)
        *before, last_word = register.of(KRAKEN)
        assert [Status.STARTING, Status.RUNNING, Status.ERROR] == before[:3]
        assert last_word is Status.RUNNING

    simulate(play, KRAKEN, status=register)


@pytest.mark.parametrize("trouble", ["broken", "hangs", "plain"])
def test_a_register_that_fails_is_told_later_and_harms_nobody(trouble: str, caplog: Any) -> None:
    register = Register()

    async def play(world: World) -> None:
        setattr(register, trouble, True)
        await world.minutes(10)
        assert [] == await world.broken()
        assert not register.told
        statuses = world.collector._life.statuses
        assert statuses is not None
        assert 3 < statuses.errors < 60
        setattr(register, trouble, False)
        await world.minutes(3)
        assert register.of(KRAKEN)[-1] is Status.RUNNING

    simulate(play, KRAKEN, status=register)
    lines = [record for record in caplog.records if record.message == "status sink failed"]
    assert len(lines) == 1
    assert "hunter2" not in "".join(map(logging.Formatter().format, lines)) + lines[0].__dict__["why"]


def test_a_register_that_hangs_does_not_keep_a_collector_from_ending() -> None:
    register = Register(hangs=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Collector(status=register) as collector:
            await collector.add("yahoo:AAPL@1d")
            await asyncio.sleep(5)
            begun_s = loop.time()
        assert loop.time() - begun_s < CALL_S
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main())


def health(condition: Condition, **more: Any) -> SeriesHealth:
    return SeriesHealth(
        series=Series.parse(KRAKEN), condition=condition, rung=Rung.STREAM, why="venue streams 1m", **more
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (health(Condition.STARTING), Status.STARTING),
        (health(Condition.STARTING, trouble="refused the connection"), Status.ERROR),
        (health(Condition.LIVE), Status.RUNNING),
        (health(Condition.POLLED), Status.RUNNING),
        (health(Condition.QUIET), Status.IDLE),
        (health(Condition.RECONNECTING), Status.ERROR),
        (health(Condition.STALE), Status.ERROR),
        (health(Condition.REFUSED), Status.ERROR),
        (health(Condition.STOPPED), Status.STOPPED),
        (health(Condition.LIVE, holes=[Hole(0, 120 * 10**9)]), Status.RUNNING),
        (health(Condition.LIVE, holes=[Hole(0, 3600 * 10**9)]), Status.PROCESSING),
        (health(Condition.LIVE, holes=[Hole(0, 3600 * 10**9, HoleKind.UNREACHABLE)]), Status.RUNNING),
    ],
    ids=lambda one: str(getattr(one, "condition", one)),
)
def test_each_condition_has_its_word(said: SeriesHealth, expected: Status) -> None:
    assert status_of(said)[0] is expected
