"""Where the data of one topic goes, and what such a route is told beside data.

Most routes belong to one series; some stand between a topic and several of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from wickwire.errors import FaultKind
from wickwire.model import Candle, Quote, Trade

if TYPE_CHECKING:
    from wickwire.session import Session

__all__ = ["Receive", "Route", "Through"]

Receive = Callable[[Candle | Trade | Quote], None]


class Route(Protocol):
    """Where the data of one topic goes. Called inside the reader: be quick, never block, never raise."""

    def receive(self, data: Candle | Trade | Quote, /) -> None:
        """Take one event."""
        ...

    @property
    def received(self) -> int:
        """How many events it took so far, on whatever connection."""
        ...

    def subscribed(self, session: Session) -> None:
        """The subscription is confirmed: what comes from now on is one uninterrupted epoch."""
        ...

    def moved(self, session: Session) -> None:
        """The subscription goes on over another connection, without a gap: no new epoch."""
        ...

    def caught_up(self, *, truncated: bool) -> None:
        """The snapshot that follows a subscription is complete, or the venue cut it."""
        ...

    def gathering(self) -> None:
        """A part of a snapshot came, of which nothing is told before it is complete."""
        ...

    def doubted(self, why: str) -> None:
        """Something may have been lost; the subscription goes on."""
        ...

    def withdrawn(self, open_ns: int) -> None:
        """The venue withdrew a candle."""
        ...

    def lost(self, why: str) -> None:
        """The subscription ended."""
        ...

    def refused(self, kind: FaultKind, why: str) -> None:
        """The venue refused the subscription."""
        ...


class Through(ABC):
    """Passes on to other routes all that a `Route` is told but data, which each kind takes its own way."""

    __slots__ = ()

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Return where to; asked each time."""

    def subscribed(self, session: Session) -> None:
        """Pass on."""
        for route in self.routes():
            route.subscribed(session)

    def moved(self, session: Session) -> None:
        """Pass on."""
        for route in self.routes():
            route.moved(session)

    def caught_up(self, *, truncated: bool) -> None:
        """Pass on."""
        for route in self.routes():
            route.caught_up(truncated=truncated)

    def gathering(self) -> None:
        """Pass on."""
        for route in self.routes():
            route.gathering()

    def doubted(self, why: str) -> None:
        """Pass on."""
        for route in self.routes():
            route.doubted(why)

    def withdrawn(self, open_ns: int) -> None:
        """Pass on."""
        for route in self.routes():
            route.withdrawn(open_ns)

    def lost(self, why: str) -> None:
        """Pass on."""
        for route in self.routes():
            route.lost(why)

    def refused(self, kind: FaultKind, why: str) -> None:
        """Pass on."""
        for route in self.routes():
            route.refused(kind, why)
