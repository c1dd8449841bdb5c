"""A collector that knows only `ExchangeQueue` stores the truth through the facade."""

from __future__ import annotations

import asyncio

import pytest

from tests.plugins.fullon.host import LiveOHLCVCollector, Symbol
from tests.plugins.fullon.scene import EXCHANGES, Scene, played
from wickwire import Condition

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


@pytest.mark.parametrize("streaming", ["auto", "native-only"])
def test_every_minute_is_called_back_once_after_its_close(streaming: str) -> None:
    """Kraken's wire tells each minute many times: with the first of these, a host would keep the opening."""

    async def play(scene: Scene) -> None:
        came: list[tuple[float, list[list[float]]]] = []
        handler = await scene.queue.get_websocket_handler(EXCHANGES[0])
        await handler.subscribe_ohlcv(
            "BTC/USD", "1m", lambda payload: came.append((scene.now.timestamp(), payload))
        )
        begun_s = scene.now.timestamp()
        await scene.minutes(12)

        opens_s = [payload[0][0] / 1_000 for _, payload in came]
        truth = scene.truth("kraken:BTC/USD@1m", int(begun_s - 60) * 10**9, int(begun_s + 660) * 10**9)
        over = [candle for candle in truth if begun_s < candle.close_ns / 1e9 < begun_s + 660]
        assert [candle.open_ns / 1e9 for candle in over] == opens_s[: len(over)]
        assert all(len(payload) == 1 and len(payload[0]) == 6 for _, payload in came)
        assert all(opened + 60 <= at < opened + 70 for (at, _), opened in zip(came, opens_s, strict=True))
        for candle, (_, [row]) in zip(over, came, strict=False):
            assert [float(candle.close), float(candle.volume)] == row[4:]

    played(play, streaming=streaming)


def test_symbols_are_added_while_it_runs_and_the_same_one_twice() -> None:
    async def play(scene: Scene) -> None:
        host = collector(scene, Symbol.named("kraken", "BTC/USD"))
        await host.start_collection()
        await scene.minutes(5)
        await host.add_symbol(Symbol.named("kraken", "ETH/USD"))
        await host.add_symbol(Symbol.named("coinbase", "BTC/USD"))
        await host.start_symbol(Symbol.named("yahoo", "ETH/USD"))
        await host.add_symbol(Symbol.named("kraken", "ETH/USD"))
        await host.start_symbol(Symbol.named("kraken", "BTC/USD"))
        await scene.minutes(20)

        for key in ("kraken:BTC/USD", "kraken:ETH/USD", "coinbase:BTC/USD", "yahoo:ETH/USD"):
            assert [] == scene.wrong(key)
        assert not host.polls

    played(play)


def test_what_an_exchange_does_not_have_costs_a_warning_and_no_other_symbol() -> None:
    async def play(scene: Scene) -> None:
        host = collector(scene, Symbol.named("kraken", "BTC/USD:BTC"), Symbol.named("kraken", "BTC/USD"))
        await host.start_collection()
        await scene.minutes(6)

        assert [] == scene.wrong("kraken:BTC/USD")
        assert "kraken:BTC/USD:BTC" not in scene.repository.saved

    played(play)


def test_an_exchange_of_which_the_host_makes_candles_itself_is_left_to_its_trades() -> None:
    async def play(scene: Scene) -> None:
        host = collector(scene, *BTC)
        await host.start_collection()
        await scene.minutes(6)

        assert {"coinbase:BTC/USD", "yahoo:BTC/USD"} == scene.repository.saved.keys()

    played(play, needs_trades=["kraken"])


def test_an_exchange_that_is_down_at_the_start_stops_no_other_and_joins_when_it_is_back() -> None:
    async def play(scene: Scene) -> None:
        scene.refuse("coinbase")
        host = collector(scene, *BTC)
        await host.start_collection()
        await scene.minutes(15)

        assert {"kraken:BTC/USD", "yahoo:BTC/USD"} == scene.repository.saved.keys()
        [series] = scene.queue.health()["coinbase#1"].series
        assert series.condition in {Condition.STARTING, Condition.STALE, Condition.RECONNECTING}
        assert series.trouble
        scene.refuse("coinbase", refused=False)
        await scene.minutes(25)
        for symbol in BTC:
            assert [] == scene.wrong(symbol.key)
        first, _ = scene.repository.saved["coinbase:BTC/USD"][0]
        assert first < scene.repository.saved["kraken:BTC/USD"][2][0], "what it missed is there, too"

    played(play)


def test_what_a_callback_raises_is_counted_and_ends_nothing() -> None:
    async def play(scene: Scene) -> None:
        came: list[float] = []

        def callback(payload: list[list[float]]) -> None:
            came.append(payload[0][0])
            raise ValueError("no room")

        handler = await scene.queue.get_websocket_handler(EXCHANGES[0])
        await handler.subscribe_ohlcv("BTC/USD", "1m", callback)
        await scene.minutes(5)
        assert len(came) == 5

    played(play)


def test_a_hole_that_history_does_not_heal_holds_candles_up_only_for_so_long() -> None:
    """REST stays away while the stream is back: candles go on after a while, and the others follow late."""

    async def play(scene: Scene) -> None:
        host = collector(scene, Symbol.named("coinbase", "BTC/USD"))
        await host.start_collection()
        await scene.minutes(5.5)
        server = scene.servers["coinbase"]
        for origin in server.rest_origins:
            scene.transport.refuse(origin)
        server.inject("refuse_connections")
        server.inject("hangup", code=1006)
        await scene.minutes(20)  # more than the stream tells again when it is back
        server.inject("refuse_connections", on=False)
        await scene.minutes(6)
        held = len(scene.repository.saved["coinbase:BTC/USD"])
        await scene.minutes(12)
        assert held <= 7
        assert len(scene.repository.saved["coinbase:BTC/USD"]) > held + 5
        for origin in server.rest_origins:
            scene.transport.refuse(origin, refused=False)
        await scene.minutes(15)
        assert {"coinbase:BTC/USD: not in order"} >= {*scene.wrong("coinbase:BTC/USD")}

    played(play, order_patience_s=600.0)
