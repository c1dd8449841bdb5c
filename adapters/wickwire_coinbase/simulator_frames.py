"""The words of the simulated stream: what stands in the events of each channel, field order as captured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from wickwire import SECOND_NS, Candle, Side
from wickwire.simulate.server import MarketQuote, MarketTrade
from wickwire_coinbase.simulator_products import STARTED_S, Product, go_time, number, stamp
from wickwire_coinbase.simulator_venue import Venue

__all__ = [
    "EMPTY_TICKER",
    "book_event",
    "candle_row",
    "envelope",
    "error",
    "heartbeat",
    "levels",
    "maker_side",
    "status_row",
    "ticker_row",
    "trade_row",
]

LEVELS: Final = 20
"""Levels on each side of a book."""
_YEAR_FACTORS: Final = (Decimal("0.5"), Decimal("1.4"))
_EPOCH: Final = "1970-01-01T00:00:00Z"

Rows = Iterable[Mapping[str, object]]
Book = Mapping[tuple[str, Decimal], Decimal]
"""Side and price to size, bids first, best first."""

EMPTY_TICKER: Final = {"type": "ticker", "product_id": "", "price": "", "best_bid": "", "best_ask": ""}


def envelope(channel: str, sequence: int, events: Sequence[Mapping[str, object]], now_ns: int) -> str:
    """Return one message. Most send times have nine digits, some three, as captured."""
    short = now_ns // 1_000_000 % 8 == 0
    sent = stamp(now_ns, 3) if short else stamp(now_ns + now_ns // 1_000 % 997 + 1)
    message = {
        "channel": channel,
        "client_id": "",
        "timestamp": sent,
        "sequence_num": sequence,
        "events": events,
    }
    return msgspec.json.encode(message).decode()


def error(text: str) -> str:
    """Return an error, which has neither channel nor number."""
    return json.dumps({"type": "error", "message": text}, separators=(",", ":"))


def heartbeat(now_ns: int, start_ns: int) -> Mapping[str, object]:
    """Return the event of a heartbeat; the counter is a number, whatever the documents say."""
    counter = STARTED_S + (now_ns - start_ns) // SECOND_NS
    return {"current_time": go_time(now_ns, start_ns), "heartbeat_counter": counter}


def candle_row(product: str, row: Candle) -> Mapping[str, str]:
    """Return one bucket: high, low, open, close in this order."""
    return {
        "start": str(row.open_ns // SECOND_NS),
        "high": number(row.high),
        "low": number(row.low),
        "open": number(row.open),
        "close": number(row.close),
        "volume": number(row.volume),
        "product_id": product,
    }


def maker_side(trade: MarketTrade) -> str:
    """Return the side of the order that rested: the opposite of the taker's."""
    return "SELL" if trade.side is Side.BUY else "BUY"


def trade_row(product: str, trade: MarketTrade) -> Mapping[str, str]:
    """Return one trade."""
    return {
        "product_id": product,
        "trade_id": str(trade.number),
        "price": number(trade.price),
        "size": number(trade.size),
        "time": stamp(trade.time_ns, 6),
        "side": maker_side(trade),
    }


def ticker_row(venue: Venue, product: Product, name: str, at_ns: int) -> Mapping[str, str]:
    """Return the quote and the figures of the last 24 hours; those of 52 weeks are invented from them."""
    quote, candles = venue.market.quote(product.symbol, at_ns), venue.day_of_quarters(product.symbol, at_ns)
    last = candles[-1].close if candles else quote.bid
    first = candles[0].open if candles else quote.bid
    low = min((row.low for row in candles), default=last)
    high = max((row.high for row in candles), default=last)
    volume = sum((row.volume for row in candles), Decimal(0))
    worst, best = _YEAR_FACTORS
    return {
        "type": "ticker",
        "product_id": name,
        "price": number(last),
        "volume_24_h": number(volume),
        "low_24_h": number(low),
        "high_24_h": number(high),
        "low_52_w": number(low * worst),
        "high_52_w": number(high * best),
        "price_percent_chg_24_h": f"{(last - first) / first * 100:.14f}",
        "best_bid": number(quote.bid),
        "best_bid_quantity": number(quote.bid_size),
        "best_ask": number(quote.ask),
        "best_ask_quantity": number(quote.ask_size),
    }


def levels(product: Product, quote: MarketQuote) -> Book:
    """Return a book around *quote*: its best levels, then one at each tick, sized by its price."""
    tick = Decimal(1).scaleb(-product.price_decimals)
    book: dict[tuple[str, Decimal], Decimal] = {}
    for side, best, size, step in (
        ("bid", quote.bid, quote.bid_size, -tick),
        ("offer", quote.ask, quote.ask_size, tick),
    ):
        book[side, best] = size
        for place in range(1, LEVELS):
            price = best + place * step
            if price > 0:
                book[side, price] = 1 + price / tick % 7
    return book


def book_event(product: str, before: Book | None, after: Book, at_ns: int) -> Mapping[str, object] | None:
    """Return what changed between two books, all of it where there was none; None where nothing did."""
    gone = {} if before is None else {key: Decimal(0) for key in before if key not in after}
    new = {key: size for key, size in after.items() if before is None or before.get(key) != size}
    updates = [
        {
            "side": side,
            "event_time": _EPOCH if before is None else stamp(at_ns, 6),
            "price_level": number(price),
            "new_quantity": number(size),
        }
        for (side, price), size in (gone | new).items()
    ]
    kind = "snapshot" if before is None else "update"
    return {"type": kind, "product_id": product, "updates": updates} if updates else None


def status_row(product: Product) -> Mapping[str, Any]:
    """Return what the status channel says of one product."""
    base, quote = product.assets
    return {
        "product_type": product.kind,
        "id": product.id,
        "base_currency": base,
        "quote_currency": quote,
        "base_increment": number(Decimal(1).scaleb(-product.size_decimals)),
        "quote_increment": number(Decimal(1).scaleb(-product.price_decimals)),
        "display_name": product.id.replace("-", "/"),
        "status": "online",
        "status_message": "",
        "min_market_funds": "1",
    }
