"""A resolver that does not answer: the collector says so, and ends when it is told to."""

from __future__ import annotations

import signal

import pytest

from tests.processes.machine import Machine
from tests.processes.programs import Collector
from tests.processes.scene import BITCOIN, START

WITHIN_S = 10.0
SPEED = 10.0
"""Ten seconds of patience with a venue are one."""


@pytest.mark.slow
def test_a_resolver_that_hangs_is_said_and_does_not_hold_up_the_end(tmp_path):
    """F66: the system's own resolver blocks a thread, for as long as it likes."""
    redirects = {
        "wss://ws.kraken.com": "wss://nowhere.invalid",
        "https://api.kraken.com": "https://nowhere.invalid",
    }
    with Machine(tmp_path, "machine", at=START, speed=SPEED) as machine:
        machine.names_resolve(well=False)
        with Collector(BITCOIN, cwd=tmp_path, redirects=redirects, prefix=machine.prefix) as collector:
            collector.wait_for_error("did not answer in time")
            collector.send(signal.SIGTERM)
            assert collector.ended(WITHIN_S) == 0
