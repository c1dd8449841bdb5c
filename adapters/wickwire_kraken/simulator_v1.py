"""One connection to the simulated WebSocket v1: the older protocol, at the same host without a path.

No adapter of ours speaks it; programs that are older do. Written from Kraken's pages about it and from what
a public client expects. Candles, trades and tickers are told; order books and spreads are refused. The
numbers of channels are deprecated there, and chosen here.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from wickwire import SECOND_NS, Side
from wickwire.simulate.server import Hangup, MarketTrade, Outgoing
from wickwire_kraken.simulator_exchange import GRID, INTERVALS, Exchange, StatusChange, Window
from wickwire_kraken.simulator_frames import last_day
from wickwire_kraken.simulator_history import last_trades
from wickwire_kraken.simulator_pairs import Pair, amount

__all__ = ["KrakenV1Connection"]

CHANNELS: Final = {"ohlc": 42, "trade": 1, "ticker": 340}
FIRST_CONNECTION: Final = 8628615390848610000
SNAPSHOT_TRADES: Final = 50
HEARTBEAT: Final = '{"event":"heartbeat"}'


@attrs.define
class _Subscription:
    """What one pair was subscribed for on one channel; *interval* is that of candles, in minutes."""

    pair: Pair
    channel: str
    interval: int | None

    @property
    def name(self) -> str:
        """The channel's name in messages."""
        return self.channel if self.interval is None else f"{self.channel}-{self.interval}"


class KrakenV1Connection:
    """A `Connection` of the simulated Kraken, in its older protocol."""

    def __init__(self, exchange: Exchange, number: int, now_ns: int) -> None:
        self._exchange = exchange
        self._number = number
        self._heard = len(exchange.announcements)
        self._subscriptions: dict[tuple[str, str], _Subscription] = {}
        self._heartbeat_ns: int | None = None
        self._told_ns = now_ns
        self._messages = Window(SECOND_NS)
        self._queue: list[tuple[int, str]] = []

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        """What is subscribed to: the kind of data, and the symbol as the market calls it."""
        return [(one.name, one.pair.symbol) for one in self._subscriptions.values()]

    # ------------------------------------------------------------------------------- the four questions

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Say the status first, unasked."""
        self._exchange.tell(now_ns)
        return [self._status(self._exchange.system)]

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Answer one message, after all that was due before it."""
        out = list(self.due(now_ns))
        if out and isinstance(out[-1], Hangup):
            return out
        if self._messages.count(now_ns) > self._exchange.messages_per_s:
            return [*out, _error("Exceeded msg rate")]
        return [*out, *self._answers(frame)]

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Return announcements, the data of every trade up to *now_ns*, and a heartbeat each second."""
        self._exchange.tell(now_ns)
        out = self._announced()
        if out and isinstance(out[-1], Hangup):
            return out
        self._told_ns = max(self._told_ns, now_ns - self._delay_ns())
        while self._queue and self._queue[0][0] <= self._told_ns:
            at_ns, symbol = heapq.heappop(self._queue)
            if any(known == symbol for _, known in self._subscriptions):
                out += self._traded(symbol, at_ns)
                self._expect(symbol, at_ns)
        if self._heartbeat_ns is not None and self._heartbeat_ns <= now_ns:
            self._heartbeat_ns += SECOND_NS * (1 + (now_ns - self._heartbeat_ns) // SECOND_NS)
            if self._exchange.faults.on("no_heartbeat") is None:
                out.append(HEARTBEAT)
        return out

    def next_ns(self, now_ns: int) -> int:
        """Return when something may be due: a trade, a heartbeat, and never more than a second away."""
        instants = [now_ns + SECOND_NS, *(at_ns + self._delay_ns() for at_ns, _ in self._queue[:1])]
        if self._heartbeat_ns is not None:
            instants.append(self._heartbeat_ns)
        return max(now_ns + 1, min(instants))

    # ------------------------------------------------------------------------------------------ requests

    def _answers(self, frame: str | bytes) -> Sequence[Outgoing]:
        try:
            message = json.loads(frame)
        except (ValueError, RecursionError):
            message = None
        match message:
            case {"event": "ping"}:
                return [_text({"event": "pong", **_echo(message)})]
            case {
                "event": "subscribe" | "unsubscribe" as event,
                "pair": [*names],
                "subscription": {"name": str(channel)} as wish,
            } if names:
                return [
                    said for name in names for said in self._one(event, name, channel, wish, _echo(message))
                ]
            case _:
                return [_error("Malformed request")]

    def _one(
        self, event: str, name: object, channel: str, wish: Mapping[str, Any], echo: Mapping[str, Any]
    ) -> Sequence[Outgoing]:
        """Return what follows a request for one pair: its status, and the snapshot."""
        interval = wish.get("interval", 1) if channel == "ohlc" else None
        about = {
            "pair": name,
            "subscription": {**wish, **({} if interval is None else {"interval": interval})},
        }
        pair = next((one for one in self._exchange.pairs.values() if one.wsname == name), None)
        refused = self._exchange.faults.on("refuse", "" if pair is None else pair.symbol)
        trouble = None
        if not isinstance(name, str) or name.count("/") != 1:
            trouble = f"Currency pair not in ISO 4217-A3 format {name}"
        elif pair is None:
            trouble = f"Currency pair not supported {name}"
        elif refused is not None:
            trouble = str(refused.get("text", "Currency pair not supported"))
        elif channel not in CHANNELS:
            trouble = "Subscription name invalid"
        elif channel == "ohlc" and not (isinstance(interval, int) and interval in INTERVALS):
            trouble = "Subscription ohlc interval not supported"
        if trouble is not None or pair is None:
            return [_error(trouble or "", **about, **echo)]
        subscription = _Subscription(pair, channel, interval)
        status = {
            "channelID": CHANNELS[channel],
            "channelName": subscription.name,
            "event": "subscriptionStatus",
            **about,
            "status": f"{event}d",
            **echo,
        }
        if event == "unsubscribe":
            if self._subscriptions.pop((channel, pair.symbol), None) is None:
                return [_error("Subscription Not Found", **about, **echo)]
            return [_text(status)]
        self._subscriptions[channel, pair.symbol] = subscription
        self._heartbeat_ns = self._heartbeat_ns or self._told_ns + SECOND_NS
        if all(symbol != pair.symbol for _, symbol in self._queue):
            self._expect(pair.symbol, self._told_ns)
        return [_text(status), *self._first(subscription)]

    # ---------------------------------------------------------------------------------------------- data

    def _first(self, one: _Subscription) -> Sequence[Outgoing]:
        """Return the snapshot: the last candle, however old, the last trades, or the quote."""
        if self._exchange.silent(one.pair.symbol):
            return []
        match one.channel:
            case "ohlc":
                newest = last_trades(self._exchange, one.pair.symbol, self._told_ns, 1)
                return [said for trade in newest for said in self._candle(one, trade.time_ns)]
            case "trade":
                newest = last_trades(self._exchange, one.pair.symbol, self._told_ns, SNAPSHOT_TRADES)
                return [_data(one, [_trade(one.pair, trade) for trade in newest])]
            case _:
                return [self._ticker(one, self._told_ns)]

    def _traded(self, symbol: str, at_ns: int) -> list[Outgoing]:
        """Return what one instant of trading causes on every channel of *symbol*."""
        out: list[Outgoing] = []
        if self._exchange.silent(symbol):
            return out
        for (channel, known), one in self._subscriptions.items():
            if known != symbol:
                continue
            if channel == "ohlc":
                out += self._candle(one, at_ns)
            elif channel == "ticker":
                out.append(self._ticker(one, at_ns))
            elif at_ns not in self._exchange.lost.get(symbol, ()):
                trades = self._exchange.market.trades(symbol, at_ns, at_ns + 1)
                out.append(_data(one, [_trade(one.pair, trade) for trade in trades]))
        return out

    def _candle(self, one: _Subscription, at_ns: int) -> Sequence[Outgoing]:
        """Return the bucket of *at_ns* as it is by then; one that ended is never sent again."""
        interval, pair = one.interval or 1, one.pair
        open_ns = INTERVALS[interval].open_at(at_ns, GRID)
        if (pair.symbol, interval, open_ns) in self._exchange.dropped:
            return []
        rows = self._exchange.candles(pair.symbol, INTERVALS[interval], open_ns, at_ns + 1)
        return [
            _data(
                one,
                [
                    _seconds(at_ns),
                    _seconds(row.close_ns),
                    *map(pair.long_price, (row.open, row.high, row.low, row.close, row.vwap or row.close)),
                    amount(row.volume, 8),
                    row.trade_count or 0,
                ],
            )
            for row in rows
        ]

    def _ticker(self, one: _Subscription, at_ns: int) -> Outgoing:
        quote = self._exchange.market.quote(one.pair.symbol, at_ns)
        day, price = last_day(self._exchange, one.pair.symbol, at_ns), one.pair.long_price
        twice = {
            key: [price(day[name])] * 2
            for key, name in zip("plho", ("vwap", "low", "high", "open"), strict=True)
        }
        said = {
            "a": [price(quote.ask), int(quote.ask_size), _lot(quote.ask_size)],
            "b": [price(quote.bid), int(quote.bid_size), _lot(quote.bid_size)],
            "c": [price(day["last"]), _lot(quote.bid_size)],
            "v": [_lot(day["volume"])] * 2,
            "t": [day["trades"]] * 2,
            **twice,
        }
        return _data(one, said)

    # --------------------------------------------------------------------------------------------- inside

    def _expect(self, symbol: str, after_ns: int) -> None:
        heapq.heappush(self._queue, (self._exchange.market.next_trade_ns(symbol, after_ns), symbol))

    def _status(self, system: str) -> str:
        connection = FIRST_CONNECTION + self._number
        return _text(
            {"connectionID": connection, "event": "systemStatus", "status": system, "version": "1.9.6"}
        )

    def _announced(self) -> list[Outgoing]:
        out: list[Outgoing] = []
        news = self._exchange.announcements[self._heard :]
        self._heard = len(self._exchange.announcements)
        for item in news:
            out.append(self._status(item.system) if isinstance(item, StatusChange) else item)
            if isinstance(item, Hangup):
                break
        return out

    def _delay_ns(self) -> int:
        slow = self._exchange.faults.on("slow")
        return 0 if slow is None else round(float(slow.get("delay_s", 5)) * SECOND_NS)


def _data(one: _Subscription, said: object) -> str:
    return _text([CHANNELS[one.channel], said, one.name, one.pair.wsname])


def _trade(pair: Pair, trade: MarketTrade) -> Sequence[str]:
    side, kind = ("b" if trade.side is Side.BUY else "s"), ("l" if trade.number % 3 else "m")
    return [pair.long_price(trade.price), amount(trade.size, 8), _seconds(trade.time_ns), side, kind, ""]


def _error(text: str, **about: object) -> str:
    return _text({"errorMessage": text, "event": "subscriptionStatus", **about, "status": "error"})


def _echo(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"reqid": message["reqid"]} if "reqid" in message else {}


def _seconds(ns: int) -> str:
    return f"{ns // SECOND_NS}.{ns % SECOND_NS // 1_000:06d}"


def _lot(size: Decimal) -> str:
    return amount(size, 8)


def _text(said: object) -> str:
    return json.dumps(said, separators=(",", ":"))
