"""Minutes, trades and quotes of Kraken and Coinbase with cryptofeed: `python cryptofeed_before.py`."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

from cryptofeed import FeedHandler
from cryptofeed.defines import CANDLES, TICKER, TRADES
from cryptofeed.exchanges import Coinbase, Kraken
from cryptofeed.types import Candle, Ticker, Trade

SYMBOLS = ["BTC-USD"]
CONFIG = {"coinbase": {"key_id": "...", "key_secret": "..."}}
TABLE = """
    create table if not exists candles (exchange text, symbol text, open_s integer,
                                        open text, high text, low text, close text, volume text,
                                        primary key (exchange, symbol, open_s))
"""
Key = tuple[str, str]


class Minutes:
    """Takes what the callbacks bring: candles of Kraken, and of Coinbase trades, which become candles."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.execute(TABLE)
        self._running: dict[Key, Candle] = {}
        self._traded: dict[Key, dict[int, list[Trade]]] = {}
        self._first_s: dict[Key, int] = {}
        self.last_trade: dict[Key, Trade] = {}
        self.quotes: dict[Key, Ticker] = {}

    async def candle(self, candle: Candle, receipt_timestamp: float) -> None:
        """Take the running minute: none is told to be closed, so the next one closes it."""
        key = candle.exchange, candle.symbol
        running = self._running.get(key)
        if running is not None and candle.start > running.start:
            numbers = (running.open, running.high, running.low, running.close, running.volume)
            self._write(key, int(running.start), *numbers)
        self._running[key] = candle

    async def built(self, trade: Trade, receipt_timestamp: float) -> None:
        """Take a trade; those of one message come newest first, so a minute waits for a second."""
        key, open_s = (trade.exchange, trade.symbol), int(trade.timestamp) // 60 * 60
        first_s = self._first_s.setdefault(key, open_s)  # which began before the program did
        minutes = self._traded.setdefault(key, {})
        minutes.setdefault(open_s, []).append(trade)
        for over_s in [one for one in minutes if one + 61 <= trade.timestamp]:
            trades = sorted(minutes.pop(over_s), key=lambda one: int(one.id))
            prices, volume = [one.price for one in trades], sum(one.amount for one in trades)
            if over_s > first_s:
                self._write(key, over_s, prices[0], max(prices), min(prices), prices[-1], volume)

    async def trade(self, trade: Trade, receipt_timestamp: float) -> None:
        self.last_trade[trade.exchange, trade.symbol] = trade

    async def quote(self, ticker: Ticker, receipt_timestamp: float) -> None:
        self.quotes[ticker.exchange, ticker.symbol] = ticker

    def _write(self, key: Key, open_s: int, *numbers: Decimal) -> None:
        row = (*key, open_s, *map(str, numbers))
        self._database.execute("insert or ignore into candles values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._database.commit()


def kraken(minutes: Minutes) -> Kraken:
    """Return Kraken's feed: candles, trades, and the best bid and ask."""
    callbacks = {CANDLES: minutes.candle, TRADES: minutes.trade, TICKER: minutes.quote}
    return Kraken(symbols=SYMBOLS, channels=list(callbacks), callbacks=callbacks, candle_interval="1m")


def coinbase(minutes: Minutes) -> Coinbase:
    """Return Coinbase's feed: trades, as cryptofeed has no candles and no quotes of it."""
    return Coinbase(config=CONFIG, symbols=SYMBOLS, channels=[TRADES], callbacks={TRADES: minutes.built})


if __name__ == "__main__":
    handler = FeedHandler()
    taken = Minutes(sqlite3.connect("candles.db"))
    handler.add_feed(kraken(taken))
    handler.add_feed(coinbase(taken))
    handler.run()
