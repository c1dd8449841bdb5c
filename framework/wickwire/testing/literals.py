"""Numbers and instants as they are spelled in a frame, and spelled otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

import attrs

from wickwire.errors import UsageError
from wickwire.model import SECOND_NS, parse_instant, when

__all__ = ["FIRST_NS", "LAST_NS", "Instant", "Literal", "instants", "numbers"]

_NUMBER: Final = re.compile(rb"(?<![\w.+-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.:+-])")
_ISO: Final = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?")
_UNITS_NS: Final = (1, 1_000, 1_000_000, SECOND_NS)
FIRST_NS: Final = parse_instant("2000-01-01T00:00:00Z")
LAST_NS: Final = parse_instant("2100-01-01T00:00:00Z")


@attrs.frozen
class Literal:
    """A number in a frame.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        text: Its digits.
    """

    start: int
    end: int
    text: str

    @property
    def value(self) -> Decimal:
        """What it says."""
        return Decimal(self.text)

    def in_place(self, frame: bytes, text: str) -> bytes:
        """Return *frame* with *text* in its place."""
        return frame[: self.start] + text.encode() + frame[self.end :]

    def longer(self, digits: str) -> str:
        """Return it with *digits* behind the last of its own, after the point."""
        return f"{self.text}{'' if '.' in self.text else '.'}{digits}"


@attrs.frozen
class Instant:
    """A number or text in a frame that can be read as a time of this century.

    Attributes:
        literal: Where, and how it is spelled.
        ns: Which instant.
        unit_ns: The unit of a number; 0 for a text.
    """

    literal: Literal
    ns: int
    unit_ns: int

    def shifted(self, by_ns: int) -> str:
        """Return how the instant *by_ns* later is spelled, *by_ns* being a whole number of seconds."""
        text = self.literal.text
        if not self.unit_ns:
            zone = re.search(r"(Z|[+-]\d\d:?\d\d)?$", text)
            tail = zone[0] if zone else ""
            whole, point, fraction = text.removesuffix(tail).partition(".")
            later_ns = parse_instant(f"{whole.replace(' ', 'T')}Z") + by_ns
            return _iso_seconds(later_ns, whole[10]) + point + fraction + tail
        return f"{self.literal.value + Decimal(by_ns) / self.unit_ns:f}"


def _iso_seconds(ns: int, between: str) -> str:
    return when(ns).strftime(f"%Y-%m-%d{between}%H:%M:%S")


def numbers(frame: bytes) -> Iterator[Literal]:
    """Yield the numbers in a text frame, in order; none where it is no text."""
    try:
        frame.decode()
    except UnicodeDecodeError:
        return
    for found in _NUMBER.finditer(frame):
        yield Literal(found.start(), found.end(), found[0].decode())


def instants(frame: bytes) -> Iterator[Instant]:
    """Yield what may be an instant of this century, in order."""
    for literal in numbers(frame):
        if "e" in literal.text.lower() or len(literal.text) > 30:  # noqa: PLR2004 - no time has so many digits
            continue
        for unit_ns in _UNITS_NS:
            counted_ns = literal.value * unit_ns
            if FIRST_NS <= counted_ns < LAST_NS:
                yield Instant(literal, int(counted_ns), unit_ns)
    for found in _ISO.finditer(frame):
        text = found[0].decode()
        try:
            ns = parse_instant(
                text.replace(" ", "T") if text[-1] == "Z" else f"{text[:19]}Z".replace(" ", "T")
            )
        except (UsageError, InvalidOperation):
            continue
        yield Instant(Literal(found.start(), found.end(), text), ns, 0)
