"""Candles out of smaller ones, and out of trades. Pure: events in, rows out; what is closed is the ledger's.

A *maker* knows from when on it has seen everything, and makes no row of a bucket that opened before: the
bucket in which a subscription began is history's to say. A bucket that was over already and comes out
differently now, because something came late or was taken back, is `Restated` where the maker still has all
that lies in it, and `Late` where it has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from itertools import groupby
from typing import Final, Protocol, final

import attrs

from wickwire.model import (
    DAY_NS,
    HOUR_NS,
    Candle,
    Finality,
    Grid,
    Quote,
    Session,
    Timeframe,
    Trade,
    TradeAction,
    Unknown,
    Utc,
)

__all__ = ["CandleMaker", "Late", "Made", "Maker", "Restated", "TradeMaker", "divides", "fold", "folded"]

_EXACT: Final = Context(prec=1_000)
"""Sums and products of prices and sizes are exact: a thousand digits are more than any venue sends."""

_QUOTIENT: Final = Context(prec=28)
"""A volume-weighted price is a quotient: 28 significant digits, as the decimal module's default."""

_KEPT: Final = 16_384
"""How many trades are kept, to take each once and to make a bucket anew when the venue corrects one."""

_DAY: Final = Timeframe.parse("1d")


@attrs.frozen
class Restated:
    """The row, as it is now, of a bucket that was over already."""

    candle: Candle


@attrs.frozen
class Late:
    """What was made of the bucket that opens at *open_ns* no longer holds; history has to say."""

    open_ns: int


Made = Candle | Restated | Late | None


class Maker(Protocol):
    """Makes the rows of one series from what one topic brings, oldest first.

    Attributes:
        whole_ns: Buckets that open from here on are whole; None before anything came.
    """

    whole_ns: int | None

    def take(self, data: Candle | Trade | Quote, /) -> Made:
        """Take one event; return the row of the running bucket so far, or what became of an older one."""
        ...

    def restart(self) -> None:
        """Something may have been lost: only buckets that open later are whole."""
        ...


# ------------------------------------------------------------------------------- candles out of candles


def divides(piece: Timeframe, whole: Timeframe, piece_grid: Grid, whole_grid: Grid) -> bool:
    """Say whether each *whole* bucket is a run of *piece* buckets, whatever the day.

    False wherever that cannot be shown: where a grid is unknown or follows sessions, where the two grids are
    not the same, and where a day of 23 or 25 hours would cut a piece in two.
    """
    if piece_grid != whole_grid or isinstance(piece_grid, Session | Unknown) or piece is whole:
        return False
    small_ns, large_ns = piece.fixed_ns, whole.fixed_ns
    if large_ns is not None:
        return small_ns is not None and DAY_NS % large_ns == 0 and large_ns % small_ns == 0
    if small_ns is not None:
        return (DAY_NS if isinstance(piece_grid, Utc) else HOUR_NS) % small_ns == 0
    return piece is _DAY or (piece.unit is whole.unit and whole.n % piece.n == 0)


def fold(pieces: Sequence[Candle], timeframe: Timeframe, open_ns: int, close_ns: int) -> Candle:
    """Return the candle `[open_ns, close_ns)` that *pieces* make up: all that is in it, oldest first.

    It is forming when a piece is, and closed when its last piece is and ends with it. Its trade count is
    None where a piece does not say it. A volume-weighted price is kept of a single piece only: it could not
    be had exactly from rounded ones.
    """
    first, last = pieces[0], pieces[-1]
    finality = Finality.UNSAID
    if any(piece.finality is Finality.FORMING for piece in pieces):
        finality = Finality.FORMING
    elif last.finality is Finality.CLOSED and last.close_ns == close_ns:
        finality = Finality.CLOSED
    volume, count = first.volume, first.trade_count
    for piece in pieces[1:]:
        volume = _EXACT.add(volume, piece.volume)
        count = None if count is None or piece.trade_count is None else count + piece.trade_count
    return Candle(
        first.symbol,
        timeframe,
        open_ns,
        close_ns,
        first.open,
        max(piece.high for piece in pieces),
        min(piece.low for piece in pieces),
        last.close,
        volume,
        count,
        first.vwap if len(pieces) == 1 else None,
        finality,
        last.snapshot,
    )


def folded(pieces: Iterable[Candle], timeframe: Timeframe, grid: Grid) -> Iterator[Candle]:
    """Yield, oldest first, the candles of *timeframe* that *pieces*, in any order, make up."""
    ordered = sorted(pieces, key=lambda piece: piece.open_ns)
    for open_ns, parts in groupby(ordered, key=lambda piece: timeframe.open_at(piece.open_ns, grid)):
        yield fold(list(parts), timeframe, open_ns, timeframe.close_of(open_ns, grid))


@final
class CandleMaker:
    """Makes candles out of the smaller ones that a venue streams. See `Maker`."""

    def __init__(self, timeframe: Timeframe, grid: Grid) -> None:
        """Make candles of *timeframe* on *grid*, where each is a run of pieces (`divides`)."""
        self._timeframe = timeframe
        self._grid = grid
        self.restart()

    def restart(self) -> None:
        """Something may have been lost: only buckets that open later are whole."""
        self.whole_ns: int | None = None
        self._open_ns = self._close_ns = self._newest_ns = -1
        self._pieces: dict[int, Candle] = {}
        self._before: dict[int, Candle] = {}
        self._older: Candle | None = None

    def take(self, data: Candle | Trade | Quote, /) -> Made:
        """Take one small candle."""
        assert isinstance(data, Candle)
        if data.open_ns < self._open_ns:
            return self._restated(data)
        if data.open_ns >= self._close_ns:
            self._turn(data.open_ns)
        if data.open_ns > self._newest_ns:
            self._older = self._row() if self._pieces else None
            self._newest_ns = data.open_ns
        self._pieces[data.open_ns] = data
        if data.open_ns < self._newest_ns:
            self._older = self._fold(piece for ns, piece in self._pieces.items() if ns < self._newest_ns)
        assert self.whole_ns is not None
        return self._row() if self._open_ns >= self.whole_ns else None

    def _turn(self, open_ns: int) -> None:
        self._before, self._pieces = self._pieces, {}
        self._open_ns = self._timeframe.open_at(open_ns, self._grid)
        self._close_ns = self._timeframe.close_of(self._open_ns, self._grid)
        if self.whole_ns is None:
            self.whole_ns = self._open_ns if open_ns == self._open_ns else self._close_ns

    def _row(self) -> Candle:
        newest = self._pieces[self._newest_ns]
        parts = [newest] if self._older is None else [self._older, newest]
        return fold(parts, self._timeframe, self._open_ns, self._close_ns)

    def _fold(self, pieces: Iterable[Candle]) -> Candle:
        [made] = folded(pieces, self._timeframe, self._grid)
        return made

    def _restated(self, data: Candle) -> Made:
        known = self._before.get(data.open_ns)
        if known is not None and known.same_values(data):
            return None
        open_ns = self._timeframe.open_at(data.open_ns, self._grid)
        if self.whole_ns is None or open_ns < self.whole_ns:
            return None
        if open_ns not in (self._timeframe.open_at(ns, self._grid) for ns in self._before):
            return Late(open_ns)
        self._before[data.open_ns] = data
        return Restated(self._fold(self._before.values()))


# -------------------------------------------------------------------------------- candles out of trades


@final
class TradeMaker:
    """Makes candles out of the trades that a venue streams, each taken once. See `Maker`.

    A trade is known by its id and its time: ids of a consolidated feed are unique on one exchange only. The
    first and the last price are those of the earliest and the latest trade; of trades at one instant,
    in the order in which they came.
    """

    def __init__(self, timeframe: Timeframe, grid: Grid) -> None:
        """Make candles of *timeframe* on *grid*."""
        self._timeframe = timeframe
        self._grid = grid
        self.restart()

    def restart(self) -> None:
        """Something may have been lost: only buckets that open later are whole."""
        self.whole_ns: int | None = None
        self._trades: dict[tuple[str, int], Trade] = {}
        self._kept_ns = self._count = 0
        self._open_ns = self._close_ns = -1
        self._bucket: _Bucket | None = None

    def take(self, data: Candle | Trade | Quote, /) -> Made:
        """Take one trade, a correction of one, or a cancellation."""
        assert isinstance(data, Trade)
        if data.action is not TradeAction.NEW:
            return self._take_back(data)
        if data.id and (data.id, data.time_ns) in self._trades:
            return None
        self._keep(data)
        if data.time_ns < self._open_ns:
            return self._anew(self._timeframe.open_at(data.time_ns, self._grid))
        if data.time_ns >= self._close_ns:
            self._turn(data.time_ns)
        bucket = self._bucket
        if bucket is None:
            return None
        bucket.add(data)
        return bucket.row(data.symbol, self._timeframe, snapshot=data.snapshot)

    def _keep(self, trade: Trade) -> None:
        self._count += 1
        self._trades[trade.id or f"#{self._count}", trade.time_ns] = trade
        if len(self._trades) > _KEPT:
            forgotten = self._trades.pop(next(iter(self._trades)))
            open_ns = self._timeframe.open_at(forgotten.time_ns, self._grid)
            self._kept_ns = max(self._kept_ns, self._timeframe.close_of(open_ns, self._grid))

    def _turn(self, time_ns: int) -> None:
        self._open_ns = self._timeframe.open_at(time_ns, self._grid)
        self._close_ns = self._timeframe.close_of(self._open_ns, self._grid)
        if self.whole_ns is None:
            self.whole_ns = self._kept_ns = self._close_ns
        whole = self._open_ns >= self.whole_ns
        self._bucket = _Bucket(self._open_ns, self._close_ns) if whole else None

    def _take_back(self, trade: Trade) -> Made:
        name = trade.replaces or trade.id
        known = next((key for key in reversed(self._trades) if key[0] == name), None)
        old = None if known is None else self._trades.pop(known)
        time_ns = trade.time_ns if old is None else old.time_ns
        if trade.action is TradeAction.CORRECTED and old is not None:
            self._trades[trade.id, time_ns] = Trade(
                trade.symbol, trade.id, trade.price, trade.size, trade.side, time_ns
            )
        return self._anew(self._timeframe.open_at(time_ns, self._grid), known=old is not None)

    def _anew(self, open_ns: int, *, known: bool = True) -> Made:
        """Make a bucket again from the trades kept of it."""
        if self.whole_ns is None or open_ns < self.whole_ns:
            return None
        running = open_ns == self._open_ns
        close_ns = self._timeframe.close_of(open_ns, self._grid)
        inside = [trade for trade in self._trades.values() if open_ns <= trade.time_ns < close_ns]
        if not known or not inside or open_ns < self._kept_ns:
            if running:
                self._bucket = None
            return Late(open_ns)
        bucket = _Bucket(open_ns, close_ns)
        for trade in inside:
            bucket.add(trade)
        if running:
            self._bucket = bucket
        row = bucket.row(inside[-1].symbol, self._timeframe, snapshot=False)
        return row if running else Restated(row)


@attrs.define
class _Bucket:
    """The trades of one bucket, summed up."""

    open_ns: int
    close_ns: int
    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    open: Decimal = Decimal()
    high: Decimal = Decimal()
    low: Decimal = Decimal()
    close: Decimal = Decimal()
    volume: Decimal = Decimal()
    value: Decimal = Decimal()

    def add(self, trade: Trade) -> None:
        """Add one trade."""
        price, size, time_ns = trade.price, trade.size, trade.time_ns
        if not self.count:
            self.open = self.high = self.low = self.close = price
            self.first_ns = self.last_ns = time_ns
            self.volume, self.value = size, _EXACT.multiply(price, size)
        else:
            if time_ns >= self.last_ns:
                self.close, self.last_ns = price, time_ns
            elif time_ns < self.first_ns:
                self.open, self.first_ns = price, time_ns
            if price > self.high:
                self.high = price
            elif price < self.low:
                self.low = price
            self.volume = _EXACT.add(self.volume, size)
            self.value = _EXACT.fma(price, size, self.value)
        self.count += 1

    def row(self, symbol: str, timeframe: Timeframe, *, snapshot: bool) -> Candle:
        """Return the candle so far."""
        return Candle(
            symbol,
            timeframe,
            self.open_ns,
            self.close_ns,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.count,
            _QUOTIENT.divide(self.value, self.volume) if self.volume else None,
            Finality.UNSAID,
            snapshot,
        )
