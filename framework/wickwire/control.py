"""What a venue says on one connection that is no data: answers, refusals, troubles, and of its own state."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from wickwire.adapter import Adapter
from wickwire.clock import Clock, loop_s
from wickwire.errors import FaultKind, VenueError
from wickwire.events import Accepted, Fault, Heartbeat, Refused, Released, Removed, SnapshotDone, VenueStatus
from wickwire.history import History
from wickwire.model import SECOND_NS, iso
from wickwire.news import StatusChanged, SubscriptionRefused, Tell
from wickwire.subscriptions import QUARANTINE_S, Subscriptions

__all__ = ["Control"]

log = logging.getLogger(__name__)

_ENDING: Final = frozenset(
    {
        FaultKind.RESTART,
        FaultKind.CREDENTIALS,
        FaultKind.ENTITLEMENT,
        FaultKind.SLOT_TAKEN,
        FaultKind.CHANNEL_LOST,
    }
)


class Control:
    """Takes what is said on one connection, and tells whom it concerns.

    Attributes:
        faults: Troubles that the venue reported.
        status: The venue's last word on its own state.
    """

    def __init__(
        self,
        adapter: Adapter,
        scope: str,
        book: Subscriptions,
        history: History,
        clock: Clock,
        *,
        is_ready: Callable[[], bool],
        halted: Callable[[str, str], None] | None,
        tell: Tell | None,
    ) -> None:
        """Listen to *adapter*'s venue.

        Args:
            adapter: Whose venue.
            scope: The venue and its variant.
            book: What is subscribed to there.
            history: What wants to know what time it is there.
            clock: What stamps.
            is_ready: Says whether the venue may be subscribed on.
            halted: Called with a symbol and what the venue said of its state.
            tell: Told what the venue refuses, and of its own state.
        """
        self.faults = 0
        self.status = ""
        self._adapter = adapter
        self._scope = scope
        self._book = book
        self._history = history
        self._words = history.words
        self._clock = clock
        self._is_ready = is_ready
        self._halted = halted
        self._tell = tell
        self._reported: dict[FaultKind, None] = {}

    def take(self, event: object) -> None:  # noqa: C901 - one arm an event
        """Take one event.

        Raises:
            VenueError: The venue ends the connection, or will not serve on it.
            PluginError: It is no event.
        """
        match event:
            case Heartbeat():
                if event.time_ns is not None:
                    self._history.told_time(event.time_ns)
                if event.topic is not None:
                    self._book.gathering(event.topic)
            case SnapshotDone():
                self._book.caught_up(event.topic, truncated=event.truncated)
            case Accepted():
                self._book.accepted(event.topics)
            case Released():
                pass
            case Refused():
                self.refused(event)
            case Removed():
                self._book.withdrawn(event.topic, event.open_ns)
            case VenueStatus():
                self._note_status(event)
            case Fault():
                self._fault(event)
            case _:
                raise self._adapter.broke(f"parse() returned a {type(event).__name__}, which is no event")

    def refused(self, event: Refused) -> None:
        """Take that topics are refused, by the venue or because nothing could be said that it takes."""
        now_s, why = loop_s(), self._words.of(VenueError(event.kind, event.text))
        at_ns = self._clock.now_ns()
        until_ns = at_ns + round(QUARANTINE_S * SECOND_NS)
        for topic in self._book.refused(event.topics, event.kind, why, now_s):
            said = {"venue": self._adapter.name, "topic": str(topic), "why": why, "until": iso(until_ns)}
            log.info("subscription refused", extra=said)  # the route warns, once
            if self._tell is not None:
                scope, kind = self._scope, event.kind
                refused = SubscriptionRefused(
                    venue=scope, topic=topic, at_ns=at_ns, kind=kind, why=why, until_ns=until_ns
                )
                self._tell(refused)

    def _note_status(self, event: VenueStatus) -> None:
        state = self._words.of(event.state)
        if event.symbol is not None:
            if self._halted is not None:
                self._halted(event.symbol, self._words.of(event.text) or state)
        elif state != self.status:
            before, self.status = self.status, state
            log.info("venue status", extra={"venue": self._adapter.name, "state": state})
            if self._tell is not None:
                at_ns = self._clock.now_ns()
                self._tell(StatusChanged(venue=self._scope, symbol=None, at_ns=at_ns, status=state))
            if before:  # what was traded while it was in trouble may never be said
                self._book.doubted(f"the venue went from {before} to {state}")

    def _fault(self, event: Fault) -> None:
        self.faults += 1
        why = self._words.of(event.text)
        if event.kind not in self._reported:  # a broken row in each frame is no reason for a line each
            self._reported[event.kind] = None
            log.warning(
                "venue fault", extra={"venue": self._adapter.name, "kind": event.kind.value, "why": why}
            )
        if event.kind in _ENDING or (event.kind is FaultKind.REQUEST and not self._is_ready()):
            raise VenueError(event.kind, f"{self._adapter.name}: {why}")
        if event.kind in (FaultKind.GAP, FaultKind.PROTOCOL):
            self._book.doubted(why)
        elif event.kind is FaultKind.WAIT:
            self._book.throttled(loop_s())
