"""History that a venue serves over a stream only: on a connection of its own, page by page."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import attrs

from tests.framework.scripted import MINUTE_NS, Scripted, ScriptedStream, ScriptedTransport, brief
from tests.framework.test_collector import World, play
from tests.framework.test_runtime_times import OffClock
from wickwire import (
    Conversation,
    Endpoint,
    OhlcvQuery,
    Page,
    StreamHistory,
    StreamRequest,
    Topic,
    TransportError,
    hookimpl,
)
from wickwire.collector import Collector
from wickwire.history_stream import IDLE_S, _ended
from wickwire.simulate.loops import running_clock

TOPIC = "BTC/USD@1m"


@attrs.define
class OverAStream(Scripted):
    """A venue without REST."""

    __hash__ = object.__hash__

    @hookimpl
    def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
        told = yield StreamRequest(
            topic=Topic(query.symbol, query.timeframe), since_ns=query.since_ns, timeout_s=5.0
        )
        assert isinstance(told, StreamHistory)
        reached_ns = query.until_ns if told.complete else query.since_ns
        return Page(
            candles=[candle for candle in told.candles if candle.open_ns < query.until_ns],
            covered=(query.since_ns, reached_ns),
        )


@attrs.define(eq=False)
class Counting(ScriptedTransport):
    """Notes when a connection was tried, in the loop's time."""

    tries: list[float] = attrs.field(factory=list)

    async def open(self, endpoint: Endpoint) -> ScriptedStream:
        self.tries.append(asyncio.get_running_loop().time())
        return await ScriptedTransport.open(self, endpoint)


class StreamWorld(World):
    """A world whose history comes over streams, all of which a test holds."""

    def __init__(self, *, stream: bool = False) -> None:
        super().__init__(plugin=OverAStream(stream=stream, support={"over_stream": True}))
        self.transport = Counting(answer=self._answer)

    @property
    def tries(self) -> list[float]:
        assert isinstance(self.transport, Counting)
        return self.transport.tries

    @property
    def open_streams(self) -> list[ScriptedStream]:
        return [stream for stream in self.transport.streams if stream.closed is None]

    def picture(self, *minutes: int) -> list[object]:
        """What a venue answers: rows of a snapshot, and its end."""
        rows = [{"candle": {"minute": minute, "close": minute, "snapshot": True}} for minute in minutes]
        return [*rows, {"done": "BTC/USD@1m"}]


async def asked(world: StreamWorld) -> ScriptedStream:
    """Wait until history is asked for; return the connection on which it is."""
    while not (world.open_streams and world.open_streams[-1].asked):  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.5)
    return world.open_streams[-1]


class AheadWorld(StreamWorld):
    """The clock of the collector's machine is two minutes ahead."""

    def collector(self, **more: Any) -> Collector:
        return super().collector(clock=OffClock(120), **more)


def test_a_series_is_polled_over_a_connection_of_its_own() -> None:
    """Its rows close candles as any history does, and what comes behind the end of the picture does not."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        first = world.minute
        while world.minute < first + 4:
            stream = await asked(world)
            assert [["BTC/USD@1m"]] == stream.asked[-1:]
            live = {"candle": {"minute": 99, "close": 1}}
            stream.say(*world.picture(*range(first, world.minute + 1)), live)
            stream.sent.clear()
            await asyncio.sleep(0.5)
        told = [brief(candle) for candle in await world.stored()]
        assert len(told) == 3
        assert [(minute, Decimal(minute), "HISTORY") for minute in range(first, first + len(told))] == told

    play(test, StreamWorld())


def test_the_connection_is_kept_while_it_is_needed_and_closed_when_it_is_idle() -> None:
    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        stream = await asked(world)
        stream.say(*world.picture(world.minute - 1))
        await asyncio.sleep(1)
        assert stream.closed is None
        assert '{"leave": ["BTC/USD@1m"]}' in stream.sent
        await collector.remove("scripted:BTC/USD@1m")
        await asyncio.sleep(IDLE_S - 2)
        assert stream.closed is None
        await asyncio.sleep(3)
        assert stream.closed is not None

    play(test, StreamWorld())


def test_where_our_clock_was_set_the_next_picture_comes_over_another_connection() -> None:
    """A stream tells no time, and the login of the next one may: nothing else would for hours (seed 3455)."""
    clock = OffClock(0)

    class SetWorld(StreamWorld):
        def collector(self, **more: Any) -> Collector:
            return super().collector(clock=clock, **more)

    async def answer(world: StreamWorld) -> None:
        while True:
            stream = await asked(world)
            stream.sent.clear()
            stream.say(*world.picture(world.minute - 1, world.minute))
            await asyncio.sleep(0.1)

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(answer(world))
            await asyncio.sleep(200)
            assert 1 == len(world.tries)
            clock.off_s = 3_600
            await asyncio.sleep(200)
            assert 2 == len(world.tries)
            assert [True, False] == [stream.closed is not None for stream in world.transport.streams]
            answering.cancel()

    play(test, SetWorld())


def test_a_picture_that_never_ends_is_given_up_and_asked_for_again() -> None:
    """Nothing is proven by it: no candle is closed, none is called empty."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        stream = await asked(world)
        stream.sent.clear()
        await asyncio.sleep(60)
        assert stream.asked or len(world.transport.streams) > 1
        assert [] == await world.stored()
        [state] = await world.store.states()
        assert state.frontier_ns <= running_clock().now_ns() - MINUTE_NS

    play(test, StreamWorld())


def test_the_end_of_a_picture_that_was_given_up_does_not_pass_for_that_of_the_next() -> None:
    """As when the machine slept: what came meanwhile is read when it has been asked for anew (seed 1112)."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        stream = await asked(world)
        stream.sent.clear()
        while not stream.asked and len(world.transport.streams) == 1:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.5)
        stream.say({"done": "BTC/USD@1m"})
        await asyncio.sleep(70)
        [state] = await world.store.states()
        assert state.frontier_ns <= running_clock().now_ns() - MINUTE_NS, "nothing was proven empty"
        again = await asked(world)
        assert again is not stream
        while not await world.stored():
            again.say(*world.picture(world.minute - 1, world.minute))
            await asyncio.sleep(5)
            again = await asked(world)

    play(test, StreamWorld())


def test_who_is_still_collecting_when_the_connection_is_replaced_is_served_by_the_next() -> None:
    """One topic was given up and asked for anew, which takes another connection; the other was half told."""
    topics = [TOPIC, "ETH/USD@1m"]

    async def test(world: StreamWorld, collector: Collector) -> None:
        for topic in topics:
            await collector.add(f"scripted:{topic}")
        first = world.minute
        stream = await asked(world)
        await world.next_minute()
        eth = {"candle": {"symbol": "ETH/USD", "minute": first, "close": first, "snapshot": True}}
        stream.say(eth)
        while stream.closed is None:
            stream.say({"gathering": topics[1]})
            await asyncio.sleep(2)
        again = await asked(world)
        assert set(topics) == {topic for topics in again.asked for topic in topics}
        left = json.dumps({"leave": topics[1:]})
        assert left not in again.sent
        again.say(eth, {"done": topics[1]})
        await asyncio.sleep(0.5)
        assert left in again.sent, "its question was answered, without another one"

    play(test, StreamWorld())


def test_a_venue_that_stalls_meets_ever_fewer_connections_and_is_found_again() -> None:
    """Each picture that is given up would end the connection when it is asked for anew (seed 2193)."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        for number in range(8):
            await collector.add(f"scripted:COIN{number}/USD@1m")
        await asyncio.sleep(600)
        assert 6 <= len(world.tries) <= 20
        back = world.minute
        while not all(one.closed for one in collector.health().series):
            assert world.minute < back + 8
            stream = await asked(world)
            for topic in [topic for topics in stream.asked for topic in topics]:
                row = {"symbol": topic.partition("@")[0], "close": 5, "snapshot": True}
                minutes = [world.minute - 1, world.minute]
                stream.say(*({"candle": {**row, "minute": one}} for one in minutes), {"done": topic})
            stream.sent.clear()
            await asyncio.sleep(0.5)

    play(test, StreamWorld())


def test_a_picture_that_was_given_up_long_ago_does_not_end_the_connection() -> None:
    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        stream = await asked(world)
        for _ in range(120):
            stream.say({"beat": 1})
            await asyncio.sleep(1)
        assert len(world.transport.streams) <= 3

    play(test, StreamWorld())


def test_a_picture_is_waited_for_as_long_as_parts_of_it_come() -> None:
    """An adapter may tell its rows with the last of them: it says that they come."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        stream = await asked(world)
        for _ in range(5):
            await asyncio.sleep(4)
            stream.say({"gathering": "BTC/USD@1m"})
        await asyncio.sleep(4)
        assert '{"leave": ["BTC/USD@1m"]}' not in stream.sent
        await asyncio.sleep(2)
        assert '{"leave": ["BTC/USD@1m"]}' in stream.sent

    play(test, StreamWorld())


def test_live_rows_do_not_prolong_the_wait_for_a_picture_that_is_lost() -> None:
    """They come for as long as anybody trades, and the picture does not."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        stream = await asked(world)
        for _ in range(5):
            assert '{"leave": ["BTC/USD@1m"]}' not in stream.sent
            stream.say({"candle": {"minute": world.minute, "close": 1}})
            await asyncio.sleep(1)
        assert '{"leave": ["BTC/USD@1m"]}' in stream.sent

    play(test, StreamWorld())


def test_a_connection_that_ends_meanwhile_is_an_error_that_is_tried_again() -> None:
    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        first = world.minute
        stream = await asked(world)
        stream.say(world.picture(first)[0])
        await asyncio.sleep(0.5)
        stream.hang_up()
        await asyncio.sleep(0.1)
        [series] = collector.health().series
        assert "closed with 1006" in series.trouble
        again = await asked(world)
        assert again is not stream
        again.say(*world.picture(first))
        again.sent.clear()
        await world.next_minute()
        while not await world.stored():
            after = await asked(world)
            after.say(*world.picture(first, first + 1))
            after.sent.clear()
            await asyncio.sleep(0.5)
        assert world.minute == first + 1, "its bucket is over, and was settled within the next"
        assert [(first, Decimal(first), "HISTORY")] == [brief(candle) for candle in await world.stored()]

    play(test, StreamWorld())


def test_a_venue_that_is_away_is_tried_by_one_schedule_however_many_series_ask() -> None:
    """Else each would open a connection whenever its own schedule says, and find out the same."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        world.transport.refuse = TransportError("refused the connection")
        for number in range(12):
            await collector.add(f"scripted:COIN{number}/USD@1m")
        await asyncio.sleep(600)
        assert 6 <= len(world.tries) <= 20
        assert all("refused the connection" in series.trouble for series in collector.health().series)
        world.transport.refuse = None
        await asyncio.sleep(400)
        assert world.transport.streams, "and it is found again"

    play(test, StreamWorld())


def test_history_is_asked_at_once_when_a_live_connection_found_that_the_venue_is_back() -> None:
    """Both lead to the same venue, so neither waits for a schedule that the other has made needless."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        live = world.open_streams[0]
        live.say({"accepted": ["BTC/USD@1m"]}, {"candle": {"minute": world.minute, "close": 1}})
        await asyncio.sleep(1)
        world.transport.refuse = TransportError("refused the connection")
        live.hang_up()
        await asyncio.sleep(900)
        world.transport.refuse = None
        back = await asked(world)
        back.say({"accepted": ["BTC/USD@1m"]}, {"candle": {"minute": world.minute, "close": 1}})
        await asyncio.sleep(1)
        assert 2 == len(world.open_streams)

    play(test, StreamWorld(stream=True))


def test_a_refusal_that_ends_the_connection_is_no_weather() -> None:
    """It is tried again as rarely as any other refusal: a venue may lock out who does not take a no."""

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        for _ in range(10):
            stream = await asked(world)
            stream.say({"fault": "credentials", "why": "no such key"})
            await asyncio.sleep(0.5)
            [series] = collector.health().series
            assert "no such key" in series.trouble
        assert asyncio.get_running_loop().time() > 9 * 60

    play(test, StreamWorld())


def test_the_end_of_a_connection_is_told_without_the_topic_as_the_series_stands_before_it() -> None:
    assert "the connection for its history ended: cut" == str(_ended(TransportError("cut")))


def test_no_row_is_final_before_the_feed_itself_shows_that_its_bucket_is_over() -> None:
    """Not by our clock, which is two minutes ahead here; and soon after, though nothing tells the time."""
    price = {"now": 0}

    async def test(world: StreamWorld, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        first = world.minute
        while world.minute < first + 8:
            stream = await asked(world)
            whole = [{"minute": one, "close": one} for one in range(first, world.minute)]
            price["now"] += 1
            part = {"minute": world.minute, "close": price["now"]}
            stream.say(*({"candle": {**row, "snapshot": True}} for row in (*whole, part)), {"done": TOPIC})
            stream.sent.clear()
            for row in await world.stored():
                assert row.open_ns // MINUTE_NS < world.minute
                assert row.close == row.open_ns // MINUTE_NS
            await asyncio.sleep(0.5)
        assert len(await world.stored()) >= 5, "all from the minute on that our clock showed at first"

    play(test, AheadWorld())
