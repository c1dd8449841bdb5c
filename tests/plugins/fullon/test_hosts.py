"""Hosts of all ages and habits: what they call, in what order, and what is left when they are done."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.plugins.fullon.host import (
    Exchange,
    LiveOHLCVCollector,
    LiveTradeCollector,
    Symbol,
    TickerService,
    read_row,
)
from tests.plugins.fullon.scene import EXCHANGES, Scene, played
from wickwire import MINUTE_NS, Backoff, ConfigError, PlanError, Status, UsageError
from wickwire.simulate.loops import running_clock
from wickwire_fullon import FullonQueue

KRAKEN, COINBASE, YAHOO = EXCHANGES
BTC = [Symbol.named(name, "BTC/USD") for name in ("kraken", "coinbase", "yahoo")]


# ------------------------------------------------------------------------------------------- the end of all


async def everything(scene: Scene) -> None:
    """Let a host collect candles, trades and ticks of all there is."""
    await LiveOHLCVCollector(scene.queue, EXCHANGES, BTC, scene.repository).start_collection()
    await LiveTradeCollector(scene.queue, EXCHANGES[:2]).start(BTC)
    await TickerService(scene.queue, EXCHANGES).start(BTC)


def test_after_the_shutdown_nothing_is_stored_and_nothing_is_left() -> None:
    async def play(scene: Scene) -> None:
        await everything(scene)
        await scene.minutes(5.3)
        handler = await scene.queue.get_websocket_handler(KRAKEN)
        assert scene.transport.open_streams
        await scene.queue.shutdown_factory()
        scene.repository.closed = True

        assert [] == scene.left()
        asked = scene.transport.requested
        await scene.minutes(5)
        assert asked == scene.transport.requested
        await scene.queue.shutdown_factory()
        assert not handler.is_connected()
        for call in (handler.get_ohlcv("BTC/USD"), handler.subscribe_trades("BTC/USD", print)):
            with pytest.raises(UsageError, match="kraken is shut down; get a handler again"):
                await call

    played(play)


@pytest.mark.parametrize("initialized", [True, False])
def test_after_a_shutdown_it_can_begin_again(*, initialized: bool) -> None:
    """Collectors of today never initialize anything, and are started again all the same."""

    async def play(scene: Scene) -> None:
        await everything(scene)
        await scene.minutes(3)
        await scene.queue.shutdown_all()
        scene.repository.saved.clear()
        if initialized:
            await scene.queue.initialize_factory()
        await everything(scene)
        await scene.minutes(6)
        for symbol in BTC:
            assert [] == scene.wrong(symbol.key)

    played(play)


def test_a_task_that_was_at_it_while_another_shut_down_opens_nothing_again() -> None:
    async def play(scene: Scene) -> None:
        go = asyncio.Event()

        async def straggler() -> None:
            await scene.queue.get_rest_handler(KRAKEN)
            await go.wait()
            with pytest.raises(UsageError, match=r"shut down meanwhile; call initialize_factory\(\) first"):
                await scene.queue.get_rest_handler(COINBASE)
            await scene.queue.initialize_factory()
            assert (await scene.queue.get_rest_handler(COINBASE)).connected

        task = asyncio.get_running_loop().create_task(straggler())
        await asyncio.sleep(1)
        await scene.queue.shutdown_factory()
        go.set()
        await task

    played(play)


def test_two_shutdowns_at_once_and_one_from_within_a_callback_come_to_an_end() -> None:
    async def play(scene: Scene) -> None:
        came: list[object] = []

        async def callback(_: object) -> None:
            begun_s = asyncio.get_running_loop().time()
            await scene.queue.shutdown_factory()
            came.append(asyncio.get_running_loop().time() - begun_s)

        handler = await scene.queue.get_websocket_handler(KRAKEN)
        await handler.subscribe_ohlcv("BTC/USD", "1m", callback)
        await scene.minutes(3)
        assert [0.0] == came, "called once, and it did not wait for itself"
        assert [] == scene.left()
        await asyncio.gather(scene.queue.shutdown_factory(), scene.queue.shutdown_factory())

    played(play)


def test_a_callback_that_is_under_way_comes_to_its_end_and_one_that_hangs_is_cancelled() -> None:
    async def play(scene: Scene) -> None:
        done: list[str] = []
        begun = asyncio.Event()

        async def slow(_: object) -> None:
            begun.set()
            await asyncio.sleep(3)
            done.append("slow")

        async def hangs(_: object) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                done.append("cancelled")

        handler = await scene.queue.get_websocket_handler(KRAKEN)
        await handler.subscribe_ohlcv("BTC/USD", "1m", slow)
        await handler.subscribe_ohlcv("BTC/USD", "1m", hangs)
        await begun.wait()
        begun_s = asyncio.get_running_loop().time()
        await scene.queue.shutdown_factory()

        assert done == ["slow", "cancelled"]
        assert asyncio.get_running_loop().time() - begun_s < 10

    played(play)


def test_a_shutdown_at_any_moment_leaves_nothing() -> None:
    """While handlers are made, while the host subscribes, and while history is read."""

    async def play(scene: Scene) -> None:
        for moment_s in (0.0, 0.01, 0.06, 0.11, 0.4, 2.0, 61.0):
            await scene.queue.initialize_factory()
            host = asyncio.get_running_loop().create_task(everything(scene))
            handler = await scene.queue.get_rest_handler(COINBASE)
            reading = asyncio.get_running_loop().create_task(
                handler.get_ohlcv("BTC/USD", since=0, limit=10**6)
            )
            await asyncio.sleep(moment_s)
            await scene.queue.shutdown_factory()
            await asyncio.wait([host, reading])
            for task in (host, reading):
                assert task.exception() is None or isinstance(task.exception(), UsageError)
            assert [] == scene.left()

    played(play)


def test_cancelling_whoever_began_it_ends_nothing_else() -> None:
    async def play(scene: Scene) -> None:
        first = asyncio.get_running_loop().create_task(scene.queue.get_websocket_handler(KRAKEN))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        await everything(scene)
        await scene.minutes(4)
        assert [] == scene.wrong("kraken:BTC/USD")

    played(play)


FORGETFUL = """
import asyncio, atexit
from functools import partial
from types import SimpleNamespace

from wickwire import Collector, SystemClock
from wickwire.simulate import SeededMarket
from wickwire.simulate.loopback import serve
from wickwire_fullon import FullonQueue
import wickwire_kraken

class ExchangeRow:
    cat_exchange = SimpleNamespace(name="kraken")

async def main():
    clock = SystemClock()
    market = SeededMarket(1, clock.now_ns() // 10**9 * 10**9 - 86400 * 10**9)
    async with serve([wickwire_kraken.simulate(market)], clock) as line:
        queue = FullonQueue(collector=partial(Collector, redirects=line.redirects, world="simulated"))
        came = asyncio.Event()
        handler = await queue.get_websocket_handler(ExchangeRow())
        await handler.subscribe_ticker("BTC/USD", lambda tick: came.set())
        await came.wait()
        print("tick", line.streams)
        {end}
    print("ended")

{run}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "run"),
    [
        ("await queue.shutdown_factory(); print('streams', line.streams)", "asyncio.run(main())"),
        ("pass", "asyncio.run(main())"),
        (
            "pass",
            "loop = asyncio.new_event_loop()\natexit.register(loop.close)\nloop.run_until_complete(main())",
        ),
    ],
    ids=["shut down", "left to asyncio.run", "left to the interpreter"],
)
def test_a_process_that_forgets_to_end_it_ends_all_the_same(end: str, run: str, tmp_path: Path) -> None:
    """Over real sockets; whatever is left would be a ResourceWarning, or a task that was destroyed."""
    code = FORGETFUL.replace("{end}", end).replace("{run}", run)
    (tmp_path / "host.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "host.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # the venue ends before the interpreter does
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("warning: stream ended")]
    assert (done.returncode, complaints) == (0, [])
    assert done.stdout.startswith("tick 1\n")
    assert "streams 0" in done.stdout or end == "pass"


def test_an_exchange_that_fails_for_good_is_made_anew_and_ends_no_other(caplog: Any) -> None:
    async def play(scene: Scene) -> None:
        scene.refuse("coinbase")
        await everything(scene)
        old = await scene.queue.get_websocket_handler(COINBASE)
        await scene.minutes(3)
        assert not old.is_connected()
        assert "exchange failed" in caplog.text
        scene.refuse("coinbase", refused=False)
        new = await scene.queue.get_websocket_handler(COINBASE)
        assert new is not old
        assert await new.get_ohlcv("BTC/USD", limit=2)
        assert [] == scene.wrong("kraken:BTC/USD")

    played(play, options={"backoff": {"coinbase": Backoff(attempts=2)}})


# ------------------------------------------------------------------------------------------- many of all ages


@pytest.mark.parametrize("begun", [0, 2])
def test_whether_the_factory_is_initialized_never_or_twice_is_all_the_same(begun: int) -> None:
    async def play(scene: Scene) -> None:
        for _ in range(begun):
            await scene.queue.initialize_factory()
        await everything(scene)
        await scene.minutes(3)
        assert [] == scene.wrong("kraken:BTC/USD")

    played(play)


def test_the_queue_answers_the_same_handler_to_all_who_ask_at_once() -> None:
    async def play(scene: Scene) -> None:
        queue = scene.queue
        asked = [
            *(queue.get_rest_handler(KRAKEN) for _ in range(5)),
            *(queue.get_websocket_handler(KRAKEN, lambda _: ("", "")) for _ in range(5)),
            queue.get_handler(KRAKEN),
        ]
        handlers = await asyncio.gather(*asked)
        assert len({*map(id, handlers)}) == 1
        other = await queue.get_rest_handler(Exchange.named("kraken", ex_id=2))
        assert other is not handlers[0]
        assert {"kraken#1", "kraken#2"} == queue.health().keys()
        assert repr(other) == "<FullonHandler kraken open>"

    played(play)


def test_an_exchange_that_nobody_knows_is_refused_by_name() -> None:
    async def play(scene: Scene) -> None:
        with pytest.raises(UsageError, match="there is no adapter 'bitmex'"):
            await scene.queue.get_websocket_handler(Exchange.named("bitmex"))
        with pytest.raises(UsageError, match=r"an exchange needs cat_exchange\.name"):
            await scene.queue.get_websocket_handler(object())

    played(play)


def test_a_handler_of_september_2025_calls_back_with_dicts() -> None:
    async def play(scene: Scene) -> None:
        old: list[dict[str, float]] = []
        new: list[list[float]] = []
        handler = await scene.queue.get_websocket_handler(KRAKEN, lambda _: ("", ""))
        assert await handler.connect()
        assert handler.connected
        assert handler.supports_ohlcv()
        assert handler.supports_1m_ohlcv()
        await handler.subscribe_ohlcv("BTC/USD", old.append, interval="1m")
        await handler.subscribe_ohlcv("BTC/USD", "1m", callback=lambda payload: new.append(payload[0]))
        await scene.minutes(4)
        assert [read_row(row) for row in new] == [read_row(row) for row in old]
        assert set(old[0]) == {"timestamp", "open", "high", "low", "close", "volume"}
        await handler.disconnect()
        await scene.minutes(4)
        assert len(old) == 4
        assert [] == list(scene.transport.open_streams)
        with pytest.raises(UsageError, match="one callback"):
            await handler.subscribe_ohlcv("BTC/USD", "1m")
        with pytest.raises(UsageError, match="not a timeframe"):
            await handler.subscribe_ohlcv("BTC/USD", "soon", old.append)

    played(play)


def test_one_of_two_who_share_a_handler_disconnects() -> None:
    async def play(scene: Scene) -> None:
        came: list[object] = []
        handler = await scene.queue.get_websocket_handler(KRAKEN)
        await handler.connect()
        await handler.connect()
        await handler.subscribe_ohlcv("BTC/USD", "1m", came.append)
        await handler.disconnect()
        await scene.minutes(3)
        assert len(came) == 3

    played(play)


def test_a_trial_subscription_can_be_taken_back() -> None:
    """As the requirements have it: a plain function that returns nothing, and unsubscribe_ohlcv."""

    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_websocket_handler(KRAKEN)
        came: list[object] = []
        kept = await handler.subscribe_ohlcv("ETH/USD", "1m", came.append)
        assert kept == await handler.subscribe_ohlcv("ETH/USD", "1m", came.append)
        trial = await handler.subscribe_ohlcv("BTC/USD", "1m", lambda data: None)
        assert trial != kept
        assert await handler.unsubscribe_ohlcv("BTC/USD")
        assert not await handler.unsubscribe_ohlcv("BTC/USD")
        await scene.minutes(3)
        assert {"ETH/USD"} == {one.series.symbol for one in handler.health().series}
        assert await handler.unsubscribe(kept)
        assert not await handler.unsubscribe(kept)
        count = len(came)
        await scene.minutes(3)
        assert len(came) == count
        assert not handler.health().series

    played(play)


# ----------------------------------------------------------------------------------- the host's own fallback


@pytest.mark.parametrize("streaming", ["auto", "native-only"])
def test_a_venue_without_streams_says_so_in_every_way_a_host_looks_for_it(streaming: str) -> None:
    async def play(scene: Scene) -> None:
        native = streaming == "native-only"
        handler = await scene.queue.get_websocket_handler(YAHOO)
        streamed = await scene.queue.get_websocket_handler(KRAKEN)
        for one, says in ((handler, not native), (streamed, True)):
            assert says is one.is_connected()
            assert says is bool(one.has.get("ws") and one.has.get("watchOHLCV"))
            assert says is one.supports_capability("ohlcv")
            assert one.needs_trades_for_ohlcv() is False
            assert one.has["fetchOHLCV"]
        if native:
            with pytest.raises(NotImplementedError, match="BTC/USD 1m is not streamed"):
                await handler.subscribe_ohlcv("BTC/USD", "1m", print)
        else:
            assert await handler.subscribe_ohlcv("BTC/USD", "1m", print)
        assert "1m" in handler.get_supported_timeframes()

    played(play, streaming=streaming)


def test_with_native_streams_only_the_host_polls_itself() -> None:
    """It takes the row before the last for closed, and is right; when its period has drifted it skips one."""

    async def play(scene: Scene) -> None:
        host = LiveOHLCVCollector(scene.queue, EXCHANGES, BTC, scene.repository)
        await host.start_collection()
        assert [("yahoo:BTC/USD", "warning")] == [
            line[:2] for line in host.processes.messages if line[1] == "warning"
        ]
        await asyncio.sleep(25)
        await host.start_symbol(BTC[2])
        await host.start_symbol(BTC[0])
        assert len(host.polls) == 1
        await scene.minutes(20)
        for symbol in BTC:
            assert [] == scene.wrong(symbol.key)
        await host.stop_collection()
        await scene.minutes(1.5)
        assert host.polls[0].done()

    played(play, streaming="native-only")


# -------------------------------------------------------------------------------------------- trades, ticks


def test_trades_come_once_as_objects_that_the_host_can_write_as_json() -> None:
    async def play(scene: Scene) -> None:
        host = LiveTradeCollector(scene.queue, EXCHANGES[:2])
        await host.start([*BTC[:2], Symbol.named("kraken", "ETH/USD")])
        begun_ns = running_clock().now_ns()
        await scene.minutes(3)
        scene.transport.cut()
        await scene.minutes(3)

        pushed = {
            exchange: [one for one in host.pushed if one["exchange"] == exchange]
            for exchange in ("kraken", "coinbase")
        }
        for exchange, rows in pushed.items():
            ids = [(row["symbol"], row["ex_trade_id"]) for row in rows]
            assert len({*ids}) == len(ids), exchange
            mine = [row for row in rows if row["symbol"] == "BTC/USD"]
            truth = scene.market.trades("BTC/USD", begun_ns - MINUTE_NS, running_clock().now_ns())
            known = {(float(trade.price), float(trade.size)) for trade in truth}
            assert {(row["price"], row["volume"]) for row in mine} <= known
            assert len(mine) > 20
        assert {"BTC/USD", "ETH/USD"} == {row["symbol"] for row in pushed["kraken"]}

    played(play)


def test_ticks_say_the_newest_price_and_a_venue_without_quotes_says_so() -> None:
    async def play(scene: Scene) -> None:
        host = TickerService(scene.queue, EXCHANGES)
        await host.start(BTC)
        await scene.minutes(2)

        assert {"kraken", "coinbase"} == {tick["exchange"] for tick in host.ticks}
        last = [tick for tick in host.ticks if tick["exchange"] == "kraken"][-1]
        assert last["bid"] < last["ask"]
        assert last["price"] == last["last"]
        assert scene.now.timestamp() - 30 < last["time"] <= scene.now.timestamp()
        [warning] = host.warnings
        assert "yahoo: BTC/USD has no ticker" in warning

    played(play)


def test_models_of_the_host_take_the_place_of_ours_and_one_that_fails_ends_nothing() -> None:
    async def play(scene: Scene) -> None:
        trades: list[object] = []
        ticks: list[object] = []
        handler = await scene.queue.get_websocket_handler(KRAKEN)
        await handler.subscribe_trades("BTC/USD", trades.append)
        await handler.subscribe_ticker("BTC/USD", ticks.append)
        await scene.minutes(2)
        assert {str} == {*map(type, trades)}
        assert trades[0] == "BTC/USD"
        assert not ticks
        assert handler.is_connected()

    def broken(_: object) -> object:
        raise ValueError("no such field")

    played(play, trade_factory=lambda trade: trade.symbol, tick_factory=broken)


# ---------------------------------------------------------------------------------- accounts and spellings


def test_credentials_are_asked_for_in_this_order_and_never_shown() -> None:
    async def play(scene: Scene) -> None:
        asked: list[object] = []

        async def provider(exchange: object) -> tuple[str, str]:
            asked.append(exchange)
            return "the-key", "the-secret"

        alpaca = Exchange.named("alpaca", ex_id=7)
        handler = await scene.queue.get_rest_handler(alpaca, provider)
        assert handler is await scene.queue.get_websocket_handler(alpaca, provider)
        assert [alpaca] == asked
        account = handler._collector._roster._accounts["alpaca"]
        assert {"key": "the-key", "secret": "the-secret"} == account.secrets
        assert "the-" not in repr(vars(handler)) + repr(vars(scene.queue))

    played(play)


def test_credentials_that_cannot_be_had_leave_public_data_and_a_line_without_their_text(caplog: Any) -> None:
    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_rest_handler(KRAKEN)
        assert await handler.get_ohlcv("BTC/USD", limit=2)

    def provider(exchange: object) -> tuple[str, str]:
        raise ValueError("EX_ID_1_SECRET is hunter2")

    played(play, credentials=provider)
    assert "no credentials, public data only" in caplog.text
    assert "hunter2" not in caplog.text + str([vars(record) for record in caplog.records])


def test_a_sandbox_that_a_venue_has_not_is_refused_symbol_by_symbol() -> None:
    """Real prices are no answer to who asks for a sandbox; and the other exchanges have to start."""

    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_websocket_handler(Exchange.named("kraken", test=True))
        with pytest.raises(ConfigError, match="kraken: its `test` is set, and the venue has no sandbox"):
            await handler.subscribe_ohlcv("BTC/USD", "1m", print)
        alpaca = await scene.queue.get_websocket_handler(Exchange.named("alpaca", test=True))
        assert alpaca._collector._roster._accounts["alpaca"].environment == "sandbox"

    played(play)


def test_symbols_and_exchanges_keep_the_spelling_of_the_host() -> None:
    async def play(scene: Scene) -> None:
        handler = await scene.queue.get_websocket_handler(Exchange.named("Kraken_Spot"))
        trades: list[Any] = []
        await handler.subscribe_trades("bitcoin", trades.append)
        await scene.minutes(1)
        assert ("bitcoin", "Kraken_Spot") == (trades[0].symbol, trades[0].exchange)
        yahoo = await scene.queue.get_rest_handler(YAHOO)
        assert await yahoo.get_ohlcv("SPX", timeframe="1d", limit=2) == await yahoo.get_ohlcv(
            "^GSPC", timeframe="1d", limit=2
        )
        with pytest.raises(PlanError, match="BTC/USD:BTC"):
            await handler.get_ohlcv("BTC/USD:BTC")

    played(play, venues={"Kraken_Spot": "kraken"}, symbols={"kraken": {"bitcoin": "BTC/USD"}})


def test_a_facade_serves_one_loop_at_a_time() -> None:
    queue = FullonQueue()

    async def begin() -> None:
        await queue.initialize_factory()

    asyncio.run(begin())
    asyncio.run(begin())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    with pytest.raises(UsageError, match="runs on another event loop"):
        asyncio.run(begin())
    loop.run_until_complete(queue.shutdown_factory())
    loop.close()
    gc.collect()


def test_no_other_streaming_is_known() -> None:
    with pytest.raises(UsageError, match='streaming is "auto" or "native-only", got \'maybe\''):
        FullonQueue(streaming="maybe")  # type: ignore[arg-type]  # what is tried


# ------------------------------------------------------------------------------------------------- processes


@attrs.define
class ProcessCache:
    """What `fullon_cache.ProcessCache` would be told, through twenty lines of the host's."""

    params: dict[str, dict[str, str]] = attrs.field(factory=dict)
    statuses: dict[str, list[str]] = attrs.field(factory=dict)

    async def register(self, component: str, params: Mapping[str, str]) -> str:
        handle = f"{params['type']}:{component}"
        self.params[handle] = dict(params)
        return handle

    async def update(self, handle: str, status: Status, message: str | None) -> None:
        assert message is None or message
        told = self.statuses.setdefault(handle, [])
        if told[-1:] != [str(status)]:
            told.append(str(status))


def test_processes_are_registered_as_collectors_do_and_a_lost_connection_is_an_error() -> None:
    cache = ProcessCache()

    async def play(scene: Scene) -> None:
        scene.refuse("coinbase")
        await everything(scene)
        await scene.minutes(5)
        assert {"exchange": "kraken", "symbol": "BTC/USD", "type": "live"} == cache.params[
            "live:kraken:BTC/USD"
        ]
        assert {"live_trade:kraken:BTC/USD", "live_ticker:kraken:BTC/USD"} <= cache.params.keys()
        assert ["starting", "running"] == cache.statuses["live:kraken:BTC/USD"]
        assert cache.statuses["live:coinbase:BTC/USD"][-1] == "error"
        scene.refuse("coinbase", refused=False)
        await scene.minutes(10)
        assert cache.statuses["live:coinbase:BTC/USD"][-1] == "running"
        await scene.queue.shutdown_factory()
        assert {"stopped"} == {told[-1] for told in cache.statuses.values()}

    played(play, status=cache)
