"""Promises that an adapter does not keep yet, by name, with a reason and an end: `conformance.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import attrs

from wickwire.binding import suggestion
from wickwire.errors import ConfigError

__all__ = ["FILE", "Deviation", "read_deviations"]

FILE: Final = "conformance.toml"


@attrs.frozen
class Deviation:
    """One promise that is not kept yet.

    Attributes:
        check: The id of the check.
        reason: Why not.
        expires: The last day on which that is accepted.
    """

    check: str
    reason: str
    expires: date


def read_deviations(path: Path, known: Collection[str]) -> Mapping[str, Deviation]:
    """Return what the file *path* excuses, by check; nothing where there is no such file.

    Args:
        path: A TOML file: `[[deviation]]` with `check`, `reason` and `expires`, a date.
        known: The ids of all checks.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    unknown = next((key for key in told if key != "deviation"), None)
    rows = told.get("deviation", [])
    if unknown is not None or not isinstance(rows, list):
        raise ConfigError(f"{path}: expected [[deviation]] alone, got {unknown or 'another kind of it'}")
    found: dict[str, Deviation] = {}
    for number, row in enumerate(rows, 1):
        one = _deviation(f"{path}: deviation {number}", row, known)
        if one.check in found:
            raise ConfigError(f"{path}: {one.check} is excused twice")
        found[one.check] = one
    return found


def _deviation(where: str, row: Any, known: Collection[str]) -> Deviation:
    if not isinstance(row, dict) or row.keys() != {"check", "reason", "expires"}:
        raise ConfigError(f"{where}: expected check, reason and expires, and nothing else")
    check, reason, expires = row["check"], row["reason"], row["expires"]
    if check not in known:
        raise ConfigError(f"{where}: there is no check {check!r}{suggestion(str(check), known)}")
    if not isinstance(reason, str) or not reason.strip():
        raise ConfigError(f"{where}: reason has to be a sentence")
    if type(expires) is not date:
        raise ConfigError(f"{where}: expires has to be a date, such as expires = 2027-01-31")
    return Deviation(check, reason, expires)
