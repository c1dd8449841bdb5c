"""The transport as a whole: what it loads and when."""

from __future__ import annotations

import subprocess
import sys


def test_the_libraries_load_when_first_used():
    """`wickwire --help` and adapters alone pay for neither."""
    script = """
import sys
from wickwire.clock import SystemClock
from wickwire.transport.net import NetTransport
NetTransport(clock=SystemClock(), redirects={"wss://ws.example.com": "ws://127.0.0.1:1"})
print(sorted({"certifi", "httpx", "websockets"} & {name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
