"""Collectors on a wall clock that jumps: with the machine's sleep, by hand, by a time server."""

from __future__ import annotations

import signal

import pytest

from tests.processes.scene import BITCOIN, ETHER, FIVE, SHARE, scene_with_a_machine

pytestmark = pytest.mark.slow

SERIES = (BITCOIN, ETHER, FIVE, SHARE)
MINUTES = 5
HOUR_S = 3_600.0


def test_a_collector_that_slept_while_time_went_on_makes_good_what_it_missed(tmp_path):
    """F58: it wakes five minutes later by both of its clocks, and its connections are dead."""
    with scene_with_a_machine(tmp_path, 81) as (there, _), there.collector(*SERIES) as collector:
        collector.wait_for_candles(4)
        collector.send(signal.SIGSTOP)
        there.venue.wait_minutes(MINUTES)
        there.relay.reset()
        collector.send(signal.SIGCONT)
        there.finish(collector, *SERIES)
        assert [] == there.differences(collector.candles, *SERIES)


@pytest.mark.parametrize("wrong_by_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
def test_a_clock_that_jumps_an_hour_and_is_set_right_puts_nothing_into_a_wrong_bucket(tmp_path, wrong_by_s):
    """F59: and it is said, as long as it is so."""
    with scene_with_a_machine(tmp_path, 82) as (there, machine), there.collector(*SERIES) as collector:
        collector.wait_for_candles(4)
        machine.set_clock(wrong_by_s)
        collector.wait_for_error("clock")
        there.venue.wait_minutes(MINUTES)
        machine.set_clock(0.0)
        there.finish(collector, *SERIES)
        assert [] == there.differences(collector.candles, *SERIES)
