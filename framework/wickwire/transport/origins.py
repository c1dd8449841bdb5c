"""Where a URL leads, and whether we go there: one grammar for both libraries, decided before either sees it.

Encrypted to any host, in the clear to literal loopback addresses only (127.0.0.0/8 and [::1], spelled
canonically), never with credentials in the address. A name is never resolved to find out: what a resolver
says now need not be what it says when the connection is made.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from wickwire.errors import ConfigError

__all__ = [
    "HTTP_SCHEMES",
    "STREAM_SCHEMES",
    "Address",
    "Origin",
    "environment_proxy",
    "redirect_table",
    "shown",
]

STREAM_SCHEMES: Final = ("wss", "ws")
HTTP_SCHEMES: Final = ("https", "http")

_PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_SECURE: Final = frozenset({"https", "wss"})
_PROXY_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_MAX_PORT: Final = 65_535
_MAX_SHOWN: Final = 100

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?].*)?",
    re.ASCII | re.DOTALL,
)
# RFC 1123, 2.1; no underscore and no trailing dot: both only help to spell one host in two ways.
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*", re.ASCII)
_NUMBER: Final = re.compile(r"([0-9]+|0[xX][0-9A-Fa-f]*)", re.ASCII)
# Visible ASCII without what RFC 3986 wants percent-encoded and servers disagree about, and % only before two
# digits: all the rest would be re-encoded by somebody on the way, each in a manner of its own.
_TARGET: Final = re.compile(r"([!$&-;=?-\[\]^_`a-z{|}~]|%[0-9A-Fa-f]{2})*", re.ASCII)


_SHOWN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)?([^/?#\\]*)")


@attrs.frozen
class Origin:
    """Scheme, host and port: what a certificate and a connection are for.

    Attributes:
        scheme: wss, ws, https or http.
        host: Lower-case name, or an address; IPv6 in its brackets.
        port: Always set.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return `wss://ws.example.com`, with the port where it is not the scheme's own."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def secure(self) -> bool:
        """TLS is spoken."""
        return self.scheme in _SECURE

    @property
    def loopback(self) -> bool:
        """The host is a literal loopback address, so nothing leaves this machine."""
        return _is_loopback(self.host)


@attrs.frozen
class Address:
    """A URL that was found acceptable.

    Attributes:
        origin: Where it leads.
        target: Path and query exactly as written, at least `/`; not shown, since a query may hold secrets.
    """

    origin: Origin
    target: str = attrs.field(repr=False)

    @classmethod
    def parse(cls, url: str, schemes: tuple[str, ...]) -> Address:
        """Return what *url* says, path and query untouched.

        Raises:
            ValueError: It leads where we do not go, or is not percent-encoded; the text shows nothing secret.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(
                f"{shown(url)} is not of the form {schemes[0]}://host[:port]/path, without user or password"
            )
        scheme = match["scheme"].lower()
        if scheme not in schemes:
            raise ValueError(f"{shown(url)}: expected {' or '.join(schemes)}, got {scheme}")
        port = int(match["port"]) if match["port"] else _PORTS[scheme]
        if not 0 < port <= _MAX_PORT:
            raise ValueError(f"{shown(url)}: {port} is no port")
        target = match["target"] or "/"
        target = f"/{target}" if target.startswith("?") else target
        if not _TARGET.fullmatch(target):
            raise ValueError(f"{shown(url)}: path and query have to be percent-encoded, without a fragment")
        return cls(Origin(scheme, _host(match["host"], url, scheme), port), target)

    @property
    def url(self) -> str:
        """The whole URL, secrets included: for the library that connects, never for a message."""
        return f"{self.origin}{self.target}"


def _host(text: str, url: str, scheme: str) -> str:
    host = text.lower()
    if host.startswith("["):
        try:
            address = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise ValueError(f"{shown(url)}: {host} is no IPv6 address") from None
        if host != f"[{address}]":
            raise ValueError(f"{shown(url)}: write the address as [{address}]")
    elif not _NAME.fullmatch(host):
        raise ValueError(f"{shown(url)}: {host!r} is no host name")
    elif _NUMBER.fullmatch(host.rpartition(".")[2]):
        # 0x7f.1, 127.1, 2130706433 and 0177.0.0.1 mean an address to some resolvers and a name to others.
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"{shown(url)}: {host!r} is no IPv4 address in four decimal parts") from None
    if scheme not in _SECURE and not _is_loopback(host):
        raise ValueError(
            f"{shown(url)}: {scheme}:// is for a literal 127.0.0.1 or [::1] only; use {scheme}s://"
        )
    return host


def _is_loopback(host: str) -> bool:
    if host == "[::1]":
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def shown(url: str) -> str:
    """Return as much of *url* as may be shown: no user, password, path, query or control character."""
    match = _SHOWN.match(url)
    scheme, place = (match[1] or "", match[2]) if match else ("", "")
    # Where a user or password ends is guesswork once it holds a slash or another @.
    return repr(f"{scheme}{'***' if '@' in url else place}"[:_MAX_SHOWN])


def redirect_table(redirects: Mapping[str, str]) -> dict[Origin, Origin]:
    """Return *redirects* checked: which origin another one stands in for.

    Raises:
        ConfigError: One of them is no origin, or a stream is to be redirected to HTTP or the reverse.
    """
    table: dict[Origin, Origin] = {}
    for source, target in redirects.items():
        schemes = STREAM_SCHEMES if source.lower().startswith("ws") else HTTP_SCHEMES
        try:
            pair = [Address.parse(text, schemes) for text in (source, target)]
        except ValueError as exc:
            raise ConfigError(f"redirect: {exc}") from exc
        for text, address in zip((source, target), pair, strict=True):
            if address.target != "/":
                raise ConfigError(f"redirect: {shown(text)} has a path or query; write the origin alone")
        table[pair[0].origin] = pair[1].origin
    return table


def environment_proxy(origin: Origin) -> str | None:
    """Return the proxy that this machine's settings name for *origin*; loopback never has one.

    The settings are HTTPS_PROXY, ALL_PROXY and NO_PROXY, or the operating system's where those are unset. The
    same rule holds for streams and requests.

    Raises:
        ConfigError: What they name is no proxy's address; it is not shown, since it may hold a password.
    """
    if origin.loopback or not origin.secure or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy:
        return None
    try:
        parts = urlsplit(proxy)
        valid = parts.scheme in _PROXY_SCHEMES and parts.hostname and (parts.port or 1)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError("the proxy in HTTPS_PROXY or ALL_PROXY has no address of the form http://host:port")
    return proxy
