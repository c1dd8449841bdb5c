"""Trades and quotes that do not come any more: quiet or deaf is history's to say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulation.world import World, simulate
from wickwire.health import SeriesHealth
from wickwire.news import Condition, Doubted
from wickwire.simulate.listings import DEFAULT_LISTINGS, Listing

TRADES = "kraken:BTC/USD@trades"
NAMES = (TRADES, "kraken:ETH/USD@1m")


def feed(world: World) -> SeriesHealth:
    [health] = [each for each in world.collector.health().series if str(each.series) == TRADES]
    return health


@pytest.mark.parametrize("seed", [1, 2])
def test_a_feed_that_went_deaf_is_subscribed_to_anew_and_its_connection_kept(seed: int) -> None:
    async def play(world: World) -> None:
        heard: list[Doubted] = []
        world.collector.on_event(lambda one: heard.append(one) if isinstance(one, Doubted) else None)
        await world.minutes(5)
        world.servers["kraken"].inject("mute_symbol", symbol="BTC/USD")
        await world.minutes(4)
        assert Condition.STALE is feed(world).condition
        assert "history holds trades of" in feed(world).trouble
        assert any("of which nothing came here" in one.why for one in heard)
        [venue] = world.collector.health().venues
        assert len(venue.rotations) < feed(world).doubts, "first it was asked for anew"
        world.servers["kraken"].inject("mute_symbol", symbol="BTC/USD", on=False)
        await world.minutes(5)
        assert Condition.LIVE is feed(world).condition
        assert [] == await world.broken()

    simulate(play, *NAMES, seed=seed, shuffle=True)


def test_a_connection_that_stays_deaf_is_replaced() -> None:
    """The venue tells this connection nothing of the pair any more, however often it is asked."""

    async def play(world: World) -> None:
        await world.minutes(5)
        world.servers["kraken"].inject("mute_symbol", symbol="BTC/USD")
        await world.minutes(8)
        [venue] = world.collector.health().venues
        assert any("history holds trades of" in one.why for one in venue.rotations)
        world.servers["kraken"].inject("mute_symbol", symbol="BTC/USD", on=False)
        await world.minutes(5)
        assert Condition.LIVE is feed(world).condition
        assert [] == await world.broken()

    simulate(play, *NAMES)


def test_a_market_in_which_little_is_traded_is_quiet_and_asked_about_ever_more_rarely() -> None:
    rare = Listing(
        symbol="RARE/USD",
        price_decimals=2,
        size_decimals=4,
        level=Decimal(10),
        size=Decimal(1),
        trades_per_session=6,
    )

    async def play(world: World) -> None:
        await world.minutes(240)
        [health] = world.collector.health().series
        assert Condition.QUIET is health.condition
        assert 0 == health.doubts
        [venue] = world.collector.health().venues
        assert () == tuple(venue.rotations)
        asked = sum(map(len, world.counted.requests.values()))
        assert 3 <= asked <= 20, "each minute at first, each half hour in the end"

    simulate(play, "kraken:RARE/USD@trades", instruments=[*DEFAULT_LISTINGS, rare])


def test_a_feed_that_brought_nothing_from_the_start_is_asked_about() -> None:
    async def play(world: World) -> None:
        world.servers["kraken"].inject("mute_symbol", symbol="BTC/USD")
        await world.minutes(6)
        assert Condition.STALE is feed(world).condition
        assert "history holds trades of" in feed(world).trouble

    simulate(play, *NAMES)
