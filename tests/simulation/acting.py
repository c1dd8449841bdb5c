"""How troubles are played: what each does to venues, line, store, clock, process and host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tests.simulation.forgetting import FORGETTING, forget
from tests.simulation.guests import Guests
from tests.simulation.pools import POOLED
from tests.simulation.sampler import sight_of
from tests.simulation.trouble import Trouble
from wickwire import HOUR_NS, SECOND_NS, Rung, Series, StoreError, Timeframe, UsageError, WickwireError
from wickwire.simulate.loops import VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.script import Act
    from tests.simulation.stage import Stage

__all__ = ["LATENCY_S", "Acting"]

LATENCY_S: Final = 0.05

SWAPPED_S: Final = 1.0
CROWDED_S: Final = 3.2
"""After so long series that were left are wanted again; the latter is after all that may have been on its way
to the venue when it sent somebody away, and before anybody should come back."""

BACKLOG_NS: Final = 30 * HOUR_NS
"""How far back history is wanted while the store is slow: a page is with the store already, more than may
wait for it come behind, and then there is some left."""

LONG_PAST: Final = ("coinbase:SOL/USD@1m", "coinbase:ETH/USD@1m")
"""Of what it is wanted, collected or not: its pages are shorter than what may wait."""

DEAF_VENUES: Final = ("kraken", "coinbase")
"""Who can confirm a subscription and bring nothing of it."""

BUSY_S: Final = (4, 7)
"""Between when after the beginning of a rotation something has to be traded: later than what was told before,
and sooner than a silence counts as a proof that nothing is traded."""

LONGEST_LOOK_S: Final = 60


class Acting:
    """Plays troubles on a stage."""

    def __init__(self, stage: Stage) -> None:
        """Play nothing yet."""
        self._stage = stage
        self.guests = Guests(stage, self._note_company)
        self._rotating = asyncio.Lock()
        self._absent: dict[str, tuple[int, str]] = {}

    # ------------------------------------------------------------------------------- beginning and ending

    async def befall(self, act: Act) -> None:
        """Let a trouble begin."""
        stage, trouble = self._stage, act.trouble
        stage.journal.note("fault", act.number, trouble)
        match trouble.place:
            case "line":
                self._disturb(act)
            case "store":
                self._cloud(act)
            case "clock":
                stage.wall.wrong_ns = round(trouble.details["by_s"] * SECOND_NS)
            case "machine":
                self._halt(trouble)
            case "process":
                await (stage.kill() if trouble.name == "killed" else stage.leave())
                await asyncio.sleep(trouble.details["away_s"])
                await stage.begin()
            case "roster":
                await self._take_off([self._lot_of(act, list(stage.script.series))])
            case "host" | "connections":
                self._be_asked(act)
            case "pool":
                self._crowd(act)
            case "calm" | "guest":
                await self._go_unnoticed(act)
            case _:
                assert trouble.fault is not None
                stage.venues.inject(trouble.fault)

    def _cloud(self, act: Act) -> None:
        """Let the store be in trouble, or give it much to do while it is slow."""
        stage, trouble = self._stage, act.trouble
        details = dict(trouble.details)
        if trouble.name == "one_series":
            details["series"] = self._lot_of(act, list(stage.script.series))
        stage.weather.on["slow" if trouble.name == "backlog" else trouble.name] = details
        if trouble.name == "backlog":
            self._want_the_past(act)

    async def heal(self, act: Act) -> None:
        """Let a trouble end."""
        stage, trouble = self._stage, act.trouble
        stage.journal.note("healed", act.number, trouble.tag)
        match trouble.place:
            case "line":
                self._calm(act)
            case "store":
                stage.weather.on.pop("slow" if trouble.name == "backlog" else trouble.name, None)
            case "clock":
                stage.wall.wrong_ns = 0
            case "roster":
                self._put_back([self._lot_of(act, list(stage.script.series))])
            case "host":
                stage.heard.raises &= trouble.name != "raises"
                stage.heard.pause_s = 0.0 if trouble.name == "slow_reader" else stage.heard.pause_s
            case "pool":
                if trouble.name == "thinned":
                    stage.line.refuse(self._origin_of_pool(act), refused=False)
                elif trouble.name == "lull":
                    stage.venues.servers[trouble.details["venue"]].inject("mute", on=False)
                stage.books.door.pop(act.number, None)
            case _:
                assert trouble.fault is not None
                stage.venues.heal(trouble.fault)

    # ------------------------------------------------------------------------------------------ the line

    def _disturb(self, act: Act) -> None:
        line, trouble, origin = self._stage.line, act.trouble, self._origin_of(act)
        match trouble.name:
            case "cut":
                line.cut(self._stream_of(act), code=trouble.details["code"])
            case "cut_all":
                line.cut()
            case "half_open":
                line.strand(self._stream_of(act))
            case "refuse":
                line.refuse(origin)
                line.cut(origin)
            case "mute":
                line.mute(origin)
            case _:
                line.latency_s = trouble.details["latency_s"]

    def _calm(self, act: Act) -> None:
        line = self._stage.line
        match act.trouble.name:
            case "refuse":
                line.refuse(self._origin_of(act), refused=False)
            case "mute":
                line.mute(self._origin_of(act), muted=False)
            case _:
                line.latency_s = LATENCY_S

    def _halt(self, trouble: Trouble) -> None:
        """Let time pass without the collector: asleep, its sockets are gone then; stopped, they live."""
        seconds = trouble.details["for_s"]
        if trouble.name == "asleep":  # the loop's clock stands still, as CLOCK_MONOTONIC does
            self._stage.true.slept_ns += round(seconds * SECOND_NS)
            self._stage.line.cut()
        else:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.leap(seconds)

    # ---------------------------------------------------------------------------------------- the roster

    async def _take_off(self, names: list[str]) -> None:
        """Want some series no more."""
        life = self._stage.life
        for name in names:
            self._stage.series.pop(name, None)
            self._stage.gone.append((name, self._stage.true.now_ns()))
            if life is not None and life.begun.is_set():
                self._note_absence(life, name)
                await life.collector.remove(name)

    def _put_back(self, names: list[str]) -> None:
        """Want them again, all at once."""
        stage = self._stage
        for name in names:
            self._note_return(name)
            self._note_company(name)
            stage.series[name] = None
            if stage.life is not None:
                stage.run_errand(self._add(stage.life, name), f"add {name}")

    async def _add(self, life: Life, name: str) -> None:
        """Let a series be collected again; a life that still begins may have passed it over."""
        await life.begun.wait()
        self._stage.books.seen_ns[f"added {name}"] = self._stage.true.now_ns()
        with contextlib.suppress(WickwireError):  # the collector may stop meanwhile
            await life.add(name)
            # it came now: a store that was slow to take what was found of it before may have kept it out
            self._stage.books.seen_ns[f"added {name}"] = self._stage.true.now_ns()

    def _note_absence(self, life: Life, name: str) -> None:
        """Note what brings a series that is left, where it is not wanted for another one too."""
        there = {str(one.series): one for one in life.collector.health().series}
        gone = there.pop(name, None)
        sight = "rest" if gone is None else sight_of(gone.series, gone.rung)
        others = {  # polled just now, and by its stream again before long
            sight_of(one.series, rung) for one in there.values() for rung in (one.rung, Rung.STREAM)
        }
        if sight not in others and not sight.startswith("rest"):
            self._absent[name] = self._stage.true.now_ns(), sight

    def _note_return(self, name: str) -> None:
        """Note when data came last of what was left."""
        if name in self._absent:
            left_ns, sight = self._absent.pop(name)
            self._stage.left.append((name, left_ns, self._stage.books.data_ns.get(sight, 0)))

    def _note_company(self, name: str) -> None:
        """Note when data came last of what was left, as somebody wants something of the same symbol now."""
        guest = Series.parse(name)
        for gone in [*self._absent]:
            one = Series.parse(gone)
            if (one.venue, one.symbol) == (guest.venue, guest.symbol):
                self._note_return(gone)

    # ----------------------------------------------------------------------------------------- the host

    def _be_asked(self, act: Act) -> None:
        """Let the host be as hosts are, or ask for what should harm nobody."""
        stage, life = self._stage, self._stage.life
        if act.trouble.name == "raises":
            stage.heard.raises = True
        elif act.trouble.name == "slow_reader":
            stage.heard.pause_s = 5.0
        elif life is None or not life.begun.is_set():
            pass
        elif act.trouble.name == "rotate":
            venues = [one.venue for one in life.collector.health().venues]
            rotating = stage.replace(life, self._lot_of(act, venues))
            stage.run_errand(_asked(rotating), "rotate")
        else:
            name = self._lot_of(act, list(stage.series))
            with contextlib.suppress(UsageError):  # it is being added just now
                life.collector.prioritise(name, on=bool(act.lot % 2))

    def _want_the_past(self, act: Act) -> None:
        """Ask for the history of many hours."""
        stage, life = self._stage, self._stage.life
        if life is not None and life.begun.is_set() and "coinbase" in stage.venues.servers:
            stage.run_errand(self._read(life, self._lot_of(act, LONG_PAST)), "reading the past")

    async def _read(self, life: Life, name: str) -> None:
        """Read what history holds, and note what came: nothing of it where the process ended before."""
        stage, opens = self._stage, list[int]()
        since_ns, called_ns = stage.script.starts_ns - BACKLOG_NS, stage.true.now_ns()
        with contextlib.suppress(StoreError, UsageError):
            async for rows in life.collector.history(name, since_ns):
                opens += [row.open_ns for row in rows]
            if not life.dead and not life.leave.is_set():
                stage.reads.append((name, since_ns, called_ns, stage.true.now_ns(), opens))

    # ---------------------------------------------------------------------------------------- the pools

    def _crowd(self, act: Act) -> None:
        """Let something befall one connection of a venue, and what is wanted there."""
        stage, trouble, origin = self._stage, act.trouble, self._origin_of_pool(act)
        if trouble.name == "swapped":
            stage.run_errand(self._swap(act, SWAPPED_S), "swap")
            return
        if trouble.name == "lull":
            stage.venues.servers[trouble.details["venue"]].inject("mute")
            stage.line.cut(origin)
            return
        if trouble.name == "thinned":
            stage.line.refuse(origin)
        elif trouble.name == "turned_away":
            details = trouble.details
            retry_after_s = details.get("retry_after_s")
            stage.books.door[act.number] = urlsplit(origin).netloc, details["status"], retry_after_s
        there = [one for one in stage.line.open_streams if str(one.origin) == origin]
        if there:
            there[act.lot % len(there)].cut(trouble.details.get("code", 1006))
        if trouble.name == "crowded":
            stage.run_errand(self._swap(act, CROWDED_S), "swap")

    async def _swap(self, act: Act, back_s: float) -> None:
        """Want nothing of a venue but its first series for a while, and then all again.

        Where nothing else befalls its connections, they are being replaced meanwhile.
        """
        stage, venue = self._stage, self.venue_of(act)
        series = [Series.parse(name) for name in stage.script.series]
        names = [
            str(one)
            for one in series
            if one.venue == venue and isinstance(one.what, Timeframe) and str(one) in stage.series
        ][1:]
        await asyncio.sleep(LATENCY_S)
        life = stage.life
        if act.trouble.name == "swapped" and names and life is not None and life.begun.is_set():
            stage.run_errand(_asked(stage.replace(life, venue)), f"rotate {venue}")
            await asyncio.sleep(SWAPPED_S)
        try:
            await self._take_off(names)
            await asyncio.sleep(back_s)
        finally:  # also for the next life, where this one ends before
            self._put_back(names)

    async def _go_unnoticed(self, act: Act) -> None:
        """Let connections be replaced, old candles be forgotten, or a series come that nobody else wants."""
        if act.trouble.place == "guest":
            self.guests.come(act)
        elif act.trouble.name == FORGETTING.name:
            await forget(self._stage, act.lot)
        else:
            self._replace(act)

    def _replace(self, act: Act) -> None:
        stage, life = self._stage, self._stage.life
        feeds = [Series.parse(name).venue for name in stage.series if name.endswith("@trades")]
        venues = [venue for venue in POOLED if venue in (feeds or stage.venues.servers)]
        if act.trouble.name == "deaf":
            venues = [
                one for one in DEAF_VENUES if one in stage.venues.servers and one not in stage.script.narrow
            ]
        if life is None or not life.begun.is_set() or not venues:
            return
        venue = self._lot_of(act, venues)
        replacing = self._deafened(life, venue) if act.trouble.name == "deaf" else self._rotated(life, venue)
        stage.run_errand(replacing, f"{act.trouble.name} {venue}")

    async def _rotated(self, life: Life, venue: str) -> None:
        async with self._rotating:
            self._stage.waiting.append((self._stage.true.now_ns(), venue))
            rotations = await self._stage.replace(life, venue)
            self._stage.waiting.pop()
        at_ns = self._stage.true.now_ns()
        self._stage.rotated += [(at_ns, venue, one.replaced, one.broken, one.trouble) for one in rotations]

    async def _deafened(self, life: Life, venue: str) -> None:
        """Replace a connection by one that is confirmed and brings nothing; then all is well again."""
        stage, server = self._stage, self._stage.venues.servers[venue]
        async with self._rotating:
            for _ in range(LONGEST_LOOK_S):
                if self._is_busy_soon():
                    break
                await asyncio.sleep(1.0)
            else:
                return
            [number, *_] = [
                link.number
                for told in life.collector.health().venues
                for link in told.links
                if told.venue == venue and any(one.topic.symbol == "BTC/USD" for one in link.subscriptions)
            ] or [0]
            server.inject("silent_ack")
            try:
                await stage.replace(life, venue, number)
            finally:
                server.inject("silent_ack", on=False)
            stage.journal.note("deaf", venue)

    def _is_busy_soon(self) -> bool:
        now_ns = self._stage.true.now_ns()
        since_ns, until_ns = (now_ns + after_s * SECOND_NS for after_s in BUSY_S)
        return bool(self._stage.venues.market.trades("BTC/USD", since_ns, until_ns))

    # ------------------------------------------------------------------------------------------- by lot

    def venue_of(self, act: Act) -> str:
        """Return which venue a trouble concerns; empty where it is all of them."""
        if act.trouble.fault is not None:
            return act.trouble.place
        if act.trouble.place == "roster":
            return Series.parse(self._lot_of(act, list(self._stage.script.series))).venue
        venue_of = self._stage.books.venue_of
        if act.trouble.place == "pool":
            return venue_of[urlsplit(self._origin_of_pool(act)).netloc]
        if act.trouble.name in {"cut", "half_open"}:
            return venue_of[urlsplit(self._stream_of(act)).netloc]
        if act.trouble.name in {"refuse", "mute"}:
            return venue_of[urlsplit(self._origin_of(act)).netloc]
        return ""

    def _origin_of(self, act: Act) -> str:
        servers = self._stage.venues.servers.values()
        origins = [origin for one in servers for origin in (*one.stream_origins, *one.rest_origins)]
        return str(self._lot_of(act, origins))

    def _stream_of(self, act: Act) -> str:
        servers = self._stage.venues.servers.values()
        return str(self._lot_of(act, [origin for one in servers for origin in one.stream_origins[:1]]))

    def _origin_of_pool(self, act: Act) -> str:
        """Return where streams of a venue lead that has several, or one that several series share."""
        servers, narrow = self._stage.venues.servers, self._stage.script.narrow
        if act.trouble.name == "lull":
            return str(servers[act.trouble.details["venue"]].stream_origins[0])
        shared = [venue for venue in POOLED if venue in servers and narrow.get(venue) != 1]
        if act.trouble.name == "swapped" and shared:
            return str(servers[self._lot_of(act, shared)].stream_origins[0])
        several = [venue for venue in servers if venue == "harbour" or narrow.get(venue) == 1]
        streamed = [venue for venue in servers if servers[venue].stream_origins]
        return str(servers[self._lot_of(act, several or streamed)].stream_origins[0])

    @staticmethod
    def _lot_of(act: Act, choices: Sequence[str]) -> str:
        return choices[act.lot % len(choices)]


async def _asked(asking: Awaitable[object]) -> None:
    await asking
