"""What clients may say to the simulated WebSocket v2, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

__all__ = ["Malformed", "Ping", "Request", "Unsupported", "read"]

FIELDS: Final = {
    "ohlc": "interval",
    "trade": None,
    "ticker": "event_trigger",
    "book": "depth",
    "instrument": None,
}
"""Channel to the one parameter of its own."""
DEFAULTS: Final = {"interval": 1, "event_trigger": "trades", "depth": 10}
SNAPSHOT_DEFAULT: Final = {"trade": False}
"""True elsewhere. For trades the venue's pages disagree, so clients have to say it."""


@attrs.frozen
class Malformed:
    """It cannot be understood."""


@attrs.frozen
class Ping:
    """A ping on the level of the protocol; *echo* holds its `req_id`, if it has one."""

    echo: Mapping[str, int]


@attrs.frozen
class Unsupported:
    """A known method with a field that it does not have."""

    method: str
    field: str
    echo: Mapping[str, int]


@attrs.frozen
class Request:
    """A subscription, or the end of one.

    Attributes:
        method: `subscribe` or `unsubscribe`.
        channel: One of `FIELDS`.
        symbols: As the client wrote them.
        value: The channel's own parameter or its default; None where it has none.
        snapshot: Whether a snapshot is wanted.
        echo: The `req_id`, if there is one.
    """

    method: str
    channel: str
    symbols: Sequence[str]
    value: int | str | None
    snapshot: bool
    echo: Mapping[str, int]

    @property
    def own(self) -> Mapping[str, int | str]:
        """The channel's own parameter, as acks repeat it."""
        field = FIELDS[self.channel]
        return {} if field is None or self.value is None else {field: self.value}


def read(frame: str | bytes) -> Malformed | Ping | Unsupported | Request:
    """Say what a message asks for. Never raises, whatever comes."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return Malformed()
    if not isinstance(message, dict) or not _is_int(message.get("req_id", 0)):
        return Malformed()
    echo = {"req_id": message["req_id"]} if "req_id" in message else {}
    match message:
        case {"method": "ping"}:
            return Ping(echo)
        case {"method": "subscribe" | "unsubscribe" as method, "params": dict(params)}:
            strange = next((key for key in message if key not in ("method", "params", "req_id")), None)
            return Unsupported(method, strange, echo) if strange else _request(method, params, echo)
        case _:
            return Malformed()


def _request(
    method: str, params: Mapping[str, Any], echo: Mapping[str, int]
) -> Malformed | Unsupported | Request:
    channel = params.get("channel")
    if not isinstance(channel, str) or channel not in FIELDS:
        return Malformed()
    field = FIELDS[channel]
    known = {"channel", "snapshot", field, "symbol" if channel != "instrument" else None}
    for key in params:
        if key not in known:
            return Unsupported(method, key, echo)
    symbols = params.get("symbol", [])
    named = isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
    if not named or bool(symbols) is (channel == "instrument"):
        return Malformed()
    snapshot = params.get("snapshot", SNAPSHOT_DEFAULT.get(channel, True))
    value = None if field is None else params.get(field, DEFAULTS[field])
    if not isinstance(snapshot, bool):
        return Malformed()
    if field == "event_trigger" and value not in ("bbo", "trades"):
        return Malformed()
    if field in ("interval", "depth") and not _is_int(value):
        return Malformed()
    return Request(method, channel, symbols, value, snapshot, echo)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
