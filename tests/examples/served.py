"""docs/examples/fastapi_service.py as it runs, but with venues on loopback and a clock as fast as theirs.

python -m tests.examples.served PORT SPEED START_NS STORE REDIRECTS
"""

from __future__ import annotations

import json
import sys

from tests.examples.loading import loaded
from wickwire import Collector, HotMemory
from wickwire.simulate.loops import run_scaled, running_clock

PATIENCE_S = 600
"""Simulated: a machine that is busy for ten seconds ends nothing."""


async def serve(port: int, store: str, redirects: dict[str, str]) -> None:
    example = loaded("fastapi_service")
    collector = Collector(
        store,
        hot=HotMemory(),
        redirects=redirects,
        confined="these are simulated venues,",
        clock=running_clock(),
        world="simulated venues",
    )
    app = example.service(collector, drain_s=PATIENCE_S)
    await example.Server(app, port=port, patience_s=PATIENCE_S).serve()


if __name__ == "__main__":
    port, speed, start_ns, store, redirects = sys.argv[1:]
    run_scaled(serve(int(port), store, json.loads(redirects)), float(speed), start_ns=int(start_ns))
