"""How one stream is opened, kept and subscribed on, as an adapter describes it. Nothing here does I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final, final

import attrs
from attrs.validators import optional

from wickwire import shapes
from wickwire.model import Feed, event
from wickwire.series import What

__all__ = [
    "Ask",
    "Endpoint",
    "Keepalive",
    "Lane",
    "Readiness",
    "Send",
    "Topic",
]

MEBIBYTE: Final = 1024 * 1024
_SHOWN: Final = 80


@attrs.frozen(cache_hash=True)
class Topic:
    """One thing that can be subscribed to: a canonical symbol and what of it."""

    symbol: str
    what: What

    def __str__(self) -> str:
        """Return `BTC/USD@1m`."""
        return f"{self.symbol}@{self.what.value if isinstance(self.what, Feed) else self.what}"


@attrs.frozen
class Ask:
    """A topic that is wanted, and from when on where the venue can replay.

    Attributes:
        topic: What to subscribe to.
        since_ns: Open time from which data is wanted; None for live only.
    """

    topic: Topic
    since_ns: int | None = None


@attrs.frozen
class Lane:
    """Which connection a topic may ride.

    Attributes:
        key: Topics with different keys never share a connection.
        alone: Two topics with the same non-None value never share a connection (Kraken: one ohlc
            interval per symbol and connection gives `alone=("ohlc", symbol)`).
    """

    key: str = ""
    alone: object = None


@event
class Send:
    """A frame to be sent: `str` goes out as text, `bytes` as binary.

    Attributes:
        frame: The message.
        secret: It holds a secret: recorders and logs show only its length.
    """

    frame: str | bytes = attrs.field(validator=shapes.frame)
    secret: bool = False

    def __repr__(self) -> str:
        """Show the beginning of the frame, and of a secret one its length alone."""
        if self.secret:
            return f"Send(<secret, {len(self.frame)} long>)"
        shown = repr(self.frame)
        return f"Send({shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'})"


@final
class Readiness(enum.Enum):
    """When a connection may be subscribed on."""

    ON_OPEN = "on_open"
    """At once; also where the server speaks only after a subscription."""
    ON_EVENT = "on_event"
    """When `parse` returns `Ready`."""


@attrs.frozen
class Keepalive:
    """Something the client has to say regularly.

    Attributes:
        every_s: Seconds between two of them.
        frame: The message; None sends a WebSocket ping.
    """

    every_s: float = attrs.field(validator=shapes.ABOVE_ZERO)
    frame: str | bytes | None = attrs.field(default=None, validator=optional(shapes.frame))


@attrs.frozen(kw_only=True)
class Endpoint:
    """How to open and keep one stream.

    Attributes:
        url: `wss://host/path`; plain `ws://` is allowed to loopback only.
        headers: Of the opening request; values of secret ones are never shown.
        hello: Sent right after the opening.
        ready: When subscribing may begin.
        keepalive: What the client has to say regularly.
        silence_limit_s: Longest time without any frame before the connection counts as dead.
        max_age_s: The venue, or a token, ends the connection after this time.
        max_frame_bytes: Larger frames close the connection.
        topics_per_frame: Most asks in one call of `subscribe`.
        max_send_bytes: Largest frame that the venue takes. Where `subscribe` returns a larger one, it is
            asked again with half of the topics; whatever else is larger is a fault of the adapter.
        changes_in_flight: Calls of `subscribe` that may await answers at once; 1 where replies carry no id.
        acknowledges: False where the first datum is the only confirmation.
        memory: Makes the adapter's state for one connection.
    """

    url: str = attrs.field(repr=shapes.without_query, validator=shapes.text)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=shapes.text_to_text)
    hello: tuple[Send, ...] = attrs.field(default=(), validator=shapes.each(Send, tuple))
    ready: Readiness = attrs.field(default=Readiness.ON_OPEN, validator=shapes.a(Readiness))
    keepalive: Keepalive | None = attrs.field(default=None, validator=optional(shapes.a(Keepalive)))
    silence_limit_s: float = attrs.field(default=30.0, validator=shapes.ABOVE_ZERO)
    max_age_s: float | None = attrs.field(default=None, validator=optional(shapes.ABOVE_ZERO))
    max_frame_bytes: int = attrs.field(default=16 * MEBIBYTE, validator=shapes.COUNT)
    topics_per_frame: int = attrs.field(default=50, validator=shapes.COUNT)
    max_send_bytes: int = attrs.field(default=MEBIBYTE, validator=shapes.COUNT)
    changes_in_flight: int = attrs.field(default=8, validator=shapes.COUNT)
    acknowledges: bool = True
    memory: Callable[[], object] = dict
