"""One connection: what is wanted, asked and confirmed, and when it ends."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import attrs
import pytest

from tests.framework.scripted import ACCOUNT, TOPIC, ScriptedStream, ScriptedTransport, adapter, rows
from wickwire import (
    Candle,
    FaultKind,
    Feed,
    Keepalive,
    Limits,
    PluginError,
    Quote,
    Rate,
    Readiness,
    Send,
    StreamClosed,
    Topic,
    Trade,
    TransportError,
    VenueError,
)
from wickwire.breaker import Breaker
from wickwire.budget import Budget
from wickwire.history import History
from wickwire.retry import Backoff
from wickwire.session import Session, SessionState
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.subscriptions import TopicPhase


@attrs.define(eq=False)
class Notes:
    """A route that writes down what it is told."""

    told: list[object] = attrs.field(factory=list)

    @property
    def received(self) -> int:
        return len(self.told)

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        self.told.append(data)

    def subscribed(self, session: Session) -> None:
        self.told.append("subscribed")

    def moved(self, session: Session) -> None:
        self.told.append("moved")

    def caught_up(self, *, truncated: bool) -> None:
        self.told.append(f"caught up{', cut' if truncated else ''}")

    def gathering(self) -> None:
        self.told.append("gathering")

    def doubted(self, why: str) -> None:
        self.told.append(f"doubted: {why}")

    def withdrawn(self, open_ns: int) -> None:
        self.told.append(f"withdrawn: {open_ns}")

    def lost(self, why: str) -> None:
        self.told.append(f"lost: {why}")

    def refused(self, kind: FaultKind, why: str) -> None:
        self.told.append(f"refused: {kind.value}: {why}")


@attrs.define(eq=False)
class Bench:
    """A session under test and both its ends."""

    session: Session
    transport: ScriptedTransport
    notes: Notes
    task: asyncio.Task[None]

    @property
    def stream(self) -> ScriptedStream:
        return self.transport.streams[-1]


def with_session(
    test: Callable[[Bench], Coroutine[Any, Any, None]],
    *topics: Topic,
    begin_s: float = 0.0,
    admitted: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    **knobs: Any,
) -> BaseException | None:
    """Run *test* beside a session on virtual time; return what the session ended with."""
    ended: list[BaseException | None] = []

    async def main() -> None:
        await asyncio.sleep(begin_s)
        bound = adapter(**knobs)
        transport = ScriptedTransport(answer=lambda _: rows())
        clock = running_clock()
        breaker = Breaker("scripted", Backoff(), clock, random.Random(1))
        history = History(bound, ACCOUNT, transport, Budget(Limits()), breaker, clock)
        session = Session(bound, ACCOUNT, transport, history, clock, admitted=admitted)
        notes = Notes()
        for topic in topics or (TOPIC,):
            session.want(topic, notes, lambda: None)

        async def guarded() -> None:
            try:
                await session.run()
            except Exception as exc:  # noqa: BLE001 - the test looks at it
                ended.append(exc)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(guarded())
            await asyncio.sleep(0.01)
            await test(Bench(session, transport, notes, task))
            task.cancel()

    run_virtual(main())
    return ended[0] if ended else None


def candle(minute: int, close: int = 100, **more: Any) -> dict[str, Any]:
    return {"candle": {"minute": minute, "close": close, **more}}


def symbols(count: int) -> list[Topic]:
    return [Topic(f"S{number}/USD", TOPIC.what) for number in range(count)]


def test_a_topic_is_asked_for_confirmed_and_its_data_passed_on() -> None:
    async def test(bench: Bench) -> None:
        assert [["BTC/USD@1m"]] == bench.stream.asked
        assert bench.session.phase(TOPIC) is TopicPhase.ASKED
        bench.stream.say({"accepted": ["BTC/USD@1m"]}, candle(1))
        await asyncio.sleep(0.01)

        assert bench.session.phase(TOPIC) is TopicPhase.CONFIRMED
        assert "subscribed" == bench.notes.told[0]
        assert isinstance(bench.notes.told[1], Candle)

    with_session(test)


def test_data_before_the_answer_confirms_and_is_not_lost() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say(candle(1), {"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)

        assert "subscribed" == bench.notes.told[0]
        assert isinstance(bench.notes.told[1], Candle)
        assert 2 == len(bench.notes.told)

    with_session(test)


def test_nothing_is_asked_before_the_venue_is_ready() -> None:
    async def test(bench: Bench) -> None:
        assert [] == bench.stream.asked
        assert bench.session.state is SessionState.AUTHENTICATING
        bench.stream.say({"ready": 1})
        await asyncio.sleep(0.01)

        assert [["BTC/USD@1m"]] == bench.stream.asked
        assert SessionState.READY.value == bench.session.state.value

    with_session(test, endpoint={"ready": Readiness.ON_EVENT})


def test_many_topics_are_asked_for_in_frames_of_the_size_the_venue_takes() -> None:
    async def test(bench: Bench) -> None:
        assert [20, 20, 5] == [len(asked) for asked in bench.stream.asked]

    with_session(test, *symbols(45), endpoint={"topics_per_frame": 20})


def test_where_answers_carry_no_id_one_change_waits_for_the_other() -> None:
    async def test(bench: Bench) -> None:
        assert [["S0/USD@1m"]] == bench.stream.asked
        bench.stream.say({"accepted": ["S0/USD@1m"]})
        await asyncio.sleep(0.01)
        assert [["S0/USD@1m"], ["S1/USD@1m"]] == bench.stream.asked

    with_session(test, *symbols(3), endpoint={"topics_per_frame": 1, "changes_in_flight": 1})


def test_messages_are_paced_within_the_venues_rate() -> None:
    async def test(bench: Bench) -> None:
        assert 2 == len(bench.stream.asked)
        await asyncio.sleep(1.2)  # two in any second, and how long each is on its way nobody says
        assert 4 == len(bench.stream.asked)

    with_session(
        test,
        *symbols(10),
        endpoint={"topics_per_frame": 1, "changes_in_flight": 99},
        limits=Limits(messages=Rate(2, 1.0)),
    )


def test_a_refused_topic_is_named_and_the_others_go_on() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say({"refused": ["S0/USD@1m"], "why": "no such pair"}, {"accepted": ["S1/USD@1m"]})
        await asyncio.sleep(0.01)

        assert ["refused: symbol: no such pair", "subscribed"] == bench.notes.told
        assert bench.session.state is SessionState.READY

    with_session(test, *symbols(2))


def test_a_refusal_that_names_nobody_is_found_by_halving() -> None:
    """The venue refuses whole requests that hold S5, without saying why."""

    async def test(bench: Bench) -> None:
        answered = 0
        for _ in range(20):
            asked = bench.stream.asked
            for topics in asked[answered:]:
                bad = "S5/USD@1m" in topics
                bench.stream.say({"refused": [], "why": "invalid"} if bad else {"accepted": topics})
            answered = len(asked)
            await asyncio.sleep(0.01)
        phases = [bench.session.phase(topic) for topic in symbols(8)]
        assert [n for n, phase in enumerate(phases) if phase is TopicPhase.REFUSED] == [5]
        assert phases.count(TopicPhase.CONFIRMED) == 7

    with_session(test, *symbols(8), endpoint={"changes_in_flight": 1})


def test_a_subscription_that_is_too_large_for_one_frame_is_asked_for_in_halves() -> None:
    """And answered as if it had never been one."""

    async def test(bench: Bench) -> None:
        await asyncio.sleep(0.01)
        asked = [topic for frame in bench.stream.asked for topic in frame]
        assert sorted(asked) == sorted(str(topic) for topic in symbols(20))
        assert all(len(frame) <= 100 for frame in bench.stream.sent)
        bench.stream.say({"accepted": asked})
        await asyncio.sleep(0.01)
        assert 20 == bench.notes.told.count("subscribed")

        for topic in symbols(20):
            bench.session.drop(topic)
        await asyncio.sleep(0.01)
        left = [
            topic for frame in bench.stream.sent if "leave" in frame for topic in json.loads(frame)["leave"]
        ]
        assert sorted(left) == sorted(asked)
        assert all(len(frame) <= 100 for frame in bench.stream.sent)

    with_session(test, *symbols(20), endpoint={"max_send_bytes": 100})


def test_halves_too_wait_for_their_turn() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(0.01)
        [first] = bench.stream.asked
        bench.stream.say({"accepted": first})
        await asyncio.sleep(0.01)
        assert 2 == len(bench.stream.asked)

    with_session(test, *symbols(8), endpoint={"max_send_bytes": 100, "changes_in_flight": 1})


def test_a_topic_that_is_too_large_by_itself_is_refused_by_name() -> None:
    long = Topic("A" * 100, TOPIC.what)

    async def test(bench: Bench) -> None:
        await asyncio.sleep(0.01)
        assert [["BTC/USD@1m"]] == bench.stream.asked
        [told] = bench.notes.told
        assert str(told).startswith("refused: request: it takes a frame of 116 bytes; 100 are allowed")
        assert bench.session.phase(long) is TopicPhase.REFUSED

    with_session(test, TOPIC, long, endpoint={"max_send_bytes": 100})


def test_what_is_too_large_and_no_subscription_is_a_fault_of_the_adapter() -> None:
    """Counted in bytes as they go out, not in characters."""

    async def test(bench: Bench) -> None:
        bench.stream.say({"answer": "é" * 51})
        await asyncio.sleep(0.01)

    ended = with_session(test, endpoint={"max_send_bytes": 100})

    assert isinstance(ended, PluginError)
    assert "it wants to send a frame of 102 bytes" in str(ended)


def test_what_is_never_answered_is_asked_for_again() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(11)
        assert 2 == len(bench.stream.asked)

    with_session(test)


def test_what_is_refused_before_it_is_ready_ends_the_connection() -> None:
    """Such as a version of the protocol: nothing follows, and asking the same again does not help."""

    async def test(bench: Bench) -> None:
        bench.stream.say({"fault": "request", "why": "no such version"})
        await asyncio.sleep(1)

    ended = with_session(test, endpoint={"ready": Readiness.ON_EVENT})

    assert isinstance(ended, VenueError)
    assert ended.kind is FaultKind.REQUEST


def test_topics_can_be_added_and_dropped_while_connected() -> None:
    async def test(bench: Bench) -> None:
        more = Topic("ETH/USD", Feed.TRADES)
        bench.session.want(more, bench.notes, lambda: None)
        await asyncio.sleep(0.01)
        assert ["ETH/USD@trades"] == bench.stream.asked[-1]

        bench.session.drop(TOPIC)
        await asyncio.sleep(0.01)
        assert '{"leave": ["BTC/USD@1m"]}' == bench.stream.sent[-1]
        bench.stream.say(candle(1))
        await asyncio.sleep(0.01)
        assert 1 == bench.session.unrouted

    with_session(test)


def test_subscribing_again_ends_the_epoch_and_begins_another() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)
        bench.session.again(TOPIC)
        await asyncio.sleep(0.01)
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)

        assert ["subscribed", "lost: subscribing again", "subscribed"] == bench.notes.told
        assert ['{"leave": ["BTC/USD@1m"]}', '{"ask": ["BTC/USD@1m"]}'] == bench.stream.sent[-2:]

    with_session(test)


def test_silence_ends_the_connection_at_its_limit_and_any_frame_moves_the_limit() -> None:
    times: list[float] = []

    async def test(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.sleep(8)
        bench.stream.say({"beat": 1})
        await asyncio.wait([bench.task])
        times.append(loop.time() - started)

    ended = with_session(test, endpoint={"silence_limit_s": 10.0})

    assert isinstance(ended, TransportError)
    assert "nothing was received for 10 s" in str(ended)
    assert 18 == pytest.approx(times[0])


def test_a_client_that_has_to_speak_regularly_does() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(35)
        assert 3 == bench.stream.sent.count('{"ping": 1}')

    with_session(test, endpoint={"keepalive": Keepalive(10.0, '{"ping": 1}')})


def test_a_connection_ends_at_its_age() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(61)

    ended = with_session(test, endpoint={"max_age_s": 60.0})

    assert isinstance(ended, VenueError)
    assert ended.kind is FaultKind.RESTART


def test_junk_is_counted_and_the_connection_survives() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say_raw(b"\xff\xfe", b"{", b"[" * 100)
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)

        assert 3 == bench.session.junk
        assert ["subscribed"] == bench.notes.told

    assert with_session(test) is None


def test_an_answer_that_the_adapter_owes_is_sent() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say({"answer": "token"})
        await asyncio.sleep(0.01)
        assert "token" == bench.stream.sent[-1]
        assert [] == bench.stream.secret

    with_session(test)


def test_that_an_answer_is_secret_reaches_the_transport() -> None:
    """There, recorders stand in its way."""

    async def test(bench: Bench) -> None:
        bench.stream.say({"answer": "token", "secret": True})
        await asyncio.sleep(0.01)
        assert ["token"] == bench.stream.secret

    with_session(test)


def test_a_gap_casts_doubt_on_every_topic_and_ends_nothing() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say({"fault": "gap", "why": "sequence 7 after 5"})
        await asyncio.sleep(0.01)
        assert ["doubted: sequence 7 after 5"] == bench.notes.told

    assert with_session(test) is None


def test_refused_keys_end_the_connection_with_their_kind() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say({"fault": "credentials", "why": "key is unknown"})
        await asyncio.sleep(0.01)

    ended = with_session(test)

    assert isinstance(ended, VenueError)
    assert ended.kind is FaultKind.CREDENTIALS


@pytest.mark.parametrize("frame", [{"bug": 1}, {"nonsense": 1}])
def test_an_adapter_that_breaks_its_contract_is_named(frame: dict[str, int]) -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say(frame)
        await asyncio.sleep(0.01)

    ended = with_session(test)

    assert isinstance(ended, PluginError)
    assert "scripted" in str(ended)
    assert "parse()" in str(ended)


def test_when_the_connection_ends_every_route_is_told_why() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        bench.stream.hang_up(1012)
        await asyncio.sleep(0.01)
        assert ["subscribed", "lost: closed with 1012"] == bench.notes.told

    ended = with_session(test)

    assert isinstance(ended, StreamClosed)
    assert 1012 == ended.code


def test_an_answer_that_lists_everything_does_not_confirm_what_is_about_to_be_left() -> None:
    """Some venues answer each request with all that is subscribed, also what is being subscribed to anew."""

    async def test(bench: Bench) -> None:
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)
        bench.session.again(TOPIC)
        bench.stream.say({"accepted": ["BTC/USD@1m"]})  # about another topic, before ours is left
        await asyncio.sleep(0.01)
        assert '{"ask": ["BTC/USD@1m"]}' == bench.stream.sent[-1]
        bench.stream.say({"accepted": ["BTC/USD@1m"]})
        await asyncio.sleep(0.01)

        assert ["subscribed", "lost: subscribing again", "subscribed"] == bench.notes.told

    with_session(test)


def test_everything_that_is_sent_counts_for_the_venues_rate() -> None:
    async def test(bench: Bench) -> None:
        bench.stream.say(*({"answer": str(number)} for number in range(10)))
        await asyncio.sleep(0.5)
        assert len(bench.stream.sent) <= 3
        await asyncio.sleep(6)
        assert 11 == len(bench.stream.sent)

    with_session(test, limits=Limits(messages=Rate(2, 1.0)))


@pytest.mark.parametrize("hello", ["hi", Send("hi"), ("hi",)])
def test_a_greeting_of_the_wrong_type_is_the_adapters_mistake(hello: Any) -> None:
    async def test(bench: Bench) -> None:
        await asyncio.sleep(0.01)

    ended = with_session(test, endpoint={"hello": hello})

    assert isinstance(ended, PluginError)
    assert "tuple of Send" in str(ended)


def test_when_data_came_is_told_by_our_clock_and_other_frames_do_not_count() -> None:
    async def test(bench: Bench) -> None:
        assert 0 == bench.session.heard_ns
        bench.stream.say({"accepted": ["BTC/USD@1m"]}, candle(1))
        await asyncio.sleep(0)
        came_ns = running_clock().now_ns()
        await asyncio.sleep(5)
        bench.stream.say({"beat": 1})
        await asyncio.sleep(5)

        assert came_ns == pytest.approx(bench.session.heard_ns, abs=20_000_000)
        assert running_clock().now_ns() - bench.session.heard_ns > 9_900_000_000

    with_session(test)


def test_a_venue_that_talks_and_never_gets_ready_is_left() -> None:
    async def test(bench: Bench) -> None:
        for _ in range(40):
            bench.stream.say({"beat": 1})
            await asyncio.sleep(1)

    ended = with_session(test, endpoint={"ready": Readiness.ON_EVENT})

    assert isinstance(ended, TransportError)
    assert "was not ready within 30 s" in str(ended)


def test_a_limit_that_the_clock_can_hardly_tell_from_now_ends_the_connection_too() -> None:
    """The loop counts in floats: what is left may be too little to move its clock."""

    async def test(bench: Bench) -> None:
        for _ in range(40):
            bench.stream.say({"beat": 1})
            await asyncio.sleep(1)

    for tenth in range(1, 60):
        ended = with_session(test, begin_s=490 + tenth / 7, endpoint={"ready": Readiness.ON_EVENT})
        assert "was not ready within 30 s" in str(ended)


def test_a_connection_is_opened_when_the_limits_allow_it() -> None:
    allowed = asyncio.Event()

    async def test(bench: Bench) -> None:
        await asyncio.sleep(60)
        assert [] == bench.transport.streams
        allowed.set()
        await asyncio.sleep(0.01)
        assert [["BTC/USD@1m"]] == bench.stream.asked

    @asynccontextmanager
    async def admitted() -> AsyncIterator[None]:
        await allowed.wait()
        yield

    with_session(test, admitted=admitted)


def test_what_is_asked_for_at_once_can_be_lowered_in_number_and_size() -> None:
    """By the account's limits; what the endpoint says still counts."""

    async def by_number(bench: Bench) -> None:
        assert [2, 2, 1] == [len(asked) for asked in bench.stream.asked]

    async def by_size(bench: Bench) -> None:
        assert [2, 2, 1] == sorted(map(len, bench.stream.asked), reverse=True)
        assert all(len(frame) <= 35 for frame in bench.stream.sent)

    with_session(by_number, *symbols(5), limits=Limits(topics_per_frame=2))
    with_session(by_number, *symbols(5), limits=Limits(topics_per_frame=9), endpoint={"topics_per_frame": 2})
    with_session(by_size, *symbols(5), limits=Limits(bytes_per_frame=35))
