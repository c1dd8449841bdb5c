"""Calls what is an adapter's own code: the one place of the kit that bears whatever that raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["outcome_of"]

T = TypeVar("T")


def outcome_of(call: Callable[[], T]) -> tuple[T, None] | tuple[None, Exception]:
    """Return what *call* returns and None, or None and what it raised."""
    try:
        return call(), None
    except Exception as exc:  # noqa: BLE001 - whatever a plugin's code raises is what is looked for
        return None, exc
