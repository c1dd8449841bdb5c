"""What a store promises that keeps trades too, and how one in memory keeps them.

Trades are a log: what a venue said, in the order in which it came, each once. Corrections and cancellations
are entries like any other; what they do to a candle is known to who makes candles (`wickwire.builder`). Where
nothing is missing between two trades is kept beside them, as a *stretch*.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import attrs

from wickwire.model import Series, Trade

__all__ = ["MemoryTape", "StoredTrade", "Stretch", "TradeBatch", "TradeStore", "joined"]


@attrs.frozen(order=True)
class Stretch:
    """From one trade to another nothing was missed, both included.

    Attributes:
        since_ns: When the first of them happened.
        until_ns: When the last did.
    """

    since_ns: int
    until_ns: int


@attrs.frozen(kw_only=True)
class TradeBatch:
    """What is to be stored of one series.

    Attributes:
        series: Which series of trades.
        trades: In the order in which they came.
        stretch: Where nothing is missing now; None where that is not known.
    """

    series: Series
    trades: Sequence[Trade]
    stretch: Stretch | None = None


@attrs.frozen
class StoredTrade:
    """One entry of the log.

    Attributes:
        number: It grows in the order in which entries came, with gaps.
        trade: What the venue said; whether it came in a snapshot is not kept.
    """

    number: int
    trade: Trade


@runtime_checkable
class TradeStore(Protocol):
    """A store that keeps trades. Every method raises StoreError, naming the store, when it cannot work."""

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        """Store all of *batches* in one transaction, durably.

        What has an id is stored once for each id, time and action, whatever is put how often; what has none
        is stored each time. A stretch that touches a known one of its series is joined with it.

        Returns:
            How many were new.
        """
        ...

    async def trades(
        self, series: Series, since_ns: int, until_ns: int, *, after: int = 0, limit: int
    ) -> Sequence[StoredTrade]:
        """Return at most *limit* entries whose time lies in `[since_ns, until_ns)`, in the order of the log.

        Args:
            series: Which series of trades.
            since_ns: Beginning of the range.
            until_ns: Its end.
            after: Only entries with a higher number: that of the last entry of the page before.
            limit: How many at most.
        """
        ...

    async def tapes(self) -> Mapping[Series, Sequence[Stretch]]:
        """Return every series of which trades are stored, with its stretches in order."""
        ...


def joined(stretches: Iterable[Stretch], stretch: Stretch) -> list[Stretch]:
    """Return *stretches*, in order and apart, with *stretch* among them."""
    found: list[Stretch] = []
    for one in sorted([*stretches, stretch]):
        if found and one.since_ns <= found[-1].until_ns:
            last = found.pop()
            one = Stretch(last.since_ns, max(last.until_ns, one.until_ns))  # noqa: PLW2901 - it grows
        found.append(one)
    return found


class MemoryTape:
    """The log of one series in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.stretches: list[Stretch] = []
        self._entries: list[StoredTrade] = []
        self._known: dict[tuple[str, int, str], None] = {}

    def put(self, batch: TradeBatch) -> int:
        """Take *batch*; return how many were new."""
        before = len(self._entries)
        for trade in batch.trades:
            key = trade.id, trade.time_ns, trade.action.value
            if not trade.id or key not in self._known:
                self._known[key] = None
                self._entries.append(StoredTrade(len(self._entries) + 1, _as_said(trade)))
        if batch.stretch is not None:
            self.stretches = joined(self.stretches, batch.stretch)
        return len(self._entries) - before

    def read(self, since_ns: int, until_ns: int, after: int, limit: int) -> Sequence[StoredTrade]:
        """Return a page of a range."""
        first = bisect.bisect_right(self._entries, after, key=lambda one: one.number)
        found = (one for one in self._entries[first:] if since_ns <= one.trade.time_ns < until_ns)
        return [one for one, _ in zip(found, range(limit), strict=False)]


def _as_said(trade: Trade) -> Trade:
    return Trade(
        trade.symbol,
        trade.id,
        trade.price,
        trade.size,
        trade.side,
        trade.time_ns,
        trade.action,
        trade.replaces,
    )
