"""The rows of Coinbase's candles channel: which of several about one bucket is the newest.

Reference: Coinbase Advanced Trade WebSocket, "Candles Channel", read 2026-11.

Rows of one bucket were seen to arrive interleaved, an older state after a newer one. Volume only grows, so a
row with less of it than one before is the older: it never overwrites. Which of them was the last nobody knows
then, so once the bucket is over it is withdrawn, which makes the framework ask history for that one bucket.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from wickwire import Candle, Event, Finality, Removed, Topic, WireError
from wickwire_coinbase.instants import seconds_ns
from wickwire_coinbase.memory import BUCKETS_KEPT, PRODUCTS_KEPT, Memory
from wickwire_coinbase.symbols import LENGTH_NS, STREAMED

__all__ = ["CandleRow", "candles", "check"]

STREAM_NS: Final = LENGTH_NS[STREAMED]

_OPENS_KEPT: Final = 1_024
_UNSAID: Final = Finality.UNSAID  # an attribute of an enum costs a look-up each time


class CandleRow(msgspec.Struct, gc=False):
    """One bucket of five minutes; its volume grows until it ends."""

    start: str
    high: Decimal
    low: Decimal
    open: Decimal
    close: Decimal
    volume: Decimal
    product_id: str


def candles(rows: list[CandleRow], memory: Memory, snapshot: bool, _sent: str, out: list[Event]) -> None:  # noqa: FBT001 - a keyword costs 0.05 µs
    """Add what *rows* mean, oldest first: candles, one for each symbol that was asked for and is meant."""
    if len(rows) > 1:
        rows.sort(key=_start)  # in which order they come is nowhere written
    check(rows, memory)
    opens, routes = memory.opens, memory.routes["candles"]
    for row in rows:
        product, open_ns = row.product_id, opens[row.start]
        newest, doubtful_ns = _place(product, open_ns, row.volume, memory)
        symbols = routes.get(product) or memory.symbols("candles", product)
        if newest:
            for symbol in symbols:
                out.append(_candle(symbol, open_ns, row, snapshot))  # noqa: PERF401 - it is one, mostly
        if doubtful_ns is not None:
            out += [Removed(Topic(symbol, STREAMED), doubtful_ns) for symbol in symbols]


def check(rows: list[CandleRow], memory: Memory) -> None:
    """Refuse rows that say nothing sensible, and learn when the others open.

    It comes before any row of a message is placed: one that is wrong has the message read again row by row,
    and a doubt about a bucket is told once.

    Raises:
        WireError: A row says nothing sensible.
    """
    opens = memory.opens
    if len(opens) > _OPENS_KEPT:
        opens.clear()
    for row in rows:
        if not (
            row.open.is_finite()
            and row.high.is_finite()
            and row.low.is_finite()
            and row.close.is_finite()
            and row.volume.is_finite()
        ):
            raise WireError("coinbase: expected finite numbers")
        if row.start not in opens:  # the same text for a whole bucket
            opens[row.start] = _read_open(row.start)


def _candle(symbol: str, open_ns: int, row: CandleRow, snapshot: bool) -> Candle:  # noqa: FBT001 - as above
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


def _place(product: str, open_ns: int, volume: Decimal, memory: Memory) -> tuple[bool, int | None]:
    """Say whether a row is the newest of its bucket, and which bucket that is over became doubtful by it."""
    volumes = memory.volumes.get(product)
    if volumes is None:
        volumes = _volumes_of(product, memory)
    most = volumes.get(open_ns)
    if most is None:
        return True, _begin(product, open_ns, volume, memory)
    if volume >= most:
        volumes[open_ns] = volume
        return True, None
    if open_ns == max(volumes):
        memory.doubtful[product] = open_ns
        return False, None
    return False, open_ns


def _start(row: CandleRow) -> tuple[int, str]:
    return len(row.start), row.start


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


def _read_open(text: str) -> int:
    open_ns = seconds_ns(text, ".start")
    if open_ns % STREAM_NS:
        raise WireError(f"coinbase: no bucket of five minutes starts at {text}", at=".start")
    return open_ns
