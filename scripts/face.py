"""The public face of wickwire as lines of text, read from the code, and what changed in it since a release.

    python -m scripts.face              what changed since the last release, and what nobody announced
    python -m scripts.face --released   note the face as it is now as that of a release

A line is one thing that others can rely on: that a name is there, what it is, one parameter, one field, one
member, what is returned. So a difference of two faces says by itself what it is about.
"""

from __future__ import annotations

import enum
import functools
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import attrs

from scripts.face_names import INSIDE, Name, names

__all__ = [
    "HOW",
    "RELEASED",
    "STARS",
    "Difference",
    "default_of",
    "differences",
    "face",
    "fragments",
    "kind_of",
    "maker_of",
    "members_of",
    "shown",
    "type_of",
    "unannounced",
]

ROOT: Final = Path(__file__).parents[1]
CHANGES: Final = ROOT / "docs" / "changes"
RELEASED: Final = CHANGES / "face.txt"
"""The face of the last release, one line for each thing; before the first one, of the day it was begun."""

BREAKING: Final = ("changed", "removed")
"""Kinds of fragments that may announce what breaks somebody."""
MOST_SHOWN: Final = 200
"""What takes more characters is a table, and nobody's default."""
KINDS: Final = ("added", "fixed", *BREAKING)

SPECIAL: Final = frozenset(
    f"__{name}__"
    for name in (
        *("call", "len", "iter", "contains", "getitem", "enter", "exit"),
        *("aiter", "anext", "aenter", "aexit"),
    )
)
"""What the language calls, and others therefore rely on."""

STARS: Final = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
"""How parameters of a kind are written."""

_KINDS_OF_MEMBERS: Final = (classmethod, staticmethod, property, functools.cached_property)
_ANNOUNCED: Final = re.compile(r"`([^`]+)`")
_LINE: Final = re.compile(
    r"(?:\w+\.)+?(?P<name>\w+)(?:\.__init__)?(?:\((?:\d+/? )?\**(?P<parameter>\w+):|[: ])"
)


# ------------------------------------------------------------------------------------------------- the face


def face() -> list[str]:
    """Return the lines of the whole face, in order."""
    return [line for name in names() for line in _lines(name)]


def _lines(name: Name) -> Iterator[str]:
    value = name.value
    kind = kind_of(value)
    yield f"{name}: {kind}{_bases(value)}"
    if kind == "constant":
        yield f"{name} = {shown(value)}"
    elif kind == "type":
        yield f"{name} = {name.source}"
    elif kind in {"function", "hook"}:
        yield from _callable(str(name), value)
    else:
        yield from _class(str(name), value)


def kind_of(value: object) -> str:
    """Return what something is, in a word that its user would use."""
    if isinstance(value, type):
        if issubclass(value, BaseException):
            return "error"
        if issubclass(value, enum.Enum):
            return "enumeration"
        if getattr(value, "_is_protocol", False):
            return "protocol"
        return "value" if attrs.has(value) else "class"
    if inspect.isfunction(value):
        return "hook" if hasattr(value, "wickwire_spec") else "function"
    if type(value).__module__ in {"typing", "types", "collections.abc"}:
        return "type"
    return "function" if callable(value) else "constant"


def _bases(value: object) -> str:
    """Return what else on the face, or which error of Python's, a class is a kind of."""
    if not isinstance(value, type):
        return ""
    public = {id(name.value) for name in names()}
    named = [one.__name__ for one in value.__bases__ if id(one) in public or one.__module__ == "builtins"]
    told = [name for name in named if name != "object"]
    return f" of {', '.join(told)}" if told else ""


def _class(where: str, cls: type) -> Iterator[str]:
    if issubclass(cls, enum.Enum):
        yield from (f"{where}.{one.name} = {one.value!r}" for one in cls)
    elif attrs.has(cls):
        yield from _fields(where, cls)
    elif (maker := maker_of(cls)) is not None:
        yield from _callable(f"{where}.__init__", maker)
    members = members_of(cls)
    if not attrs.has(cls):
        yield from (f"{where}.{name}: attribute" for name in _attributes(cls) if name not in members)
    for name, member in members.items():
        if isinstance(member, property | functools.cached_property):
            read = member.fget if isinstance(member, property) else member.func
            yield f"{where}.{name}: property -> {_answer(read)}"
        else:
            yield from _callable(f"{where}.{name}", member)


def members_of(cls: type) -> Mapping[str, Any]:
    """Return the public methods and properties of *cls*, those that it has from other classes of ours too."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("wickwire"):
            continue
        for name, member in vars(base).items():
            public = not name.startswith("_") or name in SPECIAL
            public = public and name not in INSIDE.get(cls.__name__, ())
            known = inspect.isfunction(member) or isinstance(member, _KINDS_OF_MEMBERS)
            if public and known:
                found[name] = member
    return found


def _attributes(cls: type) -> Iterable[str]:
    """Return the attributes that the docstrings of a class and its bases name, each once."""
    found: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("wickwire"):
            _, _, told = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
            found |= dict.fromkeys(re.findall(r"^    (\w+): ", told, re.MULTILINE))
    return found


def _fields(where: str, cls: type) -> Iterator[str]:
    place = 0
    for field in attrs.fields(cls):
        if not field.init or field.name.startswith("_"):
            continue
        place += not field.kw_only
        number = "" if field.kw_only else f"{place} "
        yield f"{where}({number}{field.alias}: {type_of(cls, field)}{default_of(field)})"


def type_of(cls: type, field: attrs.Attribute[Any]) -> str:
    """Return the type of a field as it is written, which attrs forgets once it had to find it out."""
    for base in cls.__mro__:
        annotations = inspect.get_annotations(base)
        if field.name in annotations:
            return _spelled(annotations[field.name])
    return "Any"


def default_of(field: attrs.Attribute[Any]) -> str:
    """Return what a field is where nobody says it, as in a signature; nothing where it must be said."""
    default: Any = field.default
    if default is attrs.NOTHING:
        return ""
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # typed as a function, is a class
        return f" = {shown(default)}"
    name = default.factory.__name__
    return " = ..." if name.startswith(("_", "<")) else f" = {name}()"


def maker_of(cls: type) -> Any:
    """Return the function of ours that makes one, where others may; None where there is none."""
    inside = "__init__" in INSIDE.get(cls.__name__, ())
    if inside or getattr(cls, "_is_protocol", False):
        return None
    made = next((vars(cls)[name] for name in ("__init__", "__new__") if name in vars(cls)), None)
    return made.__func__ if isinstance(made, staticmethod) else made


def _callable(where: str, member: Any) -> Iterator[str]:
    """Yield what is promised of a function or method: how it is awaited, what it takes, what it returns."""
    bound = isinstance(member, staticmethod)
    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    how = "classmethod" if isinstance(member, classmethod) else "static" if bound else "call"
    if inspect.iscoroutinefunction(function):
        how = "await"
    elif inspect.isasyncgenfunction(function):
        how = "async for"
    yield f"{where}: {how} -> {_answer(function)}"
    place = 0
    for name, one in inspect.signature(function).parameters.items():
        if name in {"self", "cls"}:
            continue
        place += one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}
        number = {"POSITIONAL_OR_KEYWORD": f"{place} ", "POSITIONAL_ONLY": f"{place}/ "}.get(
            one.kind.name, ""
        )
        stars = STARS.get(one.kind.name, "")
        default = "" if one.default is one.empty else f" = {shown(one.default)}"
        yield f"{where}({number}{stars}{name}: {_spelled(one.annotation)}{default})"


def _answer(function: Any) -> str:
    return _spelled(inspect.signature(function).return_annotation)


def _spelled(annotation: object) -> str:
    if annotation is inspect.Signature.empty or annotation is None:
        return "Any" if annotation is not None else "None"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def shown(value: object) -> str:
    """Return a default or a constant as it is written, the same in every process."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    text = repr(value)
    return text if len(text) < MOST_SHOWN else f"a {type(value).__name__}"


# --------------------------------------------------------------------------------------------- what changed


@attrs.frozen(kw_only=True)
class Difference:
    """One line more or less than in a released face.

    Attributes:
        line: The line.
        gone: It is there no more; else it is new.
        breaks: Somebody who used the released face may have to change something.
    """

    line: str
    gone: bool
    breaks: bool

    @property
    def mention(self) -> str:
        """The name that an announcement has to say: of a parameter, a member, or what it is about."""
        found = _LINE.match(self.line)
        assert found is not None
        return found["parameter"] or found["name"]

    def __str__(self) -> str:
        """Return the line, as in a diff."""
        return f"{'-' if self.gone else '+'} {self.line}{'  (breaks who used it)' if self.breaks else ''}"


def differences(before: Sequence[str], now: Sequence[str]) -> list[Difference]:
    """Return what is otherwise in the face *now* than *before*.

    What is gone breaks, and what changed is gone and new. Of what is new these break: a parameter or field
    that must be given, of what was there before, unless a plugin implements it as a hook; and a method of a
    protocol that was there, which others have implemented without it.
    """
    there = {line.partition(":")[0] for line in before if "(" not in line.partition(":")[0]}
    protocols = {line.partition(":")[0] for line in before if line.partition(": ")[2].startswith("protocol")}
    old, new = dict.fromkeys(before), dict.fromkeys(now)
    gone = [Difference(line=line, gone=True, breaks=True) for line in old if line not in new]
    come = [
        Difference(line=line, gone=False, breaks=_asks_more(line, there, protocols))
        for line in new
        if line not in old
    ]
    return [*gone, *come]


def _asks_more(line: str, there: set[str], protocols: set[str]) -> bool:
    owner, paren, parameter = line.partition("(")
    if paren and re.fullmatch(r"[\w.]+", owner):
        asked = " = " not in parameter and not parameter.startswith("*")
        return asked and owner in there and not owner.startswith("hooks.")
    name = line.partition(":")[0]
    return name not in there and name.rpartition(".")[0] in protocols


def unannounced(changes: Sequence[Difference], fragments: Mapping[str, str]) -> list[Difference]:
    """Return those of *changes* that no fragment announces.

    Args:
        changes: What changed.
        fragments: Text of the files in docs/changes, by the name of the file.
    """
    told: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for file, text in fragments.items():
        kind = file.split(".")[1]
        for code in _ANNOUNCED.findall(text):
            told.setdefault(kind, set()).update(re.findall(r"\w+", code))
    return [
        one
        for one in changes
        if not any(one.mention in told[kind] for kind in (BREAKING if one.breaks else KINDS))
    ]


def fragments() -> Mapping[str, str]:
    """Return the fragments that wait for a release."""
    return {path.name: path.read_text() for path in sorted(CHANGES.glob("*.md"))}


HOW: Final = """
The face of wickwire is otherwise than when it was last released, and no fragment says so. Either it is not
meant to change; or write docs/changes/ISSUE.added.NAME.md (ISSUE.changed.NAME.md or ISSUE.removed.NAME.md for
what breaks somebody) that names in backticks what changed, and see docs/decisions/0138 for how a name goes.
"""


def main() -> int:
    """Compare, or note a release."""
    if sys.argv[1:] == ["--released"]:
        RELEASED.write_text("\n".join(face()) + "\n")
        return 0
    changes = differences(RELEASED.read_text().splitlines(), face())
    print(*changes, sep="\n")
    left = unannounced(changes, fragments())
    if left:
        print(HOW, *left, sep="\n")
    return 1 if left else 0


if __name__ == "__main__":
    import_module("wickwire")
    sys.exit(main())
