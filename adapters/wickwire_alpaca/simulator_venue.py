"""What all connections and REST of the simulated Alpaca share: instruments, places, edited trades."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from wickwire import SECOND_NS
from wickwire.simulate.faults import Switchboard
from wickwire.simulate.server import Instrument, Market, MarketTrade
from wickwire_alpaca.simulator_faults import FAULTS, announced

__all__ = ["ENDPOINTS", "TEST_SYMBOL", "Edit", "Endpoint", "Venue"]

TEST_SYMBOL: Final = "FAKEPACA"
TEST_TRADES: Final = "SOL/USD"
"""The test symbol trades round the clock: here it repeats what another instrument does."""
STOCK_FORM: Final = re.compile(r"[A-Z][A-Z0-9]{0,11}(\.[A-Z0-9]{1,5}){0,2}", re.ASCII)
PAIR_FORM: Final = re.compile(r"[A-Z0-9]{1,12}/[A-Z]{2,6}", re.ASCII)
SLOT_HELD_NS: Final = 2 * SECOND_NS
"""How long the place of a connection that died is taken; how long it really is nobody wrote down."""
FREE_SYMBOLS: Final = 30
COUNTED: Final = ("trades", "quotes")
"""Of these the free plan allows so many: older pages say that minutes do not count, newer ones nothing."""
REST_BURST: Final = 200.0
REST_PER_S: Final = 3.2
"""The limiter of a free key, as somebody measured it: a bucket of 200 that fills up by 3.2 a second."""


@attrs.frozen(kw_only=True)
class Endpoint:
    """One address of the stream: its channels, in the order of answers, and what it is about."""

    channels: tuple[str, ...]
    crypto: bool = False
    test: bool = False
    delay_ns: int = 0
    paid: bool = False


_STOCK: Final = (
    *("trades", "quotes", "bars", "updatedBars", "dailyBars"),
    *("statuses", "lulds", "corrections", "cancelErrors"),
)

ENDPOINTS: Final = {
    "/v2/iex": Endpoint(channels=_STOCK),
    "/v2/sip": Endpoint(channels=_STOCK, paid=True),
    "/v2/delayed_sip": Endpoint(channels=_STOCK, delay_ns=900 * SECOND_NS),
    "/v2/test": Endpoint(channels=("trades", "quotes", "bars"), test=True),
    "/v1beta3/crypto/us": Endpoint(
        channels=("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"), crypto=True
    ),
}


@attrs.frozen
class Edit:
    """What became of the trades of one minute since it was over.

    Attributes:
        told_ns: When the venue learned of it.
        late: A trade that came late.
        number: Of a trade that was changed; 0 where one came late.
        now: That trade as it is now; None where it was taken back.
        before: That trade as it was.
    """

    told_ns: int
    late: MarketTrade | None = None
    number: int = 0
    now: MarketTrade | None = None
    before: MarketTrade | None = None

    @property
    def time_ns(self) -> int:
        """When the trade happened that it is about."""
        trade = self.late or self.before
        assert trade is not None
        return trade.time_ns


@attrs.define(eq=False)
class Venue:
    """The state behind all connections.

    Attributes:
        market: The truth about trades.
        symbols: What is traded here, by symbol: what it is on the market.
        now_ns: The latest instant that anybody told.
        plan: basic, which is free and what any pair of keys has, or plus.
        free_symbols: How many symbols the basic plan allows.
        counted: The channels in which they count, once in each.
        board: The switches of faults.
        announcements: What every open connection is to hear; each remembers how much it has heard.
        edits: What became of trades, by symbol.
        dropped: `(symbol, open_ns)` of minutes that the stream leaves out.
        places: When the session of an endpoint and key was last seen alive, and whose it is.
        rest_burst: REST requests that are taken at once.
        rest_per_s: How many more every second.
        rest_used: How much of the burst is used up.
        rest_asked_ns: When REST was asked last.
    """

    market: Market
    symbols: Mapping[str, Instrument] = attrs.field()
    now_ns: int = attrs.field()
    plan: str = "basic"
    free_symbols: int = FREE_SYMBOLS
    counted: Sequence[str] = COUNTED
    board: Switchboard = attrs.field()
    announcements: list[object] = attrs.field(factory=list)
    edits: dict[str, list[Edit]] = attrs.field(factory=dict)
    dropped: set[tuple[str, int]] = attrs.field(factory=set)
    places: dict[tuple[str, str], tuple[object, int]] = attrs.field(factory=dict)
    rest_burst: float = REST_BURST
    rest_per_s: float = REST_PER_S
    rest_used: float = 0.0
    rest_asked_ns: int = 0

    @symbols.default
    def _symbols(self) -> Mapping[str, Instrument]:
        listed = {symbol: self.market.instrument(symbol) for symbol in (*self.market.symbols, TEST_TRADES)}
        traded = {symbol: one for symbol, one in listed.items() if one is not None and _is_traded(one)}
        return traded | ({TEST_SYMBOL: traded[TEST_TRADES]} if TEST_TRADES in traded else {})

    @board.default
    def _board(self) -> Switchboard:
        return Switchboard(FAULTS, self.symbols)

    @now_ns.default
    def _now_ns(self) -> int:
        return self.market.start_ns

    def tell(self, now_ns: int) -> None:
        """Take note of the time; it never goes back."""
        self.now_ns = max(self.now_ns, now_ns)

    def fault(self, name: str, symbol: str = "") -> Mapping[str, Any] | None:
        """Return the details of a fault that is on for *symbol* or for all, else None."""
        return self.board.on(name, symbol)

    def serves(self, endpoint: Endpoint, symbol: str) -> bool:
        """Say whether anything of *symbol* ever comes on an endpoint; others are confirmed and silent."""
        if endpoint.test:
            return symbol == TEST_SYMBOL
        return symbol in self.symbols and symbol != TEST_SYMBOL and ("/" in symbol) is endpoint.crypto

    def lists(self, symbol: str) -> bool:
        """Say whether REST knows *symbol*: the test symbol is streamed only."""
        return symbol in self.symbols and symbol != TEST_SYMBOL

    def occupy(self, path: str, key: str, who: object, now_ns: int) -> bool:
        """Take the place of a key at an endpoint, unless another connection of it lives."""
        holder, seen_ns = self.places.get((path, key), (who, 0))
        if self.fault("slot_taken") is not None or (holder is not who and now_ns - seen_ns < SLOT_HELD_NS):
            return False
        self.places[path, key] = (who, now_ns)
        return True

    def takes_request(self, now_ns: int) -> bool:
        """Count one REST request; False when there were too many."""
        gained = (now_ns - self.rest_asked_ns) / SECOND_NS * self.rest_per_s
        self.rest_used = max(0.0, self.rest_used - gained)
        self.rest_asked_ns = now_ns
        if self.plan == "basic" and self.rest_used + 1 > self.rest_burst:
            return False
        self.rest_used += 1
        return True

    # --------------------------------------------------------------------------------------- faults

    def inject(self, name: str, details: Mapping[str, Any]) -> None:
        """Switch a fault on or off, or do it once.

        Raises:
            ValueError: No such fault, or it does not take these details.
        """
        self.board.check(name, details)
        if not self._happens_once(name, str(details.get("symbol", "")), details):
            self.board.switch(name, details)

    def _happens_once(self, name: str, symbol: str, given: Mapping[str, Any]) -> bool:
        """Do a fault that is no switch; False when it is one."""
        match name:
            case "hangup" | "slow_client" | "error" | "junk" | "status":
                self.announcements += announced(name, symbol, given)
            case "plan":
                self.plan = str(given.get("name", "basic"))
                self.free_symbols = int(given.get("symbols", FREE_SYMBOLS))
                self.counted = str(given.get("channels", ",".join(COUNTED))).split(",")
            case "rest_rate":
                self.rest_burst = float(given.get("burst", REST_BURST))
                self.rest_per_s = float(given.get("per_s", REST_PER_S))
                self.rest_used, self.plan = 0.0, "basic"
            case "drop_bar":
                minute_ns = 60 * SECOND_NS
                self.dropped.add((symbol, self.now_ns - self.now_ns % minute_ns + minute_ns))
            case "late_trade" | "correct_trade" | "cancel_trade":
                self._edit(name, symbol, given)
            case _:
                return False
        return True

    def _edit(self, name: str, symbol: str, given: Mapping[str, Any]) -> None:
        traded = self.symbols[symbol].symbol
        last = self._last_trade(traded)
        price = Decimal(str(given.get("price", last.price * 2 - last.price / 2)))
        size = Decimal(str(given.get("size", last.size * 3)))
        number = 10**9 + sum(len(edits) for edits in self.edits.values())
        if name == "late_trade":
            time_ns = self.now_ns - round(float(given.get("ago_s", 90)) * SECOND_NS)
            late = attrs.evolve(last, number=number, time_ns=time_ns, price=price, size=size)
            edit = Edit(self.now_ns, late=late)
        else:
            changed = attrs.evolve(last, number=number, price=price, size=size)
            now = changed if name == "correct_trade" else None
            edit = Edit(self.now_ns, number=last.number, now=now, before=last)
        self.edits.setdefault(symbol, []).append(edit)

    def _last_trade(self, traded: str) -> MarketTrade:
        span_ns = 60 * SECOND_NS
        while True:
            since_ns = max(self.market.start_ns, self.now_ns - span_ns)
            trades: Sequence[MarketTrade] = self.market.trades(traded, since_ns, self.now_ns)
            if trades:
                return trades[-1]
            if since_ns == self.market.start_ns:
                raise ValueError(f"nothing of {traded} was traded yet")
            span_ns *= 4


def _is_traded(one: Instrument) -> bool:
    """Say whether Alpaca would have it: crypto pairs, and stocks of New York."""
    if one.session is None:
        return PAIR_FORM.fullmatch(one.symbol) is not None
    return one.session.tz == "America/New_York" and STOCK_FORM.fullmatch(one.symbol) is not None
