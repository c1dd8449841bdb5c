"""Make the virtual environment that the Makefile's targets run in, or find that it stands.

    python scripts/make_venv.py [FOLDER] [LOCK]

Standard library only, and run by the interpreter that the environment is for. Two steps, each
remembered by the hash of what it was made from, so that a repeat does nothing and an interrupted
one is done again: the pinned requirements, then the project itself, editable and without
dependencies. Proxy, mirror and certificates are those of pip's own settings.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Bring the environment up to date; 0 when it is."""
    parser = argparse.ArgumentParser(description="Make the environment, or find that it stands.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".venv")
    parser.add_argument("lock", nargs="?", type=Path, default=ROOT / "requirements" / "dev.txt")
    asked = parser.parse_args()
    folder, lock = asked.folder.absolute(), asked.lock.absolute()
    with (ROOT / "pyproject.toml").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two makes at once: the second waits and finds all done
        try:
            prepare(folder, lock)
        except subprocess.CalledProcessError as failed:
            print(
                f"{failed.stderr or ''}{folder.name} could not be set up: pip (above) says why. "
                "A proxy or a mirror is taken from pip's own settings; then run the same command again.",
                file=sys.stderr,
            )
            return 1
        except KeyboardInterrupt:
            print(f"{folder.name} is half made; run the same command again to finish it", file=sys.stderr)
            return 130
    return 0


def prepare(folder: Path, lock: Path) -> None:
    """Do whichever of the three steps is not done: interpreter, requirements, project."""
    # the folder counts too: the scripts in it name it, so a moved one does not work
    interpreter = _digest(sys.version, sys.base_prefix, str(folder))
    requirements = _digest(interpreter, lock.read_bytes())
    project = _digest(requirements, (ROOT / "pyproject.toml").read_bytes())
    if _stamp(folder, "interpreter") != interpreter:
        _clear(folder)
        _say(f"making {folder.name} with Python {sys.version.split()[0]}")
        venv.EnvBuilder(with_pip=True, symlinks=True).create(folder)
        _stamp(folder, "interpreter", interpreter)
    if _stamp(folder, "requirements") != requirements:
        _say(f"installing the pinned requirements into {folder.name} (about a minute, once)")
        started = time.monotonic()
        _pip(folder, "--require-hashes", "--requirement", str(lock))
        _stamp(folder, "requirements", requirements)
        _say(f"installed in {time.monotonic() - started:.0f} s")
    if _stamp(folder, "project") != project:
        _pip(folder, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        _stamp(folder, "project", project)


def _clear(folder: Path) -> None:
    """Empty the folder, unless it was never an environment: then it is somebody's own."""
    ours = any((folder / name).is_file() for name in ("pyvenv.cfg", "made-from-interpreter"))
    if folder.exists() and any(folder.iterdir()) and not ours:
        sys.exit(f"{folder} exists and is no virtual environment; remove it, or name another with VENV=")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _stamp(folder, "interpreter", "")  # so that one interrupted half-way is known as ours


def _pip(folder: Path, *arguments: str) -> None:
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    # what pip warns of matters only if it fails
    subprocess.run(
        [*command, *arguments], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _stamp(folder: Path, step: str, value: str | None = None) -> str | None:
    """Return what a step was last made from, after noting it if it is given."""
    path = folder / f"made-from-{step}"
    if value is not None:
        path.write_text(value)
    return path.read_text() if path.is_file() else None


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
