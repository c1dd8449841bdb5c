"""Minutes of dxFeed, by way of tastytrade, over DXLink by hand: `python dxlink_before.py`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import websockets

API = "https://api.tastyworks.com"
SYMBOLS = ("BTC/USD:CXTALP",)
FIELDS = ["eventSymbol", "eventFlags", "time", "open", "high", "low", "close", "volume"]
REMOVE, BEGIN, END, SNIP = 0x02, 0x04, 0x08, 0x10
CHANNEL = 1
MINUTE_MS = 60_000
CLOSE_AFTER_MS = 2_000
KEEPALIVE_S = 30
TOKEN_LASTS_S = 23 * 3600  # of the 24 hours that are documented
LONGEST_DELAY_S = 60.0
TABLE = """
    create table if not exists candles (symbol text, open_ms integer, open real, high real, low real,
                                        close real, volume real, primary key (symbol, open_ms))
"""

log = logging.getLogger(__name__)
Row = dict[str, Any]


class Refused(Exception):
    """The server does not take the token."""


class Tokens:
    """Buys quote tokens, and keeps one for as long as it lasts."""

    def __init__(self, http: httpx.AsyncClient, client_secret: str, refresh_token: str) -> None:
        self._http = http
        self._secrets = {"client_secret": client_secret, "refresh_token": refresh_token}
        self._kept: tuple[str, str] | None = None
        self._until_s = 0.0

    async def token(self, now_s: float) -> tuple[str, str]:
        """Return where to connect, and with what."""
        if self._kept is None or now_s >= self._until_s:
            body = {"grant_type": "refresh_token", **self._secrets}
            login = (await self._http.post("/oauth/token", json=body)).raise_for_status().json()
            headers = {"Authorization": f"Bearer {login['access_token']}"}
            granted = (
                (await self._http.get("/api-quote-tokens", headers=headers)).raise_for_status().json()["data"]
            )
            self._kept = granted["dxlink-url"], granted["token"]
            self._until_s = now_s + TOKEN_LASTS_S
        return self._kept

    def forget(self) -> None:
        """Buy another one next time."""
        self._kept = None


class Candles:
    """What rows come to: the running minute of each symbol, and what was closed, once."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.execute(TABLE)
        self._running: dict[str, Row] = {}
        self._closed_ms: dict[str, int] = {}
        self._pending: dict[str, list[Row]] = {}

    def since_ms(self, symbol: str, now_ms: int) -> int:
        """Return from when on rows are wanted: what was seen last, or the running minute."""
        running = self._running.get(symbol)
        return now_ms // MINUTE_MS * MINUTE_MS if running is None else running["time"]

    def begin_anew(self) -> None:
        """Forget snapshots that the last connection did not complete."""
        self._pending.clear()

    def take(self, row: Row) -> None:
        """Take one row: a snapshot comes newest first, and counts when it is complete."""
        symbol, flags = row["eventSymbol"], row["eventFlags"]
        if flags & BEGIN:
            self._pending[symbol] = []
        snapshot = self._pending.get(symbol)
        if snapshot is None:
            self._update(row)
            return
        snapshot.append(row)
        if flags & (END | SNIP):
            for one in sorted(self._pending.pop(symbol), key=lambda each: each["time"]):
                self._update(one)

    def close_what_is_over(self, now_ms: int) -> None:
        """Close by the clock: the next row of a quiet symbol may be minutes away."""
        for row in self._running.values():
            if now_ms >= row["time"] + MINUTE_MS + CLOSE_AFTER_MS:
                self._close(row)

    def _update(self, row: Row) -> None:
        if row["eventFlags"] & REMOVE or row["open"] == "NaN":
            return
        running = self._running.get(row["eventSymbol"])
        if running is not None and row["time"] > running["time"]:
            self._close(running)
        if running is None or row["time"] >= running["time"]:
            self._running[row["eventSymbol"]] = row

    def _close(self, row: Row) -> None:
        symbol = row["eventSymbol"]
        if row["time"] <= self._closed_ms.get(symbol, 0):
            return  # each is handed on once
        self._closed_ms[symbol] = row["time"]
        numbers = (float(row[name]) for name in ("open", "high", "low", "close", "volume"))
        self._database.execute(
            "insert or ignore into candles values (?, ?, ?, ?, ?, ?, ?)", (symbol, row["time"], *numbers)
        )
        self._database.commit()


class Connection:
    """Keeps one DXLink connection, and makes it anew when it ends."""

    def __init__(
        self, tokens: Tokens, candles: Candles, symbols: Sequence[str], now_s: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._candles = candles
        self._symbols = [f"{symbol}{{=m}}" for symbol in symbols]
        self._now_s = now_s
        self._fields = FIELDS
        self._asked = False

    async def run(self) -> None:
        delay_s = 1.0
        while True:
            began_s = self._now_s()
            try:
                await self._connect()
            except Refused:
                log.warning("the token was refused; with another one in %g s", delay_s)
                self._tokens.forget()
            except (OSError, httpx.HTTPError, websockets.WebSocketException) as exc:
                log.warning("%r; again in %g s", exc, delay_s)
            if self._now_s() - began_s > LONGEST_DELAY_S:
                delay_s = 1.0
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def close_candles(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._candles.close_what_is_over(round(self._now_s() * 1000))

    async def _connect(self) -> None:
        url, token = await self._tokens.token(self._now_s())
        self._asked = False
        self._candles.begin_anew()
        async with websockets.connect(url) as socket:
            hello = {"keepaliveTimeout": 60, "acceptKeepaliveTimeout": 60, "version": "0.1-by-hand/1.0"}
            await _send(socket, "SETUP", 0, **hello)
            alive = asyncio.ensure_future(_keep_alive(socket))
            try:
                async for text in socket:
                    await self._answer(socket, json.loads(text), token)
            finally:
                alive.cancel()

    async def _answer(self, socket: websockets.ClientConnection, said: dict[str, Any], token: str) -> None:
        match said["type"]:
            case "AUTH_STATE" if said["state"] == "AUTHORIZED":
                await _send(
                    socket, "CHANNEL_REQUEST", CHANNEL, service="FEED", parameters={"contract": "AUTO"}
                )
            case "AUTH_STATE" if self._asked:
                raise Refused
            case "AUTH_STATE":
                self._asked = True
                await _send(socket, "AUTH", 0, token=token)
            case "CHANNEL_OPENED":
                wish = {"acceptAggregationPeriod": 0.1, "acceptDataFormat": "COMPACT"}
                await _send(socket, "FEED_SETUP", CHANNEL, **wish, acceptEventFields={"Candle": FIELDS})
                now_ms = round(self._now_s() * 1000)
                wanted = [
                    {"type": "Candle", "symbol": symbol, "fromTime": self._candles.since_ms(symbol, now_ms)}
                    for symbol in self._symbols
                ]
                await _send(socket, "FEED_SUBSCRIPTION", CHANNEL, reset=True, add=wanted)
            case "FEED_CONFIG":
                self._fields = said.get("eventFields", {}).get("Candle", self._fields)
            case "FEED_DATA":
                for row in self._rows(said["data"]):
                    self._candles.take(row)
            case "ERROR":
                log.error("DXLink says: %s %s", said["error"], said["message"])
            case _:
                pass  # SETUP, KEEPALIVE

    def _rows(self, data: list[Any]) -> Iterator[Row]:
        """Yield the rows of a frame in COMPACT form: type, values, type, values, ..."""
        width = len(self._fields)
        for values in data[1::2]:
            for start in range(0, len(values), width):
                yield dict(zip(self._fields, values[start : start + width], strict=True))


async def _send(socket: websockets.ClientConnection, kind: str, channel: int, **rest: object) -> None:
    await socket.send(json.dumps({"type": kind, "channel": channel, **rest}))


async def _keep_alive(socket: websockets.ClientConnection) -> None:
    while True:
        await asyncio.sleep(KEEPALIVE_S)
        await _send(socket, "KEEPALIVE", 0)


async def main() -> None:
    secrets = os.environ["TASTYTRADE_CLIENT_SECRET"], os.environ["TASTYTRADE_REFRESH_TOKEN"]
    async with httpx.AsyncClient(base_url=API, headers={"User-Agent": "by-hand/1.0"}) as http:
        connection = Connection(Tokens(http, *secrets), Candles(sqlite3.connect("candles.db")), SYMBOLS)
        await asyncio.gather(connection.run(), connection.close_candles())


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(main())
