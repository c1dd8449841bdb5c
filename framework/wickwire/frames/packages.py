"""Packages that only an extra brings: loaded where they are needed, and missed with a name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wickwire.errors import ConfigError

__all__ = ["brought_by"]

_BRINGS: Final = {
    "parquet": ("pyarrow",),
    "pandas": ("pandas", "pyarrow"),
    "charts": ("matplotlib",),
}


@contextmanager
def brought_by(extra: str, doing: str) -> Iterator[None]:
    """Import within this what *extra* brings.

    Args:
        extra: Name of the extra.
        doing: What needs it, as a message begins: "Parquet".

    Raises:
        ConfigError: One of its packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in _BRINGS[extra]:
            raise
        raise ConfigError(
            f"{doing} needs the package {package!r}, which is not installed; pip install 'wickwire[{extra}]'"
        ) from exc
