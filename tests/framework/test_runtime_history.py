"""Holes heal, history is never hammered, and what a series says of itself is true."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import World, accepted, play
from wickwire import (
    DAY_NS,
    HOUR_NS,
    HttpReply,
    HttpRequest,
    MemoryStore,
    Page,
    PlanError,
    Rung,
    StoreError,
    TransportError,
    VenueError,
)
from wickwire.closer import Condition
from wickwire.closes import MOST_WAITING
from wickwire.collector import Collector
from wickwire.simulate.loops import running_clock
from wickwire.store import TAIL

POLLED: dict[str, Any] = {"stream": False}


@attrs.define(eq=False)
class Venue(World):
    """A scripted venue whose history can be told to be bad in several ways."""

    broken: set[int] = attrs.field(factory=set)
    """Minutes that it serves against the laws of candles."""
    stops_at: int | None = None
    """It serves nothing from this minute on: its history is stuck."""
    asked: list[tuple[float, int, int]] = attrs.field(factory=list)

    def _answer(self, request: HttpRequest) -> HttpReply | TransportError:
        since, until = int(request.params["since"]), int(request.params["until"])
        loop_s = asyncio.get_running_loop().time()
        self.asked.append((loop_s, since // MINUTE_NS, until // MINUTE_NS))
        if self.down:
            return TransportError("unreachable")
        served = [
            {"minute": minute, "close": close} | ({"high": 0} if minute in self.broken else {})
            for minute, close in sorted(self.truth.items())
            if since <= minute * MINUTE_NS < until
        ]
        return HttpReply(
            status=self.status, body=json.dumps(served).encode(), date_ns=running_clock().now_ns()
        )

    def asked_within(self, seconds: float) -> int:
        """How many requests came in the last *seconds*."""
        now_s = asyncio.get_running_loop().time()
        return len([1 for at_s, _, _ in self.asked if at_s > now_s - seconds])


def filled(world: Venue, minutes: int) -> int:
    """Give the venue so many minutes of history up to now; return the first of them."""
    first = world.minute - minutes
    world.truth |= {first + number: 100 + number for number in range(minutes)}
    return first


async def passes(world: World, minutes: int, *, streamed: bool = False) -> None:
    """Let minutes pass in which something is traded."""
    for _ in range(minutes):
        world.trade(100, streamed=streamed)
        await world.next_minute(20)


# ------------------------------------------------------------------------------------------ healing


def test_a_row_that_can_never_be_had_keeps_nothing_older_from_healing() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 100)
        world.broken = {first + 95, first + 96, first + 80}
        await collector.add(SERIES, since=first * MINUTE_NS)
        await asyncio.sleep(300)
        stored = {candle.open_ns // MINUTE_NS for candle in await world.stored()}
        assert set(range(first, first + 100)) - world.broken <= stored
        holes = collector.health().series[0].holes
        assert [(first + 80, 1), (first + 95, 2)] == [
            (hole.since_ns // MINUTE_NS, (hole.until_ns - hole.since_ns) // MINUTE_NS) for hole in holes
        ]

    play(test, Venue(plugin=Scripted(**POLLED, support={"page_rows": 10})))


def test_a_row_that_can_never_be_had_is_asked_for_ever_more_rarely() -> None:
    """Also on a polled series, whose polls succeed each minute."""

    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 10)
        world.broken = {first + 5}
        await collector.add(SERIES, since=first * MINUTE_NS)
        await passes(world, 240)
        assert 60 <= world.asked_within(3_600) <= 66, "a poll a minute, a few tries, an audit or two"

    play(test, Venue(plugin=Scripted(**POLLED)))


def test_a_new_hole_heals_at_once_beside_an_old_one_that_cannot() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 10)
        world.broken = {first + 5}
        await collector.add(SERIES, since=first * MINUTE_NS)
        await accepted(world)
        await passes(world, 120, streamed=True)
        lost = world.minute
        world.trade(100, streamed=False)  # the stream loses one
        await world.next_minute(0)
        world.trade(101)
        await world.next_minute(0)
        world.trade(102)
        await asyncio.sleep(30)
        assert lost in {candle.open_ns // MINUTE_NS for candle in await world.stored()}

    play(test, Venue())


def test_pages_that_prove_nothing_are_not_asked_for_without_end() -> None:
    """The adapter's covered range is empty, and what was closed is older than the ledger remembers."""

    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 5_000)
        del world.truth[first + 50]
        await collector.add(SERIES, since=first * MINUTE_NS)
        await asyncio.sleep(600)
        before = len(world.asked)
        await asyncio.sleep(3_600)
        assert len(world.asked) - before <= 60 + 64

    def modest(**values: Any) -> Page:
        return Page(**(values | {"covered": (0, 0)}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.framework.scripted.Page", modest)
        play(test, Venue(plugin=Scripted(**POLLED)))


def test_what_the_stream_witnessed_long_ago_is_not_held_against_it() -> None:
    """Only so much is remembered; REST was down for a day, and then speaks of all of it."""

    async def test(world: Venue, collector: Collector) -> None:
        switches: list[object] = []
        collector.on_switch(switches.append)
        await collector.add(SERIES)
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.stream.say({"fault": "gap", "why": "lost one"})
        world.down = True
        for _ in range(1_500):
            world.trade(100)
            await world.next_minute(1)
        world.down = False
        await asyncio.sleep(3_700)
        assert [] == [switch for switch in switches if "did not bring" in str(switch)][:1]

    play(test, Venue())


# ------------------------------------------------------------------------------------- waiting for it


def test_history_is_whole_when_what_lacks_can_never_be_had() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 10)
        world.broken = {first + 5}
        await collector.add(SERIES, since=first * MINUTE_NS)
        async with asyncio.timeout(60):
            await collector.history_is_whole(SERIES)
        assert 9 == len(await world.stored())

    play(test, Venue(plugin=Scripted(**POLLED)))


def test_history_is_whole_at_once_where_there_is_none() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        async with asyncio.timeout(60):
            await collector.history_is_whole(SERIES)

    play(test, Venue(plugin=Scripted(rest=False)))


def test_who_waits_for_a_series_that_is_removed_waits_no_longer() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        world.down = True
        await collector.add(SERIES)
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(collector.history_is_whole(SERIES))
            await asyncio.sleep(1)
            await collector.remove(SERIES)

    play(test, Venue(plugin=Scripted(**POLLED)))


def test_history_of_a_symbol_that_the_venue_does_not_know_says_so() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        world.status = 404
        with pytest.raises(VenueError, match="status 404"):
            async with asyncio.timeout(60):
                [page async for page in collector.history(SERIES, (world.minute - 10) * MINUTE_NS)]

    play(test, Venue(plugin=Scripted(**POLLED)))


def test_history_leaves_nothing_collected_that_was_not_before() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 10)
        pages = [page async for page in collector.history(SERIES, first * MINUTE_NS)]
        assert 10 == sum(len(page) for page in pages)
        assert [] == list(collector.plan())
        await asyncio.sleep(1)
        assert all(stream.closed for stream in world.transport.streams)

        async for _ in collector.history(SERIES, first * MINUTE_NS):
            await collector.add(SERIES)  # somebody wants it for good
        assert 1 == len(collector.plan())
        async for _ in collector.history(SERIES, first * MINUTE_NS):
            break
        assert 1 == len(collector.plan())

    play(test, Venue())


def test_history_is_refused_where_there_is_none_and_nothing_is_collected() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        with pytest.raises(PlanError, match="no history"):
            [page async for page in collector.history(SERIES, 0)]
        assert [] == list(collector.plan())

    play(test, Venue(plugin=Scripted(rest=False)))


# ----------------------------------------------------------------------------------------- bad times


@pytest.mark.parametrize("minutes", [60 * 24 * 365 * 50, 2**50])
def test_rows_of_a_far_future_close_nothing(minutes: int) -> None:
    """F59: two such rows would close everything up to then, and the series would be over."""

    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.trade(100)
        now = world.minute
        world.stream.say(*({"candle": {"minute": now + minutes + more, "close": 1}} for more in (0, 1, 2)))
        await world.next_minute(1)
        world.trade(101)
        await world.next_minute(30)
        assert [100, 101] == [int(candle.close) for candle in await world.stored()]
        [health] = collector.health().series
        assert () == tuple(health.holes)
        assert 3 == health.refused_rows
        assert "in the future" in health.trouble

    play(test, Venue())


def test_rows_of_the_near_future_are_made_good() -> None:
    """An hour ahead might be a clock that is wrong; what they closed too early is closed right in the end."""

    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.trade(100)
        first = world.minute
        world.stream.say(*({"candle": {"minute": first + more, "close": 1}} for more in (60, 61)))
        await world.next_minute(1)
        await passes(world, 180, streamed=True)
        stored = {candle.open_ns // MINUTE_NS: int(candle.close) for candle in await world.stored()}
        assert stored == {minute: close for minute, close in world.truth.items() if minute < world.minute}

    play(test, Venue())


def test_a_row_that_is_on_no_grid_closes_nothing_and_leaves_no_hole() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.stream.say({"candle": {"minute": world.minute + 0.5, "close": 7}})
        await world.next_minute(40)
        world.trade(100)
        await world.next_minute(40)
        assert [100] == [int(candle.close) for candle in await world.stored()]
        [health] = collector.health().series
        assert () == tuple(health.holes)
        assert 1 == health.refused_rows

    play(test, Venue())


class Shifted:
    """The clock of the loop, and somebody who sets it."""

    def __init__(self) -> None:
        self.offset_ns = 0
        self._clock = running_clock()

    def now_ns(self) -> int:
        return self._clock.now_ns() + self.offset_ns


@pytest.mark.parametrize("hours", [-5, 5])
@pytest.mark.parametrize("stream", [True, False])
def test_a_clock_that_was_wrong_and_is_set_right_costs_nothing(hours: int, *, stream: bool) -> None:
    """Waits are the loop's: they are not lengthened by hours because somebody set the clock."""
    world = Venue(plugin=Scripted(stream=stream))

    async def test(world: Venue, collector: Collector) -> None:
        clock = collector._clock
        assert isinstance(clock, Shifted)
        await collector.add(SERIES)
        if stream:
            await accepted(world)
        await passes(world, 5, streamed=stream)
        clock.offset_ns = hours * HOUR_NS
        world.down = True
        await passes(world, 5, streamed=stream)
        world.down = False
        clock.offset_ns = 0
        await passes(world, 5, streamed=stream)
        stored = {candle.open_ns // MINUTE_NS: int(candle.close) for candle in await world.stored()}
        assert stored == {minute: close for minute, close in world.truth.items() if minute < world.minute}
        assert () == tuple(collector.health().series[0].holes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.framework.test_collector.running_clock", _clock_that_stays())
        play(test, world)


def _clock_that_stays() -> Callable[[], Any]:
    made: list[Any] = []

    def clock() -> Any:
        if not made:
            made.append(Shifted())
            return made[0]
        return running_clock()

    return clock


# ----------------------------------------------------------------------------------------- honest words


def test_a_stream_that_is_lost_is_polled_within_seconds_however_long_its_candles_are() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        hours = "scripted:BTC/USD@1h"
        await collector.add(hours)
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1h"]})
        await asyncio.sleep(600)
        world.transport.refuse = TransportError("refused")
        world.stream.hang_up()
        await asyncio.sleep(6)
        [health] = collector.health().series
        assert Rung.POLL is health.rung

    play(test, Venue())


def test_a_venue_that_streams_closed_candles_alone_is_live_from_one_to_the_next() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for _ in range(3):
            await world.next_minute(1)
            minute = world.minute
            world.stream.say({"candle": {"minute": minute - 1, "close": 7, "finality": "closed"}})
            for _ in range(11):
                await asyncio.sleep(5)
                world.stream.say({"beat": 1})
                assert Condition.LIVE is collector.health().series[0].condition
        await asyncio.sleep(90)
        world.stream.say({"beat": 1})
        assert Condition.LIVE is not collector.health().series[0].condition

    play(test, Venue(plugin=Scripted(rest=False)))


def test_a_topic_without_rows_is_not_called_live_in_the_middle_of_a_long_candle() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        closer = collector.closer(SERIES)
        world.trade(100)
        await asyncio.sleep(1)
        assert Condition.LIVE is closer.state()
        forming = closer.ledger.forming
        assert forming is not None
        closer.ledger.forming = attrs.evolve(forming, close_ns=forming.close_ns + DAY_NS)  # type: ignore[misc]  # an event
        await asyncio.sleep(45)
        world.stream.say({"beat": 1})
        assert Condition.LIVE is closer.state()
        await asyncio.sleep(20)
        assert Condition.QUIET is closer.state()

    play(test, Venue(plugin=Scripted(rest=False)))


def test_a_series_whose_stream_never_came_is_stale_and_not_starting_for_ever() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        world.transport.refuse = TransportError("refused")
        await collector.add(SERIES)
        await asyncio.sleep(30)
        assert Condition.STARTING is collector.health().series[0].condition
        await asyncio.sleep(60)
        assert Condition.STALE is collector.health().series[0].condition

    play(test, Venue(plugin=Scripted(rest=False)))


def test_a_history_that_answers_and_proves_nothing_new_is_stale() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await passes(world, 5)
        assert Condition.POLLED is collector.health().series[0].condition
        stuck_ns = world.minute * MINUTE_NS

        def stuck(**values: Any) -> Page:
            since_ns, until_ns = values["covered"]
            rows = [row for row in values["candles"] if row.open_ns < stuck_ns]
            return Page(**(values | {"candles": rows, "covered": (since_ns, min(until_ns, stuck_ns))}))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.framework.scripted.Page", stuck)
            await passes(world, 5)
        assert Condition.STALE is collector.health().series[0].condition
        await passes(world, 2)
        assert Condition.POLLED is collector.health().series[0].condition

    play(test, Venue(plugin=Scripted(**POLLED)))


def test_a_history_that_always_proves_late_is_quiet_and_asked_once_a_bucket() -> None:
    """As Yahoo does while nothing is traded: that a bucket is empty is proven twenty minutes later."""

    async def test(world: Venue, collector: Collector) -> None:
        def late(**values: Any) -> Page:
            since_ns, until_ns = values["covered"]
            proven_ns = (world.minute - 20) * MINUTE_NS
            return Page(**(values | {"covered": (since_ns, max(since_ns, min(until_ns, proven_ns)))}))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.framework.scripted.Page", late)
            await collector.add(SERIES)
            await passes(world, 30)
            for _ in range(60):
                await world.next_minute(20)
            await asyncio.sleep(3_600)
            assert 59 <= world.asked_within(3_600) <= 64, "and an audit or two"
            assert Condition.QUIET is collector.health().series[0].condition
            world.trade(7, streamed=False)
            await world.next_minute(10)
            assert 7 == (await world.stored())[-1].close, "and what is traded again is there at once"

    play(test, Venue(plugin=Scripted(**POLLED)))


def test_a_thin_series_whose_history_proves_late_is_quiet_for_as_long_as_it_may_take() -> None:
    """Yahoo cannot prove that nobody traded in the last twenty minutes; of a lively series that is stale."""

    async def test(world: Venue, collector: Collector) -> None:
        def late(**values: Any) -> Page:
            since_ns, until_ns = values["covered"]
            proven_ns = max([(world.minute - 20) * MINUTE_NS, *(row.close_ns for row in values["candles"])])
            return Page(**(values | {"covered": (since_ns, max(since_ns, min(until_ns, proven_ns)))}))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.framework.scripted.Page", late)
            await collector.add(SERIES)
            await passes(world, 30)
            for _ in range(5):
                await world.next_minute(20)
            assert Condition.STALE is collector.health().series[0].condition, "it used to be traded"
            for _ in range(40):
                await world.next_minute(20)
            await passes(world, 1)
            for _ in range(40):
                assert collector.health().series[0].condition in (Condition.QUIET, Condition.POLLED)
                await world.next_minute(20)
            world.down = True
            await asyncio.sleep(1_500)
            assert Condition.STALE is collector.health().series[0].condition

    play(test, Venue(plugin=Scripted(**POLLED, support={"proof_s": 1_200.0})))


# ------------------------------------------------------------------------------------- stores that fail


def test_a_store_that_fails_for_days_costs_no_memory_and_in_the_end_no_candle() -> None:
    class Down(MemoryStore):
        down = False

        async def commit(self, changes: Any) -> Any:
            if self.down:
                raise StoreError("disk full")
            return await super().commit(changes)

        async def aclose(self) -> None:
            pass

    store = Down()

    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        store.down = True
        for _ in range(MOST_WAITING + 300):
            world.trade(100 + random.Random(world.minute).randrange(9))
            await world.next_minute(1)
        closer = collector.closer(SERIES)
        assert closer.ledger.waiting <= MOST_WAITING
        assert closer.ledger.forgone
        store.down = False
        await asyncio.sleep(600)
        await passes(world, 3, streamed=True)
        stored = {candle.open_ns // MINUTE_NS: int(candle.close) for candle in await world.stored()}
        assert stored == {minute: close for minute, close in world.truth.items() if minute < world.minute}
        assert () == tuple(collector.health().series[0].holes)

    play(test, Venue(store=store))


def test_no_history_is_fetched_into_a_store_that_takes_none() -> None:
    class Full(MemoryStore):
        async def commit(self, changes: Any) -> Any:
            raise StoreError("disk full")

    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 50_000)
        await collector.add(SERIES, since=first * MINUTE_NS)
        await asyncio.sleep(3_600)
        assert len(world.asked) <= 20
        assert collector.closer(SERIES).ledger.waiting <= MOST_WAITING

    play(test, Venue(plugin=Scripted(**POLLED), store=Full()))


@pytest.mark.parametrize("commit_s", [0.5, 1.0, 14.0])
def test_history_waits_for_a_store_that_is_slow_and_ends_no_earlier(commit_s: float) -> None:
    """While closes wait for the store no more pages are asked for: that is no end of what history has."""

    class Slow(MemoryStore):
        async def commit(self, changes: Any) -> Any:
            await asyncio.sleep(commit_s)
            return await super().commit(changes)

    async def test(world: Venue, collector: Collector) -> None:
        first = filled(world, 3 * TAIL)
        brought = [
            candle.open_ns // MINUTE_NS
            async for rows in collector.history(SERIES, first * MINUTE_NS, world.minute * MINUTE_NS)
            for candle in rows
        ]
        assert brought == list(range(first, first + 3 * TAIL))

    play(test, Venue(plugin=Scripted(**POLLED), store=Slow()))


# -------------------------------------------------------------------------------------------- quiet markets


@pytest.mark.timeout(900)
@pytest.mark.parametrize("hours", [100, pytest.param(2_000, marks=pytest.mark.nightly)])
def test_a_market_that_is_quiet_for_weeks_causes_no_switch(hours: int) -> None:
    async def test(world: Venue, collector: Collector) -> None:
        switches: list[object] = []
        collector.on_switch(switches.append)
        await collector.add(SERIES)
        await accepted(world)
        for hour in range(hours):
            if hour % 7 == 0:
                world.trade(100 + hour)
            for _ in range(8):
                await asyncio.sleep(450)
                world.stream.say({"beat": 1})
            assert collector.health().series[0].condition is Condition.QUIET
        assert [] == switches
        stored = {candle.open_ns // MINUTE_NS: int(candle.close) for candle in await world.stored()}
        assert stored == world.truth
        assert world.asked_within(3_600) <= 12

    play(test, Venue())
