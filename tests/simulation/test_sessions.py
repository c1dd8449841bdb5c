"""Polls happen inside trading sessions, and a little beyond, to prove where they end and that they do."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import attrs
import pytest

from tests.adapters.alpaca.talk import SECRETS
from tests.simulation.world import World, simulate
from wickwire import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Account, Clock, Collector, MemoryStore, Registry
from wickwire.closer import Condition
from wickwire.simulate import SeededMarket
from wickwire.simulate.listings import NEW_YORK
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


FRIDAY = at("2027-02-05T19:00")


async def requests(world: World, hours: float) -> int:
    """Let some hours pass; return how often history was asked in them."""
    before = sum(map(len, world.counted.requests.values()))
    await world.minutes(60 * hours)
    return sum(map(len, world.counted.requests.values())) - before


def test_currencies_are_not_polled_over_the_weekend() -> None:
    """There are seven looks of two requests, as Yahoo proves late, and two audits of Friday."""

    async def play(world: World) -> None:
        await world.minutes(6.5 * 60)  # Saturday, 01:30
        assert await requests(world, 43) <= 2 * 7 + 2
        [health] = world.collector.health().series
        assert Condition.QUIET is health.condition
        assert at("2027-02-07T21:00") == health.opens_ns
        await world.minutes(5 * 60)  # the simulated week begins at midnight in London
        [health] = world.collector.health().series
        assert health.opens_ns is None
        assert not await world.broken()

    simulate(play, "yahoo:EUR/USD@5m", start_ns=FRIDAY)


def test_a_share_is_not_polled_at_night_once_yahoo_told_when_it_opens() -> None:
    async def play(world: World) -> None:
        await world.minutes(2.75 * 60)  # 21:45, the last bucket is told 15 minutes late
        assert await requests(world, 64) <= 1  # to Monday, 13:45: an audit, half an hour after that
        await world.minutes(60)
        [health] = world.collector.health().series
        assert Condition.POLLED is health.condition
        assert not await world.broken()

    simulate(play, "yahoo:AAPL@5m", start_ns=FRIDAY)


def test_what_is_polled_of_new_york_rests_from_20_to_4_and_over_the_weekend() -> None:
    pytest.importorskip("exchange_calendars", reason="the extra `sessions` is not installed")

    async def play(world: World) -> None:
        await world.minutes(6.5 * 60)  # 20:30 in New York
        assert await requests(world, 55) <= 9 + 2
        [health] = world.collector.health().series
        assert at("2027-02-08T09:00") == health.opens_ns
        await world.minutes(13 * 60)
        assert not await world.broken()

    account = Account(secrets=SECRETS)
    simulate(play, "alpaca.iex:AAPL@5m", start_ns=FRIDAY, accounts={"alpaca": account})


@attrs.define(eq=False)
class Machine(Clock):
    """A clock that goes on while the machine sleeps, as the loop's own does not."""

    inner: Clock
    slept_ns: int = 0

    def now_ns(self) -> int:
        return self.inner.now_ns() + self.slept_ns


def test_a_session_that_was_slept_through_is_healed_and_what_came_before_and_after_it() -> None:
    """The machine sleeps from the middle of one session to after the end of the next one."""

    async def main() -> None:
        machine, registry, store = Machine(running_clock()), Registry(), MemoryStore()
        market = SeededMarket(1, machine.now_ns() - DAY_NS)
        make = registry.load("yahoo").simulate
        assert make is not None
        transport = MemoryTransport([make(market)], machine, rng=random.Random(1))
        async with Collector(
            store, registry=registry, transport=transport, clock=machine, rng=random.Random(1)
        ) as collector:
            series = await collector.add("yahoo:AAPL@5m")
            await asyncio.sleep(3_600)
            machine.slept_ns = 74 * HOUR_NS  # to Monday, 22:00
            await asyncio.sleep(3_600)
            [health] = collector.health().series
            assert Condition.QUIET is health.condition
            assert not health.holes
            rows = await store.candles(series, 0, 2**62, limit=1_000)
        assert [row.open_ns for row in rows] == [
            ns
            for since_ns, until_ns in NEW_YORK.sessions(FRIDAY, FRIDAY + 4 * DAY_NS)[:2]
            for ns in range(max(since_ns, FRIDAY - 5 * MINUTE_NS), until_ns, 5 * MINUTE_NS)
        ]

    run_virtual(main(), start_ns=FRIDAY)
