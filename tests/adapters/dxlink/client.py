"""A client of the simulated DXLink for its tests: it says what it is told, and its clock stands still."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from wickwire import parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, Outgoing
from wickwire_dxlink.simulator import DXLinkServer

START = parse_instant("2025-11-03T00:00:00Z")
NOW = parse_instant("2025-11-07T15:30:10.25Z")  # a Friday, an hour after New York opened
MARKET = SeededMarket(7, START)
HEADERS = {"user-agent": "test/1.0", "host": "127.0.0.1:8080"}
LOGIN = {"grant_type": "refresh_token", "client_secret": "secret", "refresh_token": "refresh"}


class Client:
    """A client of one connection."""

    def __init__(self, server: DXLinkServer, path: str = "/realtime", now_ns: int = NOW) -> None:
        connection = server.accept(Incoming(method="GET", path=path, query={}, headers={}), now_ns)
        assert not isinstance(connection, Answer)
        self.server = server
        self.connection: Connection = connection
        self.now_ns = now_ns
        assert not connection.opened(now_ns)

    def say(self, kind: str | dict[str, Any] | bytes, channel: int = 0, **rest: Any) -> list[Any]:
        """Say one message, or raw bytes, and return what is answered."""
        text = kind if isinstance(kind, bytes) else json.dumps({"type": kind, "channel": channel, **rest})
        return [heard_as(out) for out in self.connection.received(text, self.now_ns)]

    def setup(self, **rest: Any) -> list[Any]:
        return self.say("SETUP", version="0.1-test/1", **rest)

    def enter(self) -> Client:
        """Go the way in, up to AUTHORIZED."""
        self.setup()
        if self.connection._terms.token:  # type: ignore[attr-defined]  # a simulated connection has it
            self.say("AUTH", token=token_of(self.server, self.now_ns))
        return self

    def open(self, channel: int = 1, contract: str = "AUTO", **setup: Any) -> list[Any]:
        """Open a channel and agree on its format."""
        self.say("CHANNEL_REQUEST", channel, service="FEED", parameters={"contract": contract})
        return self.say("FEED_SETUP", channel, **{"acceptDataFormat": "COMPACT", **setup})

    def add(self, *entries: dict[str, Any], channel: int = 1, **rest: Any) -> list[Any]:
        return self.say("FEED_SUBSCRIPTION", channel, add=list(entries), **rest)

    def run(self, for_ns: int) -> list[Any]:
        """Let time pass exactly as the connection asks for it."""
        until_ns, heard = self.now_ns + for_ns, list[Any]()
        while (next_ns := self.connection.next_ns(self.now_ns)) <= until_ns:
            assert next_ns > self.now_ns
            self.now_ns = next_ns
            heard += [heard_as(out) for out in self.connection.due(next_ns)]
            if heard and isinstance(heard[-1], Hangup):
                return heard
        self.now_ns = until_ns
        return heard


def heard_as(out: Outgoing) -> Any:
    return out if isinstance(out, Hangup) else json.loads(out, parse_float=Decimal)


def candle(symbol: str, since_ns: int) -> dict[str, Any]:
    return {"type": "Candle", "symbol": symbol, "fromTime": since_ns // 1_000_000}


def ask(
    server: DXLinkServer, method: str, path: str, body: object = None, now_ns: int = NOW, **headers: str
) -> Answer:
    sent = json.dumps(body).encode() if body is not None else b""
    incoming = Incoming(method=method, path=path, query={}, headers={**HEADERS, **headers}, body=sent)
    return server.answer(incoming, now_ns)


def access_of(server: DXLinkServer, now_ns: int = NOW) -> str:
    return str(json.loads(ask(server, "POST", "/oauth/token", LOGIN, now_ns).body)["access_token"])


def granted(server: DXLinkServer, now_ns: int = NOW, **headers: str) -> dict[str, Any]:
    bearer = f"Bearer {access_of(server, now_ns)}"
    answer = ask(server, "GET", "/api-quote-tokens", None, now_ns, authorization=bearer, **headers)
    told: dict[str, Any] = json.loads(answer.body)["data"]
    return told


def token_of(server: DXLinkServer, now_ns: int = NOW) -> str:
    return str(granted(server, now_ns)["token"])


def rows(heard: Sequence[Any], kind: str) -> list[dict[str, Any]]:
    """Return the events of a type by name, in either format, decoded by the fields that were confirmed."""
    fields: dict[int, list[str]] = {}
    found: list[dict[str, Any]] = []
    for said in heard:
        if said["type"] == "FEED_CONFIG" and kind in said.get("eventFields", {}):
            fields[said["channel"]] = said["eventFields"][kind]
        if said["type"] != "FEED_DATA":
            continue
        data = said["data"]
        if isinstance(data[0], dict):
            found += [event for event in data if event["eventType"] == kind]
            continue
        names = fields[said["channel"]]
        for event, values in zip(data[::2], data[1::2], strict=True):
            if event == kind:
                assert len(values) % len(names) == 0
                parts = [values[start : start + len(names)] for start in range(0, len(values), len(names))]
                found += [dict(zip(names, part, strict=True)) for part in parts]
    return found
