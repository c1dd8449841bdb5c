"""Where the venues of one run are, and what time it is there: real, simulated, or recorded.

Nothing else differs: adapters and collector see the venues' own addresses, the transport's redirects lead to
loopback instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.cli.elsewhere import origins_of
from wickwire.clock import Clock, LoopClock, SystemClock
from wickwire.errors import UsageError
from wickwire.model import DAY_NS, HOUR_NS, MINUTE_NS, Feed, Series, Utc, iso, when

if TYPE_CHECKING:
    from wickwire.cli.options import Moment
    from wickwire.registry import Registry
    from wickwire.simulate import SeededMarket
    from wickwire.simulate.loopback import Loopback
    from wickwire.simulate.server import VenueServer

__all__ = [
    "World",
    "loop_clock",
    "opening_ns",
    "real",
    "replayed",
    "seed_of",
    "simulated",
    "simulated_world",
]

HISTORY_NS: Final = 3 * DAY_NS
"""How long before its first moment a simulated market began to trade, at least."""
WHOLE_BUCKETS: Final = 2
"""So many candles of the longest timeframe asked for lie before that moment, none of them cut short."""
_SIMULATED: Final = "simulated venues, seed "
_PLAN: Final = "plan"
"""What tells a simulated venue which plan its keys are of: where plans differ, that is one of its faults."""
_SETTLED_NS: Final = 10 * MINUTE_NS
_LEFT_NS: Final = HOUR_NS
_FARTHEST_NS: Final = 7 * DAY_NS


@attrs.frozen(kw_only=True)
class World:
    """What a collector is to be given.

    Attributes:
        clock: What time it is.
        redirects: Origin to origin.
        confined: Why nothing else may be asked; empty where real venues may be.
        market: The truth, where it is simulated.
        servers: Simulated or recorded venues, by name.
        streams: How many streams are open to these; asked when it matters.
        speaking: Whether a recorded venue is in the middle of what it has to say.
        told_ns: When one last said something new; None where none has, or none is recorded.
        note: What a person should know about it; may be empty.
    """

    clock: Clock
    redirects: Mapping[str, str]
    confined: str = ""
    market: SeededMarket | None = None
    servers: Mapping[str, VenueServer] = attrs.field(factory=dict)
    streams: Callable[[], int] = attrs.field(default=lambda: 0)
    speaking: Callable[[], bool] = attrs.field(default=lambda: False)
    told_ns: Callable[[], int | None] = attrs.field(default=lambda: None)
    note: str = ""


def simulated_world(seed: int) -> str:
    """Return whose candles a simulated market of *seed* makes, as a store and a recording keep it."""
    return f"{_SIMULATED}{seed}"


def seed_of(world: str) -> int | None:
    """Return the seed of a simulated world; None for any other."""
    seed = world.removeprefix(_SIMULATED)
    return int(seed) if seed != world and seed.removeprefix("-").isdecimal() else None


def loop_clock(start_ns: int | None = None) -> Clock:
    """Return a clock that goes as fast as the running loop, and says *start_ns* (else the present) now."""
    loop = asyncio.get_running_loop()
    return LoopClock(loop, SystemClock().now_ns() if start_ns is None else start_ns, loop.time())


def real(redirects: Mapping[str, str], at_ns: int | None = None, *, confined: str = "") -> World:
    """Return the world as it is, or as it was at *at_ns*; *confined* as in a `World`."""
    clock = SystemClock() if at_ns is None else loop_clock(at_ns)
    return World(clock=clock, redirects=redirects, confined=confined)


@asynccontextmanager
async def simulated(
    registry: Registry,
    series: Sequence[Series],
    *,
    seed: int,
    venues: Iterable[str] = (),
    plans: Mapping[str, str] | None = None,
    at_ns: int | None = None,
    since: Moment | None = None,
    not_before_ns: int = 0,
    port: int = 0,
) -> AsyncIterator[World]:
    """Serve the venues of *series*, and *venues*, on loopback.

    Args:
        registry: Where their adapters are.
        series: What will be asked for; the clock starts when all of it is traded.
        seed: Which market.
        venues: More venues.
        plans: Which plan the accounts are on, by venue; a simulated venue that knows plans is told.
        at_ns: When the clock starts, if that matters.
        since: History reaches back at least so far; and in any case far enough for whole candles of *series*.
        not_before_ns: The clock starts no earlier, as a store knows candles up to here.
        port: Of the first venue, the next for the second; 0 for any that are free.

    Raises:
        UsageError: A venue has no simulator or not that plan, or no such adapter is installed.
        ConfigError: The package that serves is not installed, or the port is taken.
    """
    from wickwire.simulate import SeededMarket

    now_ns = SystemClock().now_ns()
    if at_ns is None:
        symbols = [registry.load(one.venue).canonical(one.symbol) for one in series]
        at_ns = opening_ns(SeededMarket(seed, 0), symbols, now_ns, not_before_ns)
    market = SeededMarket(seed, _began_ns(at_ns, series, since))
    names = dict.fromkeys([*(one.venue for one in series), *venues])
    servers = {name: _simulator(registry, name, market, (plans or {}).get(name, "")) for name in names}
    clock = loop_clock(at_ns)
    async with _served(servers, clock, port) as served:
        note = (
            f"{simulated_world(seed)}: now {iso(at_ns - at_ns % MINUTE_NS)}, "
            f"history since {when(market.start_ns):%Y-%m-%d}"
        )
        yield World(
            clock=clock,
            redirects=served.redirects,
            confined=f"these are {simulated_world(seed)},",
            market=market,
            servers=servers,
            streams=lambda: served.streams,
            note=note,
        )


def _began_ns(at_ns: int, series: Sequence[Series], since: Moment | None) -> int:
    """Return when the market began: long enough ago for *since* and for whole candles of each series."""
    began = [at_ns - HISTORY_NS, at_ns if since is None else since.ns(at_ns) - DAY_NS]
    for timeframe in {one.timeframe for one in series if not isinstance(one.what, Feed)}:
        long_ago_ns = max(0, at_ns - WHOLE_BUCKETS * timeframe.nominal_ns)
        if long_ago_ns <= at_ns - HISTORY_NS:
            began.append(timeframe.open_at(long_ago_ns, Utc()))
    return max(0, min(began) // MINUTE_NS * MINUTE_NS)


def _simulator(registry: Registry, name: str, market: SeededMarket, plan: str) -> VenueServer:
    adapter = registry.load(name)
    if adapter.simulate is None:
        raise UsageError(
            f"adapter {name!r} has no simulated venue; leave --simulate out, or replay a recording"
        )
    server = adapter.simulate(market)
    if plan and _PLAN in server.faults:
        try:
            server.inject(_PLAN, name=plan)
        except ValueError as exc:
            raise UsageError(f"the simulated venue of adapter {name!r} has no plan {plan!r}: {exc}") from exc
    return server


def opening_ns(market: SeededMarket, symbols: Sequence[str], now_ns: int, not_before_ns: int = 0) -> int:
    """Return when simulated time should begin: the latest moment up to now at which all *symbols* are traded.

    Shares rest at night and at weekends, and a simulation in which nothing happens helps nobody. A moment
    counts when every session has been open for 10 minutes and stays open for an hour. Not before
    *not_before_ns*: what a store knows already would not happen again.
    """
    hours = [one.session for symbol in symbols if (one := market.instrument(symbol)) and one.session]

    def open_at(ns: int) -> bool:
        sessions = [one.session_at(ns) for one in hours]
        return all(
            session is not None and session[0] + _SETTLED_NS <= ns <= session[1] - _LEFT_NS
            for session in sessions
        )

    latest_ns = max(now_ns, not_before_ns)
    earlier = range(latest_ns, max(latest_ns - _FARTHEST_NS, not_before_ns) - 1, -10 * MINUTE_NS)
    later = range(latest_ns, latest_ns + _FARTHEST_NS, 10 * MINUTE_NS)
    return next((ns for candidates in (earlier, later) for ns in candidates if open_at(ns)), latest_ns)


@asynccontextmanager
async def replayed(
    registry: Registry,
    files: Sequence[Path],
    *,
    venue: str | None = None,
    speed: float = 1.0,
    at_ns: int | None = None,
    port: int = 0,
) -> AsyncIterator[World]:
    """Serve recordings on loopback.

    Args:
        registry: Where the adapters of their venues are.
        files: Recordings, plain captures, and folders of either.
        venue: Whose they are, where they do not say.
        speed: How many times faster than recorded.
        at_ns: When the clock starts; now by default.
        port: Of the first venue, the next for the second; 0 for any that are free.

    Raises:
        ConfigError: A file is no recording, or the port is taken.
        UsageError: The adapter of its venue is not installed, or neither says where that is.
    """
    from wickwire.simulate.replay import recorded_servers

    servers = recorded_servers(files, venue=venue, speed=speed)
    for name, server in servers.items():
        server.stand_in_for(*origins_of(registry.load(name)))
        if not (server.stream_origins or server.rest_origins):
            raise UsageError(
                f"a capture does not say where {name!r} is, and its adapter has no simulate() to tell; "
                "replay a recording of `wickwire record`, which says it"
            )
    clock = SystemClock() if at_ns is None else loop_clock(at_ns)
    async with _served(servers, clock, port) as served:
        yield World(
            clock=clock,
            redirects=served.redirects,
            confined=f"these are recorded venues ({', '.join(servers)}),",
            servers=servers,
            streams=lambda: served.streams,
            speaking=lambda: any(server.speaking for server in servers.values()),
            told_ns=lambda: max(
                (server.told_ns for server in servers.values() if server.told_ns is not None), default=None
            ),
            note=f"recorded venues: {', '.join(servers)}",
        )


@asynccontextmanager
async def _served(servers: Mapping[str, VenueServer], clock: Clock, port: int) -> AsyncIterator[Loopback]:
    from wickwire.simulate.loopback import serve

    async with serve(list(servers.values()), clock, ports=port) as served:
        yield served
