"""What goes out one line at a time: JSON for programs, plain text where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from wickwire.cli.door import printable
from wickwire.instants import iso_second
from wickwire.model import SeriesCandle, SeriesQuote, SeriesTrade, iso
from wickwire.news import Switch

__all__ = [
    "candle_json",
    "candle_line",
    "digits",
    "echo",
    "echo_json",
    "json_line",
    "quote_json",
    "quote_line",
    "switch_line",
    "trade_json",
    "trade_line",
]


def echo(line: str) -> None:
    """Write one line to stdout, at once: whoever reads a pipe sees each candle as it closes."""
    sys.stdout.write(f"{printable(line)}\n")
    sys.stdout.flush()


def json_line(value: Mapping[str, Any]) -> str:
    """Return *value* as JSON in one line."""
    return msgspec.json.encode(value).decode()


def echo_json(value: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, indent: int = 0) -> None:
    """Write one JSON value to stdout: in one line, or indented for eyes."""
    text = msgspec.json.encode(value)
    if indent:
        text = msgspec.json.format(text, indent=indent)
    sys.stdout.write(f"{text.decode()}\n")
    sys.stdout.flush()


def digits(number: Decimal | None) -> str | None:
    """Return *number* with the digits it has and without an exponent."""
    return None if number is None else f"{number:f}"


def candle_json(candle: SeriesCandle) -> dict[str, Any]:
    """Return what `collect --json` says of a closed candle: a contract, see docs/cli.md."""
    return {
        "series": str(candle.series),
        "open_time": iso(candle.open_ns),
        "close_time": iso(candle.close_ns),
        "open": digits(candle.open),
        "high": digits(candle.high),
        "low": digits(candle.low),
        "close": digits(candle.close),
        "volume": digits(candle.volume),
        "trade_count": candle.trade_count,
        "vwap": digits(candle.vwap),
        "state": candle.state.value,
        "evidence": None if candle.evidence is None else candle.evidence.name.lower(),
        "revision": candle.revision,
        "healed": candle.healed,
        "route": candle.route.value,
    }


def trade_json(trade: SeriesTrade) -> dict[str, Any]:
    """Return what `collect --json` says of a trade."""
    return {
        "series": str(trade.series),
        "time": iso(trade.time_ns),
        "id": trade.id,
        "price": digits(trade.price),
        "size": digits(trade.size),
        "side": None if trade.side is None else trade.side.value,
        "action": trade.action.value,
        "replaces": trade.replaces,
        "snapshot": trade.snapshot,
    }


def quote_json(quote: SeriesQuote) -> dict[str, Any]:
    """Return what `collect --json` says of a quote."""
    return {
        "series": str(quote.series),
        "time": None if quote.time_ns is None else iso(quote.time_ns),
        "bid": digits(quote.bid),
        "bid_size": digits(quote.bid_size),
        "ask": digits(quote.ask),
        "ask_size": digits(quote.ask_size),
        "snapshot": quote.snapshot,
    }


def candle_line(candle: SeriesCandle) -> str:
    """Return a closed candle for eyes."""
    evidence = "" if candle.evidence is None else candle.evidence.name.lower()
    notes = [candle.route.value, f"closed by {evidence}"]
    if candle.revision:
        notes.append(f"revision {candle.revision}")
    if candle.healed:
        notes.append("healed")
    prices = (candle.open, candle.high, candle.low, candle.close)
    row = "  ".join(f"{letter} {digits(price)}" for letter, price in zip("OHLC", prices, strict=True))
    return f"{iso(candle.open_ns)}  {candle.series}  {row}  V {digits(candle.volume)}  ({', '.join(notes)})"


def trade_line(trade: SeriesTrade) -> str:
    """Return a trade for eyes."""
    side = "" if trade.side is None else f"  {trade.side.value}"
    return f"{iso(trade.time_ns)}  {trade.series}  {digits(trade.price)}  {digits(trade.size)}{side}"


def quote_line(quote: SeriesQuote) -> str:
    """Return a quote for eyes."""
    time = "" if quote.time_ns is None else f"{iso(quote.time_ns)}  "
    bid = f"bid {digits(quote.bid)} x {digits(quote.bid_size)}"
    return f"{time}{quote.series}  {bid}  ask {digits(quote.ask)} x {digits(quote.ask_size)}"


def switch_line(switch: Switch) -> str:
    """Return a change of route for eyes."""
    at = iso_second(switch.at_ns)
    return f"{at}  {switch.series}  now {switch.rung.value}: {switch.why}"
