"""What can go wrong, cut by what the one who catches it does next.

WickwireError
├── UsageError          the caller wrote something wrong: show the text, exit 2
│   └── ConfigError     a file, an environment variable or a store address is wrong
├── PlanError           no honest way to collect this series: show the text, exit 3
├── PluginError         one plugin is broken: drop it, go on with the others
├── WireError           one message is not what the venue documents: count it, go on
├── VenueError          the venue answered, and the answer is no: act by its kind
│   └── RestAway        its REST does not answer, and nothing was sent: it is tried for all
├── TransportError      nothing usable came back: connect or ask again
│   └── StreamClosed    a stream ended, with its close code
├── GivenUp             a venue failed as often as its backoff allows: the collector ends
├── StoreError          nothing was acknowledged as stored: retry, or stop loudly
├── SinkError           a sink did not acknowledge: it is put there again, and nothing waits for it
└── BudgetError         a shared budget does not answer: each process keeps to its part until it does

A bug is none of these and is not caught.
"""

from __future__ import annotations

import enum
from typing import final

__all__ = [
    "BudgetError",
    "ConfigError",
    "FaultKind",
    "GivenUp",
    "PlanError",
    "PluginError",
    "RestAway",
    "SinkError",
    "StoreError",
    "StreamClosed",
    "TransportError",
    "UsageError",
    "VenueError",
    "WickwireError",
    "WireError",
]


@final
class FaultKind(enum.Enum):
    """What kind of no a venue said; `wickwire.retry` holds the one table of what follows from each."""

    WAIT = "wait"
    """Too many requests: wait as long as it says, or as the backoff says."""
    OUTAGE = "outage"
    """The venue is down, busy or in maintenance."""
    SYMBOL = "symbol"
    """This symbol does not exist there or is not served; asking again does not help."""
    REQUEST = "request"
    """The request was wrong; asking the same again does not help."""
    CREDENTIALS = "credentials"
    """Keys are missing or refused."""
    ENTITLEMENT = "entitlement"
    """The keys are right, the plan does not include this."""
    GAP = "gap"
    """Messages were lost on an open connection."""
    SLOT_TAKEN = "slot_taken"
    """Another connection holds the only place."""
    CHANNEL_LOST = "channel_lost"
    """One channel of a multiplexed connection ended."""
    RESTART = "restart"
    """The venue asks for a new connection."""
    PROTOCOL = "protocol"
    """The peer says that we broke its protocol, or speaks another one."""


def _visible(text: str) -> str:
    """Return *text* with control characters escaped: a venue's words must not forge lines of a log."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class WickwireError(Exception):
    """The root of all errors that wickwire raises on purpose. Its text never holds control characters."""

    def __str__(self) -> str:
        return _visible(super().__str__())


class UsageError(WickwireError):
    """The caller wrote something that cannot be meant; the text says what and what is expected."""


class ConfigError(UsageError):
    """A setting is wrong; the text names file or variable, key, reason and next step."""


class PlanError(WickwireError):
    """A series cannot be collected, known before anything connects."""


class PluginError(WickwireError):
    """A plugin cannot be loaded, is not what it claims to be, or broke its contract when called.

    Attributes:
        plugin: Name of the entry point, or path of a local plugin.
    """

    def __init__(self, message: str, *, plugin: str = "") -> None:
        """Keep *plugin* beside the message."""
        super().__init__(message)
        self.plugin = plugin


class WireError(WickwireError):
    """A message is not what the venue documents. The connection survives.

    Attributes:
        frame: The first bytes of the message, at most `SAMPLE_BYTES`.
        at: Where in the message, as a JSON path, where that is known.
    """

    SAMPLE_BYTES = 256

    def __init__(self, message: str, *, frame: bytes = b"", at: str = "") -> None:
        """Keep a bounded sample of *frame* beside the message."""
        super().__init__(message)
        self.frame = bytes(frame[: self.SAMPLE_BYTES])
        self.at = at

    def __str__(self) -> str:
        """Say what, where and in which bytes; control bytes come out escaped."""
        text = super().__str__()
        if self.at:
            text = f"{text} - at {self.at}"
        return f"{text} in {self.frame!r}" if self.frame else text


class VenueError(WickwireError):
    """The venue answered and refused.

    Attributes:
        kind: What kind of no it is; decides what happens next.
        retry_after_s: Seconds the venue asked to wait, where it said so.
    """

    def __init__(self, kind: FaultKind, message: str, *, retry_after_s: float | None = None) -> None:
        """Keep kind and waiting time beside the venue's words.

        Raises:
            TypeError: *kind* is no FaultKind, or *retry_after_s* no number that can be waited for.
        """
        told: object = kind
        if not isinstance(told, FaultKind):
            raise TypeError(f"VenueError.kind has to be a FaultKind, got {type(told).__name__}")
        wait_s: object = retry_after_s
        if wait_s is not None and not (isinstance(wait_s, int | float) and wait_s == wait_s):  # noqa: PLR0124 - NaN
            raise TypeError(f"VenueError.retry_after_s has to be a number of seconds, got {wait_s!r:.40}")
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


class RestAway(VenueError):
    """REST of the venue failed several times in a row; one request at a time finds out for all if it is back.

    Nothing was sent. `retry_after_s` is when the next try is made, 0 while one is under way.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        """Keep the waiting time beside what is known of the venue."""
        super().__init__(FaultKind.OUTAGE, message, retry_after_s=retry_after_s)


class TransportError(WickwireError):
    """No usable answer: refused, timed out, cut, or not TLS that we accept."""


class StreamClosed(TransportError):
    """A stream ended.

    Attributes:
        code: WebSocket close code (RFC 6455, 7.4); 1006 when there was no close frame.
        reason: The peer's text, possibly empty.
    """

    def __init__(self, message: str, *, code: int = 1006, reason: str = "") -> None:
        """Keep the close code beside the message."""
        super().__init__(message)
        self.code = code
        self.reason = reason


class GivenUp(WickwireError):
    """A venue failed as often in a row as `Backoff.attempts` allows."""


class StoreError(WickwireError):
    """The store did not acknowledge; what was handed to it may be handed to it again."""


class SinkError(WickwireError):
    """A sink did not acknowledge; what was put there may be put there again."""


class BudgetError(WickwireError):
    """A shared budget did not answer, or says no; what was reported may be reported again."""
