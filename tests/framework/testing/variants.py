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


def edited(*edits: tuple[str, ...], simulator: tuple[tuple[str, ...], ...] = ()) -> Adapter:
    """Lantern whose source says something else, and its simulated venue's too."""
    lantern()  # for what is not edited
    if simulator:
        _made("wickwire_lantern.simulator", LANTERN / "wickwire_lantern" / "simulator.py", simulator)
    return bind("lantern", _made("edited_lantern", LANTERN / "wickwire_lantern" / "__init__.py", edits))


def _made(name: str, file: Path, edits: tuple[tuple[str, ...], ...]) -> ModuleType:
    """Return the module of *file*, edited, under *name*."""
    source = file.read_text()
    for old, new in edits:
        assert old in source, old
        source = source.replace(old, new)
    module = ModuleType(name)
    sys.modules[name] = module  # values look up their own module while they are made
    exec(compile(source, f"{name}.py", "exec"), vars(module))
    return module
