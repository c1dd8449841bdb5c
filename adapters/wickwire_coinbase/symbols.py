"""What Coinbase calls things: products and granularities, both ways.

Reference: Coinbase Advanced Trade API, "List Public Products", "Get Public Product Candles" and the WebSocket
"Market Data Channels", read 2026-11.

A spot product is written `BTC-USD`, ours is `BTC/USD`. Everything else that is listed (`BTC-PERP-INTX`,
`BIT-27NOV26-CDE`) has more than one dash and no base and quote in its name, so it keeps it.
"""

from __future__ import annotations

import re
from typing import Final

from wickwire import Timeframe, hookimpl

__all__ = [
    "GRANULARITIES",
    "LENGTH_NS",
    "STREAMED",
    "TIMEFRAMES",
    "book_of",
    "from_venue",
    "has_product_form",
    "to_venue",
]

GRANULARITIES: Final = {
    Timeframe.parse(text): name
    for text, name in {
        "1m": "ONE_MINUTE",
        "5m": "FIVE_MINUTE",
        "15m": "FIFTEEN_MINUTE",
        "30m": "THIRTY_MINUTE",
        "1h": "ONE_HOUR",
        "2h": "TWO_HOUR",
        "4h": "FOUR_HOUR",  # only on newer copies of the page
        "6h": "SIX_HOUR",
        "1d": "ONE_DAY",
    }.items()
}
"""What REST serves ("Get Public Product Candles")."""

TIMEFRAMES: Final = tuple(GRANULARITIES)
LENGTH_NS: Final = {timeframe: timeframe.nominal_ns for timeframe in TIMEFRAMES}

STREAMED: Final = Timeframe.parse("5m")
"""The only timeframe of the candles channel, whose rows do not even name it ("Candles Channel")."""

_OWN_BOOKS: Final = frozenset({"USDT-USDC", "EURC-USDC"})
"""Products quoted in USDC that do not share the book of the one quoted in USD ("Market Data Channels")."""

_PAIR: Final = re.compile(r"[A-Za-z0-9.]+/[A-Za-z0-9.]+")
_NATIVE: Final = re.compile(r"[A-Za-z0-9.]+(-[A-Za-z0-9.]+){2,}")


@hookimpl
def to_venue(symbol: str) -> str:
    """Return the product id: `BTC-USD` for `BTC/USD`."""
    return symbol.replace("/", "-")


@hookimpl
def from_venue(text: str) -> str:
    """Return the canonical symbol of a product id, or of a symbol as people type it.

    What has neither slash nor dash comes back unchanged, for `supports_ohlcv` to refuse: where `BTCUSD` is to
    be cut nobody can say for all products.
    """
    name = text.strip()
    if name.isascii() and name.islower():
        name = name.upper()
    return name.replace("-", "/") if name.count("-") == 1 and "/" not in name else name


def has_product_form(symbol: str) -> bool:
    """Say whether *symbol* is written BASE/QUOTE, or as a product with an expiry or a venue in its name."""
    return _PAIR.fullmatch(symbol) is not None or _NATIVE.fullmatch(symbol) is not None


def book_of(product: str) -> str:
    """Return the product under whose id the stream answers for *product*: `BTC-USD` for `BTC-USDC`.

    Dollars and USDC trade in one book. REST takes either name.
    """
    if product.endswith("-USDC") and product.count("-") == 1 and product not in _OWN_BOOKS:
        return product[:-1]
    return product
