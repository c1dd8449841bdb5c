"""What the simulated DXLink trades, under streamer symbols, and how it spells candle symbols.

Written from dxFeed's `CandleSymbol` class as its behaviour was observed: a period loses its count of 1 and
the long name of its unit, what is rewritten moves to its sorted place, and everything else stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import attrs

from wickwire import Session, Timeframe, Unit, UsageError, Utc, Zone
from wickwire.simulate.server import Instrument, Market

__all__ = ["Bars", "Listed", "Listings", "bars_of", "canonical"]

Grid = Utc | Zone | Session
NEW_YORK: Final = "America/New_York"
ELSEWHERE: Final = (".L", ".T")
"""How the market's names of shares in London and Tokyo end, which are not listed."""
STAND_IN: Final = "DUSK"
"""Options are hardly ever traded: this quiet share lends them its market."""
UNITS: Final = {
    "TICK": "t", "SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "d", "WEEK": "w", "MONTH": "mo",
    "OPTEXP": "o", "YEAR": "y", "VOLUME": "v", "PRICE": "p", "PRICE_MOMENTUM": "pm", "PRICE_RENKO": "pr",
}  # fmt: skip
VALUES: Final = {"a": ("m", "s"), "price": ("last", "bid", "ask", "mark", "s"), "tho": ("true", "false")}
FUTURE: Final = re.compile(r"/([A-Z0-9]{1,4}?)(?:[FGHJKMNQUVXZ]\d\d)?:[A-Z]{4}")
OPTION: Final = re.compile(
    r"\.([A-Z]{1,6})\d{6}[CP][\d.]+|\./[A-Z0-9]{1,4}[FGHJKMNQUVXZ]\d\d[CP][\d.]+:[A-Z]{4}"
)


@attrs.frozen
class Listed:
    """One instrument: its streamer symbol, whose market it has, and what kind of thing it is."""

    name: str
    instrument: Instrument
    kind: str

    @property
    def symbol(self) -> str:
        """The market's symbol."""
        return self.instrument.symbol


class Listings:
    """Everything that is traded, by streamer symbol."""

    def __init__(self, market: Market) -> None:
        """Give names to what *market* trades."""
        self._listed: dict[str, Listed] = {}
        self._quiet = market.instrument(STAND_IN)
        for symbol in market.symbols:
            instrument = market.instrument(symbol)
            if instrument is not None and not symbol.endswith(ELSEWHERE):
                name, kind = _named(instrument)
                self._listed[name] = Listed(name, instrument, kind)

    def __getitem__(self, name: str) -> Listed | None:
        """Return an instrument, or None; one exchange of it is taken for all."""
        known = self._listed.get(name.partition("&")[0])
        if known is not None:
            return attrs.evolve(known, name=name)
        future = FUTURE.fullmatch(name)
        if future is not None and f"/{future[1]}" in self._listed:
            return attrs.evolve(self._listed[f"/{future[1]}"], name=name)
        option = OPTION.fullmatch(name)
        if (
            option is not None
            and self._quiet is not None
            and (option[1] is None or option[1] in self._listed)
        ):
            return Listed(name, self._quiet, "option")
        return None

    @property
    def names(self) -> list[str]:
        """Every streamer symbol that is listed itself."""
        return list(self._listed)

    def by_market(self, symbol: str) -> Listed | None:
        """Return what has the market of *symbol*."""
        return next((one for one in self._listed.values() if one.symbol == symbol), None)


def _named(instrument: Instrument) -> tuple[str, str]:
    symbol = instrument.symbol
    if "/" in symbol and instrument.session is None:
        return f"{symbol}:CXTALP", "coin"
    if "/" in symbol:
        return symbol, "currency"
    if symbol.startswith("^"):
        return {"^GSPC": "SPX"}.get(symbol, symbol[1:]), "index"
    if symbol.endswith("=F"):
        return f"/{symbol[:-2]}", "future"
    return symbol.replace(".", "/"), "share"


# ---------------------------------------------------------------------------------------- candle symbols


@attrs.frozen
class Bars:
    """What candles a symbol asks for.

    Attributes:
        symbol: As it is echoed.
        listed: Of which instrument.
        timeframe: How long they are.
        grid: Where they open.
        price: Which price is charted.
    """

    symbol: str
    listed: Listed
    timeframe: Timeframe
    grid: Grid
    price: str


def canonical(text: str) -> str:
    """Return a candle symbol as it is echoed.

    Raises:
        ValueError: It is none.
    """
    base, attributes = _split(text)
    for key, value in list(attributes):
        rewritten = _rewritten(key, value)
        if rewritten != value:
            attributes.remove((key, value))
            place = next((at for at, (other, _) in enumerate(attributes) if key < other), len(attributes))
            attributes.insert(place, (key, rewritten))
    return f"{base}{{{','.join(f'{key}={value}' for key, value in attributes)}}}" if attributes else base


def bars_of(text: str, listings: Listings) -> Bars | None:
    """Return what a candle symbol asks for; None where there is no such thing here."""
    try:
        symbol = canonical(text)
    except ValueError:
        return None
    base, attributes = _split(symbol)
    told: Mapping[str, str] = dict(attributes)
    listed = listings[base]
    shape = re.fullmatch(r"([\d.]*)(.+)", told.get("", "t"))
    units: dict[str, Unit] = {unit.value: unit for unit in Unit}
    if listed is None or shape is None or shape[2] not in units:
        return None
    try:
        timeframe = Timeframe(int(shape[1] or 1), units[shape[2]])
    except (UsageError, ValueError):
        return None
    grid = _grid(listed, timeframe, aligned=told.get("a") == "s")
    return Bars(symbol, listed, timeframe, grid, told.get("price", "last"))


def _grid(listed: Listed, timeframe: Timeframe, *, aligned: bool) -> Grid:
    """Return where bars open: coins count in UTC; days of all others are those of New York."""
    if listed.instrument.session is None:
        return Utc()
    if aligned and timeframe.fixed_ns is not None:
        return Session()
    return Zone(NEW_YORK)


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    shape = re.fullmatch(r"([^{}]+)(?:\{([^{}]*)\})?", text)
    if shape is None:
        raise ValueError(f"no candle symbol: {text!r}")
    pairs = [part.partition("=") for part in (shape[2] or "").split(",") if part]
    return shape[1], [(key, value) for key, _, value in pairs]


def _rewritten(key: str, value: str) -> str:
    if key == "":
        shape = re.fullmatch(r"([\d.]*)([A-Za-z]+)", value)
        if shape is None:
            raise ValueError(f"no period: {value!r}")
        count, unit = Decimal(shape[1] or 1), _unit(shape[2])
        return unit if count == 1 else f"{count.normalize():f}{unit}"
    if key == "pl":
        return f"{Decimal(value).normalize():f}"
    words = VALUES.get(key)
    if words is None:
        return value
    for word in words:
        if value and word.startswith(value.lower()):
            return word
    raise ValueError(f"no value of {key}: {value!r}")


def _unit(text: str) -> str:
    if text in UNITS.values():
        return text
    for name, unit in UNITS.items():
        if name.startswith(text.upper()) or f"{name}S" == text.upper():
            return unit
    raise ValueError(f"no period: {text!r}")
