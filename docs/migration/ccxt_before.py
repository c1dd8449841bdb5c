"""Minutes of one symbol by polling with ccxt, into a table: `python ccxt_before.py`."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable

import ccxt

SYMBOL = "BTC/USD"
MINUTE_MS = 60_000
AFTER_CLOSE_S = 2.0
RETRY_S = 10.0
TABLE = """
    create table if not exists candles (symbol text, open_ms integer, open real, high real, low real,
                                        close real, volume real, primary key (symbol, open_ms))
"""

log = logging.getLogger(__name__)


def collect(
    exchange: ccxt.Exchange,
    database: sqlite3.Connection,
    symbol: str,
    since_ms: int,
    now_s: Callable[[], float] = time.time,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Poll for ever, from the newest candle of the table on, or from *since_ms*."""
    database.execute(TABLE)
    while True:
        [(newest_ms,)] = database.execute("select max(open_ms) from candles where symbol = ?", (symbol,))
        since_ms = since_ms if newest_ms is None else newest_ms + MINUTE_MS
        try:
            rows = exchange.fetch_ohlcv(symbol, "1m", since=since_ms)
        except ccxt.NetworkError as exc:
            log.warning("%s: %r; again in %g s", symbol, exc, RETRY_S)
            wait(RETRY_S)
            continue
        closed = rows[:-1]  # the last one still forms
        database.executemany(
            "insert or ignore into candles values (?, ?, ?, ?, ?, ?, ?)", [(symbol, *row) for row in closed]
        )
        database.commit()
        wait(60 - now_s() % 60 + AFTER_CLOSE_S)


if __name__ == "__main__":
    logging.basicConfig()
    collect(ccxt.kraken(), sqlite3.connect("candles.db"), SYMBOL, int(time.time() * 1000) - 3_600_000)
