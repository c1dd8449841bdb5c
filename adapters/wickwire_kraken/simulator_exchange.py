"""What all connections and REST of the simulated Kraken share: the market, faults, what is announced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from wickwire import DAY_NS, MINUTE_NS, SECOND_NS, Candle, Timeframe, Utc
from wickwire.simulate.faults import KnownFault, Switchboard
from wickwire.simulate.server import Hangup, Incoming, Market, Outgoing
from wickwire_kraken.simulator_pairs import Pair, pairs_of

__all__ = ["FAULTS", "GRID", "INTERVALS", "Exchange", "LateTrade", "StatusChange", "Window"]

GRID: Final = Utc()
INTERVALS: Final = {
    minutes: Timeframe.of_minutes(minutes) for minutes in (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
}
"""The nine intervals, stream and REST. Where weeks and 15-day buckets begin is not established: here weeks
begin on Mondays and 15-day buckets count from 1970-01-01."""

CONNECTS_ALLOWED: Final = 150
CONNECTS_PER_NS: Final = 10 * MINUTE_NS
"""New connections per address, then a ban as long: told by projects that met it, not by Kraken."""

FAULTS: Final = (
    KnownFault("mute", "on", "Data stops on every stream; acks and heartbeats go on."),
    KnownFault("mute_symbol", "symbol on", "Data of one symbol stops.", needs_symbol=True),
    KnownFault(
        "silent_ack",
        "symbol acked on",
        "A new subscription is acked and stays silent until made anew; with acked=False no ack comes.",
    ),
    KnownFault("no_heartbeat", "on", "Heartbeats stop."),
    KnownFault(
        "refuse", "symbol text on", "Subscriptions to one symbol (all without) are refused with a text."
    ),
    KnownFault(
        "hangup",
        "code reason half_frame",
        "Every open stream ends once: close code 1006 is a cut; half_frame breaks a message before.",
    ),
    KnownFault(
        "refuse_connections", "status on", "New streams are answered with an HTTP status, 503 by default."
    ),
    KnownFault("exceeded_rate", "on", "Every message is lost and answered with Exceeded msg rate."),
    KnownFault("message_rate", "per_s", "Messages beyond so many a second are lost; 50 by default."),
    KnownFault("html_520", "status on", "REST answers with an HTML page, HTTP 520 by default."),
    KnownFault("rest_error", "text on", "REST answers with this error, EService:Unavailable by default."),
    KnownFault("throttle", "on", "REST answers that there were too many requests."),
    KnownFault("rest_rate", "burst per_s", "REST takes so many requests at once and so many more a second."),
    KnownFault(
        "late_trade",
        "symbol ago_s price size",
        "A trade appears in a bucket that is over: REST OHLC changes, the stream never says it.",
        needs_symbol=True,
    ),
    KnownFault(
        "lose_trades",
        "symbol count",
        "The next trades of a symbol are missing from the trade channel.",
        needs_symbol=True,
    ),
    KnownFault("duplicate_trades", "count on", "A new trade subscription repeats old trades as an update."),
    KnownFault(
        "drop_candle",
        "symbol interval open_ns",
        "One bucket, the next by default, is missing in ohlc.",
        needs_symbol=True,
    ),
    KnownFault("bad_rows", "on", "Every other row of REST OHLC has an open that is no number."),
    KnownFault("maintenance", "system on", "The system status changes: maintenance stops data and REST too."),
    KnownFault("slow", "delay_s on", "Stream data comes late, 5 s by default."),
    KnownFault("bad_checksum", "on", "Book messages carry a wrong CRC."),
    KnownFault("junk", "frame", "Every open stream gets this frame once."),
)
"""What each of them does, and which details it takes."""


@attrs.frozen
class LateTrade:
    """A trade that was reported after its bucket was over."""

    time_ns: int
    price: Decimal
    size: Decimal


@attrs.frozen
class StatusChange:
    """The system's state changed: each connection says it with its own id."""

    system: str


@attrs.define
class Window:
    """Counts what happened within a sliding time."""

    per_ns: int
    times: list[int] = attrs.field(factory=list)

    def count(self, now_ns: int) -> int:
        """Note one more event and return how many there were within `per_ns`."""
        self.times = [ns for ns in self.times if ns > now_ns - self.per_ns]
        self.times.append(now_ns)
        return len(self.times)


@attrs.define
class Exchange:
    """The state behind all connections.

    Attributes:
        market: The truth.
        pairs: What is traded, by display name.
        now_ns: The latest instant that anybody told.
        system: The word of the status channel.
        faults: Which of them are on.
        announcements: What every open connection is to hear; each remembers how much it has heard.
        late: Late trades by symbol.
        lost: Instants of trades that the trade channel leaves out, by symbol.
        dropped: `(symbol, interval, open_ns)` of buckets that the ohlc channel leaves out.
        connects: When streams were opened.
        banned_until_ns: No stream is opened before.
        days: For each symbol, the quarters of the 24 hours before one.
        messages_per_s: Messages per stream and second that are heard.
        rest_burst: REST requests that are taken at once.
        rest_per_s: How many more every second.
        rest_used: How much of the burst is used up.
        rest_asked_ns: When REST was asked last.
    """

    market: Market
    pairs: Mapping[str, Pair] = attrs.field()
    now_ns: int = attrs.field()
    system: str = "online"
    faults: Switchboard = attrs.field()
    announcements: list[Outgoing | StatusChange] = attrs.field(factory=list)
    late: dict[str, list[LateTrade]] = attrs.field(factory=dict)
    lost: dict[str, set[int]] = attrs.field(factory=dict)
    dropped: set[tuple[str, int, int]] = attrs.field(factory=set)
    connects: Window = attrs.field(factory=lambda: Window(CONNECTS_PER_NS))
    banned_until_ns: int = 0
    days: dict[str, tuple[int, Sequence[Candle]]] = attrs.field(factory=dict)
    messages_per_s: int = 50
    rest_burst: float = 60.0
    rest_per_s: float = 1.0
    rest_used: float = 0.0
    rest_asked_ns: int = 0

    @pairs.default
    def _pairs(self) -> Mapping[str, Pair]:
        return pairs_of(self.market)

    @faults.default
    def _faults(self) -> Switchboard:
        return Switchboard(FAULTS, self.pairs)

    @now_ns.default
    def _now_ns(self) -> int:
        return self.market.start_ns

    def tell(self, now_ns: int) -> None:
        """Take note of the time; it never goes back."""
        self.now_ns = max(self.now_ns, now_ns)

    def silent(self, symbol: str) -> bool:
        """Say whether data of *symbol* is held back now."""
        return (
            self.system == "maintenance"
            or self.faults.on("mute") is not None
            or self.faults.on("mute_symbol", symbol) is not None
        )

    def candles(self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int) -> Sequence[Candle]:
        """Return the market's candles on the venue's grid."""
        return self.market.candles(symbol, timeframe, since_ns, until_ns, grid=GRID)

    def day_of_quarters(self, symbol: str, at_ns: int) -> Sequence[Candle]:
        """Return the candles of the last 24 hours and the running quarter of an hour."""
        quarter = INTERVALS[15]
        open_ns = quarter.open_at(at_ns, GRID)
        known = self.days.get(symbol)
        if known is None or known[0] != open_ns:
            known = open_ns, self.candles(symbol, quarter, open_ns - DAY_NS, open_ns)
            self.days[symbol] = known
        return [*known[1], *self.candles(symbol, quarter, open_ns, at_ns + 1)]

    def refusal_of(self, incoming: Incoming, now_ns: int) -> tuple[int, str] | None:
        """Return status and reason where a new stream is not opened, else None."""
        self.tell(now_ns)
        refused = self.faults.on("refuse_connections")
        if refused is not None:
            return int(refused.get("status", 503)), "Service Unavailable"
        if incoming.path.rstrip("/") not in ("/v2", ""):
            return 404, "Not Found"
        if now_ns < self.banned_until_ns:
            return 429, "Error 1015: you are being rate limited"
        if self.connects.count(now_ns) > CONNECTS_ALLOWED:
            self.banned_until_ns = now_ns + CONNECTS_PER_NS
            return 429, "Error 1015: you are being rate limited"
        return None

    def takes_request(self, now_ns: int) -> bool:
        """Count one REST request; False when there were too many (a bucket that leaks)."""
        leaked = (now_ns - self.rest_asked_ns) / SECOND_NS * self.rest_per_s
        self.rest_used = max(0.0, self.rest_used - leaked)
        self.rest_asked_ns = now_ns
        if self.rest_used + 1 > self.rest_burst:
            return False
        self.rest_used += 1
        return True

    # --------------------------------------------------------------------------------------- faults

    def inject(self, name: str, details: Mapping[str, Any]) -> None:
        """Switch a fault on or off, or do it once.

        Raises:
            ValueError: As `KrakenServer.inject` has it.
        """
        self.faults.check(name, details)
        if self._happens_once(name, details) or name != "maintenance":
            return
        self.system = str(details.get("system", name)) if self.faults.on(name) is not None else "online"
        self.announcements.append(StatusChange(self.system))

    def _happens_once(self, name: str, given: Mapping[str, Any]) -> bool:
        """Do a fault that is no switch; a switch is switched, and it is False."""
        symbol = str(given.get("symbol", ""))
        match name:
            case "hangup":
                if given.get("half_frame"):
                    self.announcements.append('{"channel":"ohlc","type":"update","timest')
                self.announcements.append(Hangup(int(given.get("code", 1006)), str(given.get("reason", ""))))
            case "junk":
                self.announcements.append(given.get("frame", "\x00 no JSON"))
            case "message_rate":
                self.messages_per_s = int(given.get("per_s", 50))
            case "rest_rate":
                self.rest_burst = float(given.get("burst", 60))
                self.rest_per_s = float(given.get("per_s", 1))
            case "late_trade":
                self._add_late_trade(symbol, given)
            case "lose_trades":
                self._lose_trades(symbol, int(given.get("count", 3)))
            case "drop_candle":
                interval = int(given.get("interval", 1))
                timeframe = INTERVALS[interval]
                following = timeframe.close_of(timeframe.open_at(self.now_ns, GRID), GRID)
                self.dropped.add((symbol, interval, int(given.get("open_ns", following))))
            case _:
                self.faults.switch(name, given)
                return False
        return True

    def _add_late_trade(self, symbol: str, given: Mapping[str, Any]) -> None:
        quote = self.market.quote(symbol, self.now_ns)
        price = Decimal(str(given.get("price", quote.ask + (quote.ask - quote.bid) * 10)))
        size = Decimal(str(given.get("size", quote.ask_size)))
        time_ns = self.now_ns - round(float(given.get("ago_s", 90)) * SECOND_NS)
        self.late.setdefault(symbol, []).append(LateTrade(time_ns, price, size))

    def _lose_trades(self, symbol: str, count: int) -> None:
        times = self.lost.setdefault(symbol, set())
        at_ns = self.now_ns
        for _ in range(count):
            at_ns = self.market.next_trade_ns(symbol, at_ns)
            times.add(at_ns)
