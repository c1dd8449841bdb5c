"""The order book of the simulated Kraken: levels around the market's quote, their changes, their CRC32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final
from zlib import crc32

import attrs

from wickwire import SECOND_NS
from wickwire.simulate.server import MarketQuote
from wickwire_kraken.simulator_pairs import Pair

__all__ = ["DEPTHS", "Book", "Side", "book_at", "changes", "checksum"]

DEPTHS: Final = (10, 25, 100, 500, 1000)
TURN_NS: Final = SECOND_NS // 2
"""How often some level changes without a trade."""
TURNS_A_LEVEL: Final = 37
"""Every level gets a new size once in so many turns."""
CHECKED_LEVELS: Final = 10

Side = Mapping[Decimal, Decimal]
"""Price to size, best first."""

_MASK: Final = (1 << 64) - 1


@attrs.frozen
class Book:
    """Both sides, cut to a depth."""

    bids: Side
    asks: Side


def book_at(pair: Pair, quote: MarketQuote, depth: int) -> Book:
    """Return the book around *quote*: its best levels, then levels that only price and time decide."""
    return Book(
        _side(pair, quote.bid, quote.bid_size, -1, quote.time_ns, depth),
        _side(pair, quote.ask, quote.ask_size, 1, quote.time_ns, depth),
    )


def changes(before: Side, after: Side, depth: int) -> Sequence[tuple[Decimal, Decimal]]:
    """Return the levels to send so that a client's *before* becomes *after*.

    What is pushed out of range is not deleted: clients cut for themselves. Deletions come first, so that a
    client that cuts after each level ends with the same book as one that cuts at the end.
    """
    prices = list(after)
    rising = len(prices) > 1 and prices[0] < prices[-1]
    full = len(prices) == depth

    def pushed_out(price: Decimal) -> bool:
        return full and (price > prices[-1] if rising else price < prices[-1])

    gone = [(price, Decimal(0)) for price in before if price not in after and not pushed_out(price)]
    new = [(price, size) for price, size in after.items() if before.get(price) != size]
    if new and not hash(new[0]) % 8:  # one level may occur twice in a message; the last one counts
        new.insert(0, (new[0][0], 2 * new[0][1]))
    return [*gone, *new]


def checksum(pair: Pair, book: Book) -> int:
    """Return the CRC32 of the best ten asks, low to high, then bids, high to low, as Kraken describes it."""
    digits = [
        text.replace(".", "").lstrip("0")
        for side in (book.asks, book.bids)
        for price, size in list(side.items())[:CHECKED_LEVELS]
        for text in (pair.price(price), pair.size(size))
    ]
    return crc32("".join(digits).encode())


def _side(pair: Pair, best: Decimal, size: Decimal, step: int, at_ns: int, depth: int) -> Side:
    side = {best: size}
    tick, lot = Decimal(1).scaleb(-pair.price_decimals), Decimal(1).scaleb(-pair.size_decimals)
    for ticks in _occupied(int(best / tick), step, depth - 1):
        turn = (at_ns // TURN_NS + ticks % TURNS_A_LEVEL) // TURNS_A_LEVEL
        side[ticks * tick] = (1 + _mix(ticks, turn) % (3 * 10**pair.size_decimals)) * lot
    return side


def _occupied(ticks: int, step: int, count: int) -> Iterator[int]:
    """Yield the next *count* price ticks that hold orders: about every third."""
    while count and (ticks := ticks + step) > 0:
        if not _mix(ticks, step) % 3:
            count -= 1
            yield ticks


def _mix(one: int, other: int) -> int:
    """Return 64 well-mixed bits (the finaliser of splitmix64): the same in every process."""
    bits = (one * 0x9E3779B97F4A7C15 + other * 0xD1B54A32D192ED03) & _MASK
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31
