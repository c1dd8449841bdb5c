"""Bars and trades of the simulated Alpaca, as they are known at some instant.

A minute without trades has no bar, but of crypto: there it is made of quotes, open to close at the middle of
bid and ask, with volume, count and average 0. A longer bar is the run of its minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from wickwire import MINUTE_NS, SECOND_NS, Candle, Timeframe, Unit, Utc, Zone
from wickwire.simulate.server import MarketTrade
from wickwire_alpaca.simulator_venue import Venue

__all__ = ["Bars"]

MINUTE: Final = Timeframe(1, Unit.MINUTE)
LATE_WITHIN_NS: Final = 2 * SECOND_NS


def grid_of(symbol: str, timeframe: Timeframe) -> Utc | Zone:
    """Return where bars open. In which zone bars of several hours do is not established: here it is UTC."""
    if timeframe.fixed_ns is not None:
        return Utc()
    return Zone("America/Chicago" if "/" in symbol else "America/New_York")


class Bars:
    """The bars of the venue, as they are known at some instant."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._mids: dict[tuple[str, int], Candle] = {}
        self._days: dict[tuple[str, int], list[Candle]] = {}

    def minutes(self, symbol: str, since_ns: int, until_ns: int, at_ns: int) -> list[Candle]:
        """Return the minutes that open in `[since_ns, until_ns)` and are over at *at_ns*, as known then."""
        until_ns = min(until_ns + -until_ns % MINUTE_NS, at_ns - at_ns % MINUTE_NS)
        since_ns = max(since_ns, self._venue.market.start_ns)
        since_ns += -since_ns % MINUTE_NS
        if since_ns >= until_ns:
            return []
        traded = self._venue.symbols[symbol].symbol
        market = self._venue.market.candles(traded, MINUTE, since_ns, until_ns, grid=Utc())
        found = {candle.open_ns: candle for candle in market}
        for open_ns in {
            edit.time_ns - edit.time_ns % MINUTE_NS for edit in self._venue.edits.get(symbol, ())
        }:
            if since_ns <= open_ns < until_ns:
                found.pop(open_ns, None)
                found |= self._made(symbol, open_ns, at_ns)
        if "/" in symbol:
            for open_ns in range(since_ns, until_ns, MINUTE_NS):
                if open_ns not in found:
                    found[open_ns] = self._middle(symbol, open_ns)
        return [found[open_ns] for open_ns in sorted(found)]

    def without_last(self, symbol: str, minute: Candle) -> Candle | None:
        """Return a minute without its last trade, where that came in its last moments; else None."""
        traded = self._venue.symbols[symbol].symbol
        trades = self._venue.market.trades(traded, minute.open_ns, minute.close_ns)
        if len(trades) < 2 or trades[-1].time_ns < minute.close_ns - LATE_WITHIN_NS:  # noqa: PLR2004 - one is left
            return None
        return _candle(symbol, minute.open_ns, trades[:-1])

    def long(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, at_ns: int
    ) -> list[Candle]:
        """Return the bars that open in `[since_ns, until_ns)`, of what is over at *at_ns*."""
        grid = grid_of(symbol, timeframe)
        market_ns = max(since_ns, self._venue.market.start_ns)
        first_ns = timeframe.open_at(market_ns, grid)
        if first_ns < since_ns:
            first_ns = timeframe.close_of(first_ns, grid)
        runs: dict[int, list[Candle]] = {}
        cut_ns = timeframe.close_of(timeframe.open_at(max(until_ns - 1, first_ns), grid), grid)
        close_ns = open_ns = first_ns
        for minute in self.minutes(symbol, first_ns, cut_ns, at_ns):
            if minute.open_ns >= close_ns:
                open_ns = timeframe.open_at(minute.open_ns, grid)
                close_ns = timeframe.close_of(open_ns, grid)
            if since_ns <= open_ns < until_ns:
                runs.setdefault(open_ns, []).append(minute)
        return [_run(parts, timeframe, ns, timeframe.close_of(ns, grid)) for ns, parts in runs.items()]

    def of(self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, at_ns: int) -> list[Candle]:
        """Return the bars of any length that open in `[since_ns, until_ns)`."""
        if timeframe is MINUTE:
            return self.minutes(symbol, since_ns, until_ns, at_ns)
        return self.long(symbol, timeframe, since_ns, until_ns, at_ns)

    def day_so_far(self, symbol: str, at_ns: int) -> Candle | None:
        """Return the running day, of the minutes that are over; None before its first one."""
        day = Timeframe(1, Unit.DAY)
        open_ns = day.open_at(at_ns - 1, grid_of(symbol, day))
        if self._venue.edits.get(symbol):
            self._days.clear()
        minutes = self._days.setdefault((symbol, open_ns), [])
        minutes += self.minutes(symbol, minutes[-1].close_ns if minutes else open_ns, at_ns, at_ns)
        close_ns = day.close_of(open_ns, grid_of(symbol, day))
        return _run(minutes, day, open_ns, close_ns) if minutes else None

    def trades(self, symbol: str, since_ns: int, until_ns: int) -> Iterator[tuple[MarketTrade, str]]:
        """Yield trades as REST tells them: each, and what became of it (nothing for most)."""
        edits = self._venue.edits.get(symbol, ())
        changed = {edit.number: edit for edit in edits if edit.number}
        market = self._venue.market.trades(self._venue.symbols[symbol].symbol, since_ns, until_ns)
        late = [edit.late for edit in edits if edit.late and since_ns <= edit.late.time_ns < until_ns]
        for trade in sorted([*market, *late], key=lambda trade: trade.time_ns):
            edit = changed.get(trade.number)
            if edit is None:
                yield trade, ""
            elif edit.now is None:
                yield trade, "canceled"
            else:
                yield trade, "incorrect"
                yield edit.now, "corrected"

    def _made(self, symbol: str, open_ns: int, at_ns: int) -> dict[int, Candle]:
        """Return a minute in which trades were changed, as known at *at_ns*; empty where none is left."""
        told = [edit for edit in self._venue.edits[symbol] if edit.told_ns <= at_ns]
        gone = {edit.number for edit in told if edit.number}
        traded = self._venue.symbols[symbol].symbol
        trades = [
            *(
                t
                for t in self._venue.market.trades(traded, open_ns, open_ns + MINUTE_NS)
                if t.number not in gone
            ),
            *(trade for edit in told for trade in (edit.late, edit.now) if trade is not None),
        ]
        inside = [trade for trade in trades if open_ns <= trade.time_ns < open_ns + MINUTE_NS]
        inside.sort(key=lambda trade: trade.time_ns)
        return {open_ns: _candle(symbol, open_ns, inside)} if inside else {}

    def _middle(self, symbol: str, open_ns: int) -> Candle:
        known = self._mids.get((symbol, open_ns))
        if known is None:
            quote = self._venue.market.quote(symbol, open_ns)
            mid, none = (quote.bid + quote.ask) / 2, Decimal(0)
            known = Candle(symbol, MINUTE, open_ns, open_ns + MINUTE_NS, mid, mid, mid, mid, none, 0, none)
            self._mids[symbol, open_ns] = known
        return known


def _candle(symbol: str, open_ns: int, trades: Sequence[MarketTrade]) -> Candle:
    prices = [trade.price for trade in trades]
    volume = sum((trade.size for trade in trades), Decimal(0))
    turnover = sum((trade.price * trade.size for trade in trades), Decimal(0))
    vwap = (turnover / volume).quantize(prices[0])
    ohlc = (prices[0], max(prices), min(prices), prices[-1])
    return Candle(symbol, MINUTE, open_ns, open_ns + MINUTE_NS, *ohlc, volume, len(trades), vwap)


def _run(parts: Sequence[Candle], timeframe: Timeframe, open_ns: int, close_ns: int) -> Candle:
    volume = sum((part.volume for part in parts), Decimal(0))
    turnover = sum((part.volume * (part.vwap or 0) for part in parts), Decimal(0))
    count = sum(part.trade_count or 0 for part in parts)
    vwap = (turnover / volume).quantize(Decimal("1e-6")) if volume else Decimal(0)
    high, low = max(part.high for part in parts), min(part.low for part in parts)
    ohlc = (parts[0].open, high, low, parts[-1].close)
    return Candle(parts[0].symbol, timeframe, open_ns, close_ns, *ohlc, volume, count, vwap)
