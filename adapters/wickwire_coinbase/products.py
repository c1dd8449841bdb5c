"""Coinbase's REST: what is listed.

Reference: Coinbase Advanced Trade REST, "List Public Products", read 2026-11.

A plain request lists spot products; futures and perpetuals are listed on request.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

import msgspec

from wickwire import HttpReply, HttpRequest, WireError, hookimpl
from wickwire_coinbase.refusals import refused, wire_error
from wickwire_coinbase.rest import PRODUCTS_URL
from wickwire_coinbase.symbols import from_venue, has_product_form

__all__ = ["list_instruments"]

_TYPES: Final = ("SPOT", "FUTURE")
_MOST_PAGES: Final = 40


class Product(msgspec.Struct):
    """What is said of one product, as far as we ask."""

    product_id: str
    status: str = ""
    is_disabled: bool = False
    display_name: str = ""
    base_name: str = ""
    alias: str = ""


class _Reply(msgspec.Struct):
    products: list[msgspec.Raw]
    num_products: int = 0


_reply: Final = msgspec.json.Decoder(_Reply).decode
_product: Final = msgspec.json.Decoder(Product).decode


@hookimpl
def list_instruments(query: str) -> Generator[HttpRequest, HttpReply, Sequence[str]]:
    """Bring what may be asked for and whose name, in any of its spellings, holds *query*."""
    wanted, symbols = query.upper(), dict[str, None]()
    for kind in _TYPES:
        seen = dict[str, None]()
        for _ in range(_MOST_PAGES):
            params = {"product_type": kind, **({"offset": str(len(seen))} if seen else {})}
            reply = yield HttpRequest(url=PRODUCTS_URL, params=params)
            listed, total = _listed(reply)
            news = [product for product in listed if product.product_id not in seen]
            seen.update(dict.fromkeys(product.product_id for product in news))
            symbols.update(
                dict.fromkeys(from_venue(product.product_id) for product in news if _fits(product, wanted))
            )
            if not news or len(seen) >= total:
                break
    return sorted(symbols)


def _fits(product: Product, wanted: str) -> bool:
    symbol = from_venue(product.product_id)
    names = (symbol, product.product_id, product.display_name, product.base_name, product.alias)
    listed = has_product_form(symbol) and not product.is_disabled and product.status != "delisted"
    return listed and any(wanted in name.upper() for name in names)


def _listed(reply: HttpReply) -> tuple[list[Product], int]:
    """Return the products of *reply*, and how many there are in all; raises as `fetch_ohlcv` does."""
    no = refused(reply, "products", reply.date_ns or 0)
    if no is not None:
        raise no
    try:
        reply.body.decode()  # the decoder does not look into strings that it skips
        told = _reply(reply.body)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, reply.body) from exc
    products, last = [], None
    for place, raw in enumerate(told.products):
        try:
            products.append(_product(raw))
        except (ValueError, RecursionError) as exc:
            last = wire_error(exc, bytes(raw), f"$.products[{place}]")
    if last is not None and not products:
        raise WireError(last.args[0], frame=last.frame, at=last.at) from last
    return products, told.num_products
