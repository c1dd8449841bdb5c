"""Coinbase's two spellings of time, both read to the nanosecond: RFC 3339, and seconds in a string.

Reference: Coinbase Advanced Trade WebSocket, "Market Data Channels", read 2026-11. A third, the text of Go's
clock in heartbeats, is never read.
"""

from __future__ import annotations

import re
from typing import Final

from wickwire import SECOND_NS, UsageError, WireError, parse_instant

__all__ = ["instant", "seconds_ns"]

_SECONDS_KEPT: Final = 1_024
_LONGEST_SECONDS: Final = 11
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,9})?Z", re.ASCII)
_SCALE: Final = tuple(int(f"1{zeros * '0'}") for zeros in range(9, -1, -1))
"""What a fraction of a second of so many digits is multiplied by."""


def instant(text: str, seconds: dict[str, int], at: str) -> int:
    """Return the nanoseconds of `2026-11-21T05:00:10.805100Z`, which has three to nine decimals, exactly.

    Raises:
        WireError: *text* is no such instant; its `at` is *at*.
    """
    start_ns = seconds.get(text[:20])
    if start_ns is not None:
        decimals = text[20:-1]
        if decimals.isdigit() and decimals.isascii() and len(decimals) <= 9 and text[-1] == "Z":  # noqa: PLR2004 - ns
            return start_ns + int(decimals) * _SCALE[len(decimals)]
    if _INSTANT.fullmatch(text) is None:
        raise WireError(f"coinbase: expected 2026-11-21T05:00:10.8051Z or the like, got {text[:40]!r}", at=at)
    minute = text[:17]
    minute_ns = seconds.get(minute)  # a stream that tells a little every second meets the same minute again
    if minute_ns is None:
        try:
            minute_ns = parse_instant(f"{minute}59Z") - 59 * SECOND_NS
        except UsageError as exc:  # a 30th of February
            raise WireError(f"coinbase: no such instant: {text}", at=at) from exc
        if len(seconds) >= _SECONDS_KEPT:
            seconds.clear()
        seconds[minute] = minute_ns
    start_ns = seconds[f"{text[:19]}."] = minute_ns + int(text[17:19]) * SECOND_NS
    decimals = text[20:-1]
    return start_ns + int(decimals or 0) * _SCALE[len(decimals)]


def seconds_ns(text: str, at: str) -> int:
    """Return the nanoseconds of Unix time in whole seconds.

    Raises:
        WireError: *text* is something else; its `at` is *at*.
    """
    if not (text.isdigit() and text.isascii() and len(text) < _LONGEST_SECONDS):
        raise WireError(f"coinbase: expected seconds, got {text[:40]!r}", at=at)
    return int(text) * SECOND_NS
