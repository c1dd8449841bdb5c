"""What the simulated Yahoo calls things: symbols, kinds, exchanges, currencies, sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from wickwire import DAY_NS, MINUTE_NS, SECOND_NS, when
from wickwire.simulate.hours import ALWAYS, TradingHours
from wickwire.simulate.server import Instrument, Market

__all__ = ["Quoted", "period", "quoted_of", "seconds"]

SUFFIXES: Final = {
    ".T": ("JPX", "Tokyo", "JPY"),
    ".L": ("LSE", "LSE", "GBp"),
    ".DE": ("GER", "XETRA", "EUR"),
    ".HK": ("HKG", "HKSE", "HKD"),
}
"""Suffix to exchange, its long name and the currency; London quotes shares in pence."""

FUTURES_MARKETS: Final = (".CBT", ".CME", ".CMX", ".NYB", ".NYM")
"""What the name of one contract month ends in: ESH27.CME."""


@attrs.frozen(kw_only=True)
class Quoted:
    """One instrument as Yahoo lists it.

    Attributes:
        name: Yahoo's symbol.
        symbol: The market's symbol.
        kind: `instrumentType`.
        exchange: `exchangeName`.
        full_exchange: `fullExchangeName`.
        currency: In which prices are told.
        hours: When it trades.
        price_decimals: Decimals of the market's prices.
    """

    name: str
    symbol: str
    kind: str
    exchange: str
    full_exchange: str
    currency: str
    hours: TradingHours
    price_decimals: int

    @property
    def zone(self) -> ZoneInfo:
        """The exchange's time zone."""
        return ZoneInfo(self.hours.tz)

    @property
    def dated_by_session(self) -> bool:
        """Whether a daily row is stamped with the open of its session; else with local midnight."""
        return self.kind in ("EQUITY", "INDEX")

    @property
    def has_volume(self) -> bool:
        """Whether volume means anything; it is 0 for currencies and indices."""
        return self.kind not in ("CURRENCY", "INDEX")

    @property
    def extended(self) -> bool:
        """Whether there is trading before and after the session."""
        return self.kind == "EQUITY" and self.hours.tz == "America/New_York"

    @property
    def opens_early(self) -> bool:
        """Whether there are rows from before the session, although nothing of the kind is asked for."""
        return self.kind == "EQUITY" and self.hours.tz == "Europe/London"


def quoted_of(market: Market) -> Mapping[str, Quoted]:
    """Return everything that is traded, by Yahoo's symbol."""
    found: dict[str, Quoted] = {}
    for symbol in market.symbols:
        instrument = market.instrument(symbol)
        if instrument is not None:
            quoted = _quoted(instrument)
            found[quoted.name] = quoted
    for quoted in list(found.values()):
        if quoted.kind == "CURRENCY" and quoted.symbol.startswith("USD/"):
            found["".join(quoted.symbol.split("/")) + "=X"] = quoted  # USDJPY=X is understood too
    return found


def seconds(ns: int) -> int:
    """Return whole Unix seconds."""
    return ns // SECOND_NS


def period(quoted: Quoted, session: tuple[int, int]) -> Mapping[str, object]:
    """Return a session as Yahoo tells it; one that lasts a day ends a minute before midnight."""
    open_ns, end_ns = session
    if end_ns - open_ns >= DAY_NS - MINUTE_NS:
        end_ns -= MINUTE_NS
    local = when(open_ns).astimezone(quoted.zone)
    offset = local.utcoffset()
    return {
        "timezone": local.tzname(),
        "start": seconds(open_ns),
        "end": seconds(end_ns),
        "gmtoffset": 0 if offset is None else int(offset.total_seconds()),
    }


def _quoted(instrument: Instrument) -> Quoted:
    symbol, hours = instrument.symbol, instrument.session or ALWAYS
    base, slash, counter = symbol.partition("/")
    if slash and instrument.session is None:
        name, kind, facts = f"{base}-{counter}", "CRYPTOCURRENCY", ("CCC", "CCC", counter)
    elif slash:
        name = f"{counter}=X" if base == "USD" else f"{base}{counter}=X"
        kind, facts = "CURRENCY", ("CCY", "CCY", counter)
    elif symbol.endswith(("=F", *FUTURES_MARKETS)):
        name, kind, facts = symbol, "FUTURE", ("CME", "CME", "USD")
    elif symbol.startswith("^"):
        name, kind, facts = symbol, "INDEX", ("SNP", "SNP", "USD")
    else:
        suffix = next((suffix for suffix in SUFFIXES if symbol.endswith(suffix)), "")
        name, kind = symbol.replace(".", "-") if not suffix else symbol, "EQUITY"
        facts = SUFFIXES.get(suffix, ("NMS", "NasdaqGS", "USD"))
    exchange, full_exchange, currency = facts
    return Quoted(
        name=name,
        symbol=symbol,
        kind=kind,
        exchange=exchange,
        full_exchange=full_exchange,
        currency=currency,
        hours=hours,
        price_decimals=instrument.price_decimals,
    )
