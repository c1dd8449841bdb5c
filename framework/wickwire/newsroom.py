"""Collects what changes in one collector, says it in the log, counts it, and hands it to whoever listens.

What happens comes in through `tell`, at once. What merely is so is looked at: each second while somebody
listens, every few seconds where the log is written, and else each minute, for the counts. Nothing of this
lies on the way of the data.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from wickwire.audience import Audience
from wickwire.clock import Clock, loop_s
from wickwire.closer import Closer
from wickwire.fanout import AnyFeedRoute
from wickwire.health import Links, condition_of, links_of, of_closer, of_feed
from wickwire.model import Series, iso
from wickwire.news import (
    Condition,
    ConditionChanged,
    ConnectionChanged,
    ConsumerLoses,
    Doubted,
    HoleFound,
    HoleHealed,
    News,
    PauseChanged,
    RestChanged,
    SeriesShared,
    StoreChanged,
)
from wickwire.venue import Venue

__all__ = ["Newsroom", "changed_links"]

log = logging.getLogger(__name__)

LISTENED_S: Final = 1.0
"""How often is looked while somebody listens."""

LOGGED_S: Final = 5.0
"""How often is looked for the log alone."""

COUNTED_S: Final = 60.0
"""How often is looked where nobody would be told."""

AT_ONCE: Final = 100
"""So many series are looked at in one turn of the loop."""

DOUBTS_S: Final = 60.0
"""A venue that loses something with each frame has a line in the log so often; each is an event."""


class Newsroom:
    """What is known of the present, to tell when it becomes another.

    Attributes:
        counts: How often something happened since the start, by the name of its class.
    """

    def __init__(self, scopes: Mapping[str, Venue], clock: Clock, audience: Audience) -> None:
        """Look at *scopes*, and tell *audience*."""
        self._scopes = scopes
        self._clock = clock
        self._audience = audience
        self._conditions: dict[Series, Condition] = {}
        self._links: dict[str, Links] = {}
        self._paused: dict[str, bool] = {}
        self._away: dict[str, bool] = {}
        self._doubts_s: dict[str, float] = {}
        self._unreadable: dict[Series | str, None] = {}
        self._woken = asyncio.Event()
        self.counts: Counter[str] = Counter()

    # ------------------------------------------------------------------------------------------- being told

    def tell(self, one: News) -> None:
        """Take what happened, and pass it on."""
        self.counts[type(one).__name__] += 1
        self._log(one)
        self._audience.hear(one)

    def store_troubled(self, trouble: str) -> None:
        """Take that the store says something else now; nothing when it works again."""
        self.tell(StoreChanged(at_ns=self._clock.now_ns(), trouble=trouble))

    def series_shared(self, series: Series) -> None:
        """Take that somebody else stores a series in the same store."""
        why = "what another program stores first is not handed on here; let one of them collect it"
        log.warning("series shared", extra={"series": str(series), "why": why})
        self.tell(SeriesShared(series=series, at_ns=self._clock.now_ns()))

    def _log(self, one: News) -> None:
        """Write the line of what is logged nowhere else: what happens is, where it happens."""
        match one:
            case ConditionChanged():
                self._log_condition(one)
            case HoleFound():
                log.info("hole found", extra=_of_hole(one))
            case HoleHealed():
                log.info("hole healed", extra=_of_hole(one))
            case ConnectionChanged():
                level = logging.INFO if one.state in {"ready", "gone"} else logging.DEBUG  # on the way there
                said = {"venue": one.venue, "link": str(one.number), "state": one.state}
                log.log(level, "connection changed", extra={**said, "before": one.before or ""})
            case PauseChanged():
                log.info("requests pause" if one.paused else "requests go on", extra={"venue": one.venue})
            case RestChanged(away=True):
                log.info("rest away", extra={"venue": one.venue, "why": one.why})
            case RestChanged():
                log.info("rest back", extra={"venue": one.venue})
            case Doubted():
                self._log_doubt(one)
            case ConsumerLoses():
                said = {"consumer": one.consumer, "policy": one.policy.value, "bound": str(one.bound)}
                log.warning("consumer loses", extra=said)
            case _:
                pass

    def _log_condition(self, one: ConditionChanged) -> None:
        """Warn of data that is stale only where whatever went wrong was not told in its own words before."""
        untold = one.condition is Condition.STALE and not one.trouble
        said = {
            "series": str(one.series),
            "condition": one.condition.value,
            "before": "" if one.before is None else one.before.value,
            "why": one.trouble or one.why,
        }
        log.log(logging.WARNING if untold else logging.INFO, "condition changed", extra=said)

    def _log_doubt(self, one: Doubted) -> None:
        now_s = loop_s()
        if now_s - self._doubts_s.get(one.venue, -DOUBTS_S) >= DOUBTS_S:
            self._doubts_s[one.venue] = now_s
            log.info("data doubted", extra={"venue": one.venue, "topics": len(one.topics), "why": one.why})

    # -------------------------------------------------------------------------------------------- looking

    def wake(self) -> None:
        """Look soon: there is something to look at, or somebody listens."""
        self._woken.set()

    async def run(self) -> None:
        """Look for ever, once there is something to look at."""
        while True:
            wait_s = self._wait_s() if self._scopes else None
            try:
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            for number, _ in enumerate(self.look(), 1):
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _wait_s(self) -> float:
        if self._audience.listens:
            return LISTENED_S
        return LOGGED_S if log.isEnabledFor(logging.INFO) else COUNTED_S

    def look(self) -> Iterator[None]:
        """Tell what is otherwise than at the last look; yields after each series: others may go first."""
        here: dict[Series, None] = {}
        for scope, venue in list(self._scopes.items()):
            for series in [*venue.closers, *venue.feeds]:
                here[series] = None
                self._try(scope, series, partial(self._look_at, series, venue))
                yield
            self._try(scope, scope, partial(self._look_at_links, scope, venue))
        self._conditions = {series: known for series, known in self._conditions.items() if series in here}

    def _try(self, scope: str, what: Series | str, look: Callable[[], None]) -> None:
        """Let a bug in what a venue says of itself end nothing; it is reported once."""
        try:
            look()
        except Exception as exc:  # a bug is about one venue, not about the others
            if what not in self._unreadable:
                self._unreadable[what] = None
                log.exception("venue cannot be looked at", extra={"venue": scope, "why": str(exc)})
        else:
            self._unreadable.pop(what, None)

    def _look_at(self, series: Series, venue: Venue) -> None:
        """Tell how a series is doing, where that is otherwise than before."""
        one: Closer | AnyFeedRoute | None = venue.closers.get(series) or venue.feeds.get(series)
        if one is None:  # removed since
            return
        now_s = loop_s()
        condition = one.state() if isinstance(one, Closer) else condition_of(one, now_s)
        before = self._conditions.get(series)
        if condition is before:
            return
        self._conditions[series] = condition
        at_ns = self._clock.now_ns()
        told = of_closer(one, venue, at_ns) if isinstance(one, Closer) else of_feed(one, venue, now_s)
        self.tell(
            ConditionChanged(
                series=series,
                at_ns=at_ns,
                condition=condition,
                before=before,
                rung=told.rung,
                why=told.why,
                trouble=told.trouble,
            )
        )

    def _look_at_links(self, scope: str, venue: Venue) -> None:
        at_ns, links = self._clock.now_ns(), links_of(venue)
        for one in changed_links(scope, self._links.get(scope, {}), links, at_ns):
            self.tell(one)
        self._links[scope] = links
        paused = venue.budget.rest_paused
        if paused is not self._paused.get(scope, False):
            self._paused[scope] = paused
            self.tell(PauseChanged(venue=scope, at_ns=at_ns, paused=paused))
        away = venue.history.breaker.away()
        if (away is not None) is not self._away.get(scope, False):
            self._away[scope] = away is not None
            why = "" if away is None else str(away)
            self.tell(RestChanged(venue=scope, at_ns=at_ns, away=away is not None, why=why))


def changed_links(venue: str, before: Links, now: Links, at_ns: int) -> Iterator[ConnectionChanged]:
    """Yield what changed with the connections of a venue."""
    for number, (state, attempts) in now.items():
        was = before.get(number)
        if was != (state, attempts):
            yield ConnectionChanged(
                venue=venue,
                number=number,
                at_ns=at_ns,
                state=state,
                before=None if was is None else was[0],
                attempts=attempts,
            )
    for number, (state, attempts) in before.items():
        if number not in now:
            yield ConnectionChanged(
                venue=venue, number=number, at_ns=at_ns, state="gone", before=state, attempts=attempts
            )


def _of_hole(one: HoleFound | HoleHealed) -> dict[str, str]:
    hole = one.hole
    ends = {"since": iso(hole.since_ns), "until": iso(hole.until_ns)}
    return {"series": str(one.series), **ends, "kind": hole.kind.value}
