"""What the parts of the judge share: plain data, seconds, and how a few of many are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["MOST_NAMED", "SLACK_S", "Row", "Run", "S", "few"]

Row = Sequence[Any]
Run = Mapping[str, Any]

S: Final = 1_000_000_000
SLACK_S: Final = 1.0
"""I5: an alert comes at most so much later; and so much earlier somebody may be who was told to wait."""
MOST_NAMED: Final = 3


def few(found: Sequence[Any], line: Any) -> list[str]:
    """Name the first few, and say how many more there are."""
    lines = [line(one) for one in found[:MOST_NAMED]]
    if len(found) > MOST_NAMED:
        lines.append(f"{lines[0].split(':')[0]}: and {len(found) - MOST_NAMED} more like this")
    return lines
