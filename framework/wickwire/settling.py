"""Waits until it shows what becomes of series that were added: they are collected, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from wickwire.clock import Clock, loop_s
from wickwire.health import SeriesHealth, condition_of, of_closer, of_feed
from wickwire.model import Rung, Series
from wickwire.news import Condition
from wickwire.venue import Venue
from wickwire.venues import Venues

__all__ = ["settled"]

LOOK_S: Final = 0.1
"""How often is looked. A condition follows from the time as well: nobody could tell when it changes."""

_COLLECTED: Final = {Condition.LIVE, Condition.QUIET, Condition.POLLED}


async def settled(
    names: Sequence[Series], venues: Venues, clock: Clock, check_running: Callable[[], None]
) -> list[SeriesHealth]:
    """Return how series are doing once each is collected or refused; see `Outlet.settled`."""
    while True:
        found = [_is_settled(name, venues.collecting(name)) for name in names]  # each, as one may be removed
        if all(found):
            return [_health_of(name, venues.collecting(name), clock) for name in names]
        await asyncio.sleep(LOOK_S)
        check_running()


def _is_settled(name: Series, venue: Venue) -> bool:
    route = venue.feeds.get(name)
    if route is not None:
        return condition_of(route, loop_s()) in {*_COLLECTED, Condition.REFUSED}
    closer = venue.closers[name]
    condition = closer.state()
    if condition is Condition.REFUSED:  # by its stream; history may have it all the same
        return closer.hopeless is not None or closer.plan.falls_to is not Rung.POLL
    return condition in _COLLECTED


def _health_of(name: Series, venue: Venue, clock: Clock) -> SeriesHealth:
    route = venue.feeds.get(name)
    if route is not None:
        return of_feed(route, venue, loop_s())
    return of_closer(venue.closers[name], venue, clock.now_ns())
