"""The words of the simulated WebSocket v2: every frame as text, numbers with the pair's decimals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from wickwire import Candle, Side
from wickwire.simulate.server import MarketTrade
from wickwire_kraken.simulator_book import Book, checksum
from wickwire_kraken.simulator_exchange import Exchange
from wickwire_kraken.simulator_pairs import Pair, asset_names, stamp

__all__ = [
    "HEARTBEAT",
    "OVER_RATE",
    "book_frame",
    "book_snapshot",
    "instrument_frame",
    "last_day",
    "ohlc_frame",
    "reply",
    "status_frame",
    "ticker_frame",
    "trade_frame",
]

HEARTBEAT: Final = '{"channel":"heartbeat"}'
OVER_RATE: Final = '{"Error":"Exceeded msg rate"}'
FIRST_CONNECTION: Final = 16174536464690280001
"""Connection ids are unsigned and beyond 2**63, as captured ones are."""
ANSWERING_NS: Final = 43_000
"""Between `time_in` and `time_out`."""

Levels = Iterable[tuple[Decimal, Decimal]]


def reply(fields: Mapping[str, object], now_ns: int) -> str:
    """Return a method reply: keys in alphabetical order, with the times of receipt and of sending."""
    times = {"time_in": stamp(now_ns), "time_out": stamp(now_ns + ANSWERING_NS)}
    return json.dumps({**fields, **times}, sort_keys=True, separators=(",", ":"))


def status_frame(system: str, connection: int) -> str:
    """Return the message that opens every connection and tells each change of the system."""
    row = {
        "version": "2.0.10",
        "system": system,
        "api_version": "v2",
        "connection_id": FIRST_CONNECTION + connection,
        "upcoming_maintenance": [],
        "emergency": [],
    }
    return json.dumps({"channel": "status", "type": "update", "data": [row]}, separators=(",", ":"))


def ohlc_frame(pair: Pair, interval: int, candles: Iterable[Candle], now_ns: int, kind: str) -> str:
    """Return a snapshot or update of candles. The row's `timestamp` is the end of the interval."""
    rows = ",".join(
        f'{{"symbol":"{pair.symbol}","open":{pair.price(row.open)},"high":{pair.price(row.high)},'
        f'"low":{pair.price(row.low)},"close":{pair.price(row.close)},"trades":{row.trade_count or 0},'
        f'"volume":{pair.size(row.volume)},"vwap":{pair.price(row.vwap or row.close)},'
        f'"interval_begin":"{stamp(row.open_ns, 9)}","interval":{interval},'
        f'"timestamp":"{stamp(row.close_ns)}"}}'
        for row in candles
    )
    # most send times have nine digits, some only six, as in captures of October 2026
    short = now_ns // 1_000 % 8 == 0
    sent = stamp(now_ns) if short else stamp(now_ns + now_ns // 1_000 % 997 + 1, 9)
    return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{sent}","data":[{rows}]}}'


def trade_frame(pair: Pair, trades: Iterable[MarketTrade], kind: str) -> str:
    """Return a snapshot or update of trades."""
    rows = ",".join(
        f'{{"symbol":"{pair.symbol}","side":"{"buy" if trade.side is Side.BUY else "sell"}",'
        f'"price":{pair.price(trade.price)},"qty":{pair.size(trade.size)},'
        f'"ord_type":"{"limit" if trade.number % 3 else "market"}","trade_id":{trade.number},'
        f'"timestamp":"{stamp(trade.time_ns)}"}}'
        for trade in trades
    )
    return f'{{"channel":"trade","type":"{kind}","data":[{rows}]}}'


def ticker_frame(exchange: Exchange, pair: Pair, at_ns: int, kind: str) -> str:
    """Return the quote and the figures of the last 24 hours, see `last_day`."""
    quote = exchange.market.quote(pair.symbol, at_ns)
    day = last_day(exchange, pair.symbol, at_ns)
    price, size = pair.price, pair.size
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{pair.symbol}",'
        f'"bid":{price(quote.bid)},"bid_qty":{size(quote.bid_size)},'
        f'"ask":{price(quote.ask)},"ask_qty":{size(quote.ask_size)},"last":{price(day["last"])},'
        f'"volume":{size(day["volume"])},"vwap":{price(day["vwap"])},"low":{price(day["low"])},'
        f'"high":{price(day["high"])},"change":{price(day["change"])},"change_pct":{day["percent"]:.2f},'
        f'"timestamp":"{stamp(at_ns)}"}}]}}'
    )


def book_frame(pair: Pair, levels: Sequence[Levels], at_ns: int, crc: int) -> str:
    """Return an update: *levels* are changed bids and changed asks, *crc* is that of the book after it."""
    bids, asks = (_levels(pair, side) for side in levels)
    return (
        f'{{"channel":"book","type":"update","data":[{{"symbol":"{pair.symbol}","bids":[{bids}],'
        f'"asks":[{asks}],"checksum":{crc},"timestamp":"{stamp(at_ns)}"}}]}}'
    )


def book_snapshot(pair: Pair, book: Book) -> str:
    """Return the whole *book*; snapshots have no timestamp."""
    bids, asks = (_levels(pair, side.items()) for side in (book.bids, book.asks))
    return (
        f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{pair.symbol}","bids":[{bids}],'
        f'"asks":[{asks}],"checksum":{checksum(pair, book)}}}]}}'
    )


def instrument_frame(pairs: Mapping[str, Pair]) -> str:
    """Return the snapshot of all assets and pairs; `data` is an object here."""
    assets = [
        {
            "id": {"XBT": "BTC", "XDG": "DOGE"}.get(altname, altname),
            "status": "enabled",
            "precision": 8,
            "precision_display": 5,
            "borrowable": True,
            "collateral_value": 1.0,
            "margin_rate": 0.02,
        }
        for _, altname in asset_names(pairs)
    ]
    data = {"assets": assets, "pairs": [_instrument(pair) for pair in pairs.values()]}
    return json.dumps({"channel": "instrument", "type": "snapshot", "data": data}, separators=(",", ":"))


def last_day(exchange: Exchange, symbol: str, at_ns: int) -> Mapping[str, Any]:
    """Return what was traded in the last 24 hours, told from a whole quarter of an hour on."""
    candles = exchange.day_of_quarters(symbol, at_ns)
    if not candles:
        quote = exchange.market.quote(symbol, at_ns)
        zero = Decimal(0)
        still = dict.fromkeys(("last", "vwap", "low", "high", "open"), quote.bid)
        return {**still, "volume": zero, "change": zero, "percent": zero, "trades": 0}
    volume = sum((row.volume for row in candles), Decimal(0))
    turnover = sum((row.volume * (row.vwap or row.close) for row in candles), Decimal(0))
    first, last = candles[0].open, candles[-1].close
    return {
        "last": last,
        "open": first,
        "volume": volume,
        "vwap": turnover / volume,
        "low": min(row.low for row in candles),
        "high": max(row.high for row in candles),
        "change": last - first,
        "percent": (last - first) / first * 100,
        "trades": sum(row.trade_count or 0 for row in candles),
    }


def _levels(pair: Pair, side: Levels) -> str:
    return ",".join(f'{{"price":{pair.price(price)},"qty":{pair.size(size)}}}' for price, size in side)


def _instrument(pair: Pair) -> Mapping[str, object]:
    base, quote = pair.symbol.split("/")
    tick, lot = 10.0**-pair.price_decimals, 10.0**-pair.size_decimals
    return {
        "symbol": pair.symbol,
        "base": base,
        "quote": quote,
        "status": "online",
        "qty_precision": pair.size_decimals,
        "qty_increment": lot,
        "price_precision": pair.price_decimals,
        "cost_precision": 5,
        "marginable": True,
        "has_index": True,
        "cost_min": 0.5,
        "margin_initial": 0.2,
        "position_limit_long": 300,
        "position_limit_short": 240,
        "tick_size": tick,
        "price_increment": tick,
        "qty_min": 0.00005,
    }
