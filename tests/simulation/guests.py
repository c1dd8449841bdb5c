"""Series that are wanted for a while, beside those that a run collects all the time: nobody else may notice.

Some stay for minutes, one after the other, where there are just places enough; some are left before the venue
has answered; some come while the connection that carries them is being replaced; and some are made of what is
streamed already.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.pools import POOLED
from tests.simulation.trouble import Trouble
from wickwire import PlanError, Series, StoreError, UsageError, WickwireError

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.script import Act
    from tests.simulation.stage import Stage

__all__ = ["GUESTS", "Guests", "berths", "guests"]

GUESTS: Final = ("DOGE/USD", "BTC/EUR", "ETH/EUR", "ADA/USD", "LTC/USD", "ETH/BTC", "XRP/USD", "SOL/USD")
"""Symbols that three venues have."""

STAYS_S: Final = (150.0, 240.0)
VISITS: Final = 6
GLANCES: Final = 4
BOARDINGS: Final = 3
"""How many of each a run has, where there is time."""

LEFT_S: Final = 1.5
"""Who only glances is gone so soon: a venue takes about as long until it has answered."""
BOARDING_S: Final = (0.2, 2.5)
"""Between when after the beginning of a rotation a series comes, to be there before it is over."""
SPARE: Final = 2
"""Connections beyond those that all need of whom none share one: for a guest, and for one that replaces."""


def _guest(name: str, tag: str, **details: Any) -> Trouble:
    return Trouble(place="guest", name=name, tag=tag, details=details, once=True, settles_min=5.0)


VISIT: Final = _guest("visit", "F62")
GLANCE: Final = _guest("glance", "F62")
BOARDING: Final = _guest("boarding", "F43")
SHARING: Final = _guest("sharing", "F62")
SHARED: Final = "coinbase:BTC/USD@15m"
"""It is made of candles of five minutes, which are collected in every run."""


def guests(since_s: float, until_s: float, rng: random.Random) -> Sequence[tuple[float, Trouble, int]]:
    """Draw who comes when: seconds since the start, how, and a lot; visits one after the other."""
    if until_s <= since_s:
        return []
    pace_s = (until_s - since_s) / VISITS
    visits = [(since_s + number * pace_s, VISIT) for number in range(VISITS)]
    others = [(rng.uniform(since_s, until_s), GLANCE) for _ in range(GLANCES)]
    others += [(rng.uniform(since_s, until_s), BOARDING) for _ in range(BOARDINGS)]
    others.append((rng.uniform(since_s, until_s), SHARING))
    return [(at_s, trouble, rng.getrandbits(32)) for at_s, trouble in (*visits, *others)]


def berths(narrow: Mapping[str, int], series: Sequence[str]) -> Mapping[str, int]:
    """Return how many connections are allowed where each carries one topic: just enough for one guest."""
    venues = [Series.parse(name).venue for name in series]
    history = {"dxlink": 1}  # it comes over one more
    return {
        venue: venues.count(venue) + SPARE + history.get(venue, 0)
        for venue, topics in narrow.items()
        if topics == 1
    }


class Guests:
    """Lets guests come and go.

    Attributes:
        turned_down: When, which series, and why none of the places was its own that there were.
    """

    def __init__(self, stage: Stage) -> None:
        """Let nobody come yet."""
        self._stage = stage
        self._there: dict[str, set[str]] = {}
        self._number = 0
        self.turned_down: list[tuple[int, str, str]] = []

    def come(self, act: Act) -> None:
        """Let one come, and go when it is time."""
        stage, life, venue = self._stage, self._stage.life, self._venue_of(act)
        if life is None or not life.begun.is_set() or not venue:
            return
        if act.trouble.name == "sharing":
            stage.run_errand(self._stay(life, act, SHARED, set()), f"guest {SHARED}")
            return
        there = self._there.setdefault(f"{venue} in life {life.number}", set())
        free = [one for one in self._strangers(venue) if one not in there]
        if not free or (act.trouble.name == "visit" and there):
            return
        self._number += 1
        symbol = free[self._number % len(free)]
        there.add(symbol)
        stage.run_errand(self._stay(life, act, f"{venue}:{symbol}@1m", there), f"guest {venue}:{symbol}")

    def _venue_of(self, act: Act) -> str:
        """Return where it comes: a visit where places are few, the others where a connection is shared."""
        servers, narrow = self._stage.venues.servers, self._stage.script.narrow
        if act.trouble.name == "sharing":
            venue = Series.parse(SHARED).venue
            return venue if venue in servers and SHARED not in self._stage.script.series else ""
        pooled = [venue for venue in POOLED if venue in servers]
        fit = [venue for venue in pooled if venue in narrow]
        if act.trouble.name == "visit":
            return fit[self._stage.script.seed % len(fit)] if fit else ""
        fit = [venue for venue in pooled if venue not in narrow] or [
            venue for venue in pooled if narrow[venue] > 1
        ]
        return fit[act.lot % len(fit)] if fit else ""

    def _strangers(self, venue: str) -> Sequence[str]:
        """Return symbols that nobody else wants there."""
        known = {Series.parse(name) for name in self._stage.script.series}
        symbols = {one.symbol for one in known if one.venue == venue}
        return [symbol for symbol in GUESTS if symbol not in symbols]

    async def _stay(self, life: Life, act: Act, name: str, there: set[str]) -> None:
        rng, one = random.Random(act.lot), Series.parse(name)
        if act.trouble.name == "boarding":
            self._stage.run_errand(_rotated(life, one.venue), f"rotate {one.venue} for a guest")
            await asyncio.sleep(rng.uniform(*BOARDING_S))
        with contextlib.suppress(StoreError):
            try:
                await life.collector.add(name)
            except PlanError as exc:
                self.turned_down.append((self._stage.true.now_ns(), name, str(exc)))
            else:
                self._look_for_a_place(life, name)
            left_s = rng.uniform(0.0, LEFT_S) if act.trouble.name == "glance" else rng.uniform(*STAYS_S)
            await asyncio.sleep(left_s)
            await life.collector.remove(name)
        there.discard(one.symbol)

    def _look_for_a_place(self, life: Life, name: str) -> None:
        [plan] = [plan for plan in life.collector.plan() if str(plan.series) == name]
        if not plan.rung.streams:
            self.turned_down.append((self._stage.true.now_ns(), name, plan.why))


async def _rotated(life: Life, venue: str) -> None:
    with contextlib.suppress(UsageError, WickwireError):
        await life.collector.rotate(venue)
