"""What changes in a collector, as values: what a program that listens to its events is told.

What happens is told by whoever it happens to, at once, so that nothing is lost that comes and goes between
two looks. What merely is so - how a series is doing, how far a connection is - is looked at from time to
time, and told when it is otherwise than before: that is newsroom's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import attrs

from wickwire.endpoint import Topic
from wickwire.errors import FaultKind
from wickwire.model import Hole, Rung, Series
from wickwire.queues import Policy
from wickwire.series import Word

__all__ = [
    "BudgetChanged",
    "Condition",
    "ConditionChanged",
    "ConnectionChanged",
    "ConnectionLost",
    "ConsumerLoses",
    "Doubted",
    "FrameRefused",
    "HistoryFailed",
    "HoleFound",
    "HoleHealed",
    "News",
    "PauseChanged",
    "Rescaled",
    "RestChanged",
    "Rotation",
    "RowRefused",
    "SeriesShared",
    "StatusChanged",
    "StoreChanged",
    "SubscriptionRefused",
    "Switch",
    "Tell",
    "VenueFailed",
]


@final
class Condition(Word):
    """How a series is doing, decided when it is read."""

    STARTING = "starting"
    """Nothing came yet."""
    LIVE = "live"
    QUIET = "quiet"
    """Nothing comes, and history, or a connection that lives, says that nothing happened."""
    POLLED = "polled"
    RECONNECTING = "reconnecting"
    """Its stream was lost a moment ago, and is subscribed to again."""
    STALE = "stale"
    """Nothing verified is newer than its limit, or its stream stays away."""
    REFUSED = "refused"
    STOPPED = "stopped"


# ----------------------------------------------------------------------------------------------- a series


@attrs.frozen
class Switch:
    """One change of route.

    Attributes:
        series: Which series.
        at_ns: When.
        rung: The new route.
        why: One sentence.
    """

    series: Series
    at_ns: int
    rung: Rung
    why: str


@attrs.frozen(kw_only=True)
class ConditionChanged:
    """A series is doing otherwise than before.

    Attributes:
        series: Which one.
        at_ns: When that was seen.
        condition: How it is doing now.
        before: How it was doing; None when it was just added.
        rung: How it is collected now.
        why: Why so.
        trouble: What went wrong last; empty when nothing did.
    """

    series: Series
    at_ns: int
    condition: Condition
    before: Condition | None
    rung: Rung
    why: str
    trouble: str


@attrs.frozen(kw_only=True)
class HoleFound:
    """Candles of a series are missing, or, by the kind of the hole, known not to be had.

    Attributes:
        series: Which one.
        at_ns: When that was found.
        hole: From when to when, and of what kind.
    """

    series: Series
    at_ns: int
    hole: Hole


@attrs.frozen(kw_only=True)
class HoleHealed:
    """What was missing of a series is there, or is known never to have been.

    Attributes:
        series: Which one.
        at_ns: When that was found.
        hole: What of a hole is none any more, and of what kind it was.
    """

    series: Series
    at_ns: int
    hole: Hole


@attrs.frozen(kw_only=True)
class HistoryFailed:
    """The venue's history does not answer for a series, or refuses; asked again by the backoff.

    Told once, and again when it fails in another way, or after it had answered.

    Attributes:
        series: Which one.
        at_ns: When.
        kind: What kind of no the venue said; None where nothing usable came back.
        why: Its words.
    """

    series: Series
    at_ns: int
    kind: FaultKind | None
    why: str


@attrs.frozen(kw_only=True)
class RowRefused:
    """The venue sends rows that are no candles. Told once for each reason, and rarely again; not for each.

    Attributes:
        series: Which one.
        at_ns: When.
        why: Which row, and which law it breaks.
    """

    series: Series
    at_ns: int
    why: str


@attrs.frozen(kw_only=True)
class Rescaled:
    """The history of a series is another one than before, and is read again, as after a split of shares.

    Attributes:
        series: Which one.
        at_ns: When that was found.
        why: What happened.
    """

    series: Series
    at_ns: int
    why: str


# ------------------------------------------------------------------------------------------------ a venue


@attrs.frozen(kw_only=True)
class SubscriptionRefused:
    """The venue refuses a topic, which is left alone for a while; the connection is kept.

    Attributes:
        venue: Which venue, with its variant.
        topic: What was asked for.
        at_ns: When.
        kind: What kind of no it is.
        why: The venue's words.
        until_ns: When it is asked for again, if its connection lives so long; a new one asks at once.
    """

    venue: str
    topic: Topic
    at_ns: int
    kind: FaultKind
    why: str
    until_ns: int


@attrs.frozen(kw_only=True)
class FrameRefused:
    """A message on a connection is not what the venue documents: it is counted, and told like the log's line.

    That is the first of each connection, the tenth, the hundredth and so on: many are a new protocol.

    Attributes:
        venue: Which venue, with its variant.
        at_ns: When.
        count: How many they were on this connection, this one included.
        frames: How many messages came on it in all.
        why: What is wrong with this one, with its beginning.
    """

    venue: str
    at_ns: int
    count: int
    frames: int
    why: str


@attrs.frozen(kw_only=True)
class Doubted:
    """Something may have been lost on an open connection, as by a gap in the venue's numbers.

    The running buckets of these topics are left to history.

    Attributes:
        venue: Which venue, with its variant.
        topics: What it may concern.
        at_ns: When.
        why: What gave rise to it.
    """

    venue: str
    topics: Sequence[Topic]
    at_ns: int
    why: str


@attrs.frozen(kw_only=True)
class StatusChanged:
    """The venue says something else of its own state, or of the state of a symbol.

    Attributes:
        venue: Which venue, with its variant.
        symbol: Whose state; None where it is the venue's own.
        at_ns: When it was said.
        status: The venue's words.
    """

    venue: str
    symbol: str | None
    at_ns: int
    status: str


@attrs.frozen(kw_only=True)
class ConnectionChanged:
    """A connection is in another state, or there is another one in its place.

    Attributes:
        venue: Which venue, with its variant.
        number: Which of its connections.
        at_ns: When that was seen.
        state: As in `ConnectionHealth`, or "gone" when nothing rides on it any more.
        before: The same at the look before; None when it is new.
        attempts: How often it was opened or tried.
    """

    venue: str
    number: int
    at_ns: int
    state: str
    before: str | None
    attempts: int


@attrs.frozen(kw_only=True)
class ConnectionLost:
    """A connection ended, or could not be opened.

    Attributes:
        venue: Which venue, with its variant.
        number: Which of its connections.
        at_ns: When.
        why: Why.
        wait_s: After how many seconds the next attempt may begin.
    """

    venue: str
    number: int
    at_ns: int
    why: str
    wait_s: float


@attrs.frozen(kw_only=True)
class Rotation:
    """One connection was to be replaced by another.

    Attributes:
        venue: Whose, with its variant.
        number: Which of its connections.
        at_ns: When that was over.
        why: Why it was to be replaced.
        replaced: It was; else the old one goes on.
        topics: How many rode on it.
        broken: How many of them were not proven on both connections at once: something may have been missed.
        gap_s: How long these were not subscribed to, at most.
        healed_s: How long after the gap began history had brought what was missed; None where nothing was, or
            it takes longer than is waited for.
        trouble: What stood against a replacement without a gap; empty where nothing did.
    """

    venue: str
    number: int
    at_ns: int
    why: str
    replaced: bool
    topics: int
    broken: int = 0
    gap_s: float = 0.0
    healed_s: float | None = None
    trouble: str = ""


@attrs.frozen(kw_only=True)
class PauseChanged:
    """The venue wants no requests for now, or takes them again.

    Attributes:
        venue: Which venue, with its variant.
        at_ns: When that was seen.
        paused: Whether requests wait.
    """

    venue: str
    at_ns: int
    paused: bool


@attrs.frozen(kw_only=True)
class RestChanged:
    """REST of a venue is away, so that one request at a time finds out for all if it is back; or it is back.

    Attributes:
        venue: Which venue, with its variant.
        at_ns: When that was seen.
        away: Whether it is away; then its series wait for each other.
        why: Since when it is, why, and when the next try is made; empty where it is back.
    """

    venue: str
    at_ns: int
    away: bool
    why: str


@attrs.frozen(kw_only=True)
class VenueFailed:
    """All of a venue came to an end: by a bug, after which it starts again, or because it was given up.

    Attributes:
        venue: Which venue, with its variant.
        at_ns: When.
        why: Why.
        given_up: It failed as often as its backoff allows: the collector ends.
    """

    venue: str
    at_ns: int
    why: str
    given_up: bool


# --------------------------------------------------------------------------------- the collector's own side


@attrs.frozen(kw_only=True)
class StoreChanged:
    """The store fails, for another reason, or works again.

    Attributes:
        at_ns: When.
        trouble: Its error; empty when it works.
    """

    at_ns: int
    trouble: str


@attrs.frozen(kw_only=True)
class SeriesShared:
    """Another program collects a series into the same store: what it stores first is not handed on here.

    The store holds each candle once, all the same. Told once for a series, when a candle shows it.

    Attributes:
        series: Which series.
        at_ns: When it showed.
    """

    series: Series
    at_ns: int


@attrs.frozen(kw_only=True)
class BudgetChanged:
    """The shared budget does not answer, so that this process keeps to its part of each limit; or it is back.

    Attributes:
        at_ns: When.
        trouble: Its error; empty when it answers.
    """

    at_ns: int
    trouble: str


@attrs.frozen(kw_only=True)
class ConsumerLoses:
    """A consumer that is too slow begins to lose. Told once, and again after it had caught up.

    Attributes:
        consumer: Its name.
        at_ns: When.
        policy: What happens when it is full.
        bound: How many items wait for it.
        dropped: How many it has lost since it began to listen.
    """

    consumer: str
    at_ns: int
    policy: Policy
    bound: int
    dropped: int


@attrs.frozen(kw_only=True)
class SinkChanged:
    """A sink takes nothing, for another reason, or works again.

    Attributes:
        sink: Its name.
        at_ns: When.
        trouble: Its error; empty when it works.
    """

    sink: str
    at_ns: int
    trouble: str


@attrs.frozen(kw_only=True)
class CandleParked:
    """A sink will never take this candle; it is left out, and tried again at the next start.

    Attributes:
        sink: Its name.
        series: Which series.
        at_ns: When it was refused.
        open_ns: When its bucket opens.
        why: What the sink said.
    """

    sink: str
    series: Series
    at_ns: int
    open_ns: int
    why: str


News = (
    Switch
    | ConditionChanged
    | HoleFound
    | HoleHealed
    | HistoryFailed
    | RowRefused
    | Rescaled
    | SubscriptionRefused
    | FrameRefused
    | Doubted
    | StatusChanged
    | ConnectionChanged
    | ConnectionLost
    | Rotation
    | PauseChanged
    | RestChanged
    | VenueFailed
    | StoreChanged
    | SeriesShared
    | SinkChanged
    | CandleParked
    | ConsumerLoses
    | BudgetChanged
)
"""Whatever `Collector.events` tells. Others may come."""

Tell = Callable[[News], None]
"""How the runtime reports what happens, at once; whoever takes it is quick and never raises."""
