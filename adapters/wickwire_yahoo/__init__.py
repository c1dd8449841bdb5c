"""Yahoo Finance, candles by REST. There is no official document.

All of this was observed, up to 2026-11-21: in replies that public projects captured, and in the sources and
issues of public clients, yfinance above all.

`symbols` names things, `intervals` says how far back they reach, `rest` holds the one conversation; `chart`
reads a reply, `told` what it says beside its rows, `intraday` and `calendar` what the rows mean. There is no
streaming: Yahoo's streamer carries no candles, no single trades and no history.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from wickwire import (
    Description,
    Hours,
    HttpReply,
    HttpRequest,
    Limits,
    OhlcvQuery,
    OhlcvSupport,
    Page,
    Rate,
    Timeframe,
    hookimpl,
)
from wickwire_yahoo import rest, symbols
from wickwire_yahoo.intervals import INTERVALS
from wickwire_yahoo.symbols import Kind, Place

if TYPE_CHECKING:
    from wickwire.simulate.server import Market, VenueServer

__all__ = ["describe", "fetch_ohlcv", "from_venue", "simulate", "supports_ohlcv", "to_venue"]

API_LEVEL: Final = 1

_SYMBOLS: Final = "AAPL, BRK.B, 7203.T, ^GSPC, EUR/USD, ES=F, BTC/USD"

_NOTES: Final = {
    Kind.EQUITY: (
        "split-adjusted, not dividend-adjusted",
        "London, Johannesburg and Tel Aviv in 1/100 of the currency",
    ),
    Kind.INDEX: ("the volume of many indices is 0",),
    Kind.FX: ("the volume is always 0",),
    Kind.FUTURE: ("a continuous series whose rolls are unadjusted jumps",),
    Kind.CRYPTO: ("the volume is in the quote currency, not in coins",),
}


@hookimpl
def describe() -> Description:
    """Say what Yahoo Finance is: public, unofficial, polled."""
    return Description(
        title="Yahoo Finance",
        documents=("none are published; observed behaviour of /v8/finance/chart up to 2026-11",),
        timeframes=tuple(INTERVALS),
        feeds=(),
        # Nothing is published. One observer met no refusal below ten calls a minute; this is our choice.
        limits=Limits(rest=Rate(1, per_s=2.0, burst=5)),
    )


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe) -> OhlcvSupport:
    """Say what the chart endpoint has for a series: every interval by REST, none streamed."""
    interval, place = INTERVALS.get(timeframe), symbols.place_of(symbol)
    if place is None:
        return OhlcvSupport(
            why_not=f"{symbol!r:.80} is no symbol that Yahoo could have; write one like {_SYMBOLS}"
        )
    if interval is None:
        offered = ", ".join(map(str, INTERVALS))
        reason = (
            "Yahoo's 5d rows have no stable meaning"
            if str(timeframe) == "5d"
            else f"Yahoo has no {timeframe}"
        )
        return OhlcvSupport(why_not=f"{reason}; it serves {offered}")
    return OhlcvSupport(
        rest=True,
        page_rows=interval.page_rows,
        depth_s=interval.depth_s,
        settle_s=interval.settle_s + place.delay_s,
        proof_s=symbols.DELAY_S,
        grid=place.grid,
        hours=Hours("FX") if place.kind is Kind.FX else None,
        signed_prices=place.kind in (Kind.FUTURE, Kind.INDEX),  # oil in April 2020, yields below zero
        notes=_notes(place),
    )


@hookimpl
def to_venue(symbol: str) -> str:
    """Return Yahoo's spelling: `BTC-USD` for `BTC/USD`, `CAD=X` for `USD/CAD`, `BRK-B` for `BRK.B`."""
    return symbols.to_venue(symbol)


@hookimpl
def from_venue(text: str) -> str:
    """Return the canonical symbol of any spelling that Yahoo, or a person, uses."""
    return symbols.from_venue(text)


@hookimpl
def fetch_ohlcv(query: OhlcvQuery) -> Generator[HttpRequest, HttpReply, Page]:
    """Bring one page of candles, with one request."""
    return (yield from rest.fetch(query))


@hookimpl
def simulate(market: Market) -> VenueServer:
    """Return a chart endpoint over *market*."""
    from wickwire_yahoo.simulator import YahooServer  # noqa: PLC0415 - collecting needs no server

    return YahooServer(market)


def _notes(place: Place) -> tuple[str, ...]:
    delay = (f"closed {place.delay_s // 60} min late: Yahoo delays most exchanges",) if place.delay_s else ()
    return (*_NOTES[place.kind], *delay)
