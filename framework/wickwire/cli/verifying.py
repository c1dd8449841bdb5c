"""`gaps --verify`: what is stored of candles, beside what the stored trades make of the same buckets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from wickwire.description import OhlcvSupport
from wickwire.model import Candle, Feed, Series, SeriesCandle, iso
from wickwire.store import Store
from wickwire.tape import rebuilt
from wickwire.trade_store import TradeStore

__all__ = ["Differing", "Verified", "verified", "verified_json"]

PAGE_ROWS: Final = 1_000
PRICES: Final = ("open", "high", "low", "close", "volume")


@attrs.frozen
class Differing:
    """A bucket of which candle and trades say something else.

    Attributes:
        made: The candle that the trades make.
        stored: The one that is stored; None where there is none.
    """

    made: Candle
    stored: SeriesCandle | None

    @property
    def what(self) -> str:
        """In what they differ."""
        stored = self.stored
        if stored is None:
            return "no candle is stored"
        told = [
            f"{name} {getattr(stored, name)}, of trades {getattr(self.made, name)}"
            for name in PRICES
            if getattr(stored, name) != getattr(self.made, name)
        ]
        return "; ".join(told)


@attrs.frozen(kw_only=True)
class Verified:
    """What came of comparing one series.

    Attributes:
        series: Which series.
        buckets: How many could be compared: those whose trades are all stored.
        differing: Those that differ, oldest first.
    """

    series: Series
    buckets: int
    differing: Sequence[Differing]


async def verified(
    store: Store, series: Series, support_of: Callable[[Series], OhlcvSupport], since_ns: int, until_ns: int
) -> Verified | None:
    """Compare what *store* holds of *series* in a range with its trades; None where it holds none of these.

    Prices and volumes count, as values; how many trades there were, and their mean price, not every venue
    says.

    Raises:
        StoreError: It cannot be read.
    """
    given: object = store
    trades = Series(series.venue, series.symbol, Feed.TRADES, series.variant)
    if not isinstance(given, TradeStore) or trades not in await given.tapes():
        return None
    grid, buckets, differing = support_of(series).grid, 0, list[Differing]()
    stored: dict[int, SeriesCandle] = {}
    read_ns = since_ns
    async for made in rebuilt(given, trades, series.timeframe, grid, since_ns, until_ns):
        buckets += 1
        if made.open_ns >= read_ns:  # between stretches of trades no candle is read
            page = await store.candles(series, max(read_ns, made.open_ns), until_ns, limit=PAGE_ROWS)
            stored = {candle.open_ns: candle for candle in page}
            read_ns = page[-1].open_ns + 1 if page else until_ns
        one = Differing(made, stored.get(made.open_ns))
        if one.what:
            differing.append(one)
    return Verified(series=series, buckets=buckets, differing=differing)


def verified_json(one: Verified | None) -> dict[str, Any] | None:
    """Return what `gaps --verify --json` adds to a series: a contract, see docs/cli.md."""
    if one is None:
        return None
    differing = [{"open_time": iso(each.made.open_ns), "why": each.what} for each in one.differing]
    return {"buckets": one.buckets, "differing": differing}
