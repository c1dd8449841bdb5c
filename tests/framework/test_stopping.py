"""Stopping within the block, in a given time; and accounts that are asked for when they are needed."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest

from tests.simulation.world import World, simulate
from wickwire import DAY_NS, Account, Collector, ConfigError, Rung, SeriesCandle, UsageError
from wickwire.simulate.loops import run_virtual, running_clock

KRAKEN = "kraken:BTC/USD@1m"


def test_a_stop_hands_over_what_is_known_and_ends_all_iterators() -> None:
    async def play(world: World) -> None:
        came: list[SeriesCandle] = []
        world.collector.on_candle(came.append)
        reader = world.collector.candles(KRAKEN)
        await world.minutes(5)
        await world.collector.stop(drain=5.0)

        assert not world.transport.open_streams
        stored = await world.store.candles(reader_series(world), 0, 2**62, limit=100)
        assert len(stored) > 3
        assert [row.open_ns for row in stored] == [row.open_ns for row in came]
        assert [row.open_ns for row in stored] == [row.open_ns async for row in reader]
        asked = world.transport.requested
        await world.minutes(5)
        assert asked == world.transport.requested
        await world.collector.stop()
        for use in (world.collector.candles, world.collector.events):
            with pytest.raises(UsageError, match="the collector is not running"):
                use()
        with pytest.raises(UsageError, match="the collector is not running"):
            await world.collector.add("kraken:ETH/USD@1m")

    simulate(play, KRAKEN)


def reader_series(world: World) -> Any:
    return world.delivered[0].series


def test_a_stop_from_within_a_listener_does_not_wait_for_itself() -> None:
    async def play(world: World) -> None:
        done = asyncio.Event()

        async def listener(_: SeriesCandle) -> None:
            begun_s = asyncio.get_running_loop().time()
            await world.collector.stop()
            assert asyncio.get_running_loop().time() - begun_s < 1
            done.set()

        world.collector.on_candle(listener)
        await done.wait()

    simulate(play, KRAKEN)


def test_what_does_not_end_in_time_is_left(caplog: Any) -> None:
    async def play(world: World) -> None:
        begun = asyncio.Event()

        async def hangs(_: SeriesCandle) -> None:
            begun.set()
            await asyncio.Event().wait()

        world.collector.on_candle(hangs)
        await begun.wait()
        begun_s = asyncio.get_running_loop().time()
        await world.collector.stop(drain=2.0)
        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(2.0)

    simulate(play, KRAKEN)
    assert "stopped before everything was stored and delivered" in caplog.text


def test_history_that_was_cut_short_does_not_look_like_its_end() -> None:
    async def play(world: World) -> None:
        async def read() -> None:
            since_ns = running_clock().now_ns() - DAY_NS
            with pytest.raises(UsageError, match="before its history was there"):
                _ = [page async for page in world.collector.history("kraken:ETH/USD@1m", since_ns)]

        for origin in world.servers["kraken"].rest_origins:
            world.transport.mute(origin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            await asyncio.sleep(1)
            await world.collector.remove("kraken:ETH/USD@1m")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            await asyncio.sleep(1)
            await world.collector.stop()

    simulate(play, KRAKEN)


def test_accounts_are_asked_for_once_when_a_venue_is_needed() -> None:
    asked: list[str] = []

    async def vault(venue: str) -> Account:
        asked.append(venue)
        await asyncio.sleep(1)
        return Account(secrets={"key": "k", "secret": "s"})

    async def main() -> None:
        async with Collector(accounts=vault) as collector:
            assert [] == asked
            await asyncio.gather(*(collector.add(f"yahoo:{name}@1d") for name in ("AAPL", "MSFT", "IBM")))
            assert ["yahoo"] == asked
            account = collector._venues.account(collector.health().series[0].series)
            assert {"key": "k", "secret": "s"} == account.secrets

    run_virtual(main())


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (ValueError("the secret is hunter2"), "yahoo: the function given as accounts raised ValueError"),
        ({"key": "hunter2"}, "yahoo: the function given as accounts returned dict, not an Account"),
    ],
)
def test_accounts_that_cannot_be_had_are_asked_for_again_and_never_shown(answer: Any, match: str) -> None:
    answers = [answer, Account()]

    def vault(_: str) -> Account:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        found: Account = one
        return found

    async def main() -> None:
        async with Collector(accounts=vault) as collector:
            with pytest.raises(ConfigError, match=match) as refused:
                await collector.add("yahoo:AAPL@1d")
            assert "hunter2" not in "".join(traceback.format_exception(refused.value))
            await collector.add("yahoo:AAPL@1d")

    run_virtual(main())


def test_a_plan_asks_a_plain_function_for_the_account_and_cannot_ask_an_async_one() -> None:
    """Without keys Alpaca's crypto pairs are polled."""
    asked: list[str] = []
    keyed = Account(secrets={"key": "k", "secret": "s"})

    def plain(venue: str) -> Account:
        asked.append(venue)
        return keyed

    async def slow(venue: str) -> Account:
        return plain(venue)

    def promised(venue: str) -> Awaitable[Account]:
        return slow(venue)

    def rung(collector: Collector) -> Rung:
        [plan] = collector.plan("alpaca:BTC/USD@1m")
        return plan.rung

    async def main() -> None:
        collector = Collector(accounts=plain)
        assert (Rung.STREAM, Rung.STREAM) == (rung(collector), rung(collector))
        assert ["alpaca"] == asked
        for later in (slow, partial(slow), promised):
            asked.clear()
            async with Collector(accounts=later) as collector:
                assert (Rung.POLL, []) == (rung(collector), asked)
                await collector.add("alpaca:ETH/USD@1m")
                assert (Rung.STREAM, ["alpaca"]) == (rung(collector), asked)

        def broken(_: str) -> Account:
            raise ValueError("the secret is hunter2")

        with pytest.raises(ConfigError, match="alpaca: the function given as accounts raised ValueError"):
            Collector(accounts=broken).plan("alpaca:BTC/USD@1m")

    run_virtual(main())
