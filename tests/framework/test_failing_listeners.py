"""A listener that raises: each time is counted, and the log has a line for each change."""

from __future__ import annotations

import asyncio

import pytest

from tests.framework.test_collector import World, accepted, play
from wickwire import News, SeriesCandle
from wickwire.collector import Collector


def test_a_listener_that_always_raises_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Not one a candle: after a long absence hundreds of them come at once."""

    async def test(world: World, collector: Collector) -> None:
        def listen(candle: SeriesCandle) -> None:
            if candle.close != 103:
                raise KeyError(str(candle.close))

        collector.on_candle(listen)
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for price in range(100, 107):
            world.trade(price)
            await world.next_minute(1)
        await asyncio.sleep(1)
        assert 5 == collector.listener_errors
        failures = [record.levelname for record in caplog.records if record.message == "listener failed"]
        assert ["ERROR", "ERROR"] == failures, "one before the candle that went well, and one after it"

    play(test)


def test_another_exception_than_the_one_that_was_logged_is_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(world: World, collector: Collector) -> None:
        def listen(candle: SeriesCandle) -> None:
            if candle.close == 102:
                raise ValueError("another")
            if candle.close < 104:
                raise KeyError(str(candle.close))

        collector.on_candle(listen, name="mine")
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for price in range(100, 107):
            world.trade(price)
            await world.next_minute(1)
        await asyncio.sleep(1)
        told = [record for record in caplog.records if record.message == "listener failed"]
        assert [KeyError, ValueError] == [record.exc_info[0] for record in told if record.exc_info]
        assert ["mine", "mine"] == [record.__dict__["consumer"] for record in told]
        assert {"scripted:BTC/USD@1m"} == {record.__dict__["series"] for record in told}

    play(test)


def test_health_says_which_function_fails_and_with_what() -> None:
    async def test(world: World, collector: Collector) -> None:
        fails = True

        async def listen(candle: SeriesCandle) -> None:
            await asyncio.sleep(0)
            if fails:
                raise KeyError(str(candle.close))

        def happened(_: News) -> None:
            raise ZeroDivisionError("never")

        collector.on_candle(listen, name="broken")
        collector.on_candle(lambda _: None, name="sound")
        collector.on_event(happened, name="worse")
        candles = collector.candles(name="iterator")  # noqa: F841 - it is held
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for price in (100, 101, 102):
            world.trade(price)
            await world.next_minute(1)
        await asyncio.sleep(1)
        found = {one.name: one for one in collector.health().consumers}
        assert (2, "KeyError: '101'") == (found["broken"].errors, found["broken"].trouble)
        assert (0, "") == (found["sound"].errors, found["sound"].trouble)
        assert (0, "") == (found["iterator"].errors, found["iterator"].trouble)
        assert "ZeroDivisionError: never" == found["worse"].trouble
        assert collector.listener_errors == sum(one.errors for one in found.values())

        fails = False
        world.trade(103)
        await world.next_minute(1)
        world.trade(104)
        await asyncio.sleep(1)
        [broken] = [one for one in collector.health().consumers if one.name == "broken"]
        assert (2, "") == (broken.errors, broken.trouble)

    play(test)
