"""Where secrets come from, in words that a person can act upon. Pure; it never sees a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from wickwire.errors import FaultKind, VenueError

__all__ = ["found_in", "how_to_set", "secret_variable", "where_from"]

_PREFIX: Final = "WICKWIRE_"


def secret_variable(venue: str, secret: str) -> str:
    """Return the environment variable that holds a secret where the config names no other.

    `secret_variable("alpaca", "key")` is `WICKWIRE_ALPACA_KEY`.
    """
    return f"{_PREFIX}{venue}_{secret}".upper()


def found_in(venue: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return name and variable of each secret of *venue* that *environ* holds under its usual name."""
    prefix = secret_variable(venue, "")
    return {
        variable.removeprefix(prefix).lower(): variable
        for variable, value in environ.items()
        if variable.startswith(prefix) and variable != prefix and value
    }


def how_to_set(venue: str, names: Sequence[str]) -> str:
    """Name secrets that are missing, and say where they are looked for."""
    variables = " and ".join(secret_variable(venue, name) for name in names)
    return (
        f"{' and '.join(names)}: set {variables}, or name other environment variables under "
        f"[venues.{venue}.secrets] in the config, or give the Collector of a program accounts"
    )


def where_from(error: object, variables: Mapping[str, str]) -> str:
    """Return which *variables* to look at when *error* says that secrets were refused, or nothing."""
    if not isinstance(error, VenueError) or error.kind is not FaultKind.CREDENTIALS or not variables:
        return ""
    return f" (from {' and '.join(variables.values())})"
