"""Stored candles as lines of text: a store writes them out, and no value is made for each number of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from wickwire.model import Series, SeriesCandle

__all__ = ["LINE", "LineStore", "line_of"]

LINE: Final = (
    "open_ns", "close_ns", "open", "high", "low", "close", "volume", "trade_count", "vwap",
    "evidence", "revision", "healed", "route", "seq",
)  # fmt: skip
"""The fields of a line, parted by commas.

Times are nanoseconds, prices and volume the text of their decimals to the digit, *evidence* and *route* names
such as `history` and `stream`, *healed* 1 or 0. Of *trade_count* and *vwap* nothing stands there where there
is none.
"""


@runtime_checkable
class LineStore(Protocol):
    """A store that can write candles out itself, which is several times as quick as reading them."""

    async def lines(self, series: Series, since_ns: int, until_ns: int, *, limit: int) -> Sequence[str]:
        """Return at most *limit* candles that open in `[since_ns, until_ns)` as lines, oldest first.

        What is damaged is written as it stands there.

        Raises:
            StoreError: They cannot be read.
        """
        ...


def line_of(candle: SeriesCandle) -> str:
    """Return a closed candle as a line."""
    assert candle.evidence is not None, "only closed candles are stored"
    count, vwap = ("" if one is None else one for one in (candle.trade_count, candle.vwap))
    return (
        f"{candle.open_ns},{candle.close_ns},{candle.open},{candle.high},{candle.low},{candle.close},"
        f"{candle.volume},{count},{vwap},"
        f"{candle.evidence},{candle.revision},{candle.healed:d},{candle.route.value},{candle.seq}"
    )
