"""What DXLink calls things: instruments, candle symbols with their attributes, and our names for them.

Reference: dxFeed Knowledge Base, "How to Request Candles"; devexperts QD 3.352, class `CandleSymbol`;
tastytrade developer documentation, "Symbology"; read 2026-11.

A candle symbol is an instrument with attributes: `SPY{=5m,tho=true}`. Servers rewrite it (`{=1m}` comes back
as `{=m}`), so two of them are compared by what they say, never as texts.
"""

from __future__ import annotations

import enum
import itertools
import re
from decimal import Decimal
from typing import Final, final

import attrs

from wickwire import Feed, Timeframe, Unit, Unknown, UsageError, Utc, hookimpl

__all__ = ["CANDLES", "QUOTES", "SALES", "SERVICES", "TIMEFRAMES", "VARIANTS", "Candles", "Service"]
__all__ += ["Variant", "Word", "candle_symbol", "from_venue", "grid_of", "read_candle_symbol", "service_of"]
__all__ += ["to_venue", "why_not"]

_OFFERED: Final = ("1s", "5s", "15s", "30s", "1m", "2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "4h")
TIMEFRAMES: Final = tuple(map(Timeframe.parse, (*_OFFERED, "1d", "1w", "1mo")))
"""What we ask for. The server counts any whole number of any unit; others are made of these."""

_UNITS: Final = {unit.value: unit for unit in Unit}  # s m h d w mo: dxFeed and we write them alike

_TYPES: Final = {"TICK": "t", "SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d", "WEEK": "w"} | (
    {"MONTH": "mo", "OPTEXP": "o", "YEAR": "y", "VOLUME": "v", "PRICE": "p"}
    | {"PRICE_MOMENTUM": "pm", "PRICE_RENKO": "pr"}
)
"""Every kind of period, in the order in which a beginning of its name is looked up: `M` is a minute."""

_PRICES: Final = ("last", "bid", "ask", "mark", "s")
_ALIGNMENTS: Final = ("m", "s")
_SHAPE: Final = re.compile(r"([^{}]+)(?:\{([^{}]*)\})?")
_PERIOD: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)?([A-Za-z_]{1,20})", re.ASCII)


@attrs.frozen(cache_hash=True)
class Variant:
    """The part of a series after the dot: which trades count, where buckets begin, which price is charted.

    Attributes:
        regular: Regular trading hours only; else all sessions.
        aligned: Buckets are counted from the session's open; else from midnight.
        price: `last`, `bid`, `ask`, `mark`, or `s` for the settlement.
    """

    regular: bool = False
    aligned: bool = False
    price: str = "last"


def _variants() -> dict[str, Variant]:
    prices = {"": "last", "bid": "bid", "ask": "ask", "mark": "mark", "settlement": "s"}
    found = {}
    for regular, aligned, (word, price) in itertools.product((False, True), (False, True), prices.items()):
        name = "_".join(filter(None, ("rth" * regular, "aligned" * aligned, word)))
        found[name] = Variant(regular, aligned, price)
    return found


VARIANTS: Final = _variants()
"""By name: `rth`, `aligned`, `bid`, `ask`, `mark`, `settlement`, and these joined by `_` in that order."""


@attrs.frozen(cache_hash=True)
class Candles:
    """What a candle symbol says, whatever its spelling.

    Attributes:
        instrument: With its exchange (`IBM&Q`), where it names one.
        count: How many of *unit* make a bucket.
        unit: `t`, `s`, `m`, `h`, `d`, `w`, `mo`, `o`, `y`, `v`, `p`, `pm` or `pr`.
        variant: Session, alignment and price.
        more: Attributes that we never ask for, in order.
    """

    instrument: str
    count: Decimal = Decimal(1)
    unit: str = "t"
    variant: Variant = Variant()
    more: tuple[tuple[str, str], ...] = ()

    @property
    def timeframe(self) -> Timeframe | None:
        """Our name for the period; None where we have none, or would ask for it as another one (`60m`)."""
        unit = _UNITS.get(self.unit)
        if unit is None or self.count != int(self.count):
            return None
        try:
            timeframe = Timeframe(int(self.count), unit)
        except UsageError:  # none, or more than ten years
            return None
        return timeframe if timeframe.unit is unit else None


def candle_symbol(symbol: str, timeframe: Timeframe, variant: Variant) -> str:
    """Return the canonical candle symbol: attributes in order, no defaults, no count of 1."""
    period = f"={'' if timeframe.n == 1 else timeframe.n}{timeframe.unit.value}"
    attributes = [
        period,
        *(["a=s"] if variant.aligned else []),
        *([] if variant.price == "last" else [f"price={variant.price}"]),
        *(["tho=true"] if variant.regular else []),
    ]
    return f"{to_venue(symbol)}{{{','.join(attributes)}}}"


def read_candle_symbol(text: str) -> Candles:
    """Return what a candle symbol says.

    Raises:
        ValueError: It has another shape, or an attribute has a value that does not exist.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError(f"no candle symbol: {text!r:.80}")
    told = {"": "t", "a": "m", "price": "last", "tho": "false"}
    for attribute in filter(None, (shape[2] or "").split(",")):
        key, equals, value = attribute.partition("=")
        if not equals or not value:
            raise ValueError(f"no attribute of a candle symbol: {attribute!r:.40}")
        told[key.strip().lower()] = value
    count, unit = _period(told.pop(""))
    variant = Variant(
        regular=_word(told.pop("tho"), ("true", "false")) == "true",
        aligned=_word(told.pop("a"), _ALIGNMENTS) == "s",
        price=_word(told.pop("price"), _PRICES),
    )
    return Candles(shape[1], count, unit, variant, tuple(sorted(told.items())))


def _period(text: str) -> tuple[Decimal, str]:
    shape = _PERIOD.fullmatch(text)
    if shape is None:
        raise ValueError(f"no period of candles: {text!r:.40}")
    count, word = Decimal(shape[1] or 1), shape[2]
    if word in _TYPES.values():
        return count, word
    for name, unit in _TYPES.items():
        if name.startswith(word.upper()) or f"{name}S" == word.upper():
            return count, unit
    raise ValueError(f"no period of candles: {text!r:.40}")


def _word(text: str, words: tuple[str, ...]) -> str:
    for word in words:
        if text and word.startswith(text.lower()):
            return word
    raise ValueError(f"expected one of {', '.join(words)}, got {text!r:.40}")


def grid_of(timeframe: Timeframe, variant: Variant) -> Utc | Unknown:
    """Return where buckets open, as far as that is documented.

    Hours and less count from midnight in the exchange's zone: up to an hour, where every zone agrees with
    UTC. Daily candles are stamped with 00:00 UTC of their trading date.
    """
    size_ns = timeframe.fixed_ns
    if timeframe.unit is Unit.DAY and timeframe.n == 1:
        return Utc()
    hour_ns = Timeframe(1, Unit.HOUR).nominal_ns
    half_hours = hour_ns // 2 if variant.aligned else hour_ns  # sessions open at half past
    return Utc() if size_ns is not None and half_hours % size_ns == 0 else Unknown()


# ----------------------------------------------------------------------------------------- instruments

_FIAT: Final = frozenset(
    {"AUD", "BRL", "CAD", "CHF", "CNH", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY", "KRW"}
    | {"MXN", "NOK", "NZD", "PLN", "SEK", "SGD", "TRY", "USD", "ZAR", "XAG", "XAU", "XPD", "XPT"}
)
"""Currencies and metals: a pair of two of these is traded as it is written."""
_MONEY: Final = _FIAT | {"BTC", "ETH", "USDC", "USDT"}
"""What coins are priced in: `BAC/PRL` and `AMC/WS` are no pairs but a preferred share and a warrant."""

_COIN_EXCHANGE: Final = ":CXTALP"
_PAIR: Final = re.compile(r"([A-Z0-9]{2,10})/([A-Z]{3,5})")
_CLASS_SHARE: Final = re.compile(r"([A-Z]{1,5})[./]([A-Z])")
_OPTION_OF_OCC: Final = re.compile(r"([A-Z0-9]{1,6}) *(\d{6})([CP])(\d{8})", re.ASCII)
_SHORT_YEAR: Final = re.compile(r"\.?/[A-Z0-9]{1,4}[FGHJKMNQUVXZ]\d(?:[CP ].*)?(?::[A-Z]{4})?", re.ASCII)
_FORMS: Final = re.compile(
    r"""\$?[A-Z][A-Z0-9]{0,9}(?:\.[A-Z]{1,3})?(?:&[A-Za-z])?        # share, fund, index
    |[A-Z]{1,5}(?:-(?:PR)?[A-Z]|/(?:PR[A-Z]?|WS[A-Z]?|RT|U))       # preferred share, warrant, right, unit
    |\.[A-Z][A-Z0-9]{0,5}\d{6}[CP]\d{1,8}(?:\.\d{1,3})?             # option
    |/[A-Z0-9]{1,4}(?:[FGHJKMNQUVXZ]\d\d)?:[A-Z]{4}                 # future, front future
    |\./[A-Z0-9]{1,4}[FGHJKMNQUVXZ]\d\d[CP]\d{1,8}(?:\.\d{1,5})?:[A-Z]{4}  # option on a future
    |[A-Z0-9]{2,10}/[A-Z]{3,5}(?::[A-Z]{3,6})?                      # pair""",
    re.ASCII | re.VERBOSE,
)
_EXAMPLES: Final = (
    "AAPL, BRK.B, SPX, .SPY251219C600, /ESZ25:XCME, /ES:XCME, ./ESU25P900:XCME, BTC/USD or EUR/USD"
)


@hookimpl
def to_venue(symbol: str) -> str:
    """Return the streamer symbol: `BTC/USD:CXTALP` for `BTC/USD`, `BRK/B` for `BRK.B`."""
    share = _CLASS_SHARE.fullmatch(symbol)
    if share is not None:
        return f"{share[1]}/{share[2]}"
    return f"{symbol}{_COIN_EXCHANGE}" if _is_coin(symbol) else symbol


@hookimpl
def from_venue(text: str) -> str:
    """Return the canonical symbol of a streamer symbol, or of an option as OCC and tastytrade write it.

    A future of tastytrade's own (`/ESZ5`) comes back unchanged: it says neither decade nor exchange.
    """
    name = text.strip()
    if name.isascii() and name.islower():
        name = name.upper()
    option = _OPTION_OF_OCC.fullmatch(name)
    if option is not None:
        strike = f"{Decimal(option[4]).scaleb(-3):f}".rstrip("0").rstrip(".")
        return f".{option[1]}{option[2]}{option[3]}{strike or 0}"
    share = _CLASS_SHARE.fullmatch(name)
    if share is not None:
        return f"{share[1]}.{share[2]}"
    pair = name.removesuffix(_COIN_EXCHANGE)
    return pair if _is_coin(pair) else name


def why_not(symbol: str) -> str:
    """Return why *symbol* is none that DXLink could have, with what would be; empty where it has the form."""
    if _SHORT_YEAR.fullmatch(symbol):
        return (
            f"{symbol} is tastytrade's own name; write the streamer symbol, with two digits of the year and "
            "the exchange: /ESZ25:XCME"
        )
    return (
        ""
        if _FORMS.fullmatch(symbol)
        else f"{symbol!r:.80} is no streamer symbol; write one like {_EXAMPLES}"
    )


def _is_coin(symbol: str) -> bool:
    pair = _PAIR.fullmatch(symbol)
    return pair is not None and pair[2] in _MONEY and not {pair[1], pair[2]} <= _FIAT


# ------------------------------------------------------------------------------- channels and messages


@attrs.frozen
class Service:
    """One contract of the feed on a channel of its own, and the type of event that is wanted there.

    Attributes:
        channel: Its number; clients have the odd ones.
        contract: HISTORY: a snapshot, then updates. TICKER: the latest value. STREAM: every event.
        period_s: The aggregation asked for; the server decides.
        event: The type of event.
        fields: What is asked of it; the server confirms the fields, and drops what it does not know.
    """

    channel: int
    contract: str
    period_s: float
    event: str
    fields: tuple[str, ...]


_FIRST: Final = ("eventType", "eventSymbol")
_INDEXED: Final = (*_FIRST, "eventFlags", "index", "time")
_CANDLE: Final = (*_INDEXED, "sequence", "count", "open", "high", "low", "close", "volume", "vwap")
_QUOTE: Final = (*_FIRST, "bidPrice", "askPrice", "bidSize", "askSize", "bidTime", "askTime")
_SALE: Final = (*_INDEXED, "timeNanoPart", "price", "size", "aggressorSide", "type", "validTick")
CANDLES: Final = Service(1, "HISTORY", 0.1, "Candle", _CANDLE)
QUOTES: Final = Service(3, "TICKER", 0.1, "Quote", _QUOTE)
SALES: Final = Service(5, "STREAM", 0.0, "TimeAndSale", (*_SALE, "extendedTradingHours"))
SERVICES: Final = (CANDLES, QUOTES, SALES)


def service_of(what: Timeframe | Feed) -> Service:
    """Return where a topic is subscribed to."""
    return SALES if what is Feed.TRADES else QUOTES if what is Feed.QUOTES else CANDLES


@final
class Word(enum.Enum):
    """What a server says beside data; AUTH_STATE is two words."""

    SETUP = "SETUP"
    UNAUTHORIZED = "UNAUTHORIZED"
    AUTHORIZED = "AUTHORIZED"
    KEEPALIVE = "KEEPALIVE"
    ERROR = "ERROR"
    CHANNEL_OPENED = "CHANNEL_OPENED"
    CHANNEL_CLOSED = "CHANNEL_CLOSED"
