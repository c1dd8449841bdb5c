"""A network that dies, mutes or dawdles between collector and venue: it recovers, and everything is whole."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.programs import PATIENCE_S
from tests.processes.relay import Line
from tests.processes.scene import BITCOIN, ETHER, FIVE, Scene, at_once, scene

SERIES = (BITCOIN, ETHER)
MINUTES = 5
"""How long a fault lasts."""


def judged(there: Scene, line: Line, *series: str) -> None:
    """Let *line* be so for some minutes; then everything has to come back and be whole."""
    with there.collector(*series) as collector:
        collector.wait_for_candles(2)
        there.relay.become(line)
        there.venue.wait_minutes(MINUTES)
        there.relay.become(Line.WHOLE)
        there.finish(collector, *series)
        assert [] == [error for error in collector.errors if "bug" in error or "Traceback" in error]
        assert [] == there.differences(collector.candles, *series)


def lasting(line: Line) -> Callable[[Path], None]:
    """Return the test of a line that is so for some minutes."""

    def test(folder: Path) -> None:
        with scene(folder, 21) as there:
            judged(there, line, *SERIES)

    return test


@pytest.mark.slow
def test_a_fault_of_five_minutes_leaves_everything_whole(tmp_path):
    """A dead line, a mute stream, one that trickles, and a venue that refuses whoever comes."""
    at_once(tmp_path, *map(lasting, (Line.DEAD, Line.MUTE, Line.TRICKLING, Line.REFUSING)))


@pytest.mark.slow
def test_a_muted_stream_is_replaced_by_polling_and_comes_back(tmp_path):
    """What closed meanwhile came from history; what comes afterwards comes from the stream again."""
    with scene(tmp_path, 22) as there, there.collector(BITCOIN) as collector:
        collector.wait_until(
            lambda: "stream" in {one["route"] for one in collector.candles}, "a streamed candle"
        )
        there.relay.become(Line.MUTE)
        collector.wait_until(lambda: collector.candles[-1]["route"] == "poll", "a polled candle")
        there.relay.become(Line.WHOLE)
        collector.wait_until(lambda: collector.candles[-1]["route"] == "stream", "a streamed candle again")
        there.finish(collector, BITCOIN)
        assert [] == there.differences(collector.candles, BITCOIN)


@pytest.mark.slow
def test_cuts_in_the_middle_of_messages_leave_everything_whole(tmp_path):
    """Ten resets, each after another number of bytes: in the handshake, in snapshots, in updates."""
    with scene(tmp_path, 23) as there, there.collector(*SERIES) as collector:
        for count in (1, 90, 700, 2_500, 2_501, 4_000, 5_003, 7_001, 7_777, 9_001):
            there.relay.after(count, there.relay.reset)
            assert there.relay.wait_passed(count, PATIENCE_S)
        there.finish(collector, *SERIES)
        assert [] == there.differences(collector.candles, *SERIES)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(6))
def test_faults_in_any_order_leave_everything_whole(tmp_path, seed):
    rng = random.Random(seed)
    with scene(tmp_path, seed) as there, there.collector(*SERIES, FIVE) as collector:
        for _ in range(20):
            line = rng.choice(list(Line))
            there.relay.become(line)
            there.venue.wait_minutes(rng.randrange(1, 6))
            if rng.random() < 1 / 3:
                there.relay.reset()
        there.relay.become(Line.WHOLE)
        there.finish(collector, *SERIES, FIVE)
        assert [] == there.differences(collector.candles, *SERIES, FIVE)


@pytest.mark.nightly
def test_a_collector_that_was_asleep_makes_good_what_it_slept_through(tmp_path):
    """Its connections are dead when it wakes, and it is late; on clocks that did not jump, see test_clock."""
    with scene(tmp_path, 24) as there, there.collector(*SERIES) as collector:
        collector.wait_for_candles(2)
        collector.send(signal.SIGSTOP)
        there.venue.wait_minutes(MINUTES)
        there.relay.reset()
        collector.send(signal.SIGCONT)
        there.finish(collector, *SERIES)
        assert [] == there.differences(collector.candles, *SERIES)
