"""What one frame of a stream means: the events that `parse` returns, beside candles, trades and quotes."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from attrs.validators import optional

from wickwire import shapes
from wickwire.endpoint import Send, Topic
from wickwire.errors import FaultKind
from wickwire.model import Candle, Quote, Trade, event

__all__ = [
    "Accepted",
    "Event",
    "Fault",
    "Heartbeat",
    "Ready",
    "Refused",
    "Released",
    "Removed",
    "SnapshotDone",
    "VenueStatus",
]


@event
class Ready:
    """The venue is ready for subscriptions on this connection."""


@event
class Accepted:
    """The venue confirmed these topics."""

    topics: Sequence[Topic] = attrs.field(validator=shapes.each(Topic))


@event
class Released:
    """The venue confirmed that these topics ended."""

    topics: Sequence[Topic] = attrs.field(validator=shapes.each(Topic))


@event
class Refused:
    """The venue refused these topics; the connection stays.

    Attributes:
        topics: Which ones. Empty when the venue did not say: the framework then tries them in halves.
        kind: SYMBOL, REQUEST, ENTITLEMENT, CREDENTIALS, SLOT_TAKEN (its lane is occupied) or WAIT.
        text: The venue's words.
    """

    topics: Sequence[Topic] = attrs.field(validator=shapes.each(Topic))
    kind: FaultKind = attrs.field(validator=shapes.a(FaultKind))
    text: str = attrs.field(validator=shapes.text)


@event
class SnapshotDone:
    """The snapshot of a topic is complete; *truncated* when the venue cut it."""

    topic: Topic = attrs.field(validator=shapes.a(Topic))
    truncated: bool = False


@event
class Heartbeat:
    """The venue is alive and has nothing to say.

    Attributes:
        time_ns: Its clock, where it says it.
        topic: Of what a part of a snapshot came, which is told only when it is complete. Who waits for
            history waits on.
    """

    time_ns: int | None = attrs.field(default=None, validator=optional(shapes.instant))
    topic: Topic | None = attrs.field(default=None, validator=optional(shapes.a(Topic)))


@event
class Fault:
    """The venue reports trouble that is not about one topic."""

    kind: FaultKind = attrs.field(validator=shapes.a(FaultKind))
    text: str = attrs.field(validator=shapes.text)


@event
class VenueStatus:
    """The venue tells its state, or the state of one symbol.

    Attributes:
        symbol: Canonical symbol; None for the whole venue.
        state: The venue's word: "online", "maintenance", ...
        text: More words, possibly empty.
    """

    symbol: str | None = attrs.field(validator=optional(shapes.text))
    state: str = attrs.field(validator=shapes.text)
    text: str = attrs.field(default="", validator=shapes.text)


@event
class Removed:
    """History has to say of one bucket: the venue withdrew its candle, or contradicts itself about it.

    Attributes:
        topic: What brought the candle; or the trades of a symbol, where some of them are missing.
        open_ns: When the bucket opens; of trades any instant within it, whatever its length.
    """

    topic: Topic = attrs.field(validator=shapes.a(Topic))
    open_ns: int = attrs.field(validator=shapes.instant)


Event = (
    Candle
    | Trade
    | Quote
    | Removed
    | VenueStatus
    | Ready
    | Accepted
    | Released
    | Refused
    | SnapshotDone
    | Heartbeat
    | Fault
    | Send
)
"""What `parse` may say that a frame means."""
