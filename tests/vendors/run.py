"""`make vendors`: the venues' own public clients against our simulated venues.

    python tests/vendors/run.py [NAME ...]

with the names of `VENDORS`; all of them by default.

Those of `migration_...` run the programs of docs/migration that use other people's clients, after the others:
time passes faster at their venues, or when they say so.

Each SDK lives in an environment of its own beside the project's (`.venv-vendors-NAME`), made once from its
pinned requirements with hashes and kept. Its package files are as published: checks point it to loopback
through parameters, settings and sessions only. The last line is `N passed, N failed`; the exit status is 0
when nothing failed, 1 when something did, 2 when an environment could not be made. A client in JavaScript is
skipped, aloud, where Node or its registry is missing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
DEADLINE_S = 280
"""For the checks of one SDK; they take about 100 s."""


@dataclass(frozen=True)
class Vendor:
    """An SDK: its name here, its distribution, the simulated venue that it meets, and where it lives.

    One for Node is pinned by the package files in a folder of its own. *time* says how time passes at the
    venue, where it does otherwise than here, as `serve.py` has it.
    """

    name: str
    distribution: str
    venue: str
    shared: str = ""
    node: bool = False
    time: str = ""

    @property
    def folder(self) -> Path:
        """Its environment; several venues may share one."""
        return ROOT / f".venv-vendors-{self.shared or self.name}"

    @property
    def is_live(self) -> bool:
        """Whether time passes at its venue as it does here."""
        return not self.time

    @property
    def lock(self) -> Path:
        """Its pinned requirements."""
        if self.node:
            return ROOT / "requirements" / f"vendors-{self.name}" / "package-lock.json"
        return ROOT / "requirements" / f"vendors-{self.shared or self.name}.txt"

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def command(self, places: str) -> Sequence[str]:
        """Return what runs its checks, in its folder, against a venue at *places*."""
        if self.node:
            return ("node", str(HERE / f"check_{self.name}.cjs"), places, self.distribution)
        return (self.python, str(HERE / f"check_{self.name}.py"), places, self.distribution)


VENDORS = (
    Vendor("kraken", "python-kraken-sdk", "kraken"),
    Vendor("ccxt", "ccxt", "kraken"),
    Vendor("coinbase", "coinbase-advanced-py", "coinbase"),
    Vendor("ccxt_coinbase", "ccxt", "coinbase", shared="ccxt"),
    Vendor("yfinance", "yfinance", "yahoo"),
    Vendor("alpaca", "alpaca-py", "alpaca"),
    Vendor("ccxt_alpaca", "ccxt", "alpaca", shared="ccxt"),
    Vendor("dxlink", "tastytrade", "dxlink"),
    Vendor("dxlink_js", "@dxfeed/dxlink-api", "dxlink", node=True),
    Vendor("migration_ccxt", "ccxt", "kraken", shared="ccxt", time="--stepped"),
    Vendor("migration_ccxt_quiet", "ccxt", "coinbase", shared="ccxt", time="--stepped"),
    Vendor("migration_cryptofeed", "cryptofeed", "kraken", shared="cryptofeed", time="--speed=10"),
    Vendor("migration_cryptofeed_trades", "cryptofeed", "coinbase", shared="cryptofeed", time="--speed=10"),
)


@dataclass(frozen=True)
class Outcome:
    """What one check came to; *trouble* is empty when it passed."""

    promise: str
    took_s: float
    trouble: str


def main(names: Sequence[str]) -> int:
    """Make the environments, run all checks, say what came of them."""
    unknown = {*names} - {vendor.name for vendor in VENDORS}
    if unknown:
        known = ", ".join(vendor.name for vendor in VENDORS)
        print(f"no vendor called {', '.join(sorted(unknown))}; there are {known}", file=sys.stderr)
        return 2
    chosen = [vendor for vendor in VENDORS if not names or vendor.name in names]
    for vendor in [one for one in chosen if one.node]:
        why = make_node_environment(vendor)
        if why:
            print(f"SKIPPED {vendor.distribution} (JavaScript): {why}", flush=True)
            chosen.remove(vendor)
    for vendor in [one for one in chosen if not one.node]:
        try:
            make_environment(vendor)
        except subprocess.CalledProcessError:
            print(
                f"The environment for {vendor.distribution} could not be made: pip (above) says why. This "
                "needs a package index, which pip takes from its own settings; nothing was checked.",
                file=sys.stderr,
            )
            return 2
    passed = failed = 0
    rounds = ([one for one in chosen if one.is_live == live] for live in (True, False))
    for vendor, outcomes in chain.from_iterable(map(run_together, rounds)):
        print(f"\n{vendor.distribution} against the simulated {vendor.venue}")
        for outcome in outcomes:
            passed, failed = passed + (not outcome.trouble), failed + bool(outcome.trouble)
            word = "FAILED" if outcome.trouble else "passed"
            print(f"  {word} {outcome.took_s:5.1f} s  {outcome.promise}")
            for line in outcome.trouble.splitlines():
                print(f"      {line}")
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


def run_together(vendors: Sequence[Vendor]) -> Iterator[tuple[Vendor, list[Outcome]]]:
    """Run the checks of some SDKs at the same time, which they spend waiting."""
    with ThreadPoolExecutor(len(vendors) or 1) as pool:
        yield from zip(vendors, pool.map(run, vendors), strict=True)


def make_environment(vendor: Vendor) -> None:
    """Make the environment of an SDK, or find that it stands: it remembers what it was made from."""
    stamp, made_from = _stamp(vendor, sys.version)
    if stamp.is_file() and stamp.read_text() == made_from:
        return
    _clear(vendor)
    venv.EnvBuilder(with_pip=True, symlinks=True).create(vendor.folder)
    options = ("-qq", "--no-input", "--disable-pip-version-check", "--require-hashes", "--requirement")
    command = [vendor.python, "-m", "pip", "install", *options, str(vendor.lock)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    stamp.write_text(made_from)


def make_node_environment(vendor: Vendor) -> str:
    """Make the environment of an SDK for Node, or find that it stands; return why it cannot be made.

    What npm checked against the pinned hashes is written down file by file, for the checks to compare.
    """
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} not found; nothing of it was checked"
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    stamp, made_from = _stamp(vendor, version)
    if stamp.is_file() and stamp.read_text() == made_from:
        return ""
    _clear(vendor)
    vendor.folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(vendor.lock.with_name(name), vendor.folder)
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    command = ["npm", "ci", *options]
    done = subprocess.run(
        command, check=False, cwd=vendor.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:300]
        return f"npm could not install it ({said}); it takes its registry from its own settings"
    files = [path for path in (vendor.folder / "node_modules").rglob("*") if path.is_file()]
    published = {
        str(path.relative_to(vendor.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    (vendor.folder / "published.json").write_text(json.dumps(published))
    stamp.write_text(made_from)
    return ""


def _stamp(vendor: Vendor, version: str) -> tuple[Path, str]:
    """Return where an environment remembers what it was made from, and what it would be made from now."""
    made_from = hashlib.sha256(vendor.lock.read_bytes() + f"{version}{vendor.folder}".encode())
    return vendor.folder / "made-from", made_from.hexdigest()


def _clear(vendor: Vendor) -> None:
    print(f"installing {vendor.distribution} into {vendor.folder.name} (once)", flush=True)
    shutil.rmtree(vendor.folder, ignore_errors=True)


def run(vendor: Vendor) -> list[Outcome]:
    """Run the checks of one SDK against a server of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONNOUSERSITE": "1"}
    with served(vendor) as places:
        try:
            done = subprocess.run(
                vendor.command(places),
                check=False,
                cwd=vendor.folder,
                capture_output=True,
                text=True,
                env=environment,
                timeout=DEADLINE_S,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"").decode()
            return [*_outcomes(said), Outcome("the checks end", DEADLINE_S, "they did not, and were killed")]
    outcomes = _outcomes(done.stdout)
    if done.returncode or not outcomes:
        trouble = done.stderr or f"exit status {done.returncode}, no checks were made"
        outcomes.append(Outcome(f"check_{vendor.name} runs to its end", 0.0, trouble))
    return outcomes


@contextmanager
def served(vendor: Vendor) -> Iterator[str]:
    """Own a simulated venue in a process of this environment; the addresses are its first line."""
    command = [sys.executable, str(HERE / "serve.py"), vendor.venue, *filter(None, [vendor.time])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            places = server.stdout.readline() if server.stdout is not None else ""
            if not places:
                raise RuntimeError(f"the simulated {vendor.venue} did not start; see above")
            yield places
        finally:
            if server.stdin is not None:
                server.stdin.close()  # it serves until its input ends
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _outcomes(said: str) -> list[Outcome]:
    return [Outcome(**json.loads(line)) for line in said.splitlines() if line.startswith('{"promise"')]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
