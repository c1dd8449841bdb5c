"""Rows of which no candle can be made are told, with the reason; a series that has no others is not live."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from tests.framework.scripted import SERIES, Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import Candle, Conversation, Event, OhlcvQuery, Page, hookimpl
from wickwire.closer import Condition
from wickwire.collector import Collector

REASON = "is a float, not a Decimal made from the venue's digits"


class Floating(Scripted):
    """Its author takes prices as the JSON library makes them."""

    @hookimpl
    def parse(self, frame: bytes) -> Sequence[Event]:
        return [_floating(event) if isinstance(event, Candle) else event for event in super().parse(frame)]

    @hookimpl
    def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
        page = yield from super().fetch_ohlcv(query)
        assert isinstance(page, Page)
        return attrs.evolve(page, candles=[_floating(row) for row in page.candles])


def _floating(row: Candle) -> Candle:
    wrong: Any = float(row.close)
    return attrs.evolve(row, open=wrong, high=wrong, low=wrong, close=wrong)  # type: ignore[misc]  # an attrs class, at run time


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.why for record in caplog.records if "no candle" in record.message]  # type: ignore[attr-defined]  # by `extra`


@pytest.mark.parametrize("stream", [False, True])
def test_an_adapter_whose_rows_are_all_refused_is_told_once_and_is_not_live(
    caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        if stream:
            await accepted(world)
        for close in range(95, 100):
            world.trade(close, streamed=stream)
            await world.next_minute(5)
            [health] = collector.health().series
            assert Condition.STALE is health.condition
            assert REASON in health.trouble
            assert None is health.forming
            assert None is await collector.latest(SERIES)
        [why] = refusals(caplog)
        assert REASON in why

    play(test, World(plugin=Floating(stream=stream)))


def test_the_running_row_tells_before_its_bucket_is_over() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.trade(95)
        await asyncio.sleep(1)
        [health] = collector.health().series
        assert (Condition.STALE, None) == (health.condition, health.forming)
        assert REASON in health.trouble

    play(test, World(plugin=Floating()))


def test_another_reason_is_told_again_and_good_rows_make_it_live(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        for row in ({"low": 200}, {"low": 300}, {"volume": -1}, {}, {}):
            world.stream.say({"candle": {"minute": world.minute, "close": 100, **row}})
            await world.next_minute(1)
        world.trade(100)
        await asyncio.sleep(1)
        [health] = collector.health().series
        assert Condition.LIVE is health.condition
        assert ["outside low", "is negative"] == [
            part for why in refusals(caplog) for part in ("outside low", "is negative") if part in why
        ]

    play(test, World(plugin=Scripted(rest=False)))
