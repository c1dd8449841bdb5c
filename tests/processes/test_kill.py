"""SIGKILL at any instant: what was acknowledged is there, nothing is twice, nothing is missing unexplained."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.processes.programs import SPEED, Collector, Venue
from tests.processes.relay import Relay
from tests.processes.truth import differences

KRAKEN = ("kraken:BTC/USD@1m", "kraken:ETH/USD@1m", "kraken:BTC/USD@5m")
YAHOO = "yahoo:AAPL@1m"
START = "2026-11-20T15:00:00Z"
MOST_BYTES = 40_000
"""About what a venue says in ten seconds of the test, with its answers to the first questions."""


def kill_again_and_again(folder: Path, seed: int, times: int, *series: str) -> None:
    """Kill a collector *times* times, each after a number of bytes drawn from *seed*; judge what is left."""
    rng = random.Random(seed)
    acknowledged: list[dict[str, Any]] = []
    with Venue("kraken", "yahoo", at=START, seed=seed, cwd=folder) as venue, Relay(venue.port("kraken")) as relay:

        def collecting() -> Collector:
            options = ("--at", venue.now(), "--speed", SPEED)
            return Collector(*series, cwd=folder, redirects=venue.through(kraken=relay.port), options=options)

        for _ in range(times):
            with collecting() as collector:
                relay.after(int(MOST_BYTES ** rng.uniform(0.3, 1)), collector.process.kill)
                assert collector.ended() == -9
                acknowledged += collector.candles
        with collecting() as collector:
            collector.wait_for_candle_at(series, venue.now())
            collector.process.terminate()
            assert collector.ended() == 0
            acknowledged += collector.candles
    assert [] == [line for name in series for line in differences(name, folder, seed, acknowledged)]


@pytest.mark.slow
def test_a_collector_that_is_killed_six_times_leaves_everything_whole(tmp_path):
    """The venues go on meanwhile; each restart brings what closed while nobody was there."""
    kill_again_and_again(tmp_path, 6, 6, *KRAKEN, YAHOO)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_a_collector_that_is_killed_forty_times_leaves_everything_whole(tmp_path, seed):
    kill_again_and_again(tmp_path, seed, 40, *KRAKEN, YAHOO)
