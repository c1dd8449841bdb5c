"""REST of the simulated Coinbase: public market data under `/api/v3/brokerage/`, errors with their status.

What is not established is chosen here: both bounds of a range are inclusive unless the fault says otherwise,
a reply holds at most a thousand trades, an unknown product is NOT_FOUND.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from wickwire import DAY_NS, SECOND_NS, Candle, Timeframe
from wickwire.simulate.server import Answer, Incoming
from wickwire_coinbase.simulator_frames import levels, maker_side, ticker_row
from wickwire_coinbase.simulator_products import Product, number, stamp
from wickwire_coinbase.simulator_venue import GRANULARITIES, GRID, LateTrade, Venue, last_trades

__all__ = ["answer"]

ROOT: Final = "/api/v3/brokerage/"
MOST_ROWS: Final = 350
MOST_TRADES: Final = 1_000
TOO_WIDE: Final = "start and end argument is invalid - number of candles requested should be less than 350"
LAST_SECOND: Final = 10**11
OUTAGE_PAGE: Final = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"
EMPTY_LISTS: Final = frozenset({"/v2/currencies", "/v2/currencies/crypto", "/v2/exchange-rates"})
"""Another product of the venue, which ccxt asks before it does anything."""

Query = Mapping[str, str]


class _Refusal(Exception):
    """Carries status, word and sentence of an error."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def answer(venue: Venue, incoming: Incoming, now_ns: int) -> Answer:
    """Answer one request."""
    venue.tell(now_ns)
    page = venue.fault("html_503")
    if page is not None:
        return Answer(status=int(page.get("status", 503)), body=OUTAGE_PAGE, content_type="text/html")
    used = venue.requests.count(now_ns)
    headers = {
        "x-ratelimit-limit": str(venue.rest_per_s),
        "x-ratelimit-remaining": str(max(0, venue.rest_per_s - used)),
        "x-ratelimit-reset": "1",
    }
    if used > venue.rest_per_s or venue.fault("throttle") is not None:
        limited = {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}
        return _said(limited, 429, headers)
    trouble = venue.fault("rest_error")
    try:
        if trouble is not None:
            raise _Refusal(int(trouble.get("status", 500)), "INTERNAL", str(trouble.get("text", "internal")))
        return _said(_result(venue, incoming, now_ns), 200, headers)
    except _Refusal as no:
        return _said({"error": no.code, "error_details": no.text, "message": no.text}, no.status, headers)


def _said(whole: object, status: int, headers: Mapping[str, str]) -> Answer:
    body = json.dumps(whole, separators=(",", ":")).encode()
    return Answer(status=status, body=body, headers=dict(headers))


def _result(venue: Venue, incoming: Incoming, now_ns: int) -> object:
    path = incoming.path.rstrip("/")
    if path in EMPTY_LISTS:
        return {"data": []}
    if path == f"{ROOT}time":
        return _time(now_ns)
    if not path.startswith(f"{ROOT}market/"):
        raise _Refusal(401, "UNAUTHENTICATED", "Unauthorized")
    match path.removeprefix(f"{ROOT}market/").split("/"):
        case ["products"]:
            return _products(venue, incoming.query, now_ns)
        case ["product_book"]:
            return _book(venue, incoming.query, now_ns)
        case ["products", name]:
            return _described(venue, _product(venue, name), now_ns)
        case ["products", name, "candles"]:
            return _candles(venue, _product(venue, name), incoming.query, now_ns)
        case ["products", name, "ticker"]:
            return _trades(venue, _product(venue, name), incoming.query, now_ns)
        case _:
            raise _Refusal(404, "NOT_FOUND", "not found")


def _product(venue: Venue, name: str) -> Product:
    product = venue.product(name)
    if product is None:
        raise _Refusal(404, "NOT_FOUND", f"product {name} could not be found")
    return product


def _seconds(query: Query, name: str, default: int | None = None) -> int:
    text = query.get(name, "")
    if not text and default is not None:
        return default
    if not (text.isdigit() and text.isascii() and int(text[:12]) < LAST_SECOND):
        raise _Refusal(400, "INVALID_ARGUMENT", f"{name} argument is invalid")
    return int(text)


# --------------------------------------------------------------------------------------------------- paths


def _time(now_ns: int) -> object:
    seconds = now_ns // SECOND_NS
    millis = now_ns // 1_000_000
    iso = stamp(seconds * SECOND_NS, 3).replace(".000Z", "Z")
    return {"iso": iso, "epochSeconds": str(seconds), "epochMillis": str(millis)}


def _candles(venue: Venue, product: Product, query: Query, now_ns: int) -> object:
    timeframe = GRANULARITIES.get(query.get("granularity", ""))
    if timeframe is None:
        raise _Refusal(400, "INVALID_ARGUMENT", "granularity argument is invalid")
    start_s, end_s = _seconds(query, "start"), _seconds(query, "end")
    limit = min(MOST_ROWS, _seconds(query, "limit", MOST_ROWS))
    length_s = timeframe.nominal_ns // SECOND_NS
    if end_s < start_s or (end_s - start_s) // length_s + 1 > MOST_ROWS:
        raise _Refusal(400, "INVALID_ARGUMENT", TOO_WIDE)
    inclusive = venue.fault("exclusive") is None
    rows = _history(venue, product, timeframe, start_s * SECOND_NS, end_s * SECOND_NS + inclusive, now_ns)
    told = [
        {
            "start": str(row.open_ns // SECOND_NS),
            "low": number(row.low),
            "high": number(row.high),
            "open": number(row.open),
            "close": number(row.close),
            "volume": number(row.volume),
        }
        for row in reversed(rows)
    ]
    return {"candles": told[:limit]}


def _history(
    venue: Venue, product: Product, timeframe: Timeframe, since_ns: int, until_ns: int, now_ns: int
) -> Sequence[Candle]:
    """Return buckets that open in the range, the running one as far as it is; those without trades lack."""
    since_ns += -since_ns % timeframe.nominal_ns
    if since_ns > now_ns:
        return []
    # up to the end of the last bucket that opens in it: the market cuts what ends later
    end_ns = min(timeframe.close_of(timeframe.open_at(until_ns - 1, GRID), GRID), now_ns + 1)
    found = venue.candles(product.symbol, timeframe, since_ns, end_ns)
    candles = {row.open_ns: row for row in found if row.open_ns < until_ns}
    for late in venue.late.get(product.symbol, ()):
        if since_ns <= timeframe.open_at(late.time_ns, GRID) < until_ns:
            _add_late(candles, product, timeframe, late)
    return [candles[open_ns] for open_ns in sorted(candles)]


def _add_late(candles: dict[int, Candle], product: Product, timeframe: Timeframe, late: LateTrade) -> None:
    """Put a late trade into its bucket: range and volume change; open and close stay."""
    open_ns = timeframe.open_at(late.time_ns, GRID)
    row = candles.get(open_ns)
    if row is None:
        close_ns, price = timeframe.close_of(open_ns, GRID), late.price
        candles[open_ns] = Candle(
            product.symbol, timeframe, open_ns, close_ns, price, price, price, price, late.size
        )
        return
    high, low = max(row.high, late.price), min(row.low, late.price)
    candles[open_ns] = Candle(
        row.symbol, timeframe, open_ns, row.close_ns, row.open, high, low, row.close, row.volume + late.size
    )


def _trades(venue: Venue, product: Product, query: Query, now_ns: int) -> object:
    limit = min(MOST_TRADES, _seconds(query, "limit"))
    since_ns = _seconds(query, "start", 0) * SECOND_NS
    until_ns = min(now_ns, _seconds(query, "end", LAST_SECOND) * SECOND_NS)
    found = last_trades(venue.market, product.symbol, until_ns, max(1, limit), since_ns=since_ns)
    quote = venue.market.quote(product.symbol, now_ns)
    rows = [
        {
            "trade_id": str(trade.number),
            "product_id": product.id,
            "price": number(trade.price),
            "size": number(trade.size),
            "time": stamp(trade.time_ns, 6),
            "side": maker_side(trade),
            "bid": "",
            "ask": "",
            "exchange": "coinbase",
        }
        for trade in reversed(found)
    ]
    return {"trades": rows, "best_bid": number(quote.bid), "best_ask": number(quote.ask)}


def _book(venue: Venue, query: Query, now_ns: int) -> object:
    product = _product(venue, query.get("product_id", ""))
    quote = venue.market.quote(product.symbol, now_ns)
    count = _seconds(query, "limit", 20)
    sides: dict[str, list[dict[str, str]]] = {"bid": [], "offer": []}
    for (side, price), size in levels(product, quote).items():
        sides[side].append({"price": number(price), "size": number(size)})
    spread, middle = quote.ask - quote.bid, (quote.ask + quote.bid) / 2
    return {
        "pricebook": {
            "product_id": product.id,
            "bids": sides["bid"][:count],
            "asks": sides["offer"][:count],
            "time": stamp(now_ns, 6),
        },
        "last": number(quote.bid),
        "mid_market": number(middle),
        "spread_bps": f"{spread / middle * 10_000:.14f}",
        "spread_absolute": number(spread),
    }


def _products(venue: Venue, query: Query, now_ns: int) -> object:
    kind = query.get("product_type") or "SPOT"
    chosen = [product for product in venue.products.values() if product.kind == kind]
    names = [name for name in query.get("product_ids", "").split(",") if name]
    if names:
        chosen = [product for product in chosen if product.id in names]
    offset = _seconds(query, "offset", 0)
    page = chosen[offset : offset + _seconds(query, "limit", len(chosen))]
    return {"products": [_described(venue, product, now_ns) for product in page], "num_products": len(chosen)}


def _described(venue: Venue, product: Product, now_ns: int) -> Mapping[str, object]:
    figures = ticker_row(venue, product, product.id, now_ns)
    base, quote = product.assets
    lot, tick = (number(Decimal(1).scaleb(-n)) for n in (product.size_decimals, product.price_decimals))
    flags = ("is_disabled", "trading_disabled", "cancel_only", "limit_only", "post_only", "auction_mode")
    return {
        "product_id": product.id,
        "price": figures["price"],
        "price_percentage_change_24h": figures["price_percent_chg_24_h"],
        "volume_24h": figures["volume_24_h"],
        "volume_percentage_change_24h": "0",
        "base_increment": lot,
        "quote_increment": tick,
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": lot,
        "base_max_size": "3400",
        "base_name": base,
        "quote_name": quote,
        "watched": False,
        "new": now_ns - venue.market.start_ns < DAY_NS,
        "status": "online",
        **dict.fromkeys(flags, False),
        "view_only": False,
        "product_type": product.kind,
        "base_currency_id": base,
        "quote_currency_id": quote,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": product.book if product.book != product.id else "",
        "alias_to": list(product.twins),
        "base_display_symbol": base,
        "quote_display_symbol": quote,
        "price_increment": tick,
        "display_name": product.id,
        "product_venue": "CBE",
    }
