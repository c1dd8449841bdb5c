"""What there is now at the simulated Alpaca: latest bars, trades and quotes, snapshots, and a listing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wickwire import SECOND_NS, Timeframe, Unit
from wickwire_alpaca.simulator_bars import Bars, grid_of
from wickwire_alpaca.simulator_rows import bar_row, book_row, quote_row, trade_row
from wickwire_alpaca.simulator_venue import TEST_SYMBOL, Venue

__all__ = ["Latest"]

DAY: Final = Timeframe(1, Unit.DAY)


class Latest:
    """Answers for the present."""

    def __init__(self, venue: Venue, bars: Bars) -> None:
        self._venue = venue
        self._bars = bars

    def of(self, what: str, symbols: Sequence[str], now_ns: int, single: str | None) -> object:
        """Return the latest row of each symbol that is listed, or of the one symbol."""
        found: dict[str, object] = {}
        for symbol in symbols:
            row = self._last(what, symbol, now_ns) if self._venue.lists(symbol) else None
            if row is not None:
                found[symbol] = row
        if single is None:
            return {what: found}
        return {"symbol": single, what.removesuffix("s"): found.get(single)}

    def _last(self, what: str, symbol: str, now_ns: int) -> dict[str, object] | None:
        if what == "quotes":
            return quote_row(self._venue, symbol, now_ns)
        if what == "orderbooks":
            return book_row(self._venue, symbol, now_ns)
        span_ns = 3_600 * SECOND_NS
        while True:
            since_ns = max(self._venue.market.start_ns, now_ns - span_ns)
            if what == "bars":
                rows = [bar_row(one) for one in self._bars.minutes(symbol, since_ns, now_ns, now_ns)]
            else:
                trades = self._bars.trades(symbol, since_ns, now_ns)
                rows = [trade_row(symbol, trade) for trade, state in trades if state in ("", "corrected")]
            if rows or since_ns == self._venue.market.start_ns:
                return rows[-1] if rows else None
            span_ns *= 8

    def snapshots(self, symbols: Sequence[str], now_ns: int) -> dict[str, dict[str, object]]:
        """Return what is latest of each symbol, and its days: the running one and the one before."""
        return {symbol: self._snapshot(symbol, now_ns) for symbol in symbols if self._venue.lists(symbol)}

    def _snapshot(self, symbol: str, now_ns: int) -> dict[str, object]:
        today = self._bars.day_so_far(symbol, now_ns)
        grid = grid_of(symbol, DAY)
        opens_ns = DAY.open_at(now_ns - 1, grid)
        before = self._bars.long(symbol, DAY, DAY.open_at(opens_ns - 1, grid), opens_ns, now_ns)
        return {
            "latestTrade": self._last("trades", symbol, now_ns),
            "latestQuote": self._last("quotes", symbol, now_ns),
            "minuteBar": self._last("bars", symbol, now_ns),
            "dailyBar": None if today is None else bar_row(today),
            "prevDailyBar": bar_row(before[-1]) if before else None,
        }

    def assets(self, asset_class: str) -> object:
        """Return what is listed of a class."""
        pairs = asset_class == "crypto"
        return [
            {
                "id": f"00000000-0000-0000-0000-{number:012}",
                "class": asset_class,
                "exchange": "CRYPTO" if pairs else "NASDAQ",
                "symbol": symbol,
                "name": symbol,
                "status": "active",
                "tradable": True,
                "marginable": not pairs,
                "shortable": False,
                "easy_to_borrow": False,
                "fractionable": True,
                "min_order_size": "0.000001",
                "min_trade_increment": "0.000000001",
                "price_increment": str(10.0**-one.price_decimals),
            }
            for number, (symbol, one) in enumerate(self._venue.symbols.items())
            if ("/" in symbol) is pairs and symbol != TEST_SYMBOL
        ]
