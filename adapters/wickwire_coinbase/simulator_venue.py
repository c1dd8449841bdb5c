"""What all connections and REST of the simulated Coinbase share: the market, faults, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from wickwire import DAY_NS, SECOND_NS, Candle, Timeframe, Utc
from wickwire.simulate.server import Hangup, Incoming, Market, MarketTrade, Outgoing
from wickwire_coinbase.simulator_products import Product, products_of

__all__ = ["FAULTS", "GRANULARITIES", "GRID", "STREAMED", "LateTrade", "Venue", "Window", "last_trades"]

GRID: Final = Utc()
GRANULARITIES: Final = {
    name: Timeframe.parse(text)
    for name, text in (
        ("ONE_MINUTE", "1m"),
        ("FIVE_MINUTE", "5m"),
        ("FIFTEEN_MINUTE", "15m"),
        ("THIRTY_MINUTE", "30m"),
        ("ONE_HOUR", "1h"),
        ("TWO_HOUR", "2h"),
        ("FOUR_HOUR", "4h"),
        ("SIX_HOUR", "6h"),
        ("ONE_DAY", "1d"),
    )
}
STREAMED: Final = GRANULARITIES["FIVE_MINUTE"]

CONNECTS_PER_S: Final = 8
MESSAGES_PER_S: Final = 8
REST_PER_S: Final = 10
"""Of one address; without a key ("WebSocket Rate Limits", "REST Rate Limits")."""

FAULTS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    name: (sentence, frozenset(details.split()))
    for name, details, sentence in (
        ("mute", "on", "Data stops on every stream; answers and heartbeats go on."),
        ("mute_symbol", "symbol on", "Data of one symbol stops."),
        ("delist", "symbol on", "A symbol is traded no longer: its data stop, and its name is unknown."),
        (
            "silent_ack",
            "symbol acked on",
            "New subscriptions bring nothing; with acked=False no answer either.",
        ),
        ("no_heartbeat", "on", "Heartbeats stop."),
        ("refuse", "symbol text on", "Subscriptions to one symbol (all without) are answered with an error."),
        ("leave_out", "on", "Unknown products are left out of the answer; else they are an error."),
        ("late_ack", "delay_s on", "Answers to subscriptions come late, 3 s by default."),
        (
            "hangup",
            "code reason half_frame",
            "Every open stream ends once: close code 1006 is a cut; half_frame breaks a message before.",
        ),
        ("refuse_connections", "status on", "New streams are answered with an HTTP status, 503 by default."),
        ("limited", "on", "Every message is lost and answered with rate limit exceeded."),
        ("lose_messages", "count", "The next messages of data are counted and never sent, 3 by default."),
        ("double_messages", "on", "Every message of data is sent twice, with the same number."),
        ("interleave", "on", "After a row of a candle an older state of it is sent."),
        ("empty_rows", "on", "Tickers hold an empty row too."),
        ("own_names", "on", "Products in USDC are answered under their own name."),
        (
            "late_trade",
            "symbol ago_s price size",
            "A trade appears in a bucket that is over, in REST only.",
        ),
        ("lose_trades", "symbol count", "The next trades of a symbol are missing from market_trades."),
        ("drop_candle", "symbol open_ns", "One bucket, the next by default, is missing in candles."),
        ("slow", "delay_s on", "Stream data comes late, 5 s by default."),
        ("html_503", "status on", "REST answers with a page, HTTP 503 by default."),
        ("rest_error", "status text on", "REST answers with this error, INTERNAL and HTTP 500 by default."),
        ("throttle", "on", "REST answers that there were too many requests, HTTP 429."),
        ("rest_rate", "per_s", "REST takes so many requests a second, 10 by default."),
        ("exclusive", "on", "The end of a range of candles is exclusive."),
        ("junk", "frame", "Every open stream gets this frame once."),
    )
}
"""Name to what it does and which details it takes."""


@attrs.frozen
class LateTrade:
    """A trade that was reported after its bucket was over."""

    time_ns: int
    price: Decimal
    size: Decimal


@attrs.define
class Window:
    """Counts what happened within a sliding second."""

    times: list[int] = attrs.field(factory=list)

    def count(self, now_ns: int) -> int:
        """Note one more event and return how many there were within it."""
        self.times = [ns for ns in self.times if ns > now_ns - SECOND_NS]
        self.times.append(now_ns)
        return len(self.times)


@attrs.define
class Venue:
    """The state behind all connections.

    Attributes:
        market: The truth.
        products: What is traded, by id.
        now_ns: The latest instant that anybody told.
        switched: Faults that are on, by name and market symbol ("" for all), with their details.
        announcements: What every open connection is to hear; each remembers how much it has heard.
        late: Late trades by symbol.
        lost: Instants of trades that market_trades leaves out, by symbol.
        dropped: `(symbol, open_ns)` of buckets that candles leaves out.
        lost_messages: How many more messages each connection is to lose; each remembers how many it has.
        connects: When streams were opened.
        messages: When anything was said on any of them: limits are of the address.
        requests: When REST was asked.
        rest_per_s: How often it may be.
        days: For each symbol, the quarters of the 24 hours before one.
    """

    market: Market
    products: Mapping[str, Product] = attrs.field()
    now_ns: int = attrs.field()
    switched: dict[tuple[str, str], dict[str, Any]] = attrs.field(factory=dict)
    announcements: list[Outgoing] = attrs.field(factory=list)
    late: dict[str, list[LateTrade]] = attrs.field(factory=dict)
    lost: dict[str, set[int]] = attrs.field(factory=dict)
    dropped: set[tuple[str, int]] = attrs.field(factory=set)
    lost_messages: int = 0
    connects: Window = attrs.field(factory=Window)
    messages: Window = attrs.field(factory=Window)
    requests: Window = attrs.field(factory=Window)
    rest_per_s: int = REST_PER_S
    days: dict[str, tuple[int, Sequence[Candle]]] = attrs.field(factory=dict)

    @products.default
    def _products(self) -> Mapping[str, Product]:
        return products_of(self.market)

    @now_ns.default
    def _now_ns(self) -> int:
        return self.market.start_ns

    def tell(self, now_ns: int) -> None:
        """Take note of the time; it never goes back."""
        self.now_ns = max(self.now_ns, now_ns)

    def fault(self, name: str, symbol: str = "") -> Mapping[str, Any] | None:
        """Return the details of a fault that is on for *symbol* or for all, else None."""
        if not self.switched:  # as nearly always, and it is asked for every fault in every step
            return None
        return self.switched.get((name, symbol), self.switched.get((name, "")))

    def silent(self, symbol: str) -> bool:
        """Say whether data of *symbol* is held back now."""
        if not self.switched:
            return False
        return not {("mute", ""), ("mute_symbol", symbol), ("delist", symbol)}.isdisjoint(self.switched)

    def product(self, name: str) -> Product | None:
        """Return what *name* is, None where it is traded no longer or never was."""
        found = self.products.get(name)
        return None if found is None or ("delist", found.symbol) in self.switched else found

    def candles(self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int) -> Sequence[Candle]:
        """Return the market's candles on the venue's grid."""
        return self.market.candles(symbol, timeframe, since_ns, until_ns, grid=GRID)

    def day_of_quarters(self, symbol: str, at_ns: int) -> Sequence[Candle]:
        """Return the candles of the last 24 hours and the running quarter of an hour."""
        quarter = GRANULARITIES["FIFTEEN_MINUTE"]
        open_ns = quarter.open_at(at_ns, GRID)
        known = self.days.get(symbol)
        if known is None or known[0] != open_ns:
            known = open_ns, self.candles(symbol, quarter, open_ns - DAY_NS, open_ns)
            self.days[symbol] = known
        return [*known[1], *self.candles(symbol, quarter, open_ns, at_ns + 1)]

    def refusal_of(self, incoming: Incoming, now_ns: int) -> tuple[int, str] | None:
        """Return status and reason where a new stream is not opened, else None."""
        self.tell(now_ns)
        refused = self.fault("refuse_connections")
        if refused is not None:
            return int(refused.get("status", 503)), "Service Unavailable"
        if incoming.path.strip("/"):
            return 404, "Not Found"
        if self.connects.count(now_ns) > CONNECTS_PER_S:
            return 429, "Too Many Requests"
        return None

    # --------------------------------------------------------------------------------------- faults

    def switch(self, name: str, details: Mapping[str, Any]) -> None:
        """Switch a fault on or off, or do it once. `CoinbaseServer.inject` has checked the names."""
        given = dict(details)
        on = bool(given.pop("on", True))
        symbol = str(given.get("symbol", ""))
        match name:
            case "hangup":
                if given.get("half_frame"):
                    self.announcements.append('{"channel":"candles","client_id":"","timest')
                self.announcements.append(Hangup(int(given.get("code", 1006)), str(given.get("reason", ""))))
            case "junk":
                self.announcements.append(given.get("frame", "\x00 no JSON"))
            case "lose_messages":
                self.lost_messages += int(given.get("count", 3))
            case "rest_rate":
                self.rest_per_s = int(given.get("per_s", REST_PER_S))
            case "late_trade":
                self._add_late_trade(symbol, given)
            case "lose_trades":
                self._lose_trades(symbol, int(given.get("count", 3)))
            case "drop_candle":
                following = STREAMED.close_of(STREAMED.open_at(self.now_ns, GRID), GRID)
                self.dropped.add((symbol, int(given.get("open_ns", following))))
            case _ if on:
                self.switched[name, symbol] = given
            case _:
                self.switched.pop((name, symbol), None)

    def _add_late_trade(self, symbol: str, given: Mapping[str, Any]) -> None:
        quote = self.market.quote(symbol, self.now_ns)
        price = Decimal(str(given.get("price", quote.ask + (quote.ask - quote.bid) * 10)))
        size = Decimal(str(given.get("size", quote.ask_size)))
        time_ns = self.now_ns - round(float(given.get("ago_s", 400)) * SECOND_NS)
        self.late.setdefault(symbol, []).append(LateTrade(time_ns, price, size))

    def _lose_trades(self, symbol: str, count: int) -> None:
        times = self.lost.setdefault(symbol, set())
        at_ns = self.now_ns
        for _ in range(count):
            at_ns = self.market.next_trade_ns(symbol, at_ns)
            times.add(at_ns)


def last_trades(
    market: Market, symbol: str, until_ns: int, count: int, *, since_ns: int = 0
) -> Sequence[MarketTrade]:
    """Return the last *count* trades from *since_ns* up to and with *until_ns*, oldest first."""
    floor_ns = max(market.start_ns, since_ns)
    span_ns = 60 * SECOND_NS
    while True:
        from_ns = max(floor_ns, until_ns - span_ns)
        trades = market.trades(symbol, from_ns, until_ns + 1) if from_ns <= until_ns else ()
        if len(trades) >= count or from_ns == floor_ns:
            return trades[-count:]
        span_ns *= 4
