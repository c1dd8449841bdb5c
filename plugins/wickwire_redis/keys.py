"""The names of keys and channels: whatever a symbol holds, it stays in its place, and has it alone."""

from __future__ import annotations

import functools
import re
from decimal import Decimal
from typing import Final

import attrs

from wickwire import Series, series_key

__all__ = ["Keys", "plain", "score"]

_STRANGE: Final = re.compile(rb"[^A-Za-z0-9_./=^$+&-]")


@functools.lru_cache(maxsize=10_000)
def plain(text: str) -> str:
    """Return *text* with all percent-encoded that means something in a key, a channel or a pattern.

    Letters, digits and `_ . / = ^ $ + & -` stay; no two texts become the same.

    Raises:
        UnicodeEncodeError: It holds half of a surrogate pair, which is no text.
    """
    return _STRANGE.sub(lambda found: b"%%%02X" % found[0][0], text.encode()).decode()


def score(ns: int) -> str:
    """Return *ns* as milliseconds with six decimals: where a candle stands in a sorted set."""
    return f"{Decimal(ns).scaleb(-6):f}"


@attrs.frozen
class Keys:
    """The names under one *prefix*.

    Those of one series share what stands in braces, which keeps them on one node of a cluster.
    """

    prefix: str

    def price(self, scope: str, symbol: str) -> str:
        """The latest quote of *symbol* at a venue, `venue` or `venue.variant`."""
        return f"{self.prefix}price:{scope}:{plain(symbol)}"

    def primary_price(self, symbol: str) -> str:
        """The latest quote of *symbol* at the primary venue."""
        return f"{self.prefix}price:{plain(symbol)}"

    def price_channel(self, scope: str, symbol: str) -> str:
        """Where it is told that there is a newer quote; a dot parts names there, so a symbol has none."""
        return f"{self.prefix}price.updated.{scope}.{_without_dots(symbol)}"

    def primary_price_channel(self, symbol: str) -> str:
        """The same for the primary venue."""
        return f"{self.prefix}price.updated.{_without_dots(symbol)}"

    def recent(self, series: Series) -> str:
        """The sorted set of recent candles."""
        return self._of(series, "recent")

    def latest(self, series: Series) -> str:
        """The candle that opened last."""
        return self._of(series, "latest")

    def stream(self, series: Series) -> str:
        """The stream of all that happens to the series."""
        return self._of(series, "stream")

    def block(self, series: Series) -> str:
        """All candles from one instant on, for the hot layer."""
        return self._of(series, "hot")

    @property
    def standing(self) -> str:
        """How far the hot layer is."""
        return f"{self.prefix}candle:hot"

    @property
    def series(self) -> str:
        """The set of all series that have candles."""
        return f"{self.prefix}candle:series"

    def _of(self, series: Series, what: str) -> str:
        _, _, symbol, timeframe = series_key(series)
        return f"{self.prefix}candle:{{{series.scope}:{plain(symbol)}@{plain(timeframe)}}}:{what}"


def _without_dots(symbol: str) -> str:
    return plain(symbol).replace(".", "%2E")
