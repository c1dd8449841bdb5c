"""What one event costs, from the socket to the store, beside a bare loop on the same frames in the same run.

`make bench` runs it. Figures are CPU time of this process per event, medians over alternating rounds; on a
shared machine only the ratios within one run travel. No test asserts any of them.

The bare loop is `websockets` with msgspec decoding into typed structures. What our path costs beside the
transport is its time less that of receiving the same frames through the same transport and dropping them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import statistics
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import steps
from tests.benchmarks.paths import CASES, bare, collected, received, server

STORED = {"ohlc1"}
"""Trades are handed on and not stored."""
Path = Callable[[], Coroutine[Any, Any, float]]


def alternating(paths: dict[str, Path], rounds: int) -> dict[str, list[float]]:
    """Run *paths* in turn, every other round the other way round; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds):
        order = list(paths) if number % 2 == 0 else list(reversed(paths))
        for name in order:
            seconds[name].append(asyncio.run(paths[name]()))
    return seconds


def shown(column: Sequence[float]) -> str:
    """Return median, lowest and highest."""
    return f"{statistics.median(column):.2f} ({min(column):.1f}..{max(column):.1f})"


def between(more: Sequence[float], less: Sequence[float]) -> list[float]:
    """Return the differences, round by round."""
    return [one - other for one, other in zip(more, less, strict=True)]


def ratio(more: Sequence[float], less: Sequence[float]) -> str:
    """Return the median of the quotients, round by round."""
    return f"{statistics.median(one / other for one, other in zip(more, less, strict=True)):.2f}"


def sockets(rounds: int, count: int, rate: float, console: Console) -> None:
    """Measure the whole way from a socket, and print it."""
    pace = f"paced at {rate:,.0f} frames/s" if rate else "flood"
    table = Table(title=f"CPU µs per event, {pace}, median of {rounds} rounds (lowest..highest)")
    names = (
        *("frames", "receive only", "bare loop", "session, ledger", "to bare"),
        *("beside transport", "into SQLite", "to bare"),
    )
    for name in names:
        table.add_column(name, justify="left" if name == "frames" else "right")
    with server() as port, tempfile.TemporaryDirectory() as folder:
        for kind, events in CASES.items():
            frames, number = max(count // events, 200), 0

            def stored(kind: str = kind, frames: int = frames) -> Coroutine[Any, Any, float]:
                nonlocal number
                number += 1
                url = f"sqlite:{folder}/{kind}-{rate:g}-{number}.db"
                return collected(port, kind, frames, rate, url)

            paths: dict[str, Path] = {
                name: partial(path, port, kind, frames, rate)
                for name, path in (("received", received), ("bare", bare), ("collected", collected))
            }
            if kind in STORED:
                paths["stored"] = stored
            took = {
                name: [seconds / frames / events * 1e6 for seconds in column]
                for name, column in alternating(paths, rounds).items()
            }
            ours, base = took["collected"], took["bare"]
            cells = [shown(took["received"]), shown(base), shown(ours), ratio(ours, base)]
            cells.append(shown(between(ours, took["received"])))
            if kind in STORED:
                cells += [shown(took["stored"]), ratio(took["stored"], base)]
            else:
                cells += ["not stored", ""]
            table.add_row(kind, *cells)
    console.print(table)


def in_memory(rounds: int, count: int, console: Console) -> None:
    """Measure each step between transport and ledger, and print it."""
    table = Table(title=f"CPU µs per event and step, in memory, median of {rounds} rounds (budget)")
    for name in ("frames", *steps.STEPS, "ours in all"):
        table.add_column(name, justify="left" if name == "frames" else "right")
    taken: dict[str, list[list[float]]] = {kind: [] for kind in CASES}
    for _ in range(rounds):
        for kind, events in CASES.items():
            taken[kind].append(steps.measure(kind, events, max(count // events, 200)))
    for kind, runs in taken.items():
        cells = []
        for column, budget in zip(zip(*runs, strict=True), steps.BUDGET[kind], strict=True):
            cells.append(f"{statistics.median(column):.2f}" + ("" if budget is None else f" ({budget:g})"))
        table.add_row(kind, *cells)
    console.print(table)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=50_000, help="events per run, flooding")
    parser.add_argument(
        "--paced", type=float, default=10_000.0, help="frames a second; 0 leaves this part out"
    )
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # that there is no history is said often enough
    console = Console(width=140)
    in_memory(arguments.rounds, arguments.events // 2, console)
    sockets(arguments.rounds, arguments.events, 0.0, console)
    if arguments.paced:
        sockets(arguments.rounds, arguments.events // 2, arguments.paced, console)


if __name__ == "__main__":
    main()
