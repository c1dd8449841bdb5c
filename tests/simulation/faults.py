"""Every fault that the simulated venues can show, and how it is played against a whole collector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

__all__ = ["FAULTS", "HARMLESS", "ONCE", "Fault"]


@attrs.frozen(kw_only=True)
class Fault:
    """One fault as it is played.

    Attributes:
        venue: Which simulator.
        name: Which switch.
        details: What it is switched on with.
        off: What it is switched off with, where that is not `on=False`; None where it happens once.
        cut: The stream is cut when it begins: only new subscriptions meet it.
        lies: The venue says what it takes back later, so a first close may be wrong.
        falls: Every streamed series of the venue is polled after ten minutes of it.
    """

    venue: str
    name: str
    details: Mapping[str, Any] = attrs.field(factory=dict)
    off: Mapping[str, Any] | None = attrs.field()
    cut: bool = False
    lies: bool = False
    falls: bool = False

    @off.default
    def _off(self) -> Mapping[str, Any] | None:
        return {**self.details, "on": False}

    def __str__(self) -> str:
        said = "-".join(f"{key}={value}" for key, value in self.details.items())
        return f"{self.venue}-{self.name}{'-' if said else ''}{said}".replace("/", "")


def _kraken(name: str, *, off: Any = attrs.NOTHING, cut: bool = False, **details: Any) -> Fault:
    flags = {flag: details.pop(flag) for flag in ("lies", "falls") if flag in details}
    return Fault(venue="kraken", name=name, details=details, off=off, cut=cut, **flags)


def _yahoo(name: str, *, off: Any = attrs.NOTHING, lies: bool = False, **details: Any) -> Fault:
    return Fault(venue="yahoo", name=name, details=details, off=off, lies=lies)


FAULTS: Final = (
    _kraken("mute", falls=True),
    _kraken("mute_symbol", symbol="BTC/USD"),
    _kraken("silent_ack", cut=True, falls=True),
    _kraken("silent_ack", cut=True, acked=False, falls=True),
    _kraken("silent_ack", cut=True, symbol="ETH/USD"),
    _kraken("no_heartbeat"),
    _kraken("refuse", cut=True, falls=True),
    _kraken("refuse", cut=True, symbol="ETH/USD", text="EService:Unavailable"),
    _kraken("refuse_connections", cut=True, falls=True),
    _kraken("refuse_connections", cut=True, status=429, falls=True),
    _kraken("exceeded_rate", cut=True, falls=True),
    _kraken("message_rate", cut=True, per_s=1, off={}),
    _kraken("html_520"),
    _kraken("html_520", status=200),
    _kraken("rest_error"),
    _kraken("rest_error", text="EAPI:Rate limit exceeded"),
    _kraken("rest_rate", burst=1, per_s=0.05, off={}),
    _kraken("maintenance", falls=True),
    _kraken("slow"),
    _kraken("slow", delay_s=90),
    _kraken("duplicate_trades", cut=True),
    _kraken("bad_checksum"),
    *(
        _kraken("hangup", off=None, code=code)
        for code in (1000, 1001, 1006, 1008, 1011, 1012, 1013)
    ),
    _kraken("hangup", off=None, code=1006, half_frame=True),
    _kraken("late_trade", off=None, symbol="BTC/USD", ago_s=90, price="99999.9", size="1.5", lies=True),
    _kraken("lose_trades", off=None, symbol="BTC/USD", count=30),
    _kraken("drop_candle", off=None, symbol="BTC/USD"),
    _kraken("junk", off=None, frame='{"channel":"nonsense","data":[]}'),
    _yahoo("throttle"),
    _yahoo("throttle", retry_after_s=120),
    _yahoo("rate", off={}, calls=2, per_s=60),
    _yahoo("outage"),
    _yahoo("outage", status=502),
    _yahoo("server_error"),
    _yahoo("no_result"),
    _yahoo("no_result", whole=True),
    _yahoo("empty"),
    _yahoo("empty", arrays=True),
    _yahoo("no_valid_ranges"),
    _yahoo("delisted", symbol="BTC-USD"),
    _yahoo("mute", lies=True),
    _yahoo("delayed", lies=True),
    _yahoo("live_row", off={}, on=False),
    _yahoo("split_period", off={}, on=False),
    _yahoo("null_rows", off={}, on=False),
    _yahoo("duplicate_day"),
    _yahoo("late_volume", lies=True),
    _yahoo("coarse"),
    _yahoo("currency", symbol="BTC-USD"),
)
