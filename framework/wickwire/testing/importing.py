"""Imports one adapter in a process of its own, and prints what else the import did, as a JSON list.

python -m wickwire.testing.importing MODULE_OR_FILE
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import wickwire.simulate  # noqa: F401 - what adapters stand on is no deed of theirs
from wickwire.discovery import files
from wickwire.testing.seal import FORBIDDEN, IMPORTING, ZONES

WRITING: Final = frozenset("wax+")


def _own(module: str) -> str:
    """Return the folder of a package, or the file of a module: whose code is the adapter's."""
    if module.endswith(".py"):
        return str(Path(module))
    spec = importlib.util.find_spec(module)
    folders = [] if spec is None else spec.submodule_search_locations or [spec.origin or module]
    return str(next(iter(folders), module))


def _reads_itself(path: str, own: str) -> bool:
    """Say whether the adapter's code, and nothing that it imports, opens *path*, which is no part of it."""
    if path.startswith(own) or any(place in path for place in ZONES):
        return False  # tables that it brings are its own, and time zones are everybody's
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - the only way to learn on whose behalf
    while frame is not None and not frame.f_code.co_filename.startswith(IMPORTING):
        if frame.f_code.co_filename.startswith(own):
            return True
        frame = frame.f_back
    return False


def main(module: str) -> Sequence[str]:
    """Import *module*, and return what it did."""
    deeds: list[str] = []
    armed = [True]
    own = _own(module)

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if not armed:
            return
        if event == "open":
            mode = arguments[1]
            if isinstance(mode, str) and WRITING & set(mode):
                deeds.append(f"open {arguments[0]!r:.100} for writing")
            elif _reads_itself(str(arguments[0]), own):
                deeds.append(f"open {arguments[0]!r:.100} for reading")
        elif event.startswith(FORBIDDEN) and event not in {
            "os.listdir",
            "os.scandir",
        }:  # the import system's own
            deeds.append(event)

    kind = type(os.environ)
    plain = kind.__getitem__

    def watched(self: Any, key: str) -> Any:
        if str(key).startswith("WICKWIRE_"):
            deeds.append(f"reads the variable {key}")
        return plain(self, key)

    kind.__getitem__ = watched  # type: ignore[method-assign]  # reading the environment raises no audit event
    sys.addaudithook(audited)
    if module.endswith(".py"):
        next(files({"checked": Path(module)})).load()
    else:
        importlib.import_module(module)
    armed.clear()
    return deeds


if __name__ == "__main__":
    sys.stdout.write(f"\n{json.dumps(main(sys.argv[1]))}\n")
