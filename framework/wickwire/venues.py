"""The scopes of one collector's venues: made when a series first needs one, and started again after a bug."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import attrs

from wickwire.breaker import Breaker
from wickwire.budget import Budget
from wickwire.clock import Clock
from wickwire.closer import Closer
from wickwire.description import Account, Limits
from wickwire.dialing import Dialing
from wickwire.errors import GivenUp, TransportError, UsageError
from wickwire.limits import effective_limits
from wickwire.model import Series
from wickwire.news import Tell, VenueFailed
from wickwire.places import Places
from wickwire.registry import Registry
from wickwire.retry import Backoff, Retries
from wickwire.scope import failures
from wickwire.sharing import Sharing
from wickwire.transport import Transport
from wickwire.venue import Access, Venue

__all__ = ["ELSEWHERE", "Venues"]

log = logging.getLogger(__name__)

_NOT_RUNNING: Final = "the collector is not running; use it inside `async with Collector(...)`"
_OVER: Final = "the collector is not running any more: it was stopped, and runs once; make another"
ELSEWHERE: Final = (
    "the collector runs in another event loop than the one that calls it; call it there, or take a "
    "BlockingCollector, which any thread may call"
)
_BUG_BACKOFF: Final = Backoff(first_s=1.0, cap_s=60.0)


@attrs.frozen
class _Ground:
    """What scopes stand on while the collector runs."""

    transport: Transport
    tasks: asyncio.TaskGroup
    committer: Callable[[Closer], None]
    tell: Tell
    given_up: Callable[[GivenUp], None]
    sharing: Sharing | None


class Venues:
    """All scopes: one for each venue and variant of which something is collected, or was.

    Attributes:
        scopes: By venue and variant, as `Series.scope` writes it.
        tasks: In which they run.
    """

    def __init__(
        self,
        registry: Registry,
        accounts: Mapping[str, Account],
        backoff: Backoff | Mapping[str, Backoff] | None,
        clock: Clock,
        rng: random.Random,
        places: Places,
    ) -> None:
        """Start with none; nothing runs before `start`."""
        self._places = places
        self._registry = registry
        self._accounts = accounts
        self._backoff = {} if backoff is None else backoff
        self._clock = clock
        self._rng = rng
        self._accesses: dict[str, Access] = {}
        self._ground: _Ground | None = None
        self._over = False
        self.scopes: dict[str, Venue] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def start(
        self,
        transport: Transport,
        tasks: asyncio.TaskGroup,
        *,
        committer: Callable[[Closer], None],
        tell: Tell,
        given_up: Callable[[GivenUp], None],
        sharing: Sharing | None = None,
    ) -> None:
        """Let scopes run in *tasks* from now on; with *sharing* other processes use the same limits."""
        self._ground = _Ground(transport, tasks, committer, tell, given_up, sharing)

    @property
    def running(self) -> bool:
        """Whether scopes may be made: between `start` and `end`."""
        return self._ground is not None

    @property
    def not_running(self) -> str:
        """What to say to somebody who asks for something while nothing runs."""
        return _OVER if self._over else _NOT_RUNNING

    def stop(self) -> None:
        """Let all scopes come to an end: connections are closed, nothing is asked any more."""
        for venue in self.scopes.values():
            venue.stop()

    def end(self) -> None:
        """End what has not come to an end; no scope is made any more."""
        for task in self.tasks:
            task.cancel()
        self._ground = None
        self._over = True

    def account(self, series: Series) -> Account:
        """Return the account that *series* is collected with."""
        return attrs.evolve(self._accounts.get(series.venue, Account()), feed=series.variant)

    def holding(self, series: Series) -> Venue | None:
        """Return the scope that a series lives in, where there is one."""
        return self.scopes.get(series.scope)

    def collecting(self, series: Series) -> Venue:
        """Return the scope that collects a series, under its canonical name.

        Raises:
            UsageError: None does.
        """
        venue = self.holding(series)
        if venue is None or series not in venue.plans:
            raise UsageError(f"{series} is not collected here; add it first")
        return venue

    def closer(self, series: Series) -> Closer | None:
        """Return what keeps a candle series whole, under its canonical name, where it is collected."""
        venue = self.holding(series)
        return None if venue is None else venue.closers.get(series)

    def of(self, series: Series) -> Venue:
        """Return the scope that a series lives in, which is made and started if need be.

        Raises:
            UsageError: Nothing runs.
            ConfigError: The account's limits are higher than the venue's.
        """
        venue = self.holding(series)
        if venue is None:
            ground = self._ground
            if ground is None:
                raise UsageError(self.not_running)
            adapter, account = self._registry.load(series.venue), self.account(series)
            allowed = adapter.description_for(account).limits
            limits = effective_limits(allowed, account.limits, where=f"venues.{series.venue}.limits")
            rng = self._child_rng()
            venue = Venue(
                adapter,
                account,
                limits,
                self._access(series.venue, limits),
                ground.transport,
                self._clock,
                rng,
                backoff=self.backoff_of(series.venue),
                committer=ground.committer,
                tell=ground.tell,
                balance=partial(self._places.balance, series.venue, series.variant),
                settle=partial(self._places.settle, series.venue),
            )
            self.scopes[series.scope] = venue
            running = self._run(series.scope, venue, ground)
            task = ground.tasks.create_task(running, name=f"venue {series.scope}")
            self.tasks.append(task)
        return venue

    def _access(self, venue: str, limits: Limits) -> Access:
        """Return what the variants of a venue share, since they speak to it on one account."""
        access = self._accesses.get(venue)
        if access is None:
            backoff, account = self.backoff_of(venue), self._accounts.get(venue, Account())
            sharing = None if self._ground is None else self._ground.sharing
            access = Access(
                Budget(limits, {} if sharing is None else sharing.gates(venue, account)),
                Dialing(backoff, self._child_rng()),
                Breaker(venue, backoff, self._clock, self._child_rng()),
            )
            self._accesses[venue] = access
        access.budget.lower(limits)
        return access

    def backoff_of(self, venue: str) -> Backoff:
        """Return how long to wait between attempts at a venue."""
        given = self._backoff
        return given if isinstance(given, Backoff) else given.get(venue, Backoff())

    def _child_rng(self) -> random.Random:
        return random.Random(self._rng.random())

    async def _run(self, scope: str, venue: Venue, ground: _Ground) -> None:
        """Run one venue; a bug in its scope ends it, is reported, and it starts again after a while."""
        retries = Retries(_BUG_BACKOFF, self._child_rng())
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            try:
                await venue.run()
            except GivenUp as exc:
                venue.failure = str(exc)
                log.error("venue given up", extra={"venue": scope, "why": venue.failure})  # noqa: TRY400 - a choice, no bug
                self._tell_failure(ground, scope, venue.failure, given_up=True)
                ground.given_up(exc)
                return
            except Exception as exc:  # a bug ends one venue, not the others
                told = (f"{type(one).__name__}: {one}" for one in failures(exc))
                venue.failure = "; ".join(dict.fromkeys(told))  # many series may meet the same bug
                log.exception("venue failed", extra={"venue": scope, "why": venue.failure})
                self._tell_failure(ground, scope, venue.failure, given_up=False)
                wait_s = retries.failed(TransportError(venue.failure), loop.time() - started_s)
                if await venue.ended_within(wait_s):
                    return
                venue.failure = ""
            else:
                return

    def _tell_failure(self, ground: _Ground, scope: str, why: str, *, given_up: bool) -> None:
        at_ns = self._clock.now_ns()
        ground.tell(VenueFailed(venue=scope, at_ns=at_ns, why=why, given_up=given_up))
