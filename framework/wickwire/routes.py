"""What stands between a topic and the series that live on it: there are several, or candles to be made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, final

import attrs

from wickwire.builder import Late, Maker, Restated
from wickwire.candle_route import CandleRoute
from wickwire.clock import Clock
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind
from wickwire.handover import Departure, Overlap
from wickwire.model import Candle, Quote, Series, Trade, TradeAction
from wickwire.session import Session
from wickwire.subscriptions import TopicPhase
from wickwire.topic_route import Route, Through

__all__ = ["MadeRoute", "Riders"]

Since = Callable[[], int | None]

_NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


@final
class MadeRoute:
    """Makes candles of what a topic brings, for the route of their series. See `topic_route.Route`."""

    def __init__(self, route: CandleRoute, maker: Maker, clock: Clock) -> None:
        """Bring what *maker* makes to *route*."""
        self._route = route
        self._maker = maker
        self._clock = clock
        self._began_ns = 0
        self._is_whole = False
        self._numbered = route.ledger.support.numbered
        self._newest: tuple[int, int] | None = None
        self.received = 0

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one event of the topic."""
        self.received += 1
        if self._numbered and isinstance(data, Trade):
            self._count(data)
        made = self._maker.take(data)
        if not self._is_whole and self._maker.whole_ns is not None:
            self._is_whole = True
            self._route.ledger.expect(max(self._began_ns, self._maker.whole_ns))
        if made is None:
            return
        match made:
            case Candle():
                self._route.receive(made)
            case Restated():
                self._route.made_anew(made.candle)
            case Late():
                self._route.withdrawn(made.open_ns)

    def _count(self, trade: Trade) -> None:
        """Leave to history what two trades stand in between which others are missing."""
        if trade.action is not TradeAction.NEW or not _NUMBER.fullmatch(trade.id):
            return
        number, newest = int(trade.id), self._newest
        if newest is not None:
            before, before_ns = newest
            if number <= before:
                return
            if number != before + 1:
                why = f"trades {before + 1} to {number - 1} are missing"
                self.doubted(why)
                self._route.tell_gap(why)
                self._withdraw(before_ns)
        self._newest = number, trade.time_ns

    def _restart(self) -> None:
        """Begin anew; until something comes, no bucket is expected before the next but one."""
        self._maker.restart()
        self._newest = None
        self._is_whole = False
        self._began_ns = self._clock.now_ns()
        ledger = self._route.ledger
        timeframe, grid = ledger.series.timeframe, ledger.support.grid
        next_ns = timeframe.close_of(timeframe.open_at(self._began_ns, grid), grid)
        ledger.expect(timeframe.close_of(next_ns, grid))

    def subscribed(self, session: Session) -> None:
        """Start a new epoch: what went before is not known."""
        self._route.subscribed(session)
        self._restart()

    def moved(self, session: Session) -> None:
        """Go on over another connection: nothing is missing between the two."""
        self._route.moved(session)

    def caught_up(self, *, truncated: bool) -> None:
        """Nothing to do: whether a bucket is whole is told by what came."""

    def gathering(self) -> None:
        """Nothing to do: whether a bucket is whole is told by what came."""

    def doubted(self, why: str) -> None:
        """Something may be missing: the running bucket is not whole."""
        self._route.doubted(why)
        self._restart()

    def withdrawn(self, open_ns: int) -> None:
        """Leave what a withdrawn piece lies in to history."""
        self._restart()
        self._withdraw(open_ns)

    def _withdraw(self, open_ns: int) -> None:
        ledger = self._route.ledger
        self._route.withdrawn(ledger.series.timeframe.open_at(open_ns, ledger.support.grid))

    def lost(self, why: str) -> None:
        """End the epoch."""
        self._route.lost(why)
        self._maker.restart()

    def refused(self, kind: FaultKind, why: str) -> None:
        """Pass on that the topic will not come."""
        self._route.refused(kind, why)


@attrs.define(eq=False)
class Riders(Through):
    """The series that live on one topic. A sole one takes its data directly; of several, this is the route.

    Attributes:
        topic: What is subscribed to, once for all of them.
        arrival: What leaves out what another connection told before, for a while after the topic came from
            there; None at other times.
        departure: What notes the data of a connection that the topic is about to leave; None at other times.
    """

    topic: Topic
    arrival: Overlap | None = None
    departure: Departure | None = None
    _riders: dict[Series, tuple[Route, Since]] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self._riders)

    def __contains__(self, series: object) -> bool:
        return series in self._riders

    @property
    def route(self) -> Route:
        """What takes the data of the topic on the connection that counts."""
        taking: Route = self
        if len(self._riders) == 1:
            [(taking, _)] = self._riders.values()
        if self.arrival is not None:
            self.arrival.route = taking
            taking = self.arrival
        if self.departure is not None:
            self.departure.route = taking
            taking = self.departure
        return taking

    def since_ns(self) -> int | None:
        """From when on a topic that can be replayed is wanted: by whoever wants the most."""
        wanted = [since() for _, since in self._riders.values()]
        return min((since_ns for since_ns in wanted if since_ns is not None), default=None)

    def add(self, series: Series, route: Route, since_ns: Since, session: Session | None) -> None:
        """Let *series* ride along, on a connection that lives already where there is one."""
        self._riders[series] = (route, since_ns)
        if session is None or session.phase(self.topic) is None:
            return
        session.reroute(self.topic, self.route)
        if session.phase(self.topic) is TopicPhase.CONFIRMED:
            route.subscribed(session)

    def remove(self, series: Series, session: Session | None) -> None:
        """Let *series* ride no longer."""
        self._riders.pop(series, None)
        if self._riders and session is not None and session.phase(self.topic) is not None:
            session.reroute(self.topic, self.route)

    # ------------------------------------------------------------------------------ the route of several

    @property
    def received(self) -> int:
        """How many events the oldest of them took so far."""
        return max((route.received for route in self.routes()), default=0)

    def routes(self) -> Sequence[Route]:
        """Return what all of them live on."""
        return [route for route, _ in self._riders.values()]

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Pass one event on."""
        for route, _ in self._riders.values():
            route.receive(data)
