"""A cable that is pulled out between two networks: nobody is told, and it is found out in time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HALF_OPEN = Path(__file__).with_name("half_open.py")
LIMIT_S = 10.0
"""How long Kraken may be silent: two of our pings, of four seconds each, have to fit into it."""
PATIENCE_S = 90.0
UNSHARE = ("unshare", "-rn")


def skip_where_there_are_no_networks() -> None:
    if shutil.which("ip") is None:
        pytest.skip("a network of its own needs the command ip")
    if shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"], check=False).returncode:
        pytest.skip("a network of its own needs user namespaces (unshare -rn)")


@pytest.mark.slow
def test_a_link_that_goes_down_is_found_out_within_the_limit_of_silence(tmp_path):
    """F1: a minute without it; when it is up again data flows, and nothing is missing."""
    skip_where_there_are_no_networks()

    ran = subprocess.run(
        [*UNSHARE, sys.executable, str(HALF_OPEN)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["detected_s"] <= LIMIT_S + 1.0
    assert told["holes"] == 0
    assert told["candles"] >= 3
    assert told["late_s"] < 120
