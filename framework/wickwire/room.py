"""What is left of one venue's limits, and which connection each topic rides on. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from wickwire.description import Limits
from wickwire.endpoint import Topic
from wickwire.ladder import Cost
from wickwire.model import Rung
from wickwire.planner import Judged, Plan

__all__ = ["LEAST_MOVED", "Full", "Line", "Move", "Room"]

TOPICS_PER_LINE: Final = 200
"""Topics on one connection where the venue names no limit."""

_ROUNDING: Final = 1e-6
"""In REST calls an hour: what adding and taking away again may leave of a sum."""

MOST_UNEVEN: Final = 1.25
"""How much more than the mean a connection may carry before something is moved away from it."""

LEAST_MOVED: Final = 50.0
"""Events a second: what carries less is no burden, however uneven it is."""

MOST_MOVES: Final = 5
"""Topics that are moved at once at most: each is subscribed to twice meanwhile."""


@attrs.frozen
class Move:
    """A topic should ride on another connection than it does.

    Attributes:
        topic: Which one.
        out_of: Number of the connection it rides on.
        into: Number of the connection that it should ride on.
    """

    topic: Topic
    out_of: int
    into: int


@attrs.define
class Line:
    """One connection to be: how many series live on each of its topics, and what each is alone against.

    Attributes:
        number: Which one of the venue's.
        key: Variant and `Lane.key`.
        reserved: Only series that go first ride on it.
        leaving: Topics that are about to ride elsewhere, with what each is alone against; still here.
    """

    number: int
    key: tuple[str, str]
    reserved: bool = False
    topics: dict[Topic, int] = attrs.field(factory=dict)
    alone: dict[Topic, object] = attrs.field(factory=dict)
    leaving: dict[Topic, object] = attrs.field(factory=dict)

    def takes(self, alone: object, most: int | None) -> bool:
        """Say whether one topic more may ride here."""
        free = most is None or len(self.topics) + len(self.leaving) < most
        return free and (alone is None or alone not in {*self.alone.values(), *self.leaving.values()})


@attrs.frozen
class Full:
    """Why there is no room.

    Attributes:
        text: In a sentence, without a full stop: which limit, how much it allows, and what was asked.
        limits: The limits that leave none, by their names in `Limits`.
    """

    text: str
    limits: tuple[str, ...]


@attrs.define
class Room:
    """What is left of a venue's limits.

    Attributes:
        limits: The venue's, or the account's where those are lower.
        least_moved: Events a second: what carries less is never evened out.
        lines: The connections.
        rates: Events a second that topics bring, as measured last.
        rest_per_hour: REST calls an hour that are taken.
        asking: Who is polled over a connection, by variant.
    """

    limits: Limits
    least_moved: float = LEAST_MOVED
    lines: list[Line] = attrs.field(factory=list)
    rates: dict[Topic, float] = attrs.field(factory=dict)
    rest_per_hour: float = 0.0
    asking: Counter[str] = attrs.field(factory=Counter)

    def place(self, judged: Judged, pin: Rung | None) -> Plan:
        """Return the plan on the first rung that has room for it; a refusal says what stands against it."""
        plan, taken = self._climb(judged, pin)
        if plan.rung is not Rung.REFUSE:
            return plan
        if pin is not None and pin is not Rung.REFUSE:
            instead, below = self._climb(judged, None)  # which rung has room, not only which is offered
            if instead.rung is not Rung.REFUSE:
                self.leave(instead)
            plan = judged.climb(pin, _told({**below, **taken}))
        return attrs.evolve(plan, why=f"{plan.why}{_way_out(judged, taken)}")

    def _climb(self, judged: Judged, pin: Rung | None) -> tuple[Plan, Mapping[Rung, Full]]:
        """Take the first place that there is; return the plan, and which rungs above had none."""
        taken: dict[Rung, Full] = {}
        while True:
            chosen = judged.climb(pin, _told(taken))
            if chosen.rung is Rung.REFUSE:
                return chosen, taken
            placed = self._on_a_line(chosen) if chosen.rung.streams else self._over_rest(chosen)
            if isinstance(placed, Plan):
                return placed, taken
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
        self._discard(line)

    def _discard(self, line: Line) -> None:
        if not line.topics and not line.leaving:
            self.lines.remove(line)

    def _lines(self, plan: Plan) -> list[Line]:
        key = (plan.series.variant, plan.lane.key)
        return [line for line in self.lines if line.key == key]

    def _on_a_line(self, chosen: Plan) -> Plan | Full:
        topic, alone = chosen.topic, chosen.lane.alone
        lines = self._lines(chosen)
        for line in lines:
            if topic in line.topics:  # what several series are made of is asked for once
                line.topics[topic] += 1
                return attrs.evolve(chosen, cost=Cost(), line=line.number)
        most = self.limits.topics_per_connection or TOPICS_PER_LINE
        free = [line for line in lines if line.takes(alone, most)]
        fit = [line for line in free if line.reserved == chosen.priority]
        if not fit:
            full = self._full(lines, chosen)
            if full and not free and self.limits.topics_per_connection is None:
                free = [line for line in lines if line.takes(alone, None)]
            if full and not free:
                return full
            if full:  # who goes first shares a connection before it has none
                fit = free
        if fit:
            line, opened = min(fit, key=self._load), 0
        else:
            line = Line(self._number(), (chosen.series.variant, chosen.lane.key), reserved=chosen.priority)
            self.lines.append(line)
            opened = 1
        line.topics[topic] = 1
        if alone is not None:
            line.alone[topic] = alone
        return attrs.evolve(chosen, cost=Cost(connections=opened), line=line.number)

    def _number(self) -> int:
        """Return the lowest number that no connection has."""
        taken = {line.number for line in self.lines}
        return next(number for number in itertools.count(1) if number not in taken)

    # --------------------------------------------------------------------------------------------- balancing

    def _load(self, line: Line) -> float:
        """Return what a connection carries: events a second, or topics before anything was measured."""
        mean = sum(self.rates.values()) / len(self.rates) if self.rates else 1.0
        return sum(self.rates.get(topic, mean) for topic in line.topics)

    def balance(self, variant: str, rates: Mapping[Topic, float]) -> Sequence[Move]:
        """Return the few moves that even out the most; see `Places.balance`."""
        ours = [line for line in self.lines if line.key[0] == variant]
        for line in ours:
            line.leaving.clear()
        self.rates = {topic: rates[topic] for line in ours for topic in line.topics if topic in rates}
        moves: list[Move] = []
        for _, alike in itertools.groupby(sorted(ours, key=_kind), key=_kind):
            lines = list(alike)
            while len(moves) < MOST_MOVES:
                move = self._move(lines)
                if move is None:
                    break
                moves.append(move)
        return moves

    def _move(self, lines: Sequence[Line]) -> Move | None:
        """Return the move that evens out *lines* the most, done; None where they are even enough."""
        loads = {line.number: self._load(line) for line in lines}
        hottest = max(lines, key=lambda line: loads[line.number])
        hot = loads[hottest.number]
        if hot <= max(sum(loads.values()) / len(loads) * MOST_UNEVEN, self.least_moved):
            return None
        most = self.limits.topics_per_connection or TOPICS_PER_LINE
        for coolest in sorted(lines, key=lambda line: loads[line.number]):
            half = (hot - loads[coolest.number]) / 2
            fit = [
                topic
                for topic in hottest.topics
                if 0 < self.rates.get(topic, 0.0) <= half
                and coolest.takes(hottest.alone.get(topic), most)
                and not any(topic in line.leaving for line in lines)
            ]
            if coolest is not hottest and fit:
                move = Move(max(fit, key=self.rates.__getitem__), hottest.number, coolest.number)
                hottest.leaving[move.topic] = hottest.alone.get(move.topic)
                _carry(hottest, coolest, move.topic)
                return move
        return None

    def settle(self, move: Move, at: int | None) -> None:
        """Count a topic as where it is, and no more as where it was; see `Places.settle`."""
        lines = {line.number: line for line in self.lines}
        into, before = lines.get(move.into), lines.get(move.out_of)
        if before is None:
            return
        before.leaving.pop(move.topic, None)
        if at == move.out_of and into is not None and move.topic in into.topics:
            _carry(into, before, move.topic)
            self._discard(into)
        self._discard(before)

    def _full(self, lines: Sequence[Line], chosen: Plan) -> Full | None:
        """Return why no connection may be opened beside those to the endpoint of *chosen*, if so."""
        for name, most, where, there in (
            ("connections_per_lane", self.limits.connections_per_lane, " to this endpoint", len(lines)),
            ("connections", self.limits.connections, "", len(self.lines)),
        ):
            if most is not None and there >= most:
                crowd, names = self._crowd(lines, chosen)
                there_are = f"{most} connection{'' if most == 1 else 's'} allowed{where} (limit {name})"
                text = f"no place is left on the {there_are} for one topic more: {crowd}"
                return Full(text, (name, *names))
        return None

    def _crowd(self, lines: Sequence[Line], chosen: Plan) -> tuple[str, tuple[str, ...]]:
        """Return why none of *lines* takes the topic of *chosen*, and which other limits that is by."""
        if not lines:
            return "none of them leads to its endpoint", ()
        most = self.limits.topics_per_connection
        if most is None or any(line.takes(None, most) for line in lines):
            return f"what rides there excludes {chosen.topic}", ()
        return f"each carries {most} and may no more (limit topics_per_connection)", (
            "topics_per_connection",
        )

    def _over_rest(self, chosen: Plan) -> Plan | Full:
        rate, asked = self.limits.rest, chosen.cost.rest_per_hour
        if rate is not None:
            allowed = rate.per_hour
            if self.rest_per_hour + asked > allowed + _ROUNDING:
                return Full(
                    f"the {allowed:,.0f} REST calls an hour that are allowed are taken (limit rest): "
                    f"{_number(self.rest_per_hour)} by others, and {_number(asked)} more were asked for",
                    ("rest",),
                )
        self.rest_per_hour += asked
        if chosen.support is None or not chosen.support.over_stream:
            return chosen
        self.asking[chosen.series.variant] += 1
        shares = self.asking[chosen.series.variant] > 1
        return attrs.evolve(chosen, cost=Cost()) if shares else chosen


def _told(taken: Mapping[Rung, Full]) -> Mapping[Rung, str]:
    return {rung: full.text for rung, full in taken.items()}


def _number(per_hour: float) -> str:
    return f"{per_hour:,.0f}" if per_hour >= 1 or not per_hour else f"{per_hour:.2g}"


def _way_out(judged: Judged, taken: Mapping[Rung, Full]) -> str:
    """Return what to do where limits alone stand against a series; nothing where none do."""
    if not taken:
        return ""
    venue = judged.blank.series.venue
    names = dict.fromkeys(name for full in taken.values() for name in full.limits)
    own = [f"venues.{venue}.limits.{name}" for name in names if getattr(judged.wish, name) is not None]
    raised = f", or raise {' or '.join(own)}" if own else ""
    return f"; collect fewer series of {venue}{raised}"


def _kind(line: Line) -> tuple[tuple[str, str], bool]:
    """Return what two connections have in common that may carry the same topics."""
    return line.key, line.reserved


def _carry(out_of: Line, into: Line, topic: Topic) -> None:
    into.topics[topic] = out_of.topics.pop(topic)
    if topic in out_of.alone:
        into.alone[topic] = out_of.alone.pop(topic)
