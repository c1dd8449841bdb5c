"""A whole collector on virtual time: real runtime and adapters, simulated venues, and the truth beside."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from tests.simulation.faults import Fault
from wickwire import (
    SECOND_NS,
    Candle,
    Grid,
    HoleKind,
    MemoryStore,
    Rate,
    Series,
    SeriesCandle,
    Session,
    Timeframe,
    Trade,
    Utc,
)
from wickwire.closer import Condition, Switch
from wickwire.collector import Collector
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.description import Account
from wickwire.endpoint import Endpoint
from wickwire.registry import Registry
from wickwire.simulate import Listing, SeededMarket, VenueServer
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.simulate.server import Incoming, Truth
from wickwire.transport import Stream

DAY_NS = 86_400 * SECOND_NS

NO_TIME_S: Final = 0.001
"""Two instants of the loop's clock that are so near are one: it counts in floats."""


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
    messages: dict[int, list[float]] = attrs.field(factory=dict)

    async def open(self, endpoint: Endpoint) -> Stream:
        self.connects.setdefault(urlsplit(endpoint.url).netloc, []).append(_now_s())
        sent = self.messages[len(self.messages)] = []
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


@attrs.define(eq=False)
class World:
    """Simulated venues over one market, and a collector.

    Attributes:
        market: The truth.
        servers: The venues, by name.
        transport: What lies between, with the controls of a line that fails.
        counted: When what was asked for.
        store: What is stored.
        collector: The one that is tried.
        complaints: What it logged as errors.
        switches: Every change of route.
        delivered: Every candle handed out.
        trades: Every trade handed out.
        handed_ns: When the first close of a candle was handed out, by series and open time.
        late: Trades that a venue reported after their bucket was over: symbol, time, price and size.
        scales: What all prices of a symbol are divided by now: Yahoo rescales history at a split.
    """

    market: SeededMarket
    servers: Mapping[str, VenueServer]
    transport: MemoryTransport
    counted: Counted
    store: MemoryStore
    collector: Collector
    complaints: Complaints = attrs.field(factory=Complaints)
    switches: list[Switch] = attrs.field(factory=list)
    delivered: list[SeriesCandle] = attrs.field(factory=list)
    trades: list[Trade] = attrs.field(factory=list)
    handed_ns: dict[tuple[Series, int], int] = attrs.field(factory=dict)
    late: list[tuple[str, int, Decimal, Decimal]] = attrs.field(factory=list)
    scales: dict[str, Decimal] = attrs.field(factory=dict)

    async def minutes(self, count: float) -> None:
        """Let so many minutes pass."""
        await asyncio.sleep(count * 60)

    def inject(self, fault: Fault) -> None:
        """Let a fault begin; one that only new subscriptions meet cuts the stream."""
        server, details = self.servers[fault.venue], dict(fault.details)
        # a venue's time stands still while nobody talks to it, and some faults begin with the next bucket
        server.answer(Incoming(method="GET", path="/", query={}, headers={}), running_clock().now_ns())
        if fault.name == "late_trade":
            at_ns = running_clock().now_ns() - round(details["ago_s"] * SECOND_NS)
            self.late.append((details["symbol"], at_ns, Decimal(details["price"]), Decimal(details["size"])))
        if fault.name == "split":
            self.scales[details["symbol"]] = Decimal(details["ratio"])
        server.inject(fault.name, **details)
        if fault.cut:
            server.inject("hangup", code=1006)

    def heal(self, fault: Fault) -> None:
        """Let a fault end, where it is not over already."""
        if fault.off is not None:
            self.servers[fault.venue].inject(fault.name, **fault.off)

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
        if late_s > 60 and not self._is_shut(series, state.frontier_ns, now_ns):
            lines.append(f"{text} is {late_s:.0f} s behind")
        lines += [f"{text} {hole}" for hole in state.holes if hole.kind is not HoleKind.UNREACHABLE]
        firsts = [c.open_ns for c in self.delivered if c.series == series and not c.revision]
        if len(firsts) != len(set(firsts)):
            lines.append(f"{text} delivered a first close twice")
        if set(firsts) != set(stored):
            lines.append(f"{text} delivered {len(firsts)} of {len(stored)}")
        return lines

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
            if server.stream_origins:
                asked += [("messages", limits.messages, sent) for sent in self.counted.messages.values()]
            lines += [
                f"{venue}: too many {what}: {too_many}"
                for what, rate, times in asked
                if rate is not None and (too_many := _too_many(rate, times))
            ]
        return lines

    def truth(self, text: str, since_ns: int, until_ns: int) -> Sequence[Candle]:
        """Return the market's candles that open in a range and are over, as the venue prints them."""
        series = Series.parse(text)
        grid = Session() if series.venue == "yahoo" and "/" not in series.symbol else Utc()
        server = self.servers[series.venue]
        teller = server if isinstance(server, Truth) else self.market
        over_ns = until_ns + series.timeframe.nominal_ns  # a candle that opens before the end is told whole
        candles = [
            candle
            for candle in teller.candles(series.symbol, series.timeframe, since_ns, over_ns, grid=grid)
            if candle.open_ns < until_ns
        ]
        if series.venue != "yahoo":
            known = {candle.open_ns: candle for candle in candles}
            whole = self._made_late(series, grid) | known
            candles = [candle for ns, candle in sorted(whole.items()) if since_ns <= ns < until_ns]
            return [self._with_late(candle) for candle in candles]
        instrument = self.market.instrument(series.symbol)
        assert instrument is not None
        crypto = "/" in series.symbol and instrument.session is None
        untold = series.symbol.startswith("^") or ("/" in series.symbol and not crypto)
        scale = self.scales.get(series.symbol, Decimal(1))
        return [_as_yahoo_prints(candle, scale, crypto=crypto, untold=untold) for candle in candles]

    def _made_late(self, series: Series, grid: Grid) -> dict[int, Candle]:
        """Return, by open time, what a bucket without another trade is before a late one is counted in."""
        timeframe, made = series.timeframe, {}
        for symbol, at_ns, price, _ in self.late:
            if symbol == series.symbol:
                open_ns = timeframe.open_at(at_ns, grid)
                close_ns = timeframe.close_of(open_ns, grid)
                made[open_ns] = Candle(symbol, timeframe, open_ns, close_ns, *(price,) * 4, Decimal(0), 0)
        return made

    def _with_late(self, candle: Candle) -> Candle:
        """Return *candle* with the trades that were reported late; open and close stay."""
        for symbol, at_ns, price, size in self.late:
            if symbol == candle.symbol and candle.open_ns <= at_ns < candle.close_ns:
                high, low = max(candle.high, price), min(candle.low, price)
                volume, count = candle.volume + size, (candle.trade_count or 0) + 1
                candle = _changed(candle, (candle.open, high, low, candle.close), volume, count)
        return candle


def _as_yahoo_prints(candle: Candle, ratio: Decimal, *, crypto: bool, untold: bool) -> Candle:
    """Return what Yahoo says of a candle.

    Prices are single-precision floats; crypto's volume is in dollars, that of currencies and indices 0.
    """
    scale = 1 / ratio
    first, high, low, last = (
        Decimal(repr(struct.unpack("<f", struct.pack("<f", float(price * scale)))[0]))
        for price in (candle.open, candle.high, candle.low, candle.close)
    )
    if crypto:
        volume = int(candle.volume * (candle.vwap or candle.close))
    elif untold:
        volume = 0
    else:
        volume = int(int(candle.volume) / scale)
    return _changed(candle, (first, high, low, last), Decimal(volume), None)


def _changed(
    candle: Candle, prices: tuple[Decimal, Decimal, Decimal, Decimal], volume: Decimal, count: int | None
) -> Candle:
    first, high, low, last = prices
    bucket = (candle.symbol, candle.timeframe, candle.open_ns, candle.close_ns)
    return Candle(*bucket, first, high, low, last, volume, count, None)


def _merged(origins: Sequence[str], times: Mapping[str, Sequence[float]]) -> list[float]:
    hosts = {urlsplit(origin).netloc for origin in origins}
    return sorted(at_s for host, asked in times.items() if host in hosts for at_s in asked)


def _too_many(rate: Rate, times: Sequence[float]) -> str:
    """Return where *times* leave a rate, counted in every window that begins with one of them."""
    for first, since_s in enumerate(times):
        for count, at_s in enumerate(times[first:], 1):
            allowed = max(rate.burst, 1) + (at_s - since_s + NO_TIME_S) * rate.amount / rate.per_s
            if count > allowed:
                return f"{count} in {at_s - since_s:.1f} s"
    return ""


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def simulate(
    play: Callable[[World], Awaitable[None]],
    *names: str,
    seed: int = 1,
    shuffle: bool = False,
    start_ns: int = VIRTUAL_START_NS,
    instruments: Sequence[Listing] = (),
    synthetic_count: int = 0,
    latency_s: float = 0.05,
    **more: Any,
) -> None:
    """Run *play* in a world in which *names* are collected."""

    async def main() -> None:
        clock = running_clock()
        await asyncio.sleep(7)  # not at the very turn of a minute
        registry = Registry()
        market = SeededMarket(seed, clock.now_ns() - DAY_NS, instruments, synthetic_count=synthetic_count)
        servers: dict[str, VenueServer] = {}
        for venue in {Series.parse(name).venue: None for name in names}:
            make = registry.load(venue).simulate
            assert make is not None
            servers[venue] = make(market)
        rng = random.Random(seed)
        transport = MemoryTransport(list(servers.values()), clock, latency_s=latency_s, rng=rng)
        counted, store = Counted(transport), Kept()
        collector = Collector(store, registry=registry, transport=counted, clock=clock, rng=rng, **more)
        async with collector:
            world = World(market, servers, transport, counted, store, collector)
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
