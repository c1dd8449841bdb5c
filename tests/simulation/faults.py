"""Every fault that the simulated venues can show, and how it is played against a whole collector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from wickwire import parse_instant

__all__ = ["FAULTS", "Fault"]

_STREAMED: Final = (
    "kraken:BTC/USD@1m",
    "kraken:ETH/USD@1m",
    "kraken:BTC/USD@5m",
    "kraken:BTC/USD@trades",
)
_POLLED: Final = ("yahoo:BTC/USD@1m", "yahoo:AAPL@1m", "yahoo:ETH/USD@5m")

_SESSION_OPENS: Final = parse_instant("2027-01-15T14:27:00Z")  # three minutes before New York does
_SESSION_ENDS: Final = parse_instant("2027-01-15T20:48:00Z")
_LONDON_OPENS: Final = parse_instant("2027-01-19T07:50:00Z")
"""Ten minutes before London does; not on a Monday, as the market begins a day before the collector."""
_LONDON_WENT_BACK: Final = parse_instant("2026-10-26T23:50:00Z")
"""Ten minutes before a midnight in the week after clocks went back."""
_WEEK_ENDS: Final = parse_instant("2027-01-17T23:50:00Z")


@attrs.frozen(kw_only=True)
class Fault:
    """One fault as it is played.

    Attributes:
        venue: Which simulator.
        name: Which switch.
        details: What it is switched on with.
        off: What it is switched off with, where that is not `on=False`; None where it happens once.
        cut: The stream is cut when it begins: only new subscriptions meet it.
        misleads: The venue shows a part as if it were the whole, or takes back what it said, so what is
            handed out first may be wrong. What is right comes as a revision.
        falls: Every streamed series of the venue is polled after ten minutes of it.
        settles_min: How long after it everything is whole. Where the venue misled us this takes a comparison
            with history, which comes at least every hour and a half.
        series: What is collected while it is played; by default several series of the venue.
        starts_ns: When the collector starts, by seed; by default around the sessions of New York.
    """

    venue: str
    name: str
    details: Mapping[str, Any] = attrs.field(factory=dict)
    off: Mapping[str, Any] | None = attrs.field()
    cut: bool = False
    misleads: bool = False
    falls: bool = False
    settles_min: float = attrs.field()
    series: Sequence[str] = attrs.field()
    starts_ns: Sequence[int] = (_SESSION_OPENS, _SESSION_ENDS)

    @off.default
    def _off(self) -> Mapping[str, Any] | None:
        return {**self.details, "on": False}

    @settles_min.default
    def _settles_min(self) -> float:
        if self.venue == "kraken":
            return 30.0
        return 100.0 if self.misleads else 65.0

    @series.default
    def _series(self) -> Sequence[str]:
        return _STREAMED if self.venue == "kraken" else _POLLED

    def __str__(self) -> str:
        """Return its name among the tests."""
        return "-".join([self.venue, self.name, *map(str, self.details.values())]).replace("/", "")


def _kraken(name: str, details: Mapping[str, Any] | None = None, **played: Any) -> Fault:
    return Fault(venue="kraken", name=name, details=details or {}, **played)


def _yahoo(name: str, details: Mapping[str, Any] | None = None, **played: Any) -> Fault:
    return Fault(venue="yahoo", name=name, details=details or {}, **played)


def _habit(name: str, *series: str, starts_ns: int = _WEEK_ENDS) -> Fault:
    """Return the absence of something that Yahoo usually does."""
    return _yahoo(name, {"on": False}, off={}, series=series or _POLLED, starts_ns=(starts_ns,))


FAULTS: Final = (
    _kraken("mute", falls=True),
    # the other pair of the connection goes on, which counts as a sign that the silent one had its last trade
    _kraken("mute_symbol", {"symbol": "BTC/USD"}),
    _kraken("silent_ack", cut=True, falls=True),
    _kraken("silent_ack", {"acked": False}, cut=True, falls=True),
    _kraken("silent_ack", {"symbol": "ETH/USD"}, cut=True),
    _kraken("no_heartbeat"),
    _kraken("refuse", cut=True, falls=True),
    _kraken("refuse", {"symbol": "ETH/USD", "text": "EService:Unavailable"}, cut=True),
    _kraken("refuse_connections", cut=True, falls=True),
    _kraken("refuse_connections", {"status": 429}, cut=True, falls=True),
    _kraken("exceeded_rate", cut=True, falls=True),
    _kraken("message_rate", {"per_s": 1}, off={}, cut=True),
    _kraken("html_520"),
    _kraken("html_520", {"status": 200}),
    _kraken("rest_error"),
    _kraken("rest_error", {"text": "EAPI:Rate limit exceeded"}),
    _kraken("throttle"),
    _kraken("rest_rate", {"burst": 1, "per_s": 0.05}, off={}),
    _kraken("bad_rows"),
    _kraken("maintenance"),
    _kraken("slow"),
    _kraken("slow", {"delay_s": 90}, misleads=True),
    _kraken("duplicate_trades", cut=True),
    _kraken("bad_checksum"),
    _kraken("hangup", {"code": 1006, "half_frame": True}, off=None),
    _kraken(
        "late_trade",
        {"symbol": "BTC/USD", "ago_s": 90, "price": "99999.9", "size": "1.5"},
        off=None,
        misleads=True,
    ),
    _kraken("lose_trades", {"symbol": "BTC/USD", "count": 30}, off=None),
    _kraken("drop_candle", {"symbol": "BTC/USD"}, off=None),
    _kraken("junk", {"frame": '{"channel":"nonsense","data":[]}'}, off=None),
    _yahoo("throttle"),
    _yahoo("throttle", {"retry_after_s": 120}),
    _yahoo("rate", {"calls": 2, "per_s": 60}, off={}),
    _yahoo("outage"),
    _yahoo("outage", {"status": 502}),
    _yahoo("server_error"),
    _yahoo("no_result"),
    _yahoo("no_result", {"whole": True}),
    _yahoo("empty"),
    _yahoo("empty", {"arrays": True}),
    _yahoo("no_valid_ranges"),
    _yahoo("bad_rows"),
    _yahoo("delisted", {"symbol": "BTC-USD"}, settles_min=30.0),
    _yahoo("mute", misleads=True),
    _yahoo("delayed", misleads=True),
    _yahoo("late_volume", misleads=True),
    _yahoo("split", {"symbol": "AAPL", "ratio": "4"}, off=None, misleads=True),
    _yahoo("currency", {"symbol": "BTC-USD"}),
    _yahoo("duplicate_day", series=("yahoo:BTC/USD@1d", "yahoo:ETH/USD@1d"), starts_ns=(_WEEK_ENDS,)),
    _yahoo("coarse", series=("yahoo:BTC/USD@30m", "yahoo:ETH/USD@1h"), starts_ns=(_WEEK_ENDS,)),
    _habit("live_row"),
    _habit("null_rows"),
    _habit("early_rows", "yahoo:VOD.L@5m", "yahoo:VOD.L@15m", starts_ns=_LONDON_OPENS),
    _habit("evening_stamps", "yahoo:EUR/USD@1d", "yahoo:GBP/USD@1d", starts_ns=_LONDON_WENT_BACK),
    _habit("split_period", "yahoo:BTC/USD@1w", "yahoo:ETH/USD@1w"),
)
"""Every switch of both simulators, some in several ways."""
