"""What breaks beside the runtime - adapters, hosts, stores, sockets - ends as little as possible."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Generator
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

import attrs
import pytest

from tests.framework.scripted import (
    MINUTE,
    MINUTE_NS,
    SERIES,
    TOPIC,
    Scripted,
    ScriptedStream,
    ScriptedTransport,
    rows,
)
from tests.framework.test_collector import Kept, World, accepted, play
from tests.framework.test_session import with_session
from wickwire import (
    SECOND_NS,
    Accepted,
    Candle,
    ConfigError,
    Conversation,
    Endpoint,
    Fault,
    FaultKind,
    HttpRequest,
    Keepalive,
    Limits,
    OhlcvQuery,
    Page,
    PluginError,
    Send,
    StoreError,
    StreamClosed,
    Topic,
    Trade,
    TransportError,
    VenueError,
    hookimpl,
)
from wickwire.closer import Condition
from wickwire.collector import Collector
from wickwire.history import MAX_REQUESTS
from wickwire.retry import Backoff, Retries
from wickwire.scope import unwrapped
from wickwire.shared import Report, Ruling
from wickwire.simulate.loops import run_virtual

# ----------------------------------------------------------------------------------- adapters that break


class BrokenConnect(Scripted):
    """An adapter with a bug in connect()."""

    @hookimpl
    def connect(self) -> Endpoint:
        raise ZeroDivisionError("a bug in connect")


class BrokenMemory(Scripted):
    """An adapter whose memory cannot be made."""

    @hookimpl
    def connect(self) -> Endpoint:
        def memory() -> object:
            raise ZeroDivisionError("a bug in memory")

        return Endpoint(url="wss://scripted.test/", memory=memory)


class BrokenSubscribe(Scripted):
    """An adapter with a bug in subscribe()."""

    @hookimpl
    def subscribe(self) -> Any:  # type: ignore[override]  # hooks take what they need
        raise ZeroDivisionError("a bug in subscribe")


class SilentParse(Scripted):
    """An adapter that returns None where it should return ()."""

    @hookimpl
    def parse(self) -> Any:  # type: ignore[override]  # hooks take what they need
        return None


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (BrokenConnect(), "connect() raised ZeroDivisionError: a bug in connect"),
        (BrokenMemory(), "memory() raised ZeroDivisionError: a bug in memory"),
        (BrokenSubscribe(), "subscribe() raised ZeroDivisionError: a bug in subscribe"),
        (SilentParse(), "parse() returned None"),
    ],
)
def test_a_bug_in_the_stream_hooks_is_named_its_series_polled_and_the_venue_left_in_peace(
    plugin: Scripted, words: str
) -> None:
    async def test(world: World, collector: Collector) -> None:
        world.transport.greet = lambda stream: stream.say({"beat": 1})
        await collector.add("scripted:BTC/USD@1m")
        world.trade(100, streamed=False)
        await world.next_minute(20)

        [venue] = collector.health().venues
        assert words in venue.trouble
        assert "scripted" in venue.trouble, "it says which plugin"
        assert [100] == [int(candle.close) for candle in await world.stored()]
        await asyncio.sleep(600)
        assert len(world.transport.streams) <= 11, "at most once a minute"

    play(test, World(plugin=plugin))


class BrokenPages(Scripted):
    """An adapter whose pages are wrong in a way that a test chooses."""

    wrong: Any = None

    @hookimpl
    def fetch_ohlcv(self, query: Any) -> Generator[Any, Any, Any]:
        yield HttpRequest(url="https://scripted.test/candles", params={"since": "0", "until": "0"})
        return self.wrong(query)


def _row(**changes: Any) -> Candle:
    one = Decimal(1)
    values: dict[str, Any] = {
        "symbol": "BTC/USD",
        "timeframe": MINUTE,
        "open_ns": 0,
        "close_ns": MINUTE_NS,
        "open": one,
        "high": one,
        "low": one,
        "close": one,
        "volume": one,
    }
    return Candle(**(values | changes))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda _: None, "expected a Page"),
        (lambda q: Page(candles=[42], covered=(q.since_ns, q.until_ns)), "Page.candles has to be"),  # type: ignore[list-item]  # the mistake
        (
            lambda q: Page(candles=[_row(symbol="ETH/USD")], covered=(q.since_ns, q.until_ns)),
            "asked for BTC/USD@1m, got a row of ETH/USD@1m",
        ),
        (lambda _: Page(candles=(), covered=None), "Page.covered has to be two instants in ns, got NoneType"),  # type: ignore[arg-type]  # the mistake
        (
            lambda q: Page(candles=[_row(open_ns=None)], covered=(q.since_ns, q.until_ns)),
            "open_ns has to be an int, got None",
        ),
        (
            lambda q: Page(candles=[_row(finality="forming")], covered=(q.since_ns, q.until_ns)),
            "finality has to be a Finality, got a str",
        ),
    ],
)
def test_pages_that_are_none_are_a_bug_of_the_plugin_and_nothing_is_stored(wrong: Any, words: str) -> None:
    plugin = BrokenPages(stream=False)
    plugin.wrong = wrong

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await world.next_minute(20)
        [health] = collector.health().series
        assert words in health.trouble
        assert [] == await world.stored()
        await asyncio.sleep(600)
        assert len(world.transport.requests) <= 12, "the venue is not asked faster for it"

    play(test, World(plugin=plugin))


class Uncloseable(Scripted):
    """An adapter whose conversation has no end, and says one thing more when it is told to end."""

    @hookimpl
    def fetch_ohlcv(self, query: Any) -> Generator[Any, Any, Any]:
        request = HttpRequest(url="https://scripted.test/candles", params={"since": "0", "until": "0"})
        try:
            while True:
                yield request
        finally:
            yield request


def test_a_conversation_that_will_not_end_is_a_bug_of_the_plugin() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await world.next_minute(20)
        [health] = collector.health().series
        assert "more than 100 requests" in health.trouble
        assert "" == collector.health().venues[0].trouble, "the scope of the venue goes on"
        await collector.remove(SERIES)
        await asyncio.sleep(0.1)
        assert [] == [task for task in asyncio.all_tasks() if "closer" in task.get_name()]

    play(test, World(plugin=Uncloseable(stream=False)))


class Hundred(Scripted):
    """An adapter that needs as many requests for a page as one conversation may send."""

    @hookimpl
    def fetch_ohlcv(self, query: Any) -> Generator[Any, Any, Any]:
        for _ in range(MAX_REQUESTS - 1):
            yield HttpRequest(url="https://scripted.test/candles", params={"since": "0", "until": "0"})
        return (yield from super().fetch_ohlcv(query))


def test_a_conversation_may_send_a_hundred_requests() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await world.next_minute(20)
        [health] = collector.health().series
        assert "" == health.trouble
        assert health.verified

    play(test, World(plugin=Hundred(stream=False)))


def test_a_setting_that_the_transport_refuses_is_tried_again_at_the_slowest_pace() -> None:
    """Only a person can mend it, so it is no weather."""
    error = ConfigError("headers: 'X-Key' holds a line break")
    retries = Retries(Backoff(), random.Random(1))
    assert min(retries.failed(error) for _ in range(20)) >= 60
    assert min(retries.failed(PluginError("broken")) for _ in range(20)) >= 60


# ------------------------------------------------------------------------------------ wires that break


@attrs.define(eq=False)
class PingingStream(ScriptedStream):
    """A stream whose pings wait for a pong, and fail together with everything else when it is cut."""

    async def ping(self) -> None:
        while self.closed is None:
            self._more.clear()
            await self._more.wait()
        raise self.closed


def test_a_cut_that_two_tasks_see_at_once_is_one_cut() -> None:
    """Reader and keepalive both fail in the same turn of the loop; the venue's scope must not."""

    class Transport(ScriptedTransport):
        async def open(self, endpoint: Endpoint) -> ScriptedStream:
            stream = PingingStream()
            self.streams.append(stream)
            return stream

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        await asyncio.sleep(3.5)
        world.stream.hang_up(1012)
        await asyncio.sleep(0.01)
        [venue] = collector.health().venues
        assert venue.trouble == "closed with 1012"

    world = World(plugin=Scripted(endpoint={"keepalive": Keepalive(1.0)}))
    world.transport = Transport(answer=lambda _: rows())
    play(test, world)


def test_of_several_typed_failures_the_first_comes_out_and_a_bug_keeps_its_group() -> None:
    with pytest.raises(StreamClosed, match="one"), unwrapped():
        raise ExceptionGroup("two", [StreamClosed("one"), TransportError("two")])
    with pytest.raises(ExceptionGroup), unwrapped():
        raise ExceptionGroup("two", [StreamClosed("one"), ValueError("a bug")])


def test_a_scope_that_failed_in_several_places_at_once_names_what_failed() -> None:
    """Of the group that a TaskGroup makes of them nobody would learn what happened."""

    gate = asyncio.Event()

    class Starved(ScriptedTransport):
        async def open(self, endpoint: Endpoint) -> ScriptedStream:
            await gate.wait()
            raise OSError(24, "no more files")

    async def test(_: World, collector: Collector) -> None:
        for symbol in ("BTC/USD", "ETH/USD"):
            await collector.add(f"scripted:{symbol}@trades")
        await asyncio.sleep(1)
        gate.set()
        await asyncio.sleep(0.1)
        [health] = collector.health().venues
        assert "OSError: [Errno 24] no more files" == health.trouble

    world = World(plugin=Scripted(limits=Limits(topics_per_connection=1)))
    world.transport = Starved(answer=lambda _: rows())
    play(test, world)


def test_routes_are_told_that_they_lost_their_stream_even_when_closing_it_fails() -> None:
    told: list[object] = []

    async def test(bench: Any) -> None:
        async def broken(code: int = 1000) -> None:
            raise OSError("cannot even be closed")

        bench.stream.aclose = broken  # as a broken transport does
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        bench.stream.hang_up(1006)
        await asyncio.sleep(0.01)
        told.extend(bench.notes.told)

    @attrs.define(eq=False, slots=False)
    class Open(ScriptedStream):
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.framework.scripted.ScriptedStream", Open)
        with_session(test)

    assert ["subscribed", "lost: closed with 1006"] == told


def test_a_venue_that_acknowledges_by_data_alone_is_asked_for_every_topic() -> None:
    """Quiet topics never confirm; they must not keep the others from being asked for."""

    async def test(bench: Any) -> None:
        await asyncio.sleep(1)
        assert 30 == len(bench.stream.asked)

    topics = [Topic(f"S{number}/USD", MINUTE) for number in range(30)]
    with_session(
        test, *topics, endpoint={"topics_per_frame": 1, "changes_in_flight": 1, "acknowledges": False}
    )


def test_after_subscribing_again_what_came_before_the_answer_is_doubted() -> None:
    """It may be a late frame of the old subscription: rows lost in between would go unseen."""

    async def test(bench: Any) -> None:
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)
        bench.session.again(TOPIC)
        await asyncio.sleep(0.01)
        bench.stream.say({"candle": {"minute": 1, "close": 100}}, {"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)
        assert str(bench.notes.told[-1]).startswith("doubted"), bench.notes.told

    with_session(test)


def test_a_retry_after_of_years_is_obeyed_for_an_hour() -> None:
    retries = Retries(Backoff(), random.Random(1))
    assert 3_600 == retries.failed(VenueError(FaultKind.WAIT, "later", retry_after_s=1e9))

    class Busy(Scripted):
        @hookimpl
        def fetch_ohlcv(self, query: Any) -> Generator[Any, Any, Page]:
            yield HttpRequest(url="https://scripted.test/", params={"since": "0", "until": "0"})
            raise VenueError(FaultKind.WAIT, "slow down", retry_after_s=1e9)

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await world.next_minute(20)
        assert 1 == len(world.transport.requests)
        await asyncio.sleep(2 * 3_600)
        assert 2 <= len(world.transport.requests) <= 3

    play(test, World(plugin=Busy(stream=False)))


# ------------------------------------------------------------------------------------------ log lines


def test_the_same_trouble_is_one_line_however_often_it_is_met(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.transport.refuse = TransportError("connection refused")
    numbers = iter(range(10**6))
    world.transport.answer = lambda _: TransportError(f"no answer, attempt {next(numbers)}")

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(3_600)

    with caplog.at_level(logging.WARNING, logger="wickwire"):
        play(test, world)
    assert 2 == len(caplog.records), [record.getMessage() for record in caplog.records]


def test_a_flood_of_faults_is_one_line_a_kind_and_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def test(bench: Any) -> None:
        for number in range(100):
            bench.stream.say({"fault": "protocol", "why": f"row {number}"})
        await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING, logger="wickwire"):
        with_session(test)
    assert 1 == len(caplog.records)


def test_the_words_of_a_venue_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """S12: what a venue says comes without control characters, and not at any length."""
    evil = "no\r\nERROR all is lost\x1b[2J" + "x" * 100_000

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": evil}, {"fault": "wait", "why": evil})
        await asyncio.sleep(0.1)
        [health] = collector.health().series
        texts = [health.why, health.trouble, *(str(vars(record).get("why", "")) for record in caplog.records)]
        assert len(texts) >= 4
        for text in texts:
            assert text.isprintable()
            assert len(text) < 1_000

    with caplog.at_level(logging.INFO, logger="wickwire"):
        play(test)


# ------------------------------------------------------------------------------------- hosts that break


def test_a_switch_listener_that_raises_is_counted_and_ends_nothing() -> None:
    async def test(world: World, collector: Collector) -> None:
        def broken(_: object) -> None:
            raise ValueError("a bug of the host")

        heard: list[object] = []
        collector.on_switch(broken)
        collector.on_switch(heard.append)
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "why": "no"})
        await world.next_minute(20)
        assert 1 == collector.listener_errors
        assert 1 == len(heard)
        assert "" == collector.health().venues[0].trouble

    play(test)


def test_iterators_that_nobody_holds_any_more_are_forgotten() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@trades")
        await collector.add("scripted:BTC/USD@1m")
        for _ in range(100):
            collector.candles()
            collector.trades()
        kept, kept_trades = collector.candles(), collector.trades()
        assert 2 == len(collector._audience)
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "BTC/USD@trades"]})
        world.trade(100)
        world.stream.say({"trade": ["BTC/USD", 7, "100.10"]})
        await world.next_minute(1)
        world.trade(101)
        assert Decimal(100) == (await anext(kept)).close
        assert "7" == (await anext(kept_trades)).id

    play(test)


def test_candles_go_on_where_an_earlier_run_ended() -> None:
    async def test(world: World, collector: Collector) -> None:
        world.truth |= {world.first_minute - minute: 100 + minute for minute in range(1, 6)}
        await collector.add(SERIES, since=(world.first_minute - 5) * MINUTE_NS)
        await collector.history_is_whole(SERIES)
        after = collector.candles(after_seq=2)
        assert [3, 4, 5] == [(await anext(after)).seq for _ in range(3)]
        late = collector.candles()
        assert [1, 2] == [(await anext(late)).seq for _ in range(2)], "from the start of the collector on"

    play(test)


def test_a_listener_survives_a_store_that_cannot_be_read_for_a_while() -> None:
    heard: list[int] = []

    async def test(world: World, collector: Collector) -> None:
        healthy = world.store.committed
        failures = 3

        async def committed(after_seq: int, *, limit: int) -> Any:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise StoreError("locked")
            return await healthy(after_seq, limit=limit)

        world.store.committed = committed  # type: ignore[method-assign]  # this one fails
        collector.on_candle(lambda candle: heard.append(int(candle.close)))
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        for close in (100, 101, 102):
            world.trade(close)
            await world.next_minute(1)
        await asyncio.sleep(60)
        assert [100, 101] == heard[:2]

    play(test)


# ------------------------------------------------------------------------------- a scope that starts again


def test_a_scope_that_failed_starts_again_forgets_its_failure_and_takes_new_series() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        closer = collector.closer(SERIES)

        def broken(*_: Any, **__: Any) -> Any:
            raise LookupError("a bug of ours")

        closer._next_wake_ns = broken  # type: ignore[method-assign]  # a bug of ours
        closer._woken.set()
        await asyncio.sleep(0.001)
        assert "a bug of ours" in collector.health().venues[0].trouble
        await collector.add("scripted:ETH/USD@1m")
        del closer._next_wake_ns
        await asyncio.sleep(3)
        world.stream.say({"accepted": ["BTC/USD@1m", "ETH/USD@1m"]})
        world.trade(100)
        await world.next_minute(20)
        assert "" == collector.health().venues[0].trouble
        assert [100] == [int(candle.close) for candle in await world.stored()]
        assert {Condition.LIVE, Condition.QUIET} >= {each.condition for each in collector.health().series}

    play(test)


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000])
def test_times_in_another_unit_are_the_adapters_mistake_and_prove_nothing(factor: int) -> None:
    """Seconds, milliseconds and microseconds, taken for nanoseconds, all lie in January 1970."""

    class WrongUnit(Scripted):
        @hookimpl
        def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
            yield HttpRequest(url="https://scripted.test/", params={"since": "0", "until": "0"})
            opened, one = query.since_ns // SECOND_NS * factor, Decimal(1)
            row = Candle(query.symbol, query.timeframe, opened, opened + 60, one, one, one, one, one)
            return Page(candles=[row], covered=(query.since_ns, query.until_ns))

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await world.next_minute(30)

        [health] = collector.health().series
        assert "no time in nanoseconds" in health.trouble
        assert [] == await world.store.states(), "nothing was proven empty"

    play(test, World(plugin=WrongUnit(stream=False)))


def test_a_candle_made_of_floats_is_refused_with_the_reason() -> None:
    class Floats(Scripted):
        @hookimpl
        def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
            yield HttpRequest(url="https://scripted.test/", params={"since": "0", "until": "0"})
            number: Any = 1.5
            opened = query.since_ns
            row = Candle(
                query.symbol,
                query.timeframe,
                opened,
                opened + MINUTE_NS,
                number,
                number,
                number,
                number,
                number,
            )
            return Page(candles=[row], covered=(query.since_ns, query.until_ns))

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await world.next_minute(30)

        [health] = collector.health().series
        assert "1.5 is a float, not a Decimal" in health.trouble
        assert [] == await world.stored()
        assert health.holes, "the bucket is not taken for empty"

    play(test, World(plugin=Floats(stream=False)))


class WrongEvents(Scripted):
    """An adapter whose events are wrong in a way that a test chooses."""

    wrong: Any = None

    @hookimpl
    def parse(self, frame: bytes) -> Any:
        return [self.wrong()] if frame == b'"wrong"' else super().parse(frame)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: _row(open_ns=None), "TypeError"),
        (lambda: _row(symbol=["BTC/USD"]), "TypeError: unhashable"),
        (lambda: Trade("BTC/USD", "1", Decimal(1), Decimal(1), None, cast("int", None)), "TypeError"),
        (lambda: Accepted(cast("Any", None)), "Accepted.topics has to be a sequence of Topic, got NoneType"),
        (lambda: Accepted(cast("Any", TOPIC)), "Accepted.topics has to be a sequence of Topic, got Topic"),
        (lambda: Accepted(cast("Any", ["BTC/USD@1m"])), "Accepted.topics has to be a sequence of Topic"),
        (lambda: Fault(cast("Any", "wait"), "later"), "Fault.kind has to be a FaultKind, got str"),
        (lambda: Send(cast("Any", {"a": 1})), "Send.frame has to be text or bytes, got dict"),
    ],
)
def test_an_event_with_a_wrong_field_is_a_bug_of_the_plugin_and_not_of_the_venue(
    wrong: Any, words: str
) -> None:
    plugin = WrongEvents(rest=False)
    plugin.wrong = wrong

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await collector.add("scripted:BTC/USD@trades")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m", "BTC/USD@trades"]}, "wrong")
        await asyncio.sleep(0.1)
        [venue] = collector.health().venues
        assert words in venue.trouble
        assert venue.trouble.startswith("adapter 'scripted': parse() ")

    play(test, World(plugin=plugin))


def test_a_request_that_cannot_be_sent_is_a_bug_of_the_plugin() -> None:
    class Unfit(Scripted):
        @hookimpl
        def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
            yield HttpRequest(url="https://scripted.test/", cost=cast("int", "1"))
            return Page(candles=(), covered=(query.since_ns, query.until_ns))

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await asyncio.sleep(1)
        [health] = collector.health().series
        assert (
            "adapter 'scripted': a conversation raised TypeError: HttpRequest.cost has to be"
            in health.trouble
        )

    play(test, World(plugin=Unfit(stream=False)))


# ------------------------------------------------------------------------- added again during a commit


class SlowStore(Kept):
    """Takes half a second for each commit, or fails."""

    down = False

    async def commit(self, changes: Any) -> Any:
        await asyncio.sleep(0.5)
        if self.down:
            raise StoreError("disk full")
        return await super().commit(changes)


def test_a_series_added_again_during_a_commit_goes_on_where_that_commit_ended() -> None:
    """Without history nothing could mend an older state that was written over a newer one."""
    store = SlowStore()

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.trade(101)
        await world.next_minute(1)
        world.trade(102)
        await asyncio.sleep(0.01)
        await collector.remove(SERIES)
        await collector.add(SERIES)
        await accepted(world)
        world.trade(102)
        await world.next_minute(1)
        world.trade(103)
        await world.next_minute(1)

        [state] = await store.states()
        assert [100, 101, 102] == [int(candle.close) for candle in await world.stored()]
        assert () == state.holes

    play(test, World(store=store, plugin=Scripted(rest=False)))


def test_a_series_that_cannot_land_in_the_store_is_not_added_again_and_says_so() -> None:
    store = SlowStore()

    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await accepted(world)
        world.trade(100)
        await asyncio.sleep(1)
        store.down = True
        await world.next_minute(1)
        world.trade(101)
        await asyncio.sleep(0.01)
        await collector.remove(SERIES)
        with pytest.raises(StoreError, match=r"is not stored yet \(disk full\); add it again"):
            await collector.add(SERIES)
        store.down = False
        await asyncio.sleep(20)
        await collector.add(SERIES)
        assert [100] == [int(candle.close) for candle in await world.stored()]

    play(test, World(store=store, plugin=Scripted(rest=False)))


class StubbornBudget:
    """A shared budget that never answers, and goes on whenever it is cancelled."""

    async def open(self) -> None: ...

    async def aclose(self) -> None:
        await self._for_ever()

    async def settle(self, report: Report) -> Ruling:
        await self._for_ever()
        raise AssertionError("for ever is over")

    async def _for_ever(self) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10**9)


def test_a_shared_budget_that_swallows_its_cancellation_holds_up_neither_candles_nor_the_end() -> None:
    async def main() -> None:
        world = World(plugin=Scripted(stream=False))
        await asyncio.sleep(10)
        async with world.collector(budget=StubbornBudget()) as collector:
            await collector.add("scripted:BTC/USD@1m")
            world.truth[world.minute] = 7
            await world.next_minute(30)
            assert [7] == [int(candle.close) for candle in await world.stored()]
            ends_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - ends_s < 10
        assert {asyncio.current_task()} == asyncio.all_tasks()

    run_virtual(main())
