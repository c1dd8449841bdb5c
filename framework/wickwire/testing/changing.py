"""Changes of code as cosmic-ray makes them: what could be changed in some files, and a sample of it, as JSON.

    python -m wickwire.testing.changing --sample 20 --seed 1 FILE [FILE ...]

A process of its own, since cosmic-ray brings much that nothing else here needs. It writes one JSON value,
`{possible, sample}`: how many changes there could be, and of each that was drawn `{file, line, operator,
before, after, text}`, the whole file as *text*. Left alone is what no run reads: annotations, and what only
type checkers see. So are simulated venues: adapters are tested with them.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

__all__ = ["main"]

SAME: Final = frozenset(
    {
        "NoOp",
        # whether equal numbers and texts are one object is up to the interpreter; None and enums always are
        "ReplaceComparisonOperator_Eq_Is",
        "ReplaceComparisonOperator_NotEq_IsNot",
        "ReplaceComparisonOperator_Is_Eq",
        "ReplaceComparisonOperator_IsNot_NotEq",
    }
)
"""What changes nothing that anybody could see."""
SERVERS: Final = (frozenset({"accept", "answer"}), frozenset({"received", "due"}))
"""The methods by which a `VenueServer` is known, and a `Connection` of it."""
SIMULATE: Final = "simulate"

_GLUED: Final = re.compile(r"\wCosmicRayTestingException|CosmicRayTestingException\w")
"""What it makes of `except module.Error`, a name that cannot be meant."""

_Place = tuple[int, int]
"""Line, from 1, and column."""


@attrs.frozen
class _Possible:
    """The *occurrence*-th place in a file that an operator of cosmic-ray could change."""

    file: Path
    operator: str
    occurrence: int
    line: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args(arguments)
    possible = [one for file in asked.files for one in _possible(file)]
    random.Random(asked.seed).shuffle(possible)
    json.dump({"possible": len(possible), "sample": _sample(possible, asked.sample)}, sys.stdout)


def _possible(file: Path) -> list[_Possible]:
    """Return what could be changed in *file*, in an order that stays."""
    from cosmic_ray.ast import ast_nodes, get_ast  # noqa: PLC0415 - an extra
    from cosmic_ray.plugins import get_operator, operator_names  # noqa: PLC0415 - as above

    source = file.read_text(encoding="utf-8")
    tree, passive = get_ast(source), list(_unread(source))
    found = []
    for name in sorted(operator_names()):
        kind = get_operator(name)
        if kind.arguments() or name.rpartition("/")[2] in SAME:
            continue
        places = (place for node in ast_nodes(tree) for place in kind().mutation_positions(node))
        for occurrence, (began, _) in enumerate(places):
            if not any(since <= began < until for since, until in passive):
                found.append(_Possible(file, name, occurrence, began[0]))
    return found


def _unread(source: str) -> Iterator[tuple[_Place, _Place]]:
    """Yield where the code is that no run reads, or that is the simulated venue's."""
    for node in ast.walk(ast.parse(source)):
        marked = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                marked += [node.test, *body]
            case ast.FunctionDef(name=name) if name == SIMULATE:
                marked += [*node.decorator_list, node]
            case ast.ClassDef(body=body):
                methods = {one.name for one in body if isinstance(one, ast.FunctionDef)}
                marked += [*node.decorator_list, node] if any(each <= methods for each in SERVERS) else []
            case _:
                pass
        for one in filter(None, marked):
            yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)


def _sample(possible: Sequence[_Possible], most: int) -> Sequence[dict[str, Any]]:
    """Return the first *most* changes that change something and are Python."""
    from cosmic_ray.mutating import mutate_code  # noqa: PLC0415 - an extra
    from cosmic_ray.plugins import get_operator  # noqa: PLC0415 - as above

    chosen: list[dict[str, Any]] = []
    for one in possible:
        if len(chosen) == most:
            break
        source = one.file.read_text(encoding="utf-8")
        try:
            text = mutate_code(source, get_operator(one.operator)(), one.occurrence)
        except AttributeError:  # ExceptionReplacer does not know what to do with `except (module.Error, ...)`
            continue
        if text is None or text == source or _GLUED.search(text):
            continue
        try:
            changed = ast.parse(text, str(one.file))
        except SyntaxError:
            continue
        if "_Mul_" in one.operator and _products(changed) == _products(ast.parse(source)):
            continue  # the star in a signature is no product
        before, after = _differing(source, text)
        chosen.append(
            {
                "file": str(one.file),
                "line": one.line,
                "operator": one.operator.rpartition("/")[2],
                "before": before,
                "after": after,
                "text": text,
            }
        )
    return chosen


def _products(tree: ast.AST) -> int:
    return sum(isinstance(node, ast.Mult) for node in ast.walk(tree))


def _differing(source: str, text: str) -> tuple[str, str]:
    """Return the first line that differs, as it was and as it is."""
    for before, after in zip(source.splitlines(), text.splitlines(), strict=False):
        if before != after:
            return before.strip(), after.strip()
    return "", ""


if __name__ == "__main__":
    main()
