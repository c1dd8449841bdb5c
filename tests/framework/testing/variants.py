"""Lantern with one thing changed in it, so that it breaks a promise."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from wickwire.adapter import Adapter, bind

ROOT: Final = Path(__file__).parents[3]
LANTERN: Final = ROOT / "tests" / "third_party" / "lantern" / "src"


def lantern() -> ModuleType:
    """Lantern's package, from its source; another one each time."""
    for name in [name for name in sys.modules if name.startswith("wickwire_lantern")]:
        del sys.modules[name]
    sys.path.insert(0, str(LANTERN))
    try:
        module = importlib.import_module("wickwire_lantern")
        importlib.import_module("wickwire_lantern.simulator")
    finally:
        sys.path.remove(str(LANTERN))
    return module


def edited(*edits: tuple[str, str]) -> Adapter:
    """Lantern whose source says something else."""
    source = (LANTERN / "wickwire_lantern" / "__init__.py").read_text()
    for old, new in edits:
        assert old in source, old
        source = source.replace(old, new)
    lantern()  # the simulator is imported by its name
    module = ModuleType("edited_lantern")
    sys.modules["edited_lantern"] = module  # values look up their own module while they are made
    exec(compile(source, "edited_lantern.py", "exec"), vars(module))
    return bind("lantern", module)
