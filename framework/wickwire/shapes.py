"""Validators for values that somebody else's code builds: a wrong field names itself where it is built.

The messages name class, field and type, and no value: it may be a secret. What is built for each trade, quote
or candle goes without them. How a URL is shown, whose query may be a token, is here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeGuard

import attrs

__all__ = [
    "ABOVE_ZERO",
    "COUNT",
    "a",
    "each",
    "frame",
    "instant",
    "method",
    "number",
    "pair",
    "pairs",
    "text",
    "text_to_text",
    "whole",
    "without_query",
]

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

_LAST_NS: Final = 2**63
_METHOD: Final = re.compile(r"[A-Z]+")


def _wrong(instance: object, attribute: attrs.Attribute[Any], value: object, wanted: str) -> TypeError:
    owner, came = type(instance).__name__, type(value).__name__
    return TypeError(f"{owner}.{attribute.name} has to be {wanted}, got {came}")


def _checked(fits: Callable[[Any], bool], wanted: str) -> Validator:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not fits(value):
            raise _wrong(instance, attribute, value, wanted)

    return check


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_instant(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LAST_NS <= value < _LAST_NS


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_instant(one) for one in value)  # noqa: PLR2004 - a pair


def _is_plural(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_text_to_text(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(one, str) for name, one in value.items()
    )


def a(kind: type) -> Validator:
    """Take a *kind*, such as a `FaultKind`."""
    return _checked(lambda value: isinstance(value, kind), f"a {kind.__name__}")


def each(kind: type, container: type = Sequence) -> Validator:
    """Take a sequence, or another *container*, of *kind*."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        wanted = f"a {container.__name__.lower()} of {kind.__name__}"
        if not isinstance(value, container) or not _is_plural(value):
            raise _wrong(instance, attribute, value, wanted)
        for one in value:
            if not isinstance(one, kind):
                raise _wrong(instance, attribute, one, f"{wanted} alone")

    return check


def frame(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Take what can be sent: text that UTF-8 has bytes for, or bytes."""
    if not isinstance(value, str | bytes):
        raise _wrong(instance, attribute, value, "text or bytes")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            owner = type(instance).__name__
            raise ValueError(
                f"{owner}.{attribute.name} holds a lone surrogate, which nobody can send"
            ) from None


def method(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Take the name of an HTTP method, and no more of a request line."""
    if not isinstance(value, str) or not _METHOD.fullmatch(value):
        raise _wrong(instance, attribute, value, "the name of a method, such as GET")


text: Final = _checked(lambda value: isinstance(value, str), "text")
whole: Final = _checked(_is_whole, "an int")
number: Final = _checked(lambda value: isinstance(value, float) or _is_whole(value), "a number")
instant: Final = _checked(_is_instant, "an instant in ns, an int of 64 bits")
pair: Final = _checked(_is_pair, "two instants in ns")
pairs: Final = _checked(
    lambda value: _is_plural(value) and all(_is_pair(one) for one in value), "a sequence of two instants each"
)
text_to_text: Final = _checked(_is_text_to_text, "a mapping of text to text")
ABOVE_ZERO: Final = [number, attrs.validators.gt(0)]
COUNT: Final = [whole, attrs.validators.gt(0)]


def without_query(url: str) -> str:
    """Return how a URL is shown: what stands behind the `?` may be a token."""
    shown, mark, _ = url.partition("?")
    return repr(f"{shown}?..." if mark else shown)
