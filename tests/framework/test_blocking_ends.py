"""A collector in a thread of its own: what goes wrong there is told to whoever waits, and so is its end."""

from __future__ import annotations

import asyncio
import itertools
import threading
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import pytest

from tests.framework.blocking_stage import (
    KRAKEN,
    PAST_NS,
    PATIENCE_S,
    YAHOO_HOURS,
    away,
    minutes,
    quick,
    simulated,
)
from wickwire import (
    MINUTE_NS,
    Backoff,
    BlockingCollector,
    Collector,
    GivenUp,
    MemoryStore,
    PlanError,
    SeriesCandle,
    StoreError,
    UsageError,
)

# --------------------------------------------------------------------------------------------------- errors


def test_errors_arrive_with_their_type_and_both_traces(collector: BlockingCollector) -> None:
    with pytest.raises(UsageError, match="there is no adapter 'nowhere'") as unknown:
        collector.add("nowhere:BTC/USD@1m")
    with pytest.raises(PlanError, match="yahoo:BTC/USD@trades"):
        collector.add("yahoo:BTC/USD@trades")
    with pytest.raises(UsageError, match="not an instant"):
        next(collector.history(KRAKEN, "yesterday"))

    trace = "".join(traceback.format_exception(unknown.value))
    assert __name__.rpartition(".")[2] in trace
    assert "roster.py" in trace


async def _later(candle: SeriesCandle) -> None: ...


def test_functions_that_raise_or_are_async_are_named(
    collector: BlockingCollector, caplog: pytest.LogCaptureFixture
) -> None:
    called: SimpleQueue[int] = SimpleQueue()

    def raises(candle: SeriesCandle) -> None:
        called.put(candle.open_ns)
        raise ValueError("mine")

    collector.on_candle(raises)
    collector.add(KRAKEN)
    first, second = (called.get(timeout=PATIENCE_S) for _ in range(2))
    assert MINUTE_NS == second - first
    [named] = [one for one in collector.health().consumers if one.name == "on_candle 1"]
    assert (True, "ValueError: mine") == (named.errors >= 1, named.trouble)
    collector.stop()
    assert collector.listener_errors >= 2
    assert 1 == caplog.text.count("listener failed")
    with pytest.raises(UsageError, match="_later is async, and there is no loop for it"):
        collector.on_candle(_later)


def test_a_function_that_is_called_may_use_the_collector_and_stop_it(collector: BlockingCollector) -> None:
    stopped: SimpleQueue[object] = SimpleQueue()

    def once(candle: SeriesCandle) -> None:
        collector.add("kraken:ETH/USD@1m")
        added = [str(plan.series) for plan in collector.plan()]
        collector.stop()
        stopped.put(added)

    collector.on_candle(once, KRAKEN)
    collector.add(KRAKEN)

    assert [KRAKEN, "kraken:ETH/USD@1m"] == stopped.get(timeout=PATIENCE_S)


def test_a_function_that_is_told_to_stop_is_called_no_more(collector: BlockingCollector) -> None:
    called: SimpleQueue[SeriesCandle] = SimpleQueue()
    stop = collector.on_candle(called.put)
    collector.add(KRAKEN)
    called.get(timeout=PATIENCE_S)
    stop()
    while not called.empty():
        called.get()
    behind = collector.candles()
    assert 3 == len([*itertools.islice(behind, 3)])

    assert called.empty()


def test_before_the_start_and_after_the_end_it_says_so() -> None:
    collector = BlockingCollector(Collector(), timeout=PATIENCE_S)
    with pytest.raises(UsageError, match=r"health: the wickwire collector does not run yet; enter it"):
        collector.health()
    collector.stop()
    assert "<BlockingCollector not started>" == repr(collector)
    with collector:
        assert "<BlockingCollector running>" == repr(collector)
        reader = collector.candles()
        with pytest.raises(UsageError, match="was started already"):
            collector.start()
    collector.close()
    assert "<BlockingCollector ended>" == repr(collector)
    assert [] == list(reader)
    for use in (collector.health, lambda: collector.add(KRAKEN), collector.candles):
        with pytest.raises(UsageError, match="the wickwire collector has ended; make a new one"):
            use()


def test_from_within_its_own_loop_it_refuses_instead_of_waiting_for_itself(
    collector: BlockingCollector,
) -> None:
    async def within(_: Collector) -> None:
        for use in (collector.health, collector.stop, lambda: next(reader)):
            with pytest.raises(UsageError, match=r"called in the event loop of the wickwire collector"):
                use()

    reader = collector.candles()
    collector.run(within)


class Broken(MemoryStore):
    async def open(self) -> None:
        raise StoreError("no such place")


def test_what_keeps_it_from_starting_is_raised_where_it_is_started() -> None:
    with pytest.raises(StoreError, match="no such place"), BlockingCollector(Collector(Broken())):
        raise AssertionError("it does not start")


class Hanging(MemoryStore):
    closed = False

    async def open(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.closed = True


def test_a_start_that_takes_too_long_is_given_up() -> None:
    store = Hanging()
    with pytest.raises(TimeoutError, match=r"the wickwire collector did not start within 0\.01 s"):
        BlockingCollector(Collector(store)).start(timeout=0.01)

    assert store.closed


# ------------------------------------------------------------------------------------------------ the end


def test_a_venue_that_is_given_up_reaches_every_thread_that_waits() -> None:
    collector = BlockingCollector(away(backoff=Backoff(attempts=2)), loop_factory=quick)
    collector.start()
    with ThreadPoolExecutor(3) as pool:
        candles, events = collector.candles(), collector.events()
        waiting: list[Future[Any]] = [
            pool.submit(next, candles),
            pool.submit(lambda: [*events]),
            pool.submit(collector.run, lambda _: asyncio.Event().wait()),
        ]
        collector.add(KRAKEN)
        for one in waiting:
            with pytest.raises(GivenUp, match="kraken"):
                one.result(PATIENCE_S)
        with pytest.raises(GivenUp):
            collector.health()
    with pytest.raises(GivenUp):
        collector.close()
    collector.close()  # it was told


def test_leaving_the_block_tells_what_ended_the_collector_unless_the_block_says_something() -> None:
    def broken(error: Exception | None) -> None:
        collector = BlockingCollector(away(backoff=Backoff(attempts=1)), loop_factory=quick)
        with collector:
            collector.add(KRAKEN)
            ended.append(collector)
            with suppress(GivenUp):
                collector.run(lambda _: asyncio.Event().wait())
            if error is not None:
                raise error

    ended: list[BlockingCollector] = []
    with pytest.raises(GivenUp):
        broken(None)
    with pytest.raises(ZeroDivisionError) as raised:
        broken(ZeroDivisionError())
    [note] = raised.value.__notes__
    assert note.startswith("the collector ended, too: GivenUp: wss://ws.kraken.com")
    assert ["<BlockingCollector ended>"] * 2 == [repr(one) for one in ended]


def test_a_bug_that_ends_the_collector_reaches_every_thread_that_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def crash(collector: Collector) -> None:
        async def bug() -> None:
            raise ZeroDivisionError("a bug")

        collector._life.tasks.create_task(bug(), name="bug")

    collector = BlockingCollector(simulated(), loop_factory=quick)
    collector.start()
    candles, called = collector.candles(), threading.Event()
    collector.on_candle(lambda _: called.set())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, candles)
        collector.run(crash)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            waiting.result(PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        collector.stop()
    assert "thread failed" in caplog.text


def test_what_waited_for_an_iterator_when_it_was_stopped_can_still_be_taken() -> None:
    store = MemoryStore()
    collector = BlockingCollector(simulated(store=store), loop_factory=quick, timeout=PATIENCE_S)
    with collector:
        collector.add(KRAKEN)
        candles, witness = collector.candles(), collector.candles()
        next(candles)
        assert 3 == len([*itertools.islice(witness, 3)])

    left = minutes(list(candles))
    assert len(left) >= 2
    assert left == [*range(left[0], left[0] + len(left))]


def test_what_waits_for_the_past_is_told_that_the_collector_was_stopped() -> None:
    collector = BlockingCollector(away(), loop_factory=quick, timeout=PATIENCE_S)
    begun = threading.Event()

    async def hang(_: Collector) -> None:
        begun.set()
        await asyncio.Event().wait()

    with collector, ThreadPoolExecutor(2) as pool:
        pages = collector.history(YAHOO_HOURS, PAST_NS, timeout=0)
        with pytest.raises(TimeoutError):
            next(pages)
        pages.timeout = None
        waiting: list[Future[Any]] = [pool.submit(next, pages), pool.submit(collector.run, hang)]
        assert begun.wait(PATIENCE_S)
        collector.stop()
        for one in waiting:
            with pytest.raises(UsageError, match=r"has ended|before its history was there"):
                one.result(PATIENCE_S)


def test_a_function_that_hangs_does_not_keep_it_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    hangs, free = threading.Event(), threading.Event()

    def hang(_: SeriesCandle) -> None:
        hangs.set()
        free.wait(PATIENCE_S)

    with BlockingCollector(simulated(), loop_factory=quick, timeout=PATIENCE_S) as collector:
        collector.on_candle(hang)
        collector.add(KRAKEN)
        assert hangs.wait(PATIENCE_S)
        collector.stop(drain=0.01)
        assert "stopped before a listener ended" in caplog.text
        free.set()


def test_two_threads_may_stop_it_at_once() -> None:
    collector = BlockingCollector(simulated(), loop_factory=quick, timeout=PATIENCE_S)
    collector.start()
    collector.add(KRAKEN)
    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(collector.stop) for _ in range(4)]:
            one.result(PATIENCE_S)

    assert "<BlockingCollector ended>" == repr(collector)
