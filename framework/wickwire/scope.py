"""Owning tasks: a group of failures comes out as the one that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wickwire.errors import WickwireError

__all__ = ["unwrapped"]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Turn an ExceptionGroup into the failure it stands for, so that `except TransportError` catches.

    A TaskGroup wraps even a single failure. One cut wire may be reported by reader and keepalive in the same
    turn of the loop: where all failures are typed, the first comes out. A bug among several keeps the group.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        failures = list(_flat(group))
        if len(failures) > 1 and not all(isinstance(one, WickwireError) for one in failures):
            raise
        raise failures[0] from failures[0].__cause__


def _flat(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _flat(one)
        else:
            yield one
