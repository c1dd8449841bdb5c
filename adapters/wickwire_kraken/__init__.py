"""Kraken spot: candles, trades and quotes over WebSocket v2, history over REST. Public data, no key.

Reference: Kraken API Center, Spot WebSocket v2 and Spot REST, read 2026-11; docs/venues/kraken.md tells what
is special about the venue.

Rooms: `stream` (connect, parse) with `rows` (what a row becomes) and `dialogue` (requests and their answers),
`rest` (history), `refusals` (what a no means), `symbols` (names of pairs and intervals).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wickwire import (
    Counting,
    Description,
    Feed,
    Lane,
    Limits,
    OhlcvSupport,
    Rate,
    Timeframe,
    Topic,
    Unit,
    Unknown,
    Utc,
    hookimpl,
)
from wickwire_kraken.buckets import DEPTH_ROWS
from wickwire_kraken.dialogue import subscribe
from wickwire_kraken.rest import fetch_ohlcv, fetch_trades, list_instruments
from wickwire_kraken.stream import ENVIRONMENTS, connect, parse
from wickwire_kraken.symbols import MINUTES, TIMEFRAMES, from_venue, has_pair_form, to_venue

if TYPE_CHECKING:
    from wickwire.simulate.server import Market, VenueServer

__all__ = [
    "connect",
    "describe",
    "fetch_ohlcv",
    "fetch_trades",
    "from_venue",
    "lane",
    "list_instruments",
    "parse",
    "simulate",
    "subscribe",
    "supports_ohlcv",
    "to_venue",
]

API_LEVEL: Final = 1

DOCUMENTS: Final = (
    "Kraken API Center, Spot WebSocket v2: Candles (OHLC), Trades, Ticker, Status, Heartbeat, Ping (2026-11)",
    "Kraken API Center, Spot REST: Get OHLC Data, Get Recent Trades, Get Tradable Asset Pairs (2026-11)",
)

# Kraken publishes none of these; they are what public clients keep to. More than 150 connects in ten minutes
# are said to bring a ban as long; some 300 pairs were seen working on one connection; ccxt asks each second.
# Its documents tell of counters that decay, which are buckets; messages are counted on each connection.
LIMITS: Final = Limits(
    topics_per_connection=250,
    connects=Rate(150, 600.0, 10),
    messages=Rate(20, 1.0, 10, Counting.BUCKET),
    rest=Rate(10, 10.0, 3, Counting.BUCKET),
)

# Kraken says nothing of how late a trade may still change a bucket. These are choices: history is asked late,
# since one answer settles the bucket; the stream sends a row with each trade, so less will do.
SETTLE_S: Final = 5.0
GRACE_S: Final = 3.0

# Where these begin is documented nowhere: their rows tell it.
OFF_GRID: Final = (Timeframe(1, Unit.WEEK), Timeframe(15, Unit.DAY))


@hookimpl
def describe() -> Description:
    """Say what Kraken is, for everybody: nothing here depends on an account."""
    return Description(
        title="Kraken",
        documents=DOCUMENTS,
        channels=("ohlc", "trade", "ticker"),
        timeframes=TIMEFRAMES,
        environments=tuple(ENVIRONMENTS),
        limits=LIMITS,
        feeds=(Feed.TRADES, Feed.QUOTES),
    )


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe) -> OhlcvSupport:
    """Say that the nine intervals are both streamed and served, and that history is short."""
    if not has_pair_form(symbol):
        return OhlcvSupport(why_not=f"{symbol} is not a pair; write BASE/QUOTE, such as BTC/USD")
    if timeframe not in MINUTES:
        known = " ".join(map(str, TIMEFRAMES))
        return OhlcvSupport(why_not=f"Kraken has no {timeframe} candles; it has {known}")
    return OhlcvSupport(
        stream=True,
        trades=True,
        numbered=True,  # "sequence number unique per book"
        rest=True,
        page_rows=DEPTH_ROWS,
        depth_rows=DEPTH_ROWS,
        settle_s=SETTLE_S,
        grace_s=GRACE_S,
        grid=Unknown() if timeframe in OFF_GRID else Utc(),
        notes=(f"history reaches back {DEPTH_ROWS} buckets",),
    )


@hookimpl
def lane(topic: Topic) -> Lane:
    """Keep two intervals of one pair apart: a connection takes one, and stays silent about the second."""
    return Lane(alone=("ohlc", topic.symbol)) if isinstance(topic.what, Timeframe) else Lane()


@hookimpl
def simulate(market: Market) -> VenueServer:
    """Make the simulated Kraken."""
    from wickwire_kraken.simulator import KrakenServer  # noqa: PLC0415 - only simulations pay for it

    return KrakenServer(market)
