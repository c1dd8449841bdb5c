"""One adapter and its simulated venue talk, without a loop and without sockets: every step is a call.

Both are pure, so the time is a number that the sitting moves: to whatever the venue wants to say next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Final, TypeVar, final

import attrs

from wickwire.adapter import Adapter
from wickwire.conversation import HttpReply, HttpRequest, StreamHistory, StreamRequest
from wickwire.description import Account
from wickwire.endpoint import Ask, Endpoint, Readiness, Send, Topic
from wickwire.errors import TransportError, WireError
from wickwire.events import Accepted, Event, Ready, Refused, SnapshotDone
from wickwire.model import SECOND_NS, Candle, Feed, Quote, Trade
from wickwire.simulate.requests import opening_of, reply_of, request_of
from wickwire.simulate.server import Answer, Connection, Hangup, Outgoing, VenueServer
from wickwire.testing.foreign import outcome_of
from wickwire.transport.origins import HTTP_SCHEMES, STREAM_SCHEMES, Address

__all__ = [
    "Asked",
    "Exchange",
    "Parsed",
    "Sitting",
    "Step",
    "batches",
    "conversed",
    "data_topic",
    "parsed",
    "replied",
    "streamed",
]

R = TypeVar("R")

MOST_REQUESTS: Final = 100
NEVER_NS: Final = 2**62
TRAVEL_NS: Final = 20_000_000
"""How long a message takes, each way."""


@attrs.frozen
class Asked:
    """`subscribe` was called with this."""

    asks: tuple[Ask, ...]
    removed: tuple[Topic, ...]


@attrs.frozen
class Parsed:
    """A frame came in.

    Attributes:
        frame: As it came.
        at_ns: When.
        events: What the adapter made of it.
        error: Why it is not what the venue documents.
    """

    frame: bytes
    at_ns: int
    events: Sequence[Event] = ()
    error: WireError | None = None


Step = Asked | Parsed


@attrs.frozen
class Exchange:
    """One question of a conversation and its answer."""

    request: HttpRequest | StreamRequest
    reply: HttpReply | StreamHistory


def conversed(
    talk: Generator[Any, Any, R], answer: Callable[[Any], HttpReply | StreamHistory], kept: list[Exchange]
) -> R:
    """Run a conversation to its end, and return what it returns; *kept* takes what was said.

    Where *answer* raises a TransportError no reply came, and the conversation is told so.

    Raises:
        TransportError: It asks for something that is no request, or without end.
        Exception: What the adapter raises.
    """
    try:
        asked: object = next(talk)
        for _ in range(MOST_REQUESTS):
            if not isinstance(asked, HttpRequest | StreamRequest):
                raise TransportError(f"a conversation asked for a {type(asked).__name__}")
            try:
                reply = answer(asked)
            except TransportError as exc:
                asked = talk.throw(exc)
                continue
            kept.append(Exchange(asked, reply))
            asked = talk.send(reply)
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        talk.close()
    raise TransportError(f"one conversation sent more than {MOST_REQUESTS} requests")


def replied(request: HttpRequest, server: VenueServer, now_ns: int) -> HttpReply:
    """Return what *server* answers.

    Raises:
        ValueError: The address is one that nobody may go to.
    """
    address = Address.parse(request.url, HTTP_SCHEMES)
    return reply_of(server.answer(request_of(request, address), now_ns), now_ns)


def parsed(adapter: Adapter, frame: bytes, memory: object, at_ns: int = 0) -> tuple[Parsed, Exception | None]:
    """Let *adapter* parse *frame*; return the step that this is, and what no contract allows it to raise."""
    events, error = outcome_of(lambda: tuple(adapter.parse(frame, memory)))
    if isinstance(error, WireError):
        return Parsed(frame, at_ns, error=error), None
    return Parsed(frame, at_ns, events or ()), error


def batches(asks: Iterable[Ask], endpoint: Endpoint) -> list[tuple[Ask, ...]]:
    """Return *asks*, as many at a time as *endpoint* says."""
    wanted, most = tuple(asks), endpoint.topics_per_frame
    return [wanted[at : at + most] for at in range(0, len(wanted), most)]


def data_topic(event: Event) -> Topic | None:
    """Return the topic that *event* is data of; None where it is no data."""
    match event:
        case Candle():
            return Topic(event.symbol, event.timeframe)
        case Trade():
            return Topic(event.symbol, Feed.TRADES)
        case Quote():
            return Topic(event.symbol, Feed.QUOTES)
        case _:
            return None


@final
class Sitting:
    """A stream between an adapter and its simulated venue.

    Attributes:
        account: Whose stream it is.
        endpoint: How it was opened.
        memory: What the adapter remembers of it.
        now_ns: The time.
        steps: What was asked and what came, in order.
        exchanges: What `connect` asked over HTTP.
        asked: Every topic that was ever asked for.
        ready: It may be subscribed on.
        over: How it ended; None while it is open.
        error: What ended it from inside: an exception of the adapter that no contract allows.
    """

    def __init__(
        self,
        adapter: Adapter,
        account: Account,
        server: VenueServer,
        now_ns: int,
        topics: Sequence[Topic] = (),
    ) -> None:
        """Open a stream; nothing has been subscribed to yet.

        Raises:
            TransportError: The simulated venue refuses it.
            Exception: What `connect` raises.
        """
        self._adapter = adapter
        self._server = server
        self.account = account
        self.now_ns = now_ns
        self.exchanges: list[Exchange] = []
        self.steps: list[Step] = []
        self.asked: dict[Topic, None] = {}
        self.over: Hangup | None = None
        self.error: Exception | None = None
        opened = adapter.connect(account, tuple(topics), now_ns)
        self.endpoint: Endpoint = (
            opened
            if isinstance(opened, Endpoint)
            else conversed(opened, lambda request: replied(request, server, self.now_ns), self.exchanges)
        )
        self.memory: Any = self.endpoint.memory()
        self.ready = self.endpoint.ready is Readiness.ON_OPEN
        keepalive = self.endpoint.keepalive
        says = keepalive is not None and keepalive.frame is not None
        self._ping_every_ns = round(keepalive.every_s * SECOND_NS) if keepalive and says else NEVER_NS
        self._next_ping_ns = now_ns + self._ping_every_ns
        self._said: deque[Send] = deque()
        self._line = self._opened()
        self._hear(self._line.opened(self.now_ns))
        self._said.extend(self.endpoint.hello)
        self._settle()

    def _opened(self) -> Connection:
        address = Address.parse(self.endpoint.url, STREAM_SCHEMES)
        line = self._server.accept(opening_of(self.endpoint, address), self.now_ns)
        if isinstance(line, Answer):
            raise TransportError(f"the simulated venue refuses the stream with HTTP {line.status}")
        return line

    def subscribe(self, asks: Iterable[Ask], removed: Iterable[Topic] = ()) -> None:
        """Let the adapter ask for a change, as many topics at a time as the endpoint says.

        Raises:
            Exception: What `subscribe` raises.
        """
        wanted, left = list(asks), tuple(removed)
        self.asked |= dict.fromkeys(ask.topic for ask in wanted)
        for batch in batches(wanted, self.endpoint) or [()]:
            if self.error is not None:
                return
            self.steps.append(Asked(batch, left))
            self._said.extend(self._adapter.subscribe(batch, left, self.memory))
            left = ()
            self._settle()

    def until(self, at_ns: int, *, most: int = 100_000) -> None:
        """Let time pass: whatever the venue says by *at_ns* comes in, frames of *most* at most."""
        begun = len(self.steps)
        frame = None if self.endpoint.keepalive is None else self.endpoint.keepalive.frame
        while self.over is None and self.error is None and len(self.steps) - begun < most:
            next_ns = min(self._line.next_ns(self.now_ns), self._next_ping_ns)
            if next_ns >= at_ns:
                break
            self.now_ns = max(self.now_ns + 1, next_ns)
            if frame is not None and self.now_ns >= self._next_ping_ns:
                self._said.append(Send(frame))
                self._next_ping_ns = self.now_ns + self._ping_every_ns
            self._hear(self._line.due(self.now_ns))
            self._settle()
        self.now_ns = max(self.now_ns, at_ns)

    @property
    def told(self) -> list[Event]:
        """All events so far."""
        return [event for step in self.steps if isinstance(step, Parsed) for event in step.events]

    def unanswered(self, topics: Iterable[Topic]) -> list[Topic]:
        """Return those of *topics* that were neither accepted nor refused, and brought no data."""
        known: set[Topic | None] = set()
        for event in self.told:
            if isinstance(event, Accepted | Refused):
                known.update(event.topics)
            elif isinstance(event, SnapshotDone):
                known.add(event.topic)
            else:
                known.add(data_topic(event))
        return [one for one in topics if one not in known]

    def _settle(self) -> None:
        """Let answers travel until nobody says anything more."""
        while self._said and self.over is None and self.error is None:
            self.now_ns += TRAVEL_NS
            self._hear(self._line.received(self._said.popleft().frame, self.now_ns))

    def _hear(self, outgoing: Sequence[Outgoing]) -> None:
        for one in outgoing:
            if isinstance(one, Hangup):
                self.over = one
                return
            frame = one.encode() if isinstance(one, str) else one
            step, self.error = parsed(self._adapter, frame, self.memory, self.now_ns)
            self.steps.append(step)
            if self.error is not None:
                return
            self._said.extend(event for event in step.events if isinstance(event, Send))
            self.ready = self.ready or any(isinstance(event, Ready) for event in step.events)


def streamed(
    request: StreamRequest, adapter: Adapter, account: Account, server: VenueServer, now_ns: int
) -> StreamHistory:
    """Return the history that *request* asks for over a stream of its own."""
    sitting = Sitting(adapter, account, server, now_ns, (request.topic,))
    sitting.until(sitting.now_ns + SECOND_NS)
    sitting.subscribe([Ask(request.topic, request.since_ns)])
    sitting.until(sitting.now_ns + 5 * SECOND_NS)
    told = sitting.told
    candles = [one for one in told if isinstance(one, Candle) and data_topic(one) == request.topic]
    ends = [one for one in told if isinstance(one, SnapshotDone) and one.topic == request.topic]
    complete = any(not one.truncated for one in ends)
    return StreamHistory(candles=candles, complete=complete)
