"""What no candle may break, whoever sends it: rows that do are refused before they reach a ledger."""

from __future__ import annotations

from decimal import Decimal

from wickwire.instants import FIRST_NS, LAST_NS
from wickwire.model import Candle, SeriesCandle

__all__ = ["broken_law", "strange_number"]


def strange_number(candle: Candle | SeriesCandle) -> str | None:
    """Return what is wrong with a number that is not even one; type checkers do not see every adapter."""
    count = 0 if candle.trade_count is None else candle.trade_count
    for whole in (candle.open_ns, candle.close_ns, count):
        told: object = whole
        if not isinstance(told, int):
            return f"{told!r:.40} is a {type(told).__name__}, not an int: times are in ns, counts are whole"
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.vwap)
    for number in numbers:
        given: object = number
        if given is not None and not isinstance(given, Decimal):
            return f"{given!r:.40} is a {type(given).__name__}, not a Decimal made from the venue's digits"
        if number is not None and not number.is_finite():
            return "a price, the average price or the volume is not a finite number"
    return None


def broken_law(candle: Candle | SeriesCandle, *, signed_prices: bool = False) -> str | None:
    """Return which law of candles a row breaks, or None.

    The laws: times and counts are ints, other numbers Decimals and finite; prices are above zero, unless
    *signed_prices* (spreads, yields and the oil of April 2020 are not); low <= open, close <= high; volume
    and count >= 0; count and times fit into 64 bits, as stores keep them; it ends after it opens.
    """
    strange = strange_number(candle)
    if strange is not None:
        return strange
    if not (candle.low <= candle.open <= candle.high and candle.low <= candle.close <= candle.high):
        return (
            f"open {candle.open} or close {candle.close} is outside low {candle.low} and high {candle.high}"
        )
    if candle.low <= 0 and not signed_prices:
        return f"low {candle.low} is not above zero"
    if candle.volume < 0:
        return f"volume {candle.volume} is negative"
    if candle.trade_count is not None and candle.trade_count < 0:
        return f"trade count {candle.trade_count} is negative"
    if candle.trade_count is not None and candle.trade_count > LAST_NS:
        return "the trade count needs more than 64 bits"
    if candle.open_ns < FIRST_NS or candle.close_ns > LAST_NS:
        return "its times need more than 64 bits"
    if candle.close_ns <= candle.open_ns:
        return "it ends before it opens"
    return None
