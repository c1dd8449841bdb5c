"""What the checks of the migration guides share: the guides' own programs, and their tables."""

import importlib.util
import re
import sqlite3
import sys
from pathlib import Path
from types import ModuleType

from checks import Truth

FOLDER = Path(__file__).parents[2] / "docs" / "migration"
MINUTE_MS = 60_000


class Enough(Exception):
    """Ends a program that would run for ever."""


def loaded(name: str) -> ModuleType:
    """Return a program of the guides."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def read_as(page: str, database: sqlite3.Connection) -> dict[int, list[float | str]]:
    """Return what a program wrote, by open time in its unit, with the query of a page."""
    [query] = re.findall(r'candles.db "\s*(select [^"]+)"', (FOLDER / f"{page}.md").read_text())
    return {opened: numbers for opened, *numbers in database.execute(query)}


def minute_of(truth: Truth) -> int:
    """Return when the running minute of the venue began, in milliseconds."""
    now_ms = truth.now_ns() // 10**6
    return now_ms - now_ms % MINUTE_MS
