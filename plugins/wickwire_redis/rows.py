"""Quotes and candles as values of keys: JSON with exact numbers, or msgpack with numbers as text."""

from __future__ import annotations

import decimal
import functools
from decimal import Decimal
from typing import Final, Generic, TypeVar

import msgspec

from wickwire import CandleState, Evidence, Quote, Rung, Series, SeriesCandle, UsageError, iso, parse_instant
from wickwire_redis.address import Serialisation

__all__ = ["CandleRow", "DamagedError", "QuoteRow", "Rows", "candle_of", "candle_row", "quote_row"]

T = TypeVar("T", bound=msgspec.Struct)

_EXACT: Final = decimal.Context(
    prec=1_000,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.Inexact, decimal.Overflow, decimal.InvalidOperation],
)
_EVIDENCE: Final = {str(one): one for one in Evidence}


class DamagedError(ValueError):
    """What stands at a key is not what wickwire writes there."""


class QuoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """The value of `price:{venue}:{symbol}`, and the message that tells of it.

    Attributes:
        symbol: As the venue's adapter spells it for all.
        bid: Best bid; None where the book is empty there.
        ask: Best ask.
        mid: Halfway, exactly; None where one side is.
        bid_size: Size at the best bid.
        ask_size: Size at the best ask.
        timestamp: When it was so: as the venue says, or else when it came here.
        venue: `venue`, or `venue.variant`.
        exchange: Where the quote was made, for venues that gather them; None where nobody says.
        timed_by: Whose time *timestamp* is: `venue` or `collector`.
        received: When it came here.
    """

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    timestamp: str
    venue: str
    exchange: str | None
    timed_by: str
    received: str


class CandleRow(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a recent candle, of the latest one, and of the field `candle` in a stream."""

    series: str
    venue: str
    symbol: str
    timeframe: str
    open_time: str
    close_time: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int | None
    vwap: Decimal | None
    state: str
    evidence: str | None
    revision: int
    healed: bool
    route: str
    seq: int
    first_seq: int


class Rows(Generic[T]):
    """Writes values of one type, and reads them however they were written."""

    def __init__(self, kind: type[T], serialisation: Serialisation) -> None:
        """Make what encodes and decodes *kind*."""
        # msgpack has no number for a decimal: what is exact there is text
        self.encode = {
            Serialisation.JSON: msgspec.json.Encoder(decimal_format="number").encode,
            Serialisation.MSGPACK: msgspec.msgpack.Encoder(decimal_format="string").encode,
        }[serialisation]
        self._json = msgspec.json.Decoder(kind)
        self._msgpack = msgspec.msgpack.Decoder(kind)

    def decode(self, value: bytes) -> T:
        """Return what *value* says.

        Raises:
            DamagedError: It is something else.
        """
        decoder = self._json if value.startswith(b"{") else self._msgpack
        try:
            return decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise DamagedError(f"{exc} in {value[:80]!r}") from exc


def quote_row(series: Series, quote: Quote, received_ns: int) -> QuoteRow:
    """Return the row of *quote*, which came at *received_ns*; a time that is none counts as not said."""
    timestamp = _instant(quote.time_ns)
    return QuoteRow(
        symbol=series.symbol,
        bid=_number(quote.bid),
        ask=_number(quote.ask),
        mid=_halfway(_number(quote.bid), _number(quote.ask)),
        bid_size=_number(quote.bid_size),
        ask_size=_number(quote.ask_size),
        timestamp=timestamp or _shown(received_ns),
        venue=series.scope,
        exchange=None,
        timed_by="venue" if timestamp else "collector",
        received=_shown(received_ns),
    )


def candle_row(candle: SeriesCandle) -> CandleRow:
    """Return the row of *candle*.

    Raises:
        ValueError: A number of it is none, or a time lies outside the years 1 to 9999.
    """
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.vwap)
    strange = [number for number in numbers if number is not None and not number.is_finite()]
    if strange:
        raise ValueError(f"{strange[0]} is no number")
    return CandleRow(
        series=str(candle.series),
        venue=candle.series.scope,
        symbol=candle.symbol,
        timeframe=str(candle.timeframe),
        open_time=iso(candle.open_ns),
        close_time=iso(candle.close_ns),
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        trade_count=candle.trade_count,
        vwap=candle.vwap,
        state=str(candle.state),
        evidence=None if candle.evidence is None else str(candle.evidence),
        revision=candle.revision,
        healed=candle.healed,
        route=str(candle.route),
        seq=candle.seq,
        first_seq=candle.first_seq,
    )


def candle_of(series: Series, row: CandleRow) -> SeriesCandle:
    """Return the candle of *series* that *row* says.

    Raises:
        DamagedError: It says none.
    """
    try:
        return SeriesCandle(
            series,
            parse_instant(row.open_time),
            parse_instant(row.close_time),
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            row.trade_count,
            row.vwap,
            CandleState(row.state),
            None if row.evidence is None else _EVIDENCE[row.evidence],
            revision=row.revision,
            healed=row.healed,
            route=Rung(row.route),
            seq=row.seq,
            first_seq=row.first_seq,
        )
    except (ValueError, KeyError, UsageError) as exc:
        raise DamagedError(f"{exc} in a candle of {series}") from exc


@functools.lru_cache(maxsize=8)
def _shown(ns: int) -> str:
    """Return *ns* as text, which all quotes that came at once share."""
    return iso(ns)


def _instant(ns: int | None) -> str:
    try:
        return "" if ns is None else iso(ns)
    except ValueError:  # outside the years 1 to 9999
        return ""


def _number(value: Decimal | None) -> Decimal | None:
    return value if value is not None and value.is_finite() else None


def _halfway(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Return the number between both, with all its digits; None where these would be more than a thousand."""
    if bid is None or ask is None:
        return None
    try:
        return _EXACT.divide(_EXACT.add(bid, ask), Decimal(2))
    except decimal.DecimalException:
        return None
