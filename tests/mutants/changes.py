"""Changes of code as cosmic-ray makes them: what could be changed in some files, and a sample of it as text.

    python tests/mutants/changes.py --sample 200 --seed 1 FILE ...

It runs in an environment of its own, where cosmic-ray is, and imports nothing of wickwire. It writes one JSON
value: for each change of the sample `{file, line, operator, before, after, text}`, the whole file as *text*.
What is no code that runs is left alone: annotations, and what only type checkers read.
"""

import argparse
import ast
import json
import random
import sys
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

SAME = {
    "NoOp",
    # whether equal numbers and texts are one object is up to the interpreter; None and members of enums are
    "ReplaceComparisonOperator_Eq_Is",
    "ReplaceComparisonOperator_NotEq_IsNot",
    "ReplaceComparisonOperator_Is_Eq",
    "ReplaceComparisonOperator_IsNot_NotEq",
}
"""What changes nothing that anybody could see."""


def main():
    """Write a sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    possible = [one for file in asked.files for one in positions(file)]
    random.Random(asked.seed).shuffle(possible)
    json.dump({"possible": len(possible), "sample": sample(possible, asked.sample)}, sys.stdout)


def positions(file):
    """Return what could be changed in *file*: operator, occurrence and line, in an order that stays."""
    source = file.read_text()
    tree, passive = get_ast(source), unread(source)
    found = []
    for name in sorted(operator_names()):
        kind = get_operator(name)
        if kind.arguments() or name.rpartition("/")[2] in SAME:
            continue
        places = (place for node in ast_nodes(tree) for place in kind().mutation_positions(node))
        for occurrence, ((line, column), _) in enumerate(places):
            if not any(since <= (line, column) < until for since, until in passive):
                found.append((file, name, occurrence, line))
    return found


def unread(source):
    """Return the places that no run of the code reads."""
    spans = []
    for node in ast.walk(ast.parse(source)):
        marked = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            marked += node.body
        spans += [
            ((one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)) for one in marked if one
        ]
    return spans


def sample(possible, most):
    """Return the first *most* changes that change something and are Python."""
    chosen = []
    for file, name, occurrence, line in possible:
        if len(chosen) == most:
            break
        source = file.read_text()
        text = mutate_code(source, get_operator(name)(), occurrence)
        if text is None or text == source:
            continue
        try:
            compile(text, str(file), "exec")
        except SyntaxError:
            continue
        before, after = differing(source, text)
        chosen.append(
            {
                "file": str(file),
                "line": line,
                "operator": name.rpartition("/")[2],
                "before": before,
                "after": after,
                "text": text,
            }
        )
    return chosen


def differing(source, text):
    """Return the first line that differs, as it was and as it is."""
    for before, after in zip(source.splitlines(), text.splitlines(), strict=False):
        if before != after:
            return before.strip(), after.strip()
    return "", ""


if __name__ == "__main__":
    main()
