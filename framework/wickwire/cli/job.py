"""What was asked for on the command line, and the world in which it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.cache import Cache
from wickwire.cli.elsewhere import leads_elsewhere
from wickwire.cli.options import DEFAULT_SEED, Moment, range_ns
from wickwire.cli.settings import Settings
from wickwire.cli.stored import reading
from wickwire.cli.worlds import World, real, replayed, simulated, simulated_world
from wickwire.clock import SystemClock
from wickwire.errors import ConfigError, PlanError, StoreError, UsageError
from wickwire.instants import iso_second
from wickwire.model import HOUR_NS, MINUTE_NS, Feed, Rung, Series, iso
from wickwire.retention import Retention
from wickwire.shared import SharedBudget
from wickwire.sink import Sink
from wickwire.store import REAL, other_world, shown_store
from wickwire.transport.origins import redirect_table

if TYPE_CHECKING:
    from wickwire.collector import Collector

__all__ = ["PATIENCE_NS", "Job", "asking", "in_world", "made_budget", "made_hot", "made_sinks", "refuse"]

PATIENCE_NS: Final = MINUTE_NS

MOST_AHEAD_NS: Final = HOUR_NS
"""How far ahead of the clock a store may be: a clock that was set back a little heals itself."""


@attrs.frozen(kw_only=True)
class Job:
    """What was asked for on the command line.

    Attributes:
        settings: From the config; with secrets invented where the venues are simulated or recorded.
        series: What to collect.
        store: URL of the store.
        sinks: Where candles go beside it, by name; beside those of the config, where the venues are real.
        hot: Where the newest of them are at hand; None for where the config says, where the venues are real.
        budget: URL of where limits are shared, in place of the config's.
        keep_trades: Store trades, too.
        retention: How long what is kept; None forgets nothing.
        since: From when on, where it matters.
        until: Until when, where it matters.
        patience_ns: How long after that a candle may take to be proven closed.
        route: A pinned route.
        past_only: Nothing is collected live; only what history holds is wanted.
        redirects: Origin to origin, beside those of the config.
        record: File to record to.
        simulate: Use simulated venues.
        replay: Use these recordings.
        recorded: Whose candles these hold.
        seed: Which simulated market, here or where the redirects lead.
        speed: How fast time passes; None for as fast as it does.
        at: When the clock starts.
    """

    settings: Settings
    series: Sequence[Series]
    store: str
    sinks: Mapping[str, str] = attrs.field(factory=dict, repr=False)  # a URL may hold a password
    hot: str | None = attrs.field(default=None, repr=False)
    budget: str | None = attrs.field(default=None, repr=False)
    keep_trades: bool = False
    retention: Retention | None = None
    since: Moment | None = None
    until: Moment | None = None
    patience_ns: int = PATIENCE_NS
    route: str | None = None
    past_only: bool = False
    redirects: Mapping[str, str] = attrs.field(factory=dict)
    record: Path | None = None
    simulate: bool = False
    replay: Sequence[Path] = ()
    recorded: str = REAL
    seed: int | None = None
    speed: float | None = None
    at: Moment | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse options that contradict each other, and the past of what has none.

        Raises:
            UsageError: They do, or there is some.
        """
        if self.simulate and self.replay:
            raise UsageError(
                "--simulate and --replay: the venues are either simulated or recorded; choose one"
            )
        if (self.simulate or self.replay) and self.redirects:
            raise UsageError("--redirect: with --simulate or --replay the redirects are known; leave it out")
        elsewhere = self.redirects or self.settings.config.redirects
        if self.speed is not None and not (self.simulate or self.replay or (self.at and elsewhere)):
            raise UsageError(
                "--speed: real venues cannot be hurried; use it with --simulate or --replay, "
                "or with --at and --redirect"
            )
        if self.seed is not None and not (self.simulate or elsewhere):
            raise UsageError(
                "--seed: it chooses a simulated market; use it with --simulate, or with --redirect to tell "
                "whose candles come from there"
            )
        if self.budget is not None and (self.speed is not None or self.replay):
            raise UsageError(
                "--budget: it counts by a clock that cannot be hurried, and recorded venues count nothing; "
                "leave out --speed and --replay, or the budget"
            )
        if self.at is not None and not (self.simulate or self.replay or elsewhere):
            raise UsageError(
                "--at: real venues live now; use it with --simulate or --replay, or with --redirect"
            )
        self._refuse_real_venues()
        if self.simulate or self.replay:
            object.__setattr__(self, "settings", attrs.evolve(self.settings, invented=True))
        feeds = [str(one) for one in self.series if self.past_only and isinstance(one.what, Feed)]
        if feeds:
            raise UsageError(f"{', '.join(feeds)}: only candles have a history here; name a timeframe")

    def _refuse_real_venues(self) -> None:
        """Refuse what is not for real venues where one of the series is of such a venue.

        Raises:
            UsageError: Nothing stands in for the venue of one of them.
        """
        if not self._unreal:
            return
        self.settings.redirects(self.series, self.redirects)  # a typo is better told as one
        for one in self.series:
            configured = self.settings.config.venue(one.venue).redirects
            if not configured and not leads_elsewhere(self.redirects, self.settings.registry.load(one.venue)):
                raise UsageError(
                    f"{self._unreal}: no real venue is asked then, but {one} would be, as no redirect leads "
                    f"from {one.venue!r} elsewhere; add a --redirect for it, or leave the series out"
                )

    @property
    def _unreal(self) -> str:
        """The options that were given and make sense only where redirects lead away from the real venues."""
        if self.simulate or self.replay:
            return ""
        given = {"--at": self.at, "--speed": self.speed, "--seed": self.seed}
        return " and ".join(option for option, value in given.items() if value is not None)

    @property
    def confined(self) -> str:
        """Why no real venue may be asked, where only redirects keep this job from it; empty where it may."""
        return f"with {self._unreal} no real venue is asked," if self._unreal else ""

    @property
    def world(self) -> str:
        """Whose candles these are, as a store keeps it."""
        if self.replay:
            return self.recorded
        if self.simulate or self.seed is not None:
            return simulated_world(DEFAULT_SEED if self.seed is None else self.seed)
        return REAL


def refuse(job: Job) -> None:
    """Refuse what cannot be collected, before anything connects or is written.

    Raises:
        PlanError: One or more series cannot be collected.
        ConfigError: The recording would have no place, or the address of a sink, of the hot layer or of the
            budget is wrong.
    """
    if job.record is not None and not job.record.absolute().parent.is_dir():
        raise ConfigError(f"recording {job.record}: there is no directory '{job.record.parent}'; create it")
    made_sinks(job)
    made_hot(job)
    made_budget(job)
    plans = job.settings.plans(job.series, job.route, past_only=job.past_only)
    refused = [f"{plan.series}: {plan.why}" for plan in plans if plan.rung is Rung.REFUSE]
    if refused:
        raise PlanError("; ".join(refused))


def made_sinks(job: Job) -> Mapping[str, Sink]:
    """Return the sinks of *job*, which are not open yet; raises as `Settings.sinks` does."""
    return job.settings.sinks(job.sinks, real=job.world == REAL)


def made_hot(job: Job) -> Cache | None:
    """Return the hot layer of *job*, which is not open yet; raises as `Settings.hot` does."""
    return job.settings.hot(job.hot, real=job.world == REAL)


def made_budget(job: Job) -> SharedBudget | None:
    """Return the shared budget of *job*, which is not open yet; raises as `Settings.budget` does."""
    return job.settings.budget(job.budget, real=job.world == REAL and job.speed is None)


def asking(job: Job, world: World) -> Collector:
    """Return a collector that asks the venues of *job* for what was, and feeds no sinks."""
    budget = made_budget(job)
    return job.settings.collector(job.store, job.series, world, budget=budget, seed=job.seed, whose=job.world)


@asynccontextmanager
async def in_world(job: Job) -> AsyncIterator[World]:
    """Provide the venues that *job* wants.

    Raises:
        UsageError: Nothing can lie between its ends.
        ConfigError: Its store holds candles of another world, or of the future.
    """
    registry, now_ns = job.settings.registry, SystemClock().now_ns()
    at_ns = None if job.at is None else job.at.ns(now_ns)
    elsewhere = job.settings.redirects(job.series, job.redirects)  # before a store is made for what cannot be
    redirect_table(elsewhere)
    held, known_ns = await known(job)
    if held not in {"", job.world}:
        raise ConfigError(other_world(job.store, held, job.world))
    range_ns(job.since, job.until, at_ns or now_ns, end_ns=known_ns if job.simulate else None)
    await make(job)
    if job.replay:
        async with replayed(registry, job.replay, at_ns=at_ns) as world:
            yield world
    elif job.simulate:
        async with simulated(
            registry,
            job.series,
            seed=DEFAULT_SEED if job.seed is None else job.seed,
            plans=job.settings.config.plans,
            at_ns=at_ns,
            since=job.since,
            not_before_ns=known_ns,
        ) as world:
            yield world
    else:
        world = real(elsewhere, at_ns, confined=job.confined)
        check_clock(job, known_ns, world.clock.now_ns())
        yield world


def check_clock(job: Job, known_ns: int, now_ns: int) -> None:
    """Refuse to go on where the store knows the future: the clock is wrong, now or when that was collected.

    Raises:
        ConfigError: It does.
    """
    if known_ns > now_ns + MOST_AHEAD_NS:
        raise ConfigError(
            f"store {shown_store(job.store)!r}: it knows candles up to {iso(known_ns)}, but this machine's "
            f"clock says {iso_second(now_ns)}; set the clock, or name another --store if "
            "those were collected with --at"
        )


async def known(job: Job) -> tuple[str, int]:
    """Return whose candles the store holds, and up to when it knows any of the series, 0 where of none.

    Nothing is made here: a store that is not there yet, or cannot be read, knows nothing.
    """
    try:
        async with reading(job.settings, job.store) as store:
            loaded = [await store.load(plan.series) for plan in job.settings.plans(job.series)]
            held = await store.world()
    except StoreError:
        return "", 0
    return held, max((one.state.frontier_ns for one in loaded if one is not None), default=0)


async def make(job: Job) -> None:
    """Make the store, or bring it forward; what is wrong with it is told before anything else begins.

    Raises:
        StoreError: It cannot be opened for writing.
    """
    store = job.settings.registry.open_store(job.store)
    await store.open()
    await store.aclose()
