"""What changes in a collector: found by looking every second and comparing with what was seen before.

Nobody has to report anything, so nothing can be forgotten: whatever `health()` would say otherwise than a
second ago is told, once. What changes and changes back within that second is told only where it leaves a
trace, as a switch of the route does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Final, Self

import attrs

from wickwire.closer import Condition, Switch
from wickwire.health import ConnectionHealth, SeriesHealth, VenueHealth
from wickwire.holes import without
from wickwire.model import Hole, Rung, Series

__all__ = [
    "BOUND",
    "Change",
    "ConditionChanged",
    "ConnectionChanged",
    "HoleFound",
    "HoleHealed",
    "NewsReader",
    "Rescaled",
    "StatusChanged",
    "StoreChanged",
    "of_series",
    "of_store",
    "of_venue",
]

log = logging.getLogger(__name__)

BOUND: Final = 1_024
"""How many changes wait for one reader."""

_WORSE: Final = frozenset({Condition.STALE, Condition.REFUSED})


@attrs.frozen(kw_only=True)
class ConditionChanged:
    """A series is doing otherwise than before.

    Attributes:
        series: Which one.
        at_ns: When that was seen.
        condition: How it is doing now.
        before: How it was doing; None when it was just added.
        rung: How it is collected now.
        why: What went wrong, where something did; else why it is collected so.
    """

    series: Series
    at_ns: int
    condition: Condition
    before: Condition | None
    rung: Rung
    why: str


@attrs.frozen(kw_only=True)
class HoleFound:
    """Candles of a series are missing, or known not to be there.

    Attributes:
        series: Which one.
        at_ns: When that was seen.
        hole: From when to when, and of what kind.
    """

    series: Series
    at_ns: int
    hole: Hole


@attrs.frozen(kw_only=True)
class HoleHealed:
    """What was missing of a series is there, or is known never to have been.

    Attributes:
        series: Which one.
        at_ns: When that was seen.
        hole: What of a hole is none any more.
    """

    series: Series
    at_ns: int
    hole: Hole


@attrs.frozen(kw_only=True)
class StatusChanged:
    """The venue says something else of its own state, or of the state of a symbol.

    Attributes:
        venue: Which venue, with its variant.
        series: Whose symbol it is about; None where it is about the venue.
        at_ns: When that was seen.
        status: The venue's words; empty when it says nothing any more.
    """

    venue: str
    series: Series | None
    at_ns: int
    status: str


@attrs.frozen(kw_only=True)
class Rescaled:
    """The history of a series is another one than before, and is read again, as after a split of shares.

    Attributes:
        series: Which one.
        at_ns: When that was seen.
        why: What happened.
    """

    series: Series
    at_ns: int
    why: str


@attrs.frozen(kw_only=True)
class ConnectionChanged:
    """A connection is in another state, or there is another one in its place.

    Attributes:
        venue: Which venue, with its variant.
        number: Which of its connections.
        at_ns: When that was seen.
        state: As in `ConnectionHealth`, or "gone" when nothing rides on it any more.
        before: The same a second ago; None when it is new.
        attempts: How often it was opened or tried.
        why: What the venue's health says is wrong, where something is.
    """

    venue: str
    number: int
    at_ns: int
    state: str
    before: str | None
    attempts: int
    why: str


@attrs.frozen(kw_only=True)
class StoreChanged:
    """The store fails, for another reason, or works again.

    Attributes:
        at_ns: When that was seen.
        trouble: Its error; empty when it works.
    """

    at_ns: int
    trouble: str


Change = (
    ConditionChanged
    | Switch
    | HoleFound
    | HoleHealed
    | StatusChanged
    | Rescaled
    | ConnectionChanged
    | StoreChanged
)


# ------------------------------------------------------------------------------------------ what changed


def of_series(before: SeriesHealth | None, now: SeriesHealth | None, at_ns: int) -> Iterator[Change]:
    """Return what changed with one series; None before it was added, and after it was removed."""
    if now is None:
        return
    known = () if before is None else before.switches
    newest_ns = known[-1].at_ns if known else -1
    yield from (one for one in now.switches if one.at_ns > newest_ns)
    was = None if before is None else before.condition
    if now.condition is not was:
        why = now.trouble or now.why
        yield ConditionChanged(
            series=now.series, at_ns=at_ns, condition=now.condition, before=was, rung=now.rung, why=why
        )
    holes = () if before is None else before.holes
    if now.holes != holes:
        for hole in without(now.holes, holes):
            yield HoleFound(series=now.series, at_ns=at_ns, hole=hole)
        for hole in without(holes, now.holes):
            yield HoleHealed(series=now.series, at_ns=at_ns, hole=hole)
    if now.status != ("" if before is None else before.status):
        yield StatusChanged(venue=now.series.scope, series=now.series, at_ns=at_ns, status=now.status)
    if now.rescaled and (before is None or now.rescaled != before.rescaled):
        yield Rescaled(series=now.series, at_ns=at_ns, why=now.rescaled)


def of_venue(before: VenueHealth | None, now: VenueHealth, at_ns: int) -> Iterator[Change]:
    """Return what changed with a venue and its connections."""
    if now.status != ("" if before is None else before.status):
        yield StatusChanged(venue=now.venue, series=None, at_ns=at_ns, status=now.status)
    known = {} if before is None else {link.number: link for link in before.links}
    for link in now.links:
        was = known.pop(link.number, None)
        if was is None or (link.state, link.attempts) != (was.state, was.attempts):
            yield _changed(now, link, link.state, was, at_ns)
    for link in known.values():
        yield _changed(now, link, "gone", link, at_ns)


def _changed(
    venue: VenueHealth, link: ConnectionHealth, state: str, was: ConnectionHealth | None, at_ns: int
) -> ConnectionChanged:
    return ConnectionChanged(
        venue=venue.venue,
        number=link.number,
        at_ns=at_ns,
        state=state,
        before=None if was is None else was.state,
        attempts=link.attempts,
        why="" if state in {"ready", "gone"} else venue.trouble,
    )


def of_store(before: str, now: str, at_ns: int) -> Iterator[Change]:
    """Return what changed with the store, by its troubles."""
    if now != before:
        yield StoreChanged(at_ns=at_ns, trouble=now)


# ----------------------------------------------------------------------------------------------- readers


class NewsReader(AsyncIterator[Change]):
    """An iterator over changes as they are seen; a slow reader loses the oldest, and can tell.

    Attributes:
        dropped: How many were lost that way.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._queue: deque[Change] = deque(maxlen=BOUND)
        self._more = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def put(self, change: Change) -> None:
        """Take one change; never blocks."""
        self.dropped += len(self._queue) == BOUND
        self._queue.append(change)
        self._more.set()

    def end(self) -> None:
        """Let the iteration stop when the queue is empty."""
        self._ended = True
        self._more.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._queue.popleft()
