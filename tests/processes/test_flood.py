"""A venue that sends faster than anybody can store: nothing is lost, memory is bounded, signals are heard."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes.flood import FRAMES_A_MINUTE
from tests.processes.programs import Collector
from tests.processes.scene import BITCOIN
from tests.processes.truth import holes, stored
from wickwire import MINUTE_NS, iso

FLOOD = Path(__file__).with_name("flood.py")
FIRST_MINUTE = 29_919_600
"""2026-11-20T13:00Z"""
MOST_KIB = 80 * 1024
"""An idle collector takes some 45 MiB; the frames alone would take 80."""


@contextmanager
def flooded(folder: Path, frames: int) -> Iterator[Collector]:
    """A collector at a venue that sends *frames* at once; its clock says what the last one says."""
    command = [sys.executable, str(FLOOD), str(frames), str(FIRST_MINUTE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as venue:
        try:
            assert venue.stdout is not None
            port = int(venue.stdout.readline())
            clock = iso((FIRST_MINUTE + frames // FRAMES_A_MINUTE) * MINUTE_NS)
            since = iso(FIRST_MINUTE * MINUTE_NS)
            redirects = {
                "wss://ws.kraken.com": f"ws://127.0.0.1:{port}",
                "https://api.kraken.com": f"http://127.0.0.1:{port}",
            }
            options = ("--at", clock, "--since", since)
            with Collector(BITCOIN, cwd=folder, redirects=redirects, options=options, anew=True) as collector:
                yield collector
        finally:
            venue.kill()


@pytest.mark.slow
def test_a_flood_is_stored_whole_in_bounded_memory(tmp_path):
    """200,000 frames, each fiftieth of which closes a candle."""
    minutes = 4_000
    with flooded(tmp_path, minutes * FRAMES_A_MINUTE) as collector:
        collector.wait_for_candles(minutes - 1)
        assert collector.peak_kib < MOST_KIB
        collector.send(signal.SIGTERM)
        assert collector.ended() == 0
    rows = stored(BITCOIN, tmp_path)
    times = [iso((FIRST_MINUTE + minute) * MINUTE_NS) for minute in range(minutes - 1)]
    assert times == [row["open_time"] for row in rows]
    assert [f"{minute + FRAMES_A_MINUTE - 1}.5" for minute in range(minutes - 1)] == [
        row["close"] for row in rows
    ]
    assert holes([BITCOIN], tmp_path)[0] == 0


@pytest.mark.slow
def test_ctrl_c_ends_it_in_the_middle_of_a_flood(tmp_path):
    """What was acknowledged until then is stored."""
    with flooded(tmp_path, 200_000) as collector:
        collector.wait_for_candles(500)
        collector.send(signal.SIGINT)
        assert collector.ended(10.0) == 130
        rows = {row["open_time"]: row["close"] for row in stored(BITCOIN, tmp_path)}
    assert len(collector.candles) >= 500
    assert all(rows.get(candle["open_time"]) == candle["close"] for candle in collector.candles)
