"""What tests of several files here begin with."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.framework.blocking_stage import PATIENCE_S, quick, simulated
from wickwire import BlockingCollector


@pytest.fixture
def collector() -> Iterator[BlockingCollector]:
    """One in a thread of its own, of which nothing is left afterwards."""
    with BlockingCollector(simulated(), loop_factory=quick, timeout=PATIENCE_S) as running:
        yield running
    assert [] == [one.name for one in threading.enumerate() if one.name.startswith("wickwire")]
