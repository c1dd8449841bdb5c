"""Hypothesis strategies over a sample: what else a venue, or a bad day, could send in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from wickwire.testing.trees import Form, Members, Number, form_of

__all__ = ["damaged", "junk", "lessened", "mutated", "reordered"]

MOST_LESSENED: Final = 60

_WORD: Final = re.compile(rb"[\w.+-]+|[^\w.+-]+")

_NUMBERS: Final = (
    "0",
    "-1",
    "1",
    "0.1",
    "1e999999999",
    "-1e-999999999",
    "9" * 40,
    "NaN",
    "Infinity",
    "-Infinity",
)
_TEXTS: Final = (
    "",
    "NaN",
    "sNaN",
    "1e999999999",
    "-Infinity",
    "0",
    "null",
    "\ud800",
    "\u0000",
    "\u0663",
    "é" * 40,
)

scalars: Final[st.SearchStrategy[Any]] = st.one_of(
    st.sampled_from([None, True, False]),
    st.sampled_from(_NUMBERS).map(Number),
    st.sampled_from(_TEXTS),
    st.integers(-(10**20), 10**20).map(str).map(Number),
    st.text(max_size=12),
)
values: Final[st.SearchStrategy[Any]] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(st.tuples(st.text(max_size=8), inner), max_size=4).map(Members),
    ),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, form: Form) -> bytes:
    """A message with some of its parts replaced, left out, added, repeated, nested, or put elsewhere."""
    tree = form
    for _ in range(draw(st.integers(1, 3))):
        tree = Form(_changed_once(draw, tree), form.write)
    try:
        return form.write(tree.tree)
    except (ValueError, TypeError, RecursionError):  # nobody can send it either
        return b""


def _changed_once(draw: st.DrawFn, form: Form) -> Any:
    paths = form.paths[1:] or form.paths
    holders = [path for path in paths if isinstance(form.at(path), list)]  # few among many values
    path = draw(st.sampled_from(paths) if not holders else st.sampled_from(holders) | st.sampled_from(paths))
    node = form.at(path)
    kinds = ["replace", "nest", "swap"]
    if isinstance(node, list):
        kinds += ["leave out", "add", "repeat", "shuffle"]
    match draw(st.sampled_from(kinds)):
        case "nest":
            return form.replaced(path, [node] if draw(st.booleans()) else Members([("", node)]))
        case "swap":
            return form.replaced(path, form.at(draw(st.sampled_from(form.paths))))
        case "leave out" if node:
            at = draw(st.integers(0, len(node) - 1))
            return form.replaced(path, type(node)(one for place, one in enumerate(node) if place != at))
        case "add":
            added = draw(values)
            more = (draw(st.text(max_size=8)), added) if isinstance(node, Members) else added
            return form.replaced(path, type(node)([*node, more]))
        case "repeat" if node:
            repeated = draw(st.sampled_from(list(node)))
            if isinstance(node, Members) and draw(st.booleans()):
                repeated = (repeated[0], draw(values))
            return form.replaced(path, type(node)([*node, repeated]))
        case "shuffle":
            return form.replaced(path, type(node)(draw(st.permutations(list(node)))))
        case _:
            return form.replaced(path, draw(values))


@st.composite
def damaged(draw: st.DrawFn, frame: bytes) -> bytes:
    """A message some of whose words are others, whose end is missing, or in which bytes are."""
    words = _WORD.findall(frame)
    match draw(st.sampled_from(["word", "cut", "bytes", "drop", "repeat"])):
        case "word" if words:
            at = draw(st.integers(0, len(words) - 1))
            texts = st.sampled_from([*_NUMBERS, *_TEXTS]).map(lambda text: text.encode("utf-8", "replace"))
            words[at] = draw(st.one_of(texts, st.binary(max_size=4), st.sampled_from(words)))
            return b"".join(words)
        case "drop" if words:
            at = draw(st.integers(0, len(words) - 1))
            return b"".join(words[:at] + words[at + 1 :])
        case "repeat" if words:
            at = draw(st.integers(0, len(words) - 1))
            return b"".join([*words[: at + 1], *words[at:]])
        case "cut":
            return frame[: draw(st.integers(0, len(frame)))]
        case _:
            damage = bytearray(frame)
            start = draw(st.integers(0, len(damage)))
            damage[start : start + draw(st.integers(0, 6))] = draw(st.binary(max_size=4))
            return bytes(damage)


def lessened(frame: bytes) -> Iterator[bytes]:
    """Yield *frame* without one of its parts, and without this and all that follow it there, each in turn.

    Of many parts some are taken, evenly spread.
    """
    form = form_of(frame)
    if form is None:
        return
    paths = form.paths[1:]
    for *above, place in paths[:: -(-len(paths) // MOST_LESSENED) or 1]:
        node = form.at(tuple(above))
        for rest in (node[:place] + node[place + 1 :], node[:place]):
            yield form.write(form.replaced(tuple(above), type(node)(rest)))


def junk() -> st.SearchStrategy[bytes]:
    """What resembles nothing."""
    return st.one_of(
        st.sampled_from(
            [b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"NaN", b"\xff\xfe", b"\xc1", b"\x00"]
        ),
        st.binary(max_size=40),
        values.map(lambda value: Form(value, _written).write(value)),
    )


def _written(value: Any) -> bytes:
    form = form_of(b"[]")
    assert form is not None
    return form.write(value)


def mutated(frame: bytes) -> st.SearchStrategy[bytes]:
    """What could come in place of *frame*: it, changed by its structure or by its bytes, or junk."""
    form = form_of(frame)
    ways: list[st.SearchStrategy[bytes]] = [damaged(frame), junk()]
    if form is not None:
        ways = [changed(form), changed(form), *ways]
    return st.one_of(*ways)


@st.composite
def reordered(draw: st.DrawFn, form: Form) -> bytes:
    """The same message with the members of every object in another order."""

    def turned(node: Any) -> Any:
        if isinstance(node, Members):
            members: Sequence[tuple[Any, Any]] = [(key, turned(one)) for key, one in node]
            return Members(draw(st.permutations(members)))
        return [turned(one) for one in node] if isinstance(node, list) else node

    return form.write(turned(form.tree))
