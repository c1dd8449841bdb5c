"""Numbers that no venue sends cost no more than their length (F14)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("venue", ["alpaca", "coinbase", "dxlink", "kraken"])
def test_a_million_digits_and_any_exponent_are_read_or_refused_in_bounded_time_and_memory(venue):
    """In hundreds of messages; the process that reads them dies where one takes too much of either."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tests/adapters/monsters.py"), venue],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout) > 100
