"""Candles that no venue streams as such, made of what it does stream, against the market's truth."""

from __future__ import annotations

import pytest

from tests.simulation.world import World, simulate
from wickwire import Evidence, Rung, Series, SeriesCandle


async def stored(world: World, text: str):
    """What is in the store of a series."""
    return await world.store.candles(Series.parse(text), 0, 2**62, limit=10**6)


@pytest.mark.parametrize("seed", range(3))
def test_larger_candles_are_resampled_whole(seed: int) -> None:
    """Beside the smaller ones that they are made of, on one subscription, exact to the last digit."""

    async def play(world: World) -> None:
        await world.minutes(60)
        for name in names:
            assert [] == await world.differences(name)
        made = [candle for name in names[1:] for candle in await stored(world, name)]
        assert {Rung.RESAMPLE} == {candle.route for candle in made}
        assert {candle.evidence for candle in made} - {Evidence.HISTORY}, "none was closed by the stream"
        [kraken] = world.collector.health().venues
        assert 1 == kraken.connections

    names = ["kraken:BTC/USD@1m", "kraken:BTC/USD@3m", "kraken:BTC/USD@6m", "kraken:ETH/USD@3m"]
    simulate(play, *names, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_candles_are_built_from_trades_whole(seed: int) -> None:
    """The bucket in which the subscription began comes from history; the others are built."""

    async def play(world: World) -> None:
        built = await world.collector.add("kraken:BTC/USD@1m", route=Rung.BUILD)
        await world.minutes(45)
        assert [] == await world.differences(str(built))
        made = await stored(world, str(built))
        assert Evidence.BUILT in {candle.evidence for candle in made}
        assert 0 == sum(candle.revision for candle in made)
        assert not world.switches

    simulate(play, "kraken:BTC/USD@trades", seed=seed)


@pytest.mark.parametrize("venue", ["kraken", "coinbase"])
@pytest.mark.parametrize("seed", range(3))
def test_trades_that_are_missing_are_noticed_by_their_numbers(venue: str, seed: int) -> None:
    """Nothing else tells: the connection lives, and all that comes is well-formed."""

    async def play(world: World) -> None:
        told: list[SeriesCandle] = []
        world.collector.on_candle(told.append)
        built = await world.collector.add(f"{venue}:BTC/USD@1m", route=Rung.BUILD)
        for _ in range(6):
            await world.minutes(5.35)
            world.servers[venue].inject("lose_trades", symbol="BTC/USD", count=2)
        await world.minutes(10)
        assert [] == await world.differences(str(built))
        assert {Evidence.BUILT, Evidence.HISTORY} == {candle.evidence for candle in told}
        assert 0 == sum(candle.revision for candle in told)

    simulate(play, f"{venue}:BTC/USD@trades", seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_made_survives_cuts(seed: int) -> None:
    """A cut makes the running bucket history's; nothing is missing, doubled or half-built afterwards."""

    async def play(world: World) -> None:
        await world.collector.add("kraken:ETH/USD@1m", route=Rung.BUILD)
        for _ in range(4):
            await world.minutes(7.3)
            world.transport.cut()
        await world.minutes(20)
        for name in ("kraken:BTC/USD@3m", "kraken:BTC/USD@1m", "kraken:ETH/USD@1m"):
            assert [] == await world.differences(name)

    simulate(play, "kraken:BTC/USD@3m", "kraken:BTC/USD@1m", seed=seed)
