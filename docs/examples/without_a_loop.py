"""Collects in a thread of its own, for programs without an event loop: `python without_a_loop.py`."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from wickwire import MINUTE_NS, BlockingCollector, Collector, SeriesCandle

SERIES = "kraken:BTC/USD@1m"


def run(collector: BlockingCollector, count: int = 3, timeout: float = 90.0) -> None:
    """Print *count* candles, each of them waited for at most *timeout* seconds, and what was there before."""
    stored = SimpleQueue[tuple[SeriesCandle, str]]()

    def store(candle: SeriesCandle) -> None:
        """Take a closed candle; it may block, as its thread is no other's."""
        stored.put((candle, threading.current_thread().name))

    with collector:
        collector.add(SERIES, timeout=30)
        collector.on_candle(store)
        candles = collector.candles(timeout=timeout)
        found = list[SeriesCandle]()
        while len(found) < count:
            try:
                found.append(next(candles))
            except TimeoutError:
                print("nothing new:", collector.health().series[0])
            else:
                print(found[-1].open_time, found[-1].close, found[-1].evidence)
        for page in collector.history(SERIES, found[0].open_ns - 3 * MINUTE_NS, found[0].open_ns):
            print(len(page), "before that")
        candle, thread = stored.get()
        print(candle.open_time, "was stored in", thread)


if __name__ == "__main__":
    run(BlockingCollector(Collector("sqlite:candles.db")))
