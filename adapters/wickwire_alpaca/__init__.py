"""Alpaca market data: stocks (v2) and crypto (v1beta3), streamed and over REST.

Reference: Alpaca Docs, the pages named in `DOCUMENTS`, read 2026-11; docs/venues/alpaca.md tells what is
special about the venue.

Rooms: `stream` (connect, parse) with `rows` (what a row becomes), `times` (when) and `dialogue` (keys,
requests and their answers), `rest` and `trades` (history) with `pages`, `support` (what can be had),
`refusals` (what a no means), `symbols` (names, feeds, grids).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wickwire import Account, Description, Feed, Lane, Limits, Rate, Topic, hookimpl
from wickwire_alpaca.dialogue import subscribe
from wickwire_alpaca.rest import fetch_ohlcv
from wickwire_alpaca.stream import connect, parse
from wickwire_alpaca.support import supports_ohlcv
from wickwire_alpaca.symbols import (
    ENVIRONMENTS,
    PLANS,
    STOCKS,
    TIMEFRAMES,
    WITHOUT_KEYS,
    from_venue,
    is_crypto,
    to_venue,
)
from wickwire_alpaca.trades import fetch_trades

if TYPE_CHECKING:
    from wickwire.simulate.server import Market, VenueServer

__all__ = [
    "connect",
    "describe",
    "fetch_ohlcv",
    "fetch_trades",
    "from_venue",
    "lane",
    "parse",
    "simulate",
    "subscribe",
    "supports_ohlcv",
    "to_venue",
]

API_LEVEL: Final = 1

DOCUMENTS: Final = (
    "Alpaca Docs: WebSocket Stream, Real-time Stock Data, Real-time Crypto Data (2026-11)",
    "Alpaca Docs: About Market Data API, Historical bars, Historical trades, Market Data FAQ (2026-11)",
)

SECRETS: Final = ("key", "secret")

FREE_SYMBOLS: Final = 30
"""Symbols on a stream of the free plan ("About Market Data API"). Older pages count trades and quotes of each
symbol: counted as topics it is never too many."""

RATES: Final = {
    # 200 a minute; somebody measured a bucket that fills up by 3.2 a second, from which all feeds drink. This
    # keeps to both: 192 in any minute, 3.2 a second after the first.
    "basic": Rate(192, 60.0, 20),
    "plus": Rate(10_000, 60.0, 200),
}
"""REST requests by plan ("About Market Data API")."""

CONNECTS: Final = Rate(10, 60.0, 3)
"""No number is published; the place of a connection that just died is taken for a while."""

HEADERS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@hookimpl
def describe(account: Account) -> Description:
    """Say what Alpaca is to *account*; a plan that is not known counts as the free one."""
    plan = PLANS.get(account.plan, "basic")
    streams = account.feed != "sip" or plan != "basic"
    return Description(
        title="Alpaca" if streams else "Alpaca SIP on the free plan (15 minutes late)",
        documents=DOCUMENTS,
        channels=("bars", "updatedBars", "dailyBars", "statuses", "trades", "quotes"),
        timeframes=TIMEFRAMES,
        credentials=SECRETS if account.feed else (),
        stream_credentials=SECRETS,
        without_credentials=WITHOUT_KEYS,
        environments=tuple(ENVIRONMENTS),
        limits=Limits(
            connections_per_lane=1,
            topics_per_connection=FREE_SYMBOLS if plan == "basic" else None,
            connects=CONNECTS,
            rest=RATES[plan],
            reply_headers=HEADERS,
        ),
        variants=tuple(STOCKS),
        feeds=(Feed.TRADES, Feed.QUOTES) if streams else (),
    )


@hookimpl
def lane(topic: Topic) -> Lane:
    """Keep the endpoints apart: stocks and crypto are streamed on two, and each takes one connection."""
    return Lane("crypto" if is_crypto(topic.symbol) else "stocks")


@hookimpl
def simulate(market: Market) -> VenueServer:
    """Make the simulated Alpaca."""
    from wickwire_alpaca.simulator import AlpacaServer  # noqa: PLC0415 - only simulations pay for it

    return AlpacaServer(market)
