"""What is collected, and how it is written: a venue, a symbol, and a timeframe or trades or quotes."""

from __future__ import annotations

import enum
import re
from typing import Final, final

import attrs

from wickwire.errors import UsageError
from wickwire.timeframe import Timeframe

__all__ = ["Feed", "Series", "What", "Word", "is_venue_name", "scope_of"]


class Word(enum.Enum):
    """A closed set of words; each is shown as it is written in stores, in JSON and in the config."""

    def __str__(self) -> str:
        """Return the word."""
        return str(self.value)


@final
class Feed(Word):
    """What a series carries when it does not carry candles."""

    TRADES = "trades"
    QUOTES = "quotes"


What = Timeframe | Feed

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SYMBOL: Final = re.compile(r"(?!.*(?:\.\.|//))(?!\.$)[A-Za-z0-9^./$:=&+@_#-]{1,64}")
_SHAPE: Final = (
    "write venue:symbol@what, such as kraken:BTC/USD@1m, alpaca.sip:AAPL@1d or kraken:BTC/USD@trades"
)


def is_venue_name(text: str) -> bool:
    """Say whether a venue, or a variant of one, may be called *text*."""
    return _NAME.fullmatch(text) is not None


def scope_of(venue: str, variant: str) -> str:
    """Return venue and variant, as written before the colon of a series."""
    return f"{venue}.{variant}" if variant else venue


@attrs.frozen(order=True, cache_hash=True)
class Series:
    """What is collected: venue, variant, symbol and timeframe (or trades, or quotes).

    Written `venue[.variant]:symbol@what`; split at the first `:` and the last `@`. The variant is part of
    the identity: `alpaca.iex:AAPL@1m` and `alpaca.sip:AAPL@1m` are two series.
    """

    venue: str
    symbol: str
    what: What = attrs.field(order=str)
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Series:
        """Return the series written as *text*; the symbol is taken as it stands.

        Raises:
            UsageError: The text has another shape, or a part breaks its grammar.
        """
        head, colon, rest = text.strip().partition(":")
        symbol, at, what = rest.rpartition("@")
        venue, dot, variant = head.partition(".")
        if not colon or not at:
            raise UsageError(f"not a series: {text!r}; {_SHAPE}")
        for part, name in ((venue, "venue"), (variant, "variant") if dot else (venue, "venue")):
            if not is_venue_name(part):
                raise UsageError(
                    f"not a series: {text!r}; the {name} {part!r} has to be lower-case letters, digits "
                    "and _, starting with a letter"
                )
        if not _SYMBOL.fullmatch(symbol):
            raise UsageError(
                f"not a series: {text!r}; the symbol {symbol!r} may hold letters, digits and "
                "^ . / $ : = & + @ _ # -, at most 64 of them"
            )
        feed = {feed.value: feed for feed in Feed}.get(what)
        try:
            return cls(venue, symbol, feed or Timeframe.parse(what), variant)
        except UsageError as exc:
            meant = {feed.value.rstrip("s"): feed.value for feed in Feed}.get(what.lower().rstrip("s"))
            if meant:
                raise UsageError(f"not a series: {text!r} (did you mean '@{meant}'?); {_SHAPE}") from exc
            raise UsageError(f"not a series: {text!r}; {exc}; or trades, or quotes") from exc

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        return f"{self.scope}:{self.symbol}@{self.what.value if isinstance(self.what, Feed) else self.what}"

    @property
    def scope(self) -> str:
        """Venue and variant, as written before the colon."""
        return scope_of(self.venue, self.variant)

    @property
    def timeframe(self) -> Timeframe:
        """The timeframe of a candle series.

        Raises:
            TypeError: This series carries trades or quotes.
        """
        if isinstance(self.what, Feed):
            raise TypeError(f"{self} has no timeframe")
        return self.what
