"""What docs/first-adapter.md tells its reader to write, written as it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "first-adapter.md"
ADAPTER: Final = "src/wickwire_binance/__init__.py"
_BLOCK: Final = re.compile(r"(?:^\*\*`([^`\n]+)`\*\*\n\n)?^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def steps() -> list[tuple[str, str, str]]:
    """Every block of the page in order: the file that it is the whole of (or ""), its language, its text."""
    return [(path, language, text) for path, language, text in _BLOCK.findall(PAGE.read_text())]


def commands() -> list[str]:
    """Every command of the page in order."""
    return [line for _, language, text in steps() if language == "console" for line in text.splitlines()]


def write(step: tuple[str, str, str], project: Path) -> None:
    """Do with one block what the page says: it is a whole file, or replaces what has the same name."""
    path, language, text = step
    if path:
        (project / path).write_text(text)
    elif language == "python":
        file = project / ADAPTER
        file.write_text(filled(file.read_text(), text))


def filled(source: str, block: str) -> str:
    """Return *source* with each statement of *block* in place of the one of its name, new ones beside it."""
    chunks = _chunks(source)
    names = [name for name, _, _ in chunks]
    new = _chunks(block)
    at = min(names.index(name) for name, _, _ in new if name in names) - 1
    for name, leading, text in new:
        if name in names:
            at = names.index(name)
            chunks[at] = (name, chunks[at][1], text)
        else:
            at += 1
            chunks.insert(at, (name, leading, text))
            names.insert(at, name)
    return "".join(leading + text for _, leading, text in chunks)


def _chunks(source: str) -> list[tuple[str, str, str]]:
    """Return every statement: its name, what stands before it, and its text."""
    lines = source.splitlines(keepends=True)
    found, end = [], 0
    for node in ast.parse(source).body:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(one.lineno for one in decorators)]) - 1
        assert node.end_lineno is not None
        found.append((_name(node), "".join(lines[end:first]), "".join(lines[first : node.end_lineno])))
        end = node.end_lineno
    return found


def _name(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case ast.ImportFrom(module=module):
            return f"from {module}"
        case _:
            return ast.dump(node)[:12]  # the docstring, an import, an if: one of each
