"""What no venue ever sent: messages drawn by Hypothesis, from nothing and from real ones that are damaged."""

from __future__ import annotations

import copy
import json
from collections.abc import Generator, Sequence
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from wickwire import HttpReply, VenueError, WireError

__all__ = ["NO_NUMBERS", "changed", "damaged", "finished", "junk", "places", "values"]

NO_NUMBERS: Final = ("NaN", "sNaN", "-Infinity", "1e999999", "")
ANY_INTEGERS: Final = st.integers() | st.integers(-(10**30), 10**30)
ANY_FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)


def values(
    words: Sequence[str], numbers: SearchStrategy[float] = ANY_INTEGERS | ANY_FLOATS
) -> SearchStrategy[Any]:
    """Return values of JSON, however deep; of texts also *words*, which the venue uses, and `NO_NUMBERS`."""
    texts = st.text(max_size=20) | st.sampled_from([*NO_NUMBERS, *words])
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=12,
    )


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of a message."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def changed(draw: st.DrawFn, originals: Sequence[Any], parts: SearchStrategy[Any]) -> Any:
    """A real message with one part replaced by one of *parts*, removed, or repeated."""
    message = copy.deepcopy(draw(st.sampled_from(originals)))
    *upper, key = draw(st.sampled_from(places(message)[1:]))
    inside = message
    for step in upper:
        inside = inside[step]
    match draw(st.sampled_from(["replace", "remove", "repeat"])):
        case "replace":
            inside[key] = draw(parts)
        case "remove":
            del inside[key]
        case _ if isinstance(inside, list):
            inside.insert(key, inside[key])
        case _:
            inside[f"{key}_"] = inside[key]
    return message


@st.composite
def damaged(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """A real message with some of its bytes changed or cut out."""
    message = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(message)))
        message[start : start + draw(st.integers(0, 6))] = draw(st.binary(max_size=4))
    return bytes(message)


def junk(
    originals: Sequence[bytes], parts: SearchStrategy[Any], messages: SearchStrategy[Any]
) -> SearchStrategy[bytes]:
    """Return what is not JSON, what means nothing, *messages* that look real, and real ones, damaged."""
    return st.one_of(
        st.binary(max_size=60),
        parts.map(msgspec.json.encode),
        messages.map(msgspec.json.encode),
        changed([json.loads(one) for one in originals], parts).map(lambda one: json.dumps(one).encode()),
        damaged(originals),
    )


def finished(conversation: Generator[Any, Any, Any], body: bytes, status: int, *, most: int) -> Any:
    """Give the same answer to all that is asked for; return what came of it, or the error of the contract.

    Raises:
        AssertionError: It asks for more than *most*.
    """
    next(conversation)
    try:
        for _ in range(most):
            conversation.send(HttpReply(status=status, body=body))
    except StopIteration as stop:
        return stop.value
    except (VenueError, WireError) as exc:
        return exc
    raise AssertionError(f"more requests than {most}")
