"""What a stream brought in its present epoch, to be compared with what history holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from wickwire.model import Candle
from wickwire.store import TAIL

__all__ = ["Witness"]


@attrs.define(eq=False)
class Witness:
    """The rows with which a stream ended its buckets, the last `TAIL`.

    Attributes:
        since_ns: Buckets that open from then on should have come; None while there is no subscription.
        begun_ns: When the subscription was confirmed, by the venue's clock where that is known; None
            while there is none.
        contradicted_ns: When the newest bucket opens that it brought whole, in whatever epoch, and with other
            values than history has; 0 for none.
    """

    since_ns: int | None = None
    begun_ns: int | None = None
    contradicted_ns: int = 0
    _agreed_ns: int = -1
    _moved_ns: int = 0
    _rows: dict[int, Candle] = attrs.field(factory=dict)

    def begin(self, now_ns: int) -> None:
        """A subscription is confirmed: whatever opens from *now_ns* on should come."""
        self.since_ns = self.begun_ns = now_ns
        self._moved_ns = 0
        self._rows.clear()

    def moved(self, now_ns: int) -> None:
        """It goes on over another connection, which was subscribed by *now_ns*."""
        self._moved_ns = now_ns

    def began(self, begun_ns: int) -> None:
        """The subscription was confirmed at *begun_ns* by the venue's clock: ours may have been wrong."""
        if self.since_ns == self.begun_ns is not None:
            self.since_ns = begun_ns
        if self.begun_ns is not None:
            self.begun_ns = begun_ns

    def began_after(self, ns: int) -> None:
        """The subscription was confirmed at *ns* by the venue's clock at the earliest."""
        if self.begun_ns is not None and ns > self.begun_ns:
            self.began(ns)

    def expect(self, since_ns: int) -> None:
        """Only what opens from *since_ns* on should come: what was before is not the stream's to bring."""
        if self.since_ns is not None:
            self.since_ns = since_ns

    def end(self) -> None:
        """The subscription ended: nothing is held against the stream."""
        self.since_ns = self.begun_ns = None
        self._rows.clear()

    def came_after(self, row: Candle) -> bool:
        """Say whether the bucket of *row* was over before the subscription began."""
        return self.begun_ns is not None and row.close_ns <= self.begun_ns

    def is_recalled(self, row: Candle) -> bool:
        """Say whether the bucket of *row* was over before the connection that carries it was subscribed."""
        return row.close_ns <= self._moved_ns

    def saw(self, row: Candle) -> None:
        """Keep the row that ended a bucket."""
        self._rows[row.open_ns] = row
        while len(self._rows) > TAIL:
            forgotten = self._rows.pop(next(iter(self._rows)))
            if self.since_ns is not None:
                self.since_ns = max(self.since_ns, forgotten.close_ns)  # not to be held against the stream

    def _agrees(self, row: Candle, seen: Candle) -> bool:
        """Say whether the stream brought the same; each candle counts once, and none before one that did."""
        if row.open_ns <= self._agreed_ns or not seen.same_values(row):
            return False
        self._agreed_ns = row.open_ns
        return True

    def compare(self, over: Iterable[Candle], forming: Candle | None) -> tuple[int, list[int]]:
        """Compare what history holds with what the stream brought.

        Args:
            over: Rows of history whose buckets are over.
            forming: The stream's row of the bucket that it has not ended yet.

        Returns:
            How many rows agree that were not counted before, and the open times that the stream should have
            brought and did not.
        """
        agreed, missed = 0, []
        for row in over:
            seen = self._rows.get(row.open_ns)
            if seen is not None:
                agreed += self._agrees(row, seen)
                if not seen.same_values(row) and self.begun_ns is not None and row.open_ns >= self.begun_ns:
                    self.contradicted_ns = max(self.contradicted_ns, row.open_ns)
            elif forming is not None and forming.open_ns == row.open_ns and forming.same_values(row):
                agreed += self._agrees(row, forming)
            elif self.since_ns is not None and row.open_ns >= self.since_ns:
                missed.append(row.open_ns)
        return agreed, missed
