"""Owning tasks: a group whose lone failure comes out as itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unwrapped"]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Turn an ExceptionGroup of one into that one, so that `except TransportError` catches.

    A TaskGroup wraps even a single failure; where several tasks failed, the group stays.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        only: BaseException = group
        while isinstance(only, BaseExceptionGroup) and len(only.exceptions) == 1:
            only = only.exceptions[0]
        if only is group:
            raise
        raise only from only.__cause__
