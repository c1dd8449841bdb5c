"""What the tests of stores commit: batches that are always the same, and processes that commit them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from wickwire import MINUTE_NS, Candle, Change, Closing, Evidence, Hole, Rung, Series, SeriesState, Timeframe

WIDTH = 3
"""New candles a series in a batch; from the second on, one more revises the last of the batch before."""
NEWS_OF_FIRST, NEWS_OF_OTHERS = 2 * WIDTH, 2 * (WIDTH + 1)
ROOT = Path(__file__).resolve().parents[2]
START = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def both(venue: str) -> list[Series]:
    """The two series that every batch changes together."""
    return [Series(venue, symbol, Timeframe.parse("1m")) for symbol in ("A", "B")]


def closing(series: Series, minute: int, number: int, evidence: Evidence = Evidence.SUCCESSOR) -> Closing:
    """One candle; its price tells which batch wrote it."""
    opens, price = minute * MINUTE_NS, Decimal(number) + Decimal("0.50")
    candle = Candle(
        series.symbol, series.timeframe, opens, opens + MINUTE_NS, price, price, price, price, Decimal(minute)
    )
    return Closing(candle, evidence, Rung.STREAM)


def batch(venue: str, number: int) -> list[Change]:
    """Batch *number*, always the same."""
    first = number * WIDTH
    changes = []
    for series in both(venue):
        closings = [closing(series, first + step, number) for step in range(WIDTH)]
        if number:
            closings.append(closing(series, first - 1, number, Evidence.HISTORY))
        holes = (Hole(-MINUTE_NS * (number + 1), 0),)
        state = SeriesState(
            series=series, origin_ns=-(10**15), frontier_ns=(first + WIDTH) * MINUTE_NS, holes=holes
        )
        changes.append(Change(state=state, closings=closings))
    return changes


def command(module: str, *arguments: object) -> list[str]:
    """What runs a module of the tests in a process of its own, wherever that begins."""
    return [sys.executable, "-c", START, str(ROOT), module, *map(str, arguments)]


@contextmanager
def running(module: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that commits, killed at the latest when the block ends."""
    with subprocess.Popen(command(module, *arguments), stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()
