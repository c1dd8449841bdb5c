"""Who has which place: series take them in order, keep them, and give them back. Pure.

What is left of one venue's limits is in `room`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import attrs

from wickwire.description import Account
from wickwire.endpoint import Topic
from wickwire.errors import PluginError
from wickwire.model import Rung, Series
from wickwire.planner import Plan, judge
from wickwire.room import LEAST_MOVED, Move, Room

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["Places", "plan_all"]


def plan_all(
    wanted: Sequence[Series],
    adapters: Mapping[str, Adapter],
    accounts: Mapping[str, Account] | None = None,
    pins: Mapping[Series, Rung] | None = None,
    *,
    past_only: bool = False,
) -> list[Plan]:
    """Decide how all of *wanted* are collected together, within what each venue allows.

    Args:
        wanted: In order of importance: earlier ones get the places.
        adapters: By venue, for each venue in *wanted*.
        accounts: By venue; public data where there is none.
        pins: Rungs that the user chose, by series as written or canonical.
        past_only: Nothing is collected live; only what history holds is wanted.

    Returns:
        One plan for each of *wanted*, in that order; a series that occurs twice is planned once and counted
        once. A series whose adapter fails is refused with the adapter's error.

    Raises:
        ConfigError: An account's limits are higher than its venue's.
    """
    places, accounts = Places(), accounts or {}
    return [
        places.place(one, adapters[one.venue], accounts.get(one.venue, Account()), pins, past_only=past_only)
        for one in wanted
    ]


@final
class Places:
    """Who has which place: series take places one by one, keep them, and give them back."""

    def __init__(self, least_moved: float = LEAST_MOVED) -> None:
        """Start empty; what carries no more than *least_moved* events a second keeps its topics."""
        self._least_moved = least_moved
        self._rooms: dict[str, Room] = {}
        self._plans: dict[Series, Plan] = {}

    def place(
        self,
        series: Series,
        adapter: Adapter,
        account: Account,
        pins: Mapping[Series, Rung] | None = None,
        *,
        past_only: bool = False,
        priority: bool = False,
    ) -> Plan:
        """Return the plan of *series*: the one it has, else the first that has room; it keeps that place.

        Args:
            series: Its symbol may be spelled as the venue does.
            adapter: The adapter of its venue.
            account: Whose plan, environment, secrets and limits count.
            pins: Rungs that the user chose, by series as written or canonical.
            past_only: Only its history is wanted, which is asked as fast as the limits let it: that takes no
                place among those who are collected live.
            priority: It goes before others.

        Raises:
            ConfigError: The account's limits are higher than the venue's.
        """
        try:
            judged = judge(series, adapter, account)
            judged = attrs.evolve(judged, blank=attrs.evolve(judged.blank, priority=priority))
        except PluginError as exc:
            topic = Topic(series.symbol, series.what)
            return Plan(series=series, topic=topic, rung=Rung.REFUSE, why=str(exc))
        canonical, pins = judged.blank.series, pins or {}
        if canonical not in self._plans:
            pin = pins.get(series, pins.get(canonical))
            if judged.ladder:
                room = self._rooms.setdefault(series.venue, Room(judged.limits, self._least_moved))
                self._plans[canonical] = (
                    room.place_past(judged, pin) if past_only else room.place(judged, pin)
                )
            else:
                self._plans[canonical] = judged.climb(pin, {})
        return self._plans[canonical]

    def of(self, series: Series) -> Plan | None:
        """Return the plan that a series has, under its canonical name."""
        return self._plans.get(series)

    def balance(self, venue: str, variant: str, rates: Mapping[Topic, float]) -> Sequence[Move]:
        """Return which few topics should ride elsewhere, and count them as there already.

        Args:
            venue: Of whose connections.
            variant: Of the venue; the others keep what they have.
            rates: Events a second that topics bring, as measured; what is not named counts as the mean.
        """
        room = self._rooms.get(venue)
        return () if room is None else room.balance(variant, rates)

    def settle(self, venue: str, move: Move, at: int | None) -> None:
        """Note the end of a move: on which connection the topic rides now; None where nobody wants it."""
        room = self._rooms.get(venue)
        if room is not None:
            room.settle(move, at)

    def polled_per_hour(self, venue: str) -> float:
        """Return how many REST requests an hour those take that are polled by plan."""
        return self._rooms[venue].rest_per_hour if venue in self._rooms else 0.0

    def prioritise(self, series: Series, *, on: bool) -> Plan:
        """Note that a series that has a place goes before others, or not any more; return its plan."""
        plan = self._plans[series] = attrs.evolve(self._plans[series], priority=on)
        return plan

    def leave(self, series: Series) -> None:
        """Give back the place of a series, under its canonical name; the others keep theirs."""
        plan = self._plans.pop(series, None)
        if plan is not None and plan.rung is not Rung.REFUSE:
            self._rooms[series.venue].leave(plan)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Give back, after the block, the places that were taken within."""
        before = len(self._plans)
        try:
            yield
        finally:
            for series in list(itertools.islice(self._plans, before, None)):
                self.leave(series)
