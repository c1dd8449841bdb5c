"""A whole simulated run: venues, a store, a collector that dies and comes back, and what befalls them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import attrs

from tests.simulation import harbour
from tests.simulation.acting import LATENCY_S, Acting
from tests.simulation.basin import Basin, Pipe
from tests.simulation.claims import Claims
from tests.simulation.clocks import TrueClock, WallClock
from tests.simulation.harbour_server import HarbourServer
from tests.simulation.journal import Journal
from tests.simulation.life import Heard, Life, Listening, accounts_of, made
from tests.simulation.passage import Ledgers, Passage, sights_of
from tests.simulation.pools import BALANCED
from tests.simulation.roll import Roll
from tests.simulation.sampler import Sampler, sight_of
from tests.simulation.script import Script
from tests.simulation.shelf import Shelf, Weather
from tests.simulation.venues import Venues
from tests.simulation.ways import Way
from wickwire import DAY_NS, SECOND_NS, Feed, Series
from wickwire.description import OhlcvSupport
from wickwire.news import Rotation
from wickwire.registry import Registry
from wickwire.simulate import DEFAULT_LISTINGS, SeededMarket
from wickwire.simulate.loops import running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire.simulate.server import VenueServer
from wickwire_sqlite.store import SqliteStore

__all__ = ["LATENCY_S", "Stage", "acted"]

APART_S: Final = 1.8
"""How much slower one connection may be than another to the same venue; a little less than a topic has to be
on both before it changes, so that nothing that is told on either may be lost."""

MARKET_NS: Final = 2 * DAY_NS
"""So long before the run the market begins."""

OFF_S: Final = (-3.0, 2.0, 4.0)
"""By how much the clock of every fifth machine is wrong all the time."""

PARTING_S: Final = 60.0
SINK_WELL_S: Final = 300.0
"""So long before the end nothing befalls the sink any more."""
IDLE_S: Final = 330.0
"""How long it is looked whether what was left ends, and whether a connection for history alone does."""


@attrs.define(eq=False)
class Stage:
    """Everything that one run is made of, and what was seen of it.

    Attributes:
        script: What is played.
        venues: The truth.
        true: The venues' clock.
        wall: The collector's.
        line: What lies between.
        books: What passed there.
        weather: What befalls the store.
        heard: What was handed out.
        journal: The log.
        file: The store's.
        series: What shall be collected now.
        life: The collector that lives now.
        lives: How many there were.
        stops: How long each orderly stop took, in seconds.
        healed_ns: When the last trouble was over.
        spans: When each act began and ended, by its number, in true time.
        sampler: What health said.
        roll: What the venues' servers saw.
        left: What was left at the end, when, and when data of it came last.
        open_at_last: Where streams lead that were open when all was left.
        basin: What went into the sink.
        claims: Which buckets the store called empty, and when.
        reads: What was read of history: series, since when, from when until when that took, and what came.
        gone: Which series was not wanted any more, for a while, and since when.
        rotated: What came of each replacement while all was well: when, where, whether it was done, how many
            topics were interrupted, and why.
        forgotten: When something was forgotten on purpose, and before when it had opened.
        dawdled: Trades that there were for one who reads too slowly, and those that it took or knows it lost.
        waiting: Who waits to hear that connections were replaced: since when, and of which venue.
        replacing: When somebody wanted connections replaced, and of which venue.
        acting: What plays the troubles.
    """

    script: Script
    venues: Venues
    true: TrueClock
    wall: WallClock
    line: MemoryTransport
    books: Ledgers
    weather: Weather
    heard: Heard
    journal: Journal
    file: Path
    registry: Registry
    series: dict[str, None]
    sampler: Sampler
    roll: Roll
    claims: Claims
    basin: Basin
    life: Life | None = None
    lives: int = 0
    stops: list[float] = attrs.field(factory=list)
    healed_ns: int = 0
    spans: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    supports: dict[str, OhlcvSupport] = attrs.field(factory=dict)
    planned: dict[str, str] = attrs.field(factory=dict)
    news: int = 0
    unanswered: int = 0
    left: list[tuple[str, int, int]] = attrs.field(factory=list)
    open_at_last: list[str] = attrs.field(factory=list)
    reads: list[tuple[str, int, int, int, Sequence[int]]] = attrs.field(factory=list)
    gone: list[tuple[str, int]] = attrs.field(factory=list)
    rotated: list[tuple[int, str, bool, int, str]] = attrs.field(factory=list)
    forgotten: list[tuple[int, int]] = attrs.field(factory=list)
    dawdled: tuple[int, int] | None = None
    waiting: list[tuple[int, str]] = attrs.field(factory=list)
    replacing: list[tuple[int, str]] = attrs.field(factory=list)
    acting: Acting = attrs.field(init=False)
    _tasks: asyncio.TaskGroup | None = None
    _errands: list[asyncio.Task[None]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        """Let somebody play the troubles."""
        self.acting = Acting(self)

    async def play(self) -> None:
        """Play the whole script; the last life still lives afterwards."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self.begin()
            await self._note_plans()
            self.healed_ns = self.true.now_ns()
            sampling = tasks.create_task(self.sampler.run(self), name="sampler")
            moments = sorted(
                [(act.since_s, act.number, act, True) for act in self.script.acts]
                + [(act.until_s, act.number, act, False) for act in self.script.acts if not act.trouble.once],
                key=lambda moment: (moment[0], moment[1], not moment[3]),
            )
            for at_s, _, act, begins in moments:
                await asyncio.sleep(max(0.0, began_s + at_s - loop.time()))
                began_ns = self.true.now_ns()
                await (self.acting.befall(act) if begins else self.acting.heal(act))
                self.roll.forgive(self, act, loop.time(), begins=begins)
                if not act.trouble.is_quiet:
                    self.healed_ns = self.true.now_ns()
                    self.books.mark()
                self.spans[act.number] = (self.spans.get(act.number, (began_ns, 0))[0], self.true.now_ns())
            await asyncio.sleep(max(0.0, began_s + self.script.hours * 3_600.0 - loop.time()))
            sampling.cancel()
            await self.sampler.at_the_end(self)
            if self.life is not None and self.sampler.last is not None:
                self.dawdled = self.life.dawdler.account(self.sampler.last)
            await self._part()
            await self.leave()

    async def _part(self) -> None:
        """Leave one series of each venue, then the others: nothing of them shall be asked for any more."""
        life = self.life
        assert life is not None
        last = {Series.parse(name).venue: name for name in self.series}
        sights = {one.series: sight_of(one.series, one.rung) for one in life.collector.health().series}
        for chosen in (list(last.values()), list(self.series)):
            for name in chosen:
                self.series.pop(name, None)
                await life.collector.remove(name)
            left_ns = self.true.now_ns()
            await asyncio.sleep(PARTING_S)
            wanted = {sights[Series.parse(name)] for name in self.series}
            self.left += [
                (name, left_ns, self.books.data_ns.get(sight, 0))
                for name in chosen
                if (sight := sights[Series.parse(name)]) not in wanted and not sight.startswith("rest")
            ]
        await asyncio.sleep(IDLE_S)
        self.open_at_last = [stream.host for stream in life.passage.streams]

    async def _note_plans(self) -> None:
        """Note how everything is to be collected, once it is."""
        life = self.life
        assert life is not None
        await life.begun.wait()
        for plan in life.collector.plan():
            self.planned[str(plan.series)] = plan.rung.value
            if plan.support is not None:
                self.supports[str(plan.series)] = plan.support

    # ---------------------------------------------------------------------------------------- lives

    async def begin(self) -> None:
        """Let a collector begin to live."""
        self.lives += 1
        store = SqliteStore(self.file, inline=True, power_safe=False)
        rng = random.Random(f"life/{self.script.seed}/{self.lives}")
        shelf = Shelf(store, self.weather, self.journal, random.Random(rng.random()), self.claims)
        passage = Passage(self.line, self.books, self.lives)
        ways = {name: self._given(way) for name, way in self.script.ways.items()}
        where = shelf, passage, self.heard, self.registry, self.wall, rng
        more: dict[str, Any] = {"accounts": accounts_of(self.script.narrow, self.script.berths)}
        more["sinks"] = {"basin": Pipe(self.basin, shelf)}
        if self.script.balanced:
            more["least_moved"] = BALANCED
        feeds = [name for name in self.script.series if Series.parse(name).what is Feed.TRADES]
        life = made(self.lives, self.series, *where, feeds=feeds, ways=ways, **more)
        self.journal.note("life", self.lives)
        assert self._tasks is not None
        life.task = self._tasks.create_task(_ended(life), name=f"life {self.lives}")
        self.life = life

    def _given(self, way: Way) -> dict[str, Any]:
        """Return what the collector is told of *way*."""
        given: dict[str, Any] = {"priority": True} if way.priority else {}
        if way.polled:
            given["route"] = "poll"
        if way.past_min:
            given["since"] = self.script.starts_ns - round(way.past_min * 60.0 * SECOND_NS)
        return given

    async def leave(self) -> None:
        """Stop the collector in order."""
        life, loop = self.life, asyncio.get_running_loop()
        assert life is not None
        assert life.task is not None
        began_s = loop.time()
        life.leave.set()
        if not life.begun.is_set():
            life.task.cancel()
        await asyncio.wait([life.task])
        self.stops.append(loop.time() - began_s)
        self.journal.note("left", life.number)
        self._bury(life)

    async def kill(self) -> None:
        """End the collector as SIGKILL would."""
        life = self.life
        assert life is not None
        assert life.task is not None
        await life.kill()
        self.journal.note("killed", life.number)
        self._bury(life)

    async def replace(self, life: Life, venue: str, number: int | None = None) -> Sequence[Rotation]:
        """Let a collector replace its connections to a venue, or one; return what became of it."""
        self.replacing.append((self.true.now_ns(), venue))
        return await life.collector.rotate(venue, number=number)

    def run_errand(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        """Do something beside all the rest, for as long as the collector lives that lives now."""
        assert self._tasks is not None
        self._errands = [task for task in self._errands if not task.done()]
        self._errands.append(self._tasks.create_task(errand, name=name))

    def _bury(self, life: Life) -> None:
        for task in self._errands:
            task.cancel()
        self.news += life.shelf.news
        self.unanswered += life.shelf.unanswered
        self.life = None


async def _ended(life: Life) -> None:
    """Live, and end without a word where it was killed."""
    try:
        await life.live()
    except asyncio.CancelledError:
        if not life.dead and not life.leave.is_set():
            raise


def _servers(script: Script, registry: Registry, market: SeededMarket) -> dict[str, VenueServer]:
    """Return the simulated venues that *script* needs, with the habits that it gives them."""
    servers: dict[str, VenueServer] = {}
    for venue in dict.fromkeys(Series.parse(name).venue for name in script.series):
        make = registry.load(venue).simulate
        assert make is not None
        server = servers[venue] = make(market)
        if isinstance(server, HarbourServer):
            server.habits = script.habits
        if venue == "dxlink" and script.login_ahead_s:
            server.inject("login_clock", ahead_s=script.login_ahead_s)
    return servers


@contextlib.asynccontextmanager
async def acted(
    script: Script, *, out: IO[str] | None = None, lots: bool = True, lively: int = 1
) -> AsyncIterator[Stage]:
    """Play *script* on the running virtual loop, and hand over all that was seen of it.

    Args:
        script: What is played.
        out: Where the log is written.
        lots: How long everything takes is drawn by lot; else the line and the store always take the same.
        lively: How many times more trades there are than usual.
    """
    true = TrueClock(running_clock())
    off_s = 0.0 if script.seed % 5 else random.Random(f"clock/{script.seed}").choice(OFF_S)
    wall = WallClock(true, off_ns=round(off_s * SECOND_NS))
    registry = Registry(adapters={"harbour": harbour})
    listings = [
        attrs.evolve(listing, trades_per_session=listing.trades_per_session * lively)
        for listing in DEFAULT_LISTINGS
    ]
    market = SeededMarket(script.seed, true.now_ns() - MARKET_NS, listings)
    servers = _servers(script, registry, market)
    hosts = {
        urlsplit(origin).netloc: venue
        for venue, server in servers.items()
        for origin in (*server.stream_origins, *server.rest_origins)
    }
    journal = Journal(true, out)
    rng = random.Random(f"line/{script.seed}")
    line = MemoryTransport(
        list(servers.values()), true, latency_s=LATENCY_S, apart_s=APART_S, rng=rng if lots else None
    )
    heard = Heard(true.now_ns)
    listening = Listening(heard)
    logger = logging.getLogger("wickwire")
    logger.addHandler(listening)
    try:
        with tempfile.TemporaryDirectory(prefix="wickwire-simulation-") as folder:
            stage = Stage(
                script=script,
                venues=Venues(market=market, servers=servers, clock=true),
                true=true,
                wall=wall,
                line=line,
                books=Ledgers(journal, true.now_ns, hosts, sights_of([*map(Series.parse, script.series)])),
                weather=Weather(pace_s=0.001 if lots else 0.0),
                heard=heard,
                journal=journal,
                file=Path(folder) / "candles.db",
                registry=registry,
                series=dict.fromkeys(script.series),
                sampler=Sampler(),
                roll=Roll(),
                claims=Claims(true.now_ns),
                basin=Basin(
                    journal,
                    random.Random(f"sink/{script.seed}"),
                    asyncio.get_running_loop().time() + script.hours * 3_600.0 - SINK_WELL_S,
                ),
            )
            await stage.play()
            yield stage
    finally:
        logger.removeHandler(listening)
