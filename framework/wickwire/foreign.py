"""What code that is not ours raised, in words that a message can hold."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

__all__ = ["described", "placed"]

_LONGEST: Final = 300
"""Most characters of a foreign exception that a message repeats."""


def described(exc: BaseException) -> str:
    """Return type and text of a foreign exception, cut to a bearable length."""
    return f"{type(exc).__name__}: {exc}".removesuffix(": ")[:_LONGEST]


def placed(exc: BaseException) -> str:
    """Return the same, and in which line of which file it was raised."""
    frames = traceback.extract_tb(exc.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{described(exc)}{place}"
