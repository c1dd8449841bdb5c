"""A whole collector on virtual time, before the adapter's own simulated venue: where level 6 is played.

The runtime is the one that production runs: planner, pool, ledger, writer. What is between it and the venue
is a line that can be cut, and what is behind it a store that can be away.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.collector import Collector
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.description import Account, OhlcvSupport
from wickwire.endpoint import Endpoint
from wickwire.errors import StoreError, TransportError
from wickwire.health import SeriesHealth
from wickwire.logs import told
from wickwire.model import MINUTE_NS, SECOND_NS, Feed, Rung, Series, SeriesCandle
from wickwire.registry import Registry
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.simulate.server import VenueServer
from wickwire.store import Change, MemoryStore
from wickwire.testing.checks import Broken, Need, Skipped
from wickwire.testing.playing import is_had
from wickwire.transport import Stream
from wickwire.transport.origins import HTTP_SCHEMES, Address

if TYPE_CHECKING:
    from wickwire.clock import Clock
    from wickwire.testing.material import Material

__all__ = ["Line", "Shelf", "World", "played", "series_of"]

LATENCY_S: Final = 0.05
SHORTEST_NS: Final = MINUTE_NS
"""Shorter ones are taken where there are no others: a thousand buckets show no more than twenty."""
LONGEST_NS: Final = 15 * MINUTE_NS
"""Longer ones are over too rarely to be waited for."""
MOST_SYMBOLS: Final = 2
MOST_TIMEFRAMES: Final = 2
TOO_MANY: Final = 429


@final
@attrs.define(eq=False)
class Line:
    """The way to the venue, as a `wickwire.transport.Transport`; what passes is counted.

    Attributes:
        inner: The simulated venue.
        connects: When a stream was asked for, in the loop's seconds.
        requests: When a request was sent to which host.
        answers: What is answered in place of the venue, where that is not None.
        told_to_wait: Until when each host wants no requests, as it said with its last 429.
        hasty: How many requests were sent all the same.
        gone: The process is dead: nothing passes any more.
    """

    inner: MemoryTransport
    connects: list[float] = attrs.field(factory=list)
    requests: list[float] = attrs.field(factory=list)
    answers: HttpReply | None = None
    told_to_wait: dict[str, float] = attrs.field(factory=dict)
    hasty: int = 0
    gone: bool = False

    async def open(self, endpoint: Endpoint) -> Stream:
        """Open a stream; raises as the transport does."""
        self._check()
        self.connects.append(_now_s())
        return await self.inner.open(endpoint)

    async def request(self, request: HttpRequest) -> HttpReply:
        """Send a request, or answer it; raises as the transport does."""
        self._check()
        now_s, host = _now_s(), str(Address.parse(request.url, HTTP_SCHEMES).origin)
        self.requests.append(now_s)
        self.hasty += now_s < self.told_to_wait.get(host, 0.0)
        if self.answers is None:
            return await self.inner.request(request)
        await asyncio.sleep(LATENCY_S)
        if self.answers.status == TOO_MANY:
            wait_s = float(self.answers.headers["retry-after"])
            self.told_to_wait[host] = max(self.told_to_wait.get(host, 0.0), _now_s() + wait_s)
        return self.answers

    async def aclose(self) -> None:
        """Leave the venue alone: it outlives its clients."""

    def _check(self) -> None:
        if self.gone:
            raise TransportError("the process is gone")


@final
class Shelf(MemoryStore):
    """A store that outlives collectors, as a file does, and takes nothing of one that is gone.

    Attributes:
        gone: Who has it open now was killed.
    """

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.gone = False

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Apply *changes* and return what is news; raises StoreError for one that is gone."""
        if self.gone:
            raise StoreError("the process is gone")
        return await super().commit(changes)

    async def aclose(self) -> None:
        """Keep everything."""


class _Complaints(logging.Handler):
    """Keeps what is logged as an error: a bug that was caught, or data that was given up."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if not self._world.store.gone:
            self._world.errors.append(told(record))


@contextmanager
def _listening(world: World) -> Iterator[None]:
    """Keep what is logged from whoever would read it: troubles are played here by the dozen."""
    log = logging.getLogger("wickwire")
    handlers, propagate = log.handlers[:], log.propagate
    log.handlers[:], log.propagate = [_Complaints(world)], False
    try:
        yield
    finally:
        log.handlers[:], log.propagate = handlers, propagate


@attrs.define
class _OffClock:
    """The clock of a machine that is wrong by a constant."""

    true: Clock
    off_ns: int

    def now_ns(self) -> int:
        return self.true.now_ns() + self.off_ns


@final
class World:
    """One simulated venue, and the collectors that live one after the other before it.

    Attributes:
        material: Of the adapter.
        account: Whose it is.
        server: The simulated venue.
        transport: The line's other end, which can be cut, muted and refused.
        rng: What a script draws from.
        store: Where candles are kept.
        series: What is collected, by name, with what the venue says of it.
        told: Every candle that was handed out, and when by the true clock.
        trades: How often each trade with an id was that is no part of a snapshot: by life, symbol and id.
        errors: What was logged as an error.
        connects: When a stream was asked for, by life.
        requests: When a request was sent, by life.
        hasty: Requests that were sent although the venue wanted none.
        planned: How each series was collected when all was well.
    """

    def __init__(self, material: Material, seed: int, off_s: float) -> None:
        """Make the venue; nobody collects yet."""
        self.material = material
        self.account = material.account
        self.series = dict(series_of(material))
        self.server: VenueServer = material.playing.another_server()
        self.rng = random.Random(seed)
        self.clock = running_clock()
        self.transport = MemoryTransport([self.server], self.clock, latency_s=LATENCY_S, rng=self.rng)
        self.store = Shelf()
        self.told: list[tuple[int, SeriesCandle]] = []
        self.trades: Counter[tuple[int, str, str]] = Counter()
        self.errors: list[str] = []
        self.connects: list[list[float]] = []
        self.requests: list[list[float]] = []
        self.hasty = 0
        self.planned: dict[str, Rung] = {}
        self._off_ns = round(off_s * SECOND_NS)
        self._lives = AsyncExitStack()
        self._line = Line(self.transport)
        self._collector: Collector | None = None

    # ------------------------------------------------------------------------------------------ what happens

    @property
    def line(self) -> Line:
        """The way from the present life to the venue."""
        return self._line

    async def minutes(self, count: float) -> None:
        """Let so many minutes pass."""
        await asyncio.sleep(count * 60)

    async def well(self) -> None:
        """Let all begin, and remember how each series is collected then."""
        await self.minutes(4)
        self.planned = {str(one.series): one.rung for one in self.health()}

    def refuse(self, *, refused: bool = True) -> None:
        """Let nothing open a stream any more, or again; what is open ends."""
        for origin in self.server.stream_origins:
            self.transport.refuse(origin, refused=refused)
        if refused:
            self.transport.cut()

    def mute(self, *, muted: bool = True) -> None:
        """Swallow all that goes to the venue's streams and comes from them, or no longer."""
        for origin in self.server.stream_origins:
            self.transport.mute(origin, muted=muted)

    def health(self) -> Sequence[SeriesHealth]:
        """Return how each series is doing that the present life collects."""
        assert self._collector is not None
        return self._collector.health().series

    # -------------------------------------------------------------------------------------------- lives

    async def begin(self) -> None:
        """Start a collector, on what is stored by now."""
        adapter = self.material.adapter
        line, self.store.gone = Line(self.transport), False
        self._line = line
        self.connects.append(line.connects)
        self.requests.append(line.requests)
        collector = Collector(
            self.store,
            registry=Registry(adapters={adapter.name: adapter}, installed=False),
            transport=line,
            accounts={adapter.name: self.account},
            clock=_OffClock(self.clock, self._off_ns),
            rng=self.rng,
            world="a conformance run",
        )
        self._collector = await self._lives.enter_async_context(collector)
        tasks = await self._lives.enter_async_context(asyncio.TaskGroup())
        listening = tasks.create_task(self._listen(collector), name="listener of trades")
        self._lives.callback(listening.cancel)
        collector.on_candle(self._heard)
        for name in self.series:
            await collector.add(name)
        for symbol in dict.fromkeys(Series.parse(name).symbol for name in self.series):
            if Feed.TRADES in _feeds(self.material, self.account):
                await collector.add(f"{adapter.name}:{symbol}@trades")

    async def end(self) -> None:
        """Stop it in order."""
        self.hasty += self._line.hasty
        await self._lives.aclose()

    async def kill(self) -> None:
        """End it: nothing that it does from now on reaches the store or the venue."""
        self._line.gone = self.store.gone = True
        for stream in self.transport.open_streams:
            await stream.aclose(1006)
        await self.end()

    def _heard(self, candle: SeriesCandle) -> None:
        if not self.store.gone:
            self.told.append((self.clock.now_ns(), candle))

    async def _listen(self, collector: Collector) -> None:
        life = len(self.connects)
        async for trade in collector.trades():
            if trade.id and not trade.snapshot:
                self.trades[life, trade.symbol, trade.id] += 1


def series_of(material: Material) -> Sequence[tuple[str, OhlcvSupport]]:
    """Return the series that are collected, by name: a few short timeframes of two symbols.

    Raises:
        Skipped: There is no simulated venue, or nothing that ends soon enough.
    """
    lacking = [material.lacking(need) for need in (Need.DIALOGUES, Need.SERVED)]
    if all(lacking):
        raise Skipped(lacking[0])
    account, adapter = material.account, material.adapter
    short = [one for one in material.described(account).timeframes if one.nominal_ns <= LONGEST_NS]
    found = [
        (f"{adapter.name}:{symbol}@{timeframe}", adapter.support_for(symbol, timeframe, account))
        for symbol in material.playing.known(account)[:MOST_SYMBOLS]
        for timeframe in sorted(short, key=lambda one: (one.nominal_ns < SHORTEST_NS, one.nominal_ns))[
            :MOST_TIMEFRAMES
        ]
    ]
    found = [(name, support) for name, support in found if is_had(support)]
    if not found:
        raise Skipped(f"it has no timeframe of {LONGEST_NS // MINUTE_NS} minutes or less")
    return found


def _feeds(material: Material, account: Account) -> Sequence[Feed]:
    if not material.adapter.streams:
        return ()
    feeds = material.described(account).feeds
    return tuple(Feed) if feeds is None else feeds


def played(
    material: Material, script: Callable[[World], Awaitable[None]], *, seed: int, off_s: float = 0.0
) -> World:
    """Play *script* against a collector, and return what came of it.

    Args:
        material: Of the adapter.
        script: What happens; it begins and ends the lives of collectors.
        seed: What everything that is drawn follows from.
        off_s: How far the collector's clock is ahead.

    Raises:
        Broken: The runtime, or the adapter's code within it, raised.
        Skipped: As `series_of`.
    """
    series_of(material)
    made: list[World] = []

    async def main() -> None:
        world = World(material, seed, off_s)
        made.append(world)
        with _listening(world):
            await world.begin()
            try:
                await script(world)
            finally:
                await world.end()

    try:
        run_virtual(main(), seed=seed, start_ns=material.playing.now_ns)
    except ExceptionGroup as exc:
        raise Broken(f"the runtime ended with {exc.exceptions[0]!r:.300}") from exc
    return made[0]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
