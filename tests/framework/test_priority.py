"""Some series go before others: at run time, where requests are scarce, and in between two closes."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import HttpReply, HttpRequest, Limits, Quote, Rate, SeriesCandle, Trade, UsageError
from wickwire.budget import Budget, Priority, Rank
from wickwire.collector import Collector
from wickwire.config import parse_config
from wickwire.simulate.loops import run_virtual

SYMBOLS = [f"S{number:02}/USD" for number in range(20)]
LAST = f"scripted:{SYMBOLS[-1]}@1m"


@attrs.define(eq=False)
class Busy(World):
    """A venue with many symbols, of which something is traded every minute."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        since, until = (int(request.params[key]) // MINUTE_NS for key in ("since", "until"))
        rows = [
            {"minute": minute, "close": 100, "symbol": request.params["symbol"]}
            for minute in range(since, min(until, self.minute + 1))
        ]
        return HttpReply(status=200, body=json.dumps(rows).encode())


def busy() -> Busy:
    """Return a venue that may be asked 25 times a minute."""
    limits = Limits(rest=Rate(1, per_s=2.4))
    return Busy(plugin=Scripted(stream=False, limits=limits))


def lag_s(collector: Collector, series: str) -> float:
    [health] = [one for one in collector.health().series if str(one.series) == series]
    assert health.lag_s is not None
    return health.lag_s


async def lags(world: World, collector: Collector, minutes: int = 6) -> list[float]:
    """Return how late the last series was closed, minute by minute."""
    found = []
    for _ in range(minutes):
        await world.next_minute(58)
        found.append(lag_s(collector, LAST))
    return found


def test_what_has_priority_is_closed_first_where_requests_are_scarce() -> None:
    """And is one of many again when it has it no more; the others go on all the same."""

    async def test(world: Busy, collector: Collector) -> None:
        for symbol in SYMBOLS:
            await collector.add(f"scripted:{symbol}@1m")
        await asyncio.sleep(120)
        assert max(await lags(world, collector)) > 15
        collector.prioritise(LAST)
        assert [LAST] == [str(plan.series) for plan in collector.plan() if plan.priority]
        assert max(await lags(world, collector)) < 3 + 2 * 2.4, "settling, and one request that is under way"
        for symbol in SYMBOLS:
            assert lag_s(collector, f"scripted:{symbol}@1m") < 60
        collector.prioritise(LAST, on=False)
        assert max(await lags(world, collector)) > 15

    play(test, busy())


def test_it_may_have_priority_from_the_start() -> None:
    async def test(world: Busy, collector: Collector) -> None:
        for symbol in SYMBOLS:
            await collector.add(f"scripted:{symbol}@1m", priority=symbol == SYMBOLS[-1])
        await asyncio.sleep(120)
        assert max(await lags(world, collector)) < 3 + 2 * 2.4
        await collector.add(LAST)
        assert [LAST] == [str(plan.series) for plan in collector.plan() if plan.priority], "it keeps it"

    play(test, busy())


def test_the_running_candle_of_a_polled_series_with_priority_is_fresh() -> None:
    """It is asked for four times a minute; without priority a series is polled once."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await world.next_minute(5)
        before = len(world.transport.requests)
        await asyncio.sleep(600)
        assert len(world.transport.requests) - before <= 11
        collector.prioritise(SERIES)
        await asyncio.sleep(1)
        before = len(world.transport.requests)
        for close in range(40):
            world.trade(100 + close, streamed=False)
            await asyncio.sleep(15.1)
            newest = await collector.latest(SERIES)
            assert isinstance(newest, SeriesCandle)
            assert 100 + close == newest.close
        assert 40 <= len(world.transport.requests) - before <= 55

    play(test, World(plugin=Scripted(stream=False)))


def test_a_stream_is_not_polled_for_having_priority() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES, priority=True)
        await accepted(world)
        for _ in range(10):
            world.trade(100)
            await world.next_minute(1)
        assert len(world.transport.requests) <= 2

    play(test)


def test_the_newest_trade_and_the_newest_quote_are_known() -> None:
    async def test(world: World, collector: Collector) -> None:
        for what in ("trades", "quotes"):
            assert await collector.latest(f"scripted:BTC/USD@{what}") is None
            await collector.add(f"scripted:BTC/USD@{what}")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@trades", "BTC/USD@quotes"]})
        world.stream.say({"trade": ["BTC/USD", 1, 99]}, {"trade": ["BTC/USD", 2, 100]})
        world.stream.say({"quote": ["BTC/USD", 99, 101]})
        await asyncio.sleep(0.1)
        trade = await collector.latest("scripted:BTC/USD@trades")
        quote = await collector.latest("scripted:BTC/USD@quotes")
        assert isinstance(trade, Trade)
        assert isinstance(quote, Quote)
        assert ("2", Decimal(99)) == (trade.id, quote.bid)

    play(test)


def test_what_is_not_collected_cannot_go_first() -> None:
    async def test(_: World, collector: Collector) -> None:
        with pytest.raises(UsageError, match="is not collected here; add it first"):
            collector.prioritise(SERIES)

    play(test)


def test_it_goes_before_others_that_are_as_urgent_and_after_what_is_more_urgent() -> None:
    async def test() -> None:
        budget, went = Budget(Limits(rest=Rate(1))), []

        async def go(priority: Priority, rank: Rank) -> None:
            async with budget.rest(1, priority, rank):
                went.append((priority.name, rank[0]))

        async with budget.rest(1, Priority.LIVE):
            pass
        async with asyncio.TaskGroup() as tasks:
            for priority in reversed([Priority.LIVE, Priority.HEAL]):
                for rank in ((1, 1), (0, 2)):
                    tasks.create_task(go(priority, rank))
        assert [("LIVE", 0), ("LIVE", 1), ("HEAL", 0), ("HEAL", 1)] == went

    run_virtual(test())


def test_the_config_names_what_goes_first() -> None:
    config = parse_config('priority = ["kraken:BTC/USD@1m"]')
    assert ["kraken:BTC/USD@1m"] == [str(one) for one in config.priority]
