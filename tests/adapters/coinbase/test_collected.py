"""Coinbase collected by the whole runtime on virtual time: streamed, polled, cut, and under every fault."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.simulation.world import World, simulate
from wickwire import Evidence, Rung
from wickwire.closer import Condition
from wickwire.simulate import SeededMarket
from wickwire_coinbase.simulator import CoinbaseServer

FIVE = ("coinbase:BTC/USD@5m", "coinbase:ETH/USD@5m", "coinbase:LTC/USD@5m")
POLLED = "coinbase:BTC/USD@15m"

# fault, details, whether the streamed series have to fall back to polling meanwhile
FAULTS: list[tuple[str, dict[str, Any], bool]] = [
    ("mute", {}, True),
    ("mute_symbol", {"symbol": "BTC/USD"}, False),
    ("no_heartbeat", {}, False),
    ("refuse_connections", {}, False),
    ("limited", {}, False),
    ("double_messages", {}, False),
    ("interleave", {}, False),
    ("empty_rows", {}, False),
    ("slow", {}, False),
    ("html_503", {}, False),
    ("html_503", {"status": 403}, False),
    ("rest_error", {}, False),
    ("rest_error", {"status": 429}, False),
    ("throttle", {}, False),
    ("exclusive", {}, False),
    ("late_ack", {}, False),
    ("silent_ack", {}, True),
    ("silent_ack", {"acked": False}, True),
    ("silent_ack", {"symbol": "ETH/USD"}, False),
    ("refuse", {}, True),
    ("refuse", {"symbol": "ETH/USD", "text": "rate limit exceeded"}, False),
]
SUBSCRIBING = ("silent_ack", "refuse")
"""What only new subscriptions meet: the stream is cut when it begins and when it ends."""
ELSEWHERE = {
    *("hangup", "lose_messages", "drop_candle", "late_trade", "junk", "leave_out", "lose_trades"),
    *("own_names", "rest_rate", "delist"),  # with the simulator's own tests
}


def collect(play: Callable[[World], Awaitable[None]], *names: str, **more: Any) -> None:
    """Run *play* while three products are streamed and one longer candle is polled."""

    async def all_of_it(world: World) -> None:
        await world.collector.add(POLLED, route="poll")
        await play(world)

    simulate(all_of_it, *FIVE, *names, **more)


def test_every_switch_of_the_simulator_is_played() -> None:
    faults = CoinbaseServer(SeededMarket(1, 0)).faults.keys()

    assert faults == {name for name, _, _ in FAULTS} | ELSEWHERE


def rungs(world: World) -> set[Rung]:
    return {each.rung for each in world.collector.health().series if str(each.series) in FIVE}


def test_two_hours_without_a_fault_are_the_truth_by_stream_and_by_poll() -> None:
    async def play(world: World) -> None:
        await world.minutes(120)
        assert [] == await world.broken()
        assert not world.switches
        [venue] = world.collector.health().venues
        assert (0, 0) == (venue.junk, venue.unrouted)
        closes = [candle for candle in world.delivered if str(candle.series) == FIVE[0]]
        assert [Rung.STREAM] * len(closes) == [candle.route for candle in closes]
        assert sum(candle.evidence is Evidence.SUCCESSOR for candle in closes) > len(closes) // 2

    collect(play)


@pytest.mark.parametrize(
    ("fault", "details", "falls"), FAULTS, ids=[f"{name}{details or ''}" for name, details, _ in FAULTS]
)
def test_a_fault_of_half_an_hour_leaves_the_data_whole(
    fault: str, details: dict[str, Any], *, falls: bool
) -> None:
    async def play(world: World) -> None:
        await world.minutes(12)
        server = world.servers["coinbase"]
        server.inject(fault, **details)
        if fault in SUBSCRIBING:
            server.inject("hangup")
        await world.minutes(30)
        if falls:
            assert {Rung.POLL} == rungs(world)
        symbol = {name: value for name, value in details.items() if name == "symbol"}
        server.inject(fault, on=False, **symbol)
        if fault in SUBSCRIBING:
            server.inject("hangup")
        await world.minutes(45)
        assert [] == await world.broken()
        assert {Rung.STREAM} == rungs(world)
        conditions = {each.condition for each in world.collector.health().series}
        assert conditions <= {Condition.LIVE, Condition.QUIET, Condition.POLLED}

    collect(play)


MADE = (
    *("coinbase:BTC/USD@5m", "coinbase:BTC/USD@15m", "coinbase:BTC/USD@1h"),
    *("coinbase:BTC/USD@1m", "coinbase:BTC/USD@3m", "coinbase:ETH/USD@1m"),
)


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        ("mute", {}),
        ("interleave", {}),
        ("double_messages", {}),
        ("slow", {}),
        ("hangup", {}),
        ("lose_messages", {"count": 4}),
        ("lose_trades", {"symbol": "BTC/USD", "count": 4}),
    ],
)
def test_what_is_built_from_trades_and_resampled_from_candles_is_the_truth(
    fault: str, details: dict[str, Any]
) -> None:
    async def play(world: World) -> None:
        health = {str(each.series): each.rung for each in world.collector.health().series}
        assert [Rung.STREAM, Rung.RESAMPLE, Rung.RESAMPLE, *[Rung.BUILD] * 3] == [health[n] for n in MADE]
        await world.minutes(20)
        world.servers["coinbase"].inject(fault, **details)
        await world.minutes(20)
        if not details and fault != "hangup":
            world.servers["coinbase"].inject(fault, on=False)
        await world.minutes(90)
        assert [] == await world.broken()

    simulate(play, *MADE)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1013])
def test_a_cut_leaves_the_data_whole(code: int) -> None:
    async def play(world: World) -> None:
        await world.minutes(12)
        for half_frame in (False, True, False):
            world.servers["coinbase"].inject("hangup", code=code, half_frame=half_frame)
            await world.minutes(17.3)
        await world.minutes(10)
        assert [] == await world.broken()

    collect(play)


def test_lost_messages_are_a_gap_and_every_bucket_it_may_concern_is_asked_from_history() -> None:
    async def play(world: World) -> None:
        await world.minutes(12)
        for _ in range(5):
            world.servers["coinbase"].inject("lose_messages", count=7)
            await world.minutes(9.9)
        await world.minutes(6)
        assert [] == await world.broken()
        [venue] = world.collector.health().venues
        assert venue.requests > 20
        assert venue.attempts == venue.wanted_connections, "no connection was given up over it"

    collect(play)


def test_older_states_of_a_candle_make_history_decide() -> None:
    """Each streamed bucket in which they came is confirmed over REST, and none is closed wrongly before."""

    async def play(world: World) -> None:
        world.servers["coinbase"].inject("interleave")
        await world.minutes(90)
        assert [] == await world.broken()
        assert not [candle for candle in world.delivered if candle.revision]
        [venue] = world.collector.health().venues
        assert venue.requests > 40

    collect(play)


def test_a_bucket_that_the_stream_lost_is_healed() -> None:
    async def play(world: World) -> None:
        await world.minutes(12)
        world.servers["coinbase"].inject("drop_candle", symbol="BTC/USD")
        await world.minutes(60)
        assert [] == await world.broken()

    collect(play)


def test_a_trade_that_comes_late_is_a_revision_found_by_the_audit() -> None:
    async def play(world: World) -> None:
        await world.minutes(22)
        world.servers["coinbase"].inject("late_trade", symbol="BTC/USD")
        await world.minutes(70)
        assert "coinbase:BTC/USD@5m" in {str(candle.series) for candle in world.delivered if candle.revision}
        assert not world.switches, "one revised candle is no reason to leave the stream"

    collect(play)


def test_junk_is_counted_and_nothing_else_happens() -> None:
    async def play(world: World) -> None:
        await world.minutes(7)
        exchange = '{"type":"match","trade_id":1,"side":"buy","size":"1","price":"1","product_id":"BTC-USD"}'
        for frame in ("", "{", "[]", '{"channel":"candles"}', exchange, '{"channel":"of next year"}'):
            world.servers["coinbase"].inject("junk", frame=frame)
            await world.minutes(1.5)
        await world.minutes(12)
        assert [] == await world.broken()
        [venue] = world.collector.health().venues
        assert venue.junk == 5
        assert venue.attempts == venue.wanted_connections

    collect(play)


@pytest.mark.parametrize("leave_out", [False, True], ids=["as an error", "by leaving it out"])
def test_an_unknown_product_is_refused_by_name_and_the_others_go_on(*, leave_out: bool) -> None:
    wrong = "coinbase:NOPE/USD@5m"

    async def play(world: World) -> None:
        world.servers["coinbase"].inject("hangup")
        world.servers["coinbase"].inject("leave_out", on=leave_out)
        await world.minutes(30)
        assert ["coinbase:NOPE/USD@5m is refused"] == await world.broken()
        health = {str(each.series): each for each in world.collector.health().series}
        assert Condition.REFUSED is health[wrong].condition
        assert "NOPE" in health[wrong].trouble
        assert {Rung.STREAM} == rungs(world)

    collect(play, wrong)


@pytest.mark.parametrize("cut", [False, True], ids=["in silence", "and the stream is cut"])
def test_a_product_that_is_delisted_is_told_by_name_and_the_others_go_on(*, cut: bool) -> None:
    """A subscription that lives is stale, one that is asked for anew is refused."""
    gone = "coinbase:ETH/USD@5m"

    async def play(world: World) -> None:
        await world.minutes(17)
        world.servers["coinbase"].inject("delist", symbol="ETH/USD")
        if cut:
            world.servers["coinbase"].inject("hangup")
        await world.minutes(60)
        health = {str(each.series): each for each in world.collector.health().series}
        assert (Condition.REFUSED if cut else Condition.STALE) is health[gone].condition
        assert "ETH-USD" in health[gone].trouble
        others = [name for name in (*FIVE, POLLED) if name != gone]
        assert [] == [line for name in others for line in await world.differences(name)]
        assert {Condition.LIVE, Condition.QUIET, Condition.POLLED} >= {
            health[each].condition for each in others
        }

    collect(play)


def test_usdc_and_dollars_receive_the_same_candles_and_leave_one_by_one() -> None:
    dollars, usdc = "coinbase:BTC/USD@5m", "coinbase:BTC/USDC@5m"

    async def play(world: World) -> None:
        await world.minutes(41)
        told: dict[str, dict[int, Any]] = {dollars: {}, usdc: {}}
        for candle in world.delivered:
            told[str(candle.series)][candle.open_ns] = candle
        assert len(told[usdc]) >= 7
        for open_ns in told[usdc]:
            assert told[usdc][open_ns].close == told[dollars][open_ns].close
        await world.collector.remove(usdc)
        await world.minutes(30)
        assert [] == await world.differences(dollars)
        assert {Rung.STREAM} == rungs(world)

    simulate(play, dollars, usdc)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_whatever_order_the_data_is_whole_in_the_end(seed: int) -> None:
    """Faults are drawn by the seed; so is the order in which ready tasks run."""
    rng = random.Random(seed)

    async def play(world: World) -> None:
        server = world.servers["coinbase"]
        for _ in range(10):
            fault, details, _ = rng.choice(FAULTS)
            server.inject(fault, **details)
            if rng.random() < 0.4:
                server.inject("hangup", code=rng.choice([1000, 1006, 1013]))
            if rng.random() < 0.4:
                server.inject("lose_messages", count=rng.randrange(1, 9))
            await world.minutes(rng.uniform(0.1, 12))
            server.inject(fault, on=False, **{k: v for k, v in details.items() if k == "symbol"})
            await world.minutes(rng.uniform(0.1, 12))
        await world.minutes(75)
        assert [] == await world.broken()
        assert {Rung.STREAM} == rungs(world)

    collect(play, seed=seed, shuffle=True)
