"""Requests on Alpaca's stream and the answers to them: what one connection asked for and remembers.

Reference: Alpaca Docs, "WebSocket Stream" (Authentication, Subscription, Error messages), read 2026-11.

A request carries no number. Its answer is either an error, after which the subscriptions are what they were
before, or the whole set of subscriptions, never what changed. So the oldest request that has no answer is
matched with what the set says, and one at a time is under way.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from wickwire import (
    Accepted,
    Ask,
    Event,
    Fault,
    FaultKind,
    Feed,
    Ready,
    Refused,
    Released,
    Send,
    Timeframe,
    Topic,
    hookimpl,
)
from wickwire_alpaca.refusals import CODES, HARMLESS, OF_REQUEST
from wickwire_alpaca.symbols import DAY, MINUTE, NO_KEYS, Place
from wickwire_alpaca.times import BinaryTimes, TextTimes

__all__ = [
    "Acknowledged",
    "Dialogue",
    "Problem",
    "Success",
    "acknowledged",
    "problem",
    "subscribe",
    "success",
]

_CHANNELS: Final[Mapping[Timeframe | Feed, tuple[str, ...]]] = {
    # without updatedBars a candle would keep its first version for ever; statuses say why there is none
    MINUTE: ("bars", "updatedBars", "statuses"),
    DAY: ("dailyBars",),
    Feed.TRADES: ("trades",),  # of stocks it brings corrections and cancellations along
    Feed.QUOTES: ("quotes",),
}
"""What is asked for a topic. The first channel says whether it is subscribed."""

_ALL: Final = "*"
"""Never asked for; a recorded session may hold it."""


class Success(msgspec.Struct, tag_field="T", tag="success"):
    """`connected`, which is not yet authenticated, or `authenticated`."""

    msg: str = ""


class Problem(msgspec.Struct, tag_field="T", tag="error"):
    """A no."""

    code: int
    msg: str = ""


class Acknowledged(msgspec.Struct, tag_field="T", tag="subscription", rename="camel"):
    """All that is subscribed to; a channel without symbols may be missing."""

    trades: list[str] | None = None
    quotes: list[str] | None = None
    bars: list[str] | None = None
    daily_bars: list[str] | None = None

    def holds(self, topic: Topic) -> bool:
        """Say whether *topic* is subscribed to."""
        match topic.what:
            case Feed.TRADES:
                symbols = self.trades
            case Feed.QUOTES:
                symbols = self.quotes
            case _:
                symbols = self.daily_bars if topic.what is DAY else self.bars
        return symbols is not None and (topic.symbol in symbols or _ALL in symbols)


@attrs.define
class Request:
    """One request without an answer: topics, and whether they were left."""

    topics: list[Topic]
    leaving: bool


@attrs.define
class Dialogue:
    """What one connection remembers.

    Attributes:
        place: Which stream it is.
        key: The first of the pair of keys.
        secret: The second.
        binary: It speaks msgpack, else JSON.
        asked: Requests without an answer, oldest first.
        text: Reads the instants of JSON.
        ext: Reads those of msgpack.
    """

    place: Place
    key: str = attrs.field(default="", repr=False)
    secret: str = attrs.field(default="", repr=False)
    binary: bool = False
    asked: deque[Request] = attrs.Factory(deque)
    text: TextTimes = attrs.field(init=False)
    ext: BinaryTimes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the readers, in the calendar of the place."""
        self.text, self.ext = TextTimes(self.place), BinaryTimes(self.place)

    def say(self, message: Mapping[str, Any], *, secret: bool = False) -> Send:
        """Return *message* in the encoding of this connection."""
        if self.binary:
            return Send(msgspec.msgpack.encode(message), secret)
        return Send(json.dumps(message, separators=(",", ":")), secret)


@hookimpl
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic], memory: Dialogue) -> Sequence[Send]:
    """Return one request to leave and one to join; leaving comes first, since it frees places."""
    sends = []
    for action, topics in (("unsubscribe", list(removed)), ("subscribe", [ask.topic for ask in asks])):
        channels = _by_channel(topics, memory.place)
        if channels:
            _forget(topics, memory)
            memory.asked.append(Request(topics, action == "unsubscribe"))
            sends.append(memory.say({"action": action, **channels}))
    return sends


def success(message: Success, memory: Dialogue) -> Sequence[Event]:
    """Say what a success means: after the welcome the keys are owed."""
    match message.msg:
        case "connected":
            keys = {"action": "auth", "key": memory.key, "secret": memory.secret}
            return (memory.say(keys, secret=True),)
        case "authenticated":
            return (Ready(),)
        case _:
            return ()


def acknowledged(answer: Acknowledged, memory: Dialogue) -> Sequence[Event]:
    """Say what the set of subscriptions confirms of the oldest request without an answer."""
    if not memory.asked:
        return ()
    request = memory.asked[0]
    done = [topic for topic in request.topics if answer.holds(topic) is not request.leaving]
    if len(done) == len(request.topics):
        memory.asked.popleft()
    elif done:  # the rest is not in it, and will be asked for again
        request.topics = [topic for topic in request.topics if topic not in done]
    if not done:
        return ()
    return (Released(done) if request.leaving else Accepted(done),)


def problem(message: Problem, memory: Dialogue) -> Sequence[Event]:
    """Say what an error means; the set of subscriptions is as it was."""
    code = message.code
    if code == HARMLESS:
        return ()
    text = f"{code} {message.msg}"
    kind = CODES.get(code, FaultKind.PROTOCOL)
    if kind is FaultKind.CREDENTIALS:
        text = f"{text}: the keys were refused. Alpaca {NO_KEYS}"
    if code not in OF_REQUEST or not memory.asked:
        return (Fault(FaultKind.PROTOCOL if code in OF_REQUEST else kind, text),)
    request = memory.asked.popleft()
    if request.leaving:
        return (Fault(FaultKind.REQUEST, text),)
    # of several topics it is one that is too many or wrong, and the answer does not say which
    return (Refused(request.topics if len(request.topics) == 1 else (), kind, text),)


def _by_channel(topics: Iterable[Topic], place: Place) -> Mapping[str, list[str]]:
    channels: dict[str, list[str]] = {}
    for topic in topics:
        for channel in _CHANNELS.get(topic.what, ()):
            if channel in place.channels:
                channels.setdefault(channel, []).append(topic.symbol)
    return channels


def _forget(topics: Sequence[Topic], memory: Dialogue) -> None:
    """Drop *topics* from what still waits to be joined: they are asked for anew, or left."""
    for request in memory.asked:
        if not request.leaving:
            request.topics = [topic for topic in request.topics if topic not in topics]
    memory.asked = deque(request for request in memory.asked if request.topics)
