"""What stands between a topic and the series that live on it: several of them, or candles to be made first."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import attrs

from wickwire.builder import Late, Maker, Restated
from wickwire.closer import Closer
from wickwire.errors import FaultKind
from wickwire.model import Candle, Quote, Series, Trade
from wickwire.session import Session
from wickwire.subscriptions import Route, TopicPhase
from wickwire.wire import Topic

__all__ = ["MadeRoute", "Riders"]

Since = Callable[[], int | None]


@final
class MadeRoute:
    """Makes candles of what a topic brings, for the closer of their series. See `session.Route`."""

    def __init__(self, closer: Closer, maker: Maker) -> None:
        """Bring what *maker* makes to *closer*."""
        self._closer = closer
        self._maker = maker
        self._whole_ns: int | None = None

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one event of the topic."""
        made = self._maker.take(data)
        if self._whole_ns is None:
            self._whole_ns = self._maker.whole_ns
            if self._whole_ns is not None:
                self._closer.ledger.witness_from(self._whole_ns)
        if made is None:
            return
        match made:
            case Candle():
                self._closer.receive(made)
            case Restated():
                self._closer.restated(made.candle)
            case Late():
                self._closer.withdrawn(made.open_ns)

    def _restart(self) -> None:
        self._maker.restart()
        self._whole_ns = None

    def subscribed(self, session: Session) -> None:
        """Start a new epoch: what went before is not known."""
        self._restart()
        self._closer.subscribed(session)

    def caught_up(self, *, truncated: bool) -> None:
        """Nothing to do: whether a bucket is whole is told by what came."""

    def doubted(self, why: str) -> None:
        """Something may be missing: the running bucket is not whole."""
        self._restart()
        self._closer.doubted(why)

    def withdrawn(self, open_ns: int) -> None:
        """Leave what a withdrawn piece lies in to history."""
        ledger = self._closer.ledger
        self._restart()
        self._closer.withdrawn(ledger.series.timeframe.open_at(open_ns, ledger.support.grid))

    def lost(self, why: str) -> None:
        """End the epoch."""
        self._restart()
        self._closer.lost(why)

    def refused(self, kind: FaultKind, why: str) -> None:
        """Pass on that the topic will not come."""
        self._closer.refused(kind, why)


@attrs.define(eq=False)
class Riders:
    """The series that live on one topic. A sole one takes its data directly; of several, this is the route.

    Attributes:
        topic: What is subscribed to, once for all of them.
    """

    topic: Topic
    _riders: dict[Series, tuple[Route, Since]] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self._riders)

    def __contains__(self, series: object) -> bool:
        return series in self._riders

    @property
    def route(self) -> Route:
        """What takes the data of the topic."""
        if len(self._riders) == 1:
            [(route, _)] = self._riders.values()
            return route
        return self

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

    def _routes(self) -> list[Route]:
        return [route for route, _ in self._riders.values()]

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Pass one event on."""
        for route, _ in self._riders.values():
            route.receive(data)

    def subscribed(self, session: Session) -> None:
        """Pass on."""
        for route in self._routes():
            route.subscribed(session)

    def caught_up(self, *, truncated: bool) -> None:
        """Pass on."""
        for route in self._routes():
            route.caught_up(truncated=truncated)

    def doubted(self, why: str) -> None:
        """Pass on."""
        for route in self._routes():
            route.doubted(why)

    def withdrawn(self, open_ns: int) -> None:
        """Pass on."""
        for route in self._routes():
            route.withdrawn(open_ns)

    def lost(self, why: str) -> None:
        """Pass on."""
        for route in self._routes():
            route.lost(why)

    def refused(self, kind: FaultKind, why: str) -> None:
        """Pass on."""
        for route in self._routes():
            route.refused(kind, why)
