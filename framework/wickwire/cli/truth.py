"""Compares what was stored with what a simulated market knows: missing, doubled, wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from decimal import Decimal

import attrs

from wickwire.model import Candle, Grid, Rung, Series, SeriesCandle
from wickwire.simulate.server import Market, Truth

__all__ = ["Verdict", "compare", "teller"]


@attrs.frozen(kw_only=True)
class Verdict:
    """How far the store is true for one series.

    Attributes:
        series: Which series.
        closed: Candles that are stored.
        true: Candles that had to be there.
        missing: True candles that are not stored.
        doubled: Candles that open when another one does.
        invented: Stored candles that the market never had, or that were not over.
        wrong: Stored candles with another price or volume.
        exact: Every digit agrees; else prices agree as far as 32-bit floats go.
        routes: How many candles came by which route.
        healed: How many came later than live.
    """

    series: Series
    closed: int
    true: int
    missing: int
    doubled: int
    invented: int
    wrong: int
    exact: bool
    routes: dict[Rung, int]
    healed: int

    @property
    def sound(self) -> bool:
        """Nothing is amiss."""
        return not (self.missing or self.doubled or self.invented or self.wrong)


def teller(market: Market, server: object) -> Truth:
    """Return who knows the true candles of a venue: its server, where it says so, else the market."""
    return server if isinstance(server, Truth) else market


def compare(
    truth: Truth,
    series: Series,
    stored: Sequence[SeriesCandle],
    *,
    since_ns: int,
    until_ns: int,
    end_ns: int,
    grid: Grid,
    exact: bool,
) -> Verdict:
    """Return how far *stored* is what *truth* knows.

    Args:
        truth: The market, or a venue that knows better; see `teller`.
        series: Which series.
        stored: All candles of the range.
        since_ns: First open time.
        until_ns: All candles that end by then have to be there.
        end_ns: Those that end by then may be.
        grid: Where buckets open.
        exact: Every digit has to agree. Else prices are compared as 32-bit floats: that is what a venue sends
            that keeps them so, and no honest client knows more.
    """
    known = truth.candles(series.symbol, series.timeframe, since_ns, end_ns, grid=grid)
    over = {candle.open_ns: candle for candle in known if candle.close_ns <= end_ns}
    due = {candle.open_ns: candle for candle in known if candle.close_ns <= until_ns}
    found = {candle.open_ns: candle for candle in stored}
    pairs = [(found[open_ns], candle) for open_ns, candle in over.items() if open_ns in found]
    return Verdict(
        series=series,
        closed=len(stored),
        true=len(due),
        missing=len(due.keys() - found.keys()),
        doubled=len(stored) - len(found),
        invented=len(found.keys() - over.keys()),
        wrong=sum(not _same(one, candle, exact=exact) for one, candle in pairs),
        exact=all(_same(one, candle, exact=True) for one, candle in pairs),
        routes={rung: count for rung in Rung if (count := sum(one.route is rung for one in stored))},
        healed=sum(one.healed for one in stored),
    )


def _same(stored: SeriesCandle, true: Candle, *, exact: bool) -> bool:
    prices = (
        (stored.open, true.open),
        (stored.high, true.high),
        (stored.low, true.low),
        (stored.close, true.close),
    )
    same = all(one == other if exact else _float32(one) == _float32(other) for one, other in prices)
    count = stored.trade_count in (None, true.trade_count)
    return same and stored.volume == true.volume and count


def _float32(number: Decimal) -> bytes:
    return struct.pack("<f", number)
