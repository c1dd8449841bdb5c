"""How the simulated Coinbase names and prints things: products, numbers, instants."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import attrs

from wickwire import SECOND_NS, iso
from wickwire.simulate.server import Instrument, Market

__all__ = ["Product", "go_time", "number", "products_of", "stamp"]

STARTED_S: Final = 21_697
"""For how long the process that sends heartbeats has been running, when the market starts."""


@attrs.frozen(kw_only=True)
class Product:
    """One product.

    Attributes:
        id: What it is called: `BTC-USDC`.
        book: The id under which the stream answers: `BTC-USD`.
        symbol: What it is called on the market.
        price_decimals: Most decimals of a price.
        size_decimals: Most decimals of a size.
        kind: `SPOT`, or `FUTURE`, which perpetuals are too.
        twins: Products on the same book.
    """

    id: str
    book: str
    symbol: str
    price_decimals: int
    size_decimals: int
    kind: str = "SPOT"
    twins: tuple[str, ...] = ()

    @property
    def assets(self) -> tuple[str, str]:
        """Base and quote; futures name no base."""
        base, _, quote = self.id.partition("-")
        return (base, quote) if self.kind == "SPOT" else ("", "USD")


def products_of(market: Market) -> Mapping[str, Product]:
    """Return what trades round the clock, by id, and for each product in dollars its alias in USDC."""
    found: dict[str, Product] = {}
    for symbol in market.symbols:
        instrument = market.instrument(symbol)
        if instrument is None or instrument.session is not None:
            continue
        if symbol.count("/") == 1:
            name = symbol.replace("/", "-")
            aliased = symbol.endswith("/USD") and f"{symbol}C" not in market.symbols
            found[name] = _product(name, name, instrument, twins=(f"{name}C",) if aliased else ())
            if aliased:
                found[f"{name}C"] = _product(f"{name}C", name, instrument)
        elif symbol.count("-") > 1:
            found[symbol] = _product(symbol, symbol, instrument, kind="FUTURE")
    return found


def _product(
    name: str, book: str, instrument: Instrument, *, kind: str = "SPOT", twins: tuple[str, ...] = ()
) -> Product:
    return Product(
        id=name,
        book=book,
        symbol=instrument.symbol,
        price_decimals=instrument.price_decimals,
        size_decimals=instrument.size_decimals,
        kind=kind,
        twins=twins,
    )


def number(value: Decimal) -> str:
    """Print a number as the venue does: without exponent, without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def stamp(ns: int, digits: int = 9) -> str:
    """Return *ns* as RFC 3339 in UTC with so many decimals; later ones are cut."""
    return f"{_second(ns // SECOND_NS)}.{ns % SECOND_NS // 10 ** (9 - digits):0{digits}}Z"


def go_time(ns: int, start_ns: int) -> str:
    """Return *ns* as Go prints a time, with its monotonic clock."""
    fraction = f"{ns % SECOND_NS:09}".rstrip("0") or "0"
    ran_ns = STARTED_S * SECOND_NS + ns - start_ns
    clock = f"m=+{ran_ns // SECOND_NS}.{ran_ns % SECOND_NS:09}"
    day, _, time = _second(ns // SECOND_NS).partition("T")
    return f"{day} {time}.{fraction} +0000 UTC {clock}"


@functools.lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """Return a second in UTC, as `2026-11-21T05:00:10`; every message tells the one that runs."""
    return iso(unix_s * SECOND_NS).removesuffix("Z")
