"""The rows of one chart of the simulated Yahoo, with all their oddities, as captured replies show them."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

import attrs

from wickwire import DAY_NS, SECOND_NS, Candle, Session, Timeframe, Unit, when
from wickwire.simulate.server import Market
from wickwire_yahoo.simulator_quotes import Quoted, seconds
from wickwire_yahoo.simulator_windows import Window

__all__ = ["Oddities", "Row", "last_price", "rows_of"]

DAY: Final = Timeframe(1, Unit.DAY)
WEEK: Final = Timeframe(1, Unit.WEEK)
FEW_NS: Final = 15 * SECOND_NS
"""In so short a time there are few trades."""
STALE_DAYS: Final = 7
"""For so long after a change of the clocks midnights are told with the offset of before."""


@attrs.frozen
class Row:
    """One row; prices are None in a row of nulls.

    Attributes:
        stamp: Unix seconds: where the bucket starts, or the time of the last price.
        prices: Open, high, low, close.
        volume: As told: shares, or the quote currency for crypto.
    """

    stamp: int
    prices: Sequence[Decimal] | None
    volume: int | None


@attrs.frozen(kw_only=True)
class Oddities:
    """Which of its habits the server shows.

    Attributes:
        live_row: The last price comes as a row of its own after intraday rows.
        split_period: The running week or month comes as two rows.
        duplicate_day: Today comes twice in daily rows.
        null_rows: Some buckets without a trade come as rows of nulls; else all of them are left out.
        early_rows: London's shares have a row from before each session, which nobody asked for.
        evening_stamps: After clocks went back, days and weeks are stamped on the evening before for a while.
        volume_lag_s: For so long after its end, a tenth of a bar's volume is missing.
    """

    live_row: bool = True
    split_period: bool = True
    duplicate_day: bool = False
    null_rows: bool = True
    early_rows: bool = True
    evening_stamps: bool = True
    volume_lag_s: float = 0.0


def rows_of(market: Market, quoted: Quoted, window: Window, now_ns: int, oddities: Oddities) -> Sequence[Row]:
    """Return what the chart holds at *now_ns*, oldest first."""
    if window.intraday:
        rows = _intraday(market, quoted, window, now_ns, oddities)
        return [*rows, *_live(market, quoted, window, rows, now_ns)] if oddities.live_row else rows
    if window.timeframe is DAY:
        return _daily(market, quoted, window, now_ns, oddities)
    return _periods(market, quoted, window, now_ns, oddities)


def last_price(market: Market, quoted: Quoted, now_ns: int) -> tuple[int, Decimal] | None:
    """Return `regularMarketTime` and the last price; after the close the time is that of the close."""
    trade = _last_trade(market, quoted, now_ns)
    if trade is None:
        return None
    time_ns, price = trade
    session = quoted.hours.session_at(time_ns)
    over = session is not None and session[1] <= now_ns and session[1] - session[0] < DAY_NS
    return seconds(session[1] if session is not None and over else time_ns), price


def _last_trade(market: Market, quoted: Quoted, now_ns: int) -> tuple[int, Decimal] | None:
    if now_ns <= market.start_ns:
        return None
    symbol = quoted.symbol
    since_ns, until_ns, span_ns = now_ns, now_ns + 1, FEW_NS
    while market.next_trade_ns(symbol, since_ns - 1) >= until_ns:
        if since_ns <= market.start_ns:
            return None
        until_ns = since_ns
        since_ns, span_ns = max(market.start_ns, since_ns - span_ns), span_ns * 4
    while until_ns - since_ns > FEW_NS:  # after a weekend that is a day of trades, of which one is wanted
        middle_ns = (since_ns + until_ns) // 2
        if market.next_trade_ns(symbol, middle_ns - 1) < until_ns:
            since_ns = middle_ns
        else:
            until_ns = middle_ns
    last = market.trades(symbol, since_ns, until_ns)[-1]
    return last.time_ns, last.price


def _candles(
    market: Market, quoted: Quoted, timeframe: Timeframe, window: Window, now_ns: int
) -> Sequence[Candle]:
    """Return the market's candles that may have their stamp in the window, cut at *now_ns*."""
    # a daily row is stamped at its session's open, hours after its bucket's own, or on the evening before
    margin_ns = 0 if timeframe.fixed_ns is not None else DAY_NS
    since_ns = max(window.since_s * SECOND_NS - margin_ns, market.start_ns - timeframe.nominal_ns)
    until_ns = min(window.until_s * SECOND_NS + margin_ns, now_ns + 1)
    whole = market.candles(quoted.symbol, timeframe, since_ns, now_ns + 1, grid=Session())
    return [row for row in whole if row.open_ns < until_ns]


def _intraday(
    market: Market, quoted: Quoted, window: Window, now_ns: int, oddities: Oddities
) -> Sequence[Row]:
    candles = {
        candle.open_ns: candle for candle in _candles(market, quoted, window.timeframe, window, now_ns)
    }
    rows: list[Row] = []
    early = _early(market, quoted, window, now_ns) if oddities.early_rows and quoted.opens_early else []
    for open_ns in _grid(market, quoted, window, now_ns):
        candle = candles.get(open_ns)
        if candle is not None:
            rows.append(_row(quoted, seconds(open_ns), candle, now_ns, oddities))
        elif oddities.null_rows and seconds(open_ns) // 60 % 2 == 0:
            rows.append(Row(seconds(open_ns), None, None))
    return sorted([*early, *rows], key=lambda row: row.stamp)


def _early(market: Market, quoted: Quoted, window: Window, now_ns: int) -> Sequence[Row]:
    """Return the bucket before each session that opened: nobody trades yet, so it has the price of before."""
    fixed = window.timeframe.fixed_ns or DAY_NS
    since_ns, until_ns = window.since_s * SECOND_NS, min(window.until_s * SECOND_NS, now_ns + 1)
    rows: list[Row] = []
    for open_ns, _ in quoted.hours.sessions(max(since_ns, market.start_ns), min(until_ns + fixed, now_ns)):
        before = _last_trade(market, quoted, open_ns - 1)
        if before is not None and since_ns <= open_ns - fixed < until_ns:
            rows.append(Row(seconds(open_ns - fixed), (before[1],) * 4, 0))
    return rows


def _grid(market: Market, quoted: Quoted, window: Window, now_ns: int) -> Iterator[int]:
    """Yield where every bucket of every session in the window opens."""
    fixed = window.timeframe.fixed_ns or DAY_NS
    since_ns, until_ns = window.since_s * SECOND_NS, min(window.until_s * SECOND_NS, now_ns + 1)
    first_ns = max(since_ns, market.start_ns - fixed + 1)
    for open_ns, end_ns in quoted.hours.sessions(max(since_ns, market.start_ns), until_ns):
        skipped_ns = max(0, -((open_ns - first_ns) // fixed)) * fixed
        yield from range(open_ns + skipped_ns, min(end_ns, until_ns), fixed)


def _live(market: Market, quoted: Quoted, window: Window, rows: Sequence[Row], now_ns: int) -> Sequence[Row]:
    """Return the last price as a row, also where it lies outside a window that touches its day."""
    last = last_price(market, quoted, now_ns)
    if last is None or window.until_s < last[0] - last[0] % 86_400 or (rows and rows[-1].stamp >= last[0]):
        return []
    return [Row(last[0], (last[1],) * 4, 0)]


def _daily(market: Market, quoted: Quoted, window: Window, now_ns: int, oddities: Oddities) -> Sequence[Row]:
    rows = [
        _row(quoted, _day_stamp(quoted, candle, oddities), candle, now_ns, oddities)
        for candle in _candles(market, quoted, DAY, window, now_ns)
    ]
    last = last_price(market, quoted, now_ns)
    rows = [row for row in rows if window.since_s <= row.stamp < window.until_s]
    if oddities.duplicate_day and rows and last is not None and rows[-1].stamp < last[0]:
        rows.append(attrs.evolve(rows[-1], stamp=last[0]))
    return rows


def _day_stamp(quoted: Quoted, candle: Candle, oddities: Oddities) -> int:
    if quoted.dated_by_session:
        sessions = quoted.hours.sessions(candle.open_ns, candle.close_ns)
        if sessions:
            return seconds(sessions[0][0])
    return _midnight(quoted, candle, oddities)


def _midnight(quoted: Quoted, candle: Candle, oddities: Oddities) -> int:
    """Return how the midnight is told with which a day or a week opens.

    Clients find such rows at 22:00 or 23:00 of the evening before around clock changes, and take the clocks
    to be the reason. Which days is not established: here, for a week after clocks went back, the offset of
    before is used still.
    """
    midnight = when(candle.open_ns).astimezone(quoted.zone)
    before = midnight - timedelta(days=STALE_DAYS)  # on the wall: the same local time
    stale = (before.utcoffset() or timedelta()) - (midnight.utcoffset() or timedelta())
    told = oddities.evening_stamps and candle.timeframe in (DAY, WEEK)
    return seconds(candle.open_ns) - (max(0, round(stale.total_seconds())) if told else 0)


def _periods(
    market: Market, quoted: Quoted, window: Window, now_ns: int, oddities: Oddities
) -> Sequence[Row]:
    """Return weeks, months or quarters; of the running one, what was before today and then today."""
    candles = _candles(market, quoted, window.timeframe, window, now_ns)
    last = last_price(market, quoted, now_ns)
    rows = [_row(quoted, _midnight(quoted, candle, oddities), candle, now_ns, oddities) for candle in candles]
    if oddities.split_period and candles and last is not None and candles[-1].close_ns > now_ns:
        opens_ns = candles[-1].open_ns
        days = market.candles(quoted.symbol, DAY, opens_ns - DAY_NS, now_ns + 1, grid=Session())
        days = days[bisect.bisect_left(days, opens_ns, key=lambda day: day.open_ns) :]
        today = _row(quoted, last[0], days[-1], now_ns, oddities)
        if len(days) > 1:
            earlier = [_row(quoted, rows[-1].stamp, day, now_ns, oddities) for day in days[:-1]]
            rows[-1:] = [_joined(earlier), today]
    return [row for row in rows if window.since_s <= row.stamp < window.until_s]


def _joined(rows: Sequence[Row]) -> Row:
    prices = [row.prices for row in rows if row.prices is not None]
    whole = (
        prices[0][0],
        max(row[1] for row in prices),
        min(row[2] for row in prices),
        prices[-1][3],
    )
    return Row(rows[0].stamp, whole, sum(row.volume or 0 for row in rows))


def _row(quoted: Quoted, stamp: int, candle: Candle, now_ns: int, oddities: Oddities) -> Row:
    volume = _volume(quoted, candle)
    if 0 < now_ns - candle.close_ns < oddities.volume_lag_s * SECOND_NS:
        volume = volume * 9 // 10
    return Row(stamp, (candle.open, candle.high, candle.low, candle.close), volume)


def _volume(quoted: Quoted, candle: Candle) -> int:
    if not quoted.has_volume:
        return 0
    if quoted.kind == "CRYPTOCURRENCY":  # told in the quote currency, not in coins
        return int(candle.volume * (candle.vwap or candle.close))
    return int(candle.volume)
