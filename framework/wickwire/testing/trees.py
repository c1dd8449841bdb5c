"""Frames as trees that can be changed and written again: JSON text with its digits, and MessagePack."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, final

import attrs
import msgspec

__all__ = ["Form", "Members", "Number", "Path", "form_of", "shape_of"]

Path = tuple[int, ...]
"""Which child of which child; `()` is the whole."""

_DEEPEST: Final = 60


@final
class Number(str):
    """A number as it was spelled."""

    __slots__ = ()


@final
class Members(list[tuple[Any, Any]]):
    """The members of an object, in order and with repetitions."""


@attrs.frozen
class Form:
    """A frame that is a tree.

    Attributes:
        tree: Members, lists, texts, Numbers, True, False and None; in MessagePack also what else it knows.
        write: Makes bytes of a tree. Raises ValueError or TypeError where it has none for something in it.
    """

    tree: Any
    write: Callable[[Any], bytes]

    @property
    def paths(self) -> Sequence[Path]:
        """Every place in the tree, the whole first."""
        return tuple(_paths(self.tree, ()))

    def at(self, path: Path) -> Any:
        """Return what stands at *path*."""
        node = self.tree
        for step in path:
            node = _children(node)[step]
        return node

    def replaced(self, path: Path, node: Any) -> Any:
        """Return the tree with *node* at *path*."""
        return _replaced(self.tree, path, node)


def form_of(frame: bytes) -> Form | None:
    """Return *frame* as a tree, or None where it is none, or a single value."""
    for read, write in ((_json, _json_bytes), (_msgpack, _msgpack_bytes)):
        try:
            tree = read(frame)
        except (ValueError, RecursionError, msgspec.DecodeError):
            continue
        if isinstance(tree, list):
            return Form(tree, write)
    return None


def shape_of(frame: bytes) -> object:
    """Return what frames of one kind have in common: names and types, not values."""
    form = form_of(frame)
    if form is not None:
        return _shape(form.tree)
    text = frame.decode("latin-1")
    return "".join(char if not char.isdigit() else "0" for char in text[:12]), text.count(text[3:4] or " ")


def _json(frame: bytes) -> Any:
    return json.loads(
        frame.decode(),
        parse_float=Number,
        parse_int=Number,
        parse_constant=Number,
        object_pairs_hook=Members,
    )


def _json_bytes(tree: Any) -> bytes:
    return _json_text(tree).encode("utf-8", "surrogatepass")


def _json_text(node: Any) -> str:
    match node:
        case Number():
            return str(node)
        case Members():
            return "{" + ",".join(f"{json.dumps(str(key))}:{_json_text(one)}" for key, one in node) + "}"
        case list():
            return "[" + ",".join(map(_json_text, node)) + "]"
        case _:
            return json.dumps(node)


def _msgpack(frame: bytes) -> Any:
    return _from_plain(msgspec.msgpack.decode(frame))


def _msgpack_bytes(tree: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(_to_plain(tree))
    except OverflowError as exc:
        raise ValueError("MessagePack has no such number") from exc


def _from_plain(value: Any) -> Any:
    match value:
        case dict():
            return Members((key, _from_plain(one)) for key, one in value.items())
        case list():
            return [_from_plain(one) for one in value]
        case _:
            return value


def _to_plain(node: Any) -> Any:
    match node:
        case Number():
            whole = node.removeprefix("-").isdigit()
            return int(node) if whole and len(node) < len(str(2**63)) else float(node)
        case Members():
            return {key: _to_plain(one) for key, one in node}
        case list():
            return [_to_plain(one) for one in node]
        case str():
            return node.encode("utf-8", "replace").decode()
        case _:
            return node


def _children(node: Any) -> list[Any]:
    if isinstance(node, Members):
        return [one for _, one in node]
    return node if isinstance(node, list) else []


def _paths(node: Any, path: Path) -> Iterator[Path]:
    yield path
    if len(path) < _DEEPEST:
        for step, child in enumerate(_children(node)):
            yield from _paths(child, (*path, step))


def _replaced(tree: Any, path: Path, node: Any) -> Any:
    if not path:
        return node
    step, *rest = path
    if isinstance(tree, Members):
        return Members(
            (key, _replaced(one, tuple(rest), node) if at == step else one)
            for at, (key, one) in enumerate(tree)
        )
    return [_replaced(one, tuple(rest), node) if at == step else one for at, one in enumerate(tree)]


def _shape(node: Any) -> object:
    match node:
        case Members():
            return ("members", *sorted((str(key), _word(key, one)) for key, one in node))
        case list():
            return ("list", *dict.fromkeys(map(_shape, node[:20])))
        case _:
            return type(node).__name__


def _word(key: object, node: Any) -> str:
    """Return the shape of a member; short words under short names often say what kind of message it is."""
    spoken = isinstance(node, str) and not isinstance(node, Number) and node.isalpha() and len(node) < 20  # noqa: PLR2004 - a word
    return f"={node}" if spoken and len(str(key)) < 10 else repr(_shape(node))  # noqa: PLR2004 - as above
