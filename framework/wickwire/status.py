"""Tells a host's register of processes how each series is doing, in the words that such registers have."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar, final

import attrs

from wickwire.clock import Clock, loop_s
from wickwire.closer import Closer
from wickwire.errors import SinkError
from wickwire.fanout import AnyFeedRoute
from wickwire.foreign import placed
from wickwire.health import SeriesHealth, condition_of, of_closer, of_feed
from wickwire.holes import WORK
from wickwire.model import Feed, Hole, Series, iso
from wickwire.news import Condition
from wickwire.retry import Backoff, Retries
from wickwire.series import Word
from wickwire.sink_calls import clean
from wickwire.venue import Venue

__all__ = ["Status", "StatusReports", "StatusSink", "status_of"]

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_S: Final = 1.0
"""How often it is looked whether something changed."""

ALIVE_S: Final = 60.0
"""How often a series is told that is as it was: a register takes for dead what says nothing for minutes."""

CALL_S: Final = 10.0
"""How long one call may take."""

END_S: Final = 3.0
"""How long telling that all has stopped may take."""

BEHIND: Final = 10
"""So many buckets with holes in them are the past, which is fetched; a few are minutes without a trade."""


@final
class Status(Word):
    """How a process is doing."""

    STARTING = "starting"
    RUNNING = "running"
    PROCESSING = "processing"
    """It runs, and the past is being fetched."""
    IDLE = "idle"
    """It runs, and nothing is traded."""
    ERROR = "error"
    """It goes on trying."""
    STOPPED = "stopped"


class StatusSink(Protocol):
    """Where a host registers what it runs. Both may raise: they are called again, ever more rarely."""

    async def register(self, component: str, params: Mapping[str, str]) -> str:
        """Note something that begins to run, and return a handle for it.

        Args:
            component: The series, as text.
            params: Its `venue` (with the variant), its `symbol`, and `what` it carries.
        """
        ...

    async def update(self, handle: str, status: Status, message: str | None) -> None:
        """Note how it is doing: whenever that changes, and once a minute where it does not.

        Args:
            handle: What `register` returned.
            status: How.
            message: What is wrong, or what came last; None where there is nothing to say.
        """
        ...


def status_of(health: SeriesHealth) -> tuple[Status, str | None]:
    """Return how a series is doing in the words of a register, and what there is to say."""
    match health.condition:
        case Condition.STARTING if health.trouble:
            return Status.ERROR, health.trouble
        case Condition.STARTING:
            return Status.STARTING, None
        case Condition.RECONNECTING | Condition.STALE | Condition.REFUSED:
            return Status.ERROR, health.trouble or health.why
        case Condition.STOPPED:
            return Status.STOPPED, None
        case Condition.QUIET:
            opens = "" if health.opens_ns is None else f", opens at {iso(health.opens_ns)}"
            return Status.IDLE, f"nothing is traded{opens}"
        case Condition.LIVE | Condition.POLLED:
            missing = [hole for hole in health.holes if hole.kind in WORK]
            if _is_past(health.series, missing):
                return Status.PROCESSING, f"fetching the past since {iso(missing[0].since_ns)}"
            last = health.last_close
            return Status.RUNNING, None if last is None else f"by {health.rung}, last candle {last.open_time}"


def _is_past(series: Series, missing: Sequence[Hole]) -> bool:
    if not missing or isinstance(series.what, Feed):
        return False
    return missing[-1].until_ns - missing[0].since_ns > BEHIND * series.timeframe.nominal_ns


@attrs.define(eq=False)
class _Process:
    """What was told of one series."""

    series: Series
    handle: str
    seen: object = None
    status: Status | None = None
    told_s: float = 0.0


class StatusReports:
    """Tells one sink of all series of a collector. Nothing waits for it: a slow sink is told less often.

    Attributes:
        errors: How often the sink raised, or took too long.
    """

    def __init__(
        self, sink: StatusSink, scopes: Mapping[str, Venue], clock: Clock, rng: random.Random
    ) -> None:
        """Prepare to tell *sink* of the series in *scopes*; *rng* says when to try again."""
        self._sink = sink
        self._scopes = scopes
        self._clock = clock
        self._retries = Retries(Backoff(first_s=1.0, cap_s=60.0), rng)
        self._processes: dict[Series, _Process] = {}
        self.errors = 0

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            wait_s = LOOK_S
            try:
                await self._look()
            except SinkError as exc:
                self.errors += 1
                wait_s = self._retries.failed(exc)
                if self._retries.attempt == 1:
                    log.warning("status sink failed", extra={"why": str(exc)})
            else:
                self._retries.succeeded()
            await asyncio.sleep(wait_s)

    async def end(self) -> None:
        """Tell that all has stopped, as far as that can be told in time."""
        try:
            async with asyncio.timeout(END_S):
                for process in self._processes.values():
                    await self._update(process, Status.STOPPED, None)
        except (SinkError, TimeoutError) as exc:
            self.errors += 1
            log.warning("not told that it stopped", extra={"why": str(exc) or type(exc).__name__})
        self._processes.clear()

    async def _look(self) -> None:
        """Tell what changed, and what was not told of for a while."""
        here: dict[Series, None] = {}
        for venue in list(self._scopes.values()):
            for series in [*venue.closers, *venue.feeds]:
                one = venue.closers.get(series) or venue.feeds.get(series)
                if one is not None:
                    here[series] = None
                    await self._look_at(series, one, venue)
        for series in [series for series in self._processes if series not in here]:
            await self._update(self._processes[series], Status.STOPPED, None)
            del self._processes[series]

    async def _look_at(self, series: Series, one: Closer | AnyFeedRoute, venue: Venue) -> None:
        now_s = loop_s()
        process = self._processes.get(series)
        if process is None:
            what = series.what.value if isinstance(series.what, Feed) else str(series.what)
            params = {"venue": series.scope, "symbol": series.symbol, "what": what}
            handle = await _told(lambda: self._sink.register(str(series), params))
            process = self._processes[series] = _Process(series, handle)
            await self._update(process, Status.STARTING, None)
        if isinstance(one, Closer):
            seen: object = (one.state(), bool(one.ledger.holes), one.trouble, one.refusal)
        else:
            seen = (condition_of(one, now_s), one.why)
        due = now_s - process.told_s >= ALIVE_S
        if seen == process.seen and not due:
            return
        at_ns = self._clock.now_ns()
        health = of_closer(one, venue, at_ns) if isinstance(one, Closer) else of_feed(one, venue, now_s)
        status, message = status_of(health)
        if status is not process.status or due:
            await self._update(process, status, message)
        process.seen = seen

    async def _update(self, process: _Process, status: Status, message: str | None) -> None:
        await _told(lambda: self._sink.update(process.handle, status, message))
        process.status, process.told_s = status, loop_s()


async def _told(call: Callable[[], Awaitable[T]]) -> T:
    """Return what a call of the sink does; raises SinkError, whatever it raises itself."""
    try:
        async with asyncio.timeout(CALL_S):
            return await call()
    except Exception as exc:  # noqa: BLE001 - a host's code must not end the collector
        raise SinkError(clean(placed(exc))) from None
