"""Copies of an adapter in which something is changed, and the kit's look at one. The original stays."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self, final

import attrs

from wickwire.testing.checks import Check
from wickwire.testing.material import Material
from wickwire.testing.running import CHECKS, State
from wickwire.testing.unfinished import sources_of

__all__ = ["Copied", "Looked", "Original", "UncopiedError", "copied", "looked_at"]

IMPORT_S: Final = 30.0
"""How long importing a copy may take."""
ENDING_S: Final = 60.0
"""How much longer than all that a process does may take the process itself."""
SIMULATOR: Final = "simulator"


class UncopiedError(Exception):
    """No copy of an adapter can be tried, or it is not what is imported; the text says why."""


@final
@attrs.frozen(kw_only=True)
class Original:
    """The code of an adapter, where it is.

    Attributes:
        adapter: The venue.
        root: The folder of its package, or its one file.
        place: Where that lies in a folder from which it can be imported: `wickwire_beacon`, or `beacon.py`.
        imported: Whether it is imported by its name; one file that a config names is not.
        files: Those that may be changed; simulated venues are not among them.
    """

    adapter: str
    root: Path
    place: Path
    imported: bool = True
    files: Sequence[Path] = ()

    @classmethod
    def of(cls, material: Material) -> Self:
        """Return the code of the adapter of *material*.

        Raises:
            UncopiedError: It was not made of files.
        """
        module = str(material.module)
        if module.endswith(".py"):
            root, place = Path(module).absolute(), Path(Path(module).name)
        else:
            root, place = _found(module)
        own = [
            file
            for file in sources_of(material)
            if file.resolve().is_relative_to(root.resolve()) and not _is_simulator(file, root)
        ]
        if not own:
            raise UncopiedError("it is not made of files that could be changed")
        return cls(
            adapter=material.name, root=root, place=place, imported=not module.endswith(".py"), files=own
        )

    def name(self, file: Path) -> str:
        """Return what *file* is called for people: from the folder of the adapter on."""
        return str(file.resolve().relative_to(self.root.resolve().parent))


def _found(module: str) -> tuple[Path, Path]:
    """Return the folder or file of the top package of *module* that is no namespace, and its place."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1 if module else 0):
        spec = importlib.util.find_spec(".".join(parts[:depth]))
        if spec is None:
            break
        if spec.has_location and spec.origin and Path(spec.origin).suffix == ".py":
            file = Path(spec.origin).absolute()
            is_package = spec.submodule_search_locations is not None
            above = Path(*parts[: depth - 1])
            return (file.parent, above / file.parent.name) if is_package else (file, above / file.name)
    raise UncopiedError("it is not made of files that could be changed")


def _is_simulator(file: Path, root: Path) -> bool:
    below = file.resolve().relative_to(root.resolve().parent)
    return any(part.startswith(SIMULATOR) for part in below.parts[1:])


@attrs.frozen
class Copied:
    """A copy: the folder that it can be imported from, its one file or package there, and an environment."""

    folder: Path
    root: Path
    environment: Mapping[str, str]


@contextmanager
def copied(original: Original, changed: Mapping[Path, str]) -> Iterator[Copied]:
    """Make a copy in which the files of *changed* have other texts; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="wickwire-mutant-") as name:
        folder = Path(name).resolve()
        root = folder / original.place
        root.parent.mkdir(parents=True, exist_ok=True)
        if original.root.is_dir():
            shutil.copytree(original.root, root, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(original.root, root)
        for file, text in changed.items():
            below = file.resolve().relative_to(original.root.resolve())
            (root / below if below.parts else root).write_text(text, encoding="utf-8")
        places = [str(folder), *(str(Path(one).absolute()) for one in sys.path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"}
        yield Copied(folder, root, environment)


@attrs.frozen(kw_only=True)
class Looked:
    """What became of checks over a copy.

    Attributes:
        states: Of each that ended, in order.
        seconds: What each of those took.
        failed: The check that failed, or with which the process ended; None where none did.
        why: What it said.
        is_told: Whether the check said so itself, and not how the process ended.
    """

    states: Mapping[Check, State]
    seconds: Mapping[Check, float]
    failed: Check | None = None
    why: str = ""
    is_told: bool = True


def looked_at(
    original: Original,
    changed: Mapping[Path, str],
    checks: Sequence[Check],
    *,
    samples: Path | None = None,
    symbols: Sequence[str] = (),
    seed: int = 1,
    effort: int,
    bounds_s: Mapping[Check, float],
    until_failed: bool = True,
) -> Looked:
    """Let *checks* look at a copy, in a process of its own.

    Args:
        original: What is copied.
        changed: The files that have other texts.
        checks: In this order.
        samples: A folder; see `Material`, as for the next three.
        symbols: What to ask for.
        seed: What is drawn.
        effort: Examples for each check.
        bounds_s: How long each may take. Who takes longer has failed, as has who ends the process.
        until_failed: Whether the first that fails is the last.

    Raises:
        UncopiedError: What is imported is not the copy.
    """
    with copied(original, changed) as copy, tempfile.TemporaryDirectory(prefix="wickwire-look-") as aside:
        told, said = Path(aside) / "told", Path(aside) / "said"
        told.touch()
        order = {
            "adapter": original.adapter,
            "file": "" if original.imported else str(copy.root),
            "samples": "" if samples is None else str(samples.absolute()),
            "symbols": list(symbols),
            "seed": seed,
            "effort": effort,
            "checks": [check.id for check in checks],
            "bounds_s": {check.id: bound for check, bound in bounds_s.items()},
            "import_s": IMPORT_S,
            "until_failed": until_failed,
            "to": str(told),
        }
        ended = _ran(order, copy, said, IMPORT_S + sum(bounds_s.values()) + ENDING_S)
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
        last_words = said.read_text(encoding="utf-8", errors="replace").strip()
    package = next((line["package"] for line in lines if "package" in line), "")
    if package and not Path(package).resolve().is_relative_to(copy.folder):
        raise UncopiedError(f"what is imported is {package}, and not a copy of it")
    return _judged(lines, ended, last_words, bounds_s)


def _ran(order: Mapping[str, object], copy: Copied, said: Path, most_s: float) -> int | None:
    """Run the checks; return how the process ended, None where it had to be ended."""
    # -P: the directory in which somebody works may hold the original
    command = [sys.executable, "-P", "-W", "ignore", "-m", "wickwire.testing.looking"]
    with said.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours
            command,
            cwd=copy.folder,
            env=copy.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            process.communicate(json.dumps(order).encode(), timeout=most_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):  # what it started, too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode


def _judged(
    lines: Sequence[Mapping[str, object]],
    ended: int | None,
    last_words: str,
    bounds_s: Mapping[Check, float],
) -> Looked:
    by_id = {check.id: check for check in CHECKS}
    states: dict[Check, State] = {}
    seconds: dict[Check, float] = {}
    under_way: Check | None = CHECKS[0]  # whose promise it is that an adapter can be loaded
    failed, why, began = None, "", False
    for line in lines:
        match line:
            case {"problem": str(text)}:
                return Looked(states={}, seconds={}, failed=under_way, why=text)
            case {"began": str(name)}:
                under_way, began = by_id[name], True
            case {"ended": str(name), "state": str(state), "why": str(text), "seconds": float(took)}:
                check, under_way = by_id[name], None
                states[check], seconds[check] = State(state), took
                if states[check] is State.FAILED and failed is None:
                    failed, why = check, text
            case _:
                pass
    if failed is None and under_way is not None:
        why = _end(ended, last_words, bounds_s[under_way] if began else IMPORT_S)
        return Looked(states=states, seconds=seconds, failed=under_way, why=why, is_told=False)
    return Looked(states=states, seconds=seconds, failed=failed, why=why)


def _end(ended: int | None, last_words: str, bound_s: float) -> str:
    if ended is None or ended == -signal.SIGALRM:
        return f"it came to no end within {bound_s:.0f} s"
    return f"it ended the process (status {ended}): {last_words[-300:]}".rstrip(": ")
