"""Speaks to the adapter for its tests: own frames in both encodings, connections, conversations over REST."""

from __future__ import annotations

import json
import struct
from collections.abc import Generator, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

import wickwire_alpaca
from wickwire import (
    Account,
    Ask,
    Feed,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Send,
    Timeframe,
    Topic,
    parse_instant,
)
from wickwire_alpaca.stream import endpoint

WIRE = Path(__file__).parent / "wire"
SECRETS = {"key": "PKTEST", "secret": "hush"}
IEX = Account(feed="iex", secrets=SECRETS)
SIP = Account(feed="sip", secrets=SECRETS)
PLUS = Account(feed="sip", plan="plus", secrets=SECRETS)
DELAYED = Account(feed="delayed_sip", secrets=SECRETS)
TEST = Account(feed="test", secrets=SECRETS)
CRYPTO = Account(secrets=SECRETS)
NOBODY = Account()

M1, M5, H1, H4, D1, W1 = (Timeframe.parse(text) for text in ("1m", "5m", "1h", "4h", "1d", "1w"))
ENCODINGS = ("json", "msgpack")
NOW = parse_instant("2026-11-20T16:00:00Z")


def ns(text: str) -> int:
    return parse_instant(text)


def frame(name: str, encoding: str = "json") -> bytes:
    """Return one of our own messages, in either encoding."""
    text = (WIRE / f"{name}.json").read_bytes()
    return text if encoding == "json" else packed(json.loads(text))


def packed(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows as the venue packs them: doubles, and Timestamps for times."""
    return msgspec.msgpack.encode([{**row, "t": timestamp(row["t"])} if "t" in row else row for row in rows])


def timestamp(text: str) -> msgspec.msgpack.Ext:
    """Return the smallest of the two common forms of a msgpack Timestamp."""
    seconds, rest = divmod(parse_instant(text), 10**9)
    data = struct.pack(">Q", rest << 34 | seconds) if rest else struct.pack(">I", seconds)
    return msgspec.msgpack.Ext(-1, data)


def memory(account: Account = IEX, encoding: str = "json") -> Any:
    """Return what a new connection remembers."""
    return endpoint(account, encoding).memory()


def parsed(name: str, encoding: str = "json", account: Account = IEX) -> Any:
    """Return what one of our own messages means to a new connection."""
    return wickwire_alpaca.parse(frame(name, encoding), memory(account, encoding))


def heard(message: bytes, by: Any) -> Any:
    """Return what a message means to a connection."""
    return wickwire_alpaca.parse(message, by)


def said(rows: object, heard_by: Any) -> Any:
    """Return what rows of JSON mean to a connection."""
    return wickwire_alpaca.parse(json.dumps(rows).encode(), heard_by)


def asked(topics: Iterable[Topic], removed: Sequence[Topic], by: Any) -> list[Any]:
    """Return what is sent, decoded."""
    sends: Sequence[Send] = wickwire_alpaca.subscribe([Ask(topic) for topic in topics], removed, by)
    return [
        json.loads(send.frame) if isinstance(send.frame, str) else msgspec.msgpack.decode(send.frame)
        for send in sends
    ]


def query(symbol: str, timeframe: Timeframe, since: str, until: str, *, now: int = NOW) -> OhlcvQuery:
    return OhlcvQuery(symbol=symbol, timeframe=timeframe, since_ns=ns(since), until_ns=ns(until), now_ns=now)


def answered(
    conversation: Generator[Any, Any, Any], *bodies: bytes | HttpReply
) -> tuple[Any, list[HttpRequest]]:
    """Answer a conversation, in order; return its result and what it asked."""
    requests = []
    try:
        request = next(conversation)
        for body in bodies:
            requests.append(request)
            reply = body if isinstance(body, HttpReply) else HttpReply(status=200, body=body, date_ns=NOW)
            request = conversation.send(reply)
    except StopIteration as stop:
        return stop.value, requests
    raise AssertionError(f"one more request: {request}")


def refusal(status: int, message: str, **headers: str) -> HttpReply:
    body = json.dumps({"message": message}).encode()
    return HttpReply(status=status, body=body, headers=headers, date_ns=NOW)


def numbers(*texts: str) -> Any:
    return tuple(Decimal(text) for text in texts)


TRADES, QUOTES = Feed.TRADES, Feed.QUOTES
