"""A whole collector on a server that dies under it, beside a second one, against the venue's truth."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.plugins.postgres.server import Server, new_server

WICKWIRE = [sys.executable, "-c", "from wickwire.cli import main; main()"]
SERIES = ["kraken:BTC/USD@1m", "kraken:ETH/USD@1m"]
START = ["--simulate", "--at", "2026-11-20T12:00Z", "--since", "2026-11-20T11:00Z"]


def rows(url: str) -> list[str]:
    """What the candles of the first seventy minutes say, without how they were obtained."""
    span = ["--since", "2026-11-20T11:00Z", "--until", "2026-11-20T12:10Z"]
    told = subprocess.run(
        [*WICKWIRE, "export", "--store", url, *SERIES, *span], check=True, capture_output=True, text=True
    )
    return sorted(",".join(line.split(",")[:8]) for line in told.stdout.splitlines())


def stored(server: Server) -> int:
    try:
        return int(server.psql("SELECT last_seq FROM collected.sequence"))
    except subprocess.CalledProcessError:  # nobody has made it yet
        return 0


@pytest.mark.slow
def test_two_collectors_on_a_server_that_is_killed_hold_what_the_venue_says():
    """Each minute passes in two seconds; the server is away for three of them, and then for one."""
    server = new_server()
    url = f"{server.url}?schema=collected"
    command = [*WICKWIRE, "collect", *SERIES, *START, "--speed", "30", "--until", "2026-11-20T12:12Z"]
    try:
        with (
            subprocess.Popen([*command, "--store", url], stdout=subprocess.PIPE, text=True) as one,
            subprocess.Popen([*command, "--store", url], stdout=subprocess.PIPE, text=True) as other,
        ):
            for enough, down_s in ((2 * 61, 3.0), (2 * 64, 1.0)):
                while stored(server) < enough:
                    time.sleep(0.3)
                server.kill()
                time.sleep(down_s)
                server.start()
            told = [process.communicate()[0].splitlines() for process in (one, other)]
            assert (0, 0) == (one.returncode, other.returncode)
        assert all(len(lines) == len({*lines}) for lines in told)
        truth = f"{server.url}?schema=truth"
        again = ["--simulate", "--at", "2026-11-20T13:00Z", "--since", "2026-11-20T11:00Z"]
        subprocess.run([*WICKWIRE, "backfill", *SERIES, *again, "--store", truth], check=True)
        assert len(rows(truth)) > 120
        assert rows(truth) == rows(url)
        twice = "SELECT count(*) - count(DISTINCT seq) FROM collected.closed"
        assert server.psql(twice) == "0"
    finally:
        server.stop()
