"""Pages of the past as a host reads them: candles, and what is known of the time between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Self

import attrs

from wickwire.holes import within
from wickwire.ledger import Ledger
from wickwire.model import Hole, SeriesCandle

__all__ = ["Covered", "HistoryReader"]


@attrs.define
class Covered:
    """Which range pages tell of, and what lacks in it.

    Attributes:
        since_ns: Buckets that open from here on.
        until_ns: And before this.
        holes: Where candles may lack; None as long as that is not known.
    """

    since_ns: int
    until_ns: int
    holes: Sequence[Hole] | None = None

    def learn(self, ledger: Ledger) -> None:
        """Know what *ledger* knows, now that nothing is missing which history could bring."""
        self.since_ns = max(self.since_ns, ledger.origin_ns)
        self.until_ns = max(self.since_ns, min(self.until_ns, ledger.frontier_ns))
        self.holes = tuple(within(ledger.holes, self.since_ns, self.until_ns))


class HistoryReader(AsyncIterator[Sequence[SeriesCandle]]):
    """An iterator over pages of closed candles, which says how it ended.

    In `[since_ns, until_ns)` each bucket is a candle on some page, lies in one of `holes`, or is proven to be
    empty. So what `holes` says when all was read is how it ended: nothing lacks where there are none.
    """

    def __init__(
        self,
        since_ns: int,
        until_ns: int,
        read: Callable[[Covered], AsyncGenerator[Sequence[SeriesCandle]]],
    ) -> None:
        """Read the pages that *read* makes of `[since_ns, until_ns)`."""
        self._covered = Covered(since_ns, until_ns)
        self._pages = read(self._covered)

    @property
    def since_ns(self) -> int:
        """From when on it tells: what was asked for, or, from the first page on, less of it.

        What is older was forgotten, or is older than what is kept.
        """
        return self._covered.since_ns

    @property
    def until_ns(self) -> int:
        """Up to when it tells: what was asked for, or, from the first page on, what is over of it."""
        return self._covered.until_ns

    @property
    def holes(self) -> Sequence[Hole] | None:
        """Where candles may lack, oldest first, and why; None before the first page, or the end.

        `MISSING` and `UNKNOWN` could not be read this time, and are asked for again as long as the series is
        collected; the venue's history does not reach back to what is `UNREACHABLE`.
        """
        return self._covered.holes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[SeriesCandle]:
        return await anext(self._pages)

    async def aclose(self) -> None:
        """Leave the rest where it is."""
        await self._pages.aclose()
