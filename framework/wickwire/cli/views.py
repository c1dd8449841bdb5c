"""What a person or a program sees while candles are collected: a live table, plain lines, or JSON lines."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from wickwire.cli.lines import (
    candle_json,
    candle_line,
    echo,
    echo_json,
    quote_json,
    quote_line,
    switch_line,
    trade_json,
    trade_line,
)
from wickwire.cli.tables import console, health_table, on_terminal
from wickwire.closer import Switch
from wickwire.collector import Collector
from wickwire.fanout import AnyFeedReader
from wickwire.model import Feed, Quote, Series, SeriesCandle, Trade

if TYPE_CHECKING:
    from rich.live import Live

    from wickwire.cli.runs import Stop

__all__ = ["JsonView", "LineView", "TableView", "View", "view_of"]

SHOWN_SWITCHES: Final = 4


class View:
    """Shows what a collector does. This one shows nothing.

    Attributes:
        every_s: How often `refresh` wants to be called, in seconds on the wall.
    """

    every_s = 0.25

    def __init__(self, stop: Stop, note: str = "") -> None:
        """Show until *stop*, which it calls when nobody looks any more."""
        self._stop = stop
        self._note = note
        self._tasks: asyncio.TaskGroup | None = None
        self.collector: Collector | None = None

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Be visible as long as the block runs, which is longer than the collector's."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            yield

    def watch(self, collector: Collector) -> None:
        """Look at *collector*, which has just started."""
        self.collector = collector
        collector.on_candle(self._told(self.candle))
        collector.on_switch(self._told(self.switch))

    def follow(self, series: Series) -> None:
        """Show the trades or quotes of *series*, which was added."""
        assert self.collector is not None
        assert self._tasks is not None
        if series.what is Feed.TRADES:
            self._tasks.create_task(self._read(self.collector.trades(series), partial(self.trade, series)))
        elif series.what is Feed.QUOTES:
            self._tasks.create_task(self._read(self.collector.quotes(series), partial(self.quote, series)))

    async def _read(self, reader: AnyFeedReader, show: Callable[[Trade | Quote], None]) -> None:
        told = self._told(show)
        async for item in reader:
            told(item)

    def _told(self, show: Callable[..., None]) -> Callable[..., None]:
        """Return *show*, but end everything, quietly, when whoever read our output has enough."""

        def shown(*arguments: object) -> None:
            try:
                show(*arguments)
            except BrokenPipeError:
                sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the process ends
                self._stop.now()

        return shown

    def candle(self, candle: SeriesCandle) -> None:
        """Show a closed candle."""

    def trade(self, series: Series, trade: Trade) -> None:
        """Show a trade."""

    def quote(self, series: Series, quote: Quote) -> None:
        """Show a quote."""

    def switch(self, switch: Switch) -> None:
        """Show a change of route."""

    def refresh(self) -> None:
        """Show how things are now."""

    def say(self, line: str) -> None:
        """Show a line for people."""


class JsonView(View):
    """One JSON value a line for each closed candle, trade or quote, and nothing else on stdout."""

    def candle(self, candle: SeriesCandle) -> None:
        """Write a closed candle."""
        echo_json(candle_json(candle))

    def trade(self, series: Series, trade: Trade) -> None:
        """Write a trade."""
        echo_json(trade_json(series, trade))

    def quote(self, series: Series, quote: Quote) -> None:
        """Write a quote."""
        echo_json(quote_json(series, quote))


class LineView(View):
    """A line for each closed candle, trade, quote, and change of route."""

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Begin with the note."""
        if self._note:
            self.say(self._note)
        async with super().shown():
            yield

    def candle(self, candle: SeriesCandle) -> None:
        """Write a closed candle."""
        echo(candle_line(candle))

    def trade(self, series: Series, trade: Trade) -> None:
        """Write a trade."""
        echo(trade_line(series, trade))

    def quote(self, series: Series, quote: Quote) -> None:
        """Write a quote."""
        echo(quote_line(series, quote))

    def switch(self, switch: Switch) -> None:
        """Write a change of route."""
        echo(switch_line(switch))

    def say(self, line: str) -> None:
        """Write it."""
        self._told(echo)(line)


class TableView(View):
    """A table on a terminal, drawn anew while it changes; the last one stays."""

    def __init__(self, stop: Stop, note: str = "") -> None:
        """Show nothing yet."""
        super().__init__(stop, note)
        self._switches: list[Switch] = []
        self._live: Live | None = None
        self._said: list[str] = []

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Own the terminal's last lines."""
        from rich.live import Live

        with Live(console=console(), auto_refresh=False, vertical_overflow="visible") as self._live:
            async with super().shown():
                yield

    def switch(self, switch: Switch) -> None:
        """Keep the last few below the table."""
        self._switches = [*self._switches[1 - SHOWN_SWITCHES :], switch]

    def say(self, line: str) -> None:
        """Keep it above the table."""
        self._note = line

    def refresh(self) -> None:
        """Draw."""
        if self._live is not None and self.collector is not None:
            self._live.update(
                health_table(self.collector.health(), self._switches, title=self._note), refresh=True
            )


def view_of(stop: Stop, *, as_json: bool, note: str = "") -> View:
    """Return the view that fits: JSON where it was asked for, a table on a terminal, else lines."""
    if as_json:
        return JsonView(stop, note)
    return TableView(stop, note) if on_terminal() else LineView(stop, note)
