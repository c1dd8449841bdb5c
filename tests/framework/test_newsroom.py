"""What a program that listens to its collector is told, and what stands in the log of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, get_args

import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, TOPIC, Scripted
from tests.framework.test_collector import Kept, World, accepted, play
from wickwire import (
    SECOND_NS,
    Backoff,
    BudgetChanged,
    CandleParked,
    Condition,
    ConditionChanged,
    ConnectionChanged,
    ConnectionLost,
    ConsumerLoses,
    Doubted,
    FaultKind,
    Feed,
    FrameRefused,
    GivenUp,
    HistoryFailed,
    Hole,
    HoleFound,
    HoleHealed,
    HoleKind,
    News,
    PauseChanged,
    Policy,
    Rescaled,
    RestChanged,
    Rotation,
    RowRefused,
    Rung,
    SeriesCandle,
    SeriesShared,
    SinkChanged,
    StatusChanged,
    StoreChanged,
    StoreError,
    SubscriptionRefused,
    Switch,
    Topic,
    TransportError,
    UsageError,
    VenueFailed,
)
from wickwire.collector import Collector
from wickwire.newsroom import COUNTED_S, LISTENED_S, changed_links
from wickwire.queues import BOUND
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.subscriptions import QUARANTINE_S

ONE = "scripted:BTC/USD@1m"
TRADES = "scripted:BTC/USD@trades"

N = TypeVar("N", bound=News)


def of_kind(told: Sequence[News], kind: type[N]) -> list[N]:
    return [one for one in told if isinstance(one, kind)]


def listen(
    test: Callable[[World, Collector, list[News]], Awaitable[None]], world: World | None = None, **more: Any
) -> None:
    """Run *test* in a collector that somebody listens to."""

    async def listening(world: World, collector: Collector) -> None:
        told: list[News] = []
        collector.on_event(told.append)
        await test(world, collector, told)

    play(listening, world, **more)


# --------------------------------------------------------------------------------------- what merely is so


def test_how_a_series_is_doing_is_told_when_it_is_otherwise() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(30)
        for _ in range(20):  # the same again is no news
            world.trade(100)
        await asyncio.sleep(LISTENED_S)
        changes = of_kind(told, ConditionChanged)
        assert [None, *(one.condition for one in changes)][:-1] == [one.before for one in changes]
        assert (Condition.STARTING, Condition.LIVE) == (changes[0].condition, changes[-1].condition)
        assert {(SERIES, Rung.STREAM, "Scripted streams 1m candles", "")} == {
            (one.series, one.rung, one.why, one.trouble) for one in changes
        }
        assert len(changes) <= 3

        world.transport.refuse, world.down = TransportError("refused"), True
        world.stream.hang_up()
        await asyncio.sleep(600)
        newest = of_kind(told, ConditionChanged)[-1]
        assert (Condition.STALE, Rung.POLL, "unreachable") == (newest.condition, newest.rung, newest.trouble)

    listen(test)


def test_trades_are_looked_at_too_and_what_was_removed_is_forgotten() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        for _ in range(2):
            await collector.add(TRADES)
            await asyncio.sleep(2)
            await collector.remove(TRADES)
            await asyncio.sleep(2)

        changes = of_kind(told, ConditionChanged)
        assert [None, None] == [one.before for one in changes], "the second time it is new again"

    listen(test)


def test_states_of_a_connection_are_told_as_they_were_seen() -> None:
    first = {1: ("connecting", 1), 2: ("ready", 1)}
    then = {1: ("ready", 1), 2: ("ready", 2), 3: ("waiting", 4)}
    seen = [(one.number, one.before, one.state, one.attempts) for one in changed_links("a.b", first, then, 7)]

    assert [(1, "connecting", "ready", 1), (2, "ready", "ready", 2), (3, None, "waiting", 4)] == seen
    assert [] == list(changed_links("a.b", then, then, 7))
    gone = list(changed_links("a.b", then, {1: ("ready", 1), 3: ("waiting", 4)}, 7))
    assert [("a.b", 2, 7, "gone", "ready")] == [
        (one.venue, one.number, one.at_ns, one.state, one.before) for one in gone
    ]


def test_a_venue_that_wants_no_requests_is_told_when_it_says_so_and_when_that_is_over() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        world.status = 429
        await collector.add(ONE)
        await asyncio.sleep(5)
        world.status = 200
        await asyncio.sleep(600)
        assert [True, False] == [one.paused for one in of_kind(told, PauseChanged)][:2]

    listen(test, World(plugin=Scripted(stream=False)))


# -------------------------------------------------------------------------- what comes and goes between looks


def test_messages_that_are_not_what_the_venue_documents_are_told_ever_more_rarely() -> None:
    """One is a mishap, a thousand are a protocol of which the adapter knows nothing."""

    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        for number in range(1_200):
            world.stream.say_raw(f"nonsense {number}".encode())
        await asyncio.sleep(1)
        world.stream.hang_up()
        await asyncio.sleep(30)
        world.stream.say_raw(b"nonsense anew")
        await asyncio.sleep(1)

        refused = of_kind(told, FrameRefused)
        assert [1, 10, 100, 1_000, 1] == [one.count for one in refused]
        assert ["0", "9", "99", "999", "anew"] == [one.why.split()[-1].strip("'\"") for one in refused]
        assert all(one.venue == "scripted" and one.frames > one.count for one in refused[:4])

    listen(test)


def test_a_refusal_says_of_what_by_whom_why_and_until_when_it_is_left_alone() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "not for you", "kind": "entitlement"})
        await asyncio.sleep(0.001)
        now_ns = running_clock().now_ns()

        [one] = of_kind(told, SubscriptionRefused)
        assert ("scripted", TOPIC, FaultKind.ENTITLEMENT, "not for you") == (
            one.venue,
            one.topic,
            one.kind,
            one.why,
        )
        assert one.until_ns == one.at_ns + round(QUARANTINE_S * SECOND_NS)
        assert 0 <= now_ns - one.at_ns < SECOND_NS
        asked = len(world.stream.asked)
        await asyncio.sleep((one.until_ns - now_ns) / SECOND_NS - 1)
        assert asked == len(world.stream.asked)
        await asyncio.sleep(2)
        assert asked + 1 == len(world.stream.asked), "it is asked for again when it was said"

    listen(test, World(plugin=Scripted(endpoint={"silence_limit_s": 10_000.0})))


def test_a_hole_that_is_found_and_healed_at_once_is_told_both_times() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        world.trade(100)
        world.down = True
        await world.next_minute(1)
        lost = world.minute
        world.truth[lost] = 101  # traded, and the stream does not bring it
        for close in (102, 103):
            await world.next_minute(1)
            world.down = close == 102
            world.trade(close)
        await asyncio.sleep(40)  # the next try finds out that REST is back

        hole = Hole(lost * MINUTE_NS, (lost + 1) * MINUTE_NS, HoleKind.MISSING)
        [found], [healed] = of_kind(told, HoleFound), of_kind(told, HoleHealed)
        assert (SERIES, hole, SERIES, hole) == (found.series, found.hole, healed.series, healed.hole)
        assert found.at_ns <= healed.at_ns
        assert [] == list(collector.health().series[0].holes)

    listen(test)


def test_what_the_store_knew_to_be_missing_is_no_news_and_that_it_is_healed_is() -> None:
    world = World()

    async def first(world: World, collector: Collector) -> None:
        world.truth |= {world.first_minute - 5: 100}
        await collector.add(ONE, since=(world.first_minute - 5) * MINUTE_NS)
        await collector.history_is_whole(ONE)

    async def second(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE, since=(world.first_minute - 20) * MINUTE_NS)
        await collector.history_is_whole(ONE)
        assert [] == of_kind(told, HoleFound)
        [healed] = of_kind(told, HoleHealed)
        assert 15 * MINUTE_NS == healed.hole.until_ns - healed.hole.since_ns

    play(first, world)
    listen(second, world)


def test_a_connection_that_is_back_within_a_second_was_lost_all_the_same() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(2)
        world.stream.hang_up()
        await asyncio.sleep(3)

        [lost] = of_kind(told, ConnectionLost)
        assert ("scripted", 1, "closed with 1006") == (lost.venue, lost.number, lost.why)
        assert lost.wait_s <= 0.2
        states = [(one.state, one.attempts) for one in of_kind(told, ConnectionChanged)]
        assert ("ready", 1) in states
        assert ("ready", 2) == states[-1]

    listen(test, backoff=Backoff(first_s=0.2, cap_s=0.2))


def test_each_doubt_is_an_event_and_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A venue that counts its messages and loses one in two makes a doubt of each frame."""

    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await collector.add(TRADES)
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "BTC/USD@trades"]})
        for number in range(50):
            world.stream.say({"fault": "gap", "why": f"message {number} is missing"})
            await asyncio.sleep(0.1)

        doubts = of_kind(told, Doubted)
        assert [f"message {number} is missing" for number in range(50)] == [one.why for one in doubts]
        assert {("scripted", (TOPIC, Topic("BTC/USD", Feed.TRADES)))} == {
            (one.venue, tuple(one.topics)) for one in doubts
        }
        assert 1 == [record.message for record in caplog.records].count("data doubted")

    with caplog.at_level(logging.INFO, logger="wickwire"):
        listen(test)


def test_trades_that_are_missing_by_their_numbers_are_a_doubt_of_their_topic() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@trades"]})
        world.stream.say(*({"trade": ["BTC/USD", number, "1"]} for number in (1, 2, 5)))
        await asyncio.sleep(0.1)

        [one] = of_kind(told, Doubted)
        assert ("trades 3 to 4 are missing", [Topic("BTC/USD", Feed.TRADES)]) == (one.why, [*one.topics])

    support = {"stream": False, "trades": True, "numbered": True}
    listen(test, World(plugin=Scripted(support=support)))


def test_the_state_of_a_venue_and_of_a_symbol_is_told_also_when_it_comes_and_goes() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        for state in ("halted", "halted", "trading"):
            world.stream.say({"status": state, "of": "BTC/USD"})
        for state in ("online", "maintenance", "online"):
            world.stream.say({"status": state})
        await asyncio.sleep(0.001)

        assert [
            ("BTC/USD", "halted"),
            ("BTC/USD", "trading"),
            (None, "online"),
            (None, "maintenance"),
            (None, "online"),
        ] == [(one.symbol, one.status) for one in of_kind(told, StatusChanged)]
        assert 2 == len(of_kind(told, Doubted)), "what was traded meanwhile may never be said"

    listen(test)


def test_a_store_that_fails_once_is_told_and_that_it_works_again() -> None:
    class Once(Kept):
        failures = 1

        async def commit(self, changes: Any) -> Any:
            self.failures -= 1
            if self.failures >= 0:
                raise StoreError("disk full")
            return await super().commit(changes)

    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        await asyncio.sleep(0.5)
        assert ["disk full", ""] == [one.trouble for one in of_kind(told, StoreChanged)]

    listen(test, World(store=Once()))


def test_history_that_fails_and_rows_that_are_none_are_told_once_each() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        world.status = 404
        await collector.add(ONE)
        await asyncio.sleep(1_800)
        [failed] = of_kind(told, HistoryFailed)
        assert (SERIES, FaultKind.SYMBOL, "status 404") == (failed.series, failed.kind, failed.why)

        world.status = 200
        world.truth |= {world.minute + ahead: -1 for ahead in range(60)}
        await asyncio.sleep(1_800)
        assert 1 == len(of_kind(told, HistoryFailed))
        [refused] = of_kind(told, RowRefused)
        assert "refused the candle of" in refused.why

    listen(test, World(plugin=Scripted(stream=False)))


def test_a_bug_in_a_venue_is_told_and_so_is_that_it_is_given_up() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        closer = collector.closer(SERIES)

        def broken(*_: Any, **__: Any) -> Any:
            raise LookupError("a bug of ours")

        closer._next_wake_ns = broken  # type: ignore[method-assign]  # a bug of ours
        closer._woken.set()
        await asyncio.sleep(0.001)
        del closer._next_wake_ns
        [failed] = of_kind(told, VenueFailed)
        assert ("scripted", "LookupError: a bug of ours", False) == (
            failed.venue,
            failed.why,
            failed.given_up,
        )

        world.transport.refuse = TransportError("refused")
        world.stream.hang_up()
        with pytest.raises(asyncio.CancelledError):  # the collector ends, and this block with it
            await asyncio.sleep(3_600)
        assert [False, True] == [one.given_up for one in of_kind(told, VenueFailed)]

    with pytest.raises(GivenUp):
        listen(test, backoff=Backoff(attempts=3))


def test_a_change_of_route_is_told_at_once_to_both_kinds_of_listeners() -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        switches: list[Switch] = []
        collector.on_switch(switches.append)
        await collector.add(ONE)
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "no"})
        await world.next_minute(20)
        assert 1 == len(switches)
        assert switches == of_kind(told, Switch)

    listen(test)


# -------------------------------------------------------------------------------------------- listening


def test_events_are_an_iterator_that_ends_with_the_collector() -> None:
    world = World()

    async def main() -> None:
        async with world.collector() as collector:
            events = collector.events()
            await collector.add(ONE)
            await accepted(world)
            await asyncio.sleep(5)
        kinds = {type(one) for one in [one async for one in events]}
        assert {ConditionChanged, ConnectionChanged} <= kinds

    run_virtual(main())


def test_who_does_not_read_events_loses_the_oldest_and_holds_few() -> None:
    async def test(world: World, collector: Collector) -> None:
        events = collector.events(bound=5, name="alerts")
        await collector.add(ONE)
        await accepted(world)
        world.stream.say(*({"fault": "gap", "why": f"{number}"} for number in range(100)))
        await asyncio.sleep(0.5)

        [alerts] = collector.health().consumers
        assert ("alerts", Policy.DROP_OLDEST, 5, 5) == (
            alerts.name,
            alerts.policy,
            alerts.bound,
            alerts.waiting,
        )
        assert events.dropped == alerts.dropped > 90
        counts = collector.health().events
        assert (100, 1) == (counts["Doubted"], counts["ConsumerLoses"])
        assert "99" == [one.why for one in [await anext(events) for _ in range(5)] if hasattr(one, "why")][-1]

    play(test)


def test_listeners_can_be_stopped_also_by_themselves() -> None:
    async def test(world: World, collector: Collector) -> None:
        heard: list[object] = []
        stops: list[Callable[[], None]] = []

        async def once(candle: SeriesCandle) -> None:
            stops[0]()
            await asyncio.sleep(1)
            heard.append(candle.close)  # the call that is under way comes to its end

        def event(one: News) -> None:
            heard.append(one)

        stops += [collector.on_candle(once), collector.on_event(event), collector.on_switch(heard.append)]
        stops[1]()
        stops[2]()
        stops[2]()  # a second time nothing happens
        await collector.add(ONE)
        await accepted(world)
        for close in (100, 101, 102):
            world.trade(close)
            await world.next_minute(2)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "no"})
        await world.next_minute(20)
        assert Rung.POLL is collector.health().series[0].rung
        assert [100] == heard
        assert {} == collector._audience._tasks
        assert [] == list(collector.health().consumers)

    play(test)


def test_a_listener_that_raises_is_counted_and_hears_the_next_event() -> None:
    async def test(world: World, collector: Collector) -> None:
        heard: list[News] = []

        async def broken(one: News) -> None:
            heard.append(one)
            raise ValueError("a bug of the host")

        collector.on_event(broken)
        await collector.add(ONE)
        await accepted(world)
        await asyncio.sleep(5)
        assert len(heard) == collector.listener_errors > 1

    play(test)


def test_nothing_can_be_listened_to_before_it_runs() -> None:
    collector = World.collector

    async def main() -> None:
        idle = collector(World())
        for ask in (idle.events, lambda: idle.on_event(print)):
            with pytest.raises(UsageError, match="not running"):
                ask()

    run_virtual(main())


def test_where_nobody_listens_and_nothing_is_logged_it_is_counted_all_the_same() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(ONE)
        await accepted(world)
        await asyncio.sleep(2 * COUNTED_S)
        assert collector.health().events["ConditionChanged"] >= 1
        assert collector.health().events["ConnectionChanged"] >= 1

    play(test)


def test_a_bug_in_how_a_venue_is_doing_ends_nothing_and_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await accepted(world)
        closer = collector.closer(SERIES)

        def broken() -> Condition:
            raise LookupError("a bug of ours")

        closer.state = broken  # type: ignore[method-assign]  # a bug of ours
        await asyncio.sleep(10)
        lines = [record for record in caplog.records if record.message == "venue cannot be looked at"]
        assert 1 == len(lines)
        del closer.state
        seen = len(told)
        world.trade(100)
        await asyncio.sleep(LISTENED_S)
        assert Condition.LIVE is of_kind(told[seen:], ConditionChanged)[0].condition

    listen(test)


# ---------------------------------------------------------------------------------------------- the log

LINES = {
    Switch: "route changed",
    ConditionChanged: "condition changed",
    HoleFound: "hole found",
    HoleHealed: "hole healed",
    HistoryFailed: "history failed",
    RowRefused: "a row of the venue is no candle",
    Rescaled: "history rescaled",
    SubscriptionRefused: "subscription refused",
    FrameRefused: "frame refused",
    Doubted: "data doubted",
    StatusChanged: "symbol status",
    ConnectionChanged: "connection changed",
    ConnectionLost: "stream ended",
    PauseChanged: "requests pause",
    RestChanged: "rest away",
    VenueFailed: "venue failed",
    StoreChanged: "store failed",
    SeriesShared: "series shared",
    SinkChanged: "sink failed",
    BudgetChanged: "shared budget away",
    CandleParked: "candle parked",
    ConsumerLoses: "consumer loses",
    Rotation: "connection rotation",
}


def test_every_kind_of_event_has_a_line() -> None:
    assert {*get_args(News)} == {*LINES}


def test_a_change_is_one_line_with_its_fields_and_a_frame_is_none(caplog: pytest.LogCaptureFixture) -> None:
    async def test(world: World, collector: Collector, told: list[News]) -> None:
        await collector.add(ONE)
        await collector.add(TRADES)
        slow = collector.trades(bound=4, name="slow one")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "BTC/USD@trades"]})
        for _ in range(3):
            world.trade(100)
            world.stream.say(*({"trade": ["BTC/USD", number, "1"]} for number in range(200)))
            await world.next_minute(1)
        world.stream.say({"status": "halted", "of": "BTC/USD"})
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "no"})
        await asyncio.sleep(30)
        world.stream.hang_up()
        await asyncio.sleep(30)
        assert slow.dropped > 500

        said = [record.getMessage() for record in caplog.records]
        for kind, line in LINES.items():
            assert said.count(line) == len(of_kind(told, kind)), line
        shown = {type(one) for one in told}
        assert {Switch, SubscriptionRefused, StatusChanged, ConnectionLost, ConsumerLoses} <= shown
        [loses] = [vars(record) for record in caplog.records if record.message == "consumer loses"]
        assert ("slow one", "drop_oldest", "4") == (loses["consumer"], loses["policy"], loses["bound"])

    with caplog.at_level(logging.DEBUG, logger="wickwire"):
        listen(test)


def test_a_stream_that_says_nothing_and_cannot_be_checked_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing went wrong that anybody would have told of."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(ONE)
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(1_800)
        lines = [record for record in caplog.records if record.message == "condition changed"]
        assert ["stale"] == [vars(record)["condition"] for record in lines]

    plugin = Scripted(rest=False, endpoint={"silence_limit_s": 10_000.0})
    with caplog.at_level(logging.WARNING, logger="wickwire"):
        play(test, World(plugin=plugin))


def test_a_bound_is_what_waits_at_most_unless_it_is_said() -> None:
    async def test(_: World, collector: Collector) -> None:
        kept = [collector.candles(), collector.trades(), collector.quotes(), collector.events()]
        consumers = collector.health().consumers
        assert [BOUND] * 4 == [one.bound for one in consumers]
        assert ["candles 1", "trades 1", "quotes 1", "events 1"] == [one.name for one in consumers]
        assert len(kept) == len(consumers)
        with pytest.raises(UsageError, match="at least 1, got 0"):
            collector.candles(bound=0)

    play(test)
