"""The rows of Coinbase's channels, and the events that each becomes.

Reference: Coinbase Advanced Trade WebSocket, "Candles Channel", "Market Trades Channel", "Ticker Channel",
read 2026-11; frames that public projects captured from 2024 to 2026 where the two disagree.

Every number is a string. A row whose fields have the right types and still say nothing sensible (NaN, a month
13) is a `WireError` whose `at` is the field.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import Final

import msgspec

from wickwire import Event, Quote, Side, Trade, TradeAction, WireError
from wickwire_coinbase.instants import instant
from wickwire_coinbase.memory import Memory

__all__ = ["TAKER_SIDES", "TickerRow", "TradeRow", "loose_ticker", "quotes", "trade_number", "trades"]

TAKER_SIDES: Final[dict[str, Side | None]] = {
    "BUY": Side.SELL,
    "SELL": Side.BUY,
    "UNKNOWN_ORDER_SIDE": None,
}
"""Coinbase's `side` to ours, on the stream and over REST: the one place that turns it round.

The venue tells the side of the *maker*, whose order rested in the book: so says Coinbase Exchange, which
shares the engine and the ids ("Get product trades"), and recorded trades at the best ask say SELL. Some
public clients hand it on as if it were the taker's. Ours is the taker's, which is the opposite one; as each
has exactly one opposite, nothing of what was received is lost.
"""

_LONGEST_NUMBER: Final = 40
_NEW: Final = TradeAction.NEW  # an attribute of an enum costs a look-up each time
_STRANGE: Final = object()
_taker_side: Final = TAKER_SIDES.get
_trade_id: Final = attrgetter("trade_id")


class TradeRow(msgspec.Struct, gc=False):
    """One trade; `side` is the maker's."""

    product_id: str
    trade_id: str
    price: Decimal
    size: Decimal
    time: str
    side: str


class TickerRow(msgspec.Struct, gc=False):
    """Best bid and ask; the rest of it is about the last 24 hours and 52 weeks.

    Captures from before April 2024 lack the best prices, and some rows are empty: their price is "".
    """

    product_id: str
    price: str
    best_bid: Decimal | None = None
    best_bid_quantity: Decimal | None = None
    best_ask: Decimal | None = None
    best_ask_quantity: Decimal | None = None


def trades(rows: list[TradeRow], memory: Memory, snapshot: bool, _sent: str, out: list[Event]) -> None:  # noqa: FBT001 - a keyword costs 0.05 µs
    """Add the trades of *rows*, oldest first."""
    if len(rows) > 1:  # some say that the newest comes first, some the oldest
        alike = len({len(row.trade_id) for row in rows}) == 1
        rows.sort(key=_trade_id if alike else trade_number)
    routes, seconds = memory.routes["market_trades"], memory.seconds
    for row in rows:
        number, price, size, time, product = row.trade_id, row.price, row.size, row.time, row.product_id
        if not (price.is_finite() and size.is_finite()):
            raise WireError("coinbase: expected finite numbers")
        side = _taker_side(row.side, _STRANGE)
        if side is _STRANGE:
            raise WireError(f"coinbase: no such side: {row.side[:40]!r}", at=".side")
        if not (number.isdigit() and number.isascii() and len(number) <= _LONGEST_NUMBER):
            raise WireError(f"coinbase: expected digits, got {number[:60]!r}", at=".trade_id")
        time_ns = instant(time, seconds, ".time")
        for symbol in routes.get(product) or memory.symbols("market_trades", product):
            out.append(  # noqa: PERF401 - it is one, mostly
                Trade(symbol, number, price, size, side, time_ns, _NEW, None, snapshot)  # type: ignore[arg-type]  # _STRANGE was refused above
            )


def trade_number(row: TradeRow) -> int:
    """Return the id of *row* as a number, by which trades are sorted; -1 where it is none."""
    text = row.trade_id
    return int(text) if text.isdigit() and text.isascii() and len(text) <= _LONGEST_NUMBER else -1


def quotes(rows: list[TickerRow], memory: Memory, snapshot: bool, sent: str, out: list[Event]) -> None:  # noqa: FBT001 - as above
    """Add the quotes of *rows*; of the time at which the message was *sent*, since rows tell none."""
    routes = memory.routes["ticker"]
    for row in rows:
        bid, bid_size, ask, ask_size = (
            row.best_bid,
            row.best_bid_quantity,
            row.best_ask,
            row.best_ask_quantity,
        )
        if not row.price or (bid is None and ask is None):
            continue
        for number in (bid, bid_size, ask, ask_size):
            if number is not None and not number.is_finite():
                raise WireError("coinbase: expected finite numbers")
        time_ns, product = instant(sent, memory.seconds, ".timestamp"), row.product_id
        for symbol in routes.get(product) or memory.symbols("ticker", product):
            out.append(Quote(symbol, bid, bid_size, ask, ask_size, time_ns, snapshot))  # noqa: PERF401 - as above


class _LooseTickerRow(msgspec.Struct):
    product_id: str
    price: str
    best_bid: str | None = None
    best_bid_quantity: str | None = None
    best_ask: str | None = None
    best_ask_quantity: str | None = None


_loose_ticker: Final = msgspec.json.Decoder(_LooseTickerRow).decode


def loose_ticker(raw: bytes) -> TickerRow:
    """Read a row in which some prices are "", which stands for none; too rare to be paid for in every row.

    Raises:
        ValueError: It is no such row.
    """
    row = _loose_ticker(raw)
    texts = (row.best_bid, row.best_bid_quantity, row.best_ask, row.best_ask_quantity)
    try:
        return TickerRow(row.product_id, row.price, *(Decimal(text) if text else None for text in texts))
    except InvalidOperation as exc:
        raise ValueError(f"expected numbers, got {texts}") from exc
