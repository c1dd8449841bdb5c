"""Which server a sink address means, which keys, and how they are to be written."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote

import attrs

from wickwire import ConfigError, shown_store

__all__ = ["Address", "Serialisation", "Trim", "TrimBy", "parse_address"]

_SCHEMES: Final = frozenset({"redis", "rediss"})
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]+))?")
_HIGHEST_PORT: Final = 65_535
_DATABASE: Final = re.compile(r"[0-9]{0,5}")
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S: Final = 10 * 366 * 86_400
_TRIM: Final = re.compile(r"(maxlen|minid):([1-9][0-9]{0,14})")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_SCOPE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}(\.[a-z][a-z0-9_]{0,31})?")
_PLAIN: Final = ("prefix", "primary", "serialisation", "ttl", "window", "keep", "stream", "timeout")
_TLS: Final = ("cafile", "certfile", "keyfile")
_OPTIONS: Final = (*_PLAIN, "socket", "user", "password", *_TLS)


class Serialisation(enum.Enum):
    """How the value of a key is written."""

    JSON = "json"
    MSGPACK = "msgpack"


class TrimBy(enum.Enum):
    """What a stream is kept short by; the value is the word of XADD."""

    LENGTH = "MAXLEN"
    """It keeps so many entries."""
    COMMITS = "MINID"
    """It keeps the entries of so many of the store's newest commits."""


@attrs.frozen
class Trim:
    """How a stream is kept short, roughly: Redis drops whole blocks of entries."""

    by: TrimBy
    bound: int


@attrs.frozen(kw_only=True)
class Address:
    """One database of one server, and what is written there.

    Attributes:
        shown: The address as messages show it.
        host: A name or an IP address; unused where there is a *socket*.
        port: Where it listens.
        socket: The path of a Unix socket, or None.
        database: The number of the database.
        user: Who, as the server's ACL knows it; None for its default user.
        password: Its secret; without one what REDISCLI_AUTH says.
        tls: Whether to speak TLS, which then is verified.
        cafile: Certificate authorities to trust, in place of the system's.
        certfile: Our own certificate, where the server wants one.
        keyfile: Its key, where it is not in *certfile*.
        prefix: What every key and channel begins with.
        primary: The venue, or `venue.variant`, whose quotes also go to `price:{symbol}`.
        serialisation: How values are written.
        ttl_s: How long a price stays without a newer one.
        window_s: How much of a series, up to its newest candle, is recent.
        keep_s: How long the candles of a series stay without a newer one; streams stay.
        trim: How streams are kept short; None to have no streams.
        timeout_s: How long the server may take for one pipeline, connecting included.
    """

    shown: str
    host: str
    port: int
    socket: str | None
    database: int
    user: str | None
    password: str | None = attrs.field(repr=False)
    tls: bool
    cafile: str | None
    certfile: str | None
    keyfile: str | None
    prefix: str
    primary: str | None
    serialisation: Serialisation
    ttl_s: int
    window_s: int
    keep_s: int
    trim: Trim | None
    timeout_s: int


def parse_address(url: str) -> Address | None:
    """Return what *url* means, or None when it is not an address of Redis.

    Ours are `redis://user:password@host:port/database?option=value` and the same with `rediss:`, for TLS.
    All of it may be missing but the scheme and `//`.

    Raises:
        ConfigError: It is ours, and something in it is wrong. Its text shows no password.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme.lower() not in _SCHEMES:
        return None
    tls = scheme.lower() == "rediss"
    shown = shown_store(url)
    if not rest.startswith("//"):
        raise ConfigError(f"sink {shown!r}: write redis://host:6379")
    place, _, query = rest[2:].partition("?")
    who, at, where = place.rpartition("@")
    options = _options(query, shown, place)
    if not all(unquote(part).isprintable() for part in (who, where, query)):
        raise ConfigError(f"sink {shown!r}: it holds control characters")
    if "#" in where:
        raise ConfigError(f"sink {shown!r}: a '#' is written %23")
    user, _, password = who.partition(":")
    server, _, database = where.partition("/")
    host, port = _server(server)
    if not _DATABASE.fullmatch(database):
        raise ConfigError(
            f"sink {shown!r}: {database!r} is no number of a database; write redis://host:6379/0"
        )
    _check_transport(options, shown, tls=tls, host=host)
    return Address(
        shown=shown,
        host=host or "localhost",
        port=port,
        socket=options.get("socket"),
        database=int(database or 0),
        user=options.get("user") or (unquote(user) if at else None) or None,
        password=options.get("password") or unquote(password) or None,
        tls=tls,
        cafile=options.get("cafile"),
        certfile=options.get("certfile"),
        keyfile=options.get("keyfile"),
        prefix=_plain("prefix", _PREFIX, "up to 64 of letters, digits and _ . : -", options, shown) or "",
        primary=_plain("primary", _SCOPE, "a venue such as kraken or alpaca.sip", options, shown),
        serialisation=_serialisation(options.get("serialisation", Serialisation.JSON.value), shown),
        ttl_s=_span_s("ttl", options.get("ttl", "5m"), shown),
        window_s=_span_s("window", options.get("window", "1h"), shown),
        keep_s=_span_s("keep", options.get("keep", "7d"), shown),
        trim=_trim(options.get("stream", "maxlen:10000"), shown),
        timeout_s=_span_s("timeout", options.get("timeout", "5s"), shown),
    )


def _options(query: str, shown: str, place: str) -> dict[str, str]:
    options: dict[str, str] = {}
    # a plus is a plus: parse_qsl reads forms of web pages, where it is a space
    for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        # a password with a bare '?' in it looks like an option: its text must not be shown
        if "@" not in place and "@" in name + value and (name not in _OPTIONS or name in _PLAIN):
            raise ConfigError(
                "sink 'redis://...': in a user or a password '?' is written %3F, '/' %2F, '@' %40 and '#' %23"
            )
        if name not in _OPTIONS:
            raise ConfigError(f"sink {shown!r}: no option {name!r}; there are {', '.join(_OPTIONS)}")
        options[name] = value
    return options


def _server(text: str) -> tuple[str, int]:
    if "," in text:
        raise ConfigError(
            "sink 'redis://...': it names several hosts; Redis Cluster and Sentinel are not supported yet, "
            "so name the one server that takes writes"
        )
    match = _HOST.fullmatch(unquote(text))
    if match is None or not 0 < int(match["port"] or 6_379) <= _HIGHEST_PORT:
        # what stands where a port should be is often a password, after which '@host' was forgotten
        raise ConfigError(
            "sink 'redis://...': it names no host:port; write redis://user:password@host:6379/0"
        )
    return match["host"].strip("[]"), int(match["port"] or 6_379)


def _check_transport(options: Mapping[str, str], shown: str, *, tls: bool, host: str) -> None:
    if "socket" in options and (tls or host):
        raise ConfigError(
            f"sink {shown!r}: a socket is on this machine, without host or TLS; write redis://?socket=/path"
        )
    if "socket" in options and not options["socket"].startswith("/"):
        raise ConfigError(f"sink {shown!r}: socket is an absolute path, not {options['socket']!r}")
    used = [name for name in _TLS if name in options]
    if used and not tls:
        raise ConfigError(f"sink {shown!r}: {used[0]} is for TLS; write rediss:// in place of redis://")
    if "keyfile" in options and "certfile" not in options:
        raise ConfigError(f"sink {shown!r}: keyfile goes with a certfile; name that, too")


def _plain(
    option: str, pattern: re.Pattern[str], meant: str, options: Mapping[str, str], shown: str
) -> str | None:
    text = options.get(option)
    if text is not None and not pattern.fullmatch(text):
        raise ConfigError(f"sink {shown!r}: {option} is {meant}, not {text!r}")
    return text


def _serialisation(text: str, shown: str) -> Serialisation:
    known = {one.value: one for one in Serialisation}
    if text not in known:
        raise ConfigError(f"sink {shown!r}: serialisation is {' or '.join(known)}, not {text!r}")
    return known[text]


def _span_s(option: str, text: str, shown: str) -> int:
    match = _SPAN.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise ConfigError(f"sink {shown!r}: {option} is a time such as 90s, 5m, 1h or 7d, not {text!r}")
    return seconds


def _trim(text: str, shown: str) -> Trim | None:
    if text == "off":
        return None
    match = _TRIM.fullmatch(text)
    if match is None:
        raise ConfigError(f"sink {shown!r}: stream is maxlen:10000, minid:1000000 or off, not {text!r}")
    return Trim(TrimBy(match[1].upper()), int(match[2]))
