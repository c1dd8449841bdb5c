"""An environment of its own, in which wickwire is a wheel like any other, and no index is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import attrs

__all__ = ["Installed", "built", "ran"]

OFFLINE = ("--no-deps", "--no-index", "--no-cache-dir", "--disable-pip-version-check", "--quiet")


@attrs.frozen
class Installed:
    """A clean environment that holds some wheels, and a folder to work in."""

    python: Path
    folder: Path

    @classmethod
    def of(cls, wheels: Sequence[Path], folder: Path) -> Self:
        """Install *wheels* below *folder*, without any index: all else is lent by this environment."""
        venv.create(folder / "venv", with_pip=False)
        python = folder / "venv" / "bin" / "python"
        ran(
            folder,
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            *OFFLINE,
            *map(str, wheels),
        )
        # a path named in a .pth comes after the environment's own, and .pth files in it are not read: the
        # wheels win over an editable wickwire that may be installed there
        own = ran(folder, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (Path(own) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
        work = folder / "work"
        work.mkdir()
        return cls(python, work)

    def wickwire(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a person does."""
        return self.run(str(self.python.parent / "wickwire"), *words)

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run what a person types, with the environment active."""
        return self.run("sh", "-c", line)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run outside the checkout, with nothing inherited; pip asks no index, builds with what is there."""
        bin_folder = self.python.parent
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
                "HOME": str(self.folder),
                "LC_ALL": "C.UTF-8",
                "PIP_NO_DEPS": "1",
                "PIP_NO_INDEX": "1",
                "PIP_NO_BUILD_ISOLATION": "0",  # a negated option: 0 is what switches isolation off
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )


def built(project: Path, folder: Path) -> Path:
    """Build the wheel of *project* below *folder*."""
    there = folder / "wheels"
    ran(project, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(there))
    [wheel] = there.glob("*.whl")
    return wheel


def ran(folder: Path, *command: str | Path) -> str:
    """Run what has to succeed, and return its output."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
