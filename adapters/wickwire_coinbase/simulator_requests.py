"""What clients may say to the simulated stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import attrs

__all__ = ["Malformed", "Request", "UnknownChannel", "read"]

PUBLIC: Final = frozenset(
    {"candles", "market_trades", "ticker", "ticker_batch", "level2", "status", "heartbeats"}
)
"""`user` and `futures_balance_summary` want a token; an unknown name is answered as if it did, too."""


@attrs.frozen
class Malformed:
    """It cannot be understood."""


@attrs.frozen
class UnknownChannel:
    """A channel that is not there, or not for everybody."""


@attrs.frozen
class Request:
    """A subscription, or the end of one.

    Attributes:
        subscribes: Whether it is.
        channel: One of `PUBLIC`.
        products: As the client wrote them; empty for all, when it leaves.
    """

    subscribes: bool
    channel: str
    products: Sequence[str]


def read(frame: str | bytes) -> Malformed | UnknownChannel | Request:
    """Say what a message asks for. Never raises, whatever comes."""
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return Malformed()
    match message:
        case {"type": "subscribe" | "unsubscribe" as kind, "channel": str(channel)}:
            products = message.get("product_ids") or []
            if not isinstance(products, list) or not all(isinstance(name, str) for name in products):
                return Malformed()
            if channel not in PUBLIC:
                return UnknownChannel()
            return Request(kind == "subscribe", channel, products)
        case _:
            return Malformed()
