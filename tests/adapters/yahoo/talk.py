"""How these tests talk with the adapter: one question, one reply, one page."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import wickwire_yahoo
from wickwire import SECOND_NS, HttpReply, HttpRequest, OhlcvQuery, Page, Timeframe

WIRE = Path(__file__).parent / "wire"
NEW_YORK = "America/New_York"

Bar = tuple[int, Any, Any, Any, Any, Any]
"""Stamp in Unix seconds, open, high, low, close, volume."""


def wire(name: str) -> bytes:
    """Return a frame of `wire/`."""
    return (WIRE / f"{name}.json").read_bytes()


def at(text: str, tz: str = NEW_YORK) -> int:
    """Return the Unix seconds of a local time, such as `2026-11-20 09:30`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp())


def bars(*stamps: int, price: float = 100.0, volume: int | None = 10) -> list[Bar]:
    """Return one bar a stamp, each with a range."""
    return [(stamp, price, price + 2, price - 2, price + 1, volume) for stamp in stamps]


def tick(stamp: int, price: float = 101.5) -> Bar:
    """Return a live row."""
    return (stamp, price, price, price, price, 0)


def body(rows: Sequence[Bar], *, events: Any = None, **meta: Any) -> bytes:
    """Return a reply that holds *rows* and *events*; `meta` gets the words as Yahoo spells them."""
    names = ("open", "high", "low", "close", "volume")
    columns = {name: [row[column] for row in rows] for column, name in enumerate(names, 1)}
    known = {"symbol": "AAPL", "exchangeTimezoneName": NEW_YORK} | meta
    result = {"meta": known, "timestamp": [row[0] for row in rows], "indicators": {"quote": [columns]}}
    if events is not None:
        result["events"] = events
    return json.dumps({"chart": {"result": [result], "error": None}}).encode()


def days(*spans: tuple[int, int]) -> list[list[dict[str, int]]]:
    """Return `tradingPeriods` in its form of lists."""
    return [[{"start": start, "end": end}] for start, end in spans]


def query(
    since: int, until: int, *, symbol: str = "AAPL", timeframe: str = "5m", now: int | None = None
) -> OhlcvQuery:
    """Return a query over Unix seconds; the present is the end of it where not said."""
    return OhlcvQuery(
        symbol=symbol,
        timeframe=Timeframe.parse(timeframe),
        since_ns=since * SECOND_NS,
        until_ns=until * SECOND_NS,
        now_ns=(until if now is None else now) * SECOND_NS,
    )


def request(asked: OhlcvQuery) -> HttpRequest:
    """Return what the adapter asks Yahoo."""
    talk = wickwire_yahoo.fetch_ohlcv(asked)
    sent = next(talk)
    talk.close()
    return sent


def answer(asked: OhlcvQuery, reply: HttpReply | None) -> Page:
    """Return the page that comes of one reply; without one none may be asked for."""
    talk = wickwire_yahoo.fetch_ohlcv(asked)
    with pytest.raises(StopIteration) as ended:
        _converse(talk, reply)
    assert isinstance(ended.value.value, Page)
    return ended.value.value


def _converse(talk: Generator[HttpRequest, HttpReply, Page], reply: HttpReply | None) -> None:
    next(talk)
    assert reply is not None, "a request where none was expected"
    talk.send(reply)


def page(
    asked: OhlcvQuery,
    content: bytes,
    *,
    status: int = 200,
    date: int | None = -1,
    headers: Mapping[str, str] | None = None,
) -> Page:
    """Return the page of one reply, whose Date header says *date* (the query's present by default)."""
    date_ns = asked.now_ns if date == -1 else None if date is None else date * SECOND_NS
    return answer(asked, HttpReply(status=status, body=content, headers=headers or {}, date_ns=date_ns))


def opens(found: Page) -> list[int]:
    """Return the open times in Unix seconds."""
    return [candle.open_ns // SECOND_NS for candle in found.candles]
