"""What happens while connections are replaced: bugs, refusals, series that leave. Nothing is left behind."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import attrs

from tests.framework.scripted import Scripted, ScriptedStream, ScriptedTransport
from tests.framework.test_collector import World, play
from wickwire import Backoff, Limits, TransportError
from wickwire.collector import Collector
from wickwire.endpoint import Endpoint
from wickwire.news import Rotation
from wickwire.pool import Pool
from wickwire.venue import Venue

A, B, C, D = (f"{symbol}/USD@trades" for symbol in "ABCD")
ANYTHING = 0.1
"""Events a second: what carries more has topics to give away; here everything does."""


@attrs.define(eq=False)
class AnsweringStream(ScriptedStream):
    """A connection on which everything is granted but what the venue does not know."""

    unknown: frozenset[str] = frozenset()
    closing_s: float = 0.0

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        await ScriptedStream.send(self, frame, secret=secret)
        for topic in json.loads(frame).get("ask", []):
            no = {"refused": [topic], "why": "no such pair"}
            self.say(no if topic in self.unknown else {"accepted": [topic]})

    async def aclose(self, code: int = 1000) -> None:
        try:
            await asyncio.sleep(self.closing_s)
        finally:
            await ScriptedStream.aclose(self, code)

    def trade(self, topic: str, number: int) -> None:
        self.say({"trade": [topic.partition("@")[0], number, 100]})


@attrs.define(eq=False)
class AnsweringTransport(ScriptedTransport):
    """Opens such connections."""

    unknown: frozenset[str] = frozenset()
    closing_s: float = 0.0

    async def open(self, endpoint: Endpoint) -> ScriptedStream:
        if self.refuse is not None:
            raise self.refuse
        stream = AnsweringStream(unknown=self.unknown, closing_s=self.closing_s)
        self.streams.append(stream)
        return stream


@attrs.define(eq=False)
class Answering(World):
    """A venue that answers at once."""

    def __attrs_post_init__(self) -> None:
        self.transport = AnsweringTransport(answer=self._answer)

    @property
    def answering(self) -> AnsweringTransport:
        assert isinstance(self.transport, AnsweringTransport)
        return self.transport

    @property
    def open_streams(self) -> list[AnsweringStream]:
        streams = [one for one in self.transport.streams if one.closed is None]
        return [one for one in streams if isinstance(one, AnsweringStream)]


def answering(**knobs: object) -> Answering:
    return Answering(plugin=Scripted(**knobs))  # type: ignore[arg-type]  # as it takes them


def scope_of(collector: Collector) -> Venue:
    return collector._venues.scopes["scripted"]


def assert_sound(pool: Pool) -> None:
    """Every topic rides on one connection, and nothing is left of what was replaced."""
    riding = Counter(topic for link in pool.links for topic in link.topics)
    assert riding == Counter(pool.riders.keys())
    assert all(link.topics for link in pool.links)
    assert not any(link.spare or link.arrivals for link in pool.links)
    assert {None} >= {one.departure for one in pool.riders.values()}
    assert set(pool._connections._open) == set(pool.links)


async def fail(collector: Collector) -> None:
    """Let the venue's scope end by a bug."""

    async def bug() -> None:
        raise ZeroDivisionError("a bug")

    tasks = scope_of(collector)._tasks
    assert tasks is not None
    tasks.create_task(bug())
    await asyncio.sleep(0)


async def adding(collector: Collector, *topics: str) -> None:
    for topic in topics:
        await collector.add(f"scripted:{topic}")
    await asyncio.sleep(1)


def rotating(collector: Collector) -> asyncio.Task[list[Rotation]]:
    async def rotate() -> list[Rotation]:
        return list(await collector.rotate("scripted"))

    return asyncio.get_running_loop().create_task(rotate())


def test_a_bug_while_some_topics_are_handed_over_and_others_are_not_loses_none() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await adding(collector, A, B)
        tried = rotating(collector)
        await asyncio.sleep(1)
        for stream in world.open_streams:
            stream.trade(A, 1)
        await asyncio.sleep(3)
        pool = scope_of(collector).pool
        assert [1, 1] == [len(link.topics) for link in pool.links], "one is proven, the other one is silent"
        await fail(collector)
        assert [False] == [one.replaced for one in await tried]
        await asyncio.sleep(60)
        assert_sound(pool)
        [stream] = world.open_streams
        trades = collector.trades()
        for topic in (A, B):
            stream.trade(topic, 2)
        assert ["A/USD", "B/USD"] == [(await anext(trades)).symbol for _ in range(2)]

    play(test, answering())


def test_a_refused_topic_has_no_other_interrupted_and_stays_refused() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        world.answering.unknown = frozenset({B})
        await adding(collector, A, B, C)
        feed = scope_of(collector).feeds
        refusals = [route.refusal for route in feed.values()]
        [rotation] = await rotating(collector)
        assert (True, 0) == (rotation.replaced, rotation.broken), "nothing was missed of what was not there"
        assert refusals == [route.refusal for route in feed.values()]
        assert [True, False, True] == [route.live for route in feed.values()]
        assert_sound(scope_of(collector).pool)

    play(test, answering())


def test_what_only_the_new_connection_refuses_is_told() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await adding(collector, A, B)
        world.answering.unknown = frozenset({B})
        [rotation] = await rotating(collector)
        assert (True, 1) == (rotation.replaced, rotation.broken)
        assert "no such pair" in [route.refusal for route in scope_of(collector).feeds.values()][1]

    play(test, answering())


def test_a_connection_that_nobody_wants_any_more_is_not_opened_again() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        world.answering.closing_s = 2.0
        await adding(collector, A)
        tried = rotating(collector)
        await asyncio.sleep(1)
        await collector.remove(f"scripted:{A}")
        await asyncio.sleep(60)
        assert [] == world.open_streams
        assert 1 == len(world.transport.streams)
        assert [False] == [one.replaced for one in await tried]

    play(test, answering(limits=Limits(connections=1)))


def test_who_waits_for_a_replacement_is_told_when_the_collector_stops_after_a_bug() -> None:
    told: list[asyncio.Task[list[Rotation]]] = []

    async def test(world: Answering, collector: Collector) -> None:
        await adding(collector, A)
        await fail(collector)
        await asyncio.sleep(0.01)
        assert scope_of(collector).failure, "it starts again later"
        told.append(rotating(collector))
        await asyncio.sleep(0.01)
        assert [] == scope_of(collector).pool.sessions, "nobody rides on what ended with the scope"

    play(test, answering())
    [rotation] = told[0].result()
    assert (False, "the venue's scope ended") == (rotation.replaced, rotation.trouble)


def test_where_the_old_connection_ends_the_new_one_counts_at_once() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await adding(collector, A)
        tried = rotating(collector)
        await asyncio.sleep(1)
        old, _ = world.open_streams
        old.hang_up()
        await asyncio.sleep(0.5)
        assert tried.done(), "nothing came on either; who waits for a proof waits for ten seconds"
        assert [True] == [one.replaced for one in await tried]
        assert {True} == {route.live for route in scope_of(collector).feeds.values()}
        assert_sound(scope_of(collector).pool)

    play(test, answering())


def test_a_successor_that_cannot_be_opened_is_no_reason_to_give_the_venue_up() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await adding(collector, A)
        world.transport.refuse = TransportError("no route to it")
        [rotation] = await rotating(collector)
        world.transport.refuse = None
        assert not rotation.replaced
        assert "" == scope_of(collector).failure
        assert {True} == {route.live for route in scope_of(collector).feeds.values()}
        assert_sound(scope_of(collector).pool)

    play(test, answering(), backoff=Backoff(attempts=2))


def test_what_only_the_old_connection_was_refused_lives_on_the_new_one() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        world.answering.unknown = frozenset({A})
        await adding(collector, A, B)
        world.answering.unknown = frozenset()
        [rotation] = await rotating(collector)
        assert (True, 0) == (rotation.replaced, rotation.broken)
        assert [(True, "")] * 2 == [
            (route.live, route.refusal) for route in scope_of(collector).feeds.values()
        ]

    play(test, answering())


# --------------------------------------------------------------------------------------------------- moving


def assert_agreed(collector: Collector) -> None:
    """What has a place on a connection rides on that one."""
    lines = collector._venues._places._rooms["scripted"].lines
    links = scope_of(collector).pool.links
    assert {line.number: set(line.topics) for line in lines} == {one.number: set(one.topics) for one in links}
    assert not any(line.leaving for line in lines)


async def moving(world: Answering, collector: Collector) -> None:
    """Let A and B share a connection and C have another one, until one of the two is about to move."""
    await adding(collector, A, B, C)
    first, _ = world.open_streams
    pool = scope_of(collector).pool
    for number in range(1_000):
        for topic in (A, A, B):
            first.trade(topic, number)
        await asyncio.sleep(0.5)
        if any(link.arrivals for link in pool.links):
            return
    raise AssertionError("nothing moves")


def test_a_bug_while_a_topic_moves_leaves_it_where_it_is() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await moving(world, collector)
        await fail(collector)
        await asyncio.sleep(60)
        assert_sound(scope_of(collector).pool)
        assert_agreed(collector)
        assert 2 == len(world.open_streams)

    play(test, answering(limits=Limits(topics_per_connection=2)), least_moved=ANYTHING)


def test_where_all_others_leave_meanwhile_one_connection_is_left() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await moving(world, collector)
        await collector.remove(f"scripted:{C}")
        first, *_ = world.open_streams
        first.hang_up()
        await asyncio.sleep(60)
        assert_sound(scope_of(collector).pool)
        assert_agreed(collector)
        assert {True} == {route.live for route in scope_of(collector).feeds.values()}

    play(test, answering(limits=Limits(topics_per_connection=2)), least_moved=ANYTHING)


def test_a_topic_that_leaves_and_comes_again_while_it_moves_is_where_its_place_is() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await moving(world, collector)
        [moved] = [str(topic) for link in scope_of(collector).pool.links for topic in link.arrivals]
        await collector.remove(f"scripted:{moved}")
        await adding(collector, D, moved)
        await asyncio.sleep(60)
        assert_sound(scope_of(collector).pool)
        assert_agreed(collector)

    play(test, answering(limits=Limits(topics_per_connection=2)), least_moved=ANYTHING)


def test_what_has_moved_is_left_on_the_connection_that_carried_it() -> None:
    async def test(world: Answering, collector: Collector) -> None:
        await moving(world, collector)
        [moved] = [str(topic) for link in scope_of(collector).pool.links for topic in link.arrivals]
        first, second = world.open_streams
        for _ in range(8):
            second.trade(moved, 0)
            await asyncio.sleep(1)
        assert json.dumps({"leave": [moved]}) in first.sent
        assert_sound(scope_of(collector).pool)
        assert_agreed(collector)

    play(test, answering(limits=Limits(topics_per_connection=2)), least_moved=ANYTHING)
