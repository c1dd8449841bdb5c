"""What stores of every kind write alike: a series as four texts, and holes as what became of them."""

from __future__ import annotations

from typing import Final

from wickwire.model import Feed, Hole, Series, Timeframe

__all__ = ["changed_holes", "series_key", "series_of_key"]

_FEEDS: Final = {feed.value: feed for feed in Feed}


def series_key(series: Series) -> tuple[str, str, str, str]:
    """Return venue, variant, symbol and what, such as `("alpaca", "iex", "AAPL", "1m")`."""
    what = series.what.value if isinstance(series.what, Feed) else str(series.what)
    return (series.venue, series.variant, series.symbol, what)


def series_of_key(venue: str, variant: str, symbol: str, what: str) -> Series:
    """Return the series whose key that is.

    Raises:
        UsageError: It is none.
    """
    return Series(venue, symbol, _FEEDS.get(what) or Timeframe.parse(what), variant)


def changed_holes(old: tuple[Hole, ...], new: tuple[Hole, ...]) -> tuple[tuple[Hole, ...], tuple[Hole, ...]]:
    """Return what to take out of *old* and what to put in, so that it becomes *new*.

    A quiet market has thousands of holes, of which a commit changes one or two: equal ends are skipped.
    """
    start, shorter = 0, min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return old[start : len(old) - end], new[start : len(new) - end]
