"""A whole collector on virtual time: real runtime and adapters, simulated venues, and the truth beside."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from tests.simulation.clocks import TrueClock, WallClock
from tests.simulation.venues import Venues
from wickwire import SECOND_NS, HoleKind, MemoryStore, Series, SeriesCandle, Timeframe, Trade
from wickwire.closer import Condition, Switch
from wickwire.collector import Collector
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.description import Account
from wickwire.endpoint import Endpoint
from wickwire.registry import Registry
from wickwire.simulate import Listing, SeededMarket, VenueServer
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.testing.wholeness import exceeded
from wickwire.transport import Stream

DAY_NS = 86_400 * SECOND_NS
LATE_S = 60
"""So long after its end a candle should be there."""
ASKED_S = 30
"""Or so long after history has settled, where that takes longer: some exchanges are told 20 minutes late."""


class Kept(MemoryStore):
    """A store that outlives its collector, as a file does."""

    async def aclose(self) -> None:
        """Keep everything."""


@attrs.define(eq=False)
class Counted:
    """A transport that remembers when what was asked for, so that the budget can be checked from outside."""

    inner: MemoryTransport
    connects: dict[str, list[float]] = attrs.field(factory=dict)
    requests: dict[str, list[float]] = attrs.field(factory=dict)
    messages: list[tuple[str, list[float]]] = attrs.field(factory=list)

    async def open(self, endpoint: Endpoint) -> Stream:
        host, sent = urlsplit(endpoint.url).netloc, list[float]()
        self.connects.setdefault(host, []).append(_now_s())
        self.messages.append((host, sent))
        return CountedStream(await self.inner.open(endpoint), sent)

    async def request(self, request: HttpRequest) -> HttpReply:
        self.requests.setdefault(urlsplit(request.url).netloc, []).append(_now_s())
        return await self.inner.request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@attrs.define(eq=False)
class CountedStream:
    """A stream that remembers when something was sent on it."""

    inner: Stream
    sent: list[float]

    async def receive(self) -> bytes:
        return await self.inner.receive()

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        if '"ping"' not in str(frame):  # keepalive is a duty of its own
            self.sent.append(_now_s())
        await self.inner.send(frame)

    async def ping(self) -> None:
        await self.inner.ping()

    async def aclose(self, code: int = 1000) -> None:
        await self.inner.aclose(code)


@attrs.define(eq=False)
class Complaints(logging.Handler):
    """Keeps what was logged as an error: a bug that was caught, or data that was given up."""

    lines: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"logged: {record.getMessage()} {getattr(record, 'why', '')} {record.exc_info}")


@attrs.define(eq=False, kw_only=True)
class World(Venues):
    """Simulated venues over one market, and a collector.

    Attributes:
        transport: What lies between, with the controls of a line that fails.
        counted: When what was asked for.
        store: What is stored.
        collector: The one that is tried.
        complaints: What it logged as errors.
        switches: Every change of route.
        delivered: Every candle handed out.
        trades: Every trade handed out.
        handed_ns: When the first close of a candle was handed out, by series and open time.
    """

    transport: MemoryTransport
    counted: Counted
    store: MemoryStore
    collector: Collector
    complaints: Complaints = attrs.field(factory=Complaints)
    switches: list[Switch] = attrs.field(factory=list)
    delivered: list[SeriesCandle] = attrs.field(factory=list)
    trades: list[Trade] = attrs.field(factory=list)
    handed_ns: dict[tuple[Series, int], int] = attrs.field(factory=dict)

    async def minutes(self, count: float) -> None:
        """Let so many minutes pass."""
        await asyncio.sleep(count * 60)

    def heard(self, candle: SeriesCandle) -> None:
        """Note a candle that the collector handed out."""
        self.delivered.append(candle)
        self.handed_ns.setdefault((candle.series, candle.open_ns), running_clock().now_ns())

    async def listen(self, trades: AsyncIterator[Trade]) -> None:
        """Note every trade that the collector hands out."""
        async for trade in trades:
            self.trades.append(trade)

    # ------------------------------------------------------------------------------------ broken promises

    async def broken(self, *, first_closes: bool = True) -> list[str]:
        """Return every broken promise: about the data of every candle series, the budgets, and bugs.

        Args:
            first_closes: Also what was handed out first has to be right. Not so where a venue says for a
                while what it takes back later.
        """
        names = [
            str(each.series)
            for each in self.collector.health().series
            if isinstance(each.series.what, Timeframe)
        ]
        refused = {
            str(each.series) for each in self.collector.health().series if each.condition is Condition.REFUSED
        }
        lines = [line for name in names if name not in refused for line in await self.differences(name)]
        lines += [f"{name} is refused" for name in refused]
        if first_closes:
            lines += [line for name in names for line in self.false_closes(name)]
        lines += [f"{name} was closed before its end" for name in names if self._early(name)]
        lines += [*self.invented_trades(), *self.over_budget(), *self.complaints.lines]
        if self.collector.listener_errors:
            lines.append(f"{self.collector.listener_errors} errors of listeners")
        return lines

    async def differences(self, text: str) -> list[str]:
        """Compare what is stored of a series with the truth: every line is a broken promise."""
        series = Series.parse(text)
        [state] = [state for state in await self.store.states() if state.series == series]
        truth = {candle.open_ns: candle for candle in self.truth(text, state.origin_ns, state.frontier_ns)}
        rows = await self.store.candles(series, 0, 2**62, limit=10**6)
        stored = {row.open_ns: row for row in rows}
        lines = [f"{text} missing {truth[ns].open_time}" for ns in truth.keys() - stored.keys()]
        lines += [f"{text} invented {stored[ns].open_time}" for ns in stored.keys() - truth.keys()]
        lines += [
            f"{text} wrong {stored[ns]} instead of {truth[ns]}"
            for ns in truth.keys() & stored.keys()
            if not truth[ns].same_values(stored[ns])
        ]
        now_ns = running_clock().now_ns()
        late_s = (now_ns - state.frontier_ns) / SECOND_NS - series.timeframe.nominal_ns / SECOND_NS
        most_s = max(LATE_S, self._settles_s(series) + ASKED_S)
        if late_s > most_s and not self._is_shut(series, state.frontier_ns, now_ns):
            lines.append(f"{text} is {late_s:.0f} s behind")
        lines += [f"{text} {hole}" for hole in state.holes if hole.kind is not HoleKind.UNREACHABLE]
        firsts = [c.open_ns for c in self.delivered if c.series == series and not c.revision]
        if len(firsts) != len(set(firsts)):
            lines.append(f"{text} delivered a first close twice")
        if set(firsts) != set(stored):
            lines.append(f"{text} delivered {len(firsts)} of {len(stored)}")
        return lines

    def _settles_s(self, series: Series) -> float:
        """Return how long after its end a candle may still change in history."""
        account, timeframe = Account(feed=series.variant), series.timeframe
        adapter = self.collector._registry.load(series.venue)
        return adapter.support_for(series.symbol, timeframe, account).settle_s

    def _is_shut(self, series: Series, since_ns: int, until_ns: int) -> bool:
        """Say whether nothing was traded in a range, so that no frontier could move."""
        return not self.market.trades(series.symbol, since_ns, until_ns)

    def false_closes(self, text: str) -> list[str]:
        """Return the candles whose first close was not the truth."""
        firsts = {c.open_ns: c for c in self.delivered if str(c.series) == text and not c.revision}
        if not firsts:
            return []
        truth = self.truth(text, min(firsts), max(firsts) + 1)
        return [
            f"{text} first closed {firsts[candle.open_ns]} instead of {candle}"
            for candle in truth
            if candle.open_ns in firsts and not candle.same_values(firsts[candle.open_ns])
        ]

    def lateness_s(self, text: str) -> float:
        """Return how long after its end the latest first close of a series was handed out, in seconds."""
        series = Series.parse(text)
        firsts = [row for row in self.delivered if row.series == series and not row.revision]
        return max((self.handed_ns[series, row.open_ns] - row.close_ns) / SECOND_NS for row in firsts)

    def _early(self, text: str) -> bool:
        return any(
            self.handed_ns[candle.series, candle.open_ns] < candle.close_ns
            for candle in self.delivered
            if str(candle.series) == text
        )

    def invented_trades(self) -> list[str]:
        """Return the trades handed out that never happened like that. They may be lost, or come twice."""
        if not self.trades:
            return []
        times = [trade.time_ns for trade in self.trades]
        true = {
            (symbol, trade.time_ns, trade.price, trade.size, trade.side)
            for symbol in {trade.symbol for trade in self.trades}
            for trade in self.market.trades(symbol, min(times), max(times) + 1)
        }
        told = {(each.symbol, each.time_ns, each.price, each.size, each.side) for each in self.trades}
        return [f"invented {trade}" for trade in told - true]

    def over_budget(self) -> list[str]:
        """Return where more was asked within some time than the venue's limits allow."""
        lines: list[str] = []
        for venue, server in self.servers.items():
            limits = self.collector._registry.load(venue).description_for(Account()).limits
            asked = [
                ("requests", limits.rest, _merged(server.rest_origins, self.counted.requests)),
                ("connects", limits.connects, _merged(server.stream_origins, self.counted.connects)),
            ]
            hosts = {urlsplit(origin).netloc for origin in server.stream_origins}
            asked += [
                ("messages", limits.messages, sent) for host, sent in self.counted.messages if host in hosts
            ]
            lines += [
                f"{venue}: too many {what}: {too_many}"
                for what, rate, times in asked
                if rate is not None and (too_many := exceeded(rate, times))
            ]
        return lines


def _merged(origins: Sequence[str], times: Mapping[str, Sequence[float]]) -> list[float]:
    hosts = {urlsplit(origin).netloc for origin in origins}
    return sorted(at_s for host, asked in times.items() if host in hosts for at_s in asked)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


@functools.lru_cache(maxsize=8)
def market_of(seed: int, start_ns: int, instruments: Sequence[Listing], synthetic_count: int) -> SeededMarket:
    """Return a market; most tests are about the same one, which keeps the trades and candles that it made."""
    return SeededMarket(seed, start_ns, instruments, synthetic_count=synthetic_count)


def simulate(
    play: Callable[[World], Awaitable[None]],
    *names: str,
    seed: int = 1,
    shuffle: bool = False,
    start_ns: int = VIRTUAL_START_NS,
    instruments: Sequence[Listing] = (),
    synthetic_count: int = 0,
    latency_s: float = 0.05,
    off_s: float = 0.0,
    venues: Sequence[str] = (),
    before: Callable[[Mapping[str, VenueServer]], None] | None = None,
    **more: Any,
) -> None:
    """Run *play* in a world in which *names* are collected, by a clock that is *off_s* ahead.

    There are the venues of these, and *venues*. What they are like from the first moment on, *before* makes
    of them.
    """

    async def main() -> None:
        clock = running_clock()
        await asyncio.sleep(7)  # not at the very turn of a minute
        registry = Registry()
        market = market_of(seed, clock.now_ns() - DAY_NS, tuple(instruments), synthetic_count)
        servers: dict[str, VenueServer] = {}
        for venue in dict.fromkeys((*(Series.parse(name).venue for name in names), *venues)):
            make = registry.load(venue).simulate
            assert make is not None
            servers[venue] = make(market)
        if before is not None:
            before(servers)
        rng = random.Random(seed)
        transport = MemoryTransport(list(servers.values()), clock, latency_s=latency_s, rng=rng)
        counted, store = Counted(transport), Kept()
        ours = WallClock(TrueClock(clock), off_ns=round(off_s * SECOND_NS))
        collector = Collector(store, registry=registry, transport=counted, clock=ours, rng=rng, **more)
        async with collector:
            world = World(
                market=market,
                servers=servers,
                transport=transport,
                counted=counted,
                store=store,
                collector=collector,
            )
            collector.on_switch(world.switches.append)
            collector.on_candle(world.heard)
            trades = collector.trades()
            logging.getLogger("wickwire").addHandler(world.complaints)
            try:
                for name in names:
                    await collector.add(name)
                async with asyncio.TaskGroup() as tasks:
                    listening = tasks.create_task(world.listen(trades))
                    await play(world)
                    listening.cancel()
            finally:
                logging.getLogger("wickwire").removeHandler(world.complaints)

    run_virtual(main(), seed=seed if shuffle else None, start_ns=start_ns)
