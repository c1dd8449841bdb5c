"""One topic changes its connection without a gap: both carry it for a while, and nothing is told twice. Pure.

The old connection goes on being listened to. What the new one brings meanwhile waits, until the two are known
to overlap: both brought the same, or the old one brought nothing that the new one should have. From then on
the new one counts, and what waits and was not told yet is told, in order; what the old one told first is left
out when the new one brings it later. Trades and closed candles are told apart by what they say, so many times
each; of running candles and quotes only the newest matters.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.endpoint import Topic
from wickwire.errors import FaultKind
from wickwire.model import Candle, Finality, Quote, Trade
from wickwire.topic_route import Route, Through

if TYPE_CHECKING:
    from wickwire.session import Session

__all__ = ["LAG_S", "MOST_WAITING", "QUIET_S", "SETTLE_S", "Departure", "Overlap", "Proof"]

LAG_S: Final = 1.0
"""How far two connections to one venue may lie apart. What the old one brought so soon after the new one was
subscribed may have happened before; what it brought so lately may still be on its way on the new one."""

QUIET_S: Final = 10.0
"""How long nothing has to come on either connection until that counts as a proof."""

SETTLE_S: Final = 5.0
"""How long after it counts the new connection may bring what the old one told before."""

MOST_WAITING: Final = 20_000
"""Events of one topic that may wait; where more come before the new connection is proven, it is given up."""

Event = Candle | Trade | Quote


@final
class Proof(enum.Enum):
    """What is known of a topic on the connection that is to carry it."""

    NONE = "none"
    """Not subscribed for long enough, or it lacks what the old one brought."""
    SILENCE = "silence"
    """Nothing came on either for a while."""
    DATA = "data"
    """It brings what the old one brings."""


@final
@attrs.define(eq=False)
class Overlap(Through):
    """A topic on two connections at once. It is the `topic_route.Route` of the topic on the new one.

    Attributes:
        topic: What is handed over.
        trouble: Why the new connection cannot have it; empty while it can.
        refusal: What the venue said when it refused it there; None where it did not.
        route: What takes the data since the new connection counts; None before.
    """

    topic: Topic
    trouble: str = ""
    refusal: tuple[FaultKind, str] | None = None
    route: Route | None = None
    _session: Session | None = None
    _settled: Callable[[], None] | None = None
    _settled_s: float = 0.0
    _brings: int = 0
    _confirmed_s: float | None = None
    _brought: Counter[Hashable] = attrs.field(factory=Counter)
    _waiting: list[Trade | Candle] = attrs.field(factory=list)
    _rows: dict[int, Candle] = attrs.field(factory=dict)
    _farthest: tuple[object, ...] = ()
    _quote: Quote | None = None
    _withdrawn: list[int] = attrs.field(factory=list)
    _doubts: list[str] = attrs.field(factory=list)
    _told: Counter[Hashable] = attrs.field(factory=Counter)
    _told_rows: dict[int, Candle] = attrs.field(factory=dict)
    _told_quote: Quote | None = None
    _due: Event | None = None
    _due_s: float = 0.0
    _met: bool = False
    _before: set[Hashable] = attrs.field(factory=set)
    _behind_s: float = -math.inf

    # ------------------------------------------------------------------------------- what the old one brings

    def told(self, data: Event, now_s: float) -> None:
        """Note what the old connection brought, and was told, at *now_s* of the loop."""
        key = _key(data)
        if key is not None:
            self._told[key] += 1
            self._met = self._met or key in self._brought
        if isinstance(data, Candle):
            self._told_rows[data.open_ns] = data
        elif isinstance(data, Quote):
            self._told_quote = data
        if key is not None and key in self._before:
            self._behind_s = now_s  # the old one is still telling what was before the subscription
        elif self._due is None and self._confirmed_s is not None and now_s > self._confirmed_s + LAG_S:
            self._due, self._due_s = data, now_s

    # ------------------------------------------------------------------------------- what the new one brings

    def routes(self) -> Sequence[Route]:
        """Return what takes the data, once the new connection counts; what was before, the old one told."""
        return () if self.route is None else (self.route,)

    @property
    def received(self) -> int:
        """How many events the route took so far."""
        return self._brings if self.route is None else self.route.received

    def receive(self, data: Event, /) -> None:
        """Keep one event until it is known whether the old connection brought it too."""
        if self.route is not None:
            self._pass_on(self.route, data)
            return
        self._brings += 1
        if isinstance(data, Quote):
            self._quote = data
            return
        if isinstance(data, Candle):
            self._farthest = max(self._farthest, _progress(data))
            if data.finality is not Finality.CLOSED:
                self._rows[data.open_ns] = data
                self._limit(len(self._rows))
                return
            self._rows.pop(data.open_ns, None)  # it runs no more
        key = _key(data)
        if data.snapshot:  # it was before the subscription, when the old connection was there alone
            self._before.add(key)
            if self._due is not None and key == _key(self._due):
                self._due, self._behind_s = None, self._due_s
            return
        self._brought[key] += 1
        self._met = self._met or key in self._told
        self._waiting.append(data)
        self._limit(len(self._waiting))

    def _limit(self, waiting: int) -> None:
        if waiting > MOST_WAITING:
            self.trouble = f"more than {MOST_WAITING:,} events came before it was proven"
            self._waiting.clear()
            self._rows.clear()

    def _pass_on(self, route: Route, data: Event) -> None:
        """Tell what the new connection brings now that it counts, unless the old one told it before."""
        if not self._is_told(data):
            route.receive(data)
        if self._session is not None and self._session.frame_s > self._settled_s:
            self._settle()

    def _is_told(self, data: Event) -> bool:
        """Say whether the old connection told it, or something newer in its place; each counts once."""
        key = _key(data)
        if key is not None:
            if self._told[key] <= 0:
                return False
            self._told[key] -= 1
            return True
        if isinstance(data, Candle):
            row = self._told_rows.get(data.open_ns)
            if row is not None and row.finality is Finality.CLOSED:
                return _progress(data) <= _progress(row)
            return row is not None and _progress(data) < _progress(row)
        quote = self._told_quote
        if quote is None or quote.time_ns is None or not isinstance(data, Quote) or data.time_ns is None:
            return False
        return data.time_ns < quote.time_ns

    def _settle(self) -> None:
        if self._settled is not None:
            settled, self._settled = self._settled, None
            settled()

    def subscribed(self, session: Session) -> None:
        """Note from when on the new connection brings everything; later, that it begins anew."""
        self._session = session
        self._confirmed_s = session.frame_s
        super().subscribed(session)
        self._settle()

    def presumed(self, now_s: float) -> None:
        """Note that the new connection is taken to bring everything from now on: no frame has said so."""
        self._confirmed_s = now_s

    def moved(self, session: Session) -> None:
        """Go on over another connection."""
        self._session = session
        super().moved(session)

    def doubted(self, why: str) -> None:
        """Something may be lost on the new connection; it is said when that one counts."""
        super().doubted(why)
        if self.route is None:
            self._doubts.append(why)

    def withdrawn(self, open_ns: int) -> None:
        """A candle was withdrawn; it is said when the new connection counts."""
        if self.route is not None:
            super().withdrawn(open_ns)
            return
        self._rows.pop(open_ns, None)
        self._withdrawn.append(open_ns)

    def lost(self, why: str) -> None:
        """The new connection ended: all of it has to begin anew."""
        if self.route is not None:
            super().lost(why)
            self._settle()
            return
        self._confirmed_s, self._due, self._met, self._brings = None, None, False, 0
        self._behind_s = -math.inf
        self._before.clear()
        self._brought.clear()
        self._waiting.clear()
        self._rows.clear()
        self._farthest = ()
        self._withdrawn.clear()
        self._doubts.clear()
        self._quote = None
        self.trouble, self.refusal = "", None

    def refused(self, kind: FaultKind, why: str) -> None:
        """The new connection cannot have it."""
        if self.route is not None:
            super().refused(kind, why)
            return
        self.trouble, self.refusal = f"{kind.value}: {why}", (kind, why)

    # ------------------------------------------------------------------------------------------ what follows

    def proof(self, now_s: float) -> Proof:
        """Say what is known of the new connection: whether it brings everything from here on."""
        if self.trouble or self._confirmed_s is None:
            return Proof.NONE
        since_s = max(self._confirmed_s, self._behind_s)
        if now_s < since_s + 2 * LAG_S:
            return Proof.NONE
        due = self._due
        if due is not None and self._due_s <= now_s - LAG_S:
            return Proof.DATA if self._has_brought(due) else Proof.NONE
        if self._brings:
            return Proof.DATA
        quiet = due is None and now_s >= since_s + QUIET_S  # what came a moment ago has to come here too
        return Proof.SILENCE if quiet else Proof.NONE

    def _has_brought(self, due: Event) -> bool:
        """Say whether the new connection is as far as the old one was when it told *due*."""
        if isinstance(due, Quote):
            return self._quote is not None
        if _key(due) is None:
            assert isinstance(due, Candle)
            return self._farthest >= _progress(due)
        return self._met

    def hand_over(self, route: Route, settled: Callable[[], None]) -> None:
        """Let the new connection count: tell *route* what the old one did not bring, and all from now on.

        *settled* is called once nothing comes any more that the old one told before.
        """
        self.route, self._settled = route, settled
        self._settled_s = SETTLE_S + (0.0 if self._session is None else self._session.frame_s)
        for event in self._untold():
            route.receive(event)
        for open_ns in self._withdrawn:
            route.withdrawn(open_ns)
        for why in self._doubts:
            route.doubted(why)

    def _untold(self) -> Sequence[Event]:
        """Return what waits and was not told, in order."""
        rows = sorted(self._rows.values(), key=_progress)
        waiting: list[Event] = [*self._waiting, *rows]
        if self._quote is not None:
            waiting.append(self._quote)
        return [event for event in waiting if not self._is_told(event)]


@final
@attrs.define(eq=False)
class Departure(Through):
    """The `topic_route.Route` of a topic on the connection that it leaves: all goes on, and is noted."""

    route: Route
    overlap: Overlap
    _session: Session | None

    def routes(self) -> Sequence[Route]:
        """Return the one that counts."""
        return (self.route,)

    @property
    def received(self) -> int:
        """How many events were told so far."""
        return self.route.received

    def receive(self, data: Event, /) -> None:
        """Pass one event on."""
        self.route.receive(data)
        if self._session is not None:
            self.overlap.told(data, self._session.frame_s)

    def subscribed(self, session: Session) -> None:
        """Pass on."""
        self._session = session
        super().subscribed(session)

    def moved(self, session: Session) -> None:
        """Pass on."""
        self._session = session
        super().moved(session)


def _key(data: Event) -> Hashable | None:
    """Return what tells an event from others; None where only the newest matters."""
    if isinstance(data, Trade):
        what = data.id or (data.time_ns, data.price, data.size, data.side)
        return what, data.action, data.replaces, data.price, data.size
    if isinstance(data, Candle) and data.finality is Finality.CLOSED:
        return data.open_ns, data.open, data.high, data.low, data.close, data.volume, data.trade_count
    return None


def _progress(row: Candle) -> tuple[object, ...]:
    """Return how far a running candle is: volume and trades of a bucket only grow."""
    return row.open_ns, row.volume, row.trade_count or 0
