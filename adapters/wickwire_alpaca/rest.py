"""Alpaca's history over REST: bars of stocks (v2) and crypto (v1beta3), and trades.

Reference: Alpaca Docs, "Historical bars", "Historical trades", "Historical crypto bars", read 2026-11.

What a row means stands here; the requests and pages are in `pages`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

from wickwire import (
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Account,
    Candle,
    FaultKind,
    Finality,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Side,
    Stopped,
    Trade,
    TradePage,
    TradeQuery,
    VenueError,
    WireError,
    hookimpl,
)
from wickwire_alpaca.pages import BarsReply, RestBar, RestTrade, Talk, TradesReply
from wickwire_alpaca.symbols import CRYPTO, MINUTE, Place, close_of, grid_of, opens_on_grid, rest_name
from wickwire_alpaca.times import TextTimes

__all__ = ["SETTLE_S", "fetch_ohlcv", "fetch_trades"]

SETTLE_S: Final = 35.0
"""A late trade changes a bar until the next half-minute mark ("Real-time Stock Data", Updated bars)."""

_SUSPICIOUS: Final = 4  # so many bars of minutes, all at full hours, are bars of hours


_SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
_TAKEN_BACK: Final = ("canceled", "incorrect")


# --------------------------------------------------------------------------------------------------- hooks


@hookimpl
def fetch_ohlcv(query: OhlcvQuery, account: Account) -> Generator[HttpRequest, HttpReply, Page]:
    """Bring candles, over as many pages as the venue makes of them."""
    name = rest_name(query.timeframe)
    if name is None:
        raise VenueError(FaultKind.REQUEST, f"alpaca: there are no {query.timeframe} bars")
    talk = Talk.about(query.symbol, account, query.now_ns)
    since_ns, until_ns = talk.within(query.since_ns, query.until_ns)
    if since_ns >= until_ns:
        return Page(candles=(), covered=(since_ns, since_ns), stopped=Stopped.VENUE_LIMIT)
    params = {"timeframe": name, "adjustment": "raw"} if talk.place is not CRYPTO else {"timeframe": name}
    rows, as_of_ns, whole = yield from talk.pages("bars", BarsReply, params, since_ns, until_ns)
    candles = _candles(rows, query, talk.place, as_of_ns)
    reached_ns = until_ns if whole else candles[-1].close_ns if candles else since_ns
    return Page(
        candles=[row for row in candles if query.since_ns <= row.open_ns < query.until_ns],
        covered=(since_ns, min(reached_ns, until_ns)),
        stopped=Stopped.UNTIL
        if (since_ns, reached_ns) == (query.since_ns, query.until_ns)
        else Stopped.VENUE_LIMIT,
    )


@hookimpl
def fetch_trades(query: TradeQuery, account: Account) -> Generator[HttpRequest, HttpReply, TradePage]:
    """Bring the trades that still hold: none that was canceled, the corrected ones as they are now."""
    talk = Talk.about(query.symbol, account, query.now_ns)
    since_ns, until_ns = talk.within(query.since_ns, query.until_ns)
    if since_ns >= until_ns:
        return TradePage(trades=(), covered=(since_ns, since_ns), stopped=Stopped.VENUE_LIMIT)
    rows, as_of_ns, whole = yield from talk.pages("trades", TradesReply, {}, since_ns, until_ns)
    times = TextTimes()
    trades = [_trade(query.symbol, row, times) for row in rows if row.u not in _TAKEN_BACK]
    last_ns = trades[-1].time_ns if trades else since_ns
    reached_ns = min(until_ns, max(since_ns, as_of_ns if whole else last_ns))
    return TradePage(
        trades=[trade for trade in trades if query.since_ns <= trade.time_ns < query.until_ns],
        covered=(since_ns, reached_ns),
        stopped=Stopped.UNTIL
        if (since_ns, reached_ns) == (query.since_ns, query.until_ns)
        else Stopped.VENUE_LIMIT,
    )


# ---------------------------------------------------------------------------------------------------- rows


def _candles(rows: Sequence[RestBar], query: OhlcvQuery, place: Place, as_of_ns: int) -> list[Candle]:
    """Return the candles of *rows*.

    Raises:
        WireError: They are not of the interval that was asked for, or not in order.
    """
    try:
        candles = list(_each(rows, query, place, as_of_ns))
    except ValueError as exc:
        raise WireError(f"alpaca: a bar opens when no calendar is known: {exc}") from exc
    apart_ns = min((later.open_ns - row.open_ns for row, later in pairwise(candles)), default=HOUR_NS)
    if apart_ns <= 0:
        raise WireError("alpaca: bars are repeated or out of order; the pages may go round in a circle")
    size_ns = query.timeframe.fixed_ns
    coarse = len(candles) >= _SUSPICIOUS and all(row.open_ns % HOUR_NS == 0 for row in candles)
    if size_ns is not None and (apart_ns < min(size_ns, HOUR_NS) or (size_ns < HOUR_NS and coarse)):
        raise WireError(
            f"alpaca: asked for {query.timeframe} bars, got others, {apart_ns // MINUTE_NS} min apart"
        )
    return candles


def _each(rows: Sequence[RestBar], query: OhlcvQuery, place: Place, as_of_ns: int) -> Iterator[Candle]:
    timeframe, times = query.timeframe, TextTimes(place)
    grid = grid_of(place, timeframe)
    settled_ns = as_of_ns - round(SETTLE_S) * SECOND_NS
    for row in rows:
        numbers = (row.o, row.h, row.l, row.c, row.v, Decimal(0) if row.vw is None else row.vw)
        if not all(number.is_finite() for number in numbers):
            raise WireError(f"alpaca: expected finite numbers in the bar of {row.t[:40]}")
        open_ns = times.ns(row.t)
        if not opens_on_grid(timeframe, open_ns, grid):
            raise WireError(f"alpaca: no {timeframe} bar opens at {row.t[:40]}")
        close_ns = close_of(place, timeframe, open_ns)
        if close_ns > as_of_ns:
            finality = Finality.FORMING
        else:
            closed = timeframe is MINUTE and close_ns <= settled_ns
            finality = Finality.CLOSED if closed else Finality.UNSAID
        vwap = row.vw if row.n else None
        ohlc = (row.o, row.h, row.l, row.c)
        yield Candle(query.symbol, timeframe, open_ns, close_ns, *ohlc, row.v, row.n, vwap, finality)


def _trade(symbol: str, row: RestTrade, times: TextTimes) -> Trade:
    if not (row.p.is_finite() and row.s.is_finite()):
        raise WireError(f"alpaca: expected finite numbers in the trade of {row.t[:40]}")
    side = None if row.tks is None else _SIDES.get(row.tks)
    return Trade(symbol, str(row.i), row.p, row.s, side, times.ns(row.t))
