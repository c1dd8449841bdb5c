"""A new adapter's files, before its author has answered anything: templates, and how they are written.

What is rendered installs and is discovered at once. Whatever only the venue's documents can say raises
NotImplementedError with the question; all else is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from wickwire.errors import UsageError
from wickwire.series import is_venue_name

__all__ = ["CONFIG", "distribution", "distribution_name", "one_file", "write"]

CONFIG: Final = "wickwire.toml"
MARKET_IMPORT: Final = """
if TYPE_CHECKING:
    from wickwire.simulate.server import Market, VenueServer
"""


def distribution(name: str) -> Mapping[str, str]:
    """Return the files of a distribution that brings the venue *name*: paths below its folder, and texts.

    Raises:
        UsageError: No venue may be called so, or no distribution.
    """
    package = f"src/wickwire_{name}"
    words = _words(name)
    simulate = {
        "type_checking": "TYPE_CHECKING, ",
        "market_import": MARKET_IMPORT,
        "simulate": _filled("simulate", words),
    }
    return {
        "README.md": _filled("readme", words),
        "pyproject.toml": _filled("pyproject", words),
        f"{package}/__init__.py": _filled("adapter", words | simulate).rstrip() + "\n",
        f"{package}/py.typed": "",
        f"{package}/simulator.py": _filled("simulator", words),
        "tests/test_conformance.py": _filled("conformance", words),
        "tests/wire/README.md": _filled("samples", words),
    }


def one_file(name: str) -> Mapping[str, str]:
    """Return the files of an adapter that nobody installs: a module, and a config that names it.

    Raises:
        UsageError: No venue may be called so.
    """
    words = _words(name)
    alone = {"type_checking": "", "market_import": "", "simulate": ""}
    return {
        f"{name}.py": _filled("adapter", words | alone).rstrip() + "\n",
        CONFIG: _filled("config", words),
    }


def distribution_name(name: str) -> str:
    """Return what the distribution is called that brings the venue *name*."""
    return f"wickwire-{name.replace('_', '-')}"


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Write all of *texts* below *folder*, or nothing at all; what is there already stays as it is.

    Raises:
        UsageError: One of them is there already, or cannot be written.
    """
    made: list[Path] = []
    try:
        for name, text in texts.items():
            path = folder / name
            made += _folders(path.parent)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except FileExistsError as exc:
        _take_away(made)
        raise UsageError(
            f"{exc.filename} is there already, and nothing is overwritten: move it away"
        ) from exc
    except OSError as exc:
        _take_away(made)
        raise UsageError(f"{exc.filename or folder} cannot be written: {exc.strerror}") from exc
    except BaseException:
        _take_away(made)
        raise


def _folders(folder: Path) -> list[Path]:
    """Make *folder* and those above it, as far as they are not there; return what was made, outer first."""
    lacking = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    for one in lacking:
        one.mkdir()
    return lacking


def _take_away(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):  # the first error is the one to tell
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()


def _words(name: str) -> dict[str, str]:
    """Return what the templates may say."""
    if not is_venue_name(name):
        raise UsageError(
            f"no venue can be called {name!r}: expected lower-case letters, digits and _, a letter first, "
            "32 of them at most"
        )
    if name.endswith("_"):
        raise UsageError(
            f"no distribution can be called {distribution_name(name)!r}: end in a letter or digit"
        )
    words = name.split("_")
    return {
        "name": name,
        "title": " ".join(word.capitalize() for word in words if word),
        "class_name": "".join(word.capitalize() for word in words),
        "distribution": distribution_name(name),
    }


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (files(__name__) / f"{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words)
