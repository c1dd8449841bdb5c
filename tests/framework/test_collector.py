"""The collector as a host uses it, on virtual time, over a venue that says what the test tells it to."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar, cast

import attrs
import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted, ScriptedStream, ScriptedTransport, brief
from wickwire import (
    SECOND_NS,
    CandleState,
    Evidence,
    HoleKind,
    HttpReply,
    HttpRequest,
    MemoryStore,
    PlanError,
    Rung,
    SeriesCandle,
    StoreError,
    TransportError,
    UsageError,
)
from wickwire.closer import Condition
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.simulate.loops import VirtualLoop, run_virtual, running_clock


class Kept(MemoryStore):
    """A store that outlives its collector, as a file does."""

    async def aclose(self) -> None:
        """Keep everything."""


@attrs.define(eq=False)
class World:
    """A scripted venue with a truth, and what tests do with it."""

    plugin: Scripted = attrs.field(factory=Scripted)
    truth: dict[int, int] = attrs.field(factory=dict)
    store: MemoryStore = attrs.field(factory=Kept)
    status: int = 200
    down: bool = False
    accept: bool = True
    first_minute: int = 0
    transport: ScriptedTransport = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.transport = ScriptedTransport(answer=self._answer)

    def _answer(self, request: HttpRequest) -> HttpReply | TransportError:
        if self.down:
            return TransportError("unreachable")
        since, until = int(request.params["since"]), int(request.params["until"])
        rows = [
            {"minute": minute, "close": close}
            for minute, close in sorted(self.truth.items())
            if since <= minute * MINUTE_NS < until
        ]
        return HttpReply(status=self.status, body=json.dumps(rows).encode())

    def collector(self, **more: Any) -> Collector:
        clock = running_clock()
        self.first_minute = clock.now_ns() // MINUTE_NS
        return Collector(
            self.store,
            registry=Registry(adapters={"scripted": self.plugin}),
            transport=self.transport,
            rng=random.Random(1),
            **{"clock": clock, **more},
        )

    @property
    def minute(self) -> int:
        return running_clock().now_ns() // MINUTE_NS

    @property
    def stream(self) -> ScriptedStream:
        return self.transport.streams[-1]

    def trade(self, close: int, *, streamed: bool = True) -> None:
        """Something is traded in the running minute."""
        self.truth[self.minute] = close
        if streamed:
            self.stream.say({"candle": {"minute": self.minute, "close": close}})

    async def next_minute(self, seconds: float = 0.0) -> None:
        """Sleep to *seconds* after the next full minute."""
        now_ns = running_clock().now_ns()
        end_ns = (now_ns // MINUTE_NS + 1) * MINUTE_NS
        await asyncio.sleep((end_ns - now_ns) / SECOND_NS + seconds)

    async def stored(self) -> list[SeriesCandle]:
        return list(await self.store.candles(SERIES, 0, 2**62, limit=10_000))


W = TypeVar("W", bound=World)


def play(test: Callable[[W, Collector], Awaitable[None]], world: W | None = None, **more: Any) -> W:
    """Run *test* inside a collector on virtual time."""
    world = world or cast("W", World())

    async def main() -> None:
        await asyncio.sleep(10)  # not at the very turn of a minute
        async with world.collector(**more) as collector:
            await test(world, collector)

    run_virtual(main())
    return world


async def accepted(world: World) -> None:
    await asyncio.sleep(1)
    world.stream.say({"accepted": ["BTC/USD@1m"]})
    await asyncio.sleep(0.1)


# ----------------------------------------------------------------------------------------- streaming


def test_a_streamed_candle_is_delivered_when_its_successor_comes_and_not_before() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        candles = collector.candles()
        await accepted(world)
        world.trade(100)
        world.trade(101)
        await asyncio.sleep(1)
        assert [] == await world.stored()

        await world.next_minute(1)
        world.trade(102)
        candle = await anext(candles)

        assert (world.first_minute, Decimal(101), "SUCCESSOR") == brief(candle)
        assert (CandleState.CLOSED, 0, Rung.STREAM, False) == (
            candle.state,
            candle.revision,
            candle.route,
            candle.healed,
        )
        assert [] == world.transport.requests, "a stream that closes its candles is asked nothing"

    play(test)


def test_a_candle_without_a_successor_is_closed_by_history_after_grace_and_settling() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await world.next_minute(10)

        [candle] = await world.stored()
        assert (world.first_minute, Decimal(100), "HISTORY") == brief(candle)
        assert 1 == len(world.transport.requests)

    play(test)


def test_what_a_cut_lost_is_fetched_and_nothing_is_doubled() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(5)
        world.stream.hang_up()
        world.trade(105, streamed=False)
        await world.next_minute(20)
        world.trade(110, streamed=False)
        await accepted(world)
        world.trade(111)
        await world.next_minute(5)
        world.trade(120)
        await world.next_minute(30)
        await collector.history_is_whole(SERIES)

        stored = await world.stored()
        first = world.first_minute
        assert {first: 105, first + 1: 111} == {
            c.open_ns // MINUTE_NS: int(c.close) for c in stored if c.open_ns // MINUTE_NS < first + 2
        }
        assert len(stored) == len({c.open_ns for c in stored})

    play(test)


def test_a_reconnection_is_tried_within_half_a_second_and_subscribes_anew() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.stream.hang_up()
        await asyncio.sleep(0.6)

        assert 2 == len(world.transport.streams)
        assert [["BTC/USD@1m"]] == world.stream.asked

    play(test)


def test_a_venue_that_accepts_and_closes_at_once_is_not_hammered() -> None:
    """F36: at most 30 attempts in ten minutes."""
    world = World()
    world.transport.greet = lambda stream: stream.hang_up()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(600)
        assert 5 <= len(world.transport.streams) <= 30

    play(test, world)


# ------------------------------------------------------------------------------------- falling back


def test_a_refused_stream_is_polled_instead() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "not for you"})
        world.trade(100, streamed=False)
        await world.next_minute(10)

        [health] = collector.health().series
        assert (Rung.POLL, Condition.POLLED) == (health.rung, health.condition)
        assert "not for you" in health.why
        [candle] = await world.stored()
        assert (world.first_minute, Decimal(100), "HISTORY") == brief(candle)
        assert Rung.POLL is candle.route

    play(test)


def test_the_route_is_looked_at_while_a_question_waits_for_its_answer() -> None:
    """History may come by the very stream that is away, and the question lasts as long as the trouble."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        world.transport.takes_s = 600.0
        await world.next_minute(20)
        world.transport.greet = lambda stream: stream.hang_up()
        world.stream.hang_up()
        await asyncio.sleep(15)
        [health] = collector.health().series
        assert Rung.POLL is health.rung
        assert "the stream is not there" in health.why

    play(test)


def test_a_silent_stream_is_found_out_by_history_polled_and_trusted_again_after_two_candles() -> None:
    async def test(world: World, collector: Collector) -> None:
        switches: list[tuple[Rung, str]] = []
        collector.on_switch(lambda switch: switches.append((switch.rung, switch.why)))
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        for _ in range(3):  # the connection lives (it is never silent as a whole), the topic is mute
            await world.next_minute(20)
            world.stream.say({"beat": 1})
            world.trade(101, streamed=False)
        assert [Rung.POLL] == [rung for rung, _ in switches]
        assert "which the stream did not bring" in switches[0][1]
        assert ["BTC/USD@1m"] == world.stream.asked[-1], "and it was subscribed to again"
        assert 2 <= len(world.stream.asked)

        world.stream.say({"accepted": ["BTC/USD@1m"]})
        for close in (110, 111, 112):
            await world.next_minute(20)
            world.trade(close)
        await world.next_minute(20)

        assert [Rung.POLL, Rung.STREAM] == [rung for rung, _ in switches]
        assert "agree on 2 candles" in switches[1][1]
        stored = {c.open_ns // MINUTE_NS: int(c.close) for c in await world.stored()}
        assert stored == {m: c for m, c in world.truth.items() if m < world.minute}

    play(test)


def test_what_was_held_up_over_the_end_of_a_bucket_proves_no_end() -> None:
    """A process was stopped, and the venue told its reader the newest alone afterwards (seed 70074)."""

    async def test(world: World, collector: Collector) -> None:
        revisions: list[int] = []
        collector.on_candle(lambda candle: revisions.append(candle.revision))
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await world.next_minute(20)
        world.trade(101)
        await asyncio.sleep(10)
        world.trade(102)
        world.trade(109, streamed=False)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.leap(70)
        world.trade(110)
        await world.next_minute(20)
        world.trade(111)
        await asyncio.sleep(20)

        assert [100, 109, 110] == [int(candle.close) for candle in await world.stored()]
        assert [0, 0, 0] == revisions

    play(test)


@pytest.mark.parametrize("away_s", [0.0, 20.0])
def test_a_trial_goes_on_over_quick_reconnects_and_begins_anew_after_longer_ones(away_s: float) -> None:
    """Where connections live for less than two buckets a fallback never came back (seed 589)."""

    async def test(world: World, collector: Collector) -> None:
        rungs: list[Rung] = []
        collector.on_switch(lambda switch: rungs.append(switch.rung))
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await world.next_minute(20)
        world.trade(101, streamed=False)
        await world.next_minute(20)
        assert [Rung.POLL] == rungs
        world.stream.say({"accepted": ["BTC/USD@1m"]})
        for _ in range(3):  # each connection brings the end of one bucket
            world.trade(100)
            await world.next_minute(10)
            world.trade(200)
            await asyncio.sleep(5)
            world.transport.refuse = TransportError("away") if away_s else None
            world.stream.hang_up()
            await asyncio.sleep(away_s)
            world.transport.refuse = None
            await asyncio.sleep(2)
            await accepted(world)

        assert ([Rung.POLL] if away_s else [Rung.POLL, Rung.STREAM]) == rungs

    play(test)


def test_a_quiet_market_causes_no_switch() -> None:
    """Nothing is traded for hours; the stream is healthy and history agrees that nothing was."""

    async def test(world: World, collector: Collector) -> None:
        switches: list[object] = []
        collector.on_switch(switches.append)
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for _ in range(240):
            await world.next_minute(20)
            world.stream.say({"beat": 1})

        [health] = collector.health().series
        assert [] == switches
        assert Condition.QUIET is health.condition
        asked = len(world.transport.requests)
        assert asked < 60, "a quiet series is asked about every ten minutes, and audited every fifteen"

    play(test)


def test_a_series_without_a_stream_is_polled_after_each_close() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        for close in range(100, 105):
            world.trade(close, streamed=False)
            await world.next_minute(1)
        await world.next_minute(0)

        stored = await world.stored()
        assert [100, 101, 102, 103, 104] == [int(c.close) for c in stored]
        assert {Evidence.HISTORY} == {c.evidence for c in stored}
        assert [] == world.transport.streams

    play(test, World(plugin=Scripted(stream=False)))


def test_a_poll_that_failed_is_made_good_by_the_next_one() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        world.trade(100, streamed=False)
        world.down = True
        await world.next_minute(30)
        world.trade(101, streamed=False)
        [health] = collector.health().series
        assert "unreachable" in health.trouble
        await world.next_minute(0)
        world.down = False
        await world.next_minute(5)

        assert [100, 101] == [int(c.close) for c in await world.stored()]
        assert "" == collector.health().series[0].trouble

    play(test, World(plugin=Scripted(stream=False)))


def test_too_many_requests_pauses_the_whole_venue() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        world.status = 429
        await world.next_minute(3.5)
        before = len(world.transport.requests)
        assert before
        await asyncio.sleep(5)
        assert before == len(world.transport.requests)

    play(test, World(plugin=Scripted(stream=False)))


# ------------------------------------------------------------------------------------------- restarting


def test_a_restart_goes_on_where_the_store_ended_and_fills_what_was_missed() -> None:
    world = World()

    async def first(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for close in (100, 101, 102):
            world.trade(close)
            await world.next_minute(1)

    play(first, world)

    async def main() -> None:
        started = running_clock().now_ns() // MINUTE_NS
        world.truth |= {started + minute: 200 + minute for minute in range(3, 30)}
        await asyncio.sleep(30 * 60)
        async with world.collector() as collector:
            await collector.add("scripted:BTC/USD@1m")
            await asyncio.sleep(5)
            stored = await world.stored()
            assert stored[10].healed
            assert not stored[-1].healed, "the newest one is not late"
            assert sorted(world.truth) == [c.open_ns // MINUTE_NS for c in stored]
            assert [world.truth[c.open_ns // MINUTE_NS] for c in stored] == [int(c.close) for c in stored]

    run_virtual(main())


def test_since_may_be_how_long_ago() -> None:
    world = World()

    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 36)}
        await collector.add("scripted:BTC/USD@1m", since="30m")
        await collector.history_is_whole(SERIES)
        assert 29 <= len(await world.stored()) <= 30
        assert 29 <= len(await collector.reader(SERIES).range("30m")) <= 30
        assert 9 <= sum([len(page) async for page in collector.history(SERIES, "20m", "10m")]) <= 10
        assert 29 <= sum([len(page.candles) async for page in collector.walk(SERIES, "30m")]) <= 30
        with pytest.raises(UsageError, match="not an instant: '30 minutes'"):
            await collector.add("scripted:BTC/USD@1m", since="30 minutes")

    play(test, world)


def test_since_reaches_back_page_by_page() -> None:
    world = World(plugin=Scripted(support={"page_rows": 10}))

    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 36)}
        await collector.add("scripted:BTC/USD@1m", since=(first - 35) * MINUTE_NS)
        await collector.history_is_whole(SERIES)
        assert 35 == len(await world.stored())
        assert 4 == len(world.transport.requests)

    play(test, world)


def test_history_yields_pages_and_ends() -> None:
    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 + minute for minute in range(1, 1_201)}
        since, until = (first - 1_200) * MINUTE_NS, first * MINUTE_NS
        sizes = [len(page) async for page in collector.history(SERIES, since, until)]
        assert [500, 500, 200] == sizes

    play(test)


def test_a_hole_that_history_cannot_fill_yet_is_kept_and_shown() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        world.down = True
        await world.next_minute(1)
        world.stream.hang_up()
        await world.next_minute(0)
        await world.next_minute(0)
        await accepted(world)
        world.trade(103)
        await world.next_minute(1)
        world.trade(104)
        await asyncio.sleep(1)

        [health] = collector.health().series
        assert [HoleKind.MISSING] == [hole.kind for hole in health.holes]

    play(test)


# ------------------------------------------------------------------------------------------- interface


def test_adding_twice_is_adding_once() -> None:
    async def test(world: World, collector: Collector) -> None:
        first = await collector.add("scripted:BTC/USD@1m")
        second = await collector.add(SERIES)
        await asyncio.sleep(1)
        assert first == second
        assert [["BTC/USD@1m"]] == world.stream.asked

    play(test)


def test_a_removed_series_is_left_and_its_connection_closed() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        await collector.remove("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        assert world.stream.closed is not None
        assert () == tuple(collector.health().series)
        assert [] == collector.plan()

    play(test)


def test_a_series_that_cannot_be_collected_is_refused_before_anything_connects() -> None:
    async def test(world: World, collector: Collector) -> None:
        with pytest.raises(PlanError, match="scripted:BTC/USD@1m"):
            await collector.add("scripted:BTC/USD@1m")
        assert [] == world.transport.streams

    play(test, World(plugin=Scripted(stream=False, rest=False)))


def test_an_unknown_venue_is_a_usage_error_that_lists_the_known_ones() -> None:
    async def test(world: World, collector: Collector) -> None:
        with pytest.raises((UsageError, Exception), match="scripted"):
            await collector.add("scriptd:BTC/USD@1m")

    play(test)


def test_listeners_may_be_plain_or_async_and_their_errors_are_counted() -> None:
    async def test(world: World, collector: Collector) -> None:
        heard: list[str] = []

        async def slow(candle: SeriesCandle) -> None:
            await asyncio.sleep(0)
            heard.append(f"async {int(candle.close)}")

        def broken(candle: SeriesCandle) -> None:
            raise ValueError("a bug of the host")

        collector.on_candle(lambda candle: heard.append(f"plain {int(candle.close)}"))
        collector.on_candle(slow)
        collector.on_candle(broken)
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for close in (100, 101, 102):
            world.trade(close)
            await world.next_minute(1)
        await asyncio.sleep(0.1)

        assert {"plain 100", "plain 101", "async 100", "async 101"} == set(heard)
        assert 2 == collector.listener_errors

    play(test)


def test_a_reader_that_falls_behind_loses_nothing_and_holds_little() -> None:
    world = World(plugin=Scripted(support={"page_rows": 2_000}))

    async def test(world: World, collector: Collector) -> None:
        candles = collector.candles()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):  # it has read all that there is
                await anext(candles)
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 3_001)}
        await collector.add("scripted:BTC/USD@1m", since=(first - 3_000) * MINUTE_NS)
        await collector.history_is_whole(SERIES)
        await asyncio.sleep(1)
        seen = [(await anext(candles)).open_ns for _ in range(3_000)]
        assert 3_000 == len(set(seen))
        assert candles.spilled

    play(test, world)


def test_trades_and_quotes_are_passed_on() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@trades")
        await collector.add("scripted:BTC/USD@quotes")
        trades, quotes = collector.trades(), collector.quotes("scripted:BTC/USD@quotes")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@trades", "BTC/USD@quotes"]})
        world.stream.say({"trade": ["BTC/USD", 7, "100.10"]}, {"quote": ["BTC/USD", "100", "101"]})

        trade, quote = await anext(trades), await anext(quotes)
        assert ("7", "100.10") == (trade.id, str(trade.price))
        assert Decimal(101) == quote.ask

    play(test)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (
            lambda collector: collector.candles("scripted:BTC/USD@trades"),
            "carries trades, no candles; use trades()",
        ),
        (lambda collector: collector.on_candle(print, "scripted:BTC/USD@quotes"), "use quotes()"),
        (lambda collector: collector.trades("scripted:BTC/USD@1m"), "write scripted:BTC/USD@trades"),
        (lambda collector: collector.quotes("scripted:BTC/USD@trades"), "carries no quotes"),
        (lambda collector: collector.closer("scripted:BTC/USD@trades"), "carries trades, no candles"),
        (lambda collector: collector.past("scripted:BTC/USD@trades", "1h"), "carries trades, no candles"),
    ],
)
def test_what_can_never_bring_anything_is_refused(ask: Callable[[Collector], object], words: str) -> None:
    async def test(_: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        with pytest.raises(UsageError) as raised:
            ask(collector)
        assert words in str(raised.value)

    play(test)


def test_latest_is_the_forming_candle_where_there_is_one() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        assert await collector.latest("scripted:BTC/USD@1m") is None
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(0.1)
        latest = await collector.latest("scripted:BTC/USD@1m")
        assert isinstance(latest, SeriesCandle)
        assert (CandleState.FORMING, None, False) == (latest.state, latest.evidence, latest.closed)

    play(test)


def test_topics_that_must_be_alone_ride_on_connections_of_their_own() -> None:
    """As Kraken has it: one interval per symbol and connection; here, one topic per symbol."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await collector.add("scripted:BTC/USD@trades")
        await collector.add("scripted:ETH/USD@1m")
        await asyncio.sleep(1)
        assert [[["BTC/USD@1m"], ["ETH/USD@1m"]], [["BTC/USD@trades"]]] == [
            s.asked for s in world.transport.streams
        ] or [[["BTC/USD@1m", "ETH/USD@1m"]], [["BTC/USD@trades"]]] == [
            s.asked for s in world.transport.streams
        ]

    play(test, World(plugin=Scripted(alone=True)))


def test_a_quiet_topic_is_closed_by_its_sibling() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await collector.add("scripted:ETH/USD@1m")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "ETH/USD@1m"]})
        world.trade(100)
        world.stream.say({"candle": {"symbol": "ETH/USD", "minute": world.minute, "close": 7}})
        await world.next_minute(0.5)
        for _ in range(3):
            world.stream.say({"candle": {"symbol": "ETH/USD", "minute": world.minute, "close": 7}})
            await asyncio.sleep(1)
        await asyncio.sleep(2)

        [candle] = await world.stored()
        assert "SIBLING" == brief(candle)[2]
        assert [] == world.transport.requests

    play(test)


def test_on_trial_a_quiet_topic_is_closed_by_history_while_that_answers() -> None:
    """It was found to lack rows, so that others went on says nothing of it; without history it has to do."""

    async def test(world: World, collector: Collector) -> None:
        first, heard = world.minute, list[SeriesCandle]()
        collector.on_candle(heard.append)
        await collector.add("scripted:BTC/USD@1m")
        await collector.add("scripted:ETH/USD@1m")
        await accepted(world)
        world.trade(100)
        for down in (False, False, True):
            await world.next_minute(30)
            if world.stream.asked[-1] == ["BTC/USD@1m"]:
                world.stream.say({"accepted": ["BTC/USD@1m"]})
            world.down = down
            world.trade(101)
            world.trade(102, streamed=False)
            for _ in range(12):
                await asyncio.sleep(3)
                world.stream.say({"candle": {"symbol": "ETH/USD", "minute": world.minute, "close": 7}})
        told = [(candle.revision, *brief(candle)) for candle in heard if candle.series == SERIES]
        firsts = [(minute - first, int(close), why) for revision, minute, close, why in told if not revision]
        assert [(0, 100, "HISTORY"), (1, 102, "HISTORY"), (3, 102, "HISTORY"), (5, 101, "SIBLING")] == firsts

    play(test)


def test_a_store_that_fails_for_a_while_loses_nothing() -> None:
    class Flaky(MemoryStore):
        failures = 0

        async def commit(self, changes: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise StoreError("disk full")
            return await super().commit(changes)

    store = Flaky()

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(1)
        store.failures = 5
        await world.next_minute(1)
        world.trade(101)
        await asyncio.sleep(0.01)
        assert "disk full" == collector.health().store_trouble
        await asyncio.sleep(30)
        assert "" == collector.health().store_trouble
        assert [100] == [int(c.close) for c in await world.stored()]

    play(test, World(store=store))


def test_a_commit_whose_answer_is_lost_is_repeated_and_nothing_is_doubled_or_untold() -> None:
    """F54: it was done, and then the connection to the store was cut; every second one ends so."""

    class Cut(Kept):
        commits = 0

        async def commit(self, changes: Any) -> Any:
            news = await super().commit(changes)
            self.commits += 1
            if self.commits % 2:
                raise StoreError("the connection was cut before the answer")
            return news

    told: list[SeriesCandle] = []

    async def test(world: World, collector: Collector) -> None:
        collector.on_candle(told.append)
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for close in range(100, 110):
            world.trade(close)
            await world.next_minute(1)
        await asyncio.sleep(120)
        stored = [int(candle.close) for candle in await world.stored()]
        assert list(range(100, 110)) == stored
        assert stored == [int(candle.close) for candle in told]
        assert "" == collector.health().store_trouble

    play(test, World(store=Cut()))


class Returning(Kept):
    """A store that was away, and comes back between two series; one of them it never takes."""

    away = False
    alone = 0
    disliked = ""

    async def commit(self, changes: Any) -> Any:
        if self.away:
            self.alone += len(changes) == 1
            self.away = self.alone < 2
            raise StoreError("nobody answers")
        if any(change.closings and change.state.series.symbol == self.disliked for change in changes):
            raise StoreError("not that one")
        return await super().commit(changes)


@pytest.mark.parametrize("disliked", ["", "BTC/USD"])
def test_a_store_that_comes_back_between_two_series_is_not_said_to_refuse_the_first(disliked, caplog) -> None:
    """Where it does refuse one, that one does not keep it from being offered the others again."""
    store, names = Returning(), ["BTC/USD", "ETH/USD", "LTC/USD"]

    async def test(world: World, collector: Collector) -> None:
        series = [await collector.add(f"scripted:{name}@1m") for name in names]
        await asyncio.sleep(1)
        world.stream.say({"accepted": [f"{name}@1m" for name in names]})
        store.away, store.disliked = True, disliked
        for number in range(4):
            for name in names:
                world.stream.say({"candle": {"minute": world.minute, "close": number + 1, "symbol": name}})
            await world.next_minute(5)
        await asyncio.sleep(300)
        for one in series:
            taken = [int(candle.close) for candle in await store.candles(one, 0, 2**62, limit=99)]
            assert taken == ([] if one.symbol == disliked else [1, 2, 3]), one

    play(test, World(store=store))
    refusals = [one.series for one in caplog.records if one.message == "store refuses a series"]
    assert refusals == ([f"scripted:{disliked}@1m"] if disliked else [])


def test_a_series_that_the_store_does_not_take_holds_up_no_other() -> None:
    """It is offered again for ever, and nothing of it is lost."""

    class Choosy(MemoryStore):
        disliked = "BTC/USD"

        async def commit(self, changes: Any) -> Any:
            if any(change.closings and change.state.series.symbol == self.disliked for change in changes):
                raise StoreError("not that one")
            return await super().commit(changes)

    store = Choosy()

    async def test(world: World, collector: Collector) -> None:
        other = await collector.add("scripted:ETH/USD@1m")
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "ETH/USD@1m"]})
        for number in range(4):
            for symbol in ("BTC/USD", "ETH/USD"):
                world.stream.say({"candle": {"minute": world.minute, "close": number + 1, "symbol": symbol}})
            await world.next_minute(5)
        taken = await store.candles(other, 0, 2**62, limit=99)
        assert [1, 2, 3] == [int(candle.close) for candle in taken]
        assert [] == await world.stored()
        assert "BTC/USD@1m is not taken: not that one" in collector.health().store_trouble
        store.disliked = ""
        await asyncio.sleep(61)
        assert [1, 2, 3] == [int(candle.close) for candle in await world.stored()][:3]
        assert "" == collector.health().store_trouble

    play(test, World(store=store, plugin=Scripted(rest=False)))


def test_after_leaving_nothing_is_left_running() -> None:
    world = World()

    async def main() -> None:
        async with world.collector() as collector:
            await collector.add("scripted:BTC/USD@1m")
            candles = collector.candles()
            await accepted(world)
            world.trade(100)
            await world.next_minute(1)
            world.trade(101)
            await asyncio.sleep(0.1)
        assert [100] == [int(c.close) async for c in candles], "what was committed can still be read"
        assert world.stream.closed is not None
        assert 1 == len(asyncio.all_tasks())

    run_virtual(main())


def test_an_error_in_the_hosts_block_comes_out_as_itself() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        raise LookupError("the host's own")

    with pytest.raises(LookupError, match="the host's own"):
        play(test)


def test_a_broken_venue_is_reported_and_the_other_goes_on() -> None:
    world = World()

    async def main() -> None:
        clock = running_clock()
        collector = Collector(
            world.store,
            registry=Registry(adapters={"scripted": Scripted(stream=False), "broken": Scripted()}),
            transport=world.transport,
            clock=clock,
        )
        async with collector:
            await collector.add("scripted:BTC/USD@1m")
            await collector.add("broken:BTC/USD@1m")
            await asyncio.sleep(1)
            world.stream.say({"bug": 1})
            world.trade(100, streamed=False)
            await asyncio.sleep(1)
            broken = next(venue for venue in collector.health().venues if venue.venue == "broken")
            assert "a bug in the adapter" in broken.trouble
            await world.next_minute(5)
            assert [100] == [int(c.close) for c in await world.stored()]

    run_virtual(main())


def test_a_polled_candle_whose_volume_came_late_is_put_right_by_the_next_polls() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        world.trade(100, streamed=False)
        await world.next_minute(20)
        world.truth[world.first_minute] = 105
        world.trade(101, streamed=False)
        await world.next_minute(20)

        first, _ = await world.stored()
        assert (Decimal(105), 1, CandleState.REVISED) == (first.close, first.revision, first.state)
        assert 1 + 2 == len(world.transport.requests), "a first look; to read again costs no request more"

    play(test, World(plugin=Scripted(stream=False)))


def test_a_venue_that_goes_on_refusing_is_asked_ever_more_rarely() -> None:
    """And by all its series together: the pause is the venue's."""

    async def test(world: World, collector: Collector) -> None:
        world.status = 429
        for symbol in ("BTC", "ETH", "SOL"):
            await collector.add(f"scripted:{symbol}/USD@1m")
        await asyncio.sleep(155)
        assert len(world.transport.requests) == 5, "pauses of 10, 20, 40 and 80 s; who waited does not follow"
        await asyncio.sleep(3_600)
        first = len(world.transport.requests)
        await asyncio.sleep(4 * 3_600)

        assert (len(world.transport.requests) - first) / 4 <= 12, "three series, at most every five minutes"

    play(test, World(plugin=Scripted(stream=False)))


def test_what_history_is_known_not_to_reach_is_never_asked_for() -> None:
    world = World(plugin=Scripted(stream=False, support={"page_rows": 50, "depth_rows": 50}))

    async def test(world: World, collector: Collector) -> None:
        first = world.first_minute
        world.truth |= {first - minute: 100 for minute in range(1, 51)}
        await collector.add("scripted:BTC/USD@1m", since=(first - 10_000) * MINUTE_NS)
        await collector.history_is_whole(SERIES)

        assert len(world.transport.requests) <= 3
        [hole] = collector.health().series[0].holes
        assert HoleKind.UNREACHABLE is hole.kind
        assert 50 == len(await world.stored())

    play(test, world)


def test_readers_end_with_the_collector_also_when_the_store_took_nothing() -> None:
    class Dead(Kept):
        async def commit(self, changes: Any) -> Any:
            raise StoreError("disk full")

    world = World(store=Dead())

    async def main() -> None:
        async with world.collector() as collector:
            await collector.add("scripted:BTC/USD@1m")
            await collector.add("scripted:BTC/USD@trades")
            trades, candles = collector.trades(), collector.candles()
            await accepted(world)
            world.trade(100)
            await world.next_minute(1)
            world.trade(101)
            await asyncio.sleep(1)
        assert [] == [trade async for trade in trades]
        assert [] == [candle async for candle in candles]

    run_virtual(main())
