"""Writes the contracts of the hooks into docs/hooks.md, from their docstrings: `make pages`.

The page says in comments where which of them belong; what stands between these comments is made here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wickwire import hookspecs

__all__ = ["PAGE", "rendered"]

PAGE: Final = Path(__file__).parents[1] / "docs" / "hooks.md"
MADE: Final = re.compile(r"(<!-- hooks: ([\w ]+) -->\n).*?(<!-- end of hooks -->\n)", re.DOTALL)
PARTS: Final = re.compile(r"^(Args|Raises|Yields|Returns):\n((?:    .*\n|\n)+)", re.MULTILINE)


def rendered(page: str) -> str:
    """Return *page* with all contracts as the hookspecs say them now."""
    return MADE.sub(lambda found: f"{found[1]}\n{_hooks(found[2].split())}\n{found[3]}", page)


def _hooks(names: list[str]) -> str:
    table = ["| hook | returns |", "|---|---|"]
    table += [f"| `{_call(name)}` | {_answer(name)} |" for name in names]
    contracts = [f"### `{_call(name)}`\n\n{_contract(name)}" for name in names]
    return "\n\n".join(["\n".join(table), *contracts]) + "\n"


def _call(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(getattr(hookspecs, name)).parameters)})"


def _answer(name: str) -> str:
    answer = str(inspect.signature(getattr(hookspecs, name)).return_annotation)
    return "nothing" if answer == "None" else f"`{answer}`".replace("|", r"\|")


def _contract(name: str) -> str:
    text = f"{inspect.getdoc(getattr(hookspecs, name))}\n"
    said = PARTS.sub(lambda part: "\n".join(_part(part[1], inspect.cleandoc(part[2]))) + "\n\n", text)
    return re.sub(r"\n{3,}", "\n\n", said).strip()


def _part(title: str, text: str) -> Iterator[str]:
    """Yield a part of a docstring as Markdown: names and their meanings as a list, all else as it is."""
    if title in {"Returns", "Yields"}:
        yield f"**{title}** {text}"
        return
    yield f"**{title}**\n"
    for entry in re.split(r"\n(?=\S)", text):
        name, _, meaning = entry.partition(": ")
        yield f"* `{name}`: {inspect.cleandoc(meaning).replace(chr(10), chr(10) + '  ')}"


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
