"""What Yahoo calls things, and what follows from a name: kind, time zone, delay. Nothing about candles.

Canonical symbols are `AAPL`, `BRK.B`, `7203.T`, `^GSPC`, `EUR/USD`, `ES=F`, `BTC/USD`; Yahoo's own spelling
stands where none of these fits (`BAC-PL`, `VOLV-B.ST`, `GCZ26.CMX`).
"""

from __future__ import annotations

import enum
import re
from typing import Final, final
from zoneinfo import ZoneInfo

import attrs

from wickwire import Session, Utc, Zone

__all__ = ["Kind", "Place", "from_venue", "place_of", "to_venue", "zone_known"]

# ISO 4217, active codes of national currencies (2026), and CNH, the yuan traded outside mainland China.
_FIAT_CODES: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF
    CHF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ
    GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR
    LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN
    PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB
    TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_FIAT: Final = frozenset(_FIAT_CODES.split())

# What crypto is priced in beside national currencies.
_CRYPTO_QUOTES: Final = _FIAT | {"BNB", "BTC", "ETH", "USDC", "USDT"}

# Suffix to exchange (ISO 10383) and time zone. Suffixes: yfinance 1.7, const.py, "MIC to Yahoo suffix",
# after Yahoo's help page SLN2310.
_EXCHANGES: Final = {
    suffix: (mic, tz)
    for tz, markets in {
        "Africa/Cairo": "CA=XCAI",
        "Africa/Johannesburg": "JO=XJSE",
        "America/Argentina/Buenos_Aires": "BA=XBUE",
        "America/Bogota": "CL=XBOG",
        "America/Caracas": "CR=XCAR",
        "America/Mexico_City": "MX=XMEX",
        "America/Santiago": "SN=XSGO",
        "America/Sao_Paulo": "SA=BVMF",
        "America/Toronto": "CN=CNSX NE=NEOE TO=XTSE V=XTSX",
        "Asia/Bangkok": "BK=XBKK",
        "Asia/Dubai": "AE=XDFM",
        "Asia/Ho_Chi_Minh": "VN=XSTC",
        "Asia/Hong_Kong": "HK=XHKG",
        "Asia/Jakarta": "JK=XIDX",
        "Asia/Jerusalem": "TA=XTAE",
        "Asia/Kolkata": "BO=XBOM NS=XNSE",
        "Asia/Kuala_Lumpur": "KL=XKLS",
        "Asia/Kuwait": "KW=XKUW",
        "Asia/Manila": "PS=XPHS",
        "Asia/Qatar": "QA=XQAT",
        "Asia/Riyadh": "SR=XSAU",
        "Asia/Seoul": "KQ=XKOS KS=XKRX",
        "Asia/Shanghai": "SS=XSHG SZ=XSHE",
        "Asia/Singapore": "SI=XSES",
        "Asia/Taipei": "TW=XTAI TWO=ROCO",
        "Asia/Tokyo": "T=XTKS",
        "Atlantic/Reykjavik": "IC=XICE",
        "Australia/Sydney": "AX=XASX XA=XAUS",
        "Europe/Amsterdam": "AS=XAMS",
        "Europe/Athens": "AT=XATH",
        "Europe/Berlin": "BE=XBER BM=XBMS DE=XETR DU=XDUS F=XFRA HA=XHAN HM=XHAM MU=XMUN SG=XSTU",
        "Europe/Brussels": "BR=XBRU",
        "Europe/Bucharest": "RO=XBSE",
        "Europe/Budapest": "BD=XBUD",
        "Europe/Copenhagen": "CO=XCSE",
        "Europe/Dublin": "IR=XDUB",
        "Europe/Helsinki": "HE=XHEL",
        "Europe/Istanbul": "IS=XIST",
        "Europe/Lisbon": "LS=XLIS",
        "Europe/London": "AQ=AQXE IL=XLON L=XLON XC=CHIX",
        "Europe/Madrid": "MC=XMAD",
        "Europe/Oslo": "OL=XOSL",
        "Europe/Paris": "NX=XPAR PA=XPAR",
        "Europe/Prague": "PR=XPRA",
        "Europe/Riga": "RG=XRIS",
        "Europe/Rome": "MI=XMIL TI=ETLX",
        "Europe/Stockholm": "ST=XSTO",
        "Europe/Tallinn": "TL=XTAL",
        "Europe/Vienna": "VI=XWBO",
        "Europe/Vilnius": "VS=XLIT",
        "Europe/Warsaw": "WA=XWAR",
        "Europe/Zurich": "SW=XSWX",
        "Pacific/Auckland": "NZ=XNZE",
    }.items()
    for suffix, mic in (market.split("=") for market in markets.split())
}
_FUTURES_MARKETS: Final = frozenset({"CBT", "CME", "CMX", "NYB", "NYM"})  # the same table

# Indices do not say in their name where they live; these are the ones that everybody asks for.
_INDICES: Final = (
    dict.fromkeys(("^DJI", "^GSPC", "^IXIC", "^NDX", "^NYA", "^RUT"), "America/New_York")
    | dict.fromkeys(("^FVX", "^IRX", "^TNX", "^TYX", "^VIX"), "America/Chicago")
    | {"^FTSE": "Europe/London", "^GDAXI": "Europe/Berlin", "^HSI": "Asia/Hong_Kong", "^N225": "Asia/Tokyo"}
)

# A time zone is a file. All that Yahoo is known to name are read when the adapter is loaded and held, so that
# no hook opens one; the older spellings are those of its captures.
_ZONES: Final = {
    name: ZoneInfo(name)
    for name in sorted(
        {tz for _, tz in _EXCHANGES.values()}
        | set(_INDICES.values())
        | {"America/Buenos_Aires", "America/Lima", "America/New_York", "Asia/Calcutta", "Asia/Colombo"}
        | {"Asia/Karachi", "Asia/Saigon", "Etc/UTC", "Europe/Moscow", "GMT", "UTC"}
    )
}

DELAY_S: Final = 20 * 60
"""Most exchanges are shown 15 to 20 minutes late, and nothing in a reply says so."""


@final
class Kind(enum.Enum):
    """What a symbol names, as far as its form tells."""

    EQUITY = "equity"
    """Shares, funds, everything else without a form of its own."""
    INDEX = "index"
    FX = "fx"
    FUTURE = "future"
    CRYPTO = "crypto"


@attrs.frozen
class Place:
    """Where a symbol is traded.

    Attributes:
        kind: What it is.
        grid: Where its buckets open.
        delay_s: How late Yahoo shows it, in seconds.
    """

    kind: Kind
    grid: Utc | Zone | Session
    delay_s: int = 0


_SYMBOL: Final = re.compile(r"\^?[A-Z0-9][A-Z0-9.&-]{0,31}(?:=[FX])?|[A-Z0-9]{1,24}/[A-Z]{3,4}", re.ASCII)
_FX: Final = re.compile(r"([A-Z]{3})?([A-Z]{3})=X", re.ASCII)
_HYPHENATED: Final = re.compile(r"([A-Z0-9]{1,24})-([A-Z]{3,4})", re.ASCII)
_COIN: Final = re.compile(r"[A-Z0-9]{1,24}", re.ASCII)
_CLASS_SHARE: Final = re.compile(r"([A-Z]{1,6})[.-]([A-Z])", re.ASCII)


def to_venue(symbol: str) -> str:
    """Return Yahoo's spelling of a canonical symbol; what is none comes back as it is."""
    base, slash, quote = symbol.partition("/")
    if slash and _is_fx(base, quote):
        return f"{quote}=X" if base == "USD" else f"{base}{quote}=X"
    if slash and _is_crypto(base, quote):
        return f"{base}-{quote}"
    return "-".join(share) if (share := _class_share(symbol)) else symbol


def from_venue(text: str) -> str:
    """Return the canonical symbol of any spelling; what has no form of ours comes back as it is."""
    symbol = text.upper() if text.isascii() else text  # Unicode has letters whose capitals are ASCII
    if _SYMBOL.fullmatch(symbol) is None or ".." in symbol:
        return text
    if (pair := _FX.fullmatch(symbol)) and _is_fx(pair[1] or "USD", pair[2]):
        return f"{pair[1] or 'USD'}/{pair[2]}"
    if (pair := _HYPHENATED.fullmatch(symbol)) and _is_crypto(pair[1], pair[2]):
        return f"{pair[1]}/{pair[2]}"
    return ".".join(share) if (share := _class_share(symbol)) else symbol


def place_of(symbol: str) -> Place | None:
    """Return where a canonical symbol is traded; None when its form is none that Yahoo has."""
    if _SYMBOL.fullmatch(symbol) is None or ".." in symbol:
        return None
    base, slash, quote = symbol.partition("/")
    if slash:
        if _is_fx(base, quote):
            return Place(Kind.FX, Zone("Europe/London"))
        return Place(Kind.CRYPTO, Utc()) if _is_crypto(base, quote) else None
    if symbol.startswith("^"):
        tz = _INDICES.get(symbol)
        return Place(Kind.INDEX, Session(tz=tz), 0 if tz == "America/New_York" else DELAY_S)
    suffix = symbol.rpartition(".")[2] if "." in symbol else ""
    if symbol.endswith("=F") or suffix in _FUTURES_MARKETS:
        return Place(Kind.FUTURE, Session(tz="America/New_York"), DELAY_S)
    if symbol.endswith("=X"):
        return Place(Kind.FX, Zone("Europe/London"))
    if (pair := _HYPHENATED.fullmatch(symbol)) and pair[1] in _FIAT and pair[2] in _FIAT:
        return Place(Kind.CRYPTO, Utc())
    if suffix in _EXCHANGES:
        mic, tz = _EXCHANGES[suffix]
        return Place(Kind.EQUITY, Session(mic, tz), DELAY_S)
    if suffix and _class_share(symbol) is None:
        return Place(Kind.EQUITY, Session(), DELAY_S)
    return Place(Kind.EQUITY, Session("XNYS", "America/New_York"))


def zone_known(name: str) -> bool:
    """Say whether *name* is a time zone that Yahoo is known to use."""
    return name in _ZONES


def _is_fx(base: str, quote: str) -> bool:
    return base in _FIAT and quote in _FIAT and base != quote


def _is_crypto(base: str, quote: str) -> bool:
    if base in _FIAT and quote in _FIAT:
        return False  # coins called like a currency (SOS, TOP) keep Yahoo's `SOS-USD`: `SOS/USD` is shillings
    return _COIN.fullmatch(base) is not None and quote in _CRYPTO_QUOTES and base != quote


def _class_share(symbol: str) -> tuple[str, str] | None:
    """Return root and class of `BRK.B` or `BRK-B`; None where the letter is an exchange (`VOD.L`)."""
    match = _CLASS_SHARE.fullmatch(symbol)
    return (match[1], match[2]) if match and match[2] not in _EXCHANGES else None
