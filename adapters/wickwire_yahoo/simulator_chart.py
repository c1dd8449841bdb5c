"""The body of `/v8/finance/chart/{symbol}` of the simulated Yahoo: meta, rows, events."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from wickwire import DAY_NS, HOUR_NS, SECOND_NS, Session, when
from wickwire.simulate.server import Market
from wickwire_yahoo.simulator_quotes import Quoted, period, seconds
from wickwire_yahoo.simulator_rows import DAY, Oddities, Row, last_price, rows_of
from wickwire_yahoo.simulator_windows import RANGES, Refused, Window

__all__ = ["chart"]

PRE_NS: Final = 5 * HOUR_NS + HOUR_NS // 2
POST_NS: Final = 4 * HOUR_NS
"""Before and after a session in New York: from 04:00, until 20:00."""
RANGE_DAYS: Final = 5
"""To make the trades of a whole year for two figures would take seconds."""


def chart(
    market: Market,
    quoted: Quoted,
    window: Window,
    now_ns: int,
    *,
    oddities: Oddities,
    scale: Decimal,
    prepost: bool,
) -> dict[str, Any]:
    """Return `result[0]`, every price times *scale*.

    Raises:
        Refused: 400 where the window holds no session.
    """
    rows = rows_of(market, quoted, window, now_ns, oddities)
    if not rows and not _sessions(market, quoted, window, now_ns):
        raise Refused(
            400,
            "Bad Request",
            f"Data doesn't exist for startDate = {window.since_s}, endDate = {window.until_s}",
        )
    result: dict[str, Any] = {"meta": _meta(market, quoted, window, now_ns, scale, prepost=prepost)}
    if not rows:  # nothing at all: no timestamp, an empty quote
        empty: dict[str, Any] = {"quote": [{}]} if window.intraday else {"quote": [{}], "adjclose": [{}]}
        return {**result, "indicators": empty}
    result["timestamp"] = [row.stamp for row in rows]
    columns = {
        name: [None if row.prices is None else told(row.prices[place], scale) for row in rows]
        for place, name in enumerate(("open", "high", "low", "close"))
    }
    volumes = [None if row.volume is None else _scaled_volume(row, quoted, scale) for row in rows]
    result["indicators"] = {"quote": [{**columns, "volume": volumes}]}
    if not window.intraday:
        result["indicators"]["adjclose"] = [{"adjclose": columns["close"]}]
    return result


def told(price: Decimal, scale: Decimal = Decimal(1)) -> float:
    """Return a price as Yahoo prints it: as a float of 32 bits, widened."""
    return float(struct.unpack("<f", struct.pack("<f", float(price * scale)))[0])


def _scaled_volume(row: Row, quoted: Quoted, scale: Decimal) -> int:
    volume = row.volume or 0
    return volume if quoted.kind == "CRYPTOCURRENCY" else int(volume / scale)


def _sessions(market: Market, quoted: Quoted, window: Window, now_ns: int) -> Sequence[tuple[int, int]]:
    since_ns, until_ns = window.since_s * SECOND_NS, min(window.until_s * SECOND_NS, now_ns + 1)
    return quoted.hours.sessions(max(since_ns, market.start_ns), until_ns)


def _meta(
    market: Market, quoted: Quoted, window: Window, now_ns: int, scale: Decimal, *, prepost: bool
) -> dict[str, Any]:
    """Return what is said about the instrument and the present. *prepost* changes how sessions are told."""
    local = when(now_ns).astimezone(quoted.zone)
    offset = local.utcoffset()
    meta: dict[str, Any] = {
        "currency": quoted.currency,
        "symbol": quoted.name,
        "exchangeName": quoted.exchange,
        "fullExchangeName": quoted.full_exchange,
        "instrumentType": quoted.kind,
        "firstTradeDate": seconds(market.start_ns),
        "hasPrePostMarketData": quoted.extended,
        "gmtoffset": 0 if offset is None else int(offset.total_seconds()),
        "timezone": local.tzname(),
        "exchangeTimezoneName": quoted.hours.tz,
        **_figures(market, quoted, now_ns, scale),
        "longName": f"{quoted.name} (simulated)",
        "shortName": quoted.name,
    }
    before = last_price(market, quoted, max(window.since_s * SECOND_NS - 1, market.start_ns))
    if before is not None:
        meta["chartPreviousClose"] = told(before[1], scale)
        if window.intraday and window.range == "1d":
            meta |= {"previousClose": meta["chartPreviousClose"], "scale": 3}
    meta["priceHint"] = 2
    meta["currentTradingPeriod"] = _current(quoted, now_ns)
    if window.intraday:
        sessions = [_three(quoted, session) for session in _sessions(market, quoted, window, now_ns)]
        regular = [[three["regular"]] for three in sessions]
        extended = {name: [[three[name]] for three in sessions] for name in ("pre", "regular", "post")}
        meta["tradingPeriods"] = extended if prepost else regular
    meta["dataGranularity"] = window.granularity
    meta["range"] = window.range
    meta["validRanges"] = list(RANGES)
    return meta


def _figures(market: Market, quoted: Quoted, now_ns: int, scale: Decimal) -> dict[str, Any]:
    """Return the last price and the figures of its day; the year's range is that of the last days."""
    last = last_price(market, quoted, now_ns)
    if last is None:
        return {}
    days = market.candles(quoted.symbol, DAY, now_ns - RANGE_DAYS * DAY_NS, now_ns + 1, grid=Session())
    today = days[-1]
    return {
        "regularMarketTime": last[0],
        "regularMarketPrice": told(last[1], scale),
        "fiftyTwoWeekHigh": told(max(day.high for day in days), scale),
        "fiftyTwoWeekLow": told(min(day.low for day in days), scale),
        "regularMarketDayHigh": told(today.high, scale),
        "regularMarketDayLow": told(today.low, scale),
        "regularMarketVolume": int(today.volume) if quoted.has_volume else 0,
    }


def _current(quoted: Quoted, now_ns: int) -> Mapping[str, Mapping[str, object]]:
    """Return the session that runs now, or else the next one."""
    number = quoted.hours.number_at(now_ns)
    open_ns = quoted.hours.open_ns(number)
    if open_ns + quoted.hours.length_ns <= now_ns:
        open_ns = quoted.hours.open_ns(number + 1)
    return _three(quoted, (open_ns, open_ns + quoted.hours.length_ns))


def _three(quoted: Quoted, session: tuple[int, int]) -> Mapping[str, Mapping[str, object]]:
    open_ns, end_ns = session
    pre = (open_ns - PRE_NS, open_ns) if quoted.extended else (open_ns, open_ns)
    post = (end_ns, end_ns + POST_NS) if quoted.extended else (end_ns, end_ns)
    return {name: period(quoted, each) for name, each in (("pre", pre), ("regular", session), ("post", post))}
