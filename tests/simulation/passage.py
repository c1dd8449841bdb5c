"""The way from one life of a collector to the venues: everything that passes is counted, from outside."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from tests.simulation.journal import Journal
from tests.simulation.pools import SENT_AWAY
from wickwire import Series, Timeframe
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.endpoint import Endpoint
from wickwire.errors import StreamClosed, WickwireError
from wickwire.simulate.memory import MemoryTransport
from wickwire.transport import Stream
from wickwire.transport.failures import refused_stream
from wickwire.transport.origins import STREAM_SCHEMES, Address

__all__ = ["Ledgers", "Passage", "Sight", "sights_of"]

Sight = tuple[str, Sequence[bytes]]
"""What is seen (venue, kind and symbol in one text), and the pieces that a frame of it holds, all of them."""

_Look = tuple[Sequence[bytes], str, bool]
"""The other pieces of a frame, what is seen, and whether that is data."""

TOO_MANY: Final = 429
DOWN: Final = 500
MANY_FAILURES: Final = 3
"""After so many failures in a row, all who want something of a host share what they know of it."""
FORLORN_S: Final = 15.0
"""After so long without any open stream to a host, all who want one share what they know of it."""
KNOCK_S: Final = 0.1
"""How long it takes until a no is heard at the door."""
LINK: Final = "link "
"""How the tasks are called that keep connections open."""
SUSTAINED_S: Final = 30.0
"""A connection that ends before data flowed for so long has failed, as the schedules of reconnects count."""
CONFIRMED: Final = " confirmed"
"""What a venue confirms is counted from then on, before anything of it came."""


@attrs.define(eq=False)
class Ledgers:
    """What passed, over all lives.

    Attributes:
        journal: Where attempts and requests are noted.
        now_ns: The true time.
        venue_of: The venue behind a host.
        sights: What to look for in the frames of a venue.
        connects: When a stream was asked for, by host and life, in the loop's seconds.
        requests: When a request was sent, by host and life: a process that comes back counts anew.
        sent: Times of messages, by host and stream.
        ends: When a stream ended that nobody here had closed, by host and life, in the loop's seconds.
        barren: Those of *ends* before data had flowed for long enough to count as health.
        failed: When an attempt to open a stream failed, by host and life, in the loop's seconds.
        there_s: When a stream was open last, by host and life, in the loop's seconds.
        forlorn: Those of *failed* while for long no stream had been open there.
        in_vain: When a request was sent that failed too, after several in a row had, by host and life.
        refusals: Answers "too many requests", by host and life: when, and how long the venue asked for.
        tries: Attempts by venue: when in true nanoseconds, whether it went well, whether it was for a stream.
        seen_ns: When a frame of something was handed over last, or one that confirms a subscription to it.
        data_ns: When data of it were handed over last.
        first_ns: By venue, when data of it was handed over first since `mark`.
        door: What who wants to open a stream is told, where that is no: host, status and seconds to wait.
        let_in: When a stream was opened, by host and life, in the loop's seconds.
        turned_away: When that was told, and for how long the venue wanted peace, by host and life.
        sent_away: When a stream was ended with the wish that all come back later, and after how long.
        failing: Who made each of the attempts of *failed*.
        own_failures: When one that keeps a connection failed to open it, on end, by its task and life.
    """

    journal: Journal
    now_ns: Callable[[], int]
    venue_of: Mapping[str, str]
    sights: Mapping[str, Sequence[Sight]]
    connects: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    requests: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    sent: list[tuple[str, list[float]]] = attrs.field(factory=list)
    ends: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    barren: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    failed: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    there_s: dict[tuple[str, int], float] = attrs.field(factory=dict)
    forlorn: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    in_vain: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    refusals: dict[tuple[str, int], list[tuple[float, float]]] = attrs.field(factory=dict)
    tries: dict[str, list[tuple[int, bool, bool]]] = attrs.field(factory=dict)
    seen_ns: dict[str, int] = attrs.field(factory=dict)
    data_ns: dict[str, int] = attrs.field(factory=dict)
    first_ns: dict[str, int] = attrs.field(factory=dict)
    _failures: dict[tuple[str, int], int] = attrs.field(factory=dict)
    door: dict[int, tuple[str, int, int | None]] = attrs.field(factory=dict)
    let_in: dict[tuple[str, int], list[float]] = attrs.field(factory=dict)
    turned_away: dict[tuple[str, int], list[tuple[float, float]]] = attrs.field(factory=dict)
    sent_away: dict[tuple[str, int], list[tuple[float, float]]] = attrs.field(factory=dict)
    failing: dict[tuple[str, int], list[str]] = attrs.field(factory=dict)
    own_failures: dict[tuple[str, int], list[list[float]]] = attrs.field(factory=dict)
    _keepers: dict[tuple[str, int], asyncio.Task[Any] | None] = attrs.field(factory=dict)
    _sorted: Mapping[str, Mapping[bytes, Sequence[_Look]]] = attrs.field(init=False)

    @_sorted.default
    def _by_first_piece(self) -> Mapping[str, Mapping[bytes, Sequence[_Look]]]:
        found: dict[str, dict[bytes, list[_Look]]] = {}
        for venue, sights in self.sights.items():
            for name, (first, *others) in sights:
                what = name.removesuffix(" again").removesuffix(CONFIRMED)
                look = (tuple(others), what, not name.endswith(CONFIRMED))
                found.setdefault(venue, {}).setdefault(first, []).append(look)
        return found

    def mark(self) -> None:
        """Look for the first data of each venue from now on."""
        self.first_ns.clear()

    def tried(self, host: str, began_ns: int, *, well: bool, stream: bool = False) -> None:
        """Note how one attempt to reach a venue ended."""
        self.tries.setdefault(self.venue_of.get(host, host), []).append((began_ns, well, stream))

    def opened(self, life: int) -> None:
        """Note that whoever asks now has a stream: what failed before is another matter."""
        self.own_failures.setdefault((_asker(), life), []).append([])

    def not_opened(self, where: tuple[str, int], began_s: float) -> None:
        """Note that an attempt to open a stream failed."""
        own = self.own_failures.setdefault((_asker(), where[1]), [[]])
        task = asyncio.current_task()
        if self._keepers.get((_asker(), where[1])) is not task:  # a number is given again, to another one
            self._keepers[_asker(), where[1]] = task
            own.append([])
        own[-1].append(began_s)
        self.failed.setdefault(where, []).append(_now_s())
        self.failing.setdefault(where, []).append(_asker())
        if began_s - self.there_s.get(where, -FORLORN_S) >= FORLORN_S:
            forlorn = self.forlorn.setdefault(where, [])
            if not forlorn or began_s > forlorn[0]:  # who began before could not know of it
                forlorn.append(_now_s())

    def is_down(self, where: tuple[str, int]) -> bool:
        """Say whether several requests in a row have failed."""
        return self._failures.get(where, 0) >= MANY_FAILURES

    def asked(self, where: tuple[str, int], began_s: float, *, was_down: bool, well: bool) -> None:
        """Note how a request ended that was sent when several in a row had failed, or not."""
        self._failures[where] = 0 if well else self._failures.get(where, 0) + 1
        is_login = _asker().startswith(LINK)  # it is tried as often as its connection
        if was_down and not well and not is_login:
            self.in_vain.setdefault(where, []).append(began_s)

    def reached_ns(self, venue: str) -> int:
        """Return when a stream of a venue was opened last; 0 before."""
        return self.seen_ns.get(f"stream {venue}", 0)

    def answered(self, host: str) -> None:
        """Note that REST of a venue answered."""
        self.seen_ns[f"rest {self.venue_of.get(host, host)}"] = self.now_ns()

    def look(self, venue: str, frame: bytes) -> bool:
        """Note of what a frame brings data; return whether it brings any."""
        brings = False
        for first, looks in self._sorted.get(venue, {}).items():
            if first not in frame:  # most frames are no data, and hold none of a few first pieces
                continue
            for others, what, is_data in looks:
                for piece in others:  # of many frames a second: `all` of a generator is three times slower
                    if piece not in frame:
                        break
                else:
                    now_ns = self.seen_ns[what] = self.now_ns()
                    if is_data:
                        brings = True
                        self.data_ns[what] = now_ns
                        self.first_ns.setdefault(venue, now_ns)
        return brings


@attrs.define(eq=False)
class Passage:
    """The transport of one life.

    Attributes:
        inner: The simulated venues.
        books: What passed.
        life: Whose it is.
        dead: The process was killed: nothing is sent or answered any more.
        streams: Those that were opened and have not ended.
    """

    inner: MemoryTransport
    books: Ledgers
    life: int = 1
    dead: bool = False
    streams: dict[PassedStream, None] = attrs.field(factory=dict)

    async def open(self, endpoint: Endpoint) -> Stream:
        host, at_ns, began_s = urlsplit(endpoint.url).netloc, self.books.now_ns(), _now_s()
        self.books.connects.setdefault((host, self.life), []).append(began_s)
        if any(stream.host == host for stream in self.streams):
            self.books.there_s[host, self.life] = began_s
        try:
            await self._knock(host)
            inner = await self.inner.open(endpoint)
        except WickwireError as exc:
            await self._hang()
            self.books.not_opened((host, self.life), began_s)
            self.books.journal.note("connect", host, type(exc).__name__, _first(exc))
            self.books.tried(host, at_ns, well=False, stream=True)
            raise
        stream = PassedStream(self, host, inner)
        if self.dead:
            await inner.aclose()
        await self._hang()
        self.books.journal.note("connect", host, "open")
        self.books.opened(self.life)
        self.books.tried(host, at_ns, well=True, stream=True)
        self.books.there_s[host, self.life] = _now_s()
        self.books.let_in.setdefault((host, self.life), []).append(_now_s())
        self.books.seen_ns[f"stream {stream.venue}"] = self.books.now_ns()
        self.books.sent.append((host, stream.sent))
        self.streams[stream] = None
        return stream

    async def _knock(self, host: str) -> None:
        """Let the venue say no where it does."""
        told = next((told for told in self.books.door.values() if told[0] == host), None)
        if told is None:
            return
        _, status, retry_after_s = told
        await asyncio.sleep(KNOCK_S)
        asked_s = 0.0 if retry_after_s is None else float(retry_after_s)
        self.books.turned_away.setdefault((host, self.life), []).append((_now_s(), asked_s))
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        origin = Address.parse(f"wss://{host}", STREAM_SCHEMES).origin
        raise refused_stream(origin, status, headers, self.books.now_ns())

    async def request(self, request: HttpRequest) -> HttpReply:
        host, at_ns, began_s = urlsplit(request.url).netloc, self.books.now_ns(), _now_s()
        self.books.requests.setdefault((host, self.life), []).append(began_s)
        was_down = self.books.is_down((host, self.life))
        try:
            reply = await self.inner.request(request)
        except WickwireError as exc:
            await self._hang()
            self.books.asked((host, self.life), began_s, was_down=was_down, well=False)
            self.books.journal.note("request", host, type(exc).__name__)
            self.books.tried(host, at_ns, well=False)
            raise
        await self._hang()
        self.books.asked((host, self.life), began_s, was_down=was_down, well=reply.status < DOWN)
        self.books.journal.note("request", host, reply.status, len(reply.body))
        self.books.tried(host, at_ns, well=reply.status == 200)
        if reply.status == TOO_MANY:
            asked_s = float(reply.headers.get("retry-after", 0.0))
            self.books.refusals.setdefault((host, self.life), []).append((_now_s(), asked_s))
        if reply.status == 200:
            self.books.answered(host)
        return reply

    async def aclose(self) -> None:
        """Leave the venues alone: they outlive every collector."""

    async def die(self) -> None:
        """Let the process be gone: its sockets close, and nobody answers it."""
        self.dead = True
        for stream in list(self.streams):
            await stream.inner.aclose(1006)
        self.streams.clear()

    async def _hang(self) -> None:
        if self.dead:
            await asyncio.get_running_loop().create_future()


@attrs.define(eq=False)
class PassedStream:
    """One stream, counted.

    Attributes:
        passage: Whose it is.
        host: Where it leads.
        inner: The stream itself.
        frames: How many were handed over.
        sent: When something was sent, keepalives left out.
        flows_s: Since when data came, in the loop's seconds.
    """

    passage: Passage
    host: str
    inner: Stream
    frames: int = 0
    flows_s: float = math.inf
    sent: list[float] = attrs.field(factory=list)
    venue: str = attrs.field()

    @venue.default
    def _venue(self) -> str:
        return self.passage.books.venue_of[self.host]

    async def receive(self) -> bytes:
        try:
            frame = await self.inner.receive()
        except WickwireError as exc:
            if self in self.passage.streams:
                del self.passage.streams[self]
                books, where = self.passage.books, (self.host, self.passage.life)
                books.there_s[where] = _now_s()
                books.ends.setdefault(where, []).append(_now_s())
                if _now_s() - self.flows_s < SUSTAINED_S:
                    books.barren.setdefault(where, []).append(_now_s())
                if isinstance(exc, StreamClosed) and exc.code in SENT_AWAY:
                    books.sent_away.setdefault(where, []).append((_now_s(), SENT_AWAY[exc.code]))
            await self.passage._hang()
            raise
        if self.passage.dead:  # asked here, as a coroutine for every frame costs
            await self.passage._hang()
        self.frames += 1
        if self.passage.books.look(self.venue, frame):
            self.flows_s = min(self.flows_s, _now_s())
        return frame

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        await self.passage._hang()
        text = frame if isinstance(frame, str) else frame.decode("latin-1")
        if '"ping"' not in text and "KEEPALIVE" not in text:
            self.sent.append(_now_s())
        await self.inner.send(frame, secret=secret)

    async def ping(self) -> None:
        await self.passage._hang()
        await self.inner.ping()

    async def aclose(self, code: int = 1000) -> None:
        if self in self.passage.streams:
            del self.passage.streams[self]
            self.passage.books.there_s[self.host, self.passage.life] = _now_s()
        await self.inner.aclose(code)


# ------------------------------------------------------------------------------- what frames look like


def sights_of(series: Sequence[Series]) -> Mapping[str, Sequence[Sight]]:
    """Return, by venue, how the data of *series* is told apart in frames, by the venues' documents."""
    found: dict[str, dict[str, Sequence[bytes]]] = {}
    for one in series:
        here = found.setdefault(one.venue, {})
        match one.venue:
            case "kraken":
                _kraken(one, here)
            case "coinbase":
                _coinbase(one, here)
            case "alpaca":
                symbol = bytes([0xA0 + len(one.symbol)]) + one.symbol.encode()
                for kind in "btq":
                    here[f"alpaca {kind} {one.symbol}"] = (b"\xa1T\xa1" + kind.encode(), b"\xa1S" + symbol)
                here[f"alpaca t {one.symbol}{CONFIRMED}"] = (b"subscription", b"\xa6trades", symbol)
                here[f"alpaca b {one.symbol} again"] = (b"\xa1T\xa1u", b"\xa1S" + symbol)  # an updated bar
            case "harbour":
                minutes = one.timeframe.nominal_ns // 60_000_000_000
                pieces = (f'"bar":["{one.symbol}",{minutes * 60},'.encode(),)
                here[f"harbour {minutes} {one.symbol}"] = pieces
            case "dxlink":
                symbol = f'"{one.symbol}:CXTALP'.encode()
                minutes = one.timeframe.nominal_ns // 60_000_000_000 if isinstance(one.what, Timeframe) else 0
                piece = b"{=m}" if minutes == 1 else f"{{={minutes}m}}".encode()
                here[f"dxlink {minutes} {one.symbol}"] = (b"FEED_DATA", symbol + piece)
                here[f"dxlink trade {one.symbol}"] = (b"FEED_DATA", b"TimeAndSale", symbol + b'"')
                here[f"dxlink trade {one.symbol}{CONFIRMED}"] = (b'"FEED_CONFIG","channel":5,',)
            case _:
                pass
    return {venue: list(here.items()) for venue, here in found.items()}


def _kraken(one: Series, here: dict[str, Sequence[bytes]]) -> None:
    symbol = f'"symbol":"{one.symbol}"'.encode()
    if isinstance(one.what, Timeframe):
        minutes = one.timeframe.nominal_ns // 60_000_000_000
        name = f"kraken {minutes} {one.symbol}"
        here[name] = (b'"channel":"ohlc","type"', symbol, f'"interval":{minutes},'.encode())
    here[f"kraken trade {one.symbol}"] = (b'"channel":"trade","type"', symbol)
    asked = (b'"method":"subscribe"', b'"channel":"trade"', symbol)
    here[f"kraken trade {one.symbol}{CONFIRMED}"] = asked


def _coinbase(one: Series, here: dict[str, Sequence[bytes]]) -> None:
    product = f'"product_id":"{one.symbol.replace("/", "-")}"'.encode()
    for channel in ("candles", "market_trades", "ticker"):
        here[f"coinbase {channel} {one.symbol}"] = (f'"channel":"{channel}"'.encode(), product)
        asked = (b'"channel":"subscriptions"', f'"{channel}"'.encode(), product.partition(b":")[2])
        here[f"coinbase {channel} {one.symbol}{CONFIRMED}"] = asked


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:60]


def _asker() -> str:
    """Return who asks: each connection has a task that keeps it open."""
    task = asyncio.current_task()
    return "" if task is None else task.get_name()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
