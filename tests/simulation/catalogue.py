"""What a simulated run may meet: every switch of the venues, and what befalls line, store, clock and host.

Each trouble carries its number in the catalogue of faults (F1 to F67), for the log and the line at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.simulation.faults import FAULTS, Fault
from tests.simulation.pools import BACKLOG, POOL_TROUBLES
from tests.simulation.trouble import Trouble

__all__ = ["CATALOGUE", "NOT_DRAWN"]

_ONCE: Final = {"off": None}


# ---------------------------------------------------------------------------------------------- the venues

_TAGS: Final = {
    "mute": "F2",
    "no_heartbeat": "F2",
    "stall": "F1",
    "mute_symbol": "F3",
    "slow": "F51",
    "pending": "F51",
    "delayed": "F51",
    "hangup": "F31",
    "refuse_connections": "F63",
    "maintenance": "F63",
    "slot_taken": "F45",
    "auth_failed": "F44",
    "reject_token": "F44",
    "no_auth": "F44",
    "oauth_error": "F44",
    "expire": "F43",
    "short_tokens": "F43",
    "refuse": "F46",
    "silent_ack": "F47",
    "late_ack": "F48",
    "lenient": "F48",
    "own_names": "F47",
    "snip": "F49",
    "resnapshot": "F50",
    "close_channel": "F50",
    "duplicate_trades": "F20",
    "double_messages": "F20",
    "duplicate_bar": "F20",
    "interleave": "F19",
    "reorder": "F17",
    "trim": "F17",
    "no_fields": "F17",
    "force_full": "F17",
    "two_pairs": "F17",
    "empty_rows": "F17",
    "bad_rows": "F17",
    "null_bars": "F17",
    "no_valid_ranges": "F17",
    "currency": "F62",
    "split": "F62",
    "delisted": "F62",
    "novelty": "F18",
    "junk": "F10",
    "error": "F18",
    "bad_checksum": "F24",
    "lose_trades": "F22",
    "lose_messages": "F22",
    "lose_rows": "F22",
    "drop_candle": "F22",
    "drop_bar": "F22",
    "late_trade": "F21",
    "late_last": "F21",
    "late_volume": "F21",
    "correct_trade": "F21",
    "cancel_trade": "F21",
    "correct": "F21",
    "withdraw": "F21",
    "exceeded_rate": "F38",
    "message_rate": "F38",
    "limited": "F38",
    "rest_rate": "F38",
    "rate": "F38",
    "throttle": "F37",
    "html_520": "F40",
    "html_503": "F40",
    "html_502": "F40",
    "rest_html": "F40",
    "outage": "F40",
    "rest_error": "F39",
    "server_error": "F39",
    "no_result": "F41",
    "empty": "F41",
    "empty_unknown": "F41",
    "short_pages": "F27",
    "token_circle": "F27",
    "exclusive": "F27",
    "slow_client": "F67",
    "status": "F63",
    "coarse": "F26",
    "live_row": "F26",
    "early_rows": "F26",
    "evening_stamps": "F60",
    "null_rows": "F25",
    "split_period": "F60",
    "duplicate_day": "F60",
    "hush": "F3",
    "lose": "F22",
    "stale": "F20",
    "doubles": "F51",
    "down": "F40",
    "moody": "F22",
}


def _coinbase(name: str, details: Mapping[str, Any] | None = None, **played: Any) -> Fault:
    given = {"settles_min": 45.0, **played}
    symbol = {key: value for key, value in (details or {}).items() if key == "symbol"}
    given.setdefault("off", {**symbol, "on": False})
    return Fault(venue="coinbase", name=name, details=details or {}, series=(), **given)


def _alpaca(name: str, details: Mapping[str, Any] | None = None, **played: Any) -> Fault:
    given = {"settles_min": 45.0, **played}
    symbol = {key: value for key, value in (details or {}).items() if key == "symbol"}
    given.setdefault("off", {**symbol, "on": False})
    return Fault(venue="alpaca", name=name, details=details or {}, series=(), **given)


def _dxlink(name: str, details: Mapping[str, Any] | None = None, **played: Any) -> Fault:
    given = {"settles_min": 35.0, **played}
    return Fault(venue="dxlink", name=name, details=details or {}, series=(), **given)


def _harbour(name: str, details: Mapping[str, Any] | None = None, **played: Any) -> Fault:
    given = {"settles_min": 25.0, **played}
    symbol = {key: value for key, value in (details or {}).items() if key == "symbol"}
    given.setdefault("off", {**symbol, "on": False})
    return Fault(venue="harbour", name=name, details=details or {}, series=(), **given)


_LATE: Final = {"ago_s": 90, "size": "1.5"}

_OTHERS: Final = (
    _coinbase("mute"),
    _coinbase("mute_symbol", {"symbol": "BTC/USD"}),
    _coinbase("no_heartbeat"),
    _coinbase("refuse_connections"),
    _coinbase("refuse_connections", cut=True),
    _coinbase("limited"),
    _coinbase("double_messages"),
    _coinbase("interleave"),
    _coinbase("empty_rows"),
    _coinbase("slow"),
    _coinbase("html_503"),
    _coinbase("html_503", {"status": 403}),
    _coinbase("rest_error"),
    _coinbase("rest_error", {"status": 429}),
    _coinbase("exclusive"),
    _coinbase("late_ack"),
    _coinbase("silent_ack", cut=True),
    _coinbase("silent_ack", {"acked": False}, cut=True),
    _coinbase("silent_ack", {"symbol": "ETH/USD"}, cut=True),
    _coinbase("refuse", cut=True),
    _coinbase("refuse", {"symbol": "ETH/USD", "text": "rate limit exceeded"}, cut=True),
    _coinbase("own_names"),
    _coinbase("hangup", {"code": 1006, "half_frame": True}, **_ONCE),
    _coinbase("lose_messages", {"count": 4}, **_ONCE),
    _coinbase("drop_candle", {"symbol": "BTC/USD"}, **_ONCE),
    _coinbase("lose_trades", {"symbol": "ETH/USD", "count": 4}, **_ONCE),
    _coinbase("late_trade", {"symbol": "BTC/USD", "price": "99999.9", **_LATE}, misleads=True, **_ONCE),
    _coinbase("junk", {"frame": '{"channel":"of next year"}'}, **_ONCE),
    _alpaca("mute", misleads=True),
    _alpaca("mute_symbol", {"symbol": "AAPL"}),
    _alpaca("mute_symbol", {"symbol": "BTC/USD"}),
    _alpaca("refuse_connections"),
    _alpaca("refuse_connections", cut=True),
    _alpaca("slow", {"delay_s": 4}),
    _alpaca("duplicate_bar"),
    _alpaca("late_last", misleads=True),
    _alpaca("novelty"),
    _alpaca("html_502"),
    _alpaca("rest_error"),
    _alpaca("rest_error", {"status": 429, "message": "too many requests."}),
    _alpaca("short_pages", {"rows": 3}),
    _alpaca("token_circle"),
    _alpaca("null_bars"),
    _alpaca("auth_failed", cut=True),
    _alpaca("slot_taken", cut=True),
    _alpaca("silent_ack", {"symbol": "BTC/USD"}, cut=True),
    _alpaca("refuse", {"symbol": "BTC/USD"}, cut=True),
    _alpaca("slow_client", **_ONCE),
    _alpaca("hangup", {"code": 1006, "half_frame": True}, **_ONCE),
    _alpaca("drop_bar", {"symbol": "BTC/USD"}, **_ONCE),
    _alpaca("late_trade", {"symbol": "BTC/USD", "price": "99999.9", **_LATE}, misleads=True, **_ONCE),
    _alpaca("status", {"symbol": "AAPL", "code": "T", "text": "Trading Resumption"}, **_ONCE),
    _alpaca("error", {"code": 500, "msg": "internal error"}, **_ONCE),
    _alpaca("junk", **_ONCE),
    _dxlink("mute"),
    _dxlink("mute_symbol", {"symbol": "BTC/USD"}),
    _dxlink("stall"),
    _dxlink("refuse_connections"),
    _dxlink("refuse_connections", cut=True),
    _dxlink("reject_token", cut=True),
    _dxlink("no_auth", cut=True),
    _dxlink("short_tokens", {"seconds": 900}, cut=True),
    _dxlink("lenient", cut=True),
    _dxlink("trim", {"fields": "count vwap sequence bidVolume"}, cut=True),
    _dxlink("reorder", cut=True),
    _dxlink("no_fields", cut=True),
    _dxlink("force_full", cut=True),
    _dxlink("two_pairs"),
    _dxlink("snip", {"rows": 3}, cut=True),
    _dxlink("empty_unknown"),
    _dxlink("pending"),
    _dxlink("slow", {"delay_s": 5}),
    _dxlink("throttle", {"retry_after_s": 5}, cut=True),
    _dxlink("rest_html", cut=True),
    _dxlink("rest_error", cut=True),
    _dxlink("oauth_error", {"code": "invalid_request", "text": "no customer"}, cut=True),
    _dxlink("hangup", {"code": 1006}, **_ONCE),
    _dxlink("expire", **_ONCE),
    _dxlink("error", {"error": "UNKNOWN"}, **_ONCE),
    _dxlink("close_channel", **_ONCE),
    _dxlink("resnapshot", **_ONCE),
    _dxlink("withdraw", {"symbol": "BTC/USD"}, settles_min=21.0, **_ONCE),
    _dxlink("correct", {"symbol": "BTC/USD"}, settles_min=21.0, **_ONCE),
    _dxlink("lose_rows", {"symbol": "BTC/USD", "count": 12}, misleads=True, **_ONCE),
    _dxlink("junk", {"frame": '{"type":"FEED_DATA","channel":1,"data":["Candle",[1,2,3]]}'}, **_ONCE),
)

_HARBOUR: Final = (
    _harbour("mute"),
    _harbour("hush", {"symbol": "BTC/USD"}),
    _harbour("lose", {"count": 3}, **_ONCE),
    _harbour("lose", {"count": 12}, misleads=True, **_ONCE),
    _harbour("stale", **_ONCE),
    _harbour("doubles", misleads=True),
    _harbour("moody", {"how": "hides"}, misleads=True),
    _harbour("moody", {"how": "doubles"}, misleads=True),
    _harbour("hangup", {"code": 1006}, **_ONCE),
    _harbour("hangup", {"code": 1012}, **_ONCE),
    _harbour("refuse_connections"),
    _harbour("refuse_connections", cut=True),
    _harbour("silent_ack", cut=True),
    _harbour("refuse", cut=True),
    _harbour("down"),
    _harbour("limited"),
    _harbour("bad_rows"),
    _harbour("late_trade", {"symbol": "BTC/USD", "price": "99999.9", **_LATE}, misleads=True, **_ONCE),
)

NOT_DRAWN: Final[Mapping[str, Mapping[str, str]]] = {
    "kraken": {"throttle": "the same as rest_error with another text"},
    "harbour": {},
    "yahoo": {
        "duplicate_day": "about days; played in test_faults",
        "coarse": "about half hours; played in test_faults",
        "split_period": "about weeks; played in test_faults",
        "split": "history is rescaled for good; played in test_faults",
        "live_row": "a habit; played in test_faults",
        "null_rows": "a habit; played in test_faults",
        "early_rows": "a habit; played in test_faults",
        "evening_stamps": "a habit; played in test_faults",
    },
    "coinbase": {
        "delist": "for good; played in test_collected",
        "leave_out": "about names that are none",
        "rest_rate": "the same as rest_error 429 here",
        "throttle": "the same",
    },
    "alpaca": {
        "plan": "for good; played in test_alpaca_collected",
        "rest_rate": "changes the plan for good",
        "throttle": "the same as rest_error 429",
        "correct_trade": "changes what is told as a trade; played in test_alpaca_collected",
        "cancel_trade": "the same",
    },
    "dxlink": {
        "delayed": "about the sandbox",
        "login_clock": "a habit; drawn for whole runs",
        "largest_frame": "what the server demands; with the simulator's own tests",
        "keepalive": "the same",
    },
}
"""Switches that no run draws, and why."""


def _of_venue(fault: Fault) -> Trouble:
    return Trouble(
        place=fault.venue,
        name=fault.name,
        tag=_TAGS[fault.name],
        details=fault.details,
        fault=fault,
        once=fault.off is None,
        settles_min=fault.settles_min,
    )


_VENUES: Final = tuple(
    _of_venue(fault) for fault in (*FAULTS, *_OTHERS, *_HARBOUR) if fault.name not in NOT_DRAWN[fault.venue]
)

# -------------------------------------------------------------------------------------------- all the rest

_CODES: Final = {1000: "F29", 1001: "F30", 1006: "F31", 1008: "F32", 1011: "F33", 1012: "F34", 1013: "F35"}

_LINE: Final = (
    *(Trouble(place="line", name="cut", tag=tag, details={"code": code}, once=True, settles_min=40.0)
      for code, tag in _CODES.items()),
    Trouble(place="line", name="cut_all", tag="F64", once=True, settles_min=40.0),
    Trouble(place="line", name="half_open", tag="F1", once=True, settles_min=40.0),
    Trouble(place="line", name="refuse", tag="F36", settles_min=40.0),
    Trouble(place="line", name="mute", tag="F1", settles_min=100.0),
    Trouble(place="line", name="slow", tag="F4", details={"latency_s": 3.0}, settles_min=40.0),
)  # fmt: skip

_STORE: Final = (
    Trouble(place="store", name="fails", tag="F54"),
    Trouble(place="store", name="locked", tag="F54", details={"wait_s": 1.0}),
    Trouble(place="store", name="full", tag="F55"),
    Trouble(place="store", name="lost_answer", tag="F54"),
    Trouble(place="store", name="slow", tag="F53", details={"wait_s": 90.0}),
    Trouble(place="store", name="load_fails", tag="F54"),
    Trouble(place="store", name="one_series", tag="F55"),
)


def _host(place: str, name: str, tag: str, **more: Any) -> Trouble:
    given: dict[str, Any] = {"once": True, "settles_min": 40.0, **more}
    return Trouble(place=place, name=name, tag=tag, **given)


_HOST: Final = (
    *(
        _host("clock", "jumps", "F59", details={"by_s": by_s}, once=False, most_min=20.0)
        for by_s in (-8_000_000.0, -4_000.0, -90.0, -4.0, 4.0, 90.0, 4_000.0, 8_000_000.0)
    ),
    *(_host("machine", "asleep", "F58", details={"for_s": for_s}) for for_s in (40.0, 400.0, 4_000.0)),
    *(_host("machine", "stopped", "F58", details={"for_s": for_s}) for for_s in (20.0, 300.0, 1_500.0)),
    *(_host("process", "killed", "F56", details={"away_s": away_s}) for away_s in (0.0, 3.0, 200.0, 900.0)),
    _host("process", "stopped", "F57", details={"away_s": 5.0}),
    _host("roster", "remove", "F62", once=False),
    _host("connections", "rotate", "F43", settles_min=30.0),
    _host("host", "prioritise", "F67", settles_min=30.0),
    _host("host", "raises", "F67", once=False, settles_min=30.0),
    _host("host", "slow_reader", "F67", once=False, settles_min=30.0),
)

CATALOGUE: Final = (*_VENUES, *_LINE, *_STORE, *_HOST, *POOL_TROUBLES, BACKLOG)
"""All that a run may draw from."""
