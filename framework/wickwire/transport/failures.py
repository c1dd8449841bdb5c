"""What goes wrong below HTTP and WebSocket, in words: names, addresses, TLS, deadlines. One place for both.

Messages name the origin and the next step, and nothing else of a URL: a path may hold an account, a query
a key.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from wickwire.conversation import retry_after_s
from wickwire.errors import ConfigError, FaultKind, TransportError, VenueError
from wickwire.model import SECOND_NS
from wickwire.transport.origins import Origin

__all__ = ["checked_headers", "date_ns", "refused_stream", "unreachable"]

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_CERTIFICATES: Final = {
    9: "is not valid yet; compare this machine's clock",
    10: "has expired; compare this machine's clock, else the venue has to renew it",
    18: "is signed by itself, not by an authority that this machine trusts",
    19: "leads to an authority that this machine does not trust",
    20: "comes from an authority that this machine does not trust",
    62: "is for another host",
    64: "is for another address",
}
_REFUSALS: Final = {
    401: FaultKind.CREDENTIALS,
    402: FaultKind.ENTITLEMENT,
    403: FaultKind.CREDENTIALS,
    408: FaultKind.OUTAGE,
    425: FaultKind.WAIT,
    429: FaultKind.WAIT,
}
_SERVER_ERRORS: Final = 500
_SYSTEM: Final = {
    errno.ECONNREFUSED: "refused the connection; nothing listens there",
    errno.ECONNRESET: "cut the connection",
    errno.EPIPE: "cut the connection",
    errno.EHOSTUNREACH: "cannot be reached; look at network and firewall",
    errno.ENETUNREACH: "cannot be reached; look at network and firewall",
    errno.EMFILE: "cannot be connected to: too many open files in this process (ulimit -n)",
}


def unreachable(origin: Origin, exc: BaseException, *, proxied: bool = False) -> TransportError:
    """Return what *exc* and its causes mean for a connection to *origin*, through a proxy or not."""
    there = f"the proxy for {origin}" if proxied else str(origin)
    causes = list(_causes(exc))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = _CERTIFICATES.get(cause.verify_code, f"was not accepted: {cause.verify_message}")
            return TransportError(f"{origin}: its certificate {words}")
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            words = (cause.reason or "no reason given").lower().replace("_", " ")
            return TransportError(f"{origin}: no TLS that is safe to use ({words}); there is no fallback")
        if isinstance(cause, socket.gaierror):
            return TransportError(
                f"{there}: its name cannot be resolved; look at its spelling and at the network"
            )
        if isinstance(cause, TimeoutError):
            return TransportError(f"{there} did not answer in time")
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno:
            words = _SYSTEM.get(cause.errno) or f"cannot be reached: {os.strerror(cause.errno)}"
            return TransportError(f"{there} {words}")
        if isinstance(cause, ConnectionResetError) and origin.secure:  # asyncio says so, without a number
            return TransportError(f"{origin} hung up instead of agreeing on TLS; there is no fallback")
    return TransportError(f"{there} cannot be reached, or cut the connection")


def _causes(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException] = [exc]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]


def checked_headers(origin: Origin, headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* as they may go out: a value with a line break would be a second header.

    Raises:
        ConfigError: A name or value cannot be sent; the text names the header and never shows its value.
    """
    for name, value in headers.items():
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise ConfigError(f"{origin}: {name[:40]!r} is no header name")
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ConfigError(
                f"{origin}: the value of header {name!r} has a line break, a blank at an end or a "
                f"sign that is not ASCII; look at the secret that it is made of"
            )
    return dict(headers)


def refused_stream(origin: Origin, status: int, headers: Mapping[str, str], now_ns: int) -> VenueError:
    """Return what it means that the opening request of a stream was answered with *status*.

    Args:
        origin: Where it was to be opened.
        status: The HTTP status.
        headers: Of the answer; names in any case.
        now_ns: The present, for a Retry-After that is a date.
    """
    kind = FaultKind.OUTAGE if status >= _SERVER_ERRORS else _REFUSALS.get(status, FaultKind.REQUEST)
    words = {
        FaultKind.CREDENTIALS: "; look at the keys and at what they allow",
        FaultKind.REQUEST: "; redirects are not followed" if status < 400 else "",  # noqa: PLR2004 - 3xx
    }.get(kind, "")
    return VenueError(
        kind,
        f"{origin} refused the stream with HTTP status {status}{words}",
        retry_after_s=retry_after_s({name.lower(): value for name, value in headers.items()}, now_ns),
    )


def date_ns(headers: Mapping[str, str]) -> int | None:
    """Return what a Date header says, in nanoseconds; None where it is missing or says nothing."""
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    # "-0000" for an unknown zone makes a naive datetime; HTTP dates are UTC (RFC 9110, 5.6.7).
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * SECOND_NS
