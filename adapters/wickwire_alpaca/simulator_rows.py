"""What bars, trades and quotes of the simulated Alpaca look like in JSON and in msgpack."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from wickwire import SECOND_NS, Candle, iso
from wickwire.simulate.server import MarketTrade
from wickwire_alpaca.simulator_venue import TEST_SYMBOL, Edit, Venue

__all__ = [
    "Row",
    "bar_row",
    "book_row",
    "edit_rows",
    "packed",
    "quote_row",
    "text_of",
    "trade_id",
    "trade_row",
]

Row = Mapping[str, object]

ODD_LOT: Final = 100


def bar_row(candle: Candle) -> dict[str, object]:
    """Return a bar without type and symbol."""
    return {
        "o": candle.open,
        "h": candle.high,
        "l": candle.low,
        "c": candle.close,
        "v": candle.volume,
        "n": candle.trade_count,
        "vw": candle.vwap,
        "t": candle.open_ns,
    }


def trade_id(symbol: str, number: int) -> int:
    """Return the id of a trade: counted for stocks, 19 digits without order for crypto."""
    if "/" not in symbol:
        return number if symbol == TEST_SYMBOL else 52_983_525_000_000 + number
    return number * 0x1E37_79B9_7F4A_7C15 % 2**62 + 2**62


def trade_row(symbol: str, trade: MarketTrade) -> dict[str, object]:
    """Return a trade without type and symbol."""
    number = trade_id(symbol, trade.number)
    if "/" in symbol:
        side = trade.side.value[0].upper()
        return {"p": trade.price, "s": trade.size, "t": trade.time_ns, "i": number, "tks": side}
    conditions = ["@", "I"] if trade.size < ODD_LOT else ["@"]
    head = {"i": number, "x": "V", "p": trade.price, "s": trade.size}
    return {**head, "c": conditions, "z": "C", "t": trade.time_ns}


def quote_row(venue: Venue, symbol: str, at_ns: int) -> dict[str, object]:
    """Return the quote at an instant, without type and symbol."""
    quote = venue.market.quote(venue.symbols[symbol].symbol, at_ns)
    if "/" in symbol:
        return {"bp": quote.bid, "bs": quote.bid_size, "ap": quote.ask, "as": quote.ask_size, "t": at_ns}
    bid = {"bx": "V", "bp": quote.bid, "bs": quote.bid_size}
    ask = {"ax": "V", "ap": quote.ask, "as": quote.ask_size}
    return {**bid, **ask, "c": ["R"], "z": "C", "t": at_ns}


def book_row(venue: Venue, symbol: str, at_ns: int) -> dict[str, object]:
    """Return the book of a pair at *at_ns*: the one level of each side that the market knows."""
    quote = quote_row(venue, symbol, at_ns)
    sides = {"a": [{"p": quote["ap"], "s": quote["as"]}], "b": [{"p": quote["bp"], "s": quote["bs"]}]}
    return {**sides, "t": at_ns}


def edit_rows(symbol: str, edit: Edit) -> list[Row]:
    """Return what is told of an edited trade: a late one is a trade as any other."""
    if edit.late is not None:
        return [{"T": "t", "S": symbol, **trade_row(symbol, edit.late)}]
    if edit.before is None or "/" in symbol:
        return []
    old, number = edit.before, trade_id(symbol, edit.before.number)
    if edit.now is None:
        row = {"i": number, "x": "V", "p": old.price, "s": old.size, "a": "C", "z": "C", "t": edit.told_ns}
        return [{"T": "x", "S": symbol, **row}]
    before = {"oi": number, "op": old.price, "os": old.size, "oc": ["@"]}
    after = {
        "ci": trade_id(symbol, edit.now.number),
        "cp": edit.now.price,
        "cs": edit.now.size,
        "cc": ["@"],
    }
    return [{"T": "c", "S": symbol, "x": "V", **before, **after, "z": "C", "t": edit.told_ns}]


def printed(value: object, *, key: str = "") -> object:
    """Return *value* for JSON: doubles in their shortest form, whole ones without a point, times as text."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case int() if key == "t":
            whole, _, decimals = iso(value).removesuffix("Z").partition(".")
            decimals = decimals.rstrip("0")
            return f"{whole}.{decimals}Z" if decimals else f"{whole}Z"
        case dict():
            return {name: printed(item, key=name) for name, item in value.items()}
        case list() | tuple():
            return [printed(item) for item in value]
        case _:
            return value


def text_of(rows: object) -> str:
    """Return rows as JSON."""
    return json.dumps(printed(rows), separators=(",", ":"))


def packed(rows: object) -> bytes:
    """Return rows as msgpack."""
    return msgspec.msgpack.encode(_packable(rows))


def _packable(value: object, key: str = "") -> object:
    match value:
        case Decimal():
            whole = key in {"v", "s", "bs", "as"} and value == value.to_integral_value()
            return int(value) if whole else float(value)
        case int() if key == "t":
            seconds, rest = divmod(value, SECOND_NS)
            data = struct.pack(">Q", rest << 34 | seconds) if rest else struct.pack(">I", seconds)
            return msgspec.msgpack.Ext(-1, data)
        case dict():
            return {name: _packable(item, name) for name, item in value.items()}
        case list() | tuple():
            return [_packable(item) for item in value]
        case _:
            return value
