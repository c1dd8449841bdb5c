"""Series that are wanted for a while, beside those that a run collects all the time: nobody else may notice.

Some stay for minutes, one after the other, where there are just places enough; some are left before the venue
has answered; some come while the connection that carries them is being replaced; and some are made of what is
streamed already. And somebody wants more of the past of a series than was wanted before, or much more of it,
and the process dies before it has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.pools import POOLED
from tests.simulation.trouble import Trouble
from wickwire import MINUTE_NS, Feed, PlanError, Series, StoreError, Timeframe, UsageError, WickwireError

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.script import Act
    from tests.simulation.stage import Stage

__all__ = ["KINDS", "Guests", "berths", "guests"]

MINUTE: Final = Timeframe.parse("1m")
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
PAST_NS: Final = 100 * MINUTE_NS
"""How much of what was before the run is wanted then: more than at first, and several pages."""
DEPTHS_NS: Final = 8 * 60 * MINUTE_NS
"""How much where the process dies then: more than the first audit of the next one reads again."""
DYING_S: Final = (0.05, 1.0)
"""How soon it dies: a page takes about as long."""
SPARE: Final = 2
"""Connections beyond those that all need of whom none share one: for a guest, and for one that replaces."""


def _guest(name: str, tag: str, **details: Any) -> Trouble:
    return Trouble(place="guest", name=name, tag=tag, details=details, once=True, settles_min=5.0)


VISIT: Final = _guest("visit", "F62")
GLANCE: Final = _guest("glance", "F62")
BOARDING: Final = _guest("boarding", "F43")
SHARING: Final = _guest("sharing", "F62")
DEEPER: Final = _guest("deeper", "F62")
DEPTHS: Final = _guest("depths", "F56")
KINDS: Final = VISIT, GLANCE, BOARDING, SHARING, DEEPER, DEPTHS
SHARED: Final = "coinbase:BTC/USD@15m"
"""It is made of candles of five minutes, which are collected in every run."""


def guests(since_s: float, until_s: float, rng: random.Random) -> Sequence[tuple[float, Trouble, int]]:
    """Draw who comes when: seconds since the start, how, and a lot; visits one after the other.

    Not whoever wants so much of the past that the process dies meanwhile: that comes with its death.
    """
    if until_s <= since_s:
        return []
    pace_s = (until_s - since_s) / VISITS
    visits = [(since_s + number * pace_s, VISIT) for number in range(VISITS)]
    others = [(rng.uniform(since_s, until_s), GLANCE) for _ in range(GLANCES)]
    others += [(rng.uniform(since_s, until_s), BOARDING) for _ in range(BOARDINGS)]
    others += [(rng.uniform(since_s, until_s), trouble) for trouble in (SHARING, DEEPER)]
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

    def __init__(self, stage: Stage, comes: Callable[[str], None]) -> None:
        """Let nobody come yet; *comes* is told what each wants."""
        self._stage = stage
        self._comes = comes
        self._there: dict[str, set[str]] = {}
        self._number = 0
        self.turned_down: list[tuple[int, str, str]] = []

    def come(self, act: Act) -> None:
        """Let one come, and go when it is time."""
        life = self._stage.life
        if life is None or not life.begun.is_set():
            return
        match act.trouble.name:
            case "deeper":
                self._reach_back(life, act, PAST_NS, lambda what: isinstance(what, Timeframe))
            case "depths":
                self._reach_back(life, act, DEPTHS_NS, lambda what: what == MINUTE)
            case "sharing":
                self._share(life, act)
            case "visit":
                self._visit(life, act, self._few_places())
            case _:
                self._visit(life, act, self._shared_connections())

    def _share(self, life: Life, act: Act) -> None:
        if SHARED not in self._stage.script.series and self._has(Series.parse(SHARED).venue):
            self._stage.run_errand(self._stay(life, act, SHARED, set()), f"guest {SHARED}")

    def _visit(self, life: Life, act: Act, venues: Sequence[str]) -> None:
        if not venues:
            return
        venue = venues[(self._stage.script.seed if act.trouble.name == "visit" else act.lot) % len(venues)]
        there = self._there.setdefault(f"{venue} in life {life.number}", set())
        free = [one for one in self._strangers(venue) if one not in there]
        if not free or (act.trouble.name == "visit" and there):
            return
        self._number += 1
        symbol = free[self._number % len(free)]
        there.add(symbol)
        self._stage.run_errand(
            self._stay(life, act, f"{venue}:{symbol}@1m", there), f"guest {venue}:{symbol}"
        )

    def _has(self, venue: str) -> bool:
        return venue in self._stage.venues.servers

    def _few_places(self) -> Sequence[str]:
        """Return the venues whose connections carry few topics."""
        return [venue for venue in POOLED if self._has(venue) and venue in self._stage.script.narrow]

    def _shared_connections(self) -> Sequence[str]:
        """Return the venues where one connection carries several topics, best all of them."""
        narrow = self._stage.script.narrow
        wide = [venue for venue in POOLED if self._has(venue) and venue not in narrow]
        return wide or [venue for venue in POOLED if self._has(venue) and narrow[venue] > 1]

    def _strangers(self, venue: str) -> Sequence[str]:
        """Return symbols that nobody else wants there."""
        known = {Series.parse(name) for name in self._stage.script.series}
        symbols = {one.symbol for one in known if one.venue == venue}
        return [symbol for symbol in GUESTS if symbol not in symbols]

    async def _stay(self, life: Life, act: Act, name: str, there: set[str]) -> None:
        rng, one = random.Random(act.lot), Series.parse(name)
        if act.trouble.name == "boarding":
            self._stage.run_errand(_rotated(self._stage, life, one.venue), f"rotate {one.venue} for a guest")
            await asyncio.sleep(rng.uniform(*BOARDING_S))
        self._comes(name)
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

    def _reach_back(
        self, life: Life, act: Act, past_ns: int, may_be: Callable[[Timeframe | Feed], bool]
    ) -> None:
        """Want so much of what was before the run, of one series."""
        names = [name for name in self._stage.series if may_be(Series.parse(name).what)]

        async def reach_back(name: str) -> None:
            with contextlib.suppress(StoreError, UsageError):  # it is being added just now, or not any more
                await life.collector.add(name, since=self._stage.script.starts_ns - past_ns)

        if names:
            self._stage.run_errand(reach_back(names[act.lot % len(names)]), "reach back")

    def _look_for_a_place(self, life: Life, name: str) -> None:
        [plan] = [plan for plan in life.collector.plan() if str(plan.series) == name]
        if not plan.rung.streams:
            self.turned_down.append((self._stage.true.now_ns(), name, plan.why))


async def _rotated(stage: Stage, life: Life, venue: str) -> None:
    with contextlib.suppress(UsageError, WickwireError):
        await stage.replace(life, venue)
