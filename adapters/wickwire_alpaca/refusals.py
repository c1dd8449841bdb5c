"""What a no of Alpaca's means, on the stream and over REST, and how junk is reported.

Reference: Alpaca Docs, "WebSocket Stream" (Error messages), "Historical bars" (responses), "Market Data FAQ";
read 2026-11. Texts of REST as captured by public projects: its bodies carry no code.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wickwire import SECOND_NS, FaultKind, HttpReply, VenueError, WireError, retry_after_s
from wickwire_alpaca.symbols import NO_KEYS

__all__ = ["CODES", "HARMLESS", "OF_REQUEST", "refused_reply", "wire_error"]

CODES: Final = {
    400: FaultKind.SYMBOL,  # we write the rest of it: what is not understood is a symbol
    401: FaultKind.RESTART,  # the session is not authenticated, or not any more
    402: FaultKind.CREDENTIALS,
    404: FaultKind.RESTART,  # too late with the keys
    405: FaultKind.ENTITLEMENT,
    406: FaultKind.SLOT_TAKEN,  # the only place: by another program, or by our own connection that just died
    407: FaultKind.RESTART,  # messages are lost, and the cut follows
    408: FaultKind.ENTITLEMENT,  # an account without data v2: gone from the documents since 2025
    409: FaultKind.ENTITLEMENT,  # a feed that the plan does not have
    410: FaultKind.REQUEST,  # a channel that the feed does not have
    411: FaultKind.ENTITLEMENT,  # the scope of a token
    412: FaultKind.PROTOCOL,  # options only
    500: FaultKind.RESTART,
}
"""Codes of errors on the stream. One that is not here is PROTOCOL."""

OF_REQUEST: Final = frozenset({400, 405, 410})
"""Codes that answer a subscription: what was subscribed before stays as it was."""

HARMLESS: Final = 403
"""Already authenticated."""

_TEXTS: Final = (
    (400, "invalid symbol", FaultKind.SYMBOL),
    (422, "invalid symbol", FaultKind.SYMBOL),  # as captures from before 2023 have it, with a code
    (403, "recent sip data", FaultKind.ENTITLEMENT),
    (403, "subscription does not permit", FaultKind.ENTITLEMENT),
    (422, "subscription does not permit", FaultKind.ENTITLEMENT),
    (422, "end is too late", FaultKind.ENTITLEMENT),
)
"""Status, what its message holds in small letters, kind."""

_STATUSES: Final = {
    400: FaultKind.REQUEST,
    401: FaultKind.CREDENTIALS,
    403: FaultKind.CREDENTIALS,  # the FAQ: no keys, wrong keys, or no permission
    404: FaultKind.REQUEST,
    405: FaultKind.REQUEST,
    414: FaultKind.REQUEST,
    422: FaultKind.REQUEST,
    429: FaultKind.WAIT,
}
"""All others that are not 2xx are an OUTAGE: asking again later is right."""

_ADVICE: Final = {
    FaultKind.CREDENTIALS: f"alpaca {NO_KEYS}",
    FaultKind.ENTITLEMENT: "the free plan has SIP data from 15 minutes ago on; alpaca.iex has it at once",
}


class Message(msgspec.Struct):
    """The body of a refusal."""

    message: str = ""


_message: Final = msgspec.json.Decoder(Message).decode


def refused_reply(reply: HttpReply, subject: str, now_ns: int) -> VenueError | None:
    """Return what a reply about *subject* means that is no data; None where it may be data."""
    text = _text(reply)
    kind = _STATUSES.get(reply.status, FaultKind.OUTAGE)
    if 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP 2xx
        if reply.body.lstrip()[:1] != b"<":
            return None
        kind = FaultKind.OUTAGE
    for status, part, meant in _TEXTS:
        if status == reply.status and part in text.lower():
            kind = meant
    said = f"alpaca: HTTP {reply.status}{f' {text}' if text else ''} ({subject})"
    advice = _ADVICE.get(kind)
    waits = kind in (FaultKind.WAIT, FaultKind.OUTAGE)
    return VenueError(
        kind,
        f"{said}; {advice}" if advice else said,
        retry_after_s=_pause_s(reply, now_ns) if waits else None,
    )


def wire_error(exc: Exception, sample: bytes, inside: str = "$") -> WireError:
    """Return *exc*, which decoding *sample* or reading it raised, as an error that says where.

    Args:
        exc: Of msgspec, of reading UTF-8, of recursion, or a WireError that knows the end of the path only.
        sample: What could not be read.
        inside: Path of the part that was read.
    """
    if isinstance(exc, RecursionError):
        return WireError("alpaca: nested too deeply", frame=sample, at=inside)
    if isinstance(exc, WireError):
        return WireError(exc.args[0], frame=sample, at=inside + exc.at)
    text, _, path = str(exc).partition(" - at `$")  # how msgspec ends its texts
    return WireError(f"alpaca: {text}", frame=sample, at=inside + path.rstrip("`"))


def _text(reply: HttpReply) -> str:
    """Return the message of a reply that has one, in bearable length."""
    try:
        return _message(reply.body).message[:200]
    except (ValueError, RecursionError):
        return ""


def _pause_s(reply: HttpReply, now_ns: int) -> float | None:
    """Return the seconds to wait, where a header says so; the captured 429 has none.

    `X-RateLimit-Reset` is documented as Unix seconds.
    """
    now_ns = now_ns if reply.date_ns is None else reply.date_ns
    asked = retry_after_s(reply.headers, now_ns)
    reset = reply.headers.get("x-ratelimit-reset", "").strip()
    if asked is None and reset.isascii() and reset.isdigit() and len(reset) <= 11:  # noqa: PLR2004 - the year 5138
        asked = max(0.0, int(reset) - now_ns / SECOND_NS)
    return asked
