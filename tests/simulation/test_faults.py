"""Every fault that the simulated venues can show leaves the data whole: nothing missing, doubled or wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.faults import FAULTS, Fault
from tests.simulation.world import DAY_NS, World, simulate
from wickwire import Feed, Rung, load_adapter
from wickwire.closer import Condition
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, running_clock

NAMES = ("kraken:BTC/USD@1m", "kraken:ETH/USD@1m", "kraken:BTC/USD@5m")

WELL = {Condition.LIVE, Condition.QUIET, Condition.POLLED}


@pytest.mark.parametrize("venue", ["kraken", "yahoo"])
def test_every_switch_of_a_simulator_is_played(venue: str) -> None:
    make = load_adapter(venue).simulate
    assert make is not None
    assert make(SeededMarket(1, VIRTUAL_START_NS)).faults.keys() == {
        fault.name for fault in FAULTS if fault.venue == venue
    }


@pytest.mark.parametrize(
    ("fault", "seed"),
    # the second begins at the other end of a session, of which Kraken has none; nightly plays twenty of each
    [(fault, seed) for fault in FAULTS for seed in (1, 2) if fault.venue == "yahoo" or seed == 1],
    ids=str,
)
def test_a_fault_of_ten_minutes_leaves_the_data_whole(fault: Fault, seed: int) -> None:
    play_alone(fault, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_ten_minutes_leaves_the_data_whole_with_many_seeds(fault: Fault, seed: int) -> None:
    play_alone(fault, seed)


def play_alone(fault: Fault, seed: int) -> None:
    """Play one fault; the seed draws the market, the waits, and the order in which ready tasks run."""

    async def play(world: World) -> None:
        await world.minutes(5)
        world.inject(fault)
        await world.minutes(10)
        if fault.falls:
            assert {Rung.POLL} == rungs(world)
        world.heal(fault)
        await world.minutes(fault.settles_min)

        # what one symbol said last may lack its end: simulated runs forgive that for the bucket it falls into
        misled = fault.misleads or fault.name == "mute_symbol"
        assert [] == await world.broken(first_closes=not misled)
        assert len(world.delivered) >= len(fault.series) - bool(world.trades)
        assert {Rung.STREAM if fault.venue == "kraken" else Rung.POLL} == rungs(world)
        assert {each.condition for each in world.collector.health().series} <= WELL

    starts_ns = fault.starts_ns[seed % len(fault.starts_ns)]
    simulate(play, *fault.series, seed=seed, shuffle=True, start_ns=starts_ns)


def rungs(world: World) -> set[Rung]:
    """Return the routes of the candle series."""
    return {each.rung for each in world.collector.health().series if each.series.what is not Feed.TRADES}


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 1012, 1013])
def test_a_cut_leaves_the_data_whole(code: int) -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        for _ in range(3):
            world.servers["kraken"].inject("hangup", code=code)
            await world.minutes(7.3)
        await world.minutes(5)
        assert [] == [line for name in NAMES for line in await world.differences(name)]

    simulate(play, *NAMES)


def test_a_stream_that_is_cut_and_refused_is_polled_until_it_is_back() -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("refuse_connections")
        world.servers["kraken"].inject("hangup", code=1006)
        await world.minutes(10)
        assert {Rung.POLL} == {health.rung for health in world.collector.health().series}
        world.servers["kraken"].inject("refuse_connections", on=False)
        await world.minutes(20)

        assert [] == [line for name in NAMES for line in await world.differences(name)]
        for name in NAMES:
            rungs = [switch.rung for switch in world.switches if str(switch.series) == name]
            assert [Rung.POLL, Rung.STREAM] == rungs

    simulate(play, *NAMES)


def test_a_bucket_that_the_stream_lost_is_healed() -> None:
    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("drop_candle", symbol="BTC/USD")
        await world.minutes(30)
        assert [] == [line for name in NAMES for line in await world.differences(name)]

    simulate(play, *NAMES)


def test_a_trade_that_comes_late_is_a_revision_found_by_the_audit() -> None:
    """REST says another thing than the stream said: history has the better evidence."""

    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("late_trade", symbol="BTC/USD")
        await world.minutes(40)
        revised = [candle for candle in world.delivered if candle.revision]
        assert {"kraken:BTC/USD@1m", "kraken:BTC/USD@5m"} >= {str(c.series) for c in revised}
        assert revised
        assert not world.switches, "one revised candle is no reason to leave the stream"

    simulate(play, *NAMES)


def test_junk_is_counted_and_nothing_else_happens() -> None:
    async def play(world: World) -> None:
        await world.minutes(3)
        for frame in ("", "{", "[]", '{"channel":"ohlc"}', '{"channel":"nonsense","data":[]}', "null"):
            world.servers["kraken"].inject("junk", frame=frame)
            await world.minutes(0.5)
        await world.minutes(5)
        assert [] == [line for name in NAMES for line in await world.differences(name)]
        [venue] = world.collector.health().venues
        assert venue.junk
        assert venue.attempts == venue.wanted_connections, "no connection was lost over it"

    simulate(play, *NAMES)


def test_one_venue_in_trouble_is_no_trouble_for_the_other() -> None:
    """I8: what happens at Kraken changes nothing for Yahoo."""

    async def play(world: World) -> None:
        await world.minutes(3)
        world.servers["yahoo"].inject("outage")
        await world.minutes(10)
        world.servers["yahoo"].inject("outage", on=False)
        await world.minutes(10)
        assert [] == await world.differences("kraken:BTC/USD@1m")
        polled = next(each for each in world.collector.health().series if each.series.venue == "yahoo")
        assert polled.closed >= 20, "and what the outage kept back was fetched afterwards"

    simulate(play, "kraken:BTC/USD@1m", "yahoo:BTC/USD@1m")


def test_a_split_has_all_of_history_read_again_and_is_said() -> None:
    """A day of minutes was stored on the old scale; each comes again as a revision, with its count."""

    async def play(world: World) -> None:
        name = "yahoo:AAPL@1m"
        await world.collector.add(name, since=running_clock().now_ns() - DAY_NS)
        await world.minutes(20)
        before = len(world.delivered)
        assert before > 300
        world.inject(next(fault for fault in FAULTS if fault.name == "split"))
        await world.minutes(15)

        assert [] == await world.broken(first_closes=False)
        assert before <= sum(candle.revision == 1 for candle in world.delivered) <= before + 1
        [health] = world.collector.health().series
        assert "split of 4:1" in health.rescaled
        assert 2 == world.collector.health().events["Rescaled"], "by its prices, and as the venue tells of it"
        assert health.closed == len({candle.open_ns for candle in world.delivered})

    simulate(play, "yahoo:AAPL@1m", start_ns=FAULTS[0].starts_ns[0])


def test_an_unknown_pair_is_refused_by_name_and_the_others_go_on() -> None:
    async def play(world: World) -> None:
        await world.minutes(10)
        assert [] == await world.differences("kraken:BTC/USD@1m")
        health = {str(each.series): each for each in world.collector.health().series}
        assert Condition.REFUSED is health["kraken:NOPE/USD@1m"].condition
        assert "NOPE/USD" in health["kraken:NOPE/USD@1m"].trouble

    simulate(play, "kraken:BTC/USD@1m", "kraken:NOPE/USD@1m")


# ------------------------------------------------------------------------------------- one upon the other


BOTH = ("kraken:BTC/USD@1m", "kraken:ETH/USD@5m", "yahoo:BTC/USD@1m", "yahoo:AAPL@5m")
Script = Sequence[tuple[float, Fault, float]]
"""Steps: minutes to wait, what begins then, and for how many minutes."""

# not what is about timeframes of its own; and a split comes to light with the next session
TOGETHER = [fault for fault in FAULTS if fault.starts_ns == FAULTS[0].starts_ns and fault.name != "split"]

scripts = st.lists(
    st.tuples(
        st.integers(0, 60).map(lambda tenths: tenths / 10),
        st.sampled_from(TOGETHER),
        st.integers(1, 120).map(lambda tenths: tenths / 10),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=5)
@given(script=scripts, seed=st.integers(0, 2**16))
def test_whatever_happens_in_whatever_order_the_data_is_whole_in_the_end(script: Script, seed: int) -> None:
    play_together(script, seed)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@settings(max_examples=500)
@given(script=scripts, seed=st.integers(0, 2**16))
def test_whatever_happens_in_hundreds_of_ways_the_data_is_whole_in_the_end(script: Script, seed: int) -> None:
    play_together(script, seed)


def play_together(script: Script, seed: int) -> None:
    """Play faults of both venues, one upon the other, around the ends of a session."""

    async def play(world: World) -> None:
        await world.minutes(3)
        ends: list[tuple[float, int, Fault]] = []
        now_min = 0.0
        for number, (wait_min, fault, lasts_min) in enumerate(script):
            now_min = await heal_until(world, ends, now_min, now_min + wait_min)
            world.inject(fault)
            ends.append((now_min + lasts_min, number, fault))
        await heal_until(world, ends, now_min, max(end_min for end_min, _, _ in ends))
        await world.minutes(110 if any(fault.venue == "yahoo" for _, fault, _ in script) else 35)

        # silence of less than a minute, of one symbol or of everything, looks like a quiet market
        misled = any(fault.misleads or fault.name in {"mute", "mute_symbol"} for _, fault, _ in script)
        assert [] == await world.broken(first_closes=not misled)
        assert {each.condition for each in world.collector.health().series} <= WELL

    simulate(play, *BOTH, seed=seed, shuffle=True, start_ns=FAULTS[0].starts_ns[seed % 2])


async def heal_until(
    world: World, ends: list[tuple[float, int, Fault]], now_min: float, until_min: float
) -> float:
    """Let time pass, and end each fault when its time has come; return *until_min*."""
    for end in sorted(end for end in ends if end[0] <= until_min):
        await world.minutes(end[0] - now_min)
        now_min = end[0]
        ends.remove(end)
        world.heal(end[2])
    await world.minutes(until_min - now_min)
    return until_min
