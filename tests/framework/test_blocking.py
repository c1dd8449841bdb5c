"""A collector in a thread of its own, as programs without an event loop use it: real threads, quick time."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, assert_type

import pytest

from tests.framework.blocking_stage import KRAKEN, PAST_NS, PATIENCE_S, YAHOO_HOURS, minutes, quick, simulated
from wickwire import (
    HOUR_NS,
    BlockingCollector,
    BlockingHistoryReader,
    BlockingReader,
    Collector,
    ConditionChanged,
    Policy,
    Series,
    SeriesCandle,
    SeriesTrade,
)
from wickwire.portal import LOOK_S, Deadline
from wickwire.simulate.loops import VIRTUAL_START_NS

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
    def leave(pages: BlockingHistoryReader) -> None:
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
        candles = [collector.candles() for _ in range(2)]
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
    assert_type(next(collector.trades()), SeriesTrade)
    assert_type(collector.history("lantern:BTC/USD@1m", 0), BlockingHistoryReader)

    async def count(it: Collector) -> int:
        return len(it.plan())

    assert_type(collector.run(count), int)


def test_a_thread_waits_in_short_steps_so_that_a_signal_is_seen() -> None:
    """Ctrl-C in the moment before it waits for a lock would end no wait."""
    steps: list[float] = []

    assert Deadline(None).awaits(lambda: len(steps) == 3, steps.append)
    assert [LOOK_S] * 3 == steps
    assert not Deadline(0.0).awaits(lambda: False, steps.append)
    assert len(steps) == 3
