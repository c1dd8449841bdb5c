"""Trades and quotes that do not come any more: quiet or deaf is history's to say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulation.test_dxlink import SECRETS
from tests.simulation.world import World, simulate
from wickwire import Account
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


def test_a_quiet_feed_is_not_taken_for_deaf_by_a_clock_that_is_behind() -> None:
    """By such a clock its last trade came before it was made, and history holds it (seed 2020)."""

    async def play(world: World) -> None:
        await world.minutes(120)
        assert 0 == sum(each.doubts for each in world.collector.health().series)

    names = [f"dxlink:{symbol}/USD@trades" for symbol in ("ETH", "DOGE", "XRP")]
    simulate(play, *names, accounts={"dxlink": Account(secrets=SECRETS)}, off_s=-3.0)


def test_a_feed_of_which_little_came_before_it_went_deaf_is_asked_about_soon() -> None:
    """Nobody knows yet how long it is usually silent (seed 2027)."""

    async def play(world: World) -> None:
        await world.minutes(0.3)
        [health] = world.collector.health().series
        assert Condition.LIVE is health.condition
        world.servers["coinbase"].inject("silent_ack")
        world.servers["coinbase"].inject("hangup", code=1006)
        await world.minutes(4)
        [health] = world.collector.health().series
        assert Condition.STALE is health.condition
        assert "history holds trades of" in health.trouble

    simulate(play, "coinbase:BTC/USD@trades", seed=3)


def test_a_feed_that_brought_nothing_from_the_start_is_asked_about() -> None:
    async def play(world: World) -> None:
        world.servers["kraken"].inject("mute_symbol", symbol="BTC/USD")
        await world.minutes(6)
        assert Condition.STALE is feed(world).condition
        assert "history holds trades of" in feed(world).trouble

    simulate(play, *NAMES)
