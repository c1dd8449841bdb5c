"""Store objects that hosts make: each is one collector's at a time, as whoever ends first closes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wickwire.binding import kind_of
from wickwire.errors import UsageError
from wickwire.store import Store

__all__ = ["held"]

_held: Final[dict[int, Store]] = {}
"""By identity: stores of others need not be hashable."""


@contextmanager
def held(store: Store) -> Iterator[None]:
    """Keep *store* from every other collector of this process for as long as the block runs.

    Raises:
        UsageError: Another one has it.
    """
    if id(store) in _held:
        what = kind_of(store)
        raise UsageError(
            f"{what} is another collector's, which closes it; make one for each, or give its URL"
        )
    _held[id(store)] = store
    try:
        yield
    finally:
        del _held[id(store)]
