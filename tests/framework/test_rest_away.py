"""A venue whose REST does not answer meets one patient client, however many series are collected there."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, Scripted
from tests.framework.test_attempts import most_within
from tests.framework.test_collector import World, play
from wickwire import (
    Backoff,
    Condition,
    GivenUp,
    HttpReply,
    HttpRequest,
    Limits,
    News,
    Rate,
    RestChanged,
    TransportError,
)
from wickwire.breaker import AWAY_AFTER, LONGEST_S
from wickwire.collector import Collector
from wickwire.simulate.loops import running_clock

SYMBOLS = [f"S{number}/USD" for number in range(24)]
HALF_AN_HOUR_S = 1_800.0
HOUR_S = 3_600.0
RECOVERY_S = 30.0
"""R of I6: so long after the first attempt that the schedule allows, data flows."""


@attrs.define(eq=False)
class Market(World):
    """A candle a minute of every symbol, and REST that is down for all of them, or for some.

    Attributes:
        fails: How what is asked of a symbol fails; None where it is answered.
        at_s: When each request came, by the loop, and about which symbol.
    """

    fails: Callable[[str], HttpReply | TransportError | None] = lambda _: None
    at_s: list[tuple[float, str]] = attrs.field(factory=list)

    def _answer(self, request: HttpRequest) -> HttpReply | TransportError:
        symbol = request.params["symbol"]
        self.at_s.append((asyncio.get_running_loop().time(), symbol))
        failure = self.fails(symbol)
        if failure is not None:
            return failure
        since, until = int(request.params["since"]), int(request.params["until"])
        last = min(until, running_clock().now_ns())
        minutes = range(-(-since // MINUTE_NS), -(-last // MINUTE_NS))
        body = [{"minute": minute, "close": 100, "symbol": symbol} for minute in minutes]
        return HttpReply(status=200, body=json.dumps(body).encode())

    def times(self) -> list[float]:
        return [at_s for at_s, _ in self.at_s]


def unavailable(_: str) -> HttpReply:
    return HttpReply(status=503, body=b"maintenance")


def unreachable(_: str) -> TransportError:
    return TransportError("scripted.test: no whole reply within 15 s")


def everything(collector: Collector, newer_than_ns: int) -> bool:
    """Say whether every series has a close since then, and lacks nothing."""
    return all(
        one.last_close is not None and one.last_close.close_ns > newer_than_ns and not one.holes
        for one in collector.health().series
    )


async def until(is_so: Callable[[], bool], most_s: float) -> float:
    """Wait until something is so, and return how long that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not is_so():
        assert loop.time() - began_s <= most_s
        await asyncio.sleep(0.25)
    return loop.time() - began_s


def collected(
    test: Callable[[Market, Collector], Awaitable[None]], plugin: Scripted | None = None, **more: object
) -> Market:
    """Run *test* with every symbol collected for some minutes, and nothing wrong so far."""
    market = Market(plugin=plugin or Scripted(stream=False))

    async def main(market: Market, collector: Collector) -> None:
        for symbol in SYMBOLS:
            await collector.add(f"scripted:{symbol}@1m")
        await market.next_minute(30)
        await market.next_minute(30)
        assert everything(collector, running_clock().now_ns() - MINUTE_NS)
        market.at_s.clear()
        await test(market, collector)

    play(main, market, **more)
    return market


@pytest.mark.parametrize("fails", [unavailable, unreachable])
@pytest.mark.parametrize("takes_s", [0.0, 15.0])
def test_half_an_hour_away_is_about_one_request_for_each_wait(
    fails: Callable[[str], HttpReply | TransportError], takes_s: float
) -> None:
    """Where each failure takes its time all are under way before the first of them shows."""

    async def test(market: Market, _: Collector) -> None:
        await market.next_minute()
        market.at_s.clear()
        market.fails, market.transport.takes_s = fails, takes_s
        await asyncio.sleep(HALF_AN_HOUR_S)
        under_way = len(SYMBOLS) if takes_s else AWAY_AFTER
        assert len(market.at_s) < 60
        tries = market.times()[under_way:]
        assert 10 <= len(tries) <= 40
        assert all(later - earlier >= takes_s for earlier, later in pairwise(tries)), "one at a time"
        assert max(later - earlier for earlier, later in pairwise(tries)) <= LONGEST_S + takes_s + 2

    collected(test)


@pytest.mark.parametrize("fails", [unavailable, unreachable])
def test_when_it_is_back_all_are_whole_soon_after_the_first_try(
    fails: Callable[[str], HttpReply | TransportError],
) -> None:
    async def test(market: Market, collector: Collector) -> None:
        market.fails = fails
        await asyncio.sleep(HALF_AN_HOUR_S)
        market.at_s.clear()
        market.fails = lambda _: None
        healed_ns = running_clock().now_ns()
        await until(lambda: bool(market.at_s), LONGEST_S)
        await until(lambda: everything(collector, healed_ns - MINUTE_NS), RECOVERY_S)

    collected(test)


def test_hours_of_maintenance_are_tried_ever_more_rarely() -> None:
    """F63: 24 series, six hours in which nothing is answered; the first of them begins with short waits."""

    async def test(market: Market, _: Collector) -> None:
        await market.next_minute()
        market.at_s.clear()
        market.fails = unavailable
        await asyncio.sleep(6 * HOUR_S)
        assert 50 >= len(market.at_s) / 6
        assert 60 >= most_within(market.times(), HOUR_S)

    collected(test)


def test_the_schedule_of_a_venue_is_that_of_its_rest_too() -> None:
    """Without a lot a try comes after half a second, and then later and later, up to the ceiling."""

    async def test(market: Market, _: Collector) -> None:
        market.fails = unavailable
        await asyncio.sleep(HALF_AN_HOUR_S)
        tries = market.times()[AWAY_AFTER - 1 :]
        waits_s = [round(later - earlier, 3) for earlier, later in pairwise(tries)]
        assert 0.5 == waits_s[0]
        assert {16.0} == set(waits_s[len(SYMBOLS) :])

    collected(test, backoff=Backoff(jitter=0.0, cap_s=16.0))


def test_when_it_is_back_the_most_important_go_first_and_none_faster_than_the_venue_allows() -> None:
    async def test(market: Market, collector: Collector) -> None:
        await collector.add(f"scripted:{SYMBOLS[-1]}@1m", priority=True)
        market.fails = unavailable
        await asyncio.sleep(HALF_AN_HOUR_S)
        market.at_s.clear()
        market.fails = lambda _: None
        await until(lambda: len(market.at_s) >= len(SYMBOLS), LONGEST_S + 2 * RECOVERY_S)
        found_out, *others = market.at_s
        assert SYMBOLS[-1] in {found_out[1], others[0][1]}
        assert 2 >= most_within(market.times(), 1.0)

    collected(test, Scripted(stream=False, limits=Limits(rest=Rate(1, 1.0))))


@pytest.mark.parametrize("broken", [SYMBOLS[:1], SYMBOLS[:2], SYMBOLS[:4]])
def test_what_is_wrong_with_some_symbols_holds_up_no_other(broken: Sequence[str]) -> None:
    async def test(market: Market, collector: Collector) -> None:
        market.fails = lambda symbol: unavailable(symbol) if symbol in broken else None
        for _ in range(30):
            await market.next_minute(15)
            late = [
                one.series.symbol
                for one in collector.health().series
                if one.last_close is None or one.last_close.close_ns < market.minute * MINUTE_NS
            ]
            assert sorted(broken) == sorted(late)

    collected(test)


def test_a_failure_now_and_then_is_a_matter_of_one_series() -> None:
    """Two requests in three fail, and no three in a row: each is asked again by its own schedule."""
    count = itertools.count()

    async def test(market: Market, collector: Collector) -> None:
        told: list[News] = []
        collector.on_event(told.append)
        market.fails = lambda symbol: None if next(count) % AWAY_AFTER == 0 else unavailable(symbol)
        await asyncio.sleep(600)
        assert not [one for one in told if isinstance(one, RestChanged)]
        since_ns = running_clock().now_ns() - 5 * MINUTE_NS
        closes = [one.last_close for one in collector.health().series]
        assert sum(one is not None and one.close_ns > since_ns for one in closes) > len(SYMBOLS) / 2

    collected(test)


def test_it_is_said_since_when_and_why_and_when_the_next_try_is_made() -> None:
    async def test(market: Market, collector: Collector) -> None:
        told: list[News] = []
        collector.on_event(told.append)
        gone_ns = running_clock().now_ns()
        market.fails = unavailable
        await asyncio.sleep(HALF_AN_HOUR_S)
        health = collector.health()
        [venue] = health.venues
        assert venue.away_since_ns is not None
        assert gone_ns <= venue.away_since_ns <= gone_ns + 2 * MINUTE_NS
        assert venue.next_try_s is not None
        assert 0.0 <= venue.next_try_s <= LONGEST_S
        assert f"next try in {venue.next_try_s:.0f} s" in venue.trouble
        assert all("REST is away since" in one.trouble or "503" in one.trouble for one in health.series)
        assert {Condition.STALE} == {one.condition for one in health.series}

        market.fails = lambda _: None
        await until(lambda: everything(collector, running_clock().now_ns() - MINUTE_NS), LONGEST_S + 60)
        [venue] = collector.health().venues
        assert (None, None, "") == (venue.away_since_ns, venue.next_try_s, venue.trouble)
        await asyncio.sleep(2)
        gone, back = [one for one in told if isinstance(one, RestChanged)]
        assert (True, False, "") == (gone.away, back.away, back.why)
        assert "REST is away since" in gone.why
        assert "status 503" in gone.why

    collected(test)


def test_a_number_of_attempts_is_counted_for_the_venue() -> None:
    """Each series alone would have failed once."""

    async def test(market: Market, _: Collector) -> None:
        market.fails = unavailable
        await asyncio.sleep(HALF_AN_HOUR_S)

    with pytest.raises(GivenUp, match="given up after 5 attempts in a row"):
        collected(test, backoff=Backoff(attempts=5))


def test_a_stream_that_lives_goes_on_without_history() -> None:
    async def test(world: World, collector: Collector) -> None:
        for symbol in ("BTC/USD", "ETH/USD", "XRP/USD"):
            await collector.add(f"scripted:{symbol}@1m")
        await asyncio.sleep(1)
        world.down = True
        world.stream.say({"accepted": ["BTC/USD@1m", "ETH/USD@1m", "XRP/USD@1m"]})
        for _ in range(10):
            for symbol in ("BTC/USD", "ETH/USD"):
                world.stream.say({"candle": {"minute": world.minute, "close": 100, "symbol": symbol}})
            await world.next_minute(1)
        health = collector.health()
        assert health.venues[0].away_since_ns is not None
        closed = {one.series.symbol: one.closed for one in health.series}
        assert closed["BTC/USD"] == closed["ETH/USD"]
        assert closed["BTC/USD"] >= 8

    play(test)
