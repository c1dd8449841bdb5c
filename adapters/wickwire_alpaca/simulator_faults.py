"""The switches of the simulated Alpaca: what can be made to go wrong there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wickwire.simulate.faults import KnownFault
from wickwire.simulate.server import Hangup

__all__ = ["FAULTS", "announced"]

FAULTS: Final = (
    KnownFault("mute", "on", "Data stops on every stream; answers go on."),
    KnownFault("mute_symbol", "symbol on", "Data of one symbol stops.", needs_symbol=True),
    KnownFault("silent_ack", "symbol on", "A new subscription to a symbol is confirmed and stays silent."),
    KnownFault(
        "refuse",
        "symbol code msg on",
        "Subscriptions that name a symbol are refused, 400 by default.",
        needs_symbol=True,
    ),
    KnownFault("auth_failed", "on", "Keys are refused: 402 on the stream, 403 over REST."),
    KnownFault("slot_taken", "on", "The place of every endpoint is taken by somebody else: 406."),
    KnownFault(
        "plan",
        "name symbols channels",
        "The plan is basic (30 symbols in trades and quotes, or in other channels; SIP late, 200 calls a "
        "minute) or plus.",
    ),
    KnownFault("slow_client", "", "Every open stream is told 407 and cut."),
    KnownFault("error", "code msg", "Every open stream is told this error once."),
    KnownFault(
        "hangup",
        "code reason half_frame",
        "Every open stream ends once: close code 1006 is a cut; half_frame breaks a message before.",
    ),
    KnownFault(
        "refuse_connections", "status on", "New streams are answered with an HTTP status, 503 by default."
    ),
    KnownFault("slow", "delay_s on", "Stream data comes late, 5 s by default."),
    KnownFault(
        "drop_bar", "symbol", "The next minute of a symbol never comes on the stream.", needs_symbol=True
    ),
    KnownFault("duplicate_bar", "on", "Each minute comes twice on the stream."),
    KnownFault(
        "late_trade",
        "symbol ago_s price size",
        "A trade appears in a minute that is over: an updated bar follows at the half-minute mark.",
        needs_symbol=True,
    ),
    KnownFault(
        "late_last", "on", "The last trade of each minute is missing in its bar, and in an updated bar."
    ),
    KnownFault(
        "correct_trade", "symbol price size", "The last trade of a stock is corrected.", needs_symbol=True
    ),
    KnownFault("cancel_trade", "symbol", "The last trade of a stock is taken back.", needs_symbol=True),
    KnownFault("status", "symbol code text", "A stock is halted, or trades again.", needs_symbol=True),
    KnownFault("novelty", "on", "Messages of an unknown type and unknown keys come along."),
    KnownFault("junk", "frame", "Every open stream gets this frame once."),
    KnownFault("html_502", "status on", "REST answers with an HTML page, HTTP 502 by default."),
    KnownFault("rest_error", "status message on", "REST answers with this error, 500 by default."),
    KnownFault("throttle", "on", "REST answers that there were too many requests, HTTP 429."),
    KnownFault("rest_rate", "burst per_s", "REST takes so many requests at once and so many more a second."),
    KnownFault("short_pages", "rows on", "Pages of REST hold so many rows at most, 7 by default."),
    KnownFault("token_circle", "on", "The token of each page leads back to the same page."),
    KnownFault("null_bars", "on", "A reply without bars says null instead of an empty map."),
)


def announced(name: str, symbol: str, given: Mapping[str, Any]) -> list[object]:
    """Return what every open connection is to hear once."""
    match name:
        case "hangup":
            end = Hangup(int(given.get("code", 1006)), str(given.get("reason", "")))
            return [b'[{"T":"t","S":"AA', end] if given.get("half_frame") else [end]
        case "slow_client":
            return [_problem(407, "slow client"), Hangup(1006)]
        case "error":
            return [_problem(int(given["code"]), str(given.get("msg", "")))]
        case "junk":
            return [str(given.get("frame", "\x00 no JSON")).encode()]
        case _:
            return [("status", symbol, given.get("code", "H"), given.get("text", ""))]


def _problem(code: int, text: str) -> Mapping[str, object]:
    return {"T": "error", "code": code, "msg": text}
