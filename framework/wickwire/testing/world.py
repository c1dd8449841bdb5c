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
from typing import TYPE_CHECKING, Final, TypeVar, final

import attrs

from wickwire.collector import Collector
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.description import Account
from wickwire.endpoint import Endpoint
from wickwire.errors import StoreError, TransportError
from wickwire.health import SeriesHealth
from wickwire.logs import told
from wickwire.memory_store import MemoryStore
from wickwire.model import SECOND_NS, Feed, Rung, Series, SeriesCandle
from wickwire.registry import Registry
from wickwire.scope import children
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.simulate.server import VenueServer
from wickwire.store import Change
from wickwire.testing.checks import Broken
from wickwire.transport import Stream
from wickwire.transport.origins import HTTP_SCHEMES, Address

if TYPE_CHECKING:
    from wickwire.clock import Clock
    from wickwire.testing.material import Material

__all__ = ["Line", "Shelf", "World", "played"]

LATENCY_S: Final = 0.05
TOO_MANY: Final = 429

T = TypeVar("T")


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
        broken: Which promises a script saw broken meanwhile.
        lines: The way of each life to the venue; the last is the present one's.
        planned: How each series is collected where all is well, as `wickwire plan` says.
    """

    def __init__(self, material: Material, seed: int, off_s: float) -> None:
        """Make the venue; nobody collects yet."""
        self.material = material
        self.account = material.account
        self.series = material.playing.collected
        self.server: VenueServer = material.playing.another_server()
        self.rng = random.Random(seed)
        self.clock = running_clock()
        self.transport = MemoryTransport([self.server], self.clock, latency_s=LATENCY_S, rng=self.rng)
        self.store = Shelf()
        self.told: list[tuple[int, SeriesCandle]] = []
        self.trades: Counter[tuple[int, str, str]] = Counter()
        self.errors: list[str] = []
        self.broken: list[str] = []
        self.lines: list[Line] = []
        self.planned: dict[str, Rung] = {}
        self._off_ns = round(off_s * SECOND_NS)
        self._lives = AsyncExitStack()
        self._collector: Collector | None = None

    # ------------------------------------------------------------------------------------------ what happens

    @property
    def line(self) -> Line:
        """The way from the present life to the venue."""
        return self.lines[-1]

    async def minutes(self, count: float) -> None:
        """Let so many minutes pass."""
        await asyncio.sleep(count * 60)

    async def well(self) -> None:
        """Let all begin, and note how each series is to be collected, whether it is or not."""
        assert self._collector is not None
        await self.minutes(4)
        self.planned = {str(plan.series): plan.rung for plan in self._collector.plan(*self.series)}

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
        self.store.gone = False
        self.lines.append(Line(self.transport))
        collector = Collector(
            self.store,
            registry=Registry(adapters={adapter.name: adapter}, installed=False),
            transport=self.line,
            accounts={adapter.name: self.account},
            clock=_OffClock(self.clock, self._off_ns),
            rng=self.rng,
            world="a conformance run",
        )
        self._collector = await self._lives.enter_async_context(collector)
        tasks = await self._lives.enter_async_context(children())
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
        await self._lives.aclose()

    async def kill(self) -> None:
        """End it: nothing that it does from now on reaches the store or the venue."""
        self.line.gone = self.store.gone = True
        for stream in self.transport.open_streams:
            await stream.aclose(1006)
        await self.end()

    def _heard(self, candle: SeriesCandle) -> None:
        if not self.store.gone:
            self.told.append((self.clock.now_ns(), candle))

    async def _listen(self, collector: Collector) -> None:
        life = len(self.lines)
        async for trade in collector.trades():
            if trade.id and not trade.snapshot:
                self.trades[life, trade.symbol, trade.id] += 1


def _feeds(material: Material, account: Account) -> Sequence[Feed]:
    if not material.adapter.streams:
        return ()
    feeds = material.described(account).feeds
    return tuple(Feed) if feeds is None else feeds


def played(
    material: Material, script: Callable[[World], Awaitable[T]], *, seed: int, off_s: float = 0.0
) -> T:
    """Play *script* before a collector, and return what it returns.

    Args:
        material: Of the adapter, of which something can be collected.
        script: What happens; a collector lives when it begins.
        seed: What everything that is drawn follows from.
        off_s: How far the collector's clock is ahead.

    Raises:
        Broken: The runtime, or the adapter's code within it, raised.
    """

    async def main() -> T:
        world = World(material, seed, off_s)
        with _listening(world):
            await world.begin()
            try:
                return await script(world)
            finally:
                await world.end()

    try:
        return run_virtual(main(), seed=seed, start_ns=material.playing.now_ns)
    except ExceptionGroup as exc:
        raise Broken(f"the runtime ended with {exc.exceptions[0]!r:.300}") from exc


def _now_s() -> float:
    return asyncio.get_running_loop().time()
