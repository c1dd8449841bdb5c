"""What all tests share: how hard Hypothesis looks, in which order they run, and what that costs once."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Generator
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline would fail tests on a busy machine; no test asserts a time of the wall clock.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=300)
settings.register_profile("nightly", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


FEW_FILES = 20
"""So many the workers may compile by themselves: it takes less than to start processes for it."""

MADE_UNTIL_A_LOOK = 10_000
"""So many more objects are made than freed until the garbage collector looks."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Compile what changed once, before the workers start: each would do it for itself, ten seconds long."""
    asked = [Path(argument.partition("::")[0]) for argument in config.args]
    files = {file for one in asked for file in ([one] if one.is_file() else one.rglob("test_*.py"))}
    stale = sorted(str(file) for file in files if not _is_compiled(file))
    if len(stale) > FEW_FILES and not sys.dont_write_bytecode:
        count = os.cpu_count() or 1
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        shares = [
            subprocess.Popen([*command, *stale[number::count]], stdout=subprocess.DEVNULL)
            for number in range(count)
        ]
        for one in shares:
            one.wait()  # what went wrong there goes wrong in the workers too, who say it


def _is_compiled(file: Path) -> bool:
    """Say whether pytest has rewritten the assertions of *file* since it was changed."""
    cached = Path(cache_from_source(str(file)))
    changed_s = file.stat().st_mtime
    return any(one.stat().st_mtime >= changed_s for one in cached.parent.glob(f"{cached.stem}-pytest-*.pyc"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector the 400,000 objects that collecting makes: they live until the end.

    From then on it looks less often: a simulated hour makes millions of objects that die by themselves.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(MADE_UNTIL_A_LOOK, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with files that take long, so that none of them is what all wait for in the end.

    Workers begin with equal shares of the list, one after the other, and take from each other's ends later.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.location[0], []).append(item)
    long = [file for file, inside in files.items() if any(one.get_closest_marker("slow") for one in inside)]
    others = [one for file, inside in files.items() if file not in long for one in inside]
    size, order = -(-len(items) // workers), list[pytest.Item]()
    for worker in range(workers):
        share = [one for file in long[worker::workers] for one in files[file]]
        taken = max(size - len(share), 0)
        order += [*share, *others[:taken]]
        others = others[taken:]
    items[:] = [*order, *others]
