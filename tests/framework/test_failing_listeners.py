"""A listener that raises: each time is counted, and the log has a line for each change."""

from __future__ import annotations

import asyncio

import pytest

from tests.framework.test_collector import World, accepted, play
from wickwire import SeriesCandle
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
