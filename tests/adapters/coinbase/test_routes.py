"""Candles of Coinbase by every route, on virtual time: what is made of what, and when history is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from tests.simulation.world import World, simulate
from wickwire import Evidence, Rung, SeriesCandle, parse_instant
from wickwire.simulate import Listing

FAST = Listing(
    symbol="FAST/USD",
    price_decimals=2,
    size_decimals=8,
    level=Decimal(100),
    size=Decimal(3),
    trades_per_session=86_400,
)
"""Traded once a second, so that nothing is asked for because it was silent."""

BEFORE_MIDNIGHT = parse_instant("2026-11-20T23:20:00Z")


def collected_by(route: Rung | None, name: str, play: Callable[[World], Awaitable[None]]) -> None:
    """Run *play* while *name* is collected by *route*."""

    async def pinned(world: World) -> None:
        await world.collector.add(name, route=route)
        await play(world)

    simulate(pinned, "coinbase:ETH/USD@5m", instruments=[FAST])


def closes(world: World, name: str) -> list[SeriesCandle]:
    return [each for each in world.delivered if str(each.series) == name and not each.revision]


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("coinbase:BTC/USD@5m", Rung.STREAM),
        ("coinbase:BTC/USD@5m", Rung.BUILD),
        ("coinbase:BTC/USD@5m", Rung.POLL),
        ("coinbase:BTC/USD@15m", Rung.RESAMPLE),
        ("coinbase:BTC/USD@15m", Rung.BUILD),
        ("coinbase:BTC/USD@15m", Rung.POLL),
        ("coinbase:BTC/USD@1h", Rung.RESAMPLE),
        ("coinbase:BTC/USD@1m", Rung.BUILD),
        ("coinbase:BTC/USD@1m", Rung.POLL),
    ],
)
def test_a_series_is_the_truth_by_whichever_route_is_pinned(name: str, route: Rung) -> None:
    async def play(world: World) -> None:
        await world.minutes(190)
        assert [] == await world.broken()
        assert {route} == {each.route for each in closes(world, name)}
        assert not world.switches

    collected_by(route, name, play)


@pytest.mark.parametrize("route", [Rung.STREAM, Rung.RESAMPLE])
def test_a_route_that_there_is_not_is_refused_with_the_one_that_there_is(route: Rung) -> None:
    """Nothing that is streamed divides a minute, and no minute is streamed."""

    async def play(world: World) -> None:
        [refused] = world.collector.plan("coinbase:BTC/USD@1m", route=route)
        assert refused.rung is Rung.REFUSE
        assert "without the pin it would be built" in refused.why

    simulate(play, "coinbase:ETH/USD@5m")


def test_the_bucket_in_which_trades_began_or_were_lost_is_historys_and_the_others_are_built() -> None:
    name = "coinbase:FAST/USD@15m"

    async def play(world: World) -> None:
        server = world.servers["coinbase"]
        await world.minutes(31)
        server.inject("lose_trades", symbol="FAST/USD", count=2)
        await world.minutes(30)
        server.inject("hangup")
        await world.minutes(15)
        server.inject("lose_messages", count=2)
        await world.minutes(30)
        assert [] == await world.broken()
        told = [each.evidence for each in closes(world, name)]
        built, history = Evidence.BUILT, Evidence.HISTORY
        assert [history, built, history, built, history, history, built] == told
        assert {0} == {each.revision for each in world.delivered}

    collected_by(Rung.BUILD, name, play)


def test_what_a_stream_made_is_compared_with_history_now_and_then_within_the_budget() -> None:
    """Without a fault every candle is the stream's, and one request in a quarter of an hour looks back."""
    names = ["coinbase:FAST/USD@1m", "coinbase:FAST/USD@5m", "coinbase:FAST/USD@15m"]

    async def play(world: World) -> None:
        await world.minutes(20)
        [venue] = world.collector.health().venues
        requests, candles = venue.requests, len(world.delivered)
        await world.minutes(90)
        assert [] == await world.broken()
        [venue] = world.collector.health().venues
        assert {Evidence.BUILT, Evidence.SUCCESSOR} >= {each.evidence for each in world.delivered[candles:]}
        assert len(world.delivered) - candles > 100
        assert len(names) * 4 <= venue.requests - requests <= len(names) * 13

    simulate(play, *names, instruments=[FAST])


def test_a_day_is_made_of_five_minutes_from_midnight_to_midnight() -> None:
    """The first day had begun before anybody listened, so it is history's."""
    name = "coinbase:BTC/USD@1d"

    async def play(world: World) -> None:
        await world.minutes(25 * 60)
        assert [] == await world.broken()
        first, second = closes(world, name)
        assert (Rung.RESAMPLE, Rung.RESAMPLE) == (first.route, second.route)
        assert Evidence.HISTORY is first.evidence
        assert Evidence.SUCCESSOR is second.evidence

    simulate(play, name, start_ns=BEFORE_MIDNIGHT, seed=2)  # which trades a second after that midnight


@pytest.mark.parametrize(
    ("timeframe", "route"),
    [
        *[("1m", Rung.BUILD), ("3m", Rung.BUILD), ("5m", Rung.STREAM), ("30s", Rung.BUILD)],
        *[(text, Rung.RESAMPLE) for text in ("10m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")],
        *[(text, Rung.RESAMPLE) for text in ("1w", "1mo")],
    ],
)
def test_every_timeframe_has_a_route(timeframe: str, route: Rung) -> None:
    async def play(world: World) -> None:
        [plan] = world.collector.plan(f"coinbase:BTC/USD@{timeframe}")
        assert route is plan.rung

    simulate(play, "coinbase:ETH/USD@5m")


def test_trades_come_with_the_takers_side_and_a_cut_loses_none() -> None:
    """Each new subscription begins with trades from before, which may have been told already."""

    async def play(world: World) -> None:
        await world.minutes(20)
        world.servers["coinbase"].inject("double_messages")
        world.servers["coinbase"].inject("hangup")
        await world.minutes(20)
        assert [] == await world.broken()
        told = {int(trade.id): trade for trade in world.trades}
        updates = Counter(trade.id for trade in world.trades if not trade.snapshot)
        assert {1} == {*updates.values()}
        first, *_, last = (told[number] for number in sorted(told))
        happened = world.market.trades("BTC/USD", first.time_ns, last.time_ns + 1)
        assert len(happened) > 200
        assert [(each.time_ns, each.side) for each in happened] == [
            (told[number].time_ns, told[number].side) for number in sorted(told)
        ]

    simulate(play, "coinbase:BTC/USD@trades")
