"""Alpaca's trades over REST: those that still hold.

Reference: Alpaca Docs, "Historical trades", "Historical crypto trades", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from wickwire import (
    Account,
    BadRow,
    HttpReply,
    HttpRequest,
    Side,
    Stopped,
    Trade,
    TradePage,
    TradeQuery,
    WireError,
    hookimpl,
)
from wickwire_alpaca.pages import Rows, Talk, TradesReply
from wickwire_alpaca.refusals import wire_error
from wickwire_alpaca.times import TextTimes

__all__ = ["fetch_trades"]


class RestTrade(msgspec.Struct, gc=False):
    """One trade; `u` says that it was canceled, incorrect, or the corrected one."""

    t: str
    p: Decimal
    s: Decimal
    i: int
    tks: str | None = None
    u: str | None = None


class Happened(msgspec.Struct, gc=False):
    """Of a trade that cannot be read: when it happened."""

    t: str


_trade: Final = msgspec.json.Decoder(RestTrade).decode
_happened: Final = msgspec.json.Decoder(Happened).decode

_SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
_TAKEN_BACK: Final = ("canceled", "incorrect")

Told = tuple[int | None, Trade | WireError | None]
"""When a trade happened, where that can be read; and the trade, what is wrong, or None for one taken back."""


@hookimpl
def fetch_trades(query: TradeQuery, account: Account) -> Generator[HttpRequest, HttpReply, TradePage]:
    """Bring the trades that still hold: none that was canceled, the corrected ones as they are now."""
    talk = Talk.about(query.symbol, account, query.now_ns)
    since_ns, until_ns = talk.within(query.since_ns, query.until_ns)
    if since_ns >= until_ns:
        return TradePage(trades=(), covered=(since_ns, since_ns), stopped=Stopped.VENUE_LIMIT)
    rows, as_of_ns, whole = yield from talk.pages("trades", TradesReply, {}, since_ns, until_ns)
    told = _told(rows, query.symbol)
    trades = [trade for _, trade in told if isinstance(trade, Trade)]
    last_ns = trades[-1].time_ns if trades else since_ns
    reached_ns = min(until_ns, max(since_ns, as_of_ns if whole else last_ns))
    return TradePage(
        trades=[trade for trade in trades if query.since_ns <= trade.time_ns < query.until_ns],
        covered=(since_ns, reached_ns),
        stopped=Stopped.UNTIL
        if (since_ns, reached_ns) == (query.since_ns, query.until_ns)
        else Stopped.VENUE_LIMIT,
        bad_rows=_bad_rows(told, since_ns, until_ns),
    )


def _told(rows: Rows, symbol: str) -> list[Told]:
    """Return what each row says, oldest first.

    Raises:
        WireError: Not one of them can be read.
    """
    times = TextTimes()
    told = [_judged(raw, symbol, times) for raw in rows]
    wrong = [trade for _, trade in told if isinstance(trade, WireError)]
    if wrong and len(wrong) == len(told):
        raise wrong[0]
    return told


def _judged(raw: msgspec.Raw, symbol: str, times: TextTimes) -> Told:
    try:
        row = _trade(raw)
        time_ns = times.ns(row.t)
    except (ValueError, RecursionError, WireError) as exc:
        return _time_of(raw, times), wire_error(exc, bytes(raw))
    if not (row.p.is_finite() and row.s.is_finite()):
        return time_ns, WireError(f"alpaca: expected finite numbers in the trade of {row.t[:40]}")
    if row.u in _TAKEN_BACK:
        return time_ns, None
    side = None if row.tks is None else _SIDES.get(row.tks)
    return time_ns, Trade(symbol, str(row.i), row.p, row.s, side, time_ns)


def _time_of(raw: msgspec.Raw, times: TextTimes) -> int | None:
    """Return when a trade happened of which something else cannot be read; None where that cannot either."""
    try:
        return times.ns(_happened(raw).t)
    except (ValueError, RecursionError, WireError):
        return None


def _bad_rows(told: Sequence[Told], since_ns: int, until_ns: int) -> list[BadRow]:
    """Return the instant of each row that cannot be read, or the span between its neighbours."""
    bad_rows = []
    last_ns, ends = until_ns - 1, list[int]()
    for time_ns, _ in reversed(told):
        last_ns = last_ns if time_ns is None else time_ns
        ends.append(last_ns)
    first_ns = since_ns
    for (time_ns, trade), last_ns in zip(told, reversed(ends), strict=True):
        first_ns = first_ns if time_ns is None else time_ns
        if isinstance(trade, WireError):
            bad_rows.append(BadRow(first_ns, max(first_ns, last_ns) + 1, str(trade)))
    return bad_rows
