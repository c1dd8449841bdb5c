"""The programs of docs/examples, imported from where they lie."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["FOLDER", "loaded"]

FOLDER: Final = Path(__file__).parents[2] / "docs" / "examples"


def loaded(name: str) -> ModuleType:
    """Return the example *name*, such as "plain_script", imported anew."""
    spec = importlib.util.spec_from_file_location(f"examples_{Path(name).stem}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pydantic finds there what an annotation names
    spec.loader.exec_module(module)
    return module
