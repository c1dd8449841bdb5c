"""Simulated venues over one market: what is switched on there, and what they make of the truth."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal

import attrs

from tests.simulation.faults import Fault
from wickwire import SECOND_NS, Candle, Grid, Series, Session, Utc
from wickwire.clock import Clock
from wickwire.simulate import SeededMarket, VenueServer
from wickwire.simulate.loops import running_clock
from wickwire.simulate.server import Incoming, Truth


@attrs.define(eq=False, kw_only=True)
class Venues:
    """Simulated venues over one market.

    Attributes:
        market: The truth.
        servers: The venues, by name.
        clock: What they live by.
        late: Trades that a venue reported after their bucket was over: venue, symbol, time, price and size.
        scales: What all prices of a symbol are divided by now: Yahoo rescales history at a split.
    """

    market: SeededMarket
    servers: Mapping[str, VenueServer]
    clock: Clock = attrs.field(factory=running_clock)
    late: list[tuple[str, str, int, Decimal, Decimal]] = attrs.field(factory=list)
    scales: dict[str, Decimal] = attrs.field(factory=dict)

    def inject(self, fault: Fault) -> None:
        """Let a fault begin; one that only new subscriptions meet cuts the stream."""
        server, details = self.servers[fault.venue], dict(fault.details)
        # a venue's time stands still while nobody talks to it, and some faults begin with the next bucket
        server.answer(Incoming(method="GET", path="/", query={}, headers={}), self.clock.now_ns())
        if fault.name == "late_trade" and not isinstance(server, Truth):
            at_ns = self.clock.now_ns() - round(details["ago_s"] * SECOND_NS)
            price, size = Decimal(details["price"]), Decimal(details["size"])
            self.late.append((fault.venue, details["symbol"], at_ns, price, size))
        if fault.name == "split":
            self.scales[details["symbol"]] = Decimal(details["ratio"])
        server.inject(fault.name, **details)
        if fault.cut:
            server.inject("hangup", code=1006)

    def heal(self, fault: Fault) -> None:
        """Let a fault end, where it is not over already."""
        if fault.off is not None:
            self.servers[fault.venue].inject(fault.name, **fault.off)

    def truth(self, text: str, since_ns: int, until_ns: int) -> Sequence[Candle]:
        """Return the market's candles that open in a range and are over, as the venue prints them."""
        series = Series.parse(text)
        grid = Session() if series.venue == "yahoo" and "/" not in series.symbol else Utc()
        server = self.servers[series.venue]
        teller = server if isinstance(server, Truth) else self.market
        over_ns = until_ns + series.timeframe.nominal_ns  # a candle that opens before the end is told whole
        candles = [
            candle
            for candle in teller.candles(series.symbol, series.timeframe, since_ns, over_ns, grid=grid)
            if candle.open_ns < until_ns
        ]
        if series.venue != "yahoo":
            known = {candle.open_ns: candle for candle in candles}
            whole = self._made_late(series, grid) | known
            candles = [candle for ns, candle in sorted(whole.items()) if since_ns <= ns < until_ns]
            return [self._with_late(series.venue, candle) for candle in candles]
        instrument = self.market.instrument(series.symbol)
        assert instrument is not None
        crypto = "/" in series.symbol and instrument.session is None
        untold = series.symbol.startswith("^") or ("/" in series.symbol and not crypto)
        scale = self.scales.get(series.symbol, Decimal(1))
        return [_as_yahoo_prints(candle, scale, crypto=crypto, untold=untold) for candle in candles]

    def _made_late(self, series: Series, grid: Grid) -> dict[int, Candle]:
        """Return, by open time, what a bucket without another trade is before a late one is counted in."""
        timeframe, made = series.timeframe, {}
        for venue, symbol, at_ns, price, _ in self.late:
            if (venue, symbol) == (series.venue, series.symbol):
                open_ns = timeframe.open_at(at_ns, grid)
                close_ns = timeframe.close_of(open_ns, grid)
                made[open_ns] = Candle(symbol, timeframe, open_ns, close_ns, *(price,) * 4, Decimal(0), 0)
        return made

    def _with_late(self, told_by: str, candle: Candle) -> Candle:
        """Return *candle* with the trades that were reported late; open and close stay."""
        for venue, symbol, at_ns, price, size in self.late:
            if (venue, symbol) == (told_by, candle.symbol) and candle.open_ns <= at_ns < candle.close_ns:
                high, low = max(candle.high, price), min(candle.low, price)
                volume, count = candle.volume + size, (candle.trade_count or 0) + 1
                candle = _changed(candle, (candle.open, high, low, candle.close), volume, count)
        return candle


def _as_yahoo_prints(candle: Candle, ratio: Decimal, *, crypto: bool, untold: bool) -> Candle:
    """Return what Yahoo says of a candle.

    Prices are single-precision floats; crypto's volume is in dollars, that of currencies and indices 0.
    """
    scale = 1 / ratio
    first, high, low, last = (
        Decimal(repr(struct.unpack("<f", struct.pack("<f", float(price * scale)))[0]))
        for price in (candle.open, candle.high, candle.low, candle.close)
    )
    if crypto:
        volume = int(candle.volume * (candle.vwap or candle.close))
    elif untold:
        volume = 0
    else:
        volume = int(int(candle.volume) / scale)
    return _changed(candle, (first, high, low, last), Decimal(volume), None)


def _changed(
    candle: Candle, prices: tuple[Decimal, Decimal, Decimal, Decimal], volume: Decimal, count: int | None
) -> Candle:
    first, high, low, last = prices
    bucket = (candle.symbol, candle.timeframe, candle.open_ns, candle.close_ns)
    return Candle(*bucket, first, high, low, last, volume, count, None)
