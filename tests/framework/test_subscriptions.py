"""The book of one connection's subscriptions: what is asked for when, and what an answer changes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import cast

import attrs
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.test_session import Notes
from wickwire import Candle, Endpoint, FaultKind, Feed, Timeframe, Topic
from wickwire.session import Session
from wickwire.subscriptions import Subscriptions, TopicPhase

MINUTE = Timeframe.parse("1m")
TOPICS = [Topic(f"S{number}/USD", MINUTE) for number in range(5)]


@attrs.frozen
class Silent:
    """All that a book asks of its session: when the last frame came. The routes do not look at it."""

    frame_s: float = 0.0


NOBODY = cast("Session", Silent())


def terms(*, topics_per_frame: int = 50, changes_in_flight: int = 8, acknowledges: bool = True) -> Endpoint:
    return Endpoint(
        url="wss://ws.venue.example",
        topics_per_frame=topics_per_frame,
        changes_in_flight=changes_in_flight,
        acknowledges=acknowledges,
    )


@attrs.define(eq=False)
class Desk:
    """A book, its routes, and a venue that is told what the book wants to say."""

    book: Subscriptions
    terms: Endpoint
    now_s: float = 0.0
    changes: int = 0
    notes: dict[Topic, Notes] = attrs.field(factory=dict)
    subscribed: dict[Topic, None] = attrs.field(factory=dict)
    asked: list[list[Topic]] = attrs.field(factory=list)

    def want(self, *topics: Topic) -> None:
        for topic in topics:
            self.notes[topic] = Notes()
            self.book.want(topic, self.notes[topic], lambda: None)

    def speak(self) -> None:
        """Let the book say everything that it may say now."""
        while True:
            asks, removed = self.book.next_batch(self.terms, self.now_s)
            if not asks and not removed:
                return
            assert not (asks and removed), "one change at a time"
            assert len(asks) + len(removed) <= self.terms.topics_per_frame
            for topic in removed:
                self.subscribed.pop(topic, None)
            self.subscribed |= dict.fromkeys(ask.topic for ask in asks)
            self.asked += [[ask.topic for ask in asks]] if asks else []

    def happen(self, step: str, topic: Topic) -> None:
        """Want or drop *topic*, or let the venue speak of it: only of what it was asked for."""
        wanted, known = topic in self.notes, topic in self.subscribed
        if step == "want" and not wanted:
            self.want(topic)
        elif step == "drop" and wanted:
            del self.notes[topic]
            self.book.drop(topic)
        elif step == "again":
            self.book.again(topic)
        elif step == "yes" and known:
            self.book.accepted([topic])
        elif step == "no" and known:
            del self.subscribed[topic]
            self.book.refused([topic], FaultKind.SYMBOL, "no", self.now_s)
        elif step == "data" and wanted and known:
            self.book.candles[topic.symbol, MINUTE](cast("Candle", None))

    def phases(self, topics: Sequence[Topic]) -> set[TopicPhase | None]:
        return {self.book.phase(topic) for topic in topics}


def desk(book_terms: Endpoint | None = None) -> Desk:
    made = Desk(cast("Subscriptions", None), book_terms or terms())

    def changed() -> None:
        made.changes += 1

    made.book = Subscriptions(NOBODY, changed)
    return made


def test_a_book_has_something_to_say_when_its_owner_is_told_so() -> None:
    one = desk()
    one.want(TOPICS[0])
    assert 1 == one.changes
    one.speak()
    assert [[TOPICS[0]]] == one.asked
    assert 10.0 == one.book.next_due_s(one.terms, one.now_s)


def test_what_needs_no_acknowledgement_is_never_asked_for_again() -> None:
    one = desk(terms(acknowledges=False))
    one.want(TOPICS[0])
    one.speak()
    one.now_s = 1e9
    one.speak()
    assert [[TOPICS[0]]] == one.asked


def test_the_deadline_of_an_answer_grows_with_each_repetition() -> None:
    one = desk()
    one.want(TOPICS[0])
    waits = []
    for _ in range(4):
        one.speak()
        due_s = one.book.next_due_s(one.terms, one.now_s)
        assert due_s is not None
        waits.append(due_s - one.now_s)
        one.now_s = due_s
    assert [10.0, 20.0, 30.0, 40.0] == waits


def test_what_was_left_is_left_again_while_its_data_comes_ever_more_rarely() -> None:
    """A venue that limits messages, or was mute just then, did not hear it."""
    desk = Desk(Subscriptions(NOBODY, lambda: None), terms())
    desk.want(TOPICS[0])
    desk.speak()
    desk.happen("drop", TOPICS[0])
    left: list[int] = []
    for second in range(1_000):
        desk.book.astray(candle(TOPICS[0]), second)
        _, removed = desk.book.next_batch(desk.terms, second)
        if removed:
            left.append(second)
    assert [0, 20, 60, 140, 300, 600, 900] == left


def test_nothing_is_left_again_that_was_handed_over() -> None:
    desk = Desk(Subscriptions(NOBODY, lambda: None), terms())
    desk.want(TOPICS[1])
    desk.speak()
    desk.book.release(TOPICS[1])
    desk.book.astray(candle(TOPICS[1]), 1_000.0)
    assert ([], []) == desk.book.next_batch(desk.terms, 1_000.0)


def test_what_is_wanted_again_and_left_again_is_left_as_for_the_first_time() -> None:
    """Also where it was left to be subscribed to anew: that was heard, or it would bring data."""
    desk = Desk(Subscriptions(NOBODY, lambda: None), terms())
    for step in ("want", "drop", "want", "yes", "again", "yes", "drop"):
        desk.happen(step, TOPICS[0])
        desk.speak()
    left: list[int] = []
    for second in range(100):
        desk.book.astray(candle(TOPICS[0]), second)
        left += [second] if desk.book.next_batch(desk.terms, second)[1] else []
    assert [20, 60] == left


def candle(topic: Topic) -> Candle:
    price = Decimal(1)
    return Candle(topic.symbol, MINUTE, 0, MINUTE.nominal_ns, price, price, price, price, price)


def test_a_refused_topic_is_left_alone_for_ten_minutes_and_then_asked_for_again() -> None:
    one = desk()
    one.want(TOPICS[0])
    one.speak()
    assert [TOPICS[0]] == one.book.refused([TOPICS[0]], FaultKind.SYMBOL, "no such pair", 0.0)
    one.now_s = 599.0
    one.speak()
    assert 1 == len(one.asked)
    one.now_s = 600.0
    one.speak()
    assert 2 == len(one.asked)


def test_a_venue_that_wants_to_be_asked_later_refused_nothing() -> None:
    one = desk()
    one.want(TOPICS[0])
    one.speak()
    one.now_s = 8.0
    assert [] == one.book.refused([TOPICS[0]], FaultKind.WAIT, "slow down", one.now_s)
    assert 18.0 == one.book.next_due_s(one.terms, one.now_s)
    assert [] == one.notes[TOPICS[0]].told


def test_feeds_of_one_symbol_have_routes_of_their_own() -> None:
    one = desk()
    trades, quotes = Topic("S0/USD", Feed.TRADES), Topic("S0/USD", Feed.QUOTES)
    one.want(trades, quotes, TOPICS[0])
    one.speak()
    one.book.accepted([trades, quotes, TOPICS[0]])
    one.book.drop(quotes)
    one.speak()
    assert {trades: None, TOPICS[0]: None} == one.subscribed


STEPS = st.one_of(
    st.tuples(st.sampled_from(["want", "drop", "again", "yes", "no", "data"]), st.sampled_from(TOPICS)),
    st.tuples(st.sampled_from(["speak", "throttled"]), st.none()),
    st.tuples(st.just("wait"), st.floats(0.0, 40.0)),
)


@given(
    steps=st.lists(STEPS, max_size=40),
    topics_per_frame=st.integers(1, 3),
    changes_in_flight=st.integers(1, 3),
)
def test_whatever_happened_an_answering_venue_ends_with_exactly_what_is_wanted(
    steps: list[tuple[str, Topic | float | None]], topics_per_frame: int, changes_in_flight: int
) -> None:
    one = desk(terms(topics_per_frame=topics_per_frame, changes_in_flight=changes_in_flight))
    for step, what in steps:
        if step == "wait":
            one.now_s += cast("float", what)
        elif step == "speak":
            one.speak()
        elif step == "throttled":
            one.book.throttled(one.now_s)
        else:
            one.happen(step, cast("Topic", what))
    wanted = list(one.notes)

    for _ in range(30):  # from now on it answers everything, and time passes
        one.speak()
        one.book.accepted(list(one.subscribed))
        one.now_s += 100.0

    assert set(wanted) == set(one.subscribed)
    assert {TopicPhase.CONFIRMED} >= one.phases(wanted)
    assert {None} >= one.phases([topic for topic in TOPICS if topic not in wanted])


def test_what_was_refused_and_is_due_waits_for_the_answer_that_is_awaited() -> None:
    """Else whoever drives the book would be told to wake at once, again and again, with nothing to say."""
    one = desk(terms(changes_in_flight=1))
    first, second = TOPICS[:2]
    one.want(first, second)
    one.speak()
    one.book.refused([first], FaultKind.ENTITLEMENT, "no", 0.0)
    one.book.refused([second], FaultKind.ENTITLEMENT, "no", 1.0)
    one.now_s = 600.0
    one.speak()
    assert [[first, second], [first]] == one.asked
    one.now_s = 601.0

    assert ([], []) == one.book.next_batch(one.terms, one.now_s)
    due_s = one.book.next_due_s(one.terms, one.now_s)
    assert due_s is not None
    assert due_s > one.now_s
