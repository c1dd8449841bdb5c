"""What is nowhere in the code: code made of data, statements made of text, and orders."""

from __future__ import annotations

import ast
import pickle
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.framework.cli.conftest import Shell

ROOT = Path(__file__).parent.parent
CODE = sorted(path for part in ("framework", "adapters", "plugins") for path in (ROOT / part).rglob("*.py"))
MOST_DEPENDENCIES = 8

FORBIDDEN_MODULES = {
    "pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "yaml",
    "code",
    "codeop",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"}
STATEMENT_CALLS = {"execute", "executemany", "executescript", "fetchrow", "fetchval", "cursor"}
ORDERS = re.compile(
    r"/v2/orders|/v2/positions|/v2/account|/api/v3/brokerage/orders|/0/private/|AddOrder|CancelOrder|"
    r"batch_orders|create_order|place_order|cancel_order|/orders\b|/transfers?\b|/withdraw",
    re.IGNORECASE,
)
"""What Alpaca, Coinbase and Kraken call their ways to trade, and the words of most others."""


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text()))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_no_code_is_made_of_data():
    """S10: nothing unpickles, evaluates, or asks a shell."""
    found = []
    for path in CODE:
        for node in nodes(path):
            match node:
                case ast.Import(names=names):
                    bad = {name.name.partition(".")[0] for name in names} & FORBIDDEN_MODULES
                case ast.ImportFrom(module=str(module)):
                    bad = {module.partition(".")[0]} & FORBIDDEN_MODULES
                case ast.Call(func=func):
                    bad = {ast.unparse(func)} & FORBIDDEN_CALLS
                    bad |= {word.arg for word in node.keywords if word.arg == "shell"}
                case _:
                    continue
            found += [f"{place(path, node)}: {name}" for name in bad]

    assert CODE
    assert [] == found


def is_constant(statement: ast.expr) -> bool:
    """Say whether it is a literal, a name, or a literal in which only what is in `CONSTANT` is filled."""
    match statement:
        case ast.JoinedStr(values=parts):
            filled = [ast.unparse(part.value) for part in parts if isinstance(part, ast.FormattedValue)]
            return set(filled) <= CONSTANT
        case ast.Constant() | ast.Name():
            return True
        case _:
            return False


def test_every_statement_is_a_constant():
    """S9: what a statement is made of are literals and names of the module's own constants and loops."""
    found, seen = [], 0
    for path in CODE:
        for node in nodes(path):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in STATEMENT_CALLS
                and node.args  # a pipeline of Redis is executed without
            ):
                seen += 1
                statement = node.args[0]
                if not is_constant(statement):
                    found.append(f"{place(path, node)}: {ast.unparse(statement)}")

    assert seen > 20
    assert [] == found


CONSTANT = {
    "table",
    "COLUMNS",
    "patience_ms",
    "len(migrations)",
    "'FULL' if power_safe else 'NORMAL'",
    "listed()",
    "quoted(schema)",
    "quoted(name)",
    "quoted(partition.name)",
    "since",
    "until",
    "functions",
}
"""What stands in a statement's text in our stores: a number, one of a few words of ours, or a quoted name."""


@pytest.mark.parametrize("name", ["r.jsonl", "rest.json"])
def test_a_pickle_where_a_recording_is_read_is_refused(tmp_path, name):
    """S10: and what is in it never runs."""
    bomb = tmp_path / "exploded"

    class Bomb:
        def __reduce__(self):
            return Path.touch, (bomb,)

    folder = tmp_path / "kraken"
    folder.mkdir()
    (folder / name).write_bytes(pickle.dumps(Bomb()))

    refused = Shell(tmp_path).run("collect", "--replay", folder / name, status=2)

    assert refused.stderr.startswith("error: ")
    assert not bomb.exists()


def test_nothing_trades():
    """S15: no path, no word of an order; keys that may only read are enough."""
    found = [
        f"{place(path, node)}: {node.value[:60]}"
        for path in CODE
        for node in nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ORDERS.search(node.value)
    ]

    assert [] == found
    for venue in ("/v2/orders", "https://api.kraken.com/0/private/AddOrder", "/api/v3/brokerage/orders"):
        assert ORDERS.search(venue)


def test_the_core_has_few_dependencies_and_the_build_needs_no_other():
    """S14."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert len(project["project"]["dependencies"]) <= MOST_DEPENDENCIES
    assert [re.split(r"[<>=]", one)[0] for one in project["build-system"]["requires"]] == ["hatchling"]
