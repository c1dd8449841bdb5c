"""What all tests share: how hard Hypothesis looks, and in which order they run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A deadline would fail tests on a busy machine; no test asserts a time of the wall clock.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=300)
settings.register_profile("nightly", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


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
