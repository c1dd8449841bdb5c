"""The config: one TOML file, secrets from the environment, and errors that name file, key and reason.

This is the only module that reads files and variables on the user's behalf. What a setting means stands at
the attribute that holds it; `docs/configuration.md` shows them all.
"""

from __future__ import annotations

import enum
import ipaddress
import math
import re
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, Union, get_args, get_origin
from urllib.parse import urlsplit

import attrs
import msgspec

from wickwire.binding import kind_of, suggestion
from wickwire.credentials import found_in
from wickwire.description import Account, Limits
from wickwire.errors import ConfigError, UsageError
from wickwire.model import Rung, Series
from wickwire.planner import PINS, unpinnable
from wickwire.retention import Retention
from wickwire.retry import PRESETS, Backoff
from wickwire.series import is_venue_name
from wickwire.watchdog import HungHook

__all__ = ["CollectorConfig", "Config", "PluginsConfig", "VenueConfig", "parse_config", "read_config"]

_VARIABLE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_SCHEMES: Final = dict.fromkeys(("wss", "ws"), ("wss", "ws")) | dict.fromkeys(
    ("https", "http"), ("https", "http")
)
"""Scheme of an origin to those of its redirects: encrypted, and plain for loopback."""


class _Unfit(ValueError):
    """A value breaks a rule of its class; *key* says where in it."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


@attrs.frozen(kw_only=True)
class PluginsConfig:
    """Which plugins may be loaded.

    Attributes:
        allow: Only these, adapters, stores and sinks alike; None allows all that are installed.
        deny: Not these.
        local: Adapters in single files, by venue; relative paths start at the folder of the config.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    local: Mapping[str, Path] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Refuse names that no series could be written with."""
        for name in self.local:
            if not is_venue_name(name):
                raise _Unfit(_key("local", name), "expected lower-case letters, digits and _, a letter first")


@attrs.frozen(kw_only=True)
class VenueConfig:
    """How one venue is used.

    Attributes:
        environment: One of those that the adapter describes, such as "production" or "demo".
        plan: The subscription plan, where it changes what is allowed.
        secrets: Name of a secret to the variable that holds it, written `env:NAME`; what is not named is
            taken from `WICKWIRE_VENUE_SECRET`, such as WICKWIRE_ALPACA_KEY.
        limits: Lower than the venue's own; a field that is left out leaves the venue's.
        redirects: Origin to origin: what the adapter wants to open there is opened here.
        backoff: How long to wait between attempts.
        pins: Series that are to be collected in one way or not at all.
    """

    environment: str = "production"
    plan: str = ""
    secrets: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    limits: Limits | None = None
    redirects: Mapping[str, str] = attrs.field(factory=dict)
    backoff: Backoff = attrs.field(factory=Backoff)
    pins: Mapping[Series, Rung] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        """Refuse secrets in the file, and redirects that could leak."""
        for name, reference in self.secrets.items():
            if not _VARIABLE.fullmatch(reference):
                # never repeat the value: it may be the secret itself
                raise _Unfit(
                    _key("secrets", name),
                    "expected env:NAME, the environment variable that holds it, got something else; "
                    "secrets do not belong into a file",
                )
        if self.limits is not None and self.limits.reply_headers:
            raise _Unfit("limits.reply_headers", "is the venue's to say, and no setting")
        for source, target in self.redirects.items():
            why = _bad_redirect(source, target)
            if why:
                raise _Unfit(_key("redirects", source), why)


@attrs.frozen(kw_only=True)
class CollectorConfig:
    """How the collector itself behaves.

    Attributes:
        hung_hook: What follows when a plugin's hook does not return: "exit" ends the process with status 5,
            "report" only says so.
        hung_hook_s: How long to wait for it, before the end, in seconds.
    """

    hung_hook: HungHook = HungHook.EXIT
    hung_hook_s: float = attrs.field(default=30.0, converter=float, validator=attrs.validators.gt(0))


@attrs.frozen(kw_only=True)
class Config:
    """All settings.

    Attributes:
        series: What to collect where the command names nothing, in order of importance.
        priority: Series that go before others, under the names by which they are collected.
        store: URL of the store; None leaves the choice to the command.
        budget: URL of where the venues' limits are counted together with other processes; None counts alone.
        keep_trades: Store the trades of trade series, too.
        sinks: URLs of where else committed candles go, and the latest quotes, by a name of the user's.
        hot: URL of where the newest candles are kept to be read without asking the store; None for nowhere.
        retention: How long candles and trades are kept.
        collector: How the collector itself behaves.
        plugins: Which plugins may be loaded.
        venues: How venues are used, by name; those that are not named are used as they come.
        source: The file, for messages.
    """

    series: tuple[Series, ...] = ()
    priority: tuple[Series, ...] = ()
    store: str | None = None
    budget: str | None = attrs.field(default=None, repr=False)
    sinks: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    hot: str | None = attrs.field(default=None, repr=False)
    keep_trades: bool = False
    retention: Retention = attrs.field(factory=Retention)
    collector: CollectorConfig = attrs.field(factory=CollectorConfig)
    plugins: PluginsConfig = attrs.field(factory=PluginsConfig)
    venues: Mapping[str, VenueConfig] = attrs.field(factory=dict)
    source: str = attrs.field(default="config", metadata={"key": False})

    def __attrs_post_init__(self) -> None:
        """Refuse names that are no venue, and pins under another venue than their own."""
        if self.store is not None and not self.store.strip():
            raise _Unfit("store", "is empty; write sqlite:wickwire.db or memory:, or leave it out")
        if self.budget is not None and not self.budget.strip():
            raise _Unfit("budget", "is empty; write redis://127.0.0.1, or leave it out")
        for name, venue in self.venues.items():
            if not is_venue_name(name):
                raise _Unfit(
                    _key("venues", name), "expected lower-case letters, digits and _, a letter first"
                )
            for series in venue.pins:
                if series.venue != name:
                    where = f"venues.{name}.pins"
                    raise _Unfit(_key(where, str(series)), f"belongs under [venues.{series.venue}.pins]")

    def venue(self, name: str) -> VenueConfig:
        """Return how a venue is used."""
        return self.venues.get(name) or VenueConfig()

    @property
    def pins(self) -> Mapping[Series, Rung]:
        """The pins of all venues."""
        return {series: rung for venue in self.venues.values() for series, rung in venue.pins.items()}

    @property
    def plans(self) -> Mapping[str, str]:
        """The subscription plans of all venues."""
        return {name: venue.plan for name, venue in self.venues.items()}

    @property
    def redirects(self) -> Mapping[str, str]:
        """The redirects of all venues."""
        return {
            source: target for venue in self.venues.values() for source, target in venue.redirects.items()
        }

    def account(self, name: str, environ: Mapping[str, str]) -> Account:
        """Return the account of a venue, with its secrets taken from *environ*.

        Raises:
            ConfigError: A variable that the config names is not set.
        """
        venue = self.venue(name)
        named = {secret: reference.removeprefix("env:") for secret, reference in venue.secrets.items()}
        for secret, variable in named.items():
            if not environ.get(variable):
                raise ConfigError(
                    f"{self.source}: {_key(f'venues.{name}.secrets', secret)}: the environment variable "
                    f"{variable} is not set; venue {name!r} needs it"
                )
        variables = {**found_in(name, environ), **named}
        return Account(
            environment=venue.environment,
            plan=venue.plan,
            secrets={secret: environ[variable] for secret, variable in variables.items()},
            limits=venue.limits,
            variables=variables,
        )


def read_config(path: Path) -> Config:
    """Return the settings in the file *path*.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong; the text names file, key and reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise ConfigError(
            f"{path}: there is no such file; write it, or name another with --config or WICKWIRE_CONFIG"
        ) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
    return parse_config(text, source=str(path), folder=path.parent)


def parse_config(text: str, *, source: str = "wickwire.toml", folder: Path | None = None) -> Config:
    """Return the settings written as *text*.

    Args:
        text: TOML.
        source: How messages name the file.
        folder: Where relative paths start; the working directory when None.

    Raises:
        ConfigError: Something in it is wrong; the text names file, key and reason.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{source}: is not TOML: {exc}") from exc
    made: Config = _Reader(source, folder or Path()).made(Config, table, "")
    return attrs.evolve(made, source=source)


@attrs.frozen
class _Reader:
    """Makes values of a given type from what TOML holds; knows where it is when something is wrong."""

    source: str
    folder: Path

    def wrong(self, where: str, why: str) -> NoReturn:
        """Raise the error that names file, key and reason."""
        raise ConfigError(f"{self.source}: {where}: {why}" if where else f"{self.source}: {why}")

    def made(self, cls: type[Any], raw: object, where: str) -> Any:
        """Return the attrs class *cls* made of the table *raw*."""
        fields = {
            field.name: field
            for field in attrs.fields(attrs.resolve_types(cls))
            if field.metadata.get("key", True)
        }
        values = {}
        for key, item in self.table(raw, where).items():
            if key not in fields:
                self.wrong(
                    _key(where, key),
                    f"there is no such setting{suggestion(key, fields)}; there are {', '.join(fields)}",
                )
            values[key] = self.value(fields[key].type, item, _key(where, key))
        for key, field in fields.items():
            if field.default is attrs.NOTHING and key not in values:
                self.wrong(where, f"needs {key}")
        try:
            return cls(**values)
        except _Unfit as exc:
            self.wrong(f"{where}.{exc.key}" if where else exc.key, exc.why)
        except (ValueError, TypeError) as exc:
            self.wrong(where, str(exc))

    def value(self, hint: Any, raw: object, where: str) -> Any:
        """Return *raw* as the type *hint*."""
        origin, inner = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self.value(next(one for one in inner if one is not type(None)), raw, where)
        if origin is Mapping:
            return {
                self.value(inner[0], key, _key(where, key)): self.value(inner[1], item, _key(where, key))
                for key, item in self.table(raw, where).items()
            }
        if origin is tuple:
            if not isinstance(raw, list):
                self.wrong(where, f"expected an array, got {kind_of(raw)}")
            return tuple(self.value(inner[0], item, f"{where}[{place}]") for place, item in enumerate(raw))
        if hint is Series:
            return self.series(raw, where)
        if hint is Backoff:
            return self.backoff(raw, where)
        if attrs.has(hint):
            return self.made(hint, raw, where)
        return self.scalar(hint, raw, where)

    def scalar(self, hint: Any, raw: object, where: str) -> Any:
        """Return *raw* as a text, a number, a path or a member of an enum."""
        if hint is Path:
            return self.folder / self.scalar(str, raw, where)
        if isinstance(raw, float) and not math.isfinite(raw):
            self.wrong(where, f"expected a finite number, got {raw}")
        try:
            made = msgspec.convert(raw, hint)
        except msgspec.ValidationError as exc:
            if hint is Rung:
                self.wrong(where, unpinnable(raw))
            if isinstance(hint, type) and issubclass(hint, enum.Enum):
                known = " or ".join(repr(one.value) for one in hint)
                self.wrong(where, f"expected {known}, got {raw!r}")
            text = str(exc).replace("`", "")
            self.wrong(where, text[:1].lower() + text[1:])
        if hint is Rung and made not in PINS:
            self.wrong(where, unpinnable(raw))
        return made

    def backoff(self, raw: object, where: str) -> Backoff:
        """Return the schedule that *raw* names, or writes as what differs from the one that it names."""
        table = {"preset": raw} if isinstance(raw, str) else dict(self.table(raw, where))
        name = self.scalar(str, table.pop("preset", "default"), _key(where, "preset"))
        if name not in PRESETS:
            known = ", ".join(PRESETS)
            self.wrong(where, f"there is no schedule {name!r}{suggestion(name, PRESETS)}; there are {known}")
        named = {key: value for key, value in attrs.asdict(PRESETS[name]).items() if value is not None}
        made: Backoff = self.made(Backoff, named | table, where)
        return made

    def series(self, raw: object, where: str) -> Series:
        """Return the series that *raw* writes."""
        try:
            return Series.parse(self.scalar(str, raw, where))
        except ConfigError:
            raise
        except UsageError as exc:
            self.wrong(where, str(exc))

    def table(self, raw: object, where: str) -> Mapping[str, object]:
        """Return *raw*, which has to be a table."""
        if not isinstance(raw, dict):
            self.wrong(where, f"expected a table, got {kind_of(raw)}")
        return raw


def _key(where: str, key: str) -> str:
    """Return the path of *key*, quoted where TOML would have it quoted."""
    shown = key if _BARE_KEY.fullmatch(key) else f'"{key}"'
    return f"{where}.{shown}" if where else shown


def _bad_redirect(source: str, target: str) -> str:
    """Return why a redirect is refused, or nothing."""
    for text in (source, target):
        if not _is_origin(text):
            return f"expected an origin such as wss://host or http://127.0.0.1:8080, got {text!r}"
    wanted, scheme = _SCHEMES[urlsplit(source).scheme], urlsplit(target).scheme
    if scheme not in wanted:
        return f"expected {' or '.join(wanted)}, got {target!r}"
    if scheme == wanted[1] and not _is_loopback(urlsplit(target).hostname or ""):
        return (
            f"expected a loopback address such as 127.0.0.1 or [::1] after {scheme}://, got {target!r}; "
            f"use {wanted[0]}:// to go elsewhere"
        )
    return ""


def _is_origin(text: str) -> bool:
    """Say whether *text* is scheme, host and perhaps port, and nothing else."""
    try:
        parts = urlsplit(text)
        port = parts.port  # raises where it is no number
    except ValueError:
        return False
    plain = f"{parts.scheme}://{parts.netloc}" == text and "@" not in text
    return plain and parts.scheme in _SCHEMES and bool(parts.hostname) and port != 0


def _is_loopback(host: str) -> bool:
    """Say whether *host* is a literal loopback address; a name could come to mean anything."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _LOOPBACK)
