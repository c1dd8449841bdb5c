"""What happens on one connection to the simulated stream: trades, quotes and bars, each at its time."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

from wickwire import MINUTE_NS, SECOND_NS
from wickwire_alpaca.simulator_bars import Bars
from wickwire_alpaca.simulator_rows import Row, bar_row, edit_rows, quote_row, trade_row
from wickwire_alpaca.simulator_venue import Endpoint, Venue

__all__ = ["News"]

AFTER_NS: Final = 50_000_000
"""A bar comes so long after its minute; 20 to 100 ms, said somebody of the staff."""
HALF_NS: Final = MINUTE_NS // 2

Held = Mapping[str, Mapping[str, None]]
"""Symbols by channel."""


class News:
    """Tells what is new on one connection.

    Attributes:
        held: What is subscribed to; whoever owns the connection replaces it.
        silent: Symbols that are confirmed and bring nothing.
    """

    def __init__(self, venue: Venue, bars: Bars, endpoint: Endpoint, now_ns: int) -> None:
        self._venue = venue
        self._bars = bars
        self._endpoint = endpoint
        self.held: Held = {}
        self.silent: set[str] = set()
        self._told_ns = now_ns - endpoint.delay_ns
        self._marked_ns = self._told_ns
        self._next: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []
        self._edits_told = {symbol: len(edits) for symbol, edits in venue.edits.items()}
        self._shortened: set[tuple[str, int]] = set()

    def next_ns(self, now_ns: int) -> int:
        """Return when something may be new: a trade, a mark of half a minute, and never later than in 1 s."""
        late_ns = self._late_ns()
        instants = [now_ns + SECOND_NS, self._next_mark_ns() + late_ns]
        if self._queue:
            instants.append(self._queue[0][0] + late_ns)
        return max(now_ns + 1, min(instants))

    def changed(self) -> None:
        """Take note that something was subscribed to."""
        for symbol in dict.fromkeys([*self._symbols("trades"), *self._symbols("quotes")]):
            if symbol not in self._next:
                self._expect(symbol, self._told_ns)

    def _next_mark_ns(self) -> int:
        return self._marked_ns - self._marked_ns % HALF_NS + HALF_NS + AFTER_NS

    def rows(self, now_ns: int) -> list[Row]:
        """Return what happened up to *now_ns*, in order: trades with their quotes, bars at each mark."""
        rows: list[Row] = []
        until_ns = now_ns - self._late_ns()
        while True:
            mark_ns = self._next_mark_ns()
            while self._queue and self._queue[0][0] <= min(until_ns, mark_ns):
                at_ns, symbol = heapq.heappop(self._queue)
                if self._next.get(symbol) == at_ns:
                    rows += self._traded(symbol, at_ns)
                    self._expect(symbol, at_ns)
            if mark_ns > until_ns:
                break
            self._marked_ns = mark_ns
            if (mark_ns - AFTER_NS) % MINUTE_NS:
                rows += self._updated(mark_ns)
            else:
                rows += self._minute(mark_ns - AFTER_NS)
        self._told_ns = max(self._told_ns, until_ns)
        rows += self._edited()
        if rows and self._venue.fault("novelty") is not None:
            rows = [
                {**rows[0], "brandnew": [1, {"a": None}]},
                *rows[1:],
                {"T": "novelty", "S": "AAPL", "x": 1},
            ]
        return rows

    def _symbols(self, channel: str) -> list[str]:
        """Return the symbols of a channel of which data comes now."""
        held = self.held.get(channel, {})
        listed = self._venue.symbols if "*" in held else held
        if self._venue.fault("mute") is not None:
            return []
        return [
            symbol
            for symbol in listed
            if self._venue.serves(self._endpoint, symbol)
            and symbol not in self.silent
            and self._venue.fault("mute_symbol", symbol) is None
        ]

    def _traded(self, symbol: str, at_ns: int) -> list[Row]:
        rows: list[Row] = []
        traded = self._venue.symbols[symbol].symbol
        if symbol in self._symbols("trades"):
            trades = self._venue.market.trades(traded, at_ns, at_ns + 1)
            rows += [{"T": "t", "S": symbol, **trade_row(symbol, trade)} for trade in trades]
        if symbol in self._symbols("quotes"):
            rows.append({"T": "q", "S": symbol, **quote_row(self._venue, symbol, at_ns)})
        return rows

    def _minute(self, end_ns: int) -> list[Row]:
        """Return the bars of the minute that is over, and the days so far."""
        rows: list[Row] = []
        for symbol in self._symbols("bars"):
            for minute in self._bars.minutes(symbol, end_ns - MINUTE_NS, end_ns, end_ns):
                short = None
                if self._venue.fault("late_last") is not None:
                    short = self._bars.without_last(symbol, minute)
                if short is not None:
                    self._shortened.add((symbol, minute.open_ns))
                if (symbol, minute.open_ns) in self._venue.dropped:
                    continue
                row = {"T": "b", "S": symbol, **bar_row(short or minute)}
                rows += [row] * (2 if self._venue.fault("duplicate_bar") is not None else 1)
        for symbol in self._symbols("dailyBars"):
            day = self._bars.day_so_far(symbol, end_ns)
            if day is not None:
                rows.append({"T": "d", "S": symbol, **bar_row(day)})
        return rows

    def _updated(self, at_ns: int) -> list[Row]:
        """Return the minutes that a late trade changed since the mark before."""
        rows: list[Row] = []
        for symbol in self._symbols("updatedBars"):
            news = self._venue.edits.get(symbol, [])
            opens = {
                edit.time_ns - edit.time_ns % MINUTE_NS for edit in news if at_ns - MINUTE_NS < edit.told_ns
            }
            opens |= {open_ns for name, open_ns in self._shortened if name == symbol}
            for open_ns in sorted(opens):
                if open_ns + MINUTE_NS <= at_ns:
                    minutes = self._bars.minutes(symbol, open_ns, open_ns + MINUTE_NS, at_ns)
                    rows += [{"T": "u", "S": symbol, **bar_row(minute)} for minute in minutes]
        self._shortened.clear()
        return rows

    def _edited(self) -> list[Row]:
        """Return corrections and cancellations that were made since the last time."""
        rows: list[Row] = []
        if not self._venue.edits:
            return rows
        for symbol in self._symbols("trades"):
            edits = self._venue.edits.get(symbol, [])
            for edit in edits[self._edits_told.get(symbol, 0) :]:
                rows += edit_rows(symbol, edit)
            self._edits_told[symbol] = len(edits)
        return rows

    def _expect(self, symbol: str, after_ns: int) -> None:
        at_ns = self._venue.market.next_trade_ns(self._venue.symbols[symbol].symbol, after_ns)
        self._next[symbol] = at_ns
        heapq.heappush(self._queue, (at_ns, symbol))

    def _late_ns(self) -> int:
        slow = self._venue.fault("slow")
        delay_ns = 0 if slow is None else round(float(slow.get("delay_s", 5)) * SECOND_NS)
        return delay_ns + self._endpoint.delay_ns
