"""Pin every requirements/*.in with hashes, for all of Python 3.11 and newer, in the .txt beside it.

    make lock

dev.in is pinned together with what pyproject.toml asks for; the others stand alone. The files name
packages, versions and hashes, and never an index: where pip gets a file from is its own setting. The same
holds for what Node needs, in requirements/*/package.json, where npm is installed.
"""

import os
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
# one version of a package for all interpreters, so that they are tested alike
OPTIONS = (
    *("--no-config", "--quiet", "--upgrade", "--no-annotate", "--no-header"),
    *("--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
)
NODE_OPTIONS = (
    *("--package-lock-only", "--omit-lockfile-registry-resolved", "--ignore-scripts"),
    *("--no-audit", "--no-fund", "--loglevel=error"),
)
HEADER = "# Made by `make lock` from {sources}. Do not edit.\n"


def main() -> None:
    """Install uv aside, run it once for each file, and put a heading of our own on top."""
    with tempfile.TemporaryDirectory(prefix="wickwire-lock-") as scratch:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(scratch)
        python = str(Path(scratch, "bin", "python"))
        subprocess.run([python, "-m", "pip", "install", "-qq", "uv"], check=True)
        index = _pip_setting(python, "global.index-url")
        environment = {**os.environ, **({"UV_DEFAULT_INDEX": index} if index else {})}
        certificates = _pip_setting(python, "global.cert")
        if certificates:
            environment.setdefault("SSL_CERT_FILE", certificates)
        for source in sorted(REQUIREMENTS.glob("*.in")):
            sources = [str(source.relative_to(ROOT))]
            if source.stem == "dev":
                sources = ["pyproject.toml", "--all-extras", *sources]
            target = source.with_suffix(".txt")
            command = [python, "-m", "uv", "pip", "compile", *OPTIONS, *sources, "-o", str(target)]
            subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            named = " and ".join(name for name in sources if not name.startswith("--"))
            target.write_text(HEADER.format(sources=named) + target.read_text())
            print(f"pinned {target.relative_to(ROOT)}")
    for wish in sorted(REQUIREMENTS.glob("*/package.json")):
        npm = shutil.which("npm")
        if npm is None:
            print(f"left as it is: {wish.relative_to(ROOT)}; npm is not installed")
            continue
        subprocess.run([npm, "update", *NODE_OPTIONS], check=True, cwd=wish.parent)
        print(f"pinned {wish.with_name('package-lock.json').relative_to(ROOT)}")


def _pip_setting(python: str, key: str) -> str:
    command = [python, "-m", "pip", "config", "get", key]
    found = subprocess.run(command, check=False, capture_output=True, text=True)
    return found.stdout.strip()


if __name__ == "__main__":
    main()
