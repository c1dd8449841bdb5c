"""A service of somebody else's: it makes a collector, owns it, and uses all that it offers."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import assert_type

from going_out import Newest, Processes, Purse, Shelf
from keeping import Counted
from telling import advice, is_sound, news, report

from wickwire import (
    HOUR_NS,
    Account,
    AccountResolver,
    Adapter,
    Audited,
    Backoff,
    Bound,
    CandleFault,
    CandleReader,
    Clock,
    Collector,
    Cost,
    EventListener,
    EventReader,
    FallBack,
    FaultyCandle,
    FeedReader,
    HistoryReader,
    Hold,
    HotMemory,
    HungHook,
    Listener,
    News,
    PastCandles,
    PastTrades,
    Plan,
    PlanError,
    Policy,
    RangeAudit,
    Registry,
    Retention,
    Rotation,
    Series,
    SeriesCandle,
    SeriesQuote,
    SeriesReader,
    SeriesTrade,
    Stream,
    SystemClock,
    Timeframe,
    Transport,
    Utc,
    Watchdog,
    WickwireError,
    load_adapter,
    rebuilt,
)
from wickwire.config import CollectorConfig, Config, PluginsConfig, VenueConfig, parse_config, read_config

BITCOIN = "kraken:BTC/USD@1m"
TRADES = "kraken:BTC/USD@trades"
QUOTES = "kraken:BTC/USD@quotes"
SETTINGS = """
series = ["kraken:BTC/USD@1m"]
[venues.kraken.backoff]
preset = "eager"
"""


class Host:
    """Collects one symbol in three ways, and keeps what it was told."""

    def __init__(self, transport: Transport, clock: Clock, *, world: str) -> None:
        self.config: Config = parse_config(SETTINGS)
        assert_type(self.config.collector, CollectorConfig)
        assert_type(self.config.plugins, PluginsConfig)
        venue: VenueConfig = self.config.venue("kraken")
        self.store, self.shelf, self.processes = Counted(), Shelf(100_000), Processes()
        self.told: list[str] = []
        self.seen: list[SeriesCandle] = []
        self.clock = clock
        self.registry = Registry(allow=["kraken", "sqlite"])
        self.watchdog = Watchdog(self.registry, HungHook.REPORT)
        accounts: AccountResolver = self.account
        self.collector = Collector(
            self.store,
            sinks={"shelf": self.shelf},
            hot=HotMemory(Bound.LRU, 10),
            keep_trades=True,
            retention=Retention(candles="400d"),
            registry=self.registry,
            transport=transport,
            accounts=accounts,
            backoff={"kraken": venue.backoff, "yahoo": Backoff(cap_s=30.0)},
            clock=clock,
            rng=random.Random(1),
            watchdog=self.watchdog,
            world=world,
            status=self.processes,
        )

    def account(self, venue: str) -> Account | Awaitable[Account]:
        return self.config.account(venue, {})

    async def closed(self, candle: SeriesCandle) -> None:
        if is_sound(candle):
            self.seen.append(candle)

    def happened(self, one: News) -> None:
        self.told.append(news(one))

    async def run(self, candles: int) -> None:
        """Collect until so many candles came."""
        on_candle: Listener = self.closed
        on_event: EventListener = self.happened
        async with self.collector as collector:
            for plan in assert_type(collector.plan(BITCOIN, TRADES, QUOTES), Sequence[Plan]):
                cost: Cost = plan.cost
                self.told.append(f"{plan.series} by {plan.rung} for {cost.connections} connections")
                assert_type(await collector.add(plan.series), Series)
            stop_candles, stop_events = collector.on_candle(on_candle), collector.on_event(on_event)
            collector.on_switch(lambda switch: self.told.append(switch.why))
            reader: CandleReader = collector.candles(BITCOIN, policy=Policy.WAIT)
            trades: FeedReader[SeriesTrade] = collector.trades()
            quotes: FeedReader[SeriesQuote] = collector.quotes(policy=Policy.CONFLATE)
            events: EventReader = collector.events()
            for _ in range(candles):
                self.told.append(str((await anext(reader)).close))
            self.told += [(await anext(trades)).id, str((await anext(quotes)).bid), news(await anext(events))]
            await self.look(collector)
            stop_candles()
            stop_events()
            await collector.stop(drain=5.0)

    async def look(self, collector: Collector) -> None:
        """Use all that can be asked."""
        since_ns = self.clock.now_ns() - HOUR_NS
        self.told += [*report(collector.health())]
        holds: Sequence[Hold] = collector.health().holds
        self.told.append(f"{len(holds)} holds, {collector.listener_errors} errors")
        assert_type(await collector.latest(BITCOIN), SeriesCandle | SeriesTrade | SeriesQuote | None)
        collector.prioritise(BITCOIN)
        could: FallBack = collector.could_fall_back()
        self.told += [str(one) for one in could.fits]
        pages: HistoryReader = collector.history(BITCOIN, since_ns)
        async for page in pages:
            self.told.append(f"{len(page)} of the past")
        self.told += [f"{hole.kind} since {hole.since_ns}" for hole in pages.holes or ()]
        async for past in collector.walk(BITCOIN, since_ns):
            self.told.append(f"{len(assert_type(past, PastCandles).candles)} walked")
        async for gone in collector.walk_trades(TRADES, since_ns):
            self.told.append(f"{len(assert_type(gone, PastTrades).trades)} trades")
        audited: Audited = await collector.audit(BITCOIN, since_ns)
        self.told.append(f"sound: {audited.sound}")
        hot: SeriesReader = collector.reader(BITCOIN)
        self.told.append(f"{len(await hot.range(since_ns))} read")
        self.told += [one.why for one in assert_type(await collector.rotate("kraken"), Sequence[Rotation])]
        try:
            await collector.add("kraken:BTC/USD@7m")
        except PlanError as error:
            self.told.append(advice(error))
        with suppress(WickwireError):
            await collector.remove(QUOTES)
        await self.check(hot.series, since_ns)

    async def check(self, series: Series, since_ns: int) -> None:
        """Look at what the store holds, with no collector."""
        until_ns = self.clock.now_ns()
        found: RangeAudit | None = await self.store.audit(series, since_ns, until_ns, grid=Utc())
        faults: Mapping[CandleFault, int] = {} if found is None else found.faults
        faulty: Sequence[FaultyCandle] = () if found is None else found.faulty
        self.told.append(f"{sum(faults.values())} faults, {len(faulty)} named")
        minute = Timeframe.parse("1m")
        async for candle in rebuilt(self.store, Series.parse(TRADES), minute, Utc(), since_ns, until_ns):
            self.told.append(f"rebuilt {candle.close}")


def others() -> tuple[Adapter, SystemClock, Purse, Newest]:
    """Return what else a host may want to hold."""
    return load_adapter("kraken"), SystemClock(), Purse(), Newest()


async def first_frame(stream: Stream) -> bytes:
    """Return what a venue says first, for a transport of one's own."""
    return await stream.receive()


__all__ = ["Host", "first_frame", "others", "read_config"]
