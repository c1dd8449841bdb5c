"""Whether history is told on another scale than before, as after a split of shares, and what follows. Pure.

A venue that adjusts its history multiplies all prices of before by one factor. What is stored of before is
then of an old scale, and has to be read again. Two things give it away: buckets that are known are told with
all four prices changed by the same factor; or the venue says that there was a split, in a range that nobody
had asked about before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

import attrs

from wickwire.conversation import Split
from wickwire.model import Candle, iso

__all__ = ["Rescaling", "factor_between"]

LEAST: Final = Decimal("0.01")
"""By how much a factor differs from 1 at least: less may be an ordinary correction."""

AGREE: Final = Decimal("0.0001")
"""How far apart the factors of single prices may be, as a share: venues round, some to single precision."""


def factor_between(pairs: Iterable[tuple[Candle, Candle]]) -> Decimal | None:
    """Return by what all prices of the second candles are those of the first, or None.

    None also where they agree, or where only one price is there to compare.
    """
    prices = [
        (getattr(before, name), getattr(after, name))
        for before, after in pairs
        for name in ("open", "high", "low", "close")
    ]
    if len({before for before, _ in prices}) < 2 or not all(before * after > 0 for before, after in prices):  # noqa: PLR2004 - one price may be wrong by any factor
        return None
    factor: Decimal = sum(after for _, after in prices) / sum(before for before, _ in prices)
    alike = all(abs(after - before * factor) <= AGREE * abs(after) for before, after in prices)
    return factor if alike and abs(factor - 1) >= LEAST else None


@attrs.define
class Rescaling:
    """What is known of one series' scale, and what of it is still to be read again: `[since_ns, until_ns)`.

    Attributes:
        since_ns: First open time to be read again.
        until_ns: Where that ends; it comes down as pages are read, newest first.
        count: How often history was found on another scale.
        why: The last time, for people; empty before.
    """

    since_ns: int = 0
    until_ns: int = 0
    count: int = 0
    why: str = ""

    @property
    def pending(self) -> bool:
        """Whether something is still to be read again."""
        return self.since_ns < self.until_ns

    def holds(self, open_ns: int) -> bool:
        """Say whether a bucket is still to be read again."""
        return self.since_ns <= open_ns < self.until_ns

    def compare(
        self,
        told: Sequence[Candle],
        known: Callable[[int], Candle | None],
        splits: Sequence[Split],
        origin_ns: int,
        frontier_ns: int,
    ) -> None:
        """Notice what a page gives away.

        Args:
            told: Its closed rows.
            known: What closed a bucket before.
            splits: What the venue says of splits.
            origin_ns: Where the series begins.
            frontier_ns: Up to where it was known.
        """
        for split in splits:
            if split.at_ns >= frontier_ns > origin_ns:
                self._found(origin_ns, frontier_ns, f"the venue tells of a split of {split}")
        changed = [
            (before, row)
            for row in told
            if not self.holds(row.open_ns)
            and (before := known(row.open_ns)) is not None
            and before.open != row.open
        ]
        factor = factor_between(changed)
        if factor is not None:
            why = f"prices are told at {factor:.4g} times what they were"
            self._found(origin_ns, max(row.close_ns for _, row in changed), why)

    def _found(self, since_ns: int, until_ns: int, why: str) -> None:
        if not self.pending:
            self.count += 1
            self.why = f"{why}; candles from before {iso(until_ns)} are read again"
        self.since_ns, self.until_ns = since_ns, max(self.until_ns, until_ns)

    def read(self, since_ns: int, until_ns: int) -> None:
        """Note that a page decided what opens in `[since_ns, until_ns)`."""
        if since_ns < self.until_ns <= until_ns:
            self.until_ns = since_ns

    def out_of_reach(self, before_ns: int) -> None:
        """Note that history reaches no further back: what is older keeps its old scale."""
        self.since_ns = max(self.since_ns, before_ns)
