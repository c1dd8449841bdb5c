"""Asks the simulated Yahoo for its tests, and the truth it is compared with."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from wickwire import SECOND_NS, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Incoming
from wickwire_yahoo.simulator import YahooServer

START = parse_instant("2026-09-01T00:00:00Z")
NOW = parse_instant("2026-11-20T14:58:27Z")
"""A Friday, 09:58:27 in New York."""
CLOSED = parse_instant("2026-11-20T22:30:00Z")
SATURDAY = parse_instant("2026-11-21T12:00:00Z")
MARKET = SeededMarket(7, START)
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0"


def asked(
    server: YahooServer, path: str, now_ns: int = NOW, headers: Mapping[str, str] | None = None, **query: str
) -> Answer:
    given = {"user-agent": BROWSER, **(headers or {})}
    return server.answer(Incoming(method="GET", path=path, query=query, headers=given), now_ns)


def body(server: YahooServer, name: str, now_ns: int = NOW, **query: str) -> Any:
    return json.loads(asked(server, f"/v8/finance/chart/{name}", now_ns, None, **query).body)["chart"]


def result(server: YahooServer, name: str, now_ns: int = NOW, **query: str) -> Any:
    chart = body(server, name, now_ns, **query)
    assert chart["error"] is None
    [found] = chart["result"]
    return found


def rows(found: Any) -> Sequence[tuple[int, Any, Any, Any, Any, Any]]:
    [quote] = found["indicators"]["quote"]
    columns = (quote[name] for name in ("open", "high", "low", "close", "volume"))
    return list(zip(found["timestamp"], *columns, strict=True))


def widened(price: Decimal) -> float:
    return float(struct.unpack("f", struct.pack("f", float(price)))[0])


def period(since: str, until: str) -> dict[str, Any]:
    return {
        name: str(parse_instant(text) // SECOND_NS) for name, text in (("period1", since), ("period2", until))
    }
