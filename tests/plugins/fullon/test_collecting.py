"""A collector that knows only `ExchangeQueue` stores the truth through the facade."""

from __future__ import annotations

import asyncio

import pytest

from tests.plugins.fullon.host import LiveOHLCVCollector, Symbol
from tests.plugins.fullon.scene import EXCHANGES, Scene, played

BTC = [Symbol.named(name, "BTC/USD") for name in ("kraken", "coinbase", "yahoo")]


def collector(scene: Scene, *symbols: Symbol) -> LiveOHLCVCollector:
    return LiveOHLCVCollector(scene.queue, EXCHANGES, symbols, scene.repository)


def test_start_collection_stores_the_truth_of_streams_and_of_what_is_polled() -> None:
    """Kraken streams minutes, Coinbase's are built of trades, Yahoo is polled: it sees no difference."""

    async def play(scene: Scene) -> None:
        host = collector(scene, *BTC, Symbol.named("kraken", "ETH/USD"))
        await host.start_collection()
        await scene.minutes(40)

        for symbol in host.symbols:
            assert [] == scene.wrong(symbol.key)
            assert len(scene.repository.saved[symbol.key]) >= 36
            assert host.processes.statuses[symbol.key] == "running"

    played(play)


@pytest.mark.parametrize("outage_s", [0.0, 400.0])
def test_a_reconnect_in_the_middle_leaves_no_gap_and_changes_no_order(outage_s: float) -> None:
    async def play(scene: Scene) -> None:
        host = collector(scene, *BTC)
        await host.start_collection()
        await scene.minutes(10.5)
        for symbol in BTC:
            scene.refuse(symbol.cat_exchange.name)
        await asyncio.sleep(outage_s)
        for symbol in BTC:
            scene.refuse(symbol.cat_exchange.name, refused=False)
        await scene.minutes(25)

        for symbol in BTC:
            assert [] == scene.wrong(symbol.key)

    played(play)
