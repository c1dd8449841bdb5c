"""Alpaca collected by the whole runtime on virtual time: streamed, polled, cut, and under every fault."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.adapters.alpaca.talk import SECRETS
from tests.simulation.world import World, simulate
from wickwire import MINUTE_NS, Account, Evidence, MemoryStore, Rung, Series, parse_instant
from wickwire.closer import Condition
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.simulate.loops import running_clock

OPENS = parse_instant("2027-01-15T14:27:00Z")  # a Friday, three minutes before New York does
STOCKS = ("alpaca.iex:AAPL@1m", "alpaca.iex:DUSK@1m")
CRYPTO = ("alpaca:BTC/USD@1m", "alpaca:XMR/USD@1m")
MADE = ("alpaca.iex:SPY@5m", "alpaca:ETH/USD@1h")
POLLED = "alpaca:LTC/USD@15m"
STREAMED = (*STOCKS, *CRYPTO)


def collect(play: Callable[[World], Awaitable[None]], *names: str, plan: str = "", **more: Any) -> None:
    """Run *play* while stocks and crypto are streamed, longer ones made of minutes, and one is polled."""
    account = Account(secrets=SECRETS, plan=plan)

    async def all_of_it(world: World) -> None:
        await world.collector.add(POLLED, route="poll")
        await play(world)

    simulate(all_of_it, *(names or (*STREAMED, *MADE)), accounts={"alpaca": account}, start_ns=OPENS, **more)


def rungs(world: World) -> set[Rung]:
    return {each.rung for each in world.collector.health().series if str(each.series) in STREAMED}


def test_two_hours_without_a_fault_are_the_truth_by_every_route() -> None:
    """Minutes close with their bar; those without trades are proven empty, or made of quotes."""

    async def play(world: World) -> None:
        await world.minutes(125)
        assert [] == await world.broken()
        assert not world.switches
        assert {(0, 0)} == {(venue.junk, venue.unrouted) for venue in world.collector.health().venues}
        closes = {name: [c for c in world.delivered if str(c.series) == name] for name in STREAMED}
        assert all(c.evidence is Evidence.VENUE for c in closes["alpaca:BTC/USD@1m"])
        assert len(closes["alpaca.iex:DUSK@1m"]) < 30 < len(closes["alpaca.iex:AAPL@1m"])
        assert {0} == {c.volume for c in closes["alpaca:XMR/USD@1m"] if c.trade_count == 0}
        assert sum(c.trade_count == 0 for c in closes["alpaca:XMR/USD@1m"]) > 60

    collect(play)


def test_a_halt_is_known_as_long_as_its_symbol_is_collected() -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["alpaca"].inject("status", symbol="AAPL", code="H", text="Trading Halt")
        await world.minutes(1)
        statuses = {each.series.symbol: each.status for each in world.collector.health().series}
        assert {"AAPL": "Trading Halt", "DUSK": "", "BTC/USD": ""}.items() <= statuses.items()
        await world.collector.remove("alpaca.iex:AAPL@1m")
        await world.collector.add("alpaca.iex:AAPL@1m")
        assert {""} == {each.status for each in world.collector.health().series}

    collect(play)


# fault, details, whether the streamed series have to fall back to polling meanwhile
FAULTS: list[tuple[str, dict[str, Any], bool]] = [
    ("mute", {}, True),
    ("mute_symbol", {"symbol": "AAPL"}, False),
    ("refuse_connections", {}, False),
    ("slow", {"delay_s": 4}, False),
    ("duplicate_bar", {}, False),
    ("late_last", {}, False),
    ("novelty", {}, False),
    ("html_502", {}, False),
    ("rest_error", {}, False),
    ("rest_error", {"status": 429, "message": "too many requests."}, False),
    ("short_pages", {"rows": 3}, False),
    ("token_circle", {}, False),
    ("null_bars", {}, False),
]


@pytest.mark.parametrize(
    ("fault", "details", "falls"), FAULTS, ids=[f"{name}{details or ''}" for name, details, _ in FAULTS]
)
def test_a_fault_of_half_an_hour_leaves_the_data_whole(
    fault: str, details: dict[str, Any], *, falls: bool
) -> None:
    async def play(world: World) -> None:
        await world.minutes(12)
        world.servers["alpaca"].inject(fault, **details)
        await world.minutes(30)
        if falls:
            assert {Rung.POLL} == rungs(world)
        symbol = {name: value for name, value in details.items() if name == "symbol"}
        world.servers["alpaca"].inject(fault, on=False, **symbol)
        await world.minutes(60)
        # an hour resampled across a stream that was silent for a while is put right by history afterwards
        assert [] == await world.broken(first_closes=fault not in {"late_last", "mute"})
        assert {Rung.STREAM} == rungs(world)
        conditions = {each.condition for each in world.collector.health().series}
        assert conditions <= {Condition.LIVE, Condition.QUIET, Condition.POLLED}

    collect(play)


@pytest.mark.parametrize("fault", ["auth_failed", "slot_taken", "refuse_connections"])
def test_while_the_stream_cannot_be_had_all_is_polled_and_then_streamed_again(fault: str) -> None:
    """406 and refused keys are met again with each attempt: ever more rarely, never a storm."""

    async def play(world: World) -> None:
        await world.minutes(12)
        before = sum(len(times) for times in world.counted.connects.values())
        world.servers["alpaca"].inject(fault)
        world.servers["alpaca"].inject("hangup", code=1006)
        await world.minutes(30)
        attempts = sum(len(times) for times in world.counted.connects.values()) - before
        world.servers["alpaca"].inject(fault, on=False)
        await world.minutes(45)

        assert [] == await world.broken()
        assert attempts < 100
        assert {Rung.STREAM} == rungs(world)

    collect(play)


@pytest.mark.parametrize("code", [1000, 1006, 1011])
def test_a_cut_leaves_the_data_whole(code: int) -> None:
    """The place of the dead connection is held for a while: the first attempt may be told 406."""

    async def play(world: World) -> None:
        await world.minutes(12)
        for half_frame in (False, True, False):
            world.servers["alpaca"].inject("hangup", code=code, half_frame=half_frame)
            await world.minutes(17.3)
        await world.minutes(10)
        assert [] == await world.broken()
        assert {Rung.STREAM} == rungs(world)

    collect(play)


def test_a_slow_client_is_cut_and_loses_nothing() -> None:
    async def play(world: World) -> None:
        await world.minutes(12)
        world.servers["alpaca"].inject("slow_client")
        await world.minutes(60)  # a thin stock is streamed again after two candles on which both agree
        assert [] == await world.broken()
        assert {Rung.STREAM} == rungs(world)

    collect(play)


def test_a_late_trade_revises_a_closed_minute_by_an_updated_bar() -> None:
    async def play(world: World) -> None:
        await world.minutes(30)
        world.servers["alpaca"].inject("late_trade", symbol="AAPL", ago_s=70)
        await world.minutes(2)
        revised = [c for c in world.delivered if c.revision]
        assert [(str(c.series), c.revision) for c in revised] == [("alpaca.iex:AAPL@1m", 1)]
        assert revised[0].evidence is Evidence.VENUE
        await world.minutes(20)
        assert [] == await world.broken(first_closes=False)

    collect(play)


def test_an_updated_bar_that_got_lost_is_found_by_the_comparison_with_history() -> None:
    async def play(world: World) -> None:
        await world.minutes(30)
        world.servers["alpaca"].inject("mute")
        world.servers["alpaca"].inject("late_trade", symbol="BTC/USD", ago_s=70)
        await world.minutes(1)
        world.servers["alpaca"].inject("mute", on=False)
        await world.minutes(60)
        assert [] == await world.broken(first_closes=False)
        assert any(c.revision and str(c.series) == "alpaca:BTC/USD@1m" for c in world.delivered)

    collect(play)


@pytest.mark.parametrize("fault", ["correct_trade", "cancel_trade"])
def test_a_trade_that_is_taken_back_changes_what_was_made_of_it(fault: str) -> None:
    """The bars of the venue and what is built from its trades agree with its truth."""

    async def play(world: World) -> None:
        await world.minutes(20)
        for _ in range(3):
            world.servers["alpaca"].inject(fault, symbol="AAPL")
            await world.minutes(5)
        await world.minutes(60)
        assert [] == await world.differences("alpaca.iex:AAPL@1m")
        assert [] == await world.differences("alpaca.iex:AAPL@5m")

    collect(play, "alpaca.iex:AAPL@1m", "alpaca.iex:AAPL@5m")


def test_a_minute_that_never_came_is_fetched() -> None:
    async def play(world: World) -> None:
        await world.minutes(10)
        world.servers["alpaca"].inject("drop_bar", symbol="AAPL")
        world.servers["alpaca"].inject("drop_bar", symbol="BTC/USD")
        await world.minutes(30)
        assert [] == await world.broken()

    collect(play)


def test_a_subscription_that_stays_silent_is_made_anew() -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["alpaca"].inject("silent_ack", symbol="AAPL")
        world.servers["alpaca"].inject("hangup", code=1006)
        await world.minutes(10)
        world.servers["alpaca"].inject("silent_ack", symbol="AAPL", on=False)
        await world.minutes(45)
        assert [] == await world.broken()
        assert {Rung.STREAM} == rungs(world)

    collect(play)


def test_one_refused_symbol_is_polled_and_the_others_are_streamed() -> None:
    """400 does not say which of them is meant: halves find it."""

    async def play(world: World) -> None:
        await world.minutes(20)
        assert [] == await world.differences("alpaca.iex:AAPL@1m")
        assert [] == await world.differences("alpaca.iex:MSFT@1m")
        routes = {str(each.series): each.rung for each in world.collector.health().series}
        assert routes["alpaca.iex:MSFT@1m"] is Rung.POLL
        assert {Rung.STREAM} == {routes[name] for name in STOCKS}

    async def refuse_first(world: World) -> None:
        world.servers["alpaca"].inject("refuse", symbol="MSFT")
        world.servers["alpaca"].inject("hangup", code=1006)
        await world.minutes(8)
        await play(world)

    collect(refuse_first, *STOCKS, "alpaca.iex:MSFT@1m", "alpaca.iex:NVDA@1m", "alpaca.iex:SPY@1m")


def test_a_symbol_limit_is_found_by_halves_and_what_is_beyond_is_polled() -> None:
    """The config claims a plan that the keys do not have: 405 changes nothing, to the last symbol."""
    names = [f"alpaca:SYNTH{number:03}/USD@1m" for number in range(35)]

    async def play(world: World) -> None:
        world.servers["alpaca"].inject("plan", name="basic", symbols=30, channels="bars")
        world.servers["alpaca"].inject("hangup", code=1006)
        await world.minutes(25)
        health = world.collector.health()
        streamed = [each for each in health.series if each.rung is Rung.STREAM]
        refused = [each for each in health.series if "symbol limit exceeded" in each.why]

        assert (len(streamed), len(refused)) == (30, 5)
        assert [] == [line for name in names for line in await world.differences(name)]
        [venue] = health.venues
        assert venue.connections == 1
        assert venue.attempts < 6, "no connection was given up over it"

        await world.collector.remove(streamed[0].series)
        await world.minutes(15)
        again = [each for each in world.collector.health().series if each.rung is Rung.STREAM]
        assert len(again) == 30, "the place that became free is taken by one that was refused"

    simulate(
        play,
        *names,
        accounts={"alpaca": Account(secrets=SECRETS, plan="plus")},
        start_ns=OPENS,
        synthetic_count=35,
    )


def test_the_free_plan_streams_thirty_symbols_and_polls_the_others_from_the_start() -> None:
    names = [f"alpaca:SYNTH{number:03}/USD@1m" for number in range(32)]

    async def play(world: World) -> None:
        await world.minutes(3)
        health = world.collector.health()
        assert [Rung.STREAM] * 30 + [Rung.POLL] * 2 == [each.rung for each in health.series]
        assert "no place is left on the 1 connection allowed to this endpoint" in health.series[31].why

    simulate(play, *names, accounts={"alpaca": Account(secrets=SECRETS)}, start_ns=OPENS, synthetic_count=32)


def test_sip_on_the_free_plan_is_polled_a_quarter_of_an_hour_late_and_never_refused() -> None:
    async def play(world: World) -> None:
        world.servers["alpaca"].inject("plan", name="basic")
        await world.minutes(60)
        [health] = world.collector.health().series
        assert (health.rung, health.trouble) == (Rung.POLL, "")
        assert len(world.delivered) > 35
        newest = max(world.delivered, key=lambda candle: candle.open_ns)
        assert world.handed_ns[newest.series, newest.open_ns] - newest.close_ns >= 935 * 10**9

    simulate(
        play,
        "alpaca.sip:AAPL@1m",
        accounts={"alpaca": Account(secrets=SECRETS)},
        start_ns=OPENS + 15 * 60 * 10**9,
    )


def test_the_delayed_feed_streams_what_happened_a_quarter_of_an_hour_ago() -> None:
    async def play(world: World) -> None:
        await world.minutes(75)
        [health] = world.collector.health().series
        assert health.rung is Rung.STREAM
        assert [] == world.complaints.lines
        assert len(world.delivered) > 40
        assert all(candle.evidence is Evidence.VENUE for candle in world.delivered)
        truth = world.truth("alpaca.delayed_sip:SPY@1m", OPENS, world.delivered[-1].open_ns + 1)
        assert [one.open_ns for one in truth] == [one.open_ns for one in world.delivered]

    simulate(play, "alpaca.delayed_sip:SPY@1m", accounts={"alpaca": Account(secrets=SECRETS)}, start_ns=OPENS)


def test_crypto_is_polled_without_keys() -> None:
    async def play(world: World) -> None:
        await world.minutes(20)
        assert [] == await world.broken()
        assert not any(world.counted.connects.values())
        [health] = world.collector.health().series
        assert (health.rung, health.trouble) == (Rung.POLL, "")

    simulate(play, "alpaca:BTC/USD@1m")


def test_two_endpoints_are_two_connections_and_one_in_trouble_is_no_trouble_for_the_other() -> None:
    async def play(world: World) -> None:
        await world.minutes(10)
        assert [(1, 1), (1, 1)] == [
            (venue.connections, venue.wanted_connections) for venue in world.collector.health().venues
        ]
        assert sum(len(times) for times in world.counted.connects.values()) == 2

    collect(play, *STREAMED)


def test_three_feeds_at_once_have_a_connection_each_and_one_budget() -> None:
    """One pair of keys has one place on each endpoint: iex, sip and crypto do not take each other's."""
    names = ("alpaca.iex:AAPL@1m", "alpaca.sip:AAPL@1m", "alpaca.sip:SPY@1m", "alpaca:BTC/USD@1m")

    async def play(world: World) -> None:
        world.servers["alpaca"].inject("plan", name="plus")
        await world.minutes(30)
        health = world.collector.health()
        assert {Rung.STREAM} == {each.rung for each in health.series}
        assert sum(len(times) for times in world.counted.connects.values()) == 3
        world.servers["alpaca"].inject("hangup", code=1006)
        await world.minutes(30)
        assert [] == await world.broken()
        assert {Rung.STREAM} == {each.rung for each in world.collector.health().series}

    simulate(play, *names, accounts={"alpaca": Account(secrets=SECRETS, plan="plus")}, start_ns=OPENS)


def test_two_programs_with_one_pair_of_keys_take_turns() -> None:
    """406: whoever comes second waits and polls meanwhile; it neither storms nor throws the first one out."""
    series = Series.parse("alpaca.iex:AAPL@1m")
    account = Account(secrets=SECRETS)

    async def play(world: World) -> None:
        await world.minutes(5)
        before = sum(map(len, world.counted.connects.values()))
        second = Collector(
            MemoryStore(),
            registry=Registry(),
            transport=world.counted,
            clock=running_clock(),
            rng=random.Random(2),
            accounts={"alpaca": account},
        )
        async with second:
            await second.add(series)
            await world.minutes(30)
            [waiting], [first] = second.health().series, world.collector.health().series
            assert (first.rung, waiting.rung) == (Rung.STREAM, Rung.POLL)
            assert "406 connection limit exceeded" in waiting.why
            [times] = world.counted.connects.values()
            assert 20 < len(times) - before < 70, "every half a minute, as the backoff's cap has it"
            assert min(later - one for one, later in pairwise(times[before + 1 :])) >= 5.0
            await world.collector.remove(series)
            await world.minutes(20)
            [streaming] = second.health().series
            assert streaming.rung is Rung.STREAM
            since_ns, until_ns = OPENS + 8 * MINUTE_NS, OPENS + 50 * MINUTE_NS
            told = [row async for page in second.history(series, since_ns, until_ns) for row in page]
        truth = world.truth(str(series), since_ns, until_ns)
        assert [one.open_ns for one in truth] == [one.open_ns for one in told]
        assert [] == world.complaints.lines

    simulate(play, str(series), accounts={"alpaca": account}, start_ns=OPENS)
