"""How the simulated Kraken names and prints things: pairs, assets, numbers, instants."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs

from wickwire import SECOND_NS, iso
from wickwire.simulate.server import Instrument, Market

__all__ = ["Pair", "amount", "pairs_of", "stamp"]

VENUE_ASSETS: Final = {"BTC": "XBT", "DOGE": "XDG"}
"""Assets that REST and `wsname` call by another name than WebSocket v2 does."""
LEGACY_X: Final = frozenset({"ETC", "ETH", "LTC", "MLN", "REP", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC"})
LEGACY_Z: Final = frozenset({"AUD", "CAD", "EUR", "GBP", "JPY", "USD"})
"""The first assets of the venue carry an X or a Z in REST, and pairs of two such assets keep both."""


@attrs.frozen(kw_only=True)
class Pair:
    """One pair under all its names.

    Attributes:
        symbol: Display name, the only one that WebSocket v2 takes: `BTC/USD`.
        key: Internal name, the key of REST results: `XXBTZUSD`.
        altname: `XBTUSD`.
        wsname: `XBT/USD`.
        base: Internal name of the base: `XXBT`.
        quote: Internal name of the quote currency: `ZUSD`.
        price_decimals: Decimals of prices.
        size_decimals: Decimals of sizes.
    """

    symbol: str
    key: str
    altname: str
    wsname: str
    base: str
    quote: str
    price_decimals: int
    size_decimals: int

    def price(self, value: Decimal) -> str:
        """Print a price with the pair's decimals."""
        return amount(value, self.price_decimals)

    def size(self, value: Decimal) -> str:
        """Print a size with the pair's decimals."""
        return amount(value, self.size_decimals)

    def long_price(self, value: Decimal) -> str:
        """Print a price as trades, tickers and books do in REST: with five decimals or more."""
        return amount(value, max(5, self.price_decimals))


def pairs_of(market: Market) -> Mapping[str, Pair]:
    """Return every pair that trades round the clock, by display name."""
    instruments = (market.instrument(symbol) for symbol in market.symbols)
    return {
        instrument.symbol: _pair(instrument)
        for instrument in instruments
        if instrument is not None and instrument.session is None and instrument.symbol.count("/") == 1
    }


def asset_names(pairs: Mapping[str, Pair]) -> Sequence[tuple[str, str]]:
    """Return `(internal name, altname)` of every asset that is in some pair."""
    found: dict[str, str] = {}
    for pair in pairs.values():
        base, quote = pair.wsname.split("/")
        found |= {pair.base: base, pair.quote: quote}
    return sorted(found.items())


def amount(value: Decimal, decimals: int) -> str:
    """Print *value* with exactly *decimals* decimals."""
    return f"{value:.{decimals}f}"


def stamp(ns: int, digits: int = 6) -> str:
    """Return *ns* as RFC 3339 in UTC with 6 or 9 decimals; later ones are cut."""
    return f"{_second(ns // SECOND_NS)}.{ns % SECOND_NS // 10 ** (9 - digits):0{digits}}Z"


@functools.lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """Return a second in UTC, as `2026-11-21T05:00:10`; every message tells the one that runs."""
    return iso(unix_s * SECOND_NS).removesuffix("Z")


def _pair(instrument: Instrument) -> Pair:
    base, quote = (VENUE_ASSETS.get(name, name) for name in instrument.symbol.split("/"))
    legacy = all(name in LEGACY_X | LEGACY_Z and name != "XDG" for name in (base, quote))
    return Pair(
        symbol=instrument.symbol,
        key=_internal(base) + _internal(quote) if legacy else base + quote,
        altname=base + quote,
        wsname=f"{base}/{quote}",
        base=_internal(base),
        quote=_internal(quote),
        price_decimals=instrument.price_decimals,
        size_decimals=instrument.size_decimals,
    )


def _internal(name: str) -> str:
    return f"X{name}" if name in LEGACY_X else f"Z{name}" if name in LEGACY_Z else name
