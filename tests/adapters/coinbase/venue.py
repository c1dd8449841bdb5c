"""A client of the simulated Coinbase for its tests, and the truth it is compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from wickwire import Candle, Timeframe, Utc, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming
from wickwire_coinbase.simulator import CoinbaseServer

START = parse_instant("2026-11-19T00:00:00Z")
NOW = parse_instant("2026-11-21T05:00:10.805100Z")
MARKET = SeededMarket(7, START)


class Listener:
    """A client of one connection, whose clock stands until it is told to run."""

    def __init__(self, server: CoinbaseServer, now_ns: int = NOW) -> None:
        connection = server.accept(opening("/"), now_ns)
        assert not isinstance(connection, Answer)
        self.connection: Connection = connection
        self.now_ns = now_ns
        self.first = [*connection.opened(now_ns)]

    def say(self, message: object) -> list[Any]:
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        return [read(out) for out in self.connection.received(text, self.now_ns)]

    def subscribe(self, channel: str, *products: str) -> list[Any]:
        return self.say({"type": "subscribe", "product_ids": products, "channel": channel})

    def unsubscribe(self, channel: str, *products: str) -> list[Any]:
        return self.say({"type": "unsubscribe", "product_ids": products, "channel": channel})

    def run(self, for_ns: int) -> list[Any]:
        """Let time pass exactly as the connection asks for it."""
        until_ns, heard = self.now_ns + for_ns, list[Any]()
        while (next_ns := self.connection.next_ns(self.now_ns)) <= until_ns:
            assert next_ns > self.now_ns
            self.now_ns = next_ns
            heard += [read(out) for out in self.connection.due(next_ns)]
            if heard and isinstance(heard[-1], Hangup):
                break
        self.now_ns = until_ns
        return heard


def read(out: Any) -> Any:
    return out if isinstance(out, Hangup) else json.loads(out)


def opening(path: str) -> Incoming:
    return Incoming(method="GET", path=path, query={}, headers={})


def of(heard: Sequence[Any], channel: str) -> list[Any]:
    return [frame for frame in heard if isinstance(frame, dict) and frame.get("channel") == channel]


def rows(heard: Sequence[Any], channel: str, field: str, kind: str = "update") -> list[Any]:
    return [
        row
        for frame in of(heard, channel)
        for event in frame["events"]
        if event["type"] == kind
        for row in event[field]
    ]


def state(frame: Any) -> dict[str, list[str]]:
    [event] = frame["events"]
    listed: dict[str, list[str]] = event["subscriptions"]
    return listed


def true_candles(since_ns: int, until_ns: int, symbol: str = "BTC/USD", text: str = "5m") -> Sequence[Candle]:
    return MARKET.candles(symbol, Timeframe.parse(text), since_ns, until_ns, grid=Utc())


def same_values(row: Any, candle: Candle) -> bool:
    names = ("open", "high", "low", "close", "volume")
    return [Decimal(row[name]) for name in names] == [getattr(candle, name) for name in names]


def asked(server: CoinbaseServer, path: str, now_ns: int = NOW, **query: object) -> tuple[int, Any]:
    """Ask REST; *path* is below `/api/v3/brokerage/` unless it begins with a slash."""
    whole = path if path.startswith("/") else f"/api/v3/brokerage/{path}"
    given = {name: str(value) for name, value in query.items()}
    answer = server.answer(Incoming(method="GET", path=whole, query=given, headers={}), now_ns)
    return answer.status, json.loads(
        answer.body
    ) if answer.content_type == "application/json" else answer.body
