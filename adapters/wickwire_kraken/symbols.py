"""What Kraken calls things: pairs and intervals, both ways.

Reference: Kraken API Center, "Get Tradable Asset Pairs" and "Candles (OHLC)", read 2026-11.

One pair has four spellings. WebSocket v2 and, with a slash in `pair=`, REST say `BTC/USD`, which is our
canonical symbol too. `AssetPairs` says `XBT/USD` (wsname, of the retired WebSocket v1), `XBTUSD` (altname)
and `XXBTZUSD` (its key, where the oldest assets carry an X or a Z).
"""

from __future__ import annotations

import re
from typing import Final

from wickwire import MINUTE_NS, Timeframe, hookimpl

__all__ = ["BUCKETS", "MINUTES", "TIMEFRAMES", "from_venue", "has_pair_form", "is_tokenized", "to_venue"]

MINUTES: Final = {
    Timeframe.of_minutes(minutes): minutes for minutes in (1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600)
}
"""Kraken counts intervals in minutes; these nine are all there are, on the stream and over REST."""

TIMEFRAMES: Final = tuple(MINUTES)

BUCKETS: Final = {minutes: (timeframe, minutes * MINUTE_NS) for timeframe, minutes in MINUTES.items()}
"""An interval as the wire says it: its timeframe, and its length in nanoseconds."""

_RENAMED: Final = {"XBT": "BTC", "XDG": "DOGE"}

_OLD_ASSETS: Final = {
    code: _RENAMED.get(code[1:], code[1:])
    for code in (
        *("XXBT", "XETH", "XLTC", "XXRP", "XXLM", "XXMR", "XZEC", "XXDG", "XETC", "XREP", "XMLN"),
        *("ZUSD", "ZEUR", "ZGBP", "ZJPY", "ZCAD", "ZAUD"),
    )
}
"""The first assets of the venue, whose codes begin with X (coins) or Z (currencies). The list is closed."""

_ASSETS: Final = _OLD_ASSETS | _RENAMED

_CODES: Final = {
    asset: tuple(code for code, meant in _ASSETS.items() if meant == asset) for asset in _ASSETS.values()
}
"""Every other spelling of an asset."""

_QUOTES: Final = ("USDT", "USDC", "USD", "EUR", "GBP", "JPY", "CAD", "AUD", "CHF", "XBT", "BTC", "ETH", "DAI")
"""What a name without a slash may end in, longest first: `ETHUSDT` is not ETHUSD and a T."""

_PAIR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.]*/[A-Za-z0-9][A-Za-z0-9.]*")  # BRK.Bx/USD has a dot


@hookimpl
def to_venue(symbol: str) -> str:
    """Return *symbol* as it is: WebSocket v2 and REST both take the canonical spelling."""
    return symbol


@hookimpl
def from_venue(text: str) -> str:
    """Return the canonical symbol for any of Kraken's spellings, in capitals or in small letters.

    Tokenized stocks keep their small x (`AAPLx/USD`), so a name that mixes both cases is left alone. What has
    neither a slash nor a quote asset that we know comes back unchanged, for `supports_ohlcv` to refuse.
    """
    name = text.strip()
    if name.isascii() and name.islower():
        name = name.upper()
    base, slash, quote = name.partition("/")
    if not slash:
        base, quote = _split(name)
    return f"{_ASSETS.get(base, base)}/{_ASSETS.get(quote, quote)}" if quote else name


def has_pair_form(symbol: str) -> bool:
    """Say whether *symbol* is written BASE/QUOTE."""
    return _PAIR.fullmatch(symbol) is not None


def is_another(key: str, symbol: str) -> bool:
    """Say whether *key*, under which REST serves a result, means another pair than *symbol*.

    The server prefers names of its own: `XXBTZUSD`, `XBTUSDT` and `BTC/USD` are all `BTC/USD`. A name that
    cannot be read is given the benefit of the doubt.
    """
    base, _, quote = symbol.upper().partition("/")
    bases, quotes = ({asset, *_CODES.get(asset, ())} for asset in (base, quote))
    names = {
        f"{old}{first}{between}{second}"
        for old in ("", "X")
        for first in bases
        for between in ("", "X", "Z")
        for second in quotes
    }
    return has_pair_form(from_venue(key)) and key.upper().replace("/", "") not in names


def is_tokenized(symbol: str) -> bool:
    """Say whether *symbol* is a tokenized stock, such as `AAPLx/USD`; REST wants to be told."""
    base = symbol.partition("/")[0]
    return base.endswith("x") and base[:-1].isupper()


def _split(name: str) -> tuple[str, str]:
    base, quote = name[:-4], name[-4:]
    # Only between codes of that age: XTZUSD is XTZ and USD, not XT and ZUSD. USDT met dollars early.
    if quote in _OLD_ASSETS and (base in _OLD_ASSETS or base == "USDT"):
        return base, quote
    for quote in _QUOTES:
        base = name.removesuffix(quote)
        if base != name and len(base) > 1 and base.isalnum():
            return base, quote
    return name, ""
