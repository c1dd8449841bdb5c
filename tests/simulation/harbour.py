"""Harbour, an invented venue that tells no more than a venue has to, and is often away.

Its stream has running bars alone: no snapshot, no mark on what is over, numbers to show what was lost.
History lags a few seconds behind, in pages of ten rows, and refuses an answer now and then. What other venues
repeat, or mark, has to be concluded here; so whoever concludes wrongly is seen.

 > {"op":"sub","topics":[["BTC/USD",60]]}
<  {"n":1,"subscribed":[["BTC/USD",60]]}
<  {"n":2,"bar":["BTC/USD",60,1795237080,"95.1","95.4","95.0","95.2","3.25",41]}
<  {"n":3,"beat":1795237085}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from tests.simulation.harbour_server import GRID, PAGE_ROWS, SECONDS, TIMEFRAMES, HarbourServer
from wickwire import (
    SECOND_NS,
    Accepted,
    Account,
    Ask,
    BadRow,
    Candle,
    Conversation,
    Description,
    Endpoint,
    Event,
    Fault,
    FaultKind,
    Heartbeat,
    HttpReply,
    HttpRequest,
    Limits,
    OhlcvQuery,
    OhlcvSupport,
    Page,
    Rate,
    Refused,
    Released,
    Send,
    Stopped,
    Timeframe,
    Topic,
    VenueError,
    WireError,
    hookimpl,
    retry_after_s,
)
from wickwire.simulate.server import Market, VenueServer

__all__: list[str] = []

API_LEVEL: Final = 1
STREAM_URL: Final = "wss://stream.harbour.example/v1"
BARS_URL: Final = "https://api.harbour.example/bars"
SETTLE_S: Final = 6.0


# --------------------------------------------------------------------------------------------- the adapter


@hookimpl
def describe() -> Description:
    return Description(
        title="Harbour",
        documents=("Harbour protocol 1 (invented)",),
        channels=("bar",),
        timeframes=tuple(SECONDS),
        limits=Limits(connections=8, topics_per_connection=1, connects=Rate(5, 10.0), rest=Rate(3)),
        feeds=(),
    )


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe) -> OhlcvSupport:
    if timeframe not in SECONDS:
        return OhlcvSupport(why_not=f"there are no {timeframe} bars of {symbol}")
    return OhlcvSupport(
        stream=True, rest=True, page_rows=PAGE_ROWS, settle_s=SETTLE_S, grace_s=3.0, grid=GRID
    )


@hookimpl
def to_venue(symbol: str) -> str:
    return symbol


@hookimpl
def from_venue(text: str) -> str:
    return text


@hookimpl
def connect() -> Endpoint:
    return Endpoint(url=STREAM_URL, silence_limit_s=20.0, memory=dict)


@hookimpl
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic]) -> Sequence[Send]:
    changes = (("sub", [ask.topic for ask in asks]), ("unsub", list(removed)))
    return [
        Send(json.dumps({"op": op, "topics": [_pair(one) for one in topics]}))
        for op, topics in changes
        if topics
    ]


def _pair(topic: Topic) -> tuple[str, int]:
    assert isinstance(topic.what, Timeframe)
    return topic.symbol, SECONDS[topic.what]


def _topics(pairs: Any) -> tuple[Topic, ...]:
    return tuple(Topic(symbol, TIMEFRAMES[seconds]) for symbol, seconds in pairs)


@hookimpl
def parse(frame: bytes, memory: dict[str, int]) -> Sequence[Event]:
    try:
        told = msgspec.json.decode(frame)
        events: list[Event] = []
        if told["n"] != memory.get("n", 0) + 1:
            events.append(Fault(FaultKind.GAP, f"message {told['n']} came after {memory.get('n', 0)}"))
        memory["n"] = told["n"]
        match told:
            case {"bar": [symbol, seconds, *numbers]}:
                events.append(_candle(symbol, TIMEFRAMES[seconds], numbers))
            case {"beat": seconds}:
                events.append(Heartbeat(seconds * SECOND_NS))
            case {"subscribed": pairs}:
                events.append(Accepted(_topics(pairs)))
            case {"released": pairs}:
                events.append(Released(_topics(pairs)))
            case {"refused": pairs, "why": why}:
                events.append(Refused(_topics(pairs), FaultKind.WAIT, why))
            case _:
                raise ValueError("unknown message")
    except (ValueError, KeyError, TypeError, ArithmeticError) as exc:
        raise WireError(f"harbour: {type(exc).__name__}: {exc}", frame=frame) from exc
    return events


def _candle(symbol: str, timeframe: Timeframe, numbers: Sequence[Any]) -> Candle:
    opens, *texts, count = numbers
    open_, high, low, close, volume = map(_number, texts)
    open_ns = opens * SECOND_NS
    close_ns = open_ns + timeframe.nominal_ns
    return Candle(symbol, timeframe, open_ns, close_ns, open_, high, low, close, volume, trade_count=count)


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text!r} is no number")
    return number


@hookimpl
def fetch_ohlcv(query: OhlcvQuery, account: Account) -> Conversation:
    del account
    asked = {
        "symbol": query.symbol,
        "seconds": str(SECONDS[query.timeframe]),
        "from": str(-(-query.since_ns // SECOND_NS)),
        "to": str(-(-query.until_ns // SECOND_NS)),
    }
    reply = yield HttpRequest(url=BARS_URL, params=asked)
    assert isinstance(reply, HttpReply)
    if reply.status != 200:
        kind = FaultKind.WAIT if reply.status == 429 else FaultKind.OUTAGE
        asked_s = retry_after_s(reply.headers, query.now_ns)
        raise VenueError(kind, f"{reply.status}: {reply.body[:100]!r}", retry_after_s=asked_s)
    rows: list[Candle] = []
    bad: list[BadRow] = []
    for numbers in msgspec.json.decode(reply.body):
        try:
            rows.append(_candle(query.symbol, query.timeframe, numbers))
        except (ValueError, ArithmeticError, TypeError) as exc:
            open_ns = numbers[0] * SECOND_NS
            bad.append(BadRow(open_ns, open_ns + query.timeframe.nominal_ns, str(exc) or "unreadable"))
    return Page(
        candles=rows, covered=(query.since_ns, query.until_ns), stopped=Stopped.UNTIL, bad_rows=tuple(bad)
    )


@hookimpl
def simulate(market: Market) -> VenueServer:
    return HarbourServer(market)
