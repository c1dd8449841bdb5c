"""Collectors on a wall clock that jumps: with the machine's sleep, by hand, by a time server."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.programs import Collector, Venue
from tests.processes.relay import Relay
from tests.processes.scene import BITCOIN, SHARE, at_once, scene_with_a_machine
from tests.processes.truth import differences

pytestmark = pytest.mark.slow

SERIES = (BITCOIN, SHARE)
MINUTES = 5
HOUR_S = 3_600.0


def slept(folder: Path) -> None:
    """Let it sleep through some minutes, and wake late by both of its clocks, with dead connections."""
    with scene_with_a_machine(folder, 81) as (there, _), there.collector(*SERIES) as collector:
        collector.wait_for_candles(2)
        collector.send(signal.SIGSTOP)
        there.venue.wait_minutes(MINUTES)
        there.relay.reset()
        collector.send(signal.SIGCONT)
        there.finish(collector, *SERIES)
        assert [] == there.differences(collector.candles, *SERIES)


def jumped(wrong_by_s: float) -> Callable[[Path], None]:
    """Return the test of a wall clock that is wrong for some minutes; that is said as long as it is so."""

    def test(folder: Path) -> None:
        with scene_with_a_machine(folder, 82) as (there, machine), there.collector(*SERIES) as collector:
            collector.wait_for_candles(2)
            machine.set_clock(wrong_by_s)
            collector.wait_for_error("clock")
            there.venue.wait_minutes(MINUTES)
            machine.set_clock(0.0)
            there.finish(collector, *SERIES)
            assert [] == there.differences(collector.candles, *SERIES)

    return test


def test_whatever_a_clock_does_nothing_is_lost_and_nothing_is_in_a_wrong_bucket(tmp_path):
    """F58, F59: five minutes of sleep, and an hour forward and back, each on a machine of its own."""
    at_once(tmp_path, slept, jumped(HOUR_S), jumped(-HOUR_S))


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_five_minutes_of_sleep_by_the_clock_on_the_wall_are_made_good(tmp_path):
    """F58: nothing here goes faster than it does everywhere."""
    with (
        Venue("kraken", seed=83, cwd=tmp_path, speed=1.0) as venue,
        Relay(venue.port("kraken")) as relay,
        Collector(BITCOIN, cwd=tmp_path, redirects=venue.through(kraken=relay.port)) as collector,
    ):
        collector.wait_for_candles(1)
        collector.send(signal.SIGSTOP)
        venue.wait_minutes(MINUTES)
        relay.reset()
        collector.send(signal.SIGCONT)
        collector.wait_for_candle_at([BITCOIN], venue.now()[:-3] + "00Z")
        collector.process.terminate()
        assert collector.ended() == 0
    assert [] == differences([BITCOIN], tmp_path, 83, collector.candles)
