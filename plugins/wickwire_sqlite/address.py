"""Which file a store address means, and how it is to be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

import attrs

from wickwire import ConfigError, shown_store

__all__ = ["Address", "parse_address"]

_SCHEME: Final = "sqlite"
_OPTIONS: Final = {
    "mode": ("rw", "ro"),
    "synchronous": ("full", "normal"),
    "executor": ("thread", "inline"),
}


@attrs.frozen(kw_only=True)
class Address:
    """One database file and how to open it.

    Attributes:
        path: The file; relative to the working directory.
        readonly: Change nothing and create nothing (`mode=ro`).
        power_safe: A commit is on the disk when it returns (`synchronous=full`); otherwise it outlives the
            process, but a power cut may take the newest ones (`synchronous=normal`).
        inline: Run SQL in the event loop's own thread (`executor=inline`), for simulated time.
    """

    path: Path
    readonly: bool = False
    power_safe: bool = True
    inline: bool = False


def parse_address(url: str) -> Address | None:
    """Return what *url* means, or None when it is not an address of a SQLite file.

    Ours are `sqlite:PATH` and `sqlite:///ABSOLUTE/PATH`. A leading `~/` is the home directory, `%XX` is
    decoded, options follow a `?`.

    Raises:
        ConfigError: It is ours, and something in it is wrong.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or scheme.lower() != _SCHEME:
        return None
    place, _, query = rest.partition("?")
    shown = shown_store(url)  # who mistakes it for a server writes a password into it
    place = _without_authority(place, shown)
    text = unquote(place)
    if text == ":memory:":
        raise ConfigError(f"store {shown!r}: a store in memory is written memory: (it forgets at the end)")
    if text.rpartition("/")[2] in {"", ".", ".."}:
        raise ConfigError(
            f"store {shown!r}: it names no file; write sqlite:wickwire.db or sqlite:///var/lib/w.db"
        )
    if "\0" in text or not text.isprintable():
        raise ConfigError(f"store {shown!r}: its path holds control characters")
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    options = _options(query, shown)
    return Address(
        path=path,
        readonly=options.get("mode") == "ro",
        power_safe=options.get("synchronous") != "normal",
        inline=options.get("executor") == "inline",
    )


def _without_authority(rest: str, shown: str) -> str:
    """Take off the empty authority of `sqlite:///path`; a host there means a server, which SQLite is not."""
    if not rest.startswith("//"):
        return rest
    if not rest.startswith("///"):
        raise ConfigError(
            f"store {shown!r}: write sqlite:relative/path or sqlite:///absolute/path, without a host"
        )
    return "/" + rest.lstrip("/")


def _options(query: str, shown: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        known = _OPTIONS.get(name)
        if known is None:
            raise ConfigError(f"store {shown!r}: no option {name!r}; there are {', '.join(_OPTIONS)}")
        if value not in known:
            raise ConfigError(f"store {shown!r}: {name} is {' or '.join(known)}, not {value!r}")
        options[name] = value
    return options
