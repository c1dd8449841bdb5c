"""The past through the facade: more than one page of the venue, never twice, and to its true end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tests.plugins.fullon.host import (
    PAGE,
    HistoricOHLCVCollector,
    HistoricTradeCollector,
    LiveOHLCVCollector,
    Symbol,
)
from tests.plugins.fullon.scene import EXCHANGES, Scene, played
from wickwire import DAY_NS, HOUR_NS, SECOND_NS, Collector, PlanError, TransportError, UsageError, VenueError
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire_fullon.past import Past


def historic(scene: Scene) -> HistoricOHLCVCollector:
    return HistoricOHLCVCollector(scene.queue, EXCHANGES, scene.repository)


@pytest.mark.parametrize("streaming", ["auto", "native-only"])
@pytest.mark.parametrize("exchange", ["coinbase", "yahoo"])
def test_history_is_whole_and_a_second_run_stores_nothing_twice(exchange: str, streaming: str) -> None:
    """Coinbase serves 350 rows a page: a host that saw these would take them for the end."""

    async def play(scene: Scene) -> None:
        symbol = Symbol.named(exchange, "BTC/USD")
        host = historic(scene)
        count = await host.collect(symbol, scene.now)

        assert count > PAGE
        assert [] == scene.wrong(symbol.key)
        first, _ = scene.repository.saved[symbol.key][0]
        assert 0 <= first.timestamp() - scene.now.timestamp() + 86_400 < 200
        await scene.minutes(30)
        assert await host.collect(symbol, scene.now) in range(26, 32)
        assert [] == scene.wrong(symbol.key)

    played(play, streaming=streaming)


def test_what_lies_between_history_and_the_first_live_candle_is_called_back_too() -> None:
    async def play(scene: Scene) -> None:
        symbols = [Symbol.named(name, "BTC/USD") for name in ("kraken", "coinbase", "yahoo")]
        await asyncio.gather(*(historic(scene).collect(symbol, scene.now) for symbol in symbols))
        await scene.minutes(17)
        live = LiveOHLCVCollector(scene.queue, EXCHANGES, symbols, scene.repository)
        await live.start_collection()
        await scene.minutes(6)

        for symbol in symbols:
            assert [] == scene.wrong(symbol.key)

    played(play)


def test_days_before_september_2001_are_stamped_in_seconds() -> None:
    """In milliseconds they would be below what collectors take for milliseconds: the year 31,993."""

    async def play(scene: Scene) -> None:
        symbol = Symbol.named("yahoo", "BTC/USD", updateframe="1d", backtest=30)
        await historic(scene).collect(symbol, scene.now)

        stamps = [stamp for stamp, _ in scene.repository.saved[symbol.key]]
        assert min(stamps) < datetime(2001, 9, 9, tzinfo=UTC) < max(stamps)
        assert [] == scene.wrong(symbol.key, "1d", behind_s=2 * 86_400)
        assert len(stamps) == 28  # the last day is over, and not settled

    start_ns = round(datetime(2001, 9, 20, tzinfo=UTC).timestamp()) * SECOND_NS
    played(play, days=40, start_ns=start_ns)


@pytest.mark.parametrize("exchange", ["kraken", "coinbase", "yahoo"])
def test_without_since_the_last_row_is_the_only_one_that_is_not_closed(exchange: str) -> None:
    async def play(scene: Scene) -> None:
        await asyncio.sleep(23)
        handler = await scene.queue.get_rest_handler(scene.exchange(exchange))
        rows = await handler.get_ohlcv("BTC/USD", timeframe="1m", limit=5)

        opened_s = scene.now.timestamp() // 60 * 60
        assert [opened_s - 240 + 60 * n for n in range(5)] == [row[0] / 1_000 for row in rows]
        since_ns = round(opened_s - 240) * SECOND_NS
        truth = scene.truth(f"{exchange}:BTC/USD@1m", since_ns, since_ns + 240 * SECOND_NS)
        assert [float(candle.close) for candle in truth] == [row[4] for row in rows[:-1]]

    played(play)


def test_where_nothing_was_traded_yet_the_last_row_is_flat() -> None:
    """A host takes the row before the last for the newest closed one, whatever happened since."""

    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("coinbase"))
        newest, last = [0.0], [1.0] * 6
        while last[5]:
            await asyncio.sleep(60 - scene.now.timestamp() % 60 + 6)
            newest, last = await handler.get_ohlcv("LTC/USD", timeframe="1m", limit=2)
        assert last[1:5] == [newest[4]] * 4
        assert last[0] == scene.now.timestamp() // 60 * 60_000
        over_ns = round(scene.now.timestamp() // 60 * 60) * SECOND_NS
        closed = scene.truth("coinbase:LTC/USD@1m", over_ns - 2 * HOUR_NS, over_ns)
        assert newest[0] * 1_000_000 == closed[-1].open_ns

    played(play)


def test_history_that_cannot_be_had_says_why() -> None:
    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("kraken"))
        with pytest.raises((VenueError, PlanError), match="NOSUCH"):
            await handler.get_ohlcv("NOSUCH/USD", since=0, limit=PAGE)
        with pytest.raises(PlanError, match="yahoo serves no trades of the past"):
            await (await scene.queue.get_rest_handler(scene.exchange("yahoo"))).get_public_trades("BTC/USD")
        scene.refuse("kraken")
        with pytest.raises(TransportError, match=r"kraken:BTC/USD@1m: history did not answer within 60 s"):
            await handler.get_ohlcv("BTC/USD", since=0, limit=PAGE)
        scene.refuse("kraken", refused=False)
        assert await handler.get_ohlcv("BTC/USD", limit=2)
        assert [] == await handler.get_ohlcv("BTC/USD", limit=0)

    played(play)


@pytest.mark.parametrize("exchange", ["kraken", "coinbase"])
def test_trades_of_the_past_are_those_of_the_market_though_the_host_skips_the_rest_of_a_second(
    exchange: str,
) -> None:
    async def play(scene: Scene) -> None:
        await asyncio.sleep(3)
        symbol = Symbol.named(exchange, "BTC/USD")
        since_s = int(scene.now.timestamp()) - 7_200
        host = HistoricTradeCollector(scene.queue, EXCHANGES, scene.repository)
        count = await host.collect(symbol, float(since_s), scene.now.timestamp())

        rows = scene.repository.trades[symbol.key]
        until_ns = running_clock().now_ns() - 4 * SECOND_NS
        truth = scene.market.trades("BTC/USD", since_s * SECOND_NS, until_ns)
        assert [float(trade.price) for trade in truth] == [row["price"] for row in rows][: len(truth)]
        assert [float(trade.size) for trade in truth] == [row["amount"] for row in rows][: len(truth)]
        assert {row["side"] for row in rows} == {"buy", "sell"}
        assert len({row["id"] for row in rows}) == count

    played(play, needs_trades=["kraken", "coinbase"])


def test_trades_were_asked_for_in_milliseconds_once() -> None:
    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("kraken"))
        since_s = int(scene.now.timestamp()) - 600
        old = await handler.get_trades("BTC/USD", since=since_s * 1_000, limit=50)

        assert old == await handler.get_public_trades("BTC/USD", since=float(since_s), limit=50)
        assert old == await handler.get_public_trades("BTC/USD", since=since_s * 1_000, limit=50)
        recent = await handler.get_public_trades("BTC/USD", limit=10)
        assert len(recent) == 10
        assert recent[-1]["timestamp"] > (scene.now.timestamp() - 120) * 1_000

    played(play)


def test_a_limit_below_what_there_is_gives_the_first_rows() -> None:
    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("coinbase"))
        since_ns = running_clock().now_ns() - DAY_NS
        rows = await handler.get_ohlcv("BTC/USD", timeframe="1h", since=since_ns // 1_000_000, limit=3)

        truth = scene.truth("coinbase:BTC/USD@1h", since_ns, since_ns + 5 * HOUR_NS)
        assert [candle.open_ns // 1_000_000 for candle in truth][:3] == [row[0] for row in rows]

    played(play)


def test_years_before_trading_began_cost_a_few_requests() -> None:
    """A host asks for its `backtest` days, whatever the age of a symbol; of minutes these are many pages."""

    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("coinbase"))
        before = scene.transport.requested
        rows = await handler.get_ohlcv("BTC/USD", timeframe="1m", since=1_000_000_000_000, limit=PAGE)

        begun_ns = scene.market.start_ns - 60 * SECOND_NS
        truth = scene.truth("coinbase:BTC/USD@1m", begun_ns, begun_ns + DAY_NS)
        assert [candle.open_ns // 1_000_000 for candle in truth][:PAGE] == [row[0] for row in rows]
        assert scene.transport.requested - before < 60

    played(play)


def test_who_waits_for_a_turn_among_many_is_not_told_that_nobody_answers() -> None:
    """Kraken takes a request a second; a host that reads a hundred symbols at once waits for minutes."""

    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("kraken"))
        symbols = ["BTC/USD", "ETH/USD"] * 50
        begun_s = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(handler.get_ohlcv(symbol, limit=2) for symbol in symbols))

        assert all(len(rows) == 2 for rows in answers)
        assert asyncio.get_running_loop().time() - begun_s > 70

    played(play)


def test_a_shutdown_waits_for_who_reads_the_past_and_tells_them() -> None:
    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(scene.exchange("kraken"))
        past, ended = handler._past, list[str]()
        for origin in scene.servers["kraken"].rest_origins:
            scene.transport.mute(origin)

        async def read() -> None:
            try:
                with pytest.raises(
                    UsageError, match="the facade was shut down meanwhile; get a handler again"
                ):
                    await handler.get_ohlcv("BTC/USD", since=(scene.now.timestamp() - 600) * 1_000)
            finally:
                ended.append("read")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(read())
            await asyncio.sleep(1)
            past.stop()
            await past.stopped()
            assert 0 == len(past._waits), "nobody asks the venue any more"
            await scene.queue.shutdown_factory()
        assert ["read", "read"] == ended
        with pytest.raises(UsageError, match="kraken is shut down"):
            await handler.get_ohlcv("BTC/USD")

    played(play)


def test_a_shutdown_waits_for_nobody_where_nobody_reads() -> None:
    async def main() -> None:
        past = Past(Collector(), running_clock(), 60.0)
        async with asyncio.timeout(1):
            past.stop()
            await past.stopped()

    run_virtual(main())
