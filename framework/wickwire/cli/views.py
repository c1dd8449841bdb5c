"""What a person or a program sees while candles are collected: a live table, plain lines, or JSON lines."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from wickwire.cli.door import printable
from wickwire.cli.lines import (
    candle_json,
    candle_line,
    json_line,
    quote_json,
    quote_line,
    switch_line,
    trade_json,
    trade_line,
)
from wickwire.cli.outlet import Outlet, OutletFile
from wickwire.cli.tables import console, health_table, on_terminal
from wickwire.collector import Collector
from wickwire.fanout import FeedReader
from wickwire.model import Feed, Series, SeriesCandle, SeriesQuote, SeriesTrade
from wickwire.news import Switch
from wickwire.scope import children

if TYPE_CHECKING:
    from rich.live import Live

    from wickwire.cli.runs import Stop

__all__ = ["JsonView", "LineView", "TableView", "View", "view_of"]

SHOWN_SWITCHES: Final = 4

T = TypeVar("T", SeriesTrade, SeriesQuote)


class View(ABC):
    """Shows what a collector does, one line for each thing that happens.

    Nothing here waits for whoever reads: a slow reader gets candles later, from the store, and loses trades
    and quotes.

    Attributes:
        every_s: How often `refresh` wants to be called, in seconds on the wall.
        collector: What it looks at; None before `watch`.
        outlet: What writes to stdout.
    """

    every_s = 0.25

    def __init__(self, stop: Stop, note: str = "") -> None:
        """Show until *stop*; must be made in a running loop."""
        self.outlet = Outlet(stop)
        self.collector: Collector | None = None
        self._note = note
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Be visible as long as the block runs, which is longer than the collector's.

        Raises:
            ConfigError: Stdout cannot be written.
        """
        if self._note:
            self.say(self._note)
        try:
            async with children() as tasks:
                self._tasks = tasks
                yield
        finally:
            self.outlet.finish()

    def watch(self, collector: Collector) -> None:
        """Look at *collector*, which has just started."""
        self.collector = collector
        collector.on_candle(self._candle, name="stdout")
        collector.on_switch(self.switch)

    def follow(self, series: Series) -> None:
        """Show the trades or quotes of *series*, which was added."""
        assert self.collector is not None
        assert self._tasks is not None
        collector, name = self.collector, f"stdout of {series}"
        if series.what is Feed.TRADES:
            self._tasks.create_task(self._read(collector.trades(series, name=name), self.trade))
        elif series.what is Feed.QUOTES:
            self._tasks.create_task(self._read(collector.quotes(series, name=name), self.quote))

    async def _candle(self, candle: SeriesCandle) -> None:
        await self._put(self.candle(candle))

    async def _read(self, reader: FeedReader[T], line: Callable[[T], str]) -> None:
        async for item in reader:
            await self._put(line(item))

    async def _put(self, line: str) -> None:
        if line:
            await self.outlet.put(f"{line}\n")

    @abstractmethod
    def candle(self, candle: SeriesCandle) -> str:
        """Return the line for a closed candle; none where it is empty."""

    @abstractmethod
    def trade(self, trade: SeriesTrade) -> str:
        """Return the line for a trade."""

    @abstractmethod
    def quote(self, quote: SeriesQuote) -> str:
        """Return the line for a quote."""

    @abstractmethod
    def switch(self, switch: Switch) -> None:
        """Show a change of route."""

    @abstractmethod
    def refresh(self) -> None:
        """Show how things are now."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Show a line for people."""


class JsonView(View):
    """One JSON value a line for each closed candle, trade or quote, and nothing else on stdout."""

    def candle(self, candle: SeriesCandle) -> str:
        """Return a closed candle."""
        return json_line(candle_json(candle))

    def trade(self, trade: SeriesTrade) -> str:
        """Return a trade."""
        return json_line(trade_json(trade))

    def quote(self, quote: SeriesQuote) -> str:
        """Return a quote."""
        return json_line(quote_json(quote))

    def switch(self, switch: Switch) -> None:
        """Leave it to the log."""

    def refresh(self) -> None:
        """Say nothing: each value stands for itself."""

    def say(self, line: str) -> None:
        """Say nothing: this is for programs."""


class LineView(View):
    """A line for each closed candle, trade, quote, and change of route."""

    def candle(self, candle: SeriesCandle) -> str:
        """Return a closed candle."""
        return printable(candle_line(candle))

    def trade(self, trade: SeriesTrade) -> str:
        """Return a trade."""
        return printable(trade_line(trade))

    def quote(self, quote: SeriesQuote) -> str:
        """Return a quote."""
        return printable(quote_line(quote))

    def switch(self, switch: Switch) -> None:
        """Write a change of route."""
        self.say(switch_line(switch))

    def refresh(self) -> None:
        """Say nothing: what was written stays."""

    def say(self, line: str) -> None:
        """Write it."""
        self.outlet.tell(f"{printable(line)}\n")


class TableView(View):
    """A table on a terminal, drawn anew while it changes; the last one stays."""

    def __init__(self, stop: Stop, note: str = "") -> None:
        """Show nothing yet."""
        super().__init__(stop, note)
        self._switches: list[Switch] = []
        self._live: Live | None = None

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Own the terminal's last lines."""
        from rich.live import Live

        async with super().shown():
            there = console(OutletFile(self.outlet))
            with Live(console=there, auto_refresh=False, vertical_overflow="visible") as self._live:
                yield

    def candle(self, candle: SeriesCandle) -> str:  # noqa: ARG002 - the table shows it
        """Return no line."""
        return ""

    def trade(self, trade: SeriesTrade) -> str:  # noqa: ARG002 - the table counts it
        """Return no line."""
        return ""

    def quote(self, quote: SeriesQuote) -> str:  # noqa: ARG002 - the table counts it
        """Return no line."""
        return ""

    def switch(self, switch: Switch) -> None:
        """Keep the last few below the table."""
        self._switches = [*self._switches[1 - SHOWN_SWITCHES :], switch]

    def say(self, line: str) -> None:
        """Keep it above the table."""
        self._note = line

    def refresh(self) -> None:
        """Draw, unless the terminal has not taken the last one yet."""
        if self._live is not None and self.collector is not None and self.outlet.idle:
            shown = health_table(self.collector.health(), self._switches, title=self._note)
            self._live.update(shown, refresh=True)


def view_of(stop: Stop, *, as_json: bool, note: str = "") -> View:
    """Return the view that fits: JSON where it was asked for, a table on a terminal, else lines."""
    if as_json:
        return JsonView(stop, note)
    return TableView(stop, note) if on_terminal() else LineView(stop, note)
