"""What a no of Coinbase's REST means, and how junk is reported.

Reference: Coinbase Advanced Trade REST, "Error Responses" and "Rate Limits", read 2026-11. Bodies come in
several shapes (`error` with `message`, a list `errors`, an object `error_response`, gRPC's number `code`), or
are no JSON at all, so they are read for whatever they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from wickwire import FaultKind, HttpReply, VenueError, WireError, retry_after_s

__all__ = ["refused", "wire_error"]

_CODES: Final = {
    "INVALID_ARGUMENT": FaultKind.REQUEST,
    "FAILED_PRECONDITION": FaultKind.REQUEST,
    "OUT_OF_RANGE": FaultKind.REQUEST,
    "UNIMPLEMENTED": FaultKind.REQUEST,
    "NOT_FOUND": FaultKind.SYMBOL,
    "UNAUTHENTICATED": FaultKind.CREDENTIALS,
    "PERMISSION_DENIED": FaultKind.ENTITLEMENT,
    "RESOURCE_EXHAUSTED": FaultKind.WAIT,
    "RATE_LIMIT_EXCEEDED": FaultKind.WAIT,
    "INTERNAL": FaultKind.OUTAGE,
    "UNAVAILABLE": FaultKind.OUTAGE,
    "DEADLINE_EXCEEDED": FaultKind.OUTAGE,
}
"""The word of an error and its kind."""

_NUMBERS: Final = {
    3: "INVALID_ARGUMENT",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
"""gRPC's numbers for them."""

_STATUSES: Final = {
    400: FaultKind.REQUEST,
    401: FaultKind.CREDENTIALS,
    404: FaultKind.REQUEST,
    405: FaultKind.REQUEST,
    414: FaultKind.REQUEST,
    422: FaultKind.REQUEST,
    429: FaultKind.WAIT,
}
"""Where the body says no more. All others (5xx, and 403 with a page of whoever stands in front) are an
OUTAGE: asking again later is right."""

_TEXT: Final = 200
_NO_KEY: Final = (
    "; market data need no key and none was sent, so something between us and the venue wants one"
)


def refused(reply: HttpReply, subject: str, now_ns: int) -> VenueError | None:
    """Return what a *reply* about *subject* means that brings no data, or None where it may bring some."""
    ok = 200 <= reply.status < 300  # noqa: PLR2004 - HTTP
    if ok and reply.body.lstrip()[:1] != b"<":
        said = _said(reply.body) if b'"error' in reply.body[:64] else ("", "")
        if said == ("", ""):
            return None
    else:
        said = _said(reply.body)
    code, text = said
    kind = _kind(reply.status, code, text)
    message = f"coinbase: {': '.join(part for part in (code, text) if part) or 'refused'}"
    message = f"{message} (HTTP {reply.status}, {subject})"
    if kind is FaultKind.CREDENTIALS:
        message += _NO_KEY
    waits = kind in (FaultKind.WAIT, FaultKind.OUTAGE)
    return VenueError(kind, message, retry_after_s=retry_after_s(reply.headers, now_ns) if waits else None)


def _kind(status: int, code: str, text: str) -> FaultKind:
    by_status = _STATUSES.get(status, FaultKind.OUTAGE)
    if by_status is FaultKind.WAIT or status >= 500:  # noqa: PLR2004 - HTTP
        return by_status
    kind = _CODES.get(code.upper(), by_status)
    # a wrong product is said in the words of a wrong argument; granularity and range have words of their own
    if kind is FaultKind.REQUEST and "product" in text.casefold() and "number of candles" not in text:
        return FaultKind.SYMBOL
    return kind


def _said(body: bytes) -> tuple[str, str]:
    """Return the word and the sentence of an error; both empty where it holds none."""
    try:
        told: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        plain = not body.lstrip().startswith(b"<")
        return "", body[:_TEXT].decode(errors="replace").strip() if plain else "a page instead of data"
    match told:
        case {"errors": [dict(inner), *_]} | {"error_response": dict(inner)}:
            return _words(inner)
        case dict():
            return _words(told)
        case _:
            return "", ""


def _words(told: Mapping[str, Any]) -> tuple[str, str]:
    names = [told.get("error"), told.get("id"), _NUMBERS.get(_int(told.get("code")))]
    texts = [told.get("error_details"), told.get("message")]
    code = next((name for name in names if isinstance(name, str) and name.upper() in _CODES), "")
    text = next((text for text in (*texts, *names) if isinstance(text, str) and text and text != code), "")
    return code, text[:_TEXT]


def _int(value: object) -> int:
    return value if isinstance(value, int) else -1


def wire_error(exc: Exception, sample: bytes, inside: str = "$") -> WireError:
    """Return *exc*, which decoding *sample* or reading it raised, as an error that says where.

    Args:
        exc: Of msgspec, of reading UTF-8, of recursion, or a WireError that knows the end of the path only.
        sample: What could not be read.
        inside: JSON path of the part that was read.
    """
    if isinstance(exc, RecursionError):
        return WireError("coinbase: nested too deeply", frame=sample, at=inside)
    if isinstance(exc, WireError):
        path = exc.at.removeprefix("$") if inside == "$" else exc.at
        return WireError(exc.args[0], frame=sample, at=inside + path)
    text, _, path = str(exc).partition(" - at `$")  # how msgspec ends its texts
    return WireError(f"coinbase: {text}", frame=sample, at=inside + path.rstrip("`"))
