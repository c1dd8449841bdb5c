"""A venue that stays away: for ever at the slowest pace, or, where the config says so, loudly the end."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.framework.scripted import Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import Backoff, Condition, FaultKind, GivenUp, StreamClosed, TransportError, VenueError
from wickwire.collector import Collector
from wickwire.config import parse_config
from wickwire.errors import ConfigError, WickwireError
from wickwire.retry import PRESETS, Advice, Retries

THREE = Backoff(attempts=3)


@pytest.mark.parametrize(
    ("name", "ceilings"),
    [
        ("patient", [5, 10, 20, 40, 80, 160, 300, 300]),
        ("eager", [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]),
        ("default", [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 180, 180]),
    ],
)
def test_schedules_by_name_have_the_ceilings_that_they_are_known_for(
    name: str, ceilings: list[float]
) -> None:
    assert [PRESETS[name].ceiling_s(attempt) for attempt in range(1, len(ceilings) + 1)] == pytest.approx(
        ceilings
    )


def test_without_jitter_the_waits_are_the_ceilings() -> None:
    exact, rng = Backoff(first_s=5, cap_s=300, jitter=0), random.Random(1)
    assert [5, 10, 20] == [exact.wait_s(attempt, rng) for attempt in (1, 2, 3)]
    assert exact.wait_s(1, rng, Advice.FIX) == 600


def test_half_of_the_jitter_leaves_half_of_the_wait() -> None:
    half, rng = Backoff(first_s=8, jitter=0.5), random.Random(1)
    waits = [half.wait_s(1, rng) for _ in range(200)]
    assert 4 <= min(waits) < 4.2
    assert 7.8 < max(waits) <= 8


@pytest.mark.parametrize(
    "wrong", [{"jitter": 1.1}, {"jitter": -0.1}, {"attempts": 0}, {"cap_s": float("inf")}]
)
def test_a_schedule_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Backoff(**wrong)  # type: ignore[arg-type]  # one of the values is an int


# ------------------------------------------------------------------------------------------- in the config


def test_the_config_names_a_schedule_and_may_change_it() -> None:
    text = """
    [venues.kraken]
    backoff = "patient"
    [venues.yahoo.backoff]
    preset = "eager"
    attempts = 20
    """
    config = parse_config(text)
    assert config.venue("kraken").backoff == PRESETS["patient"]
    assert config.venue("yahoo").backoff == Backoff(first_s=0.1, cap_s=60, attempts=20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[venues.kraken]\nbackoff = "patent"', "did you mean 'patient'"),
        ('[venues.kraken.backoff]\npreset = "patent"', "venues.kraken.backoff: there is no schedule"),
        ("[venues.kraken.backoff]\npreset = 5", "venues.kraken.backoff.preset"),
        ("[venues.kraken.backoff]\nattempts = 0", "venues.kraken.backoff"),
    ],
)
def test_a_wrong_schedule_names_file_key_and_reason(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"wickwire\.toml") as raised:
        parse_config(text)
    assert words in str(raised.value)


# --------------------------------------------------------------------------------------------- at run time


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (TransportError("refused"), 3),
        (StreamClosed("gone", code=1006), 3),
        (VenueError(FaultKind.OUTAGE, "scripted: busy"), 3),
        (VenueError(FaultKind.CREDENTIALS, "scripted: wrong key"), 3),
        (VenueError(FaultKind.SYMBOL, "scripted: no such symbol"), None),
    ],
)
def test_only_what_concerns_the_venue_ends_the_collector(error: WickwireError, after: int | None) -> None:
    retries = Retries(THREE, random.Random(1))
    for attempt in range(1, 6):
        retries.failed(error)
        ends = retries.given_up(error, "why")
        assert isinstance(ends, GivenUp) == (after is not None and attempt >= after)


def test_a_stream_that_cannot_be_had_ends_the_collector_with_the_reason_and_all_is_stored() -> None:
    seen: list[World] = []

    async def test(world: World, collector: Collector) -> None:
        seen.append(world)
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.trade(101)
        world.transport.refuse = TransportError("scripted.test: connection refused")
        world.stream.hang_up()
        await asyncio.sleep(3_600)
        pytest.fail("it went on")

    with pytest.raises(GivenUp, match=r"connection refused; given up after 3 attempts in a row"):
        play(test, World(plugin=Scripted(rest=False)), backoff=THREE)
    [world] = seen
    assert [100] == [int(candle.close) for candle in asyncio.run(world.stored())]


def test_readers_end_before_it_is_raised() -> None:
    ended = False

    async def test(world: World, collector: Collector) -> None:
        nonlocal ended
        world.down = True
        await collector.add("scripted:BTC/USD@1m")
        assert [] == [candle async for candle in collector.candles()]
        ended = True

    with pytest.raises(GivenUp, match="unreachable"):
        play(test, World(plugin=Scripted(stream=False)), backoff=THREE)
    assert ended


def test_data_that_flows_long_enough_forgets_the_failures_before_it() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        for _ in range(6):
            await accepted(world)
            for _ in range(5):
                world.trade(100)
                await asyncio.sleep(10)
            world.stream.hang_up()
            await asyncio.sleep(20)
        [health] = collector.health().series
        assert health.condition is not Condition.STOPPED

    play(test, backoff=THREE)


def test_without_a_number_it_goes_on_for_ever() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.down = True
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(86_400)
        world.down = False
        world.truth[world.minute] = 7
        await world.next_minute(180)
        assert [7] == [int(candle.close) for candle in await world.stored()][-1:]

    play(test, World(plugin=Scripted(stream=False)))
