"""What Alpaca calls things: symbols, feeds, plans and timeframes, and where each kind of symbol is served.

Reference: Alpaca Docs, "Real-time Stock Data", "Real-time Crypto Data", "About Market Data API",
"Historical bars"; read 2026-11.

A symbol with a slash is a crypto pair and has no variant: `alpaca:BTC/USD@1m`. All others are stocks and name
the feed that they are taken from: `alpaca.iex:AAPL@1m`. No feed is taken by default, since the same minute
differs in every field between them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from wickwire import HOUR_NS, MINUTE_NS, Account, Timeframe, Unit, Unknown, Zone, hookimpl

__all__ = [
    "CRYPTO",
    "DAY",
    "ENVIRONMENTS",
    "MINUTE",
    "NO_KEYS",
    "PLANS",
    "STOCKS",
    "TIMEFRAMES",
    "WITHOUT_KEYS",
    "Place",
    "from_venue",
    "grid_of",
    "has_keys",
    "is_crypto",
    "is_late",
    "place_of",
    "rest_name",
    "to_venue",
]

MINUTE: Final = Timeframe(1, Unit.MINUTE)
DAY: Final = Timeframe(1, Unit.DAY)

ENVIRONMENTS: Final = {
    "production": ("wss://stream.data.alpaca.markets", "https://data.alpaca.markets"),
    "sandbox": ("wss://stream.data.sandbox.alpaca.markets", "https://data.sandbox.alpaca.markets"),
}
"""Origins of the stream and of REST."""

PLANS: Final = {"": "basic", "basic": "basic", "plus": "plus"}
"""`Account.plan` to Alpaca's plan: Basic, which is free and the default, or Algo Trader Plus."""

WITHOUT_KEYS: Final = "crypto candles, such as alpaca:BTC/USD@1m, still come by REST"
NO_KEYS: Final = (
    "needs the secrets key and secret (a pair of API keys, also of a free account); without them "
    f"{WITHOUT_KEYS}"
)


_CHANNELS: Final = frozenset({"bars", "updatedBars", "dailyBars", "trades", "quotes"})
_OF_STOCKS: Final = _CHANNELS | {"statuses"}


@attrs.frozen(kw_only=True)
class Place:
    """Where a kind of symbol is streamed and served.

    Attributes:
        stream: Path of the stream.
        rest: Path of REST, without `/bars` or `/trades`; empty where there is no history.
        feed: What REST is told as `feed`; empty where it takes none.
        tz: Zone in whose calendar days begin.
        channels: Channels of the stream that we ask for.
        delayed: It is told a quarter of an hour late to everybody.
        numbered: Ids of trades are unique within a symbol, so that candles could be built from trades.
    """

    stream: str
    rest: str
    feed: str
    tz: str
    channels: frozenset[str] = _CHANNELS
    delayed: bool = False
    numbered: bool = False


NEW_YORK: Final = "America/New_York"

CRYPTO: Final = Place(
    stream="/v1beta3/crypto/us", rest="/v1beta3/crypto/us", feed="", tz="America/Chicago", numbered=True
)

STOCKS: Final[Mapping[str, Place]] = {
    "iex": Place(
        stream="/v2/iex", rest="/v2/stocks", feed="iex", tz=NEW_YORK, channels=_OF_STOCKS, numbered=True
    ),
    "sip": Place(stream="/v2/sip", rest="/v2/stocks", feed="sip", tz=NEW_YORK, channels=_OF_STOCKS),
    # "Historical bars" does not know this feed, and its data is that of sip
    "delayed_sip": Place(
        stream="/v2/delayed_sip",
        rest="/v2/stocks",
        feed="sip",
        tz=NEW_YORK,
        channels=_OF_STOCKS,
        delayed=True,
    ),
    "test": Place(
        stream="/v2/test",
        rest="",
        feed="",
        tz=NEW_YORK,
        channels=frozenset({"bars", "trades", "quotes"}),
    ),
}
"""By variant. An exchange numbers its own trades, so that on sip, where there are many, ids repeat."""

TEST_SYMBOL: Final = "FAKEPACA"

_MOST_MINUTES: Final = 59
_MOST_HOURS: Final = 23
_MONTHS: Final = (1, 2, 3, 4, 6, 12)

TIMEFRAMES: Final = (
    *(Timeframe(n, Unit.MINUTE) for n in range(1, _MOST_MINUTES + 1)),
    *(Timeframe(n, Unit.HOUR) for n in range(1, _MOST_HOURS + 1)),
    DAY,
    Timeframe(1, Unit.WEEK),
    *(Timeframe(n, Unit.MONTH) for n in _MONTHS),
)
"""What "Historical bars" serves."""

_UNITS: Final = {
    Unit.MINUTE: "Min",
    Unit.HOUR: "Hour",
    Unit.DAY: "Day",
    Unit.WEEK: "Week",
    Unit.MONTH: "Month",
}

_STOCK: Final = re.compile(r"[A-Z][A-Z0-9]{0,11}(?:\.[A-Z0-9]{1,5}){0,2}", re.ASCII)  # GTX.WS.A has two dots
_PAIR: Final = re.compile(r"[A-Z0-9]{1,12}/[A-Z]{2,6}", re.ASCII)
_HYPHENATED: Final = re.compile(r"([A-Z0-9]{1,12})-(USDT|USDC|USD|BTC)", re.ASCII)
_CLASS_SHARE: Final = re.compile(r"([A-Z]{1,5})-([A-Z])", re.ASCII)
_SLASHED_SHARE: Final = re.compile(r"([A-Z]{1,5})/([A-Z])", re.ASCII)
_OPTION: Final = re.compile(r"[A-Z][A-Z0-9]{0,5}\d{6}[CP]\d{8}", re.ASCII)  # of the OCC: AAPL261218C00200000
_GLUED: Final = re.compile(r"([A-Z0-9]{3,9}?)(USDT|USDC|USD)", re.ASCII)  # longer than any stock

_LIKE: Final = "write one like AAPL, BRK.B or BTC/USD"

CURRENCIES: Final = frozenset(
    {
        *("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "CNY", "HKD", "SGD", "INR", "KRW", "MXN"),
        *("BRL", "ZAR", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "TRY", "ILS", "THB", "TWD"),
    }
)
"""Money of states: a pair whose base is one is forex, of which nothing is collected here."""


@hookimpl
def to_venue(symbol: str) -> str:
    """Return *symbol* as it is: Alpaca writes `AAPL`, `BRK.B` and `BTC/USD` too."""
    return symbol


@hookimpl
def from_venue(text: str) -> str:
    """Return the canonical symbol: in capitals, `BRK.B` for `BRK-B`, `BTC/USD` for `BTC-USD`.

    `BTCUSD`, as older versions of the API wrote, stays what it is: where a name ends and a currency begins is
    a guess, which the refusal offers.
    """
    symbol = text.strip()
    if not symbol.isascii():
        return symbol
    symbol = symbol.upper()
    if pair := _HYPHENATED.fullmatch(symbol):
        return f"{pair[1]}/{pair[2]}"
    if share := _CLASS_SHARE.fullmatch(symbol):
        return f"{share[1]}.{share[2]}"
    return symbol


def is_crypto(symbol: str) -> bool:
    """Say whether *symbol* is a crypto pair, by its form."""
    return "/" in symbol


def place_of(symbol: str, account: Account) -> Place | str:
    """Return where *symbol* is served on the feed of *account*, or one sentence that says why nowhere."""
    feed = account.feed
    if is_crypto(symbol):
        return _pair(symbol, feed)
    if _OPTION.fullmatch(symbol) is not None:
        return f"{symbol} is an option, which is not collected; {_LIKE}"
    if _STOCK.fullmatch(symbol) is None:
        return f"{symbol!r:.80} is no symbol that Alpaca could have; {_LIKE}"
    if pair := _GLUED.fullmatch(symbol):
        return f"{symbol} is no stock; a crypto pair is written with a slash: alpaca:{pair[1]}/{pair[2]}"
    place = STOCKS.get(feed)
    if place is None:
        return (
            f"a stock is taken from a feed; write alpaca.iex:{symbol} (one exchange, free) or "
            f"alpaca.sip:{symbol} (all of them); there are {', '.join(STOCKS)}"
        )
    if not place.rest and symbol != TEST_SYMBOL:
        return f"the test feed has one symbol; write alpaca.test:{TEST_SYMBOL}"
    return place


def _pair(symbol: str, feed: str) -> Place | str:
    """Return where a crypto pair is served, or one sentence that says why nowhere."""
    if share := _SLASHED_SHARE.fullmatch(symbol):
        return f"{symbol} is no crypto pair; write alpaca.{feed or 'iex'}:{share[1]}.{share[2]}"
    if _PAIR.fullmatch(symbol) is None:
        return f"{symbol!r:.80} is no crypto pair; write BASE/QUOTE, such as BTC/USD"
    if symbol.partition("/")[0] in CURRENCIES:
        return f"{symbol} is a pair of currencies, which Alpaca does not stream; {_LIKE}"
    return f"a crypto pair has no feed; write alpaca:{symbol}" if feed else CRYPTO


def rest_name(timeframe: Timeframe) -> str | None:
    """Return what REST calls *timeframe*, such as `5Min`, or None where it has no such bars."""
    return f"{timeframe.n}{_UNITS[timeframe.unit]}" if timeframe in TIMEFRAMES else None


def grid_of(place: Place, timeframe: Timeframe) -> Zone | Unknown:
    """Return where buckets open.

    Documented or captured are minutes, hours, days and, of stocks, weeks (from Monday) and months. Bars of
    several hours begin at multiples of so many, in which zone is not said; nothing is said of runs that do
    not divide an hour, of several months, or of weeks and months of crypto.
    """
    size_ns = timeframe.fixed_ns
    if size_ns is not None:
        known = HOUR_NS % size_ns == 0
    else:
        known = timeframe is DAY or (timeframe.n == 1 and place is not CRYPTO)
    return Zone(place.tz) if known else Unknown()


def opens_on_grid(timeframe: Timeframe, open_ns: int, grid: Zone | Unknown) -> bool:
    """Say whether a bucket may open at *open_ns*, as far as that is known; quick, where there are many rows.

    Raises:
        ValueError: There is no calendar for so far away.
    """
    size_ns = timeframe.fixed_ns
    if size_ns is not None:  # both zones are whole hours away from UTC
        return open_ns % (size_ns if HOUR_NS % size_ns == 0 else min(MINUTE_NS, size_ns)) == 0
    return isinstance(grid, Unknown) or timeframe.open_at(open_ns, grid) == open_ns


def close_of(place: Place, timeframe: Timeframe, open_ns: int) -> int:
    """Return when the bucket that opens at *open_ns* ends, in the calendar of *place*.

    Raises:
        ValueError: There is no calendar for so far away.
    """
    size_ns = timeframe.fixed_ns
    if size_ns is not None:
        return open_ns + size_ns
    step, zone = Timeframe(1, timeframe.unit), Zone(place.tz)
    for _ in range(timeframe.n):  # wherever a run of months begins
        open_ns = step.close_of(open_ns, zone)
    return open_ns


def has_keys(account: Account) -> bool:
    """Say whether *account* has the pair of keys."""
    return bool(account.secrets.get("key") and account.secrets.get("secret"))


def is_late(place: Place, account: Account) -> bool:
    """Say whether history may not be asked for its latest quarter of an hour."""
    return place.feed == "sip" and PLANS.get(account.plan) != "plus"
