"""What a simulated venue is: a pure server over a market that knows the truth.

A venue's simulator is told what came in and what time it is, and answers with what goes out. The shells
that put it on a loopback port or into memory are in `loopback` and `memory`. Simulators are written from
the venue's documents, not from our adapters, and count only if the venue's own public clients accept them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, runtime_checkable

import attrs

from wickwire.model import Candle, Grid, Side, Timeframe
from wickwire.simulate.hours import TradingHours

__all__ = [
    "Answer",
    "Connection",
    "Hangup",
    "Incoming",
    "Instrument",
    "Market",
    "MarketQuote",
    "MarketTrade",
    "Outgoing",
    "TradeTruth",
    "Truth",
    "VenueServer",
]


# -------------------------------------------------------------------------------------------- the market


@attrs.frozen(kw_only=True)
class Instrument:
    """What is traded: canonical symbol, how its numbers are printed, and when; None is round the clock."""

    symbol: str
    price_decimals: int
    size_decimals: int
    session: TradingHours | None = None


@attrs.frozen
class MarketTrade:
    """One true trade; `number` counts the trades of an instrument without a gap, from 1."""

    number: int
    time_ns: int
    price: Decimal
    size: Decimal
    side: Side


@attrs.frozen
class MarketQuote:
    """The true best bid and ask at an instant."""

    time_ns: int
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal


class Market(Protocol):
    """The truth: everything follows from its trades, and the same seed gives the same trades.

    Nothing exists before `start_ns` and an instrument appears when it is first asked for.
    """

    start_ns: int
    """When trading began; as far back as history goes."""

    @property
    def symbols(self) -> Sequence[str]:
        """Everything that is traded, by canonical symbol."""
        ...

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the instrument of a canonical symbol, or None when nothing of that name is traded."""
        ...

    def trades(self, symbol: str, since_ns: int, until_ns: int) -> Sequence[MarketTrade]:
        """Return the trades in `[since_ns, until_ns)`, oldest first."""
        ...

    def candles(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, *, grid: Grid
    ) -> Sequence[Candle]:
        """Return the candles that open in `[since_ns, until_ns)` and hold a trade before *until_ns*.

        Buckets without a trade are absent. The last one may be cut by *until_ns*: it holds the trades before
        it. Prices and volume are exact sums over the trades.
        """
        ...

    def quote(self, symbol: str, at_ns: int) -> MarketQuote:
        """Return the best bid and ask at *at_ns*."""
        ...

    def next_trade_ns(self, symbol: str, after_ns: int) -> int:
        """Return when the first trade after *after_ns* happens, however far away."""
        ...


@runtime_checkable
class Truth(Protocol):
    """Who knows which candles are true: the market, or a server whose candles are not of its trades alone."""

    def candles(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, *, grid: Grid
    ) -> Sequence[Candle]:
        """Return the candles that open in `[since_ns, until_ns)`; see `Market.candles`."""
        ...


@runtime_checkable
class TradeTruth(Protocol):
    """Who knows which trades are true: the market, or a server that trades things under names of its own."""

    def trades(self, symbol: str, since_ns: int, until_ns: int) -> Sequence[MarketTrade]:
        """Return the trades in `[since_ns, until_ns)`, oldest first."""
        ...


# --------------------------------------------------------------------------------------------- the server


@attrs.frozen(kw_only=True)
class Incoming:
    """One HTTP request as it came in; *query* is decoded, header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@attrs.frozen(kw_only=True)
class Answer:
    """One HTTP reply. The shell adds a Date header that follows the simulated clock."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Hangup:
    """The server ends the stream: with a close frame, or *code* 1006 for a cut without one."""

    code: int = 1000
    reason: str = ""


Outgoing = str | bytes | Hangup
"""What a simulated venue does: it sends text, sends bytes, or hangs up."""


class Connection(Protocol):
    """One client's stream, seen from the server."""

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Return what the server says first."""
        ...

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Return the answers to one message."""
        ...

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Return all that is to be said by *now_ns*: data, heartbeats."""
        ...

    def next_ns(self, now_ns: int) -> int:
        """Return when `due` should be called next: later than *now_ns*."""
        ...


class VenueServer(Protocol):
    """One simulated venue. Where its candles are not those of the market's trades, it is a `Truth` too."""

    @property
    def stream_origins(self) -> Sequence[str]:
        """Origins that this server stands in for, such as `wss://ws.kraken.com`."""
        ...

    @property
    def rest_origins(self) -> Sequence[str]:
        """The same for REST, such as `https://api.kraken.com`."""
        ...

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Answer the opening request of a stream: a connection, or an HTTP refusal."""
        ...

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one REST request."""
        ...

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault on or off, by a name from `faults`.

        Raises:
            ValueError: No such fault; the text lists those there are.
        """
        ...

    @property
    def faults(self) -> Mapping[str, str]:
        """Names of the faults it can show, each with one sentence."""
        ...
