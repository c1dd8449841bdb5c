"""The events of the simulated DXLink: one market told in fields, every value as it stands in JSON.

Doubles are printed as Java prints them (`300.0`, `1.204331E7`), which is how they were captured; those
without a value are the text NaN. On tastytrade the times of quotes are 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from wickwire import DAY_NS, Candle, Side, Timeframe, Utc, Zone
from wickwire.simulate.server import Market, MarketTrade
from wickwire_dxlink.simulator_symbols import NEW_YORK, Bars, Listed

__all__ = [
    "FIELDS",
    "NAN",
    "NULL",
    "Event",
    "candle_event",
    "double",
    "dummy_event",
    "index_of",
    "latest_event",
    "sale_events",
    "stamp_ms",
]

Event = Mapping[str, str]
"""Field to value, as JSON text."""

NAN: Final = '"NaN"'
NULL: Final = "null"
INVALID_EVERY: Final = 7
"""After so many trades a tick that is not valid is printed; how often that really happens nobody wrote."""
AWAY: Final = Decimal("0.97")
"""Its price, as a share of the market's."""
_MS: Final = 1_000_000
_INDEXED: Final = ("eventType", "eventSymbol", "eventTime", "eventFlags", "index", "time", "sequence")
_DAY: Final = ("dayOpenPrice", "dayHighPrice", "dayLowPrice", "dayClosePrice")

_LAST: Final = (
    *(
        "eventType",
        "eventSymbol",
        "eventTime",
        "time",
        "timeNanoPart",
        "sequence",
        "exchangeCode",
        "price",
    ),
    *("change", "size", "dayId", "dayVolume", "dayTurnover", "tickDirection", "extendedTradingHours"),
)

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Candle": (
        *(*_INDEXED, "count", "open", "high", "low", "close", "volume", "vwap"),
        *("bidVolume", "askVolume", "impVolatility", "openInterest"),
    ),
    "Quote": (
        *("eventType", "eventSymbol", "eventTime", "sequence", "timeNanoPart"),
        *(
            "bidTime",
            "bidExchangeCode",
            "bidPrice",
            "bidSize",
            "askTime",
            "askExchangeCode",
            "askPrice",
            "askSize",
        ),
    ),
    "TimeAndSale": (
        *(*_INDEXED, "timeNanoPart", "exchangeCode", "price", "size", "bidPrice", "askPrice"),
        *("exchangeSaleConditions", "tradeThroughExempt", "aggressorSide", "spreadLeg"),
        *("extendedTradingHours", "validTick", "type", "buyer", "seller"),
    ),
    "Trade": _LAST,
    "TradeETH": _LAST,
    "Summary": (
        *("eventType", "eventSymbol", "eventTime", "dayId", *_DAY, "dayClosePriceType", "prevDayId"),
        *("prevDayClosePrice", "prevDayClosePriceType", "prevDayVolume", "openInterest"),
    ),
    "Greeks": (*_INDEXED, "price", "volatility", "delta", "gamma", "theta", "rho", "vega"),
    "TheoPrice": (*_INDEXED, "price", "underlyingPrice", "delta", "gamma", "dividend", "interest"),
    "Underlying": (
        *(*_INDEXED, "volatility", "frontVolatility", "backVolatility"),
        *("callVolume", "putVolume", "putCallRatio"),
    ),
    "Profile": (
        *("eventType", "eventSymbol", "eventTime", "description", "shortSaleRestriction", "tradingStatus"),
        *("statusReason", "haltStartTime", "haltEndTime", "highLimitPrice", "lowLimitPrice"),
        *("high52WeekPrice", "low52WeekPrice", "beta", "earningsPerShare", "dividendFrequency"),
        *("exDividendAmount", "exDividendDayId", "shares", "freeFloat"),
    ),
}
"""Everything that this server knows of a type, in its own order."""


def double(value: Decimal | None) -> str:
    """Return a double as Java prints it."""
    if value is None:
        return NAN
    if value == 0:
        return "0.0"
    sign, digits, exponent = value.normalize().as_tuple()
    assert isinstance(exponent, int)
    figures, size = "".join(map(str, digits)), len(digits) + exponent
    minus = "-" if sign else ""
    if -2 <= size <= 7:  # noqa: PLR2004 - from a thousandth to ten millions
        whole, part = (
            (figures.ljust(size, "0")[:size], figures[size:]) if size > 0 else ("0", "0" * -size + figures)
        )
        return f"{minus}{whole}.{part or 0}"
    return f"{minus}{figures[0]}.{figures[1:] or 0}E{size - 1}"


def index_of(time_ms: int, sequence: int = 0) -> int:
    """Return the index of an instant: seconds, milliseconds and a sequence in 64 bits."""
    return (time_ms // 1000 << 32) | (time_ms % 1000 << 22) | sequence


def _event(kind: str, symbol: str, **fields: str) -> Event:
    return {"eventType": f'"{kind}"', "eventSymbol": json.dumps(symbol), "eventTime": "0", **fields}


# ------------------------------------------------------------------------------------------------ candles


def stamp_ms(bars: Bars, candle: Candle) -> int:
    """Return a candle's time: its open, but days and longer have 00:00 UTC of their first date."""
    if candle.timeframe.fixed_ns is not None or isinstance(bars.grid, Utc):
        return candle.open_ns // _MS
    return Timeframe.parse("1d").open_at(candle.open_ns, Utc()) // _MS


def candle_event(market: Market, bars: Bars, candle: Candle, flags: int = 0) -> Event:
    """Return a candle of the charted price; one of bids, asks or marks has no volume."""
    time_ms, listed = stamp_ms(bars, candle), bars.listed
    prices: Sequence[Decimal] = (candle.open, candle.high, candle.low, candle.close)
    volume: Decimal | None = None if listed.kind == "index" else candle.volume
    vwap = candle.vwap
    if bars.price != "last":
        prices, volume, vwap = _charted(market, bars, candle), None, None
    halves = (None, None) if volume is None else (volume * Decimal("0.5"),) * 2
    return _event(
        "Candle",
        bars.symbol,
        eventFlags=str(flags),
        index=str(index_of(time_ms)),
        time=str(time_ms),
        sequence="0",
        count=str(candle.trade_count or 0),
        **dict(zip(("open", "high", "low", "close"), map(double, prices), strict=True)),
        volume=double(volume),
        vwap=double(vwap),
        bidVolume=double(halves[0]),
        askVolume=double(halves[1]),
        impVolatility="0.2427" if listed.kind == "share" else NAN,
        openInterest=NAN,
    )


def _charted(market: Market, bars: Bars, candle: Candle) -> Sequence[Decimal]:
    """Return open, high, low and close of another price, seen at each trade."""
    seen = []
    for trade in market.trades(bars.listed.symbol, candle.open_ns, candle.close_ns)[: candle.trade_count]:
        quote = market.quote(bars.listed.symbol, trade.time_ns)
        middle = (quote.bid + quote.ask) / 2
        seen.append({"bid": quote.bid, "ask": quote.ask, "mark": middle}.get(bars.price, trade.price))
    return seen[0], max(seen), min(seen), seen[-1]


def dummy_event(symbol: str, time_ms: int, flags: int) -> Event:
    """Return the row that ends a snapshot: removed, without prices, at the time that was asked for."""
    doubles = dict.fromkeys(FIELDS["Candle"][8:], NAN)
    place = {"index": str(index_of(time_ms)), "time": str(time_ms), "sequence": "0", "count": "0"}
    return _event("Candle", symbol, eventFlags=str(flags), **place, **doubles)


# ------------------------------------------------------------------------------------- quotes and trades


def sale_events(market: Market, listed: Listed, trade: MarketTrade) -> Sequence[Event]:
    """Return a trade with everything that was known when it happened, and what is printed with it.

    Now and then that is a tick which is not valid and must not form a price, such as one of an average price.
    """
    sale = _sale(market, listed, trade)
    if trade.number % INVALID_EVERY:
        return [sale]
    time_ms, sequence = trade.time_ns // _MS, (trade.number + 2**21) % 2**22
    place = {"index": str(index_of(time_ms, sequence)), "sequence": str(sequence)}
    off = {"price": double(trade.price * AWAY), "validTick": "false", "exchangeSaleConditions": '"@  W"'}
    return [sale, {**sale, **place, **off}]


def _sale(market: Market, listed: Listed, trade: MarketTrade) -> Event:
    quote = market.quote(listed.symbol, trade.time_ns)
    time_ms, sequence = trade.time_ns // _MS, trade.number % 2**22
    return _event(
        "TimeAndSale",
        listed.name,
        eventFlags="0",
        index=str(index_of(time_ms, sequence)),
        time=str(time_ms),
        timeNanoPart=str(trade.time_ns % _MS),
        sequence=str(sequence),
        exchangeCode='"Q"',
        price=double(trade.price),
        size=double(trade.size),
        bidPrice=double(quote.bid),
        askPrice=double(quote.ask),
        exchangeSaleConditions='"@  I"',
        tradeThroughExempt='"\\u0000"',
        aggressorSide='"BUY"' if trade.side is Side.BUY else '"SELL"',
        spreadLeg="false",
        extendedTradingHours="false",
        validTick="true",
        type='"NEW"',
        buyer=NULL,
        seller=NULL,
    )


def latest_event(market: Market, listed: Listed, kind: str, at_ns: int) -> Event:
    """Return the latest Quote, Trade, TradeETH or Summary."""
    if kind == "Quote":
        return _quote(market, listed, at_ns)
    grid = Utc() if listed.instrument.session is None else Zone(NEW_YORK)
    day = Timeframe.parse("1d")
    today_ns = day.open_at(at_ns, grid)
    days = market.candles(listed.symbol, day, today_ns - 5 * DAY_NS, at_ns + 1, grid=grid)
    before = [one for one in days if one.open_ns < today_ns][-1:]
    now = [one for one in days if one.open_ns >= today_ns][-1:]
    day_id, size = str(at_ns // DAY_NS), None if listed.kind == "index" else Decimal(1)
    if kind == "Summary":
        prices: list[tuple[Decimal | None, ...]] = [(one.open, one.high, one.low) for one in now]
        prices = prices or [(None, None, None)]
        return _event(
            "Summary",
            listed.name,
            dayId=day_id,
            **dict(zip(_DAY, map(double, (*prices[0], None)), strict=True)),
            dayClosePriceType='"REGULAR"',
            prevDayId=str(at_ns // DAY_NS - 1),
            prevDayClosePrice=double(before[0].close if before else None),
            prevDayClosePriceType='"FINAL"',
            prevDayVolume=double(before[0].volume if before else None),
            openInterest="0",
        )
    last = _last_trade(market, listed.symbol, at_ns) if now else None
    volume = now[0].volume if now and size else None
    return _event(
        kind,
        listed.name,
        time=str(last.time_ns // _MS if last else 0),
        timeNanoPart=str(last.time_ns % _MS if last else 0),
        sequence=str(last.number % 2**22 if last else 0),
        exchangeCode='"Q"',
        price=double(last.price if last else None),
        change=double(last.price - before[0].close if last and before else None),
        size=double(last.size if last and size else None),
        dayId=day_id,
        dayVolume=double(volume),
        dayTurnover=double(volume * now[0].close if volume else None),
        tickDirection='"UNDEFINED"',
        extendedTradingHours="false",
    )


def _last_trade(market: Market, symbol: str, at_ns: int) -> MarketTrade | None:
    span_ns = 60 * 10**9
    while True:
        trades = market.trades(symbol, max(market.start_ns, at_ns - span_ns), at_ns + 1)
        if trades or at_ns - span_ns <= market.start_ns:
            return trades[-1] if trades else None
        span_ns *= 8


def _quote(market: Market, listed: Listed, at_ns: int) -> Event:
    quote, code = market.quote(listed.symbol, at_ns), '"Q"' if listed.kind == "share" else '""'
    sizes = (None, None) if listed.kind == "index" else (quote.bid_size, quote.ask_size)
    return _event(
        "Quote",
        listed.name,
        sequence="0",
        timeNanoPart="0",
        bidTime="0",
        bidExchangeCode=code,
        bidPrice=double(quote.bid),
        bidSize=double(sizes[0]),
        askTime="0",
        askExchangeCode=code,
        askPrice=double(quote.ask),
        askSize=double(sizes[1]),
    )
