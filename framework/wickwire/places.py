"""What the series of a venue leave each other of its limits: who is first gets the place. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.description import Account, Limits
from wickwire.endpoint import Topic
from wickwire.errors import PluginError
from wickwire.ladder import Cost
from wickwire.model import HOUR_NS, SECOND_NS, Rung, Series
from wickwire.planner import Judged, Plan, judge

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["Places", "plan_all"]

_HOUR_S: Final = HOUR_NS / SECOND_NS
_ROUNDING: Final = 1e-6
"""In REST calls an hour: what adding and taking away again may leave of a sum."""


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

    def __init__(self) -> None:
        """Start empty."""
        self._rooms: dict[str, _Room] = {}
        self._plans: dict[Series, Plan] = {}

    def place(
        self,
        series: Series,
        adapter: Adapter,
        account: Account,
        pins: Mapping[Series, Rung] | None = None,
        *,
        past_only: bool = False,
    ) -> Plan:
        """Return the plan of *series*: the one it has, else the first that has room; it keeps that place.

        Args:
            series: Its symbol may be spelled as the venue does.
            adapter: The adapter of its venue.
            account: Whose plan, environment, secrets and limits count.
            pins: Rungs that the user chose, by series as written or canonical.
            past_only: Only its history is wanted, which is asked as fast as the limits let it: that takes no
                place among those who are collected live.

        Raises:
            ConfigError: The account's limits are higher than the venue's.
        """
        try:
            judged = judge(series, adapter, account)
        except PluginError as exc:
            topic = Topic(series.symbol, series.what)
            return Plan(series=series, topic=topic, rung=Rung.REFUSE, why=str(exc))
        canonical, pins = judged.blank.series, pins or {}
        if canonical not in self._plans:
            pin = pins.get(series, pins.get(canonical))
            if judged.ladder:
                room = self._rooms.setdefault(series.venue, _Room(judged.limits))
                self._plans[canonical] = (
                    room.place_past(judged, pin) if past_only else room.place(judged, pin)
                )
            else:
                self._plans[canonical] = judged.climb(pin, {})
        return self._plans[canonical]

    def of(self, series: Series) -> Plan | None:
        """Return the plan that a series has, under its canonical name."""
        return self._plans.get(series)

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


@attrs.define
class _Line:
    """One connection to be: how many series live on each of its topics, and what each is alone against."""

    key: tuple[str, str]
    topics: dict[Topic, int] = attrs.field(factory=dict)
    alone: dict[Topic, object] = attrs.field(factory=dict)


@attrs.define
class _Room:
    """What is left of a venue's limits; `asking` counts who is polled over a connection, by variant."""

    limits: Limits
    lines: list[_Line] = attrs.field(factory=list)
    rest_per_hour: float = 0.0
    asking: Counter[str] = attrs.field(factory=Counter)

    def place(self, judged: Judged, pin: Rung | None) -> Plan:
        """Return the plan on the first rung that has room for it."""
        taken: dict[Rung, str] = {}
        while True:
            chosen = judged.climb(pin, taken)
            if chosen.rung is Rung.REFUSE:
                return chosen
            placed = self._on_a_line(chosen) if chosen.rung.streams else self._over_rest(chosen)
            if isinstance(placed, Plan):
                return placed
            taken[chosen.rung] = placed

    def place_past(self, judged: Judged, pin: Rung | None) -> Plan:
        """Return the plan that brings the past alone: whoever asks that waits for a turn and keeps none."""
        plan = judged.past(pin)
        if plan.support is not None and plan.rung is not Rung.REFUSE:
            self.asking[plan.series.variant] += plan.support.over_stream
        return plan

    def leave(self, plan: Plan) -> None:
        """Take back what was placed; a connection that carries nothing else is none."""
        if not plan.rung.streams:
            self.rest_per_hour -= plan.cost.rest_per_hour
            self.asking[plan.series.variant] -= plan.support is not None and plan.support.over_stream
            return
        line = next(line for line in self._lines(plan) if plan.topic in line.topics)
        line.topics[plan.topic] -= 1
        if not line.topics[plan.topic]:
            del line.topics[plan.topic]
            line.alone.pop(plan.topic, None)
        if not line.topics:
            self.lines.remove(line)

    def _lines(self, plan: Plan) -> list[_Line]:
        key = (plan.series.variant, plan.lane.key)
        return [line for line in self.lines if line.key == key]

    def _on_a_line(self, chosen: Plan) -> Plan | str:
        topic, alone = chosen.topic, chosen.lane.alone
        lines = self._lines(chosen)
        for line in lines:
            if topic in line.topics:  # what several series are made of is asked for once
                line.topics[topic] += 1
                return attrs.evolve(chosen, cost=Cost())
        most = self.limits.topics_per_connection
        for line in lines:
            free = most is None or len(line.topics) < most
            if free and (alone is None or alone not in line.alone.values()):
                break
        else:
            full = self._is_full(len(lines))
            if full:
                return full
            line = _Line((chosen.series.variant, chosen.lane.key))
            self.lines.append(line)
        opened = 0 if line.topics else 1
        line.topics[topic] = 1
        if alone is not None:
            line.alone[topic] = alone
        return attrs.evolve(chosen, cost=Cost(connections=opened))

    def _is_full(self, to_endpoint: int) -> str:
        """Return why no connection may be opened beside the *to_endpoint* that there are, or nothing."""
        for most, where, there in (
            (self.limits.connections_per_lane, " to this endpoint", to_endpoint),
            (self.limits.connections, "", len(self.lines)),
        ):
            if most is not None and there >= most:
                plural = "" if most == 1 else "s"
                return f"no place is left on the {most} connection{plural} allowed{where}"
        return ""

    def _over_rest(self, chosen: Plan) -> Plan | str:
        rate, asked = self.limits.rest, chosen.cost.rest_per_hour
        if rate is not None:
            allowed = rate.amount / rate.per_s * _HOUR_S
            if self.rest_per_hour + asked > allowed + _ROUNDING:
                return f"the {allowed:,.0f} REST calls an hour that are allowed are taken"
        self.rest_per_hour += asked
        if chosen.support is None or not chosen.support.over_stream:
            return chosen
        self.asking[chosen.series.variant] += 1
        shares = self.asking[chosen.series.variant] > 1
        return attrs.evolve(chosen, cost=Cost()) if shares else chosen
