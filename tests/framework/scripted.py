"""A venue that says what a test tells it to: an adapter with JSON frames, a transport without sockets."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Generator, Sequence
from decimal import Decimal
from typing import Any

import attrs

from wickwire import (
    SECOND_NS,
    Accepted,
    Account,
    Ask,
    Candle,
    Conversation,
    Description,
    Endpoint,
    Event,
    Fault,
    FaultKind,
    Feed,
    Finality,
    Heartbeat,
    HttpReply,
    HttpRequest,
    Lane,
    Limits,
    OhlcvQuery,
    OhlcvSupport,
    Page,
    Quote,
    Ready,
    Refused,
    Send,
    Series,
    SeriesCandle,
    Side,
    SnapshotDone,
    StreamClosed,
    Timeframe,
    Topic,
    Trade,
    TransportError,
    Utc,
    VenueError,
    VenueStatus,
    WireError,
    hookimpl,
)
from wickwire.adapter import Adapter, bind
from wickwire.simulate.loops import running_clock

MINUTE = Timeframe.parse("1m")
MINUTE_NS = 60 * SECOND_NS


@attrs.define
class Scripted:
    """The plugin. Its knobs are what a test wants the venue to be like."""

    stream: bool = True
    rest: bool = True
    limits: Limits = attrs.field(factory=Limits)
    endpoint: dict[str, Any] = attrs.field(factory=dict)
    support: dict[str, Any] = attrs.field(factory=dict)
    alone: bool = False

    __hash__ = object.__hash__

    @hookimpl
    def describe(self) -> Description:
        return Description(title="Scripted", timeframes=(MINUTE,), limits=self.limits)

    @hookimpl
    def supports_ohlcv(self) -> OhlcvSupport:
        plain = OhlcvSupport(stream=self.stream, rest=self.rest, grid=Utc(), settle_s=2.0, grace_s=2.0)
        return attrs.evolve(plain, **self.support)

    @hookimpl
    def lane(self, topic: Topic) -> Lane:
        return Lane(alone=topic.symbol if self.alone else None)

    @hookimpl
    def connect(self) -> Endpoint:
        return Endpoint(url="wss://scripted.test/", **({"silence_limit_s": 600.0} | self.endpoint))

    @hookimpl
    def subscribe(self, asks: Sequence[Ask], removed: Sequence[Topic]) -> Sequence[Send]:
        sends = []
        if removed:
            sends.append(Send(json.dumps({"leave": [str(topic) for topic in removed]})))
        if asks:
            sends.append(Send(json.dumps({"ask": [str(ask.topic) for ask in asks]})))
        return sends

    @hookimpl
    def parse(self, frame: bytes) -> Sequence[Event]:
        try:
            said = json.loads(frame)
        except ValueError as exc:
            raise WireError("not JSON", frame=frame) from exc
        return [
            event for each in (said if isinstance(said, list) else [said]) for event in _event(each, frame)
        ]

    @hookimpl
    def fetch_ohlcv(self, query: OhlcvQuery) -> Conversation:
        reply = yield HttpRequest(
            url="https://scripted.test/candles",
            params={"symbol": query.symbol, "since": str(query.since_ns), "until": str(query.until_ns)},
        )
        assert isinstance(reply, HttpReply)
        if reply.status != 200:
            kinds = {429: FaultKind.WAIT, 404: FaultKind.SYMBOL}
            raise VenueError(kinds.get(reply.status, FaultKind.OUTAGE), f"status {reply.status}")
        rows = [_candle(each) for each in json.loads(reply.body)]
        return Page(candles=rows, covered=(query.since_ns, query.until_ns))


def _event(said: dict[str, Any], frame: bytes) -> Generator[Event]:  # noqa: C901, PLR0912 - one arm a message
    match said:
        case {"candle": row}:
            yield _candle(row)
        case {"trade": [symbol, number, price]}:
            yield Trade(symbol, str(number), Decimal(price), Decimal(1), Side.BUY, 1)
        case {"quote": [symbol, bid, ask]}:
            yield Quote(symbol, Decimal(bid), None, Decimal(ask), None)
        case {"ready": _}:
            yield Ready()
        case {"beat": _}:
            yield Heartbeat()
        case {"done": topic, **how}:
            yield SnapshotDone(_topic(topic), truncated=bool(how.get("truncated")))
        case {"gathering": topic}:
            yield Heartbeat(topic=_topic(topic))
        case {"accepted": topics}:
            yield Accepted([_topic(text) for text in topics])
        case {"refused": topics, "why": why, **how}:
            yield Refused([_topic(text) for text in topics], FaultKind(how.get("kind", "symbol")), why)
        case {"fault": kind, "why": why}:
            yield Fault(FaultKind(kind), why)
        case {"status": state, **how}:
            yield VenueStatus(how.get("of"), state)
        case {"answer": text, **how}:
            yield Send(text, bool(how.get("secret")))
        case {"bug": _}:
            raise ZeroDivisionError("a bug in the adapter")
        case {"nonsense": _}:
            yield 42  # type: ignore[misc]  # what a broken adapter does
        case _:
            raise WireError("unknown message", frame=frame)


def _topic(text: str) -> Topic:
    symbol, _, what = text.rpartition("@")
    feeds = {feed.value: feed for feed in Feed}
    return Topic(symbol, feeds[what] if what in feeds else Timeframe.parse(what))


def _candle(row: dict[str, Any]) -> Candle:
    price = Decimal(row["close"])
    low, high = Decimal(row.get("low", price)), Decimal(row.get("high", price))
    open_ns = row["minute"] * MINUTE_NS
    return Candle(
        row.get("symbol", "BTC/USD"),
        MINUTE,
        open_ns,
        open_ns + MINUTE_NS,
        price,
        high,
        low,
        price,
        Decimal(row.get("volume", 1)),
        snapshot=row.get("snapshot", False),
        finality=Finality(row.get("finality", "unsaid")),
    )


def adapter(**knobs: Any) -> Adapter:
    """Return the bound adapter of a scripted venue."""
    return bind("scripted", Scripted(**knobs), distribution="scripted", version="1")


@attrs.define(eq=False)
class ScriptedStream:
    """One connection, both ends: what a test says comes out of `receive`, what was sent is in `sent`."""

    sent: list[str | bytes] = attrs.field(factory=list)
    secret: list[str | bytes] = attrs.field(factory=list)
    closed: StreamClosed | None = None
    _inbox: deque[bytes] = attrs.field(factory=deque)
    _more: asyncio.Event = attrs.field(factory=asyncio.Event)

    def say(self, *messages: object) -> None:
        self.say_raw(*(json.dumps(message).encode() for message in messages))

    def say_raw(self, *frames: bytes) -> None:
        self._inbox.extend(frames)
        self._more.set()

    def hang_up(self, code: int = 1006) -> None:
        self.closed = StreamClosed(f"closed with {code}", code=code)
        self._more.set()

    async def receive(self) -> bytes:
        while not self._inbox:
            if self.closed is not None:
                raise self.closed
            self._more.clear()
            await self._more.wait()
        return self._inbox.popleft()

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        if self.closed is not None:
            raise self.closed
        self.sent.append(frame)
        if secret:
            self.secret.append(frame)

    async def ping(self) -> None:
        self.sent.append("PING")

    async def aclose(self, code: int = 1000) -> None:
        self.hang_up(code)

    @property
    def asked(self) -> list[list[str]]:
        """The topics of each subscription frame."""
        frames = [json.loads(frame) for frame in self.sent if frame != "PING"]
        return [frame["ask"] for frame in frames if "ask" in frame]


@attrs.define(eq=False)
class ScriptedTransport:
    """Hands out scripted streams, and answers REST with what `answer` returns."""

    answer: Callable[[HttpRequest], HttpReply | TransportError]
    streams: list[ScriptedStream] = attrs.field(factory=list)
    requests: list[HttpRequest] = attrs.field(factory=list)
    refuse: Exception | None = None
    dated: bool = True
    takes_s: float = 0.0
    greet: Callable[[ScriptedStream], None] | None = None
    closed: bool = False

    async def open(self, endpoint: Endpoint) -> ScriptedStream:
        if self.refuse is not None:
            raise self.refuse
        stream = ScriptedStream()
        self.streams.append(stream)
        if self.greet is not None:
            self.greet(stream)
        return stream

    async def request(self, request: HttpRequest) -> HttpReply:
        self.requests.append(request)
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        reply = self.answer(request)
        if isinstance(reply, TransportError):
            raise reply
        if self.dated and reply.date_ns is None:
            now_ns = running_clock().now_ns()
            reply = attrs.evolve(reply, date_ns=now_ns - now_ns % SECOND_NS)  # as HTTP has it
        return reply

    async def aclose(self) -> None:
        self.closed = True


def rows(*pairs: tuple[int, int], status: int = 200) -> HttpReply:
    """Return a REST reply with candles: minute and price."""
    body = json.dumps([{"minute": minute, "close": price} for minute, price in pairs]).encode()
    return HttpReply(status=status, body=body)


def brief(candle: SeriesCandle) -> tuple[int, Decimal, str]:
    """Minute, close and evidence."""
    assert candle.evidence is not None
    return candle.open_ns // MINUTE_NS, candle.close, candle.evidence.name


ACCOUNT = Account()
SERIES = Series.parse("scripted:BTC/USD@1m")
TOPIC = Topic("BTC/USD", MINUTE)
