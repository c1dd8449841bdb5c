"""How the tests of DXLink's adapter speak: frames of a server, a session that is ready, rows of candles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wickwire_dxlink
from wickwire import (
    Account,
    Ask,
    Candle,
    Endpoint,
    Event,
    Ready,
    Removed,
    Send,
    SnapshotDone,
    Timeframe,
    Topic,
)
from wickwire_dxlink.dialogue import Session

WIRE = Path(__file__).parent / "wire"
MINUTE = Timeframe.parse("1m")
NOW_NS = 1_762_525_900_000_000_000  # 2025-11-07T14:31:40Z
CANDLE = ("eventSymbol", "eventFlags", "index", "time", "count", "open", "high", "low", "close", "volume")
NANS = ("NaN",) * 5


def lines(name: str, side: str) -> list[bytes]:
    """Return what one side says in a transcript."""
    return [line[2:].encode() for line in (WIRE / name).read_text().splitlines() if line.startswith(side)]


def frame(kind: str, channel: int = 0, **rest: Any) -> bytes:
    """Return a message of the server."""
    return json.dumps({"type": kind, "channel": channel, **rest}).encode()


def hear(memory: Any, *frames: bytes) -> list[Any]:
    """Return the events that the frames mean, one after the other."""
    return [event for each in frames for event in wickwire_dxlink.parse(each, memory)]


def endpoint(environment: str = "demo", feed: str = "", *topics: Topic) -> Endpoint:
    """Return how the demo is opened, which needs no conversation."""
    told = wickwire_dxlink.connect(Account(environment=environment, feed=feed), topics, NOW_NS)
    assert isinstance(told, Endpoint)
    return told


def opened(*topics: Topic, feed: str = "") -> Session:
    """Return the memory of a connection on which *topics* are subscribed."""
    memory = endpoint("demo", feed, *topics).memory()
    assert isinstance(memory, Session)
    heard = hear(memory, frame("SETUP", version="1.0"), frame("AUTH_STATE", state="AUTHORIZED"))
    for said in [json.loads(one.frame) for one in heard if isinstance(one, Send)]:
        heard += hear(memory, frame("CHANNEL_OPENED", said["channel"], service="FEED", parameters={}))
    assert any(isinstance(event, Ready) for event in heard)
    wickwire_dxlink.subscribe([Ask(topic) for topic in topics], (), memory)
    return memory


def sent(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the messages among what is to be done."""
    return [json.loads(event.frame) for event in events if isinstance(event, Send)]


def candles(*rows: Sequence[object], channel: int = 1, fields: Sequence[str] = CANDLE) -> list[bytes]:
    """Return a configuration and one frame of candle rows, each without what *fields* name beyond it."""
    flat = [value for row in rows for value in row]
    return [
        frame("FEED_CONFIG", channel, eventFields={"Candle": list(fields)}),
        frame("FEED_DATA", channel, data=["Candle", flat]),
    ]


def row(
    index: int, flags: int = 0, *, symbol: str = "AAPL{=m}", price: object = "100", dummy: bool = False
) -> list[object]:
    """Return the row number *index* of a minute series: prices, or none where it is a dummy."""
    values: Sequence[object] = NANS if dummy else (price, price, price, price, "7")
    minute_ms = 1_762_525_800_000 + index * 60_000
    return [symbol, flags, (minute_ms // 1000) << 32, minute_ms, 0 if dummy else 3, *values]


def series(events: Sequence[Event], known: Mapping[int, Candle] | None = None) -> dict[int, Candle]:
    """Return the candles that events leave, by their number as in `row`."""
    left = dict(known or {})
    for event in events:
        if isinstance(event, Candle):
            left[_number(event.open_ns)] = event
        elif isinstance(event, Removed):
            left.pop(_number(event.open_ns), None)
    return dict(sorted(left.items()))


def done(events: Sequence[Event]) -> list[bool]:
    """Return for each completed snapshot whether it was cut."""
    return [event.truncated for event in events if isinstance(event, SnapshotDone)]


def _number(open_ns: int) -> int:
    return (open_ns // 1_000_000 - 1_762_525_800_000) // 60_000
