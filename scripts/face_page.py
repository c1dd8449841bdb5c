"""Writes docs/face.md, the reference of the public face, from the code: `make pages`."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import attrs

from scripts.face import STARS, default_of, kind_of, maker_of, members_of, shown, type_of
from scripts.face_names import GROUPS, Group, Name

__all__ = ["PAGE", "page"]

PAGE: Final = Path(__file__).parents[1] / "docs" / "face.md"
WIDTH: Final = 84
WORDS: Final = {
    **dict.fromkeys(("__aexit__", "__exit__", "__aiter__", "__iter__"), ""),
    "__aenter__": "async with it",
    "__enter__": "with it",
    "__anext__": "async for one in it",
    "__len__": "len(it)",
}
"""How the language's own methods are written where they are used; some go without saying."""

INTRODUCTION: Final = """\
# The public face

Every name that programs, adapters and plugins may rely on, made from the code. What is neither here nor in
[the hooks](hooks.md), and every module and attribute that begins with `_`, may change without notice.
[Decision 138](decisions/0138-what-is-stable.md) says what may change here, and how that is announced.

Names come from `wickwire` itself unless a section says otherwise. Who embeds the framework begins at
[Collector](#collector); who writes an adapter, at [the hooks](#adapters-the-hooks).
"""


def page() -> str:
    """Return the whole page."""
    contents: dict[str, list[str]] = {}
    for one in GROUPS:
        contents.setdefault(one.whom, []).append(f"[{one.title}](#{_anchor(one.title)})")
    lines = [f"* For {whom}: {', '.join(links)}" for whom, links in contents.items()]
    return "\n".join([INTRODUCTION, *lines, "", *(_group(one) for one in GROUPS)])


def _anchor(title: str) -> str:
    return title.lower().replace(":", "").replace(" ", "-")


def _group(group: Group) -> str:
    names = [Name(group.module, name) for name in group.names or import_module(group.module).__all__]
    return f"## {group.title}\n\n{group.about}\n\n" + "\n".join(map(_entry, names))


def _entry(name: Name) -> str:
    lines = "\n".join(_lines(name))
    kind = kind_of(name.value)
    return f"### {name.name}\n\n*{kind}* — {name.sentence}\n\n```text\n{lines}\n```\n"


def _lines(name: Name) -> Iterator[str]:
    """Yield how a name is written where it is used: its call, and its members."""
    value = name.value
    match kind_of(value):
        case "constant":
            yield f"{name.name} = {shown(value)}"
        case "type":
            yield from _wrapped(f"{name.name} = ", name.source.split(" | "), "", " |")
        case "function" | "hook":
            yield from _call(name.name, value) if inspect.isfunction(value) else [f"@{name.name}"]
        case "enumeration":
            yield from (f"{name.name}.{one.name} = {one.value!r}" for one in value)
        case kind:
            yield from _class(name.name, kind, value)


def _class(name: str, kind: str, cls: type) -> Iterator[str]:
    if kind == "protocol":
        yield f"class {name}(Protocol)"
    elif kind == "error" and "__init__" not in vars(cls):
        yield f"class {name}({cls.__bases__[0].__name__})"
    else:
        yield from _made(name, cls)
    for called, member in members_of(cls).items():
        yield from (f"    {line}" for line in _member(called, member))


def _made(name: str, cls: type) -> Iterator[str]:
    if attrs.has(cls):
        yield from _wrapped(f"{name}(", _fields(cls), ")")
    elif (maker := maker_of(cls)) is not None:
        yield from _wrapped(f"{name}(", _parameters(maker), ")")
    else:
        yield f"class {name}"


def _fields(cls: type) -> list[str]:
    found, keywords = [], False
    for field in attrs.fields(cls):
        if not field.init or field.name.startswith("_"):
            continue
        if field.kw_only and not keywords:
            keywords = True
            found.append("*")
        found.append(f"{field.alias}: {type_of(cls, field)}{default_of(field)}")
    return found


def _member(name: str, member: Any) -> Iterator[str]:
    if isinstance(member, property | functools.cached_property):
        read: Any = member.fget if isinstance(member, property) else member.func
        yield f".{name}: {inspect.signature(read).return_annotation}"
        return
    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    if name in WORDS:
        if WORDS[name]:
            yield f"{WORDS[name]} -> {inspect.signature(function).return_annotation}"
        return
    yield from _call(f".{name}", function)


def _call(name: str, function: Any) -> Iterator[str]:
    how = "await " if inspect.iscoroutinefunction(function) else ""
    if inspect.isasyncgenfunction(function):
        how = "async for ... in "
    answer = inspect.signature(function).return_annotation
    shape = answer if isinstance(answer, str) else inspect.formatannotation(answer)
    yield from _wrapped(f"{how}{name}(", _parameters(function), f") -> {shape}")


def _parameters(function: Any) -> list[str]:
    found, keywords = [], False
    for name, one in inspect.signature(function).parameters.items():
        if name in {"self", "cls"}:
            continue
        if one.kind is one.VAR_POSITIONAL:
            keywords = True
        elif one.kind is one.KEYWORD_ONLY and not keywords:
            keywords = True
            found.append("*")
        default = "" if one.default is one.empty else f" = {shown(one.default)}"
        typed = "" if one.annotation is one.empty else f": {one.annotation}"
        found.append(f"{STARS.get(one.kind.name, '')}{name}{typed}{default}")
    return found


def _wrapped(before: str, parts: list[str], after: str, between: str = ",") -> Iterator[str]:
    """Yield *parts* in one line, or in as many as they take, none of them broken."""
    line = before + f"{between} ".join(parts) + after
    if len(line) <= WIDTH:
        yield line
        return
    yield before.rstrip()
    words = [f"{part}{between}".replace(" ", "\0") for part in parts[:-1]] + [parts[-1].replace(" ", "\0")]
    inside = textwrap.wrap(" ".join(words), WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    yield from (f"    {one.replace(chr(0), ' ')}" for one in inside)
    if after:
        yield after


if __name__ == "__main__":
    PAGE.write_text(page())
