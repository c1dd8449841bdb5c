"""One connection to the simulated WebSocket v2: requests in; acks, snapshots, updates and heartbeats out."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from wickwire import SECOND_NS
from wickwire.simulate.server import Hangup, Outgoing
from wickwire_kraken.simulator_book import DEPTHS
from wickwire_kraken.simulator_exchange import INTERVALS, Exchange, StatusChange, Window
from wickwire_kraken.simulator_feed import Feed, Subscription
from wickwire_kraken.simulator_frames import HEARTBEAT, OVER_RATE, instrument_frame, reply, status_frame
from wickwire_kraken.simulator_requests import Malformed, Ping, Request, Unsupported, read

__all__ = ["KrakenConnection"]

SECOND_INTERVAL: Final = "Already subscribed to one ohlc interval on this symbol"
WARNINGS: Final = {
    "ohlc": ["timestamp is deprecated, use interval_begin"],
    "instrument": ["tick_size is deprecated, use price_increment"],
}


class KrakenConnection:
    """A `Connection` of the simulated Kraken."""

    def __init__(self, exchange: Exchange, number: int, now_ns: int) -> None:
        self._exchange = exchange
        self._number = number
        self._heard = len(exchange.announcements)
        self._feed = Feed(exchange, now_ns)
        self._instruments = False
        self._heartbeat_ns: int | None = None
        self._told_ns = now_ns
        self._messages = Window(SECOND_NS)
        self._next: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        """What is subscribed to: the kind of data, and the symbol as the market calls it."""
        subscriptions = self._feed.subscriptions.values()
        return [(f"{one.channel} {one.value or ''}", one.pair.symbol) for one in subscriptions]

    # ------------------------------------------------------------------------------- the four questions

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Say the status first, unasked."""
        self._exchange.tell(now_ns)
        return [status_frame(self._exchange.system, self._number)]

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Answer one message, after all that was due before it."""
        out = list(self.due(now_ns))
        if out and isinstance(out[-1], Hangup):
            return out
        over = self._messages.count(now_ns) > self._exchange.messages_per_s
        if over or self._exchange.faults.on("exceeded_rate") is not None:
            return [*out, OVER_RATE]
        return [*out, *self._answers(frame, now_ns)]

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Return announcements, the data of every trade up to *now_ns*, and a heartbeat each second."""
        self._exchange.tell(now_ns)
        out = self._announced()
        if out and isinstance(out[-1], Hangup):
            return out
        self._told_ns = max(self._told_ns, now_ns - self._delay_ns())
        while self._queue and self._queue[0][0] <= self._told_ns:
            at_ns, symbol = heapq.heappop(self._queue)
            if self._next.get(symbol) == at_ns:
                out += self._feed.traded(symbol, at_ns, now_ns)
                self._expect(symbol, at_ns)
        out += self._feed.turned(self._told_ns)
        if self._heartbeat_ns is not None and self._heartbeat_ns <= now_ns:
            self._heartbeat_ns += SECOND_NS * (1 + (now_ns - self._heartbeat_ns) // SECOND_NS)
            if self._exchange.faults.on("no_heartbeat") is None:
                out.append(HEARTBEAT)
        return out

    def next_ns(self, now_ns: int) -> int:
        """Return when something may be due: a trade, a heartbeat, and never more than a second away."""
        instants = [now_ns + SECOND_NS]
        if self._heartbeat_ns is not None:
            instants.append(self._heartbeat_ns)
        if self._queue:
            instants.append(self._queue[0][0] + self._delay_ns())
        if self._feed.turn_ns is not None:
            instants.append(self._feed.turn_ns + self._delay_ns())
        return max(now_ns + 1, min(instants))

    # ------------------------------------------------------------------------------------------ requests

    def _answers(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        match read(frame):
            case Malformed():
                return [reply({"error": "Malformed request", "method": "error", "success": False}, now_ns)]
            case Ping(echo=echo):
                return [reply({"method": "pong", **echo}, now_ns)]
            case Unsupported(method=method, field=field, echo=echo):
                text = f"Unsupported field: '{field}' for the given msg type: {method}"
                return [reply({"error": text, "method": method, "success": False, **echo}, now_ns)]
            case Request(channel="instrument") as request:
                return self._instrument(request, now_ns)
            case Request(method="subscribe") as request:
                return self._subscribe(request, now_ns)
            case Request() as request:
                return [self._unsubscribe(request, symbol, now_ns) for symbol in request.symbols]

    def _subscribe(self, request: Request, now_ns: int) -> Sequence[Outgoing]:
        """Answer every symbol in the order asked; data follows after all the answers."""
        out: list[Outgoing] = []
        fresh: list[Subscription] = []
        for symbol in request.symbols:
            silence = self._exchange.faults.on("silent_ack", symbol)
            if silence is not None and not silence.get("acked", True):
                continue
            refusal = self._refusal(request, symbol)
            if refusal is not None:
                out.append(_failure(request, symbol, refusal, now_ns))
                continue
            pair = self._exchange.pairs[symbol]
            subscription = Subscription(pair, request.channel, request.value, silence is not None)
            self._feed.subscriptions[request.channel, symbol] = subscription
            result = {"symbol": symbol, "snapshot": request.snapshot}
            out.append(_success(request, result, now_ns))
            fresh.append(subscription)
            if symbol not in self._next:
                self._expect(symbol, self._told_ns)
        if fresh and self._heartbeat_ns is None:
            self._heartbeat_ns = now_ns + SECOND_NS
        for subscription in fresh:
            out += self._feed.first(subscription, self._told_ns, now_ns, snapshot=request.snapshot)
        return out

    def _refusal(self, request: Request, symbol: str) -> str | None:
        refused = self._exchange.faults.on("refuse", symbol)
        if refused is not None:
            return str(refused.get("text", f"Currency pair not supported {symbol}"))
        if symbol.count("/") != 1 or symbol.startswith("/") or symbol.endswith("/"):
            return f"Currency pair not in ISO 4217-A3 format {symbol}"
        if symbol not in self._exchange.pairs:
            return f"Currency pair not supported {symbol}"
        # the texts of v1: those of v2 are not known
        if request.channel == "ohlc" and request.value not in INTERVALS:
            return "Subscription ohlc interval not supported"
        if request.channel == "book" and request.value not in DEPTHS:
            return "Subscription depth not supported"
        known = self._feed.subscriptions.get((request.channel, symbol))
        if known is None:
            return None
        if request.channel == "ohlc" and known.value != request.value:
            return SECOND_INTERVAL
        return "Already subscribed"

    def _unsubscribe(self, request: Request, symbol: str, now_ns: int) -> str:
        known = self._feed.subscriptions.get((request.channel, symbol))
        if known is None or known.value != request.value:
            # the reply to a failed unsubscribe says subscribe, as an SDK's test against the venue found
            return _failure(
                attrs.evolve(request, method="subscribe"), symbol, "Subscription Not Found", now_ns
            )
        del self._feed.subscriptions[request.channel, symbol]
        if not any(other == symbol for _, other in self._feed.subscriptions):
            del self._next[symbol]
        return _success(request, {"symbol": symbol}, now_ns)

    def _instrument(self, request: Request, now_ns: int) -> Sequence[Outgoing]:
        if request.method == "unsubscribe":
            if not self._instruments:
                return [
                    _failure(
                        attrs.evolve(request, method="subscribe"), None, "Subscription Not Found", now_ns
                    )
                ]
            self._instruments = False
            return [_success(request, {}, now_ns)]
        if self._instruments:
            return [_failure(request, None, "Already subscribed", now_ns)]
        self._instruments = True
        self._heartbeat_ns = self._heartbeat_ns or now_ns + SECOND_NS
        ack = _success(request, {"snapshot": request.snapshot}, now_ns)
        return [ack, instrument_frame(self._exchange.pairs)] if request.snapshot else [ack]

    # --------------------------------------------------------------------------------------------- inside

    def _expect(self, symbol: str, after_ns: int) -> None:
        self._next[symbol] = self._exchange.market.next_trade_ns(symbol, after_ns)
        heapq.heappush(self._queue, (self._next[symbol], symbol))

    def _announced(self) -> list[Outgoing]:
        out: list[Outgoing] = []
        news = self._exchange.announcements[self._heard :]
        self._heard = len(self._exchange.announcements)
        for item in news:
            out.append(status_frame(item.system, self._number) if isinstance(item, StatusChange) else item)
            if isinstance(item, Hangup):
                break
        return out

    def _delay_ns(self) -> int:
        slow = self._exchange.faults.on("slow")
        return 0 if slow is None else round(float(slow.get("delay_s", 5)) * SECOND_NS)


def _success(request: Request, result: Mapping[str, object], now_ns: int) -> str:
    warnings = {"warnings": WARNINGS[request.channel]} if request.channel in WARNINGS else {}
    if request.method == "unsubscribe":
        warnings = {}
    whole = {"channel": request.channel, **request.own, **result, **warnings}
    return reply({"method": request.method, "result": whole, "success": True, **request.echo}, now_ns)


def _failure(request: Request, symbol: str | None, text: str, now_ns: int) -> str:
    named = {} if symbol is None else {"symbol": symbol}
    return reply({"error": text, "method": request.method, "success": False, **named, **request.echo}, now_ns)
