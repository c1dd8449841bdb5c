"""What all replies have in common.

Each has a list of errors, whatever its HTTP status; entries that begin with W are warnings beside a usable
result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from wickwire import HttpReply, HttpRequest, WireError
from wickwire_kraken.refusals import refused_body, refused_request, wire_error
from wickwire_kraken.symbols import is_another, is_tokenized

__all__ = ["REST_URL", "Result", "decoded", "only_pair", "request", "result_of"]

REST_URL: Final = "https://api.kraken.com/0/public"

T = TypeVar("T")
Result = dict[str, msgspec.Raw]


class Envelope(msgspec.Struct):
    """What every reply is; there is no result beside an error."""

    error: list[str]
    result: Result | None = None


_envelope: Final = msgspec.json.Decoder(Envelope).decode


def request(method: str, symbol: str, **params: str) -> HttpRequest:
    """Ask *method* about one symbol."""
    if is_tokenized(symbol):
        params["asset_class"] = "tokenized_asset"
    return HttpRequest(url=f"{REST_URL}/{method}", params={"pair": symbol, **params})


def result_of(reply: HttpReply, subject: str, now_ns: int | None) -> Result:
    """Return the result of *reply*.

    Raises:
        VenueError: The reply says no, or is not Kraken's.
        WireError: It is not what Kraken documents.
    """
    now_ns = now_ns if reply.date_ns is None else reply.date_ns
    refused = refused_body(reply, subject, now_ns)
    try:
        reply.body.decode()  # the decoder does not look into strings that it skips
        envelope = _envelope(reply.body)
    except (ValueError, RecursionError) as exc:
        raise refused or wire_error(exc, reply.body) from exc
    for text in envelope.error:
        if not text.startswith("W"):
            raise refused_request(text, subject, now_ns)
    if refused is not None:
        raise refused
    if envelope.result is None:
        raise WireError("kraken: neither an error nor a result", frame=reply.body)
    return envelope.result


def only_pair(result: Result, symbol: str, reply: HttpReply) -> tuple[str, msgspec.Raw]:
    """Return where the rows stand and the rows themselves: the venue calls the pair as it likes."""
    names = [name for name in result if name != "last"]
    if len(names) != 1:
        raise WireError(f"kraken: expected one pair, got {names[:5]}", frame=reply.body, at="$.result")
    if is_another(names[0], symbol):
        raise WireError(f"kraken: asked for {symbol}, got {names[0][:40]!r}", frame=reply.body, at="$.result")
    return f"$.result.{names[0]}", result[names[0]]


def decoded(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, at: str) -> T:
    """Return what *decode* makes of *raw*.

    Raises:
        WireError: It is no such thing; names *at*, its place in the reply.
    """
    try:
        return decode(raw)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, bytes(raw), at) from exc
