"""The rows of Alpaca's stream, and the event that each becomes.

Reference: Alpaca Docs, "Real-time Stock Data", "Real-time Crypto Data", read 2026-11.

The same fields come as JSON and as msgpack, but for the time: RFC 3339 text with up to nine decimals, or a
msgpack Timestamp. Numbers become Decimals from their digits; of a msgpack double these are the shortest ones
that mean it, which is how the venue prints it as JSON. A row whose fields have the right types and still say
nothing sensible (NaN, a month 13) is a `WireError` whose `at` is the field.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

import msgspec

from wickwire import MINUTE_NS, Candle, Finality, Quote, Side, Trade, TradeAction, VenueStatus, WireError
from wickwire_alpaca.symbols import DAY, MINUTE
from wickwire_alpaca.times import Times

__all__ = [
    "EVENTS",
    "BarRow",
    "CancelRow",
    "CorrectionRow",
    "DailyRow",
    "QuoteRow",
    "StatusRow",
    "TradeRow",
    "UpdatedRow",
]

Time = TypeVar("Time")
"""`str` in JSON, `msgspec.msgpack.Ext` in msgpack."""

# Attributes of an enum cost a look-up each time.
_CLOSED: Final = Finality.CLOSED
_FORMING: Final = Finality.FORMING
_CORRECTED: Final = TradeAction.CORRECTED
_CANCELED: Final = TradeAction.CANCELED
_SIDES: Final = {"B": Side.BUY, "S": Side.SELL}


class TradeRow(msgspec.Struct, Generic[Time], tag_field="T", tag="t", gc=False):
    """One trade; only crypto says `tks`, the taker's side."""

    S: str
    i: int
    p: Decimal
    s: Decimal
    t: Time
    tks: str | None = None


class QuoteRow(msgspec.Struct, Generic[Time], tag_field="T", tag="q", gc=False):
    """Best bid and ask; a price of 0 says that there is none."""

    S: str
    bp: Decimal
    bs: Decimal
    ap: Decimal
    as_: Decimal = msgspec.field(name="as")
    t: Time


class BarRow(msgspec.Struct, Generic[Time], tag_field="T", tag="b", gc=False):
    """A minute that is over; `t` is when it opened."""

    S: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the venue's letter
    c: Decimal
    v: Decimal
    t: Time
    n: int | None = None
    vw: Decimal | None = None


class UpdatedRow(BarRow[Time], tag="u", gc=False):
    """The same minute again, after a late trade."""


class DailyRow(BarRow[Time], tag="d", gc=False):
    """The day so far."""


class CorrectionRow(msgspec.Struct, Generic[Time], tag_field="T", tag="c", gc=False):
    """A trade of a stock that was something else."""

    S: str
    oi: int
    ci: int
    cp: Decimal
    cs: Decimal
    t: Time


class CancelRow(msgspec.Struct, Generic[Time], tag_field="T", tag="x", gc=False):
    """A trade of a stock that was none."""

    S: str
    i: int
    p: Decimal
    s: Decimal
    t: Time


class StatusRow(msgspec.Struct, Generic[Time], tag_field="T", tag="s", gc=False):
    """A stock is halted or traded again; what the codes mean depends on the tape."""

    S: str
    t: Time
    sc: str | None = None
    sm: str | None = None
    rc: str | None = None
    rm: str | None = None


def bar(row: BarRow[Any], times: Times) -> Candle:
    """Return the candle of a minute that is over, or of one that is over and said again."""
    open_ns = times.ns(row.t)
    return _candle(row, MINUTE, open_ns, open_ns + MINUTE_NS, _CLOSED)


def day(row: DailyRow[Any], times: Times) -> Candle:
    """Return the candle of the running day; nothing says when the last one came."""
    open_ns = times.ns(row.t)
    return _candle(row, DAY, open_ns, times.day_end(open_ns), _FORMING)


def trade(row: TradeRow[Any], times: Times) -> Trade:
    """Return a trade; of stocks nobody says which side took."""
    if not (row.p.is_finite() and row.s.is_finite()):
        raise _not_finite()
    side = None if row.tks is None else _SIDES.get(row.tks)
    return Trade(row.S, str(row.i), row.p, row.s, side, times.ns(row.t))


def correction(row: CorrectionRow[Any], times: Times) -> Trade:
    """Return the trade that stands in for another one."""
    if not (row.cp.is_finite() and row.cs.is_finite()):
        raise _not_finite()
    return Trade(row.S, str(row.ci), row.cp, row.cs, None, times.ns(row.t), _CORRECTED, str(row.oi))


def cancel(row: CancelRow[Any], times: Times) -> Trade:
    """Return the trade that is taken back."""
    if not (row.p.is_finite() and row.s.is_finite()):
        raise _not_finite()
    number = str(row.i)
    return Trade(row.S, number, row.p, row.s, None, times.ns(row.t), _CANCELED, number)


def quote(row: QuoteRow[Any], times: Times) -> Quote:
    """Return a quote."""
    bid, bid_size, ask, ask_size = row.bp, row.bs, row.ap, row.as_
    if not (bid.is_finite() and bid_size.is_finite() and ask.is_finite() and ask_size.is_finite()):
        raise _not_finite()
    return Quote(
        row.S,
        bid or None,
        bid_size if bid else None,
        ask or None,
        ask_size if ask else None,
        times.ns(row.t),
    )


def status(row: StatusRow[Any], times: Times) -> VenueStatus:
    """Return the state of a stock in the venue's words; no event has room for when it began."""
    times.ns(row.t)
    reason = ": ".join(part for part in (row.rc, row.rm) if part)
    return VenueStatus(row.S, row.sc or "", "; ".join(part for part in (row.sm, reason) if part))


EVENTS: Final[dict[type, Callable[[Any, Times], Candle | Trade | Quote | VenueStatus]]] = {
    TradeRow: trade,
    QuoteRow: quote,
    BarRow: bar,
    UpdatedRow: bar,
    DailyRow: day,
    CorrectionRow: correction,
    CancelRow: cancel,
    StatusRow: status,
}
"""What becomes of a row."""


def _candle(row: BarRow[Any], timeframe: Any, open_ns: int, close_ns: int, finality: Finality) -> Candle:
    vwap, count = row.vw, row.n
    if not (
        row.o.is_finite()
        and row.h.is_finite()
        and row.l.is_finite()
        and row.c.is_finite()
        and row.v.is_finite()
        and (vwap is None or vwap.is_finite())
    ):
        raise _not_finite()
    if count == 0:  # of crypto: a minute of quotes, whose prices are the middle of bid and ask
        vwap = None
    return Candle(
        row.S, timeframe, open_ns, close_ns, row.o, row.h, row.l, row.c, row.v, count, vwap, finality
    )


def _not_finite() -> WireError:
    return WireError("alpaca: expected finite numbers")
