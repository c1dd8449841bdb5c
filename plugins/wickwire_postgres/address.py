"""Which server, database and schema a store address means, and how they are to be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote

import attrs

from wickwire import ConfigError, shown_store

__all__ = ["DAY_NS", "Address", "parse_address"]

DAY_NS: Final = 86_400_000_000_000

_SCHEMES: Final = frozenset({"postgresql", "postgres"})
_SCHEMA: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_DAYS: Final = re.compile(r"([1-9][0-9]{0,4})d")
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_HIGHEST_PORT: Final = 65_535
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "mode": ("rw", "ro"),
    "synchronous": ("full", "normal"),
    "timescale": ("auto", "off"),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
}
_TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl")
_OPTIONS: Final = (
    "schema", "mode", "synchronous", "retention", "compress_after", "timescale",
    "host", "port", "user", "password", "passfile", *_TLS,
)  # fmt: skip
_NEVER_WITH_AT: Final = (*_CHOICES, "schema", "retention", "compress_after", "port")


@attrs.frozen(kw_only=True)
class Address:
    """One schema of one database, and how to use it.

    Attributes:
        shown: The address as messages show it.
        hosts: Servers to try, in order, each a name, an IP address or the directory of a socket; with none of
            them what PGHOST says, or this machine.
        ports: One for each of *hosts*.
        user: Who; without one what PGUSER says, or the name of the account.
        password: Its secret; without one what PGPASSWORD or the password file says.
        passfile: The password file, in place of ~/.pgpass.
        database: Which; without one it is called like the user.
        schema: Where the tables are.
        readonly: Change nothing and create nothing (`mode=ro`).
        power_safe: A commit is on the server's disk when it returns (`synchronous=full`).
        retention_ns: How old a candle may grow; None to keep all.
        compress_after_ns: How old a candle is compressed by TimescaleDB; None for never.
        timescale: Use TimescaleDB where the database has it.
        tls: The options of libpq that are about TLS.
    """

    shown: str
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    passfile: str | None = None
    database: str | None = None
    schema: str = "wickwire"
    readonly: bool = False
    power_safe: bool = True
    retention_ns: int | None = None
    compress_after_ns: int | None = None
    timescale: bool = True
    tls: Mapping[str, str] = attrs.field(factory=dict, repr=False)


def parse_address(url: str) -> Address | None:
    """Return what *url* means, or None when it is not an address of PostgreSQL.

    Ours are `postgresql://user:password@host:port/database?option=value` and the same with `postgres:`. All
    of it may be missing but the scheme and `//`; several hosts are written with commas between them.

    Raises:
        ConfigError: It is ours, and something in it is wrong. Its text shows no password.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme.lower() not in _SCHEMES:
        return None
    shown = shown_store(url)
    if not rest.startswith("//"):
        raise ConfigError(f"store {shown!r}: write postgresql://user@host/database")
    place, _, query = rest[2:].partition("?")
    who, at, where = place.rpartition("@")
    options = _options(query, shown, place)
    _check_text((who, where, query), shown)
    if "#" in where:
        raise ConfigError(f"store {shown!r}: a '#' is written %23")
    user, _, password = who.partition(":")
    servers, _, database = where.partition("/")
    hosts, ports = _hosts(options.get("host", servers), options.get("port", ""), shown)
    return Address(
        shown=shown,
        hosts=hosts,
        ports=ports,
        user=options.get("user") or (unquote(user) if at else None) or None,
        password=options.get("password") or unquote(password) or None,
        passfile=options.get("passfile"),
        database=unquote(database) or None,
        schema=_schema(options.get("schema", "wickwire"), shown),
        readonly=options.get("mode") == "ro",
        power_safe=options.get("synchronous") != "normal",
        retention_ns=_days("retention", options, shown),
        compress_after_ns=_days("compress_after", options, shown),
        timescale=options.get("timescale") != "off",
        tls={name: options[name] for name in _TLS if name in options},
    )


def _check_text(parts: tuple[str, ...], shown: str) -> None:
    if not all(unquote(part).isprintable() for part in parts):
        raise ConfigError(f"store {shown!r}: it holds control characters")


def _options(query: str, shown: str, place: str) -> dict[str, str]:
    options: dict[str, str] = {}
    # a plus is a plus, as libpq has it: parse_qsl reads forms of web pages, where it is a space
    for name, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        # a password with a bare '?' in it looks like an option: its text must not be shown
        if "@" not in place and "@" in name + value and (name not in _OPTIONS or name in _NEVER_WITH_AT):
            raise ConfigError(
                "store 'postgresql://...': in a user or a password '?' is written %3F, '/' %2F, '@' %40 and "
                "'#' %23"
            )
        if name not in _OPTIONS:
            raise ConfigError(f"store {shown!r}: no option {name!r}; there are {', '.join(_OPTIONS)}")
        known = _CHOICES.get(name)
        if known is not None and value not in known:
            raise ConfigError(f"store {shown!r}: {name} is {' or '.join(known)}, not {value!r}")
        options[name] = value
    return options


def _hosts(servers: str, ports: str, shown: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return hosts and their ports; *ports* holds those that an option gives, one for all or one for each."""
    names: list[str] = []
    numbers: list[str] = []
    for server in servers.split(",") if servers else ():
        text = unquote(server)
        match = None if text.startswith("/") else _HOST.fullmatch(text)
        if match is None and not text.startswith("/"):
            # what stands where a port should be is often a password, after which '@host' was forgotten
            raise ConfigError(
                "store 'postgresql://...': it names no host:port; write "
                "postgresql://user:password@host:port/database"
            )
        names.append(text if match is None else match["host"].strip("[]"))
        numbers.append((match and match["port"]) or "")
    if ports:
        given = ports.split(",")
        if len(given) not in {1, len(names)}:
            raise ConfigError(f"store {shown!r}: {len(given)} ports for {len(names)} hosts")
        numbers = given * len(names) if len(given) == 1 else given
        names = names or ["localhost"]
        numbers = numbers or given
    for number in numbers:
        if number and not (number.isascii() and number.isdigit() and 0 < int(number) <= _HIGHEST_PORT):
            raise ConfigError(f"store {shown!r}: {number!r} is no port; write a number up to {_HIGHEST_PORT}")
    if not all(names):
        raise ConfigError(f"store {shown!r}: it names an empty host; write postgresql://user@host/database")
    return tuple(names), tuple(int(number or 5_432) for number in numbers)


def _schema(name: str, shown: str) -> str:
    if not _SCHEMA.fullmatch(name):
        raise ConfigError(
            f"store {shown!r}: the schema {name!r} is no plain name: up to 63 of a-z, 0-9 "
            "and _, not a digit or pg_ first"
        )
    return name


def _days(option: str, options: Mapping[str, str], shown: str) -> int | None:
    text = options.get(option)
    if text is None:
        return None
    match = _DAYS.fullmatch(text)
    if match is None:
        raise ConfigError(f"store {shown!r}: {option} is a number of days such as 400d, not {text!r}")
    return int(match[1]) * DAY_NS
