"""What can be had of a candle series at Alpaca, for whom, and what a person should know of it.

Reference: Alpaca Docs, "About Market Data API" (plans), "Real-time Stock Data", "Real-time Crypto Data",
"Historical bars", read 2026-11.
"""

from __future__ import annotations

from typing import Final

from wickwire import MINUTE_NS, Account, Hours, OhlcvSupport, Timeframe, Unknown, Zone, hookimpl
from wickwire_alpaca.pages import FREE_DELAY_S, PAGE_ROWS
from wickwire_alpaca.rest import SETTLE_S
from wickwire_alpaca.symbols import (
    CRYPTO,
    DAY,
    MINUTE,
    NO_KEYS,
    PLANS,
    Place,
    grid_of,
    has_keys,
    is_late,
    place_of,
    rest_name,
)

__all__ = ["supports_ohlcv"]

DELAY_S: Final = 15 * 60.0
"""How late the feed delayed_sip is."""

HOURS: Final = Hours("XNYS", before_s=5.5 * 3600, after_s=4 * 3600.0)
"""Stocks trade from 04:00 to 20:00 in New York, and until 17:00 on half days."""

_KNOWN: Final = "1m to 59m, 1h to 23h, 1d, 1w, and 1, 2, 3, 4, 6 and 12mo"

_MIDS: Final = "a candle with trade count 0 is one of quotes: mid-prices, volume 0, no vwap"
_STOCK: Final = "a minute without trades has no candle; early and late trading is in; prices are unadjusted"
_BUILT: Final = "built from all trades, of which Alpaca's own bars leave some out; there is no history"


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe, account: Account) -> OhlcvSupport:
    """Say what can be had: minutes and the running day are streamed, the rest is served over REST.

    Candles of less than a minute can be built from trades where a trade can be told from another. Longer ones
    never are: Alpaca's bars leave some trades of stocks out, and those of crypto hold prices of quotes.
    """
    place = place_of(symbol, account)
    why_not = place if isinstance(place, str) else _why_not(place, timeframe, account)
    if isinstance(place, str) or why_not:
        return OhlcvSupport(why_not=why_not)
    delay_s = DELAY_S if place.delayed else 0.0
    if rest_name(timeframe) is None:
        return OhlcvSupport(trades=True, grace_s=SETTLE_S, grid=Zone(place.tz), notes=(_BUILT,))
    streamed = (timeframe is MINUTE and "bars" in place.channels) or (
        timeframe is DAY and "dailyBars" in place.channels
    )
    grid = grid_of(place, timeframe)
    return OhlcvSupport(
        stream=streamed and _may_stream(place, account),
        rest=bool(place.rest),
        page_rows=PAGE_ROWS,
        marks_closed=timeframe is MINUTE,
        settle_s=SETTLE_S + (FREE_DELAY_S if is_late(place, account) else 0.0),
        grace_s=SETTLE_S + delay_s,
        grid=grid,
        hours=None if place is CRYPTO or not place.rest else HOURS,
        notes=_notes(place, timeframe, account, grid),
    )


def _why_not(place: Place, timeframe: Timeframe, account: Account) -> str:
    """Return why nothing can be had, or nothing."""
    size_ns = timeframe.fixed_ns
    short = size_ns is not None and size_ns < MINUTE_NS
    if account.plan not in PLANS:
        return f"Alpaca has no plan {account.plan!r:.40}; there are basic and plus"
    if place is not CRYPTO and not has_keys(account):
        return f"the stocks of Alpaca: it {NO_KEYS}"
    if rest_name(timeframe) is None and not short:
        return f"Alpaca has no {timeframe} bars; it has {_KNOWN}"
    if short and not has_keys(account):
        return f"Alpaca has no {timeframe} bars, and its stream of trades {NO_KEYS}"
    if short and not (place.numbered and _may_stream(place, account)):
        return f"Alpaca has no {timeframe} bars, nor trades here to build them from; it has {_KNOWN}"
    if not place.rest and timeframe is not MINUTE:
        return "the test feed has 1m only"
    return ""


def _may_stream(place: Place, account: Account) -> bool:
    return has_keys(account) and (place.delayed or not is_late(place, account))


def _notes(place: Place, timeframe: Timeframe, account: Account, grid: Zone | Unknown) -> tuple[str, ...]:
    notes = [_MIDS if place is CRYPTO else _STOCK]
    if isinstance(grid, Unknown):
        notes.append(f"where {timeframe} bars begin is not documented and is read from them")
    if place.delayed:
        notes.append("told 15 minutes late")
    if is_late(place, account):
        notes.append("the free plan has SIP data only from 15 minutes ago on; alpaca.iex is at once")
    return tuple(notes)
