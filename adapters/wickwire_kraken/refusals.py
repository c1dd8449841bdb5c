"""What a no of Kraken's means, on the stream and over REST, and how junk is reported.

Reference: Kraken support, "API error messages"; Kraken API Center, "Rate Limits"; both read 2026-11. Texts of
the stream as captured from the venue.
"""

from __future__ import annotations

import re
from typing import Final

from wickwire import SECOND_NS, FaultKind, HttpReply, VenueError, WireError, retry_after_s

__all__ = ["kind_of_refusal", "refused_body", "refused_request", "wire_error"]

_STREAM: Final = (
    ("Currency pair", FaultKind.SYMBOL),  # "not supported XBT/USD", "not in ISO 4217-A3 format BTCUSD"
    ("Already subscribed to one ohlc", FaultKind.SLOT_TAKEN),
)
"""How a refusal of the stream begins, and its kind."""

_REST: Final = (
    ("EQuery:Unknown asset pair", FaultKind.SYMBOL, None),
    ("EQuery:Invalid asset pair", FaultKind.SYMBOL, None),
    ("EQuery:", FaultKind.REQUEST, None),
    ("EGeneral:Invalid arguments", FaultKind.REQUEST, None),
    ("EGeneral:Unknown method", FaultKind.REQUEST, None),
    ("EGeneral:Permission denied", FaultKind.ENTITLEMENT, None),
    ("EGeneral:Too many requests", FaultKind.WAIT, 1.0),
    ("EGeneral:Temporary lockout", FaultKind.WAIT, 900.0),
    ("EAPI:Rate limit exceeded", FaultKind.WAIT, 5.0),  # "a few seconds", more for those who go on
    ("EAPI:", FaultKind.CREDENTIALS, None),
)
"""How an error begins, its kind, and the seconds to wait. All others (EService:Busy, EGeneral:Internal error,
and what is not documented) are an OUTAGE: asking again later is right."""

_THROTTLED: Final = re.compile(r"EService: ?Throttled: ?(\d{1,12})", re.ASCII)
_OUR_FAULT: Final = frozenset({400, 404, 405, 414})  # HTTP status codes that asking again does not change
_TOO_MANY: Final = 429


def kind_of_refusal(text: str) -> FaultKind:
    """Return what kind of no the *text* of a refused subscription is."""
    for start, kind in _STREAM:
        if text.startswith(start):
            return kind
    for start, kind, _ in _REST:
        if text.startswith(start):
            return kind
    return FaultKind.WAIT if text.startswith("EService:") else FaultKind.REQUEST


def refused_request(text: str, subject: str, now_ns: int | None) -> VenueError:
    """Return what *text*, an entry of the error list of a reply about *subject*, means at *now_ns*.

    Where nobody knows the time, a wait until a certain time becomes one of unsaid length.
    """
    message = f"kraken: {text[:200]} ({subject})"
    throttled = _THROTTLED.match(text)
    if throttled is not None:  # until that second of Unix time
        wait_s = None if now_ns is None else max(0.0, int(throttled[1]) - now_ns / SECOND_NS)
        return VenueError(FaultKind.WAIT, message, retry_after_s=wait_s)
    for start, kind, pause_s in _REST:
        if text.startswith(start):
            return VenueError(kind, message, retry_after_s=pause_s)
    return VenueError(FaultKind.OUTAGE, message)


def refused_body(reply: HttpReply, subject: str, now_ns: int | None) -> VenueError | None:
    """Return what a reply means that is not Kraken's JSON: Cloudflare's, mostly. None where it may be."""
    wait_s = None if now_ns is None else retry_after_s(reply.headers, now_ns)
    message = f"kraken: HTTP {reply.status} ({subject})"
    if reply.status == _TOO_MANY:
        return VenueError(FaultKind.WAIT, message, retry_after_s=wait_s)
    if reply.status in _OUR_FAULT:
        return VenueError(FaultKind.REQUEST, message)
    if not 200 <= reply.status < 300 or reply.body.lstrip()[:1] == b"<":  # noqa: PLR2004 - HTTP 2xx
        return VenueError(FaultKind.OUTAGE, message, retry_after_s=wait_s)
    return None


def wire_error(exc: Exception, sample: bytes, inside: str = "$") -> WireError:
    """Return *exc*, which decoding *sample* or reading it raised, as an error that says where.

    Args:
        exc: Of msgspec, of reading UTF-8, of recursion, or a WireError that knows the end of the path only.
        sample: What could not be read.
        inside: JSON path of the part that was read.
    """
    if isinstance(exc, RecursionError):
        return WireError("kraken: nested too deeply", frame=sample, at=inside)
    if isinstance(exc, WireError):
        return WireError(exc.args[0], frame=sample, at=inside + exc.at)
    text, _, path = str(exc).partition(" - at `$")  # how msgspec ends its texts
    return WireError(f"kraken: {text}", frame=sample, at=inside + path.rstrip("`"))
