"""How a collector ends: drained on the first signal, at once on the second, and never with a candle less.

Each is a Python that was started for it, as a person's is: here the whole of its life counts.
"""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.processes.programs import PATIENCE_S, Collector, said
from tests.processes.scene import BITCOIN, SHARE, START, at_once, scene
from tests.processes.truth import differences, stored

WITHIN_S = 10.0
AT_ONCE_S = 2.0
SOME_MINUTES_BYTES = 12_000
SIGNALS = [(signal.SIGTERM, 0), (signal.SIGINT, 130)]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Take the store's write lock, as a program that never lets go of it does."""
    connection = sqlite3.connect(folder / "wickwire.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def in_order(folder: Path, number: signal.Signals, status: int) -> None:
    with scene(folder, 11) as there, there.collector(BITCOIN, SHARE, anew=True) as collector:
        collector.wait_for_candle_at([BITCOIN, SHARE], START)
        before = len(collector.errors)  # a busy machine may have been late to connect
        collector.send(number)
        assert collector.ended(WITHIN_S) == status
        # who waits three seconds for a processor is minutes late by a clock that runs so fast
        assert [line for line in collector.errors[before:] if "clock differs" not in line] == []
        assert there.relay.wait_closed(PATIENCE_S)
        assert [] == there.differences(collector.candles, BITCOIN, SHARE)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_a_signal_ends_it_in_order(tmp_path, number, status):
    """Everything printed is stored, the connections are closed, nothing is complained about from then on."""
    in_order(tmp_path, number=number, status=status)


def while_it_connects(folder: Path, number: signal.Signals, status: int) -> None:
    with scene(folder, 12) as there, there.collector(BITCOIN, anew=True) as collector:
        assert there.relay.wait_passed(1, PATIENCE_S)
        collector.send(number)
        assert collector.ended(WITHIN_S) == status


@pytest.mark.slow
def test_a_signal_while_it_connects_ends_it_too(tmp_path):
    at_once(
        tmp_path, *(partial(while_it_connects, number=number, status=status) for number, status in SIGNALS)
    )


@pytest.mark.nightly
def test_a_store_that_does_not_answer_delays_the_end_but_does_not_prevent_it(tmp_path):
    """It says that something is left to do, and the next start does it."""
    with scene(tmp_path, 13) as there:
        with there.collector(BITCOIN, anew=True) as collector:
            collector.wait_for_candles(2)
            with held(tmp_path):
                assert there.relay.wait_passed(SOME_MINUTES_BYTES, PATIENCE_S)
                collector.send(signal.SIGTERM)
                assert collector.ended(WITHIN_S) == 0
            assert "stopped before everything was stored" in collector.errors[-1]
            first = collector.candles
        with there.collector(BITCOIN, anew=True) as collector:
            there.finish(collector, BITCOIN)
            assert [] == there.differences([*first, *collector.candles], BITCOIN)


UNSCALED = ("--simulate", "--seed", 16, "--at", START)
"""Simulated venues in the same process, and the machine's own clock."""


def two_hours(folder: Path) -> Collector:
    """Collect what is there and two hours that lack, which come at once."""
    return Collector(BITCOIN, cwd=folder, redirects={}, options=(*UNSCALED, "--since", "2h"))


@pytest.mark.nightly
def test_a_store_locked_for_three_seconds_of_a_real_clock_costs_no_candle(tmp_path):
    assert said("collect", BITCOIN, *UNSCALED, "--for", "2s", cwd=tmp_path).returncode == 0
    with ExitStack() as lock:
        lock.enter_context(held(tmp_path))
        with two_hours(tmp_path) as collector:
            collector.wait_for_error("another process holds its write lock")
            threading.Event().wait(3.0)  # this is how long the fault lasts
            assert [] == collector.candles, "nothing is told that is not stored"
            lock.close()
            collector.wait_for_candle_at([BITCOIN], "2026-11-20T14:59:00Z")
            collector.send(signal.SIGTERM)
            assert collector.ended(WITHIN_S) == 0
            assert "stopped before" not in collector.errors[-1]
            assert [] == differences([BITCOIN], tmp_path, 16, collector.candles)


@pytest.mark.nightly
def test_a_store_locked_to_the_end_of_a_real_clock_does_not_prevent_it(tmp_path):
    """Seconds on the wall: the venue, the store's patience and the deadline of stopping are all real."""
    assert said("collect", BITCOIN, *UNSCALED, "--for", "2s", cwd=tmp_path).returncode == 0
    with held(tmp_path), two_hours(tmp_path) as collector:
        collector.wait_for_error("another process holds its write lock")
        collector.send(signal.SIGTERM)
        assert collector.ended(WITHIN_S) == 0
        assert "stopped before everything was stored" in collector.errors[-1]
        assert [] == collector.candles
    with two_hours(tmp_path) as collector:
        collector.wait_for_candle_at([BITCOIN], "2026-11-20T14:59:00Z")
        collector.send(signal.SIGTERM)
        assert collector.ended(WITHIN_S) == 0
        assert [] == differences([BITCOIN], tmp_path, 16, collector.candles)


def twice(folder: Path, number: signal.Signals) -> None:
    with scene(folder, 14) as there, there.collector(BITCOIN, anew=True) as collector:
        collector.wait_for_candles(2)
        with held(folder):
            assert there.relay.wait_passed(SOME_MINUTES_BYTES, PATIENCE_S)
            collector.send(number)
            assert there.relay.wait_closed(PATIENCE_S)
            collector.send(number)
            assert collector.ended(AT_ONCE_S) == -number  # a shell says 130 for Ctrl-C
        assert [] == there.differences(collector.candles, BITCOIN)


@pytest.mark.slow
def test_the_second_signal_waits_for_nothing(tmp_path):
    """A store that does not answer would hold it up for seconds."""
    at_once(tmp_path, *(partial(twice, number=number) for number, _ in SIGNALS))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [SIGNALS[0], pytest.param(*SIGNALS[1], marks=pytest.mark.nightly)]
)
def test_a_reader_that_stands_still_does_not_hold_it_up(tmp_path, number, status):
    """Candles go on to be stored while nobody reads what is printed, and a signal ends it as ever."""
    feeds = ("kraken:BTC/USD@trades", "kraken:ETH/USD@trades", "kraken:BTC/USD@quotes")
    with scene(tmp_path, 15) as there, there.collector(BITCOIN, *feeds, listen=False, anew=True) as collector:
        assert there.relay.wait_passed(SOME_MINUTES_BYTES, PATIENCE_S)
        full = there.venue.now()
        there.venue.wait_minutes(4)
        assert stored(BITCOIN, tmp_path)[-1]["open_time"] >= full
        collector.send(number)
        assert collector.ended(WITHIN_S) == status
        assert [] == there.differences([], BITCOIN)
