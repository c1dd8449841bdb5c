"""Minutes of many Coinbase products, built by hand from trades: `python coinbase_before.py`."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import websockets

URL = "wss://advanced-trade-ws.coinbase.com"
PRODUCTS = ("BTC-USD", "ETH-USD", "SOL-USD")
PRODUCTS_PER_SOCKET = 2
SILENCE_S = 10
LONGEST_DELAY_S = 60.0
TABLE = """
    create table if not exists candles (product text, open_s integer, open text, high text, low text,
                                        close text, volume text, primary key (product, open_s))
"""

log = logging.getLogger(__name__)


class SequenceGap(Exception):
    """A message of the connection did not arrive."""


@dataclass
class Minute:
    """A candle that is being built; *whole* says that it was watched from its beginning."""

    open_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    whole: bool

    def add(self, price: Decimal, size: Decimal) -> None:
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close = price
        self.volume += size


class Candles:
    """Makes minutes of trades: one is over when a trade of a later one comes."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.execute(TABLE)
        self._running: dict[str, Minute] = {}
        self._last_id: dict[str, int] = {}

    def add(self, trade: dict[str, Any]) -> None:
        product, number = trade["product_id"], int(trade["trade_id"])
        last = self._last_id.get(product)
        if last is not None and number <= last:
            return  # in the snapshot after a reconnect, and told before
        if last is not None and number != last + 1:
            log.warning("%s: %d trades are missing", product, number - last - 1)
        self._last_id[product] = number
        price, size = Decimal(trade["price"]), Decimal(trade["size"])
        open_s = int(datetime.fromisoformat(trade["time"]).timestamp()) // 60 * 60
        running = self._running.get(product)
        if running is not None and open_s == running.open_s:
            running.add(price, size)
            return
        if running is not None and running.whole:
            self._write(product, running)
        whole = running is not None  # the first minute began before the program did
        self._running[product] = Minute(open_s, price, price, price, price, size, whole)

    def _write(self, product: str, minute: Minute) -> None:
        numbers = (minute.open, minute.high, minute.low, minute.close, minute.volume)
        row = (product, minute.open_s, *map(str, numbers))
        self._database.execute("insert or ignore into candles values (?, ?, ?, ?, ?, ?, ?)", row)
        self._database.commit()


class Connections:
    """Keeps a socket for every few products, and makes each anew when it ends."""

    def __init__(self, products: Sequence[str], candles: Candles, url: str = URL) -> None:
        self._products = list(products)
        self._candles = candles
        self._url = url

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(self._products), PRODUCTS_PER_SOCKET):
                tasks.create_task(self._keep(self._products[start : start + PRODUCTS_PER_SOCKET]))

    async def _keep(self, products: list[str]) -> None:
        delay_s = 1.0
        while True:
            try:
                async with websockets.connect(self._url) as socket:
                    for wish in (
                        {"channel": "heartbeats"},
                        {"channel": "market_trades", "product_ids": products},
                    ):
                        await socket.send(json.dumps({"type": "subscribe", **wish}))
                    delay_s = 1.0
                    await self._read(socket)
            except (OSError, TimeoutError, websockets.WebSocketException, SequenceGap) as exc:
                log.warning("%s: %r; again in %g s", products, exc, delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _read(self, socket: websockets.ClientConnection) -> None:
        expected = 0
        while True:
            async with asyncio.timeout(SILENCE_S):  # heartbeats come every second
                message = json.loads(await socket.recv())
            if message.get("type") == "error":
                log.error("Coinbase says: %s", message["message"])
                continue
            if message["sequence_num"] != expected:
                raise SequenceGap(f"expected message {expected}, got {message['sequence_num']}")
            expected += 1
            if message["channel"] == "market_trades":
                for trade in _oldest_first(message["events"]):
                    self._candles.add(trade)


def _oldest_first(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for event in events:
        yield from sorted(event["trades"], key=lambda trade: int(trade["trade_id"]))


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(Connections(PRODUCTS, Candles(sqlite3.connect("candles.db"))).run())
