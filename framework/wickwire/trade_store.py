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

__all__ = ["MemoryTape", "StoredTrade", "Stretch", "TradeBatch", "TradeStore", "joined", "remembered"]


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

    async def forget_trades(self, before_ns: int, *, series: Series | None = None) -> int:
        """Take out entries whose time lies before *before_ns*; return how many were.

        First no stretch reaches back there any more, and none does ever again; then the entries go, batch by
        batch, and others have their turn in between. Where it is broken off, another call goes on.

        Args:
            before_ns: How old is too old.
            series: Of this series alone; None for all.
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


def remembered(stretches: Iterable[Stretch], before_ns: int | None) -> list[Stretch]:
    """Return what is left of *stretches* where all trades from before *before_ns* are forgotten, if any."""
    if before_ns is None:
        return list(stretches)
    kept = (one for one in stretches if one.until_ns >= before_ns)
    return [Stretch(max(one.since_ns, before_ns), one.until_ns) for one in kept]


class MemoryTape:
    """The log of one series in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.stretches: list[Stretch] = []
        self._entries: list[StoredTrade] = []
        self._known: dict[tuple[str, int, str], None] = {}
        self._number = 0
        self._forgotten_ns: int | None = None

    def put(self, batch: TradeBatch) -> int:
        """Take *batch*; return how many were new."""
        before = self._number
        for trade in batch.trades:
            key = trade.id, trade.time_ns, trade.action.value
            if not trade.id or key not in self._known:
                self._known[key] = None
                self._number += 1
                self._entries.append(StoredTrade(self._number, _as_said(trade)))
        for stretch in remembered([batch.stretch] if batch.stretch else [], self._forgotten_ns):
            self.stretches = joined(self.stretches, stretch)
        return self._number - before

    def forget(self, before_ns: int) -> int:
        """Take out what happened before *before_ns*; return how much that was."""
        self._forgotten_ns = before_ns if self._forgotten_ns is None else max(before_ns, self._forgotten_ns)
        self.stretches = remembered(self.stretches, before_ns)
        kept = [one for one in self._entries if one.trade.time_ns >= before_ns]
        gone = len(self._entries) - len(kept)
        self._entries = kept
        self._known = {key: None for key in self._known if key[1] >= before_ns}
        return gone

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
