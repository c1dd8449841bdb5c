"""Instants as Alpaca tells them: RFC 3339 text in JSON, msgpack Timestamps in msgpack; and when days end.

Reference: Alpaca Docs, "Real-time Stock Data" (RFC-3339 with nanoseconds); the specification of msgpack,
"Timestamp extension type".
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
import msgspec

from wickwire import SECOND_NS, UsageError, WireError, parse_instant
from wickwire_alpaca.symbols import CRYPTO, DAY, Place, close_of

__all__ = ["BinaryTimes", "TextTimes", "Times"]

_SECONDS_KEPT: Final = 1_024
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_MOST_DECIMALS: Final = 9
_POWERS: Final[tuple[int, ...]] = tuple(
    10 ** (_MOST_DECIMALS - digits) for digits in range(_MOST_DECIMALS + 1)
)
_TIMESTAMP: Final = -1  # msgpack's own extension type, in 4, 8 or 12 bytes
_LAST_NS: Final = 2**63 - 1


@attrs.define
class Times:
    """Reads the instants of one connection.

    Attributes:
        place: In whose calendar days end.
        ends: When the running day ends, by when it opened.
    """

    place: Place = CRYPTO
    ends: dict[int, int] = attrs.Factory(dict)

    def ns(self, told: Any) -> int:
        """Return what *told* means, in nanoseconds.

        Raises:
            WireError: It is no instant.
        """
        raise NotImplementedError

    def day_end(self, open_ns: int) -> int:
        """Return when the day that opens at *open_ns* ends.

        Raises:
            WireError: There is no calendar for so far away.
        """
        close_ns = self.ends.get(open_ns)
        if close_ns is None:
            try:
                close_ns = close_of(self.place, DAY, open_ns)
            except ValueError as exc:
                raise WireError(f"alpaca: no day opens at {open_ns} ns", at=".t") from exc
            self.ends = {open_ns: close_ns}
        return close_ns


@attrs.define
class TextTimes(Times):
    """Reads `2026-11-20T14:31:02.123456789Z`, whose decimals end where only zeros would follow.

    Attributes:
        seconds: Whole seconds in nanoseconds, by their text: most rows find theirs.
    """

    seconds: dict[str, int] = attrs.Factory(dict)

    def ns(self, told: str) -> int:
        """Return the nanoseconds of *told*, exactly."""
        start_ns = self.seconds.get(told[:19])
        if start_ns is not None and told[-1] == "Z":
            decimals = told[20:-1]
            if not decimals:
                if told[19] == "Z":
                    return start_ns
            elif (
                told[19] == "."
                and len(decimals) <= _MOST_DECIMALS
                and decimals.isdigit()
                and decimals.isascii()
            ):
                return start_ns + int(decimals) * _POWERS[len(decimals)]
        return self._read(told)

    def _read(self, told: str) -> int:
        match = _INSTANT.fullmatch(told)
        if match is None:
            raise WireError(f"alpaca: expected 2026-11-20T14:31:02.208Z or so, got {told[:40]!r}", at=".t")
        second, decimals = match[1], match[2] or "0"
        try:
            start_ns = parse_instant(f"{second}Z")
        except UsageError as exc:  # a 30th of February
            raise WireError(f"alpaca: no such instant: {told}", at=".t") from exc
        if len(self.seconds) >= _SECONDS_KEPT:
            self.seconds.clear()
        self.seconds[second] = start_ns
        return start_ns + int(decimals) * _POWERS[len(decimals)]


@attrs.define
class BinaryTimes(Times):
    """Reads msgpack Timestamps; a datetime would cut them to microseconds."""

    def ns(self, told: msgspec.msgpack.Ext) -> int:
        """Return the nanoseconds of *told*, exactly."""
        data = told.data
        size, whole = len(data), int.from_bytes(data)  # type: ignore[arg-type]  # it is bytes, or a memoryview
        if told.code == _TIMESTAMP:
            if size == 8:  # noqa: PLR2004 - 30 bits of nanoseconds, 34 of seconds
                rest = whole >> 34
                if rest < SECOND_NS:
                    return (whole & 0x3_FFFF_FFFF) * SECOND_NS + rest
            elif size == 4:  # noqa: PLR2004 - seconds
                return whole * SECOND_NS
            elif size == 12:  # noqa: PLR2004 - 32 bits of nanoseconds, 64 of seconds
                rest, seconds = whole >> 64, whole & 0xFFFF_FFFF_FFFF_FFFF
                if rest < SECOND_NS and seconds * SECOND_NS + rest <= _LAST_NS:
                    return seconds * SECOND_NS + rest
        raise WireError(
            f"alpaca: expected a msgpack Timestamp, got {told.code} {bytes(data)[:16]!r}", at=".t"
        )
