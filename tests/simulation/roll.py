"""What the venues' servers see every few seconds: which connections carry what, and how many there are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import urlsplit

import attrs

if TYPE_CHECKING:
    from tests.simulation.script import Act
    from tests.simulation.stage import Stage
    from wickwire.health import Health
    from wickwire.simulate.memory import MemoryStream

__all__ = ["Roll", "carried_by"]

BORNE: Final = 5
"""Samples on end for which a connection may carry what nobody wants, or what another one carries too: handing
over takes half a minute at most."""

ALONE: Final = 9
"""Where one lived for so many samples on end, and none was tried, all are there that are wanted."""
FORGIVEN_S: Final = 420.0
"""So long after a failure its own schedule may keep a connection away: six minutes where a person has to mend
something first."""
LONGEST_OWN_S: Final = 190.0
"""For so long a connection may wait that ended before it brought data for a while: the longest wait of the
schedule, and a moment."""
MOST_TRIES: Final = 7
"""After so many attempts in that time, all by one connection, its waits are still shorter than that."""
POLICY: Final = 1008
"""A connection that ends with this code has failed, though it was opened: somebody has to mend something."""
AWAY: Final = 18
"""For so many samples on end REST may be called away after it answered, if to somebody who does not count."""
HISTORY_STREAMS: Final = frozenset({("dxlink", "Candle")})
"""Whose history comes over a connection of its own: what is asked there in vain is asked again and again."""
PLAIN: Final = "harbour"
"""Its history fails by the status of its answers alone; others send failures as if all were well."""
JUDGED: Final = ("kraken", "coinbase", "harbour")
"""Who wants no credentials: where these are refused, the next attempt is long after."""

DEAFENING: Final = frozenset({"mute", "message_rate", "exceeded_rate", "limited", "stall"})
"""Troubles in which what is said to a venue is lost: nobody answers to who leaves a topic."""

Told = tuple[int, str, str]


class _Subscribed(Protocol):
    """A connection as a venue's simulator has it."""

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        """What it is subscribed to: kind of data, and symbol."""
        ...


@attrs.define(eq=False)
class Roll:
    """Calls the roll at the venues.

    Attributes:
        unwanted: When which symbol of a venue was still subscribed to, long after it was left.
        doubled: When which topic of a venue was on several connections for longer than handing over takes.
        apart: When connections were not there, for no reason that can be seen: when, at which venue,
            how many, and how many were wanted.
        slandered: When REST of a venue was called away still, though it had answered, and failed no more.
    """

    unwanted: list[Told] = attrs.field(factory=list)
    doubled: list[Told] = attrs.field(factory=list)
    apart: list[tuple[int, str, int, int]] = attrs.field(factory=list)
    slandered: list[tuple[int, str]] = attrs.field(factory=list)
    _left_over: Mapping[Hashable, int] = attrs.field(factory=dict)
    _twice: Mapping[Hashable, int] = attrs.field(factory=dict)
    _missing: Mapping[Hashable, int] = attrs.field(factory=dict)
    _tried: dict[str, int] = attrs.field(factory=dict)
    _away: Mapping[Hashable, int] = attrs.field(factory=dict)
    _asked: dict[str, int] = attrs.field(factory=dict)
    _answered: set[str] = attrs.field(factory=set)
    _deaf: set[Hashable] = attrs.field(factory=set)
    _deafened: dict[int, str] = attrs.field(factory=dict)
    _barred_s: dict[str, float] = attrs.field(factory=dict)

    def forgive(self, stage: Stage, act: Act, now_s: float, *, begins: bool) -> None:
        """Leave out streams on which something may be said in vain, and those that end for good reason."""
        if act.trouble.details.get("code") == POLICY:
            self._barred_s[stage.acting.venue_of(act)] = now_s
        if act.trouble.name in DEAFENING:
            self._deafened[act.number] = stage.acting.venue_of(act)
            self._forgive_open(stage)
            if not begins:
                del self._deafened[act.number]

    def _forgive_open(self, stage: Stage) -> None:
        deafened = {*self._deafened.values()}
        self._deaf.update(
            stream
            for stream in stage.line.open_streams
            if not deafened.isdisjoint({"", _venue_of(stage, stream)})
        )

    def call(self, stage: Stage, health: Health, now_s: float) -> None:
        """Look once, beside what the collector says of itself."""
        self._forgive_open(stage)
        wanted = {(one.series.venue, one.series.symbol) for one in health.series}
        carried: dict[tuple[str, str, str], list[Hashable]] = {}
        there: Counter[str] = Counter()
        for stream in stage.line.open_streams:
            venue = _venue_of(stage, stream)
            there[venue] += 1
            if not stream.muted and stream not in self._deaf:  # what is said there arrives
                for kind, symbol in carried_by(stream):
                    carried.setdefault((venue, kind, symbol), []).append(stream)
        unwanted = [
            (venue, symbol, stream)
            for (venue, _, symbol), streams in carried.items()
            if (venue, symbol) not in wanted
            for stream in streams
        ]
        doubled = [
            (what, tuple(streams))
            for what, streams in carried.items()
            if len(streams) > 1 + ((what[0], what[1].partition(" ")[0]) in HISTORY_STREAMS)
        ]
        self._left_over = _longer(self._left_over, unwanted)
        self._twice = _longer(self._twice, doubled)
        self.unwanted += [
            (health.at_ns, *one[:2]) for one in dict.fromkeys(unwanted) if self._left_over[one] == BORNE
        ]
        self.doubled += [
            (health.at_ns, one[0][0], " ".join(one[0][1:])) for one in doubled if self._twice[one] == BORNE
        ]
        self._look_who_is_missing(stage, health, there, now_s)
        self._look_who_is_called_away(stage, health)

    def _look_who_is_called_away(self, stage: Stage, health: Health) -> None:
        """Compare what is said of REST with what came of the requests since the last look."""
        for told in health.venues:
            venue, tries = told.venue, stage.books.tries.get(told.venue, [])
            if venue != PLAIN:
                continue
            news = [is_well for _, is_well, is_stream in tries[self._asked.get(venue, 0) :] if not is_stream]
            self._asked[venue] = len(tries)
            if told.away_since_ns is None or not all(news):
                self._answered.discard(venue)
            elif news:
                self._answered.add(venue)
        self._away = _longer(self._away, sorted(self._answered))
        self.slandered += [(health.at_ns, venue) for venue in self._answered if self._away[venue] == AWAY]

    def _look_who_is_missing(
        self, stage: Stage, health: Health, there: Mapping[str, int], now_s: float
    ) -> None:
        short: dict[str, int] = {}
        for told in health.venues:
            venue = told.venue
            if venue in JUDGED and 0 < there.get(venue, 0) < told.wanted_connections:
                tried = _since(stage, stage.books.connects, venue, -math.inf)
                before, self._tried[venue] = self._tried.get(venue, 0), tried
                lately = _since(stage, stage.books.connects, venue, now_s - FORGIVEN_S)
                failed = _since(stage, stage.books.failed, venue, now_s - FORGIVEN_S)
                barren = _since(stage, stage.books.barren, venue, now_s - LONGEST_OWN_S)
                missing = told.wanted_connections - there[venue]
                is_barred = self._barred_s.get(venue, -math.inf) >= now_s - FORGIVEN_S
                waits = failed or is_barred or barren >= missing
                if before == tried and lately <= MOST_TRIES and not waits:
                    short[venue] = told.wanted_connections
        self._missing = _longer(self._missing, [*short])
        self.apart += [
            (health.at_ns, venue, there[venue], wanted)
            for venue, wanted in short.items()
            if self._missing[venue] == ALONE
        ]


def carried_by(stream: MemoryStream) -> Sequence[tuple[str, str]]:
    """Return what the venue's end of a stream is subscribed to: kinds of data, and symbols."""
    return cast("_Subscribed", stream.connection).subscribed


def _venue_of(stage: Stage, stream: MemoryStream) -> str:
    return stage.books.venue_of[urlsplit(str(stream.origin)).netloc]


def _longer(before: Mapping[Hashable, int], now: Sequence[Hashable]) -> Mapping[Hashable, int]:
    """Return for how many samples on end each of *now* has been so."""
    return {one: before.get(one, 0) + 1 for one in now}


def _since(stage: Stage, times: Mapping[tuple[str, int], Sequence[float]], venue: str, since_s: float) -> int:
    """Count what the present life noted of a venue from an instant on."""
    return sum(
        at_s >= since_s
        for (host, life), noted in times.items()
        if life == stage.lives and stage.books.venue_of[host] == venue
        for at_s in noted
    )
