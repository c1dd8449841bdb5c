"""A script of somebody else's that has no event loop: it waits for what comes, for so long at most."""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from typing import TextIO, assert_type

from wickwire import (
    BlockingCollector,
    BlockingHistoryReader,
    BlockingPages,
    BlockingReader,
    BlockingSeriesReader,
    Collector,
    Health,
    LogFormatter,
    PastCandles,
    Series,
    SeriesCandle,
)


def log_to(stream: TextIO) -> logging.Handler:
    """Return what writes warnings of wickwire to *stream*, with all that they say."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger("wickwire").addHandler(handler)
    return handler


class Script:
    """Collects one series until so many candles were closed."""

    def __init__(
        self,
        make: Callable[[], Collector],
        series: str,
        loop: Callable[[], AbstractEventLoop] | None = None,
    ) -> None:
        """Collect *series* with what *make* makes, in the thread that runs it, on a *loop* of its own."""
        self.collector = BlockingCollector(make, timeout=60.0, loop_factory=loop)
        self.series = series
        self.heard: list[SeriesCandle] = []
        self.closes: list[str] = []
        self.past = 0
        self.kept: Sequence[SeriesCandle] = ()

    def run(self, count: int) -> Health:
        """Return how it was doing in the end."""
        with self.collector as collector:
            collector.on_candle(self.heard.append)
            name = assert_type(collector.add(self.series), Series)
            candles = assert_type(collector.candles(name), BlockingReader[SeriesCandle])
            with candles:
                self.closes = [str(next(candles).close) for _ in range(count)]
            pages: BlockingPages[PastCandles] = collector.walk(name, "1h")
            self.past = sum(len(page.candles) for page in pages)
            stored: BlockingHistoryReader = collector.history(name, "1h")
            with stored:
                self.past += sum(len(page) for page in stored) - len(stored.holes or ())
            reader: BlockingSeriesReader = collector.reader(name)
            self.kept = reader.range("1h")
            return assert_type(collector.health(), Health)
