"""A client of the simulated Kraken for its tests, and the truth it is compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zlib import crc32

from wickwire import Candle, Timeframe, Utc, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, Outgoing
from wickwire_kraken.simulator import KrakenServer

START = parse_instant("2026-11-19T00:00:00Z")
NOW = parse_instant("2026-11-21T05:00:10.805100Z")
MARKET = SeededMarket(7, START)


class Client:
    """A client of one connection, whose clock stands until it is told to run."""

    def __init__(self, server: KrakenServer, now_ns: int = NOW, *, path: str = "/v2") -> None:
        connection = server.accept(opening(path), now_ns)
        assert not isinstance(connection, Answer)
        self.connection: Connection = connection
        self.now_ns = now_ns
        self.first = [*connection.opened(now_ns)]

    def say(self, message: object) -> list[Any]:
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        return [heard_as(out) for out in self.connection.received(text, self.now_ns)]

    def subscribe(self, channel: str, *symbols: str, **params: object) -> list[Any]:
        return self.say(request_for("subscribe", channel, *symbols, **params))

    def unsubscribe(self, channel: str, *symbols: str, **params: object) -> list[Any]:
        return self.say(request_for("unsubscribe", channel, *symbols, **params))

    def run(self, for_ns: int) -> list[Any]:
        """Let time pass exactly as the connection asks for it."""
        until_ns, heard = self.now_ns + for_ns, list[Any]()
        while (next_ns := self.connection.next_ns(self.now_ns)) <= until_ns:
            assert next_ns > self.now_ns
            self.now_ns = next_ns
            heard += [heard_as(out) for out in self.connection.due(next_ns)]
        self.now_ns = until_ns
        return heard


def heard_as(out: Outgoing) -> Any:
    return out if isinstance(out, Hangup) else json.loads(out, parse_float=Decimal)


def opening(path: str) -> Incoming:
    return Incoming(method="GET", path=path, query={}, headers={})


def request_for(method: str, channel: str, *symbols: str, **params: object) -> dict[str, object]:
    named = {"symbol": list(symbols)} if symbols else {}
    return {"method": method, "params": {"channel": channel, **named, **params}, "req_id": 9}


def rows_of(heard: Sequence[Any], channel: str, kind: str = "update") -> list[Any]:
    return [
        row
        for frame in heard
        if isinstance(frame, dict) and frame.get("channel") == channel and frame.get("type") == kind
        for row in frame["data"]
    ]


def same_values(row: Any, candle: Candle) -> bool:
    return (row["open"], row["high"], row["low"], row["close"]) == (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
    ) and (row["volume"], row["trades"], row["vwap"]) == (candle.volume, candle.trade_count, candle.vwap)


def true_candles(since_ns: int, until_ns: int, symbol: str = "BTC/USD", minutes: int = 1) -> Sequence[Candle]:
    return MARKET.candles(symbol, Timeframe.of_minutes(minutes), since_ns, until_ns, grid=Utc())


def apply_levels(
    book: dict[str, dict[Decimal, Decimal]], name: str, levels: Any, depth: int, *, cut_each: bool
) -> None:
    for place, level in enumerate(levels, 1):
        if level["qty"]:
            book[name][level["price"]] = level["qty"]
        else:
            book[name].pop(level["price"], None)
        if cut_each or place == len(levels):
            book[name] = dict(sorted(book[name].items(), reverse=name == "bids")[:depth])


def crc_of(book: dict[str, dict[Decimal, Decimal]]) -> int:
    text = ""
    for name in ("asks", "bids"):
        for price, size in list(book[name].items())[:10]:
            text += f"{price:.1f}".replace(".", "").lstrip("0") + f"{size:.8f}".replace(".", "").lstrip("0")
    return crc32(text.encode())


def reply_of(server: KrakenServer, now_ns: int, method: str, **query: str) -> Any:
    path = f"/0/public/{method}"
    answer = server.answer(Incoming(method="GET", path=path, query=query, headers={}), now_ns)
    assert answer.status == 200
    return json.loads(answer.body)


def result_of(server: KrakenServer, now_ns: int, method: str, **query: str) -> Any:
    answered = reply_of(server, now_ns, method, **query)
    assert answered["error"] == []
    return answered["result"]
