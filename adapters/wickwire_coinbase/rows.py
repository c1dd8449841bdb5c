"""The rows of Coinbase's channels, and the events that each becomes.

Reference: Coinbase Advanced Trade WebSocket, "Candles Channel", "Market Trades Channel", "Ticker Channel",
read 2026-11; frames that public projects captured from 2024 to 2026 where the two disagree.

Every number is a string. A row whose fields have the right types and still say nothing sensible (NaN, a month
13) is a `WireError` whose `at` is the field.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from wickwire import Candle, Event, Finality, Quote, Removed, Side, Topic, Trade, TradeAction, WireError
from wickwire_coinbase.instants import instant, seconds_ns
from wickwire_coinbase.memory import BUCKETS_KEPT, PRODUCTS_KEPT, Memory
from wickwire_coinbase.symbols import LENGTH_NS, STREAMED

__all__ = [
    "TAKER_SIDES",
    "CandleRow",
    "TickerRow",
    "TradeRow",
    "add_candle",
    "add_quote",
    "add_trade",
    "loose_ticker",
    "trade_number",
]

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

STREAM_NS: Final = LENGTH_NS[STREAMED]

_OPENS_KEPT: Final = 1_024
_LONGEST_NUMBER: Final = 40
# Attributes of an enum cost a look-up each time.
_UNSAID: Final = Finality.UNSAID
_NEW: Final = TradeAction.NEW
_STRANGE: Final = object()


class CandleRow(msgspec.Struct, gc=False):
    """One bucket of five minutes; its volume grows until it ends."""

    start: str
    high: Decimal
    low: Decimal
    open: Decimal
    close: Decimal
    volume: Decimal
    product_id: str


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


def add_candle(row: CandleRow, memory: Memory, snapshot: bool, _sent: str, out: list[Event]) -> None:  # noqa: FBT001 - a keyword costs 0.05 µs
    """Add the candles of *row*, one for each symbol that was asked for and is meant.

    Rows of one bucket were seen to arrive interleaved, an older state after a newer one. Volume only grows,
    so a row with less of it than one before is the older: it never overwrites. What it was the last of is
    withdrawn once it is over, which makes the framework ask history for that one bucket.
    """
    if not (
        row.open.is_finite()
        and row.high.is_finite()
        and row.low.is_finite()
        and row.close.is_finite()
        and row.volume.is_finite()
    ):
        raise WireError("coinbase: expected finite numbers")
    product, volume = row.product_id, row.volume
    open_ns = memory.opens.get(row.start)  # the same text for a whole bucket
    if open_ns is None:
        open_ns = _read_open(row.start, memory)
    volumes = memory.volumes.get(product)
    if volumes is None:
        volumes = _volumes_of(product, memory)
    most = volumes.get(open_ns)
    doubtful_ns = None
    if most is None:
        doubtful_ns = _begin(product, open_ns, volume, memory)
    elif volume >= most:
        volumes[open_ns] = volume
    elif open_ns == max(volumes):
        memory.doubtful[product] = open_ns
        return
    symbols = memory.routes["candles"].get(product) or memory.symbols("candles", product)
    if most is not None and volume < most:
        doubtful_ns = open_ns
    else:
        for symbol in symbols:
            out.append(_candle(symbol, row, open_ns, snapshot))  # noqa: PERF401 - it is one, mostly
    if doubtful_ns is not None:
        out += [Removed(Topic(symbol, STREAMED), doubtful_ns) for symbol in symbols]


def _candle(symbol: str, row: CandleRow, open_ns: int, snapshot: bool) -> Candle:  # noqa: FBT001 - as above
    return Candle(
        symbol,
        STREAMED,
        open_ns,
        open_ns + STREAM_NS,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        None,
        None,
        _UNSAID,
        snapshot,
    )


def _volumes_of(product: str, memory: Memory) -> dict[int, Decimal]:
    if len(memory.volumes) >= PRODUCTS_KEPT:
        memory.volumes.clear()
        memory.doubtful.clear()
    return memory.volumes.setdefault(product, {})


def _begin(product: str, open_ns: int, volume: Decimal, memory: Memory) -> int | None:
    """Note a bucket not heard of before; return the one that ends by it, where that is doubtful.

    That is where an older state was among its rows: which of them was the last, history has to say.
    """
    volumes = memory.volumes[product]
    newest = max(volumes, default=-1)
    volumes[open_ns] = volume
    if len(volumes) > BUCKETS_KEPT:
        del volumes[min(volumes)]
    return memory.doubtful.pop(product, None) if open_ns > newest else None


def add_trade(row: TradeRow, memory: Memory, snapshot: bool, _sent: str, out: list[Event]) -> None:  # noqa: FBT001 - as above
    """Add the trades of *row*; its id is a sequence number of the product, so a jump means lost trades."""
    if not (row.price.is_finite() and row.size.is_finite()):
        raise WireError("coinbase: expected finite numbers")
    side = TAKER_SIDES.get(row.side, _STRANGE)
    if side is _STRANGE:
        raise WireError(f"coinbase: no such side: {row.side[:40]!r}", at=".side")
    if trade_number(row) < 0:
        raise WireError(f"coinbase: expected digits, got {row.trade_id[:60]!r}", at=".trade_id")
    time_ns = instant(row.time, memory.seconds, ".time")
    product = row.product_id
    symbols = memory.routes["market_trades"].get(product) or memory.symbols("market_trades", product)
    for symbol in symbols:
        out.append(  # noqa: PERF401 - as above
            Trade(symbol, row.trade_id, row.price, row.size, side, time_ns, _NEW, None, snapshot)  # type: ignore[arg-type]  # _STRANGE was refused above
        )


def trade_number(row: TradeRow) -> int:
    """Return the id of *row* as a number, by which trades are sorted; -1 where it is none."""
    text = row.trade_id
    return int(text) if text.isdigit() and text.isascii() and len(text) <= _LONGEST_NUMBER else -1


def add_quote(row: TickerRow, memory: Memory, snapshot: bool, sent: str, out: list[Event]) -> None:  # noqa: FBT001 - as above
    """Add the quotes of *row*; they are of the time at which the message was *sent*, since rows tell none."""
    bid, ask = row.best_bid, row.best_ask
    if not row.price or (bid is None and ask is None):
        return
    for number in (bid, row.best_bid_quantity, ask, row.best_ask_quantity):
        if number is not None and not number.is_finite():
            raise WireError("coinbase: expected finite numbers")
    time_ns = instant(sent, memory.seconds, ".timestamp")
    product = row.product_id
    for symbol in memory.routes["ticker"].get(product) or memory.symbols("ticker", product):
        out.append(  # noqa: PERF401 - as above
            Quote(symbol, bid, row.best_bid_quantity, ask, row.best_ask_quantity, time_ns, snapshot)
        )


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


# --------------------------------------------------------------------------------------------- open times


def _read_open(text: str, memory: Memory) -> int:
    open_ns = seconds_ns(text, ".start")
    if open_ns % STREAM_NS:
        raise WireError(f"coinbase: no bucket of five minutes starts at {text}", at=".start")
    if len(memory.opens) >= _OPENS_KEPT:
        memory.opens.clear()
    memory.opens[text] = open_ns
    return open_ns
