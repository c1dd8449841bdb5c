"""A collector that may open no more files, or take no more memory: it says so, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.scene import BITCOIN, ETHER, at_once, scene

pytestmark = pytest.mark.slow

PLENTY = 1_024
SERIES = (BITCOIN, ETHER)


def without_descriptors(folder: Path) -> None:
    """Cut its connections while no socket can be opened; it goes on when one can."""
    with scene(folder, 91) as there, there.collector(*SERIES) as collector:
        collector.wait_for_candles(2)
        collector.limit_descriptors(0)
        there.relay.reset()
        collector.wait_for_error("too many open files")
        there.venue.wait_minutes(3)
        collector.limit_descriptors(PLENTY)
        there.finish(collector, *SERIES)
        assert [] == [error for error in collector.errors if "Traceback" in error]
        assert [] == there.differences(collector.candles, *SERIES)


def without_memory(folder: Path) -> None:
    """Let it take hardly any more: it goes on, or ends with a status that says so; the next one is whole."""
    told = []
    with scene(folder, 92) as there:
        with there.collector(*SERIES, anew=True) as collector:
            collector.wait_for_candles(2)
            collector.limit_memory(0)
            there.relay.reset()
            there.venue.wait_minutes(4)
            status = collector.process.poll()
            assert status != 0
            assert status is None or collector.errors
            collector.process.kill()
            collector.ended()
            told += collector.candles
        with there.collector(*SERIES) as collector:
            there.finish(collector, *SERIES)
            assert [] == there.differences([*told, *collector.candles], *SERIES)


def test_a_collector_under_a_limit_says_so_and_loses_nothing(tmp_path):
    """F67."""
    at_once(tmp_path, without_descriptors, without_memory)
