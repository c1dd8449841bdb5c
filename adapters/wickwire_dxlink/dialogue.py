"""The session of one DXLink connection: its states as tables, and what is subscribed to on it.

Reference: dxFeed, dxLink specification (AsyncAPI 1.0.2); tastytrade developer documentation, "Streaming
Market Data"; both read 2026-11.

A server greets, demands a token (the first UNAUTHORIZED is a question, only one after our AUTH a refusal) and
opens channels: one for each contract, when something first needs it. It never confirms a subscription.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, final

import attrs

from wickwire import Ask, Event, Fault, FaultKind, Feed, Heartbeat, Ready, Send, Topic, WireError, hookimpl
from wickwire_dxlink.symbols import (
    CANDLES,
    SERVICES,
    Service,
    Variant,
    Word,
    candle_symbol,
    service_of,
    to_venue,
)

__all__ = ["MOST_BYTES", "Channel", "Phase", "Session", "State", "answer", "subscribe"]

MOST_CHANNELS: Final = 64
MOST_BYTES: Final = 8_192  # of a frame; the venue names no limit, dxFeed's own clients send so many
_NS_PER_MS: Final = 1_000_000
_OUR_FAULT: Final = frozenset({"UNSUPPORTED_PROTOCOL", "INVALID_MESSAGE", "BAD_ACTION"})


def _text(**message: Any) -> str:
    return json.dumps(message, separators=(",", ":"))


@final
class State(enum.Enum):
    """How far a connection is."""

    GREETING = "our SETUP is out"
    GREETED = "the server's SETUP came"
    AUTHENTICATING = "our AUTH is out"
    AUTHORIZED = "channels may be used"
    REFUSED = "the token was refused, or ran out"


@final
class Phase(enum.Enum):
    """How far a channel is; a recorded session may have others than we open."""

    ABSENT = "not opened by us"
    REQUESTED = "our CHANNEL_REQUEST is out"
    OPEN = "subscriptions may be sent"
    LOST = "the server closed it, or refused to open it"


@attrs.define
class Channel:
    """One channel; `schemas` are its confirmed fields by type of event, which `stream` makes and reads."""

    number: int
    service: Service | None = None
    phase: Phase = Phase.ABSENT
    waiting: dict[tuple[str, str], str] = attrs.Factory(dict)
    schemas: dict[str, Any] = attrs.Factory(dict)


@attrs.define
class Session:
    """What one connection remembers.

    Attributes:
        token: Goes into AUTH; None where the environment needs none.
        variant: Which candles are meant.
        opened_ns: When it was opened, by our clock.
        first: What is opened before anything is subscribed.
        state: How far the connection is.
        is_ready: It was said that subscriptions may begin.
        candles: From when on each candle topic was asked for, in milliseconds; forgotten when it is left.
        regular: The quotes and trades that were asked for.
        routes: Of each candle symbol as it came: its `candles.Route`, or None where it is not meant.
        names: Canonical symbols, by streamer symbol.
    """

    token: str | None = attrs.field(default=None, repr=False)
    variant: Variant = attrs.Factory(Variant)
    opened_ns: int = 0
    first: tuple[Service, ...] = (CANDLES,)
    state: State = State.GREETING
    is_ready: bool = False
    channels: dict[int, Channel] = attrs.Factory(dict)
    candles: dict[Topic, int] = attrs.Factory(dict)
    regular: dict[Topic, None] = attrs.Factory(dict)
    routes: dict[str, Any] = attrs.Factory(dict)
    names: dict[str, str] = attrs.Factory(dict)

    def channel(self, number: int) -> Channel:
        """Return a channel; one that is not ours is noted, up to a bound.

        Raises:
            WireError: The server speaks on far more channels than anybody opened.
        """
        known = self.channels.get(number)
        if known is None:
            if len(self.channels) >= MOST_CHANNELS:
                raise WireError(f"dxlink: channel {number} is one too many", at="$.channel")
            known = self.channels[number] = Channel(number)
        return known


def answer(word: Word, number: int, memory: Session, error: str, said: str) -> Sequence[Event]:
    """Say what a message on channel *number* that carries no data means, by the tables.

    Raises:
        WireError: That word does not belong on that channel.
    """
    if number == 0 and word in CONNECTION[memory.state]:
        reaction, memory.state = CONNECTION[memory.state][word]
        return reaction(memory, Channel(0), error, said)
    if number == 0 or word not in CHANNEL[Phase.ABSENT]:
        raise WireError(f"dxlink: {word.value} on channel {number}", at="$.channel")
    channel = memory.channel(number)
    reaction, channel.phase = CHANNEL[channel.phase][word]
    return reaction(memory, channel, error, said)


# ---------------------------------------------------------------------------------------- subscriptions


@hookimpl
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic], memory: Session) -> Sequence[Send]:
    """Return frames of bounded size; what needs a channel that is not open waits for it."""
    sends: list[Send] = []
    for service in SERVICES:
        channel = memory.channel(service.channel)
        left = [_left(topic, channel, memory) for topic in removed if service_of(topic.what) is service]
        if channel.phase is Phase.OPEN:
            sends += _frames(channel, "remove", left)
        joining = [ask for ask in asks if service_of(ask.topic.what) is service]
        channel.waiting |= dict(_entry(ask.topic, memory, _noted(ask, memory)) for ask in joining)
        sends += _pending(channel)
        if channel.waiting and memory.state is State.AUTHORIZED and channel.phase is Phase.ABSENT:
            sends.append(_requested(channel, service))
    return sends


def _entry(topic: Topic, memory: Session, since_ms: int) -> tuple[tuple[str, str], str]:
    """Return what tells a subscription from others, and how it is written."""
    event = service_of(topic.what).event
    if isinstance(topic.what, Feed):
        symbol = to_venue(topic.symbol)
        return (event, symbol), _text(type=event, symbol=symbol)
    symbol = candle_symbol(topic.symbol, topic.what, memory.variant)
    return (event, symbol), _text(type=event, symbol=symbol, fromTime=since_ms)


def _noted(ask: Ask, memory: Session) -> int:
    """Note a subscription; return from when on it is, in milliseconds."""
    topic, since_ns = ask.topic, ask.since_ns
    if isinstance(topic.what, Feed):
        memory.regular[topic] = None
        return 0
    if since_ns is None:  # only the running bucket is wanted, which opened less than its length ago
        since_ns = memory.opened_ns - topic.what.nominal_ns
    memory.candles[topic] = max(0, since_ns // _NS_PER_MS)
    return memory.candles[topic]


def _left(topic: Topic, channel: Channel, memory: Session) -> str:
    """Forget a subscription; return how it is written."""
    memory.regular.pop(topic, None)
    memory.candles.pop(topic, None)
    for route in memory.routes.values():
        if route is not None and route.topic == topic:
            route.leave()  # rows that are under way are no part of a later subscription
    key, entry = _entry(topic, memory, 0)
    channel.waiting.pop(key, None)
    return entry


def _pending(channel: Channel) -> list[Send]:
    waiting = channel.waiting.values() if channel.phase is Phase.OPEN else ()
    frames = _frames(channel, "add", waiting)
    if frames:
        channel.waiting = {}
    return frames


def _frames(channel: Channel, key: str, entries: Iterable[str]) -> list[Send]:
    """Return as many frames as the largest size demands; by count, one call never asks for too much."""
    head = f'{{"type":"FEED_SUBSCRIPTION","channel":{channel.number},"{key}":['
    texts: list[str] = []
    for entry in entries:
        if not texts or len(texts[-1]) + len(entry) + len(",]}") > MOST_BYTES:
            texts.append(head + entry)
        else:
            texts[-1] += f",{entry}"
    return [Send(f"{text}]}}") for text in texts]


# -------------------------------------------------------------------------------------------- reactions

Reaction = Callable[[Session, Channel, str, str], Sequence[Event]]


def _say(*events: Event) -> Reaction:
    return lambda _memory, _channel, _error, _said: events


_nothing: Final = _say()
_alive: Final = _say(Heartbeat())
_refused: Final = _say(Fault(FaultKind.CREDENTIALS, "the server refused the token"))
_run_out: Final = _say(Fault(FaultKind.RESTART, "the token ran out"))
_lost: Final = _say(Fault(FaultKind.CHANNEL_LOST, "the server closed a channel"))


def _authenticate(memory: Session, _channel: Channel, _error: str, _said: str) -> Sequence[Event]:
    if memory.token is None:
        return (Fault(FaultKind.CREDENTIALS, "the server demands a token; this environment has none"),)
    return (Send(_text(type="AUTH", channel=0, token=memory.token), secret=True),)


def _begin(memory: Session, _channel: Channel, _error: str, _said: str) -> Sequence[Event]:
    """Open the first channels, and those that something waits for already."""
    wanted = [(memory.channel(service.channel), service) for service in SERVICES]
    return [_requested(one, of) for one, of in wanted if of in memory.first or one.waiting]


def _requested(channel: Channel, service: Service) -> Send:
    channel.service, channel.phase = service, Phase.REQUESTED
    contract = {"contract": service.contract}
    return Send(_text(type="CHANNEL_REQUEST", channel=channel.number, service="FEED", parameters=contract))


def _configure(memory: Session, channel: Channel, _error: str, _said: str) -> Sequence[Event]:
    """Say which fields are wanted, and what waited; ready is who has all channels that it requested."""
    service = channel.service or CANDLES
    period_s, fields = service.period_s, {service.event: service.fields}
    wish = {"acceptAggregationPeriod": period_s, "acceptDataFormat": "COMPACT", "acceptEventFields": fields}
    events: list[Event] = [Send(_text(type="FEED_SETUP", channel=channel.number, **wish))]
    events += _pending(channel)
    if not memory.is_ready and all(one.phase is not Phase.REQUESTED for one in memory.channels.values()):
        memory.is_ready = True
        events.append(Ready())
    return events


def _trouble(memory: Session, channel: Channel, error: str, said: str) -> Sequence[Event]:
    """Map an ERROR, which closes nothing by itself; a new connection may help where it was not our fault."""
    kind = FaultKind.CHANNEL_LOST if channel.number else FaultKind.RESTART
    if error == "UNSUPPORTED_PROTOCOL" and not memory.is_ready:
        kind = FaultKind.REQUEST  # which ends the connection: asking again does not help
    elif error in _OUR_FAULT and channel.phase is Phase.ABSENT:  # of a channel of ours something is refused
        kind = FaultKind.PROTOCOL
    elif error == "UNAUTHORIZED":
        kind = FaultKind.RESTART if memory.is_ready else FaultKind.CREDENTIALS
    said = said.replace(memory.token, "***") if memory.token else said
    return (Fault(kind, f"{error[:40]} on channel {channel.number}: {said[:200]}"),)


_Steps = Mapping[Word, tuple[Reaction, Any]]


def _row(state: State | Phase, **changes: tuple[Reaction, State | Phase]) -> _Steps:
    """Return what each word does: what *changes* says; else nothing, but for life signs and troubles."""
    words = [word for word in Word if word.value.startswith("CHANNEL") is isinstance(state, Phase)]
    steps = {word: ({Word.KEEPALIVE: _alive}.get(word, _nothing), state) for word in words}
    steps |= {Word.ERROR: (_trouble, state)} | {Word[word]: change for word, change in changes.items()}
    return steps


_ENDED: Final = {"CHANNEL_CLOSED": (_lost, Phase.LOST)}
_ASKED: Final = (_authenticate, State.AUTHENTICATING)
_ENTRY: Final = {"UNAUTHORIZED": _ASKED, "AUTHORIZED": (_begin, State.AUTHORIZED)}

CONNECTION: Final[Mapping[State, _Steps]] = {
    State.GREETING: _row(State.GREETING, SETUP=(_nothing, State.GREETED), **_ENTRY),
    State.GREETED: _row(State.GREETED, **_ENTRY),
    State.AUTHENTICATING: _row(State.AUTHENTICATING, **{**_ENTRY, "UNAUTHORIZED": (_refused, State.REFUSED)}),
    State.AUTHORIZED: _row(State.AUTHORIZED, UNAUTHORIZED=(_run_out, State.REFUSED)),
    State.REFUSED: _row(State.REFUSED),
}
"""What each word on channel 0 does in each state: the reaction, and the state after it."""

CHANNEL: Final[Mapping[Phase, _Steps]] = {
    Phase.ABSENT: _row(Phase.ABSENT),
    Phase.REQUESTED: _row(
        Phase.REQUESTED, CHANNEL_OPENED=(_configure, Phase.OPEN), **_ENDED, ERROR=(_trouble, Phase.LOST)
    ),
    Phase.OPEN: _row(Phase.OPEN, **_ENDED),
    Phase.LOST: _row(Phase.LOST),
}
"""The same for each channel. FEED_CONFIG and FEED_DATA mean the same in every phase: `stream` reads them."""
