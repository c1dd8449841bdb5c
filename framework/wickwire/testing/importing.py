"""Imports one adapter in a process of its own, and prints what else the import did, as a JSON list.

python -m wickwire.testing.importing MODULE_OR_FILE
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import wickwire.simulate  # noqa: F401 - what adapters stand on is no deed of theirs
from wickwire.discovery import files
from wickwire.testing.seal import FORBIDDEN

WRITING: Final = frozenset("wax+")


def main(module: str) -> Sequence[str]:
    """Import *module*, and return what it did."""
    deeds: list[str] = []
    armed = [True]

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if not armed:
            return
        if event == "open":
            mode = arguments[1]
            if isinstance(mode, str) and WRITING & set(mode):
                deeds.append(f"open {arguments[0]!r:.100} for writing")
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
