"""A collector in a thread of its own, as programs without an event loop use it: real threads, quick time."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, assert_type

import pytest

from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    Backoff,
    BlockingCollector,
    BlockingPages,
    BlockingReader,
    Collector,
    ConditionChanged,
    GivenUp,
    MemoryStore,
    PlanError,
    Policy,
    Registry,
    Series,
    SeriesCandle,
    StoreError,
    Trade,
    UsageError,
)
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, ScaledLoop, running_clock
from wickwire.simulate.memory import MemoryTransport

KRAKEN = "kraken:BTC/USD@1m"
YAHOO_HOURS = "yahoo:BTC/USD@1h"
PAST_NS = VIRTUAL_START_NS - 5 * HOUR_NS
"""Three hours from then on are over and settled."""
PATIENCE_S = 60.0
"""So long a test waits for what has to come, on however busy a machine."""

quick = partial(ScaledLoop, 200, start_ns=VIRTUAL_START_NS)


def simulated(**more: Any) -> Callable[[], Collector]:
    """What makes a collector of simulated venues, in the thread whose loop it lives by."""

    def make() -> Collector:
        market = SeededMarket(1, VIRTUAL_START_NS - DAY_NS)
        servers = []
        for name in ("kraken", "yahoo"):
            simulate = Registry().load(name).simulate
            assert simulate is not None
            servers.append(simulate(market))
        clock = running_clock()
        transport = MemoryTransport(servers, clock, latency_s=0.05)
        return Collector(transport=transport, clock=clock, world="simulated", **more)

    return make


@pytest.fixture
def collector() -> Iterator[BlockingCollector]:
    with BlockingCollector(simulated(), loop_factory=quick, timeout=PATIENCE_S) as running:
        yield running
    assert [] == [one.name for one in threading.enumerate() if one.name.startswith("wickwire")]


def minutes(candles: Sequence[SeriesCandle]) -> list[int]:
    return [candle.open_ns // MINUTE_NS for candle in candles]


# ------------------------------------------------------------------------------------------- what it offers


def test_candles_come_in_order_to_a_plain_for_and_to_functions_in_a_thread_of_their_own(
    collector: BlockingCollector,
) -> None:
    called: SimpleQueue[tuple[SeriesCandle, str]] = SimpleQueue()
    assert Series.parse(KRAKEN) == collector.add("kraken:XBT/USD@1m")
    collector.on_candle(lambda candle: called.put((candle, threading.current_thread().name)), KRAKEN)
    candles = [*itertools.islice(collector.candles(KRAKEN), 3)]

    first = minutes(candles)[0]
    assert [first, first + 1, first + 2] == minutes(candles)
    heard = [called.get(timeout=PATIENCE_S) for _ in range(3)]
    assert [(candle, "wickwire on_candle 1") for candle in candles] == heard
    newest = collector.latest(KRAKEN)
    assert isinstance(newest, SeriesCandle)
    assert newest.open_ns > candles[-1].open_ns
    assert [KRAKEN] == [str(plan.series) for plan in collector.plan()]
    assert minutes(candles) == minutes(collector.reader(KRAKEN).range(0))[:3]
    health = collector.health()
    assert ["on_candle 1"] == [one.name for one in health.consumers if one.name.startswith("on_")]
    collector.remove(KRAKEN)
    assert () == tuple(collector.plan())


def test_the_past_comes_in_pages_with_an_end(collector: BlockingCollector) -> None:
    until_ns = PAST_NS + 3 * HOUR_NS
    pages = list(collector.history(YAHOO_HOURS, PAST_NS, until_ns))
    walked = list(collector.walk(YAHOO_HOURS, PAST_NS, until_ns))

    hours = [PAST_NS + hour * HOUR_NS for hour in range(3)]
    assert hours == [candle.open_ns for page in pages for candle in page]
    assert hours == [candle.open_ns for page in walked for candle in page.candles]
    assert walked[-1].last
    newest = collector.reader(YAHOO_HOURS).latest()
    assert newest is not None
    assert hours[-1] <= newest.open_ns
    audited = collector.audit(YAHOO_HOURS, PAST_NS, until_ns)
    assert (3, [], []) == (audited.candles, [*audited.lost], [*audited.left])


def test_who_leaves_a_history_in_the_middle_leaves_nothing_behind(collector: BlockingCollector) -> None:
    def leave(pages: BlockingPages[Sequence[SeriesCandle]]) -> None:
        assert next(pages)

    def is_collected() -> bool:
        return bool(collector.health().series)

    since_ns = VIRTUAL_START_NS - 15 * HOUR_NS  # more than a page of it
    for end in (lambda pages: pages.close(), lambda _: gc.collect()):
        pages = collector.history(KRAKEN, since_ns, VIRTUAL_START_NS)
        leave(pages)
        assert is_collected()
        end(pages)
        del pages
        gc.collect()
        collector.run(_no_longer(is_there=lambda it: bool(it.health().series)))
        assert not is_collected()


def _no_longer(is_there: Callable[[Collector], bool]) -> Callable[[Collector], Any]:
    async def waiting(collector: Collector) -> None:
        while is_there(collector):  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(1)

    return waiting


def test_what_happens_is_told_to_a_function_and_to_an_iterator(collector: BlockingCollector) -> None:
    told: SimpleQueue[object] = SimpleQueue()
    collector.on_event(told.put)
    events = collector.events(timeout=PATIENCE_S)
    collector.add(KRAKEN)

    change = next(event for event in events if isinstance(event, ConditionChanged))
    heard = next(event for event in iter(told.get, None) if isinstance(event, ConditionChanged))
    assert (KRAKEN, change) == (str(change.series), heard)


def test_of_what_is_conflated_only_the_latest_is_handed_over(collector: BlockingCollector) -> None:
    collector.add("kraken:BTC/USD@trades")
    every, latest = collector.trades(), collector.trades(policy=Policy.CONFLATE)
    ids = [trade.id for trade in itertools.islice(every, 20)]

    assert 20 == len(set(ids))
    assert int(next(latest).id) >= int(ids[-1]), "not the first: they made room for it"
    assert latest.conflated > 0
    assert (0, "trades 1") == (every.dropped, every.name)


# -------------------------------------------------------------------------------------------------- waiting


def test_an_iterator_that_waited_in_vain_goes_on_and_loses_nothing(collector: BlockingCollector) -> None:
    collector.add(KRAKEN)
    candles = collector.candles(timeout=0.01)
    found, late = list[SeriesCandle](), set[str]()
    while len(found) < 4:
        try:
            found.append(next(candles))
        except TimeoutError as exc:
            late.add(str(exc))

    assert {"candles 1: nothing came within 0.01 s"} == {line.partition(";")[0] for line in late}
    assert minutes(found) == [*range(minutes(found)[0], minutes(found)[0] + 4)]


def test_a_page_that_came_too_late_comes_with_the_next_call(collector: BlockingCollector) -> None:
    pages = collector.history(YAHOO_HOURS, PAST_NS, PAST_NS + 3 * HOUR_NS, timeout=0.0)
    with pytest.raises(TimeoutError, match="history of yahoo:BTC/USD@1h: nothing came within 0 s"):
        next(pages)
    pages.timeout = PATIENCE_S

    assert [3] == [len(page) for page in pages]


def test_a_call_that_takes_too_long_is_cancelled(collector: BlockingCollector) -> None:
    ended = threading.Event()

    async def hang(_: Collector) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError, match=r"never: no answer within 0.01 s$"):
        collector.run(hang, timeout=0.01, what="never")
    assert ended.wait(PATIENCE_S)


def test_what_is_cancelled_before_it_began_is_not_waited_for(collector: BlockingCollector) -> None:
    """The loop is held while it is asked, and while nobody wants it any more."""
    held, free = threading.Event(), threading.Event()

    async def hold(_: Collector) -> None:
        held.set()
        free.wait(PATIENCE_S)

    with ThreadPoolExecutor(3) as pool:
        collector.add(KRAKEN)
        candles = [collector.candles("kraken:ETH/USD@1m") for _ in range(2)]
        holding = pool.submit(collector.run, hold)
        assert held.wait(PATIENCE_S)
        waiting = [pool.submit(list, one) for one in candles]
        for one in candles:
            while one._source.asked is None:
                pass
            one.close()
        free.set()
        holding.result(PATIENCE_S)
        assert [[], []] == [one.result(PATIENCE_S) for one in waiting]


def test_a_loop_that_somebody_holds_is_named(collector: BlockingCollector) -> None:
    held, free = threading.Event(), threading.Event()

    async def hold(_: Collector) -> None:
        held.set()
        free.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(collector.run, hold)
        assert held.wait(PATIENCE_S)
        with pytest.raises(TimeoutError, match=r"health: .* its event loop is held at \S+:\d+ in .*hold"):
            collector.health(timeout=0.01)
        free.set()
        holding.result()
    assert [] == list(collector.health(timeout=math.inf).series)


def test_threads_that_share_an_iterator_share_its_items(collector: BlockingCollector) -> None:
    collector.add("kraken:BTC/USD@trades")
    trades = collector.trades()
    with ThreadPoolExecutor(4) as pool:
        shares = [pool.submit(lambda: [next(trades).id for _ in range(10)]) for _ in range(4)]
        ids = [one for share in shares for one in share.result(PATIENCE_S)]

    assert 40 == len(set(ids))
    assert [*map(str, range(int(min(ids, key=int)), int(max(ids, key=int)) + 1))] == sorted(ids, key=int)


# --------------------------------------------------------------------------------------------------- errors


def test_errors_arrive_with_their_type_and_both_traces(collector: BlockingCollector) -> None:
    with pytest.raises(UsageError, match="there is no adapter 'nowhere'") as unknown:
        collector.add("nowhere:BTC/USD@1m")
    with pytest.raises(PlanError, match="yahoo:BTC/USD@trades"):
        collector.add("yahoo:BTC/USD@trades")
    with pytest.raises(UsageError, match="not an instant"):
        next(collector.history(KRAKEN, "yesterday"))

    trace = "".join(traceback.format_exception(unknown.value))
    assert "test_blocking.py" in trace
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


def away(**more: Any) -> Callable[[], Collector]:
    """What makes a collector that reaches no venue."""

    def make() -> Collector:
        clock = running_clock()
        return Collector(transport=MemoryTransport([], clock), clock=clock, world="simulated", **more)

    return make


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
    with pytest.raises(ZeroDivisionError):
        broken(ZeroDivisionError())
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


def test_it_works_in_a_program_whose_own_loop_runs() -> None:
    """As in a notebook: its cells are run by a loop, and cannot await."""

    async def cell() -> int:
        with BlockingCollector(simulated(), loop_factory=quick, timeout=PATIENCE_S) as collector:
            pages = collector.history(YAHOO_HOURS, PAST_NS, PAST_NS + 3 * HOUR_NS)
            return len([*itertools.chain(*pages)])

    assert 3 == asyncio.run(cell())


def consumer(collector: BlockingCollector) -> None:
    """Never called: the type checker runs it, strictly, as it would a host's code."""
    assert_type(collector.add("lantern:BTC/USD@1m"), Series)
    assert_type(collector.candles(), BlockingReader[SeriesCandle])
    assert_type(next(collector.trades()), Trade)
    assert_type(collector.history("lantern:BTC/USD@1m", 0), BlockingPages[Sequence[SeriesCandle]])

    async def count(it: Collector) -> int:
        return len(it.plan())

    assert_type(collector.run(count), int)
