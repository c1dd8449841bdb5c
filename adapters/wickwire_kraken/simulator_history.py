"""What the simulated Kraken remembers: its last trades, those after an instant, and its newest buckets."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from wickwire import SECOND_NS, Candle, Timeframe
from wickwire.simulate.server import MarketTrade
from wickwire_kraken.simulator_exchange import GRID, Exchange, LateTrade
from wickwire_kraken.simulator_pairs import Pair

__all__ = ["last_trades", "newest_buckets", "trades_after"]

COMMITTED_ROWS: Final = 720
"""Rows of OHLC before the running one; a recorded reply has 721 in all."""


def last_trades(exchange: Exchange, symbol: str, until_ns: int, count: int) -> Sequence[MarketTrade]:
    """Return the last *count* trades up to and with *until_ns*, oldest first; fewer at the very beginning."""
    span_ns = 60 * SECOND_NS
    while True:
        since_ns = max(exchange.market.start_ns, until_ns - span_ns)
        trades = exchange.market.trades(symbol, since_ns, until_ns + 1)
        if len(trades) >= count or since_ns == exchange.market.start_ns:
            return trades[-count:]
        span_ns *= 4


def trades_after(
    exchange: Exchange, symbol: str, since_ns: int, now_ns: int, count: int
) -> Sequence[MarketTrade]:
    """Return the first *count* trades after *since_ns*, without making all the later ones."""
    market, found = exchange.market, list[MarketTrade]()
    next_ns, span_ns = market.next_trade_ns(symbol, max(since_ns, market.start_ns - 1)), SECOND_NS * 60
    while next_ns <= now_ns and len(found) < count:
        until_ns = min(next_ns + span_ns, now_ns + 1)
        found += market.trades(symbol, next_ns, until_ns)
        next_ns, span_ns = market.next_trade_ns(symbol, until_ns - 1), span_ns * 2
    return found[:count]


def newest_buckets(
    exchange: Exchange, pair: Pair, timeframe: Timeframe, now_ns: int, after_s: int = 0
) -> Sequence[Candle]:
    """Return the newest buckets, the running one last; idle ones are flat at the previous close.

    Of those before the running one, only what opens later than *after_s*, in seconds.
    """
    running_ns = timeframe.open_at(now_ns, GRID)
    since_ns = running_ns - COMMITTED_ROWS * timeframe.nominal_ns
    if not exchange.late.get(pair.symbol):  # a late trade may be the close before
        since_ns = max(since_ns, min(timeframe.open_at(after_s * SECOND_NS, GRID), running_ns))
    candles = {row.open_ns: row for row in exchange.candles(pair.symbol, timeframe, since_ns, now_ns + 1)}
    for late in exchange.late.get(pair.symbol, ()):
        _add_late(candles, pair, timeframe, late)
    before = (
        last_trades(exchange, pair.symbol, since_ns - 1, 1) if since_ns > exchange.market.start_ns else ()
    )
    close = before[-1].price if before else None
    rows: list[Candle] = []
    fixed_ns = timeframe.fixed_ns
    open_ns = since_ns
    while open_ns <= running_ns:
        close_ns = open_ns + fixed_ns if fixed_ns else timeframe.close_of(open_ns, GRID)
        row = candles.get(open_ns)
        if row is None and close is not None:
            row = Candle(pair.symbol, timeframe, open_ns, close_ns, close, close, close, close, Decimal(0), 0)
        if row is not None:
            rows.append(row)
            close = row.close
        open_ns = close_ns
    return [row for row in rows[:-1] if row.open_ns // SECOND_NS > after_s] + rows[-1:]


def _add_late(candles: dict[int, Candle], pair: Pair, timeframe: Timeframe, late: LateTrade) -> None:
    """Put a late trade into its bucket: range, volume and count change; open and close stay."""
    open_ns = timeframe.open_at(late.time_ns, GRID)
    row = candles.get(open_ns)
    if row is None:
        close_ns = timeframe.close_of(open_ns, GRID)
        prices = (late.price,) * 4
        candles[open_ns] = Candle(
            pair.symbol, timeframe, open_ns, close_ns, *prices, late.size, 1, late.price
        )
        return
    volume = row.volume + late.size
    vwap = ((row.vwap or row.close) * row.volume + late.price * late.size) / volume
    high, low, count = max(row.high, late.price), min(row.low, late.price), (row.trade_count or 0) + 1
    candles[open_ns] = Candle(
        pair.symbol, timeframe, open_ns, row.close_ns, row.open, high, low, row.close, volume, count, vwap
    )
