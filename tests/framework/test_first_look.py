"""What a series says of itself before its first candle ended: nothing is fine that nobody verified."""

from __future__ import annotations

import asyncio
import itertools
import logging
from decimal import Decimal

import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import CandleState, HttpReply, Limits, Rate, SeriesCandle, TransportError, VenueError
from wickwire.closer import Condition
from wickwire.collector import Collector

LONG = ["1h", "1d", "1w", "1mo"]


def polled(**knobs: object) -> World:
    return World(plugin=Scripted(stream=False, **knobs))  # type: ignore[arg-type]  # a test's own


@pytest.mark.parametrize("timeframe", LONG)
def test_an_unknown_symbol_is_said_at_once_however_long_its_candles_are(timeframe: str) -> None:
    async def test(world: World, collector: Collector) -> None:
        world.status = 404
        name = await collector.add(f"scripted:BTC/USD@{timeframe}")
        await asyncio.sleep(2)
        [health] = collector.health().series
        assert (Condition.REFUSED, False) == (health.condition, health.verified)
        assert "status 404" in health.trouble
        assert isinstance(collector.closer(name).hopeless, VenueError)
        assert 1 == len(world.transport.requests)

    play(test, polled())


@pytest.mark.parametrize("timeframe", LONG)
def test_a_venue_out_of_reach_is_said_at_once_and_never_called_polled(timeframe: str) -> None:
    async def test(world: World, collector: Collector) -> None:
        world.down = True
        await collector.add(f"scripted:BTC/USD@{timeframe}")
        await asyncio.sleep(2)
        [health] = collector.health().series
        assert (Condition.STARTING, "unreachable") == (health.condition, health.trouble)
        await asyncio.sleep(120)
        [health] = collector.health().series
        assert (Condition.STALE, False) == (health.condition, health.verified)
        world.down = False
        await asyncio.sleep(120)
        [health] = collector.health().series
        assert (Condition.POLLED, True, "") == (health.condition, health.verified, health.trouble)
        before = len(world.transport.requests)
        await asyncio.sleep(600)
        assert before == len(world.transport.requests), "one look was enough"

    play(test, polled())


def test_a_series_that_cannot_be_polled_after_all_was_said_to_be_streamed() -> None:
    """The stream refuses it: history is asked at once, and not when its day ends."""

    async def test(world: World, collector: Collector) -> None:
        world.status = 404
        await collector.add("scripted:BTC/USD@1d")
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1d"], "why": "never heard of it"})
        await asyncio.sleep(1)
        assert Condition.REFUSED is collector.health().series[0].condition
        assert 1 == len(world.transport.requests)

    play(test)


def test_a_stream_that_is_confirmed_takes_no_request() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        await asyncio.sleep(30)
        assert [] == world.transport.requests
        assert collector.health().series[0].verified

    play(test)


def test_the_running_candle_of_a_polled_series_is_known_at_once() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.truth[world.minute - 1] = 99
        world.trade(100, streamed=False)
        await collector.add(SERIES)
        await asyncio.sleep(1)
        latest = await collector.latest(SERIES)
        assert isinstance(latest, SeriesCandle)
        assert (CandleState.FORMING, Decimal(100)) == (latest.state, latest.close)
        assert latest.open_ns == world.minute * MINUTE_NS
        [health] = collector.health().series
        assert health.forming is not None
        assert [] == await world.stored(), "it is not closed, and what was before is not collected"

        world.down = True
        await world.next_minute(30)
        assert await collector.latest(SERIES) is None, "it is over, and nobody knows how it ended"

    play(test, polled())


def test_a_row_against_the_laws_is_no_running_candle() -> None:
    def answer(_: object) -> HttpReply:
        return HttpReply(status=200, body=b'[{"minute": %d, "close": 5, "high": 0}]' % world.minute)

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await asyncio.sleep(1)
        assert await collector.latest(SERIES) is None

    world = polled()
    world.transport.answer = answer
    play(test, world)


def test_a_start_after_a_stop_resumes_and_asks_what_was_missed_instead() -> None:
    async def first(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        world.trade(100, streamed=False)
        await world.next_minute(20)
        world.transport.requests.clear()

    async def second(world: World, collector: Collector) -> None:
        await asyncio.sleep(90)
        await collector.add(SERIES)
        await asyncio.sleep(1)
        [request] = world.transport.requests
        assert int(request.params["since"]) <= world.minute * MINUTE_NS - MINUTE_NS
        assert collector.health().series[0].verified

    play(second, play(first, polled()))


def test_first_looks_keep_to_the_budget_and_let_what_just_ended_go_first() -> None:
    asked: list[tuple[float, str]] = []

    async def test(world: World, collector: Collector) -> None:
        def answer(request: object) -> HttpReply:
            asked.append((asyncio.get_running_loop().time(), request.params["symbol"]))  # type: ignore[attr-defined]  # a request
            return HttpReply(status=200, body=b"[]")

        world.transport.answer = answer
        await collector.add("scripted:OLD/USD@1m", since=(world.minute - 1) * MINUTE_NS)
        for number in range(60):
            await collector.add(f"scripted:{number}/USD@1d")
        await world.next_minute(20)
        spans = [later - at for (at, _), (later, _) in itertools.pairwise(asked)]
        assert min(spans) > 0.99
        assert len([symbol for _, symbol in asked if symbol == "OLD/USD"]) >= 2, "it did not wait for all"
        assert len(asked) < 61 + 2

    play(test, polled(limits=Limits(rest=Rate(1, 1.0))))


# --------------------------------------------------------------------------------------------- said once


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_refused_symbol_is_warned_about_once_by_stream_and_history(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(world: World, collector: Collector) -> None:
        world.status = 404
        await collector.add(SERIES)
        await asyncio.sleep(1)
        for _ in range(20):
            world.stream.say({"refused": ["BTC/USD@1m"], "why": "never heard of it"})
            await asyncio.sleep(300)
        assert len(world.transport.requests) > 10

    play(test)
    assert ["stream failed"] == warnings(caplog)


def test_another_trouble_is_warned_about_and_so_is_the_same_one_after_it_passed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        for status, down in [(404, False), (404, True), (200, False), (404, False)]:
            world.status, world.down = status, down
            await asyncio.sleep(600)

    play(test, polled())
    assert 3 * ["history failed"] == warnings(caplog)
    assert ["status 404", "unreachable", "status 404"] == [vars(record)["why"] for record in caplog.records]


def test_a_day_of_two_troubles_in_turn_is_a_handful_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """History says now this and now that, and the connection too; each is told, and then ever more rarely."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await asyncio.sleep(1)
        world.stream.hang_up()
        for number in range(24 * 60):
            world.down, world.status = number % 4 < 2, 503
            why = "refused the connection" if number % 2 else "has no address"
            world.transport.refuse = TransportError(f"scripted.test {why}")
            await asyncio.sleep(60)

    with caplog.at_level(logging.INFO, logger="wickwire"):
        play(test)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {"stream ended", "history failed"} == {record.getMessage() for record in told}
    assert {"closed with 1006", "unreachable", "status 503"} <= {vars(record)["why"] for record in told}
    assert 5 <= len(told) <= 3 * 5, [vars(record)["why"] for record in told]
    assert any(vars(record).get("times", 1) > 10 for record in told), "it is said that it lasts"
    assert len([record for record in caplog.records if record.getMessage() == "stream ended"]) > 100


def test_rows_that_break_two_laws_in_turn_are_two_warnings(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m"]})
        for minute in range(60):
            wrong = {"low": 101} if minute % 2 else {"volume": -1}
            world.stream.say({"candle": {"minute": world.minute, "close": 100, **wrong}})
            await world.next_minute(1)
        assert 2 == collector.health().events["RowRefused"]

    play(test, World(plugin=Scripted(rest=False, endpoint={"silence_limit_s": 1_000.0})))
    refused = [one for one in warnings(caplog) if one == "a row of the venue is no candle"]
    assert 2 == len(refused)


def test_a_refused_stream_that_is_polled_well_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each page that comes is no reason to say the same again of the stream."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        for _ in range(20):
            await asyncio.sleep(300)
            world.trade(100, streamed=False)
            world.stream.say({"refused": ["BTC/USD@1m"], "why": "not streamed"})

    play(test)
    assert ["stream failed"] == warnings(caplog)


def test_a_refused_feed_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@trades")
        for _ in range(5):
            await asyncio.sleep(300)
            world.stream.say({"refused": ["BTC/USD@trades"], "why": "never heard of it"})

    play(test)
    assert ["stream failed"] == warnings(caplog)


def test_a_stream_that_was_never_there_is_not_verified() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.transport.refuse = TransportError("refused")
        await collector.add(SERIES)
        await asyncio.sleep(5)
        assert not collector.health().series[0].verified

    play(test, World(plugin=Scripted(rest=False)))
