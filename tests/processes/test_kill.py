"""SIGKILL at any instant: what was acknowledged is there, nothing is twice, nothing is silently missing."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.processes.scene import BITCOIN, ETHER, FIVE, SHARE, at_once, scene

SERIES = (BITCOIN, ETHER, FIVE, SHARE)
OPENING_BYTES = 150_000
"""What Kraken answers to the first questions of a collector, about."""
MINUTE_BYTES = 2_000
"""What it says in a minute of all series together, about."""


def kill_again_and_again(folder: Path, seed: int, times: int) -> None:
    """Kill a collector *times* times, at moments drawn from *seed*; judge what is left.

    A moment is a number of bytes that Kraken has sent: in the opening, mostly early in it, or later on.
    """
    rng = random.Random(seed)
    acknowledged: list[dict[str, Any]] = []
    with scene(folder, seed) as there:
        for _ in range(times):
            with there.collector(*SERIES) as collector:
                if rng.random() < 0.4:
                    there.relay.after(int(OPENING_BYTES ** rng.random()), collector.process.kill)
                else:
                    collector.wait_for_candles(rng.randrange(1, 5))
                    there.relay.after(rng.randrange(1, MINUTE_BYTES), collector.process.kill)
                assert collector.ended() == -9
                acknowledged += collector.candles
        with there.collector(*SERIES) as collector:
            there.finish(collector, *SERIES)
            acknowledged += collector.candles
        assert [] == there.differences(acknowledged, *SERIES)


@pytest.mark.slow
def test_a_collector_that_is_killed_twenty_times_leaves_everything_whole(tmp_path):
    """The venues go on meanwhile; each restart brings what closed while nobody was there."""
    at_once(tmp_path, *(partial(kill_again_and_again, seed=seed, times=5) for seed in range(4)))


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(25))
def test_a_collector_that_is_killed_forty_times_leaves_everything_whole(tmp_path, seed):
    """A thousand times in all."""
    kill_again_and_again(tmp_path, 100 + seed, 40)
