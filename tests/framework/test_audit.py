"""A store that lost rows says nothing of it: an audit finds out, and mends what history can mend."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wickwire_kraken
from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import play
from tests.framework.test_runtime_history import Venue, filled, passes
from wickwire import (
    DAY_NS,
    HOUR_NS,
    Audited,
    Conversation,
    Evidence,
    HttpReply,
    HttpRequest,
    Limits,
    MemoryStore,
    OhlcvQuery,
    PlanError,
    Rate,
    Rung,
    SeriesCandle,
    Stopped,
    TransportError,
    UsageError,
    hookimpl,
)
from wickwire.collector import Collector
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport

BITCOIN = "kraken:BTC/USD@1m"
PAGED: dict[str, Any] = {"stream": False, "support": {"page_rows": 50}}


class Fragile(MemoryStore):
    """A store whose disk can break, and whose rows somebody can change by hand."""

    async def aclose(self) -> None:
        """Keep everything, as a file does."""

    def lose(self, *minutes: int) -> None:
        for minute in minutes:
            row = self._candles[SERIES].pop(minute * MINUTE_NS)
            self._opens[SERIES].remove(row.open_ns)
            del self._log[row.seq]

    def alter(self, minute: int, **changes: Any) -> None:
        rows = self._candles[SERIES]
        row = changed(rows[minute * MINUTE_NS], **changes)
        rows[row.open_ns] = self._log[row.seq] = row

    def forge(self, minute: float) -> None:
        """Write a row that nobody collected."""
        open_ns = round(minute * MINUTE_NS)
        last = max(self._candles[SERIES].values(), key=lambda row: row.seq)
        self._seq += 1
        row = changed(last, open_ns=open_ns, close_ns=open_ns + MINUTE_NS, seq=self._seq)
        self._candles[SERIES][open_ns] = self._log[self._seq] = row
        self._opens[SERIES] = sorted(self._candles[SERIES])


def changed(row: SeriesCandle, **changes: Any) -> SeriesCandle:
    evolved: SeriesCandle = attrs.evolve(cast("Any", row), **changes)
    return evolved


def broken() -> tuple[Venue, Fragile]:
    store = Fragile()
    return Venue(plugin=Scripted(**PAGED), store=store), store


def minutes_of(open_times: Any) -> list[int]:
    return [ns // MINUTE_NS for ns in open_times]


async def begin(world: Venue, collector: Collector, minutes: int = 200) -> int:
    """Collect some minutes of history; return the first."""
    first = filled(world, minutes)
    await collector.add(SERIES, since=first * MINUTE_NS)
    await asyncio.sleep(60)
    await collector.history_is_whole(SERIES)
    return first


def values(rows: list[SeriesCandle]) -> dict[int, int]:
    return {row.open_ns // MINUTE_NS: int(row.close) for row in rows}


def test_what_the_store_lost_is_found_and_fetched_again() -> None:
    """Also what the ledger still remembers, and what it has long forgotten."""

    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector)
        gone = [first + 3, first + 4, first + 100, first + 198]
        store.lose(*gone)
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert gone == minutes_of(found.lost)
        assert attrs.evolve(found, lost=()).sound
        assert set(world.truth) - {max(world.truth)} <= set(values(await world.stored()))
        assert not collector.health().series[0].holes
        assert (await collector.audit(SERIES, first * MINUTE_NS)).sound

    world, store = broken()
    play(test, world)


def test_what_was_lost_and_is_nonsense_in_history_too_is_a_hole() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector)
        store.lose(first + 3)
        world.broken = {first + 3}
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert [first + 3] == minutes_of(found.lost)
        [hole] = collector.health().series[0].holes
        assert (first + 3) * MINUTE_NS == hole.since_ns

    world, store = broken()
    play(test, world)


def test_what_a_file_said_and_history_says_too_is_history_from_then_on() -> None:
    """Otherwise it would stay the word of a file, however often it is looked at."""

    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector)
        for minute in (first + 5, first + 150):
            store.alter(minute, evidence=Evidence.IMPORTED, route=Rung.IMPORT)
        store.alter(first + 6, evidence=Evidence.SIBLING)
        closed, last = collector.health().series[0].closed, await store.last_seq()
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert found.sound
        stored = {row.open_ns // MINUTE_NS: row for row in await world.stored()}
        kept = [stored[first + 5], stored[first + 150], stored[first + 6]]
        assert [Evidence.HISTORY, Evidence.HISTORY, Evidence.SIBLING] == [row.evidence for row in kept]
        assert [0, 0, 0] == [row.revision for row in kept]
        assert (closed, last) == (collector.health().series[0].closed, await store.last_seq())

    world, store = broken()
    play(test, world)


def test_what_differs_is_revised_where_history_knows_better() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector)
        store.alter(first + 5, close=1, low=1)
        store.alter(first + 6, close=1, low=1, evidence=Evidence.VENUE)
        closed = collector.health().series[0].closed
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert ([first + 5], [first + 6]) == (minutes_of(found.revised), minutes_of(found.disputed))
        stored = {row.open_ns // MINUTE_NS: row for row in await world.stored()}
        assert (world.truth[first + 5], 1) == (int(stored[first + 5].close), stored[first + 5].revision)
        assert 1 == stored[first + 6].close
        assert closed == collector.health().series[0].closed

    world, store = broken()
    play(test, world)


def test_what_history_does_not_have_or_no_bucket_holds_is_told_and_kept() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 50)
        del world.truth[first + 10]
        await collector.add(SERIES, since=first * MINUTE_NS)
        await asyncio.sleep(60)
        store.forge(first + 10)
        store.forge(first + 20.5)
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert (first + 10) * MINUTE_NS in found.unconfirmed
        assert round((first + 20.5) * MINUTE_NS) in found.misplaced
        assert not found.lost
        assert not found.sound

    world, store = broken()
    play(test, world)


@attrs.define(eq=False)
class Failing(Venue):
    """A venue that does not answer about its older history."""

    fails_before: int = 0

    def _answer(self, request: HttpRequest) -> HttpReply | TransportError:
        if int(request.params["since"]) < self.fails_before * MINUTE_NS:
            return TransportError("unreachable")
        return super()._answer(request)


def test_a_page_that_failed_is_not_done_and_the_next_audit_goes_on_there() -> None:
    async def test(world: Failing, collector: Collector) -> None:
        first = await begin(world, collector)
        store.lose(first + 3, first + 190)
        world.fails_before = first + 100
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert [first + 190] == minutes_of(found.lost)
        [(since_ns, until_ns)] = found.left
        assert first * MINUTE_NS == since_ns
        assert first + 100 <= until_ns // MINUTE_NS
        assert "unreachable" in found.why
        world.fails_before = 0
        rest = await collector.audit(SERIES, since_ns, until_ns)
        assert [first + 3] == minutes_of(rest.lost)
        assert (first * MINUTE_NS, until_ns) == (rest.since_ns, rest.until_ns)
        assert not rest.left

    store = Fragile()
    play(test, Failing(plugin=Scripted(**PAGED), store=store))


def test_live_work_goes_before_an_audit() -> None:
    """Under a limit of one request in ten seconds polls are as punctual as without an audit."""

    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector, 300)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(collector.audit(SERIES, first * MINUTE_NS))
            await passes(world, 3)
            [health] = collector.health().series
            assert health.lag_s is not None
            assert health.lag_s < 25, "a turn, and the settling time"
            assert not reading.done()
        assert reading.result().sound

    limits = Limits(rest=Rate(1, per_s=10.0))
    plugin = Scripted(stream=False, support={"page_rows": 10}, limits=limits)
    play(test, Venue(plugin=plugin, store=Fragile()))


def test_a_stored_series_that_is_not_collected_is_audited_and_left_alone() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector)
        await collector.remove(SERIES)
        await asyncio.sleep(10)
        store.lose(first + 7)
        found = await collector.audit(SERIES, first * MINUTE_NS - DAY_NS)
        assert [first + 7] == minutes_of(found.lost)
        assert first * MINUTE_NS == found.since_ns, "nobody claimed what was before its origin"
        assert not collector.health().series

    world, store = broken()
    play(test, world)


def test_what_cannot_be_audited_is_refused_by_name() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        with pytest.raises(UsageError, match=r"scripted:BTC/USD@1m: the store knows nothing of it"):
            await collector.audit(SERIES, 0)
        with pytest.raises(UsageError, match="carries trades"):
            await collector.audit("scripted:BTC/USD@trades", 0)

    play(test, Venue(plugin=Scripted(**PAGED)))


def test_a_series_without_history_cannot_be_audited() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        with pytest.raises(PlanError, match="no history"):
            await collector.audit(SERIES, 0)

    play(test, Venue(plugin=Scripted(rest=False)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.integers(0, 118), max_size=40), st.sets(st.integers(0, 118), max_size=40))
def test_whatever_was_lost_or_changed_is_as_history_has_it(lost: set[int], altered: set[int]) -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector, 120)
        for minute in sorted(altered - lost):
            store.alter(first + minute, close=1, low=1)
        store.lose(*(first + minute for minute in sorted(lost)))
        found: Audited = await collector.audit(SERIES, first * MINUTE_NS)
        assert sorted(lost) == [minute - first for minute in minutes_of(found.lost)]
        assert sorted(altered - lost) == [minute - first for minute in minutes_of(found.revised)]
        stored = values(await world.stored())
        assert stored == {minute: world.truth[minute] for minute in stored}
        assert set(range(first, first + 119)) <= set(stored)

    world, store = broken()
    play(test, world)


@attrs.define(eq=False)
class Short(Scripted):
    """A venue whose history begins at some minute: it keeps no more, or nothing was before."""

    begins: int = 0
    stopped: Stopped = Stopped.VENUE_LIMIT

    __hash__ = object.__hash__

    @hookimpl
    def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
        page = yield from super().fetch_ohlcv(query)
        begins_ns = self.begins * MINUTE_NS
        if query.since_ns >= begins_ns:
            return page
        rows = [row for row in page.candles if row.open_ns >= begins_ns]
        covered = (min(begins_ns, query.until_ns), query.until_ns)
        return attrs.evolve(page, candles=rows, covered=covered, stopped=self.stopped)


@pytest.mark.parametrize("stopped", [Stopped.VENUE_LIMIT, Stopped.VENUE_START])
@pytest.mark.parametrize("page_rows", [30, 500])
def test_what_history_does_not_reach_is_left_and_what_never_was_is_not(
    stopped: Stopped, page_rows: int
) -> None:
    plugin = Short(stream=False, support={"page_rows": page_rows}, stopped=stopped)

    async def test(world: Venue, collector: Collector) -> None:
        first = await begin(world, collector)
        store.lose(first + 3, first + 190)
        plugin.begins = first + 100
        found = await collector.audit(SERIES, first * MINUTE_NS)
        assert [first + 190] == minutes_of(found.lost)
        if stopped is Stopped.VENUE_LIMIT:
            assert [(first * MINUTE_NS, plugin.begins * MINUTE_NS)] == list(found.left)
            assert "does not reach back" in found.why
        else:
            assert not found.left

    store = Fragile()
    play(test, Venue(plugin=plugin, store=store))


def test_what_history_shows_as_running_still_is_not_called_unproven() -> None:
    """Kraken's last row is forming until a trade begins the next one; the stream closed it before."""

    async def main() -> Audited:
        clock = running_clock()
        market = SeededMarket(1, VIRTUAL_START_NS - DAY_NS)
        transport = MemoryTransport([wickwire_kraken.simulate(market)], clock, latency_s=0.05)
        async with Collector(transport=transport, clock=clock, world="simulated") as collector:
            await collector.add(BITCOIN, since=VIRTUAL_START_NS - HOUR_NS)
            candles = collector.candles(BITCOIN)
            while (await anext(candles)).open_ns < VIRTUAL_START_NS + 2 * MINUTE_NS:
                pass
            return await collector.audit(BITCOIN, VIRTUAL_START_NS - HOUR_NS)

    found = run_virtual(main())

    assert found.candles > 20
    assert ([], []) == (found.unconfirmed, found.left)
