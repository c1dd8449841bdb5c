"""What the tests of Coinbase's adapter share: whole messages, and one connection heard by a client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import wickwire_coinbase
from wickwire import Ask, Feed, Timeframe, Topic
from wickwire_coinbase.memory import Memory

WIRE: Final = Path(__file__).parent / "wire"
FIVE: Final = Timeframe.parse("5m")
BTC_5M: Final = Topic("BTC/USD", FIVE)
ETH_5M: Final = Topic("ETH/USD", FIVE)
BTC_TRADES: Final = Topic("BTC/USD", Feed.TRADES)
BTC_QUOTES: Final = Topic("BTC/USD", Feed.QUOTES)
START: Final = 1_795_237_200
"""The bucket of the frames, in seconds: 2026-11-21T05:00Z."""


def wire(name: str) -> bytes:
    return (WIRE / f"{name}.json").read_bytes().strip()


def envelope(channel: str, number: int, *events: dict[str, Any]) -> bytes:
    message = {
        "channel": channel,
        "client_id": "",
        "timestamp": "2026-11-21T05:00:20.123456789Z",
        "sequence_num": number,
        "events": events,
    }
    return json.dumps(message).encode()


def candle_row(
    volume: str = "1", start: int = START, product: str = "BTC-USD", **fields: object
) -> dict[str, Any]:
    row = {"start": str(start), "high": "12", "low": "10", "open": "11", "close": "11.5"}
    return {**row, "volume": volume, "product_id": product, **fields}


def trade_row(number: object = "7", product: str = "BTC-USD", **fields: object) -> dict[str, Any]:
    row = {"product_id": product, "trade_id": number, "price": "11", "size": "0.5"}
    return {**row, "time": "2026-11-21T05:00:12.375232Z", "side": "SELL", **fields}


def candles(number: int, *rows: dict[str, Any], kind: str = "update") -> bytes:
    return envelope("candles", number, {"type": kind, "candles": list(rows)})


def trades(number: int, *rows: dict[str, Any], kind: str = "update") -> bytes:
    return envelope("market_trades", number, {"type": kind, "trades": list(rows)})


def ticker(number: int, *rows: dict[str, Any], kind: str = "update") -> bytes:
    return envelope("ticker", number, {"type": kind, "tickers": list(rows)})


def ack(number: int, **state: Sequence[str]) -> bytes:
    return envelope("subscriptions", number, {"subscriptions": state})


def error(text: str, **fields: str) -> bytes:
    return json.dumps({"type": "error", "message": text, **fields}).encode()


class Client:
    """One connection, whose greeting was confirmed, from the side that asks."""

    def __init__(self) -> None:
        self.memory = Memory()
        assert self.hear(wire("ack_heartbeats")) == []

    def send(self, *topics: Topic, removed: Sequence[Topic] = ()) -> list[Any]:
        """Subscribe and unsubscribe; return the requests."""
        asks = [Ask(topic) for topic in topics]
        sends = wickwire_coinbase.subscribe(asks, removed, self.memory)
        return [json.loads(send.frame) for send in sends]

    def hear(self, *frames: bytes) -> list[Any]:
        return [event for frame in frames for event in wickwire_coinbase.parse(frame, self.memory)]
