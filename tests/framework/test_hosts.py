"""Hosts of one venue that do not agree what time it is: that of the one that serves the candles counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, Scripted
from tests.framework.test_collector import World, play
from wickwire import (
    SECOND_NS,
    Conversation,
    Endpoint,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    SeriesCandle,
    hookimpl,
)
from wickwire.collector import Collector
from wickwire.simulate.loops import running_clock

LOGIN = "https://login.test/token"


@attrs.define
class LoggedIn(Scripted):
    """A venue that is asked for a token by another host, before each page and each connection."""

    __hash__ = object.__hash__

    @hookimpl
    def connect(self) -> Generator[HttpRequest, HttpReply, Endpoint]:  # type: ignore[override]  # either will do
        yield HttpRequest(url=LOGIN)
        return Scripted.connect(self)

    @hookimpl
    def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
        yield HttpRequest(url=LOGIN)
        return (yield from Scripted.fetch_ohlcv(self, query))


@attrs.define(eq=False)
class TwoHosts(World):
    """The login's clock is wrong; that of the host of candles is right, or is not told.

    Attributes:
        ahead_s: How far the login's clock is ahead.
        dated: Whether the host of candles tells the time.
    """

    ahead_s: float = 0.0
    dated: bool = True

    def __attrs_post_init__(self) -> None:
        World.__attrs_post_init__(self)
        self.transport.dated = False

    def _answer(self, request: HttpRequest) -> HttpReply:
        now_ns = running_clock().now_ns()
        if request.url == LOGIN:
            return HttpReply(status=200, body=b"{}", date_ns=now_ns + round(self.ahead_s * SECOND_NS))
        since, until = (int(request.params[name]) // MINUTE_NS for name in ("since", "until"))
        rows = [
            {"minute": minute, "close": _last(minute) if (minute + 1) * MINUTE_NS <= now_ns else 7_777}
            for minute in range(since, min(until, now_ns // MINUTE_NS + 1))
        ]
        body = json.dumps(rows).encode()
        return HttpReply(
            status=200, body=body, date_ns=now_ns // SECOND_NS * SECOND_NS if self.dated else None
        )


def _last(minute: int) -> int:
    """Return with which price a minute ends."""
    return minute % 1_000 + 1


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("ahead_s", [90.0, -90.0, 170.0, -170.0])
def test_the_clock_of_a_login_settles_nothing_of_another_host(ahead_s: float, *, dated: bool) -> None:
    """The running minute has another price than it ends with, so that a close that came too early shows."""

    async def test(world: TwoHosts, collector: Collector) -> None:
        first = world.minute
        await collector.add("scripted:BTC/USD@1m", since=first * MINUTE_NS)
        stored: list[SeriesCandle] = []
        while world.minute < first + 10:
            await asyncio.sleep(10)
            stored = await world.stored()
            assert all(candle.close_ns <= running_clock().now_ns() for candle in stored)
            assert all(candle.close == _last(candle.open_ns // MINUTE_NS) for candle in stored)
        # where nothing tells the time, a row of a later bucket does, and it has to have settled by then
        assert len(stored) >= (9 if dated else 7)
        assert not any(candle.revision for candle in stored)

    play(test, TwoHosts(plugin=LoggedIn(stream=False), ahead_s=ahead_s, dated=dated))


@pytest.mark.parametrize(("ahead_s", "said"), [(90.0, ""), (600.0, "600 s behind that of login.test")])
def test_a_host_that_serves_no_candles_is_named_where_it_differs(ahead_s: float, said: str) -> None:
    """And no longer once the one that serves them told that our clock is right."""

    async def test(world: TwoHosts, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(5)
        [venue] = collector.health().venues
        assert said in venue.trouble
        assert said or not venue.trouble
        await world.next_minute(30)
        [venue] = collector.health().venues
        assert not venue.trouble
        assert venue.clock_ahead_s is not None
        assert abs(venue.clock_ahead_s) <= 1.0

    play(test, TwoHosts(plugin=LoggedIn(), ahead_s=ahead_s))
