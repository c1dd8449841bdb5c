"""What if the streams were lost now: asked before it happens."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest

from tests.framework.scripted import Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import (
    SECOND_NS,
    Account,
    Condition,
    Counting,
    FallBack,
    HttpReply,
    HttpRequest,
    Limits,
    Rate,
    Registry,
    Rung,
    Series,
    TransportError,
    UsageError,
)
from wickwire.collector import Collector
from wickwire.fallback import RestRoom, fall_back, planned_fall_back
from wickwire.ladder import Cost
from wickwire.places import plan_all
from wickwire.planner import Plan


def coinbase(*names: str, limits: Limits | None = None) -> tuple[list[Plan], FallBack]:
    adapters = {"coinbase": Registry().load("coinbase")}
    accounts = {"coinbase": Account(limits=limits)}
    plans = plan_all([Series.parse(name) for name in names], adapters, accounts)
    return plans, planned_fall_back(plans, adapters, accounts)


MINUTES = [f"coinbase:P{number}/USD@1m" for number in range(300)]


def test_can_these_three_hundred_series_fall_back_to_rest_now() -> None:
    """300 requests a minute of the 600 that ten a second are."""
    plans, fall = coinbase(*MINUTES)

    assert all(plan.rung.streams for plan in plans)
    assert [plan.series for plan in plans] == list(fall.fits)
    assert {} == fall.left_out
    assert {"coinbase": pytest.approx(0.5)} == fall.used
    assert {"coinbase": pytest.approx(29.0)} == fall.first_round_s, "ten at once, ten a second after"
    assert "all 300 streamed series could be polled at once, with 50% of the REST limit of coinbase" == str(
        fall
    )


def test_what_does_not_fit_is_named_with_the_reason_and_the_first_come_first() -> None:
    _, fall = coinbase(*MINUTES, limits=Limits(rest=Rate(2, 1.0)))

    assert 120 == len(fall.fits)
    assert [Series.parse(name) for name in MINUTES[120:]] == list(fall.left_out)
    assert {"coinbase": pytest.approx(1.0)} == fall.used
    why = "it takes 60 REST calls an hour, and 0 of 7,200 would be left"
    assert {why} == set(fall.left_out.values())
    assert str(fall) == (
        "120 of 300 streamed series could be polled at once, with 100% of the REST limit of coinbase "
        f"(not {MINUTES[120]}: {why} and 179 more)"
    )


def test_what_is_polled_already_and_what_waits_comes_first() -> None:
    one = coinbase(MINUTES[0])[0][0]
    room = RestRoom(rate=Rate(10, 600.0, 2, Counting.BUCKET), polled_per_hour=30.0, waiting=3, paused_s=40.0)

    fall = fall_back([one], {"coinbase": room})

    assert {one.series: "it takes 60 REST calls an hour, and 30 of 60 would be left"} == fall.left_out
    assert {"coinbase": pytest.approx(0.5)} == fall.used
    assert {"coinbase": pytest.approx(40.0 + 60.0)} == fall.first_round_s


def test_what_has_priority_gets_the_room_first() -> None:
    plans = coinbase(*MINUTES[:3])[0]
    room = RestRoom(rate=Rate(60, 3_600.0))

    fall = fall_back([*plans[:2], attrs.evolve(plans[2], priority=True)], {"coinbase": room})

    assert (plans[2].series,) == fall.fits
    assert [plan.series for plan in plans[:2]] == list(fall.left_out)


def test_when_all_streams_are_lost_the_first_are_served_in_time_and_the_others_are_stale() -> None:
    """Ten requests a minute, thirty series of minutes."""
    limits = Limits(rest=Rate(10, 60.0, 5))
    world = World(plugin=Scripted(limits=limits))

    def answer(request: HttpRequest) -> HttpReply:
        since, until = (int(request.params[name]) // (60 * SECOND_NS) for name in ("since", "until"))
        symbol = request.params["symbol"]
        rows = [{"minute": minute, "close": 100, "symbol": symbol} for minute in range(since, until)]
        return HttpReply(status=200, body=json.dumps(rows).encode())

    world.transport.answer = answer

    async def test(world: World, collector: Collector) -> None:
        series = [await collector.add(f"scripted:S{number}/USD@1m") for number in range(30)]
        await asyncio.sleep(1)
        refused = [f"S{number}/USD@1m" for number in range(30)]
        world.stream.say({"refused": refused, "why": "no more streams"})
        await asyncio.sleep(900)
        told = {one.series: one for one in collector.health().series}
        polled = [told[one].condition in {Condition.POLLED, Condition.QUIET} for one in series]
        assert all(polled[:8])
        left = [
            told[one].condition
            for one, is_polled in zip(series[12:], polled[12:], strict=True)
            if not is_polled
        ]
        assert 16 <= len(left) <= 18, "one turn in ten goes round among them"
        assert {*left} <= {Condition.STALE, Condition.REFUSED}
        assert collector.health().venues[0].waiting <= 30

    play(test, world)


def test_a_series_falls_to_polling_while_many_pages_of_its_past_are_fetched() -> None:
    """One question follows the other for minutes, and none of them takes long."""
    world = World(plugin=Scripted(support={"page_rows": 10}))
    world.transport.takes_s = 0.5

    def answer(request: HttpRequest) -> HttpReply:
        since, until = (int(request.params[name]) // (60 * SECOND_NS) for name in ("since", "until"))
        rows = [{"minute": minute, "close": 100} for minute in range(since, until)]
        return HttpReply(status=200, body=json.dumps(rows).encode())

    world.transport.answer = answer

    async def test(world: World, collector: Collector) -> None:
        since_ns = (world.first_minute - 10_000) * 60 * SECOND_NS
        await collector.add("scripted:BTC/USD@1m", since=since_ns)
        await accepted(world)
        world.transport.refuse = TransportError("refused the connection")
        world.stream.hang_up()
        await asyncio.sleep(240)
        [health] = collector.health().series
        assert health.holes, "its past still comes"
        assert Rung.POLL is health.rung

    play(test, world)


def test_what_can_never_be_polled_says_so() -> None:
    plans, fall = coinbase("coinbase:BTC/USD@trades")
    [minute], _ = coinbase(MINUTES[0])
    pinned = attrs.evolve(minute, falls_to=None, fall_cost=None, pinned=True)

    assert {plans[0].series: "trades come over a stream only"} == fall.left_out
    assert {minute.series: "pinned to build"} == fall_back([pinned], {"coinbase": RestRoom()}).left_out


def test_where_no_limit_is_known_everything_fits() -> None:
    plan = Plan(
        series=Series.parse("lantern:A/USD@1m"),
        topic=coinbase(MINUTES[0])[0][0].topic,
        rung=Rung.STREAM,
        why="",
        falls_to=Rung.POLL,
        fall_cost=Cost(rest_per_hour=60.0),
    )

    fall = fall_back([plan], {"lantern": RestRoom()})

    assert ((plan.series,), {}, {"lantern": 0.0}) == (fall.fits, fall.used, fall.first_round_s)
    assert "all 1 streamed series could be polled at once" == str(fall)
    assert "nothing is streamed that could fall back to polling" == str(fall_back([], {}))


def test_a_collector_says_it_while_it_runs() -> None:
    limits = Limits(rest=Rate(2, 60.0, counting=Counting.BUCKET))

    async def test(world: World, collector: Collector) -> None:
        first = await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        polled = await collector.add("scripted:SOL/USD@1m", route="poll")
        last = await collector.add("scripted:ETH/USD@1m")
        fall = collector.could_fall_back()
        assert ([first], [last]) == (list(fall.fits), list(fall.left_out))
        assert {"scripted": pytest.approx(1.0)} == fall.used
        assert [first, polled] == list(collector.could_fall_back(first, polled).fits)
        with pytest.raises(UsageError, match="is not collected here"):
            collector.could_fall_back("scripted:XRP/USD@1m")

    play(test, World(plugin=Scripted(limits=limits)))


def test_series_that_have_fallen_already_count_as_polled() -> None:
    """The stream of the first is refused: it is polled, and the second would find no room beside it."""
    limits = Limits(rest=Rate(1, 60.0, counting=Counting.BUCKET))

    async def test(world: World, collector: Collector) -> None:
        fallen = await collector.add("scripted:BTC/USD@1m")
        other = await collector.add("scripted:ETH/USD@1m")
        assert [fallen] == list(collector.could_fall_back().fits)
        assert [other] == list(collector.could_fall_back(other).fits)
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "no"})
        await asyncio.sleep(1)
        assert Rung.POLL is collector.closer(fallen).rung
        assert [other] == list(collector.could_fall_back(other).left_out)

    play(test, World(plugin=Scripted(limits=limits)))


def test_nobody_is_asked_before_it_runs() -> None:
    with pytest.raises(UsageError, match="not running"):
        Collector().could_fall_back()


def test_less_urgent_work_does_not_count_against_it() -> None:
    """The past waits for a turn, and takes no place among what would be polled."""

    async def test(world: World, collector: Collector) -> None:
        series = await collector.add("scripted:BTC/USD@1m", since="2026-01-01")
        await asyncio.sleep(5)
        assert [series] == list(collector.could_fall_back().fits)

    play(test, World(plugin=Scripted(limits=Limits(rest=Rate(1, 60.0)))))
