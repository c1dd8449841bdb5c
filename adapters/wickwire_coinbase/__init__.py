"""Coinbase Advanced Trade: candles, trades and quotes over WebSocket, history over REST. Public, no key.

Reference: Coinbase Advanced Trade API, WebSocket and REST, read 2026-11; docs/venues/coinbase.md tells what
is special about the venue.

Rooms: `stream` (connect, parse) with `buckets` and `rows` (what rows become), `memory` (what a connection
remembers) and `dialogue` (requests and their answers); `rest`, `trades` and `products` (history and
listings), `refusals` (what a no means), `symbols` (names of products and timeframes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wickwire import Description, Feed, Limits, OhlcvSupport, Rate, Timeframe, Utc, hookimpl
from wickwire_coinbase.dialogue import subscribe
from wickwire_coinbase.products import list_instruments
from wickwire_coinbase.rest import PAGE_ROWS, fetch_ohlcv
from wickwire_coinbase.stream import ENVIRONMENTS, connect, parse
from wickwire_coinbase.symbols import (
    GRANULARITIES,
    STREAMED,
    TIMEFRAMES,
    from_venue,
    has_product_form,
    to_venue,
)
from wickwire_coinbase.trades import fetch_trades

if TYPE_CHECKING:
    from wickwire.simulate.server import Market, VenueServer

__all__ = [
    "connect",
    "describe",
    "fetch_ohlcv",
    "fetch_trades",
    "from_venue",
    "list_instruments",
    "parse",
    "simulate",
    "subscribe",
    "supports_ohlcv",
    "to_venue",
]

API_LEVEL: Final = 1

DOCUMENTS: Final = (
    "Coinbase Advanced Trade WebSocket: Overview, Market Data Channels, Rate Limits (2026-11)",
    "Coinbase Advanced Trade REST: Get Public Product Candles, Get Public Market Trades (2026-11)",
    "Coinbase Advanced Trade REST: List Public Products, Rate Limits, Error Responses (2026-11)",
)

LIMITS: Final = Limits(
    topics_per_connection=100,
    connects=Rate(1, 1.0),
    messages_overall=Rate(8, 1.0, 4),
    rest=Rate(10, 1.0),
    reply_headers=("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
)
"""What the venue allows an address; how it counts is not said, so no second ever holds more.

"WebSocket Rate Limits": 8 new connections a second, of which we take one, since an older page allowed fewer;
8 unauthenticated messages a second, of all connections together. "REST Rate Limits": 10 public requests a
second. How many subscriptions a connection bears is said nowhere: with 100 topics, what a lost message or
connection puts in doubt stays small. How many connections is not said either.
"""

# How late a trade may still change a bucket in history, Coinbase does not say; its public replies are said to
# come from a cache of a second. The stream tells a changed candle once a second.
SETTLE_S: Final = 5.0
GRACE_S: Final = 5.0


@hookimpl
def describe() -> Description:
    """Say what Coinbase is, for everybody: nothing here depends on an account."""
    return Description(
        title="Coinbase",
        documents=DOCUMENTS,
        channels=("candles", "market_trades", "ticker", "heartbeats"),
        timeframes=TIMEFRAMES,
        environments=tuple(ENVIRONMENTS),
        limits=LIMITS,
        feeds=(Feed.TRADES, Feed.QUOTES),
    )


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe) -> OhlcvSupport:
    """Say that 5m is streamed, that nine granularities are served, and trades come for all."""
    if not has_product_form(symbol):
        return OhlcvSupport(
            why_not=f"{symbol} is not a product; write BASE/QUOTE, such as BTC/USD, or BTC-PERP-INTX"
        )
    served = timeframe in GRANULARITIES
    notes = ["buckets without trades do not exist"]
    if not served:
        notes.append(f"Coinbase serves no {timeframe} candles itself")
    elif timeframe is not STREAMED:
        notes.append(f"only {STREAMED} candles are streamed")
    return OhlcvSupport(
        stream=timeframe is STREAMED,
        trades=True,
        numbered="/" in symbol,  # of futures it is not known what their trade ids count
        rest=served,
        page_rows=PAGE_ROWS,
        settle_s=SETTLE_S,
        grace_s=GRACE_S,
        grid=Utc(),
        notes=tuple(notes),
    )


@hookimpl
def simulate(market: Market) -> VenueServer:
    """Make the simulated Coinbase."""
    from wickwire_coinbase.simulator import CoinbaseServer  # noqa: PLC0415 - only simulations pay for it

    return CoinbaseServer(market)
