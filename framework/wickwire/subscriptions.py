"""What one connection subscribes to: wanted, asked, confirmed or refused, and what is to be said next.

A book that is told what the venue answered and what time it is. It never waits, sends or reads a clock: that
is session's. How a subscription is written and what an answer means is the adapter's.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar, final

import attrs

from wickwire.endpoint import Ask, Endpoint, Topic
from wickwire.errors import FaultKind
from wickwire.model import Candle, Feed, Quote, Timeframe, Trade
from wickwire.topic_route import Receive, Route

if TYPE_CHECKING:
    from wickwire.session import Session

__all__ = ["Subscriptions", "TopicPhase"]

ANSWER_DEADLINE_S: Final = 10.0
"""How long a subscription may stay unanswered, without data, before it is asked for again."""

LONGEST_PATIENCE: Final = 30
"""The deadline grows with each repetition, at most to so many times its length."""

QUARANTINE_S: Final = 600.0
"""How long a refused topic is left alone on the same connection."""

K = TypeVar("K")


@attrs.define
class _Left:
    """When a topic was left, and how often that was said: a venue may not have heard it."""

    said_s: float
    times: int = 1

    def is_in_vain(self, now_s: float) -> bool:
        """Say whether data that comes now is no longer what was on its way."""
        return now_s >= self.said_s + ANSWER_DEADLINE_S * min(1 << self.times, LONGEST_PATIENCE)


@final
class TopicPhase(enum.Enum):
    """How far a subscription is."""

    WANTED = "wanted"
    ASKED = "asked"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


@attrs.define(eq=False)
class _Subscription:
    """One topic on this connection."""

    topic: Topic
    route: Route
    since_ns: Callable[[], int | None]
    phase: TopicPhase = TopicPhase.WANTED
    due_s: float = 0.0
    asked: int = 0
    batch: int = 0
    early: bool = False
    confirmed_s: float = -math.inf


class Subscriptions:
    """The topics of one connection, how far each is, and where its data goes.

    Whoever drives it says `next_batch` what it may say now, sends that, and sleeps until `next_due_s` or
    until *changed* is called.

    Attributes:
        candles: What takes the candles of a symbol and timeframe, also before they are confirmed.
        trades: What takes the trades of a symbol.
        quotes: What takes the quotes of a symbol.
        unrouted: Data of topics that nobody asked for.
        stray: The last topic whose data came though nobody ever wanted it on this connection; None before. An
            adapter that spells a symbol in two ways makes such.
        stray_s: When that was, in the loop's time.
    """

    def __init__(
        self,
        session: Session,
        changed: Callable[[], None],
        doubting: Callable[[Sequence[Topic], str], None] | None = None,
    ) -> None:
        """Start without topics.

        Args:
            session: What a confirmed route is told to belong to.
            changed: Called whenever there may be something to say, or an earlier time to say it.
            doubting: Called with the topics of which something may have been lost, and why.
        """
        self._doubting = doubting
        self._session = session
        self._changed = changed
        self._topics: dict[Topic, _Subscription] = {}
        self._leaving: dict[Topic, None] = {}
        self._ever_wanted: dict[Topic, None] = {}
        self._left: dict[Topic, _Left] = {}
        self._halves: deque[list[Topic]] = deque()
        self._batches = 0
        # Three, since a key that holds an enum member costs as much to hash as all the rest of the look-up.
        self.candles: dict[tuple[str, Timeframe], Receive] = {}
        self.trades: dict[str, Receive] = {}
        self.quotes: dict[str, Receive] = {}
        self.unrouted = 0
        self.stray: Topic | None = None
        self.stray_s = 0.0

    @property
    def topics(self) -> Sequence[Topic]:
        """What is wanted, in the order it was."""
        return tuple(self._topics)

    def phase(self, topic: Topic) -> TopicPhase | None:
        """Return how far the subscription to *topic* is; None when it is not wanted here."""
        subscription = self._topics.get(topic)
        return None if subscription is None else subscription.phase

    def confirmed_s(self, topic: Topic) -> float:
        """Return when the subscription to *topic* was confirmed last, in the loop's time."""
        subscription = self._topics.get(topic)
        return -math.inf if subscription is None else subscription.confirmed_s

    def told(self) -> list[tuple[Topic, str, int, int]]:
        """Return of each topic how far it is, how often it was asked for, and how many events came of it."""
        return [(one.topic, one.phase.value, one.asked, one.route.received) for one in self._topics.values()]

    # ----------------------------------------------------------------------------------- what is wanted

    def want(self, topic: Topic, route: Route, since_ns: Callable[[], int | None]) -> None:
        """Subscribe to *topic* as soon as possible; *since_ns* says from when on, each time it is asked."""
        subscription = self._topics[topic] = _Subscription(topic, route, since_ns)
        self._ever_wanted[topic] = None
        self._leaving.pop(topic, None)
        self._left.pop(topic, None)
        self._await_answer(subscription)

    def reroute(self, topic: Topic, route: Route) -> None:
        """Bring the data of *topic* to *route* from now on; how far the subscription is stays."""
        subscription = self._topics[topic]
        subscription.route = route
        if subscription.phase is TopicPhase.CONFIRMED:
            self._lead(topic, route.receive)

    def drop(self, topic: Topic) -> None:
        """Unsubscribe from *topic*."""
        subscription = self._topics.pop(topic, None)
        self._lead(topic, None)
        if subscription is not None and subscription.asked:
            self._leaving[topic] = None
            self._changed()

    def release(self, topic: Topic) -> None:
        """Forget *topic* without unsubscribing: the connection ends soon, and another one carries it."""
        self._topics.pop(topic, None)
        self._lead(topic, None)

    def again(self, topic: Topic) -> None:
        """Leave *topic* and subscribe to it anew."""
        subscription = self._topics.get(topic)
        if subscription is not None:
            subscription.route.lost("subscribing again")
            subscription.phase = TopicPhase.WANTED
            self._leaving[topic] = None
            self._await_answer(subscription)

    def _await_answer(self, subscription: _Subscription) -> None:
        self._lead(subscription.topic, partial(self._early, subscription))
        self._changed()

    def _lead(self, topic: Topic, receive: Receive | None) -> None:
        """Lead the data of *topic* to *receive*, or nowhere."""
        if isinstance(topic.what, Timeframe):
            _put(self.candles, (topic.symbol, topic.what), receive)
        else:
            _put(self.trades if topic.what is Feed.TRADES else self.quotes, topic.symbol, receive)

    def _early(self, subscription: _Subscription, data: Candle | Trade | Quote) -> None:
        """Data of a topic that is not confirmed yet: it confirms what was asked, and is not lost."""
        if subscription.phase is TopicPhase.ASKED:
            subscription.early = subscription.asked > 1
            self._confirm(subscription)
            subscription.route.receive(data)
        else:
            self.unrouted += 1

    def astray(self, data: Candle | Trade | Quote, now_s: float) -> bool:
        """Count data of a topic that nobody asked for; say whether it is the first never wanted here.

        What was left long ago is left again: the venue did not hear it.
        """
        self.unrouted += 1
        match data:
            case Candle():
                topic = Topic(data.symbol, data.timeframe)
            case Trade():
                topic = Topic(data.symbol, Feed.TRADES)
            case _:
                topic = Topic(data.symbol, Feed.QUOTES)
        if topic in self._ever_wanted:  # what was left a moment ago may still be on its way
            left = self._left.get(topic)
            if left is not None and left.is_in_vain(now_s):
                self._leaving[topic] = None
                self._changed()
            return False
        first = self.stray is None
        self.stray, self.stray_s = topic, now_s
        return first

    # ----------------------------------------------------------------------------------- what was said

    def accepted(self, topics: Iterable[Topic]) -> None:
        """Take the venue's yes to *topics*."""
        for subscription in self._known(topics):
            if subscription.phase is TopicPhase.WANTED:
                continue  # an answer that lists all there is speaks of the one that is about to be left
            if subscription.early:  # what confirmed it may have been a late frame of the subscription before
                subscription.early = False
                self._doubt([subscription], "data came before the answer to a repeated subscription")
            self._confirm(subscription)

    def presume(self, topic: Topic) -> bool:
        """Take *topic*, if it was asked for, as confirmed: this venue says so by data alone.

        Returns:
            Whether it counts as confirmed from now on.
        """
        asked = [one for one in self._known([topic]) if one.phase is TopicPhase.ASKED]
        for subscription in asked:
            self._confirm(subscription)
        return bool(asked)

    def _confirm(self, subscription: _Subscription) -> None:
        if subscription.phase is not TopicPhase.CONFIRMED:
            subscription.phase, subscription.confirmed_s = TopicPhase.CONFIRMED, self._session.frame_s
            self._lead(subscription.topic, subscription.route.receive)
            subscription.route.subscribed(self._session)
            self._changed()

    def refused(self, topics: Sequence[Topic], kind: FaultKind, why: str, now_s: float) -> Sequence[Topic]:
        """Take the venue's no to *topics*; without any it is about the oldest batch that has no answer.

        Returns:
            Those that are left alone from now on; not those that are asked for again, later or by halves.
        """
        if not topics:
            topics = self._oldest_batch()
            if len(topics) > 1:  # the venue did not say which: the halves will
                self.halve(topics)
                return ()
        left_alone: list[Topic] = []
        for subscription in self._known(topics):
            if kind is FaultKind.WAIT:
                subscription.due_s = now_s + ANSWER_DEADLINE_S
                continue
            subscription.phase = TopicPhase.REFUSED
            subscription.due_s = now_s + QUARANTINE_S
            subscription.route.refused(kind, why)
            left_alone.append(subscription.topic)
        self._changed()
        return left_alone

    def halve(self, topics: Sequence[Topic]) -> None:
        """Ask for *topics* again, in two changes instead of one."""
        middle = len(topics) // 2
        for subscription in self._known(topics):
            subscription.phase = TopicPhase.WANTED
        self._halves += [list(topics[:middle]), list(topics[middle:])]
        self._changed()

    def _oldest_batch(self) -> Sequence[Topic]:
        waiting = [sub for sub in self._topics.values() if sub.phase is TopicPhase.ASKED]
        oldest = min((sub.batch for sub in waiting), default=0)
        return [sub.topic for sub in waiting if sub.batch == oldest]

    def caught_up(self, topic: Topic, *, truncated: bool) -> None:
        """Pass on that a snapshot is complete; it confirms what was asked, as data does."""
        for subscription in self._known([topic]):
            if subscription.phase is TopicPhase.ASKED:
                self._confirm(subscription)
            subscription.route.caught_up(truncated=truncated)

    def gathering(self, topic: Topic) -> None:
        """Pass on that a part of a snapshot came."""
        for subscription in self._known([topic]):
            subscription.route.gathering()

    def withdrawn(self, topic: Topic, open_ns: int) -> None:
        """Pass on that the venue withdrew a candle."""
        for subscription in self._known([topic]):
            subscription.route.withdrawn(open_ns)

    def doubted(self, why: str) -> None:
        """Pass on to all that something may have been lost."""
        self._doubt([*self._topics.values()], why)

    def _doubt(self, subscriptions: Sequence[_Subscription], why: str) -> None:
        for subscription in subscriptions:
            subscription.route.doubted(why)
        if self._doubting is not None and subscriptions:
            self._doubting([one.topic for one in subscriptions], why)

    def throttled(self, now_s: float) -> None:
        """The venue wants to be asked later: what was not answered may have been lost."""
        for subscription in self._topics.values():
            if subscription.phase is TopicPhase.ASKED:
                subscription.due_s = now_s + ANSWER_DEADLINE_S
        self._changed()

    def lost(self, why: str) -> None:
        """Pass on to all that the connection ended."""
        for subscription in self._topics.values():
            subscription.route.lost(why)

    def _known(self, topics: Iterable[Topic]) -> Iterator[_Subscription]:
        for topic in topics:
            subscription = self._topics.get(topic)
            if subscription is not None:
                yield subscription

    # ------------------------------------------------------------------------------- what has to be said

    def next_batch(self, terms: Endpoint, now_s: float) -> tuple[list[Ask], list[Topic]]:
        """Return what to ask for and what to leave with one change, by *terms*; it counts as said.

        Only one of both holds something: what is subscribed to anew must be left before.
        """
        removed = list(islice(self._leaving, terms.topics_per_frame))
        for topic in removed:
            del self._leaving[topic]
            if topic not in self._topics:
                left = self._left.get(topic)
                self._left[topic] = _Left(now_s, 1 if left is None else left.times + 1)
        if removed:
            return [], removed
        if terms.acknowledges and self._must_wait(now_s, terms.changes_in_flight):
            return [], []
        chosen: list[_Subscription] = []
        while self._halves and not chosen:
            chosen = list(self._known(self._halves.popleft()))
        if not chosen:
            due = (sub for sub in self._topics.values() if _is_due(sub, now_s))
            chosen = list(islice(due, terms.topics_per_frame))
        self._batches += 1
        for subscription in chosen:
            subscription.phase = TopicPhase.ASKED
            subscription.batch = self._batches
            subscription.asked += 1
            patience_s = ANSWER_DEADLINE_S * min(subscription.asked, LONGEST_PATIENCE)
            subscription.due_s = now_s + patience_s if terms.acknowledges else math.inf
        return [Ask(sub.topic, sub.since_ns()) for sub in chosen], []

    def _must_wait(self, now_s: float, most: int) -> bool:
        """Say whether as many answers are awaited as may be, and none is overdue."""
        asked = [sub for sub in self._topics.values() if sub.phase is TopicPhase.ASKED]
        return len({sub.batch for sub in asked}) >= most and all(sub.due_s > now_s for sub in asked)

    def next_due_s(self, terms: Endpoint, now_s: float) -> float | None:
        """Return when there is something to say again, should nothing change; None for never.

        While answers have to be awaited, what was refused has to wait for them too, however long it is due.
        """
        waiting = [TopicPhase.ASKED, TopicPhase.REFUSED]
        if terms.acknowledges and self._must_wait(now_s, terms.changes_in_flight):
            waiting.remove(TopicPhase.REFUSED)
        return min((sub.due_s for sub in self._topics.values() if sub.phase in waiting), default=None)


def _is_due(subscription: _Subscription, now_s: float) -> bool:
    if subscription.phase is TopicPhase.WANTED:
        return True
    return subscription.phase is not TopicPhase.CONFIRMED and subscription.due_s <= now_s


def _put(routes: dict[K, Receive], key: K, receive: Receive | None) -> None:
    if receive is None:
        routes.pop(key, None)
    else:
        routes[key] = receive
