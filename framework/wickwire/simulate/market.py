"""The seeded market: the truth that every simulated venue tells in its own words.

Trades come first (`tape`), candles and quotes follow from them. The same seed gives the same market in
every process; asking for one range never depends on what was asked for before.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import attrs

from wickwire.errors import UsageError
from wickwire.model import Candle, Finality, Grid, Session, Side, Timeframe
from wickwire.simulate.hours import ALWAYS
from wickwire.simulate.listings import DEFAULT_LISTINGS, Listing, synthetic
from wickwire.simulate.server import MarketQuote, MarketTrade
from wickwire.simulate.tape import Bar, Block, Tape, make_room

__all__ = ["SeededMarket"]

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)

BUCKETS_KEPT: Final = 8_192
"""Of each symbol, timeframe and grid. Venues tell the same history again with every reply."""
TRADES_KEPT: Final = 8_192
"""Of all symbols, until all are forgotten: venues tell the trades of the present, each to its clients."""
PRICES_KEPT: Final = 32_768
"""Of all instruments, likewise."""


@attrs.define(eq=False)
class _Bucket:
    """A bucket with a trade: when it opens and closes, when its first trade is, and, once made, its candle.

    The first trade is the first that the market has, or the first after where somebody began to look. The
    candle of its first trades is kept too, as somebody asked for it last.
    """

    open_ns: int
    close_ns: int
    first_ns: int
    whole: Candle | None = None
    cut: Candle | None = None


class SeededMarket:
    """A `Market` whose every trade follows from a seed.

    Attributes:
        seed: What everything follows from.
        start_ns: When trading began; nothing exists before.
    """

    def __init__(
        self,
        seed: int,
        start_ns: int,
        instruments: Iterable[Listing] = (),
        *,
        synthetic_count: int = 0,
    ) -> None:
        """Open the market.

        Args:
            seed: Any integer.
            start_ns: When trading begins, in whole microseconds.
            instruments: More listings; they replace default ones of the same symbol.
            synthetic_count: How many `SYNTH000/USD`-like pairs to list beside them.

        Raises:
            UsageError: *start_ns* is before 1970 or no whole microsecond.
        """
        if start_ns < 0 or start_ns % 1_000:
            raise UsageError(f"a market starts at a whole microsecond after 1970, got {start_ns} ns")
        self.seed = seed
        self.start_ns = start_ns
        self._listings = {
            listing.symbol: listing
            for listing in (*DEFAULT_LISTINGS, *synthetic(synthetic_count), *instruments)
        }
        self._tapes: dict[str, Tape] = {}
        self._before_start: dict[str, int] = {}
        self._buckets: dict[tuple[str, Timeframe, Grid], dict[int, _Bucket]] = {}
        self._trades: dict[tuple[str, int], MarketTrade] = {}
        self._prices: dict[tuple[int, int], Decimal] = {}
        self._following: dict[str, tuple[int, int]] = {}

    @property
    def symbols(self) -> Sequence[str]:
        """Everything that is traded here."""
        return tuple(self._listings)

    def instrument(self, symbol: str) -> Listing | None:
        """Return the listing of a canonical symbol, or None when nothing of that name is traded."""
        return self._listings.get(symbol)

    def trades(self, symbol: str, since_ns: int, until_ns: int) -> Sequence[MarketTrade]:
        """Return the trades in `[since_ns, until_ns)`, oldest first.

        The side is the taker's: never a seller after a rise, never a buyer after a fall.

        Raises:
            UsageError: Nothing of that name is traded.
        """
        tape = self._tape(symbol)
        found: list[MarketTrade] = []
        for block, low, high in tape.spans(max(since_ns, self.start_ns), until_ns):
            found += [self._trade(tape, block, position) for position in range(low, high)]
        return found

    def candles(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, *, grid: Grid
    ) -> Sequence[Candle]:
        """Return the candles that open in `[since_ns, until_ns)` and hold a trade before *until_ns*.

        Buckets without a trade are absent. The last one may be cut by *until_ns*: it holds the trades before
        it. Prices and volume are exact; the vwap is rounded once, half to even, to the price's decimals, as
        venues print it. Within a session, buckets count from its open and the last one may end early.

        Raises:
            UsageError: Nothing of that name is traded.
            ValueError: On an `Unknown` grid nobody can say where buckets open.
        """
        tape = self._tape(symbol)
        known = self._buckets.setdefault((symbol, timeframe, grid), {})
        found: list[Candle] = []
        cursor = since_ns
        while True:
            bucket = known.get(cursor)
            if bucket is None:
                make_room(known, BUCKETS_KEPT)
                bucket = known[cursor] = self._next_bucket(tape, timeframe, cursor, grid)
            if bucket.open_ns >= until_ns or bucket.first_ns >= until_ns:
                return found
            cursor = bucket.close_ns
            if bucket.open_ns >= since_ns:
                whole = bucket.whole if cursor <= until_ns else None
                found.append(whole or self._candle(tape, timeframe, bucket, until_ns))

    def quote(self, symbol: str, at_ns: int) -> MarketQuote:
        """Return the best bid and ask at *at_ns*: the last trade took one of them, the spread is constant.

        Raises:
            UsageError: Nothing of that name is traded.
        """
        tape = self._tape(symbol)
        block, position = tape.last_before(at_ns + 1)
        last = self._trade(tape, block, position)
        ticks, spread = block.ticks[position], tape.listing.spread_ticks
        bid, ask = (ticks - spread, ticks) if last.side is Side.BUY else (ticks, ticks + spread)
        draw = random.Random(f"{self.seed}/{symbol}/quote/{block.first + position}").random
        mean = float(tape.listing.size) * 10**tape.listing.size_decimals
        bid_lots, ask_lots = (1 + int(mean * 10 * draw() ** 2) for _ in range(2))
        return MarketQuote(
            at_ns,
            self._price(tape.listing, bid),
            self._size(tape.listing, bid_lots),
            self._price(tape.listing, ask),
            self._size(tape.listing, ask_lots),
        )

    def next_trade_ns(self, symbol: str, after_ns: int) -> int:
        """Return when the first trade after *after_ns* happens, however far away.

        Raises:
            UsageError: Nothing of that name is traded.
        """
        known = self._following.get(symbol)
        if known is not None and known[0] <= after_ns < known[1]:  # until it happens, it is the next for all
            return known[1]
        block, position = self._tape(symbol).next_at(max(after_ns + 1, self.start_ns))
        next_ns = block.times[position]
        self._following[symbol] = after_ns, next_ns
        return next_ns

    def count_before(self, symbol: str, ns: int) -> int:
        """Return how many trades happened before *ns*: the number of the last of them.

        Raises:
            UsageError: Nothing of that name is traded.
        """
        tape = self._tape(symbol)
        return tape.count_before(max(ns, self.start_ns)) - self._offset(tape)

    # ------------------------------------------------------------------------------------------- inside

    def _tape(self, symbol: str) -> Tape:
        tape = self._tapes.get(symbol)
        if tape is None:
            listing = self._listings.get(symbol)
            if listing is None:
                raise UsageError(
                    f"simulated market: {symbol!r} is not traded; it lists {', '.join(self._listings)}"
                )
            tape = self._tapes[symbol] = Tape(self.seed, listing)
        return tape

    def _offset(self, tape: Tape) -> int:
        symbol = tape.listing.symbol
        if symbol not in self._before_start:
            self._before_start[symbol] = tape.count_before(self.start_ns)
        return self._before_start[symbol]

    def _ticks_before(self, tape: Tape, block: Block, position: int) -> int:
        """Return the price of the trade before one; trades from before the market's start count here too."""
        if position:
            return block.ticks[position - 1]
        before, last = tape.last_before(block.times[position])
        return before.ticks[last]

    def _trade(self, tape: Tape, block: Block, position: int) -> MarketTrade:
        key = (tape.listing.symbol, block.first + position)
        trade = self._trades.get(key)
        if trade is None:
            if len(self._trades) >= TRADES_KEPT:
                self._trades.clear()
            trade = self._trades[key] = self._made(tape, block, position)
        return trade

    def _made(self, tape: Tape, block: Block, position: int) -> MarketTrade:
        ticks, previous = block.ticks[position], self._ticks_before(tape, block, position)
        buys = block.coins[position] if ticks == previous else ticks > previous
        return MarketTrade(
            block.first + position + 1 - self._offset(tape),
            block.times[position],
            self._price(tape.listing, ticks),
            self._size(tape.listing, block.lots[position]),
            Side.BUY if buys else Side.SELL,
        )

    def _next_bucket(self, tape: Tape, timeframe: Timeframe, cursor: int, grid: Grid) -> _Bucket:
        """Return the first bucket with a trade at or after *cursor*."""
        block, position = tape.next_at(max(cursor, self.start_ns))
        first_ns = block.times[position]
        return _Bucket(*_bounds(tape, timeframe, first_ns, grid), first_ns)

    def _candle(self, tape: Tape, timeframe: Timeframe, bucket: _Bucket, until_ns: int) -> Candle:
        """Return what the trades of a bucket before *until_ns* add up to; once it is over, that is kept."""
        bar = tape.bar(max(bucket.open_ns, self.start_ns), min(bucket.close_ns, until_ns))
        assert bar is not None
        candle = bucket.cut
        if candle is None or candle.trade_count != bar.trades:  # as many trades from its open on are the same
            candle = bucket.cut = self._told(tape, timeframe, bucket, bar)
        if bucket.close_ns <= until_ns:
            bucket.whole = candle
        return candle

    def _told(self, tape: Tape, timeframe: Timeframe, bucket: _Bucket, bar: Bar) -> Candle:
        listing = tape.listing
        return Candle(
            listing.symbol,
            timeframe,
            bucket.open_ns,
            bucket.close_ns,
            self._price(listing, bar.open),
            self._price(listing, bar.high),
            self._price(listing, bar.low),
            self._price(listing, bar.close),
            self._size(listing, bar.lots),
            bar.trades,
            self._price(listing, _rounded(bar.turnover, bar.lots)),
            Finality.UNSAID,
        )

    def _price(self, listing: Listing, ticks: int) -> Decimal:
        key = (listing.price_decimals, ticks)
        price = self._prices.get(key)
        if price is None:
            if len(self._prices) >= PRICES_KEPT:
                self._prices.clear()
            price = self._prices[key] = _EXACT.scaleb(Decimal(ticks), -listing.price_decimals)
        return price

    @staticmethod
    def _size(listing: Listing, lots: int) -> Decimal:
        return _EXACT.scaleb(Decimal(lots), -listing.size_decimals)


def _bounds(tape: Tape, timeframe: Timeframe, ns: int, grid: Grid) -> tuple[int, int]:
    """Return `(open_ns, close_ns)` of the bucket that holds the trade at *ns*."""
    if isinstance(grid, Session):
        fixed = timeframe.fixed_ns
        if fixed is not None:
            hours = tape.listing.session or ALWAYS
            open_ns, end_ns = hours.session_at(ns) or (ns, ns)
            open_ns = ns - (ns - open_ns) % fixed
            return open_ns, min(open_ns + fixed, end_ns)
        grid = Session(grid.calendar, grid.tz or (tape.listing.session or ALWAYS).tz)
    open_ns = timeframe.open_at(ns, grid)
    return open_ns, timeframe.close_of(open_ns, grid)


def _rounded(numerator: int, denominator: int) -> int:
    """Divide and round half to even, exactly."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))
