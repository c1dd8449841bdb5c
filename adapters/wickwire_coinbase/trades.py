"""Coinbase's REST: trades.

Reference: Coinbase Advanced Trade REST, "Get Public Market Trades", read 2026-11.

A reply holds the newest trades of a range of whole seconds, newest first; how many at most is said nowhere.
So older ones are asked for until a reply brings none, or is too short to have been cut.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from wickwire import (
    SECOND_NS,
    BadRow,
    HttpReply,
    HttpRequest,
    Stopped,
    Trade,
    TradePage,
    TradeQuery,
    WireError,
    hookimpl,
)
from wickwire_coinbase.instants import instant
from wickwire_coinbase.refusals import refused, wire_error
from wickwire_coinbase.rest import PRODUCTS_URL
from wickwire_coinbase.rows import TAKER_SIDES, TradeRow, trade_number
from wickwire_coinbase.symbols import to_venue

__all__ = ["fetch_trades"]

_LIMIT: Final = "1000"
_MAY_BE_CUT: Final = 100
"""Fewer trades than that are taken for all there are."""
_REQUESTS: Final = 50


class _Reply(msgspec.Struct):
    trades: list[msgspec.Raw]


class _Time(msgspec.Struct):
    time: str


Told = tuple[int | None, Trade | WireError]
"""When a trade happened, where that can be read; and the trade, or what is wrong with its row."""

_reply: Final = msgspec.json.Decoder(_Reply).decode
_row: Final = msgspec.json.Decoder(TradeRow).decode
_time: Final = msgspec.json.Decoder(_Time).decode


@hookimpl
def fetch_trades(query: TradeQuery) -> Generator[HttpRequest, HttpReply, TradePage]:
    """Bring trades, newest first by the venue, oldest first here; what it could not reach is not covered."""
    found: dict[int, Trade] = {}
    bad: dict[tuple[int, int], BadRow] = {}
    reached_ns, end_ns, now_ns = query.until_ns, query.until_ns, None
    for _ in range(_REQUESTS):
        reply = yield _request(query, end_ns)
        if now_ns is None:
            now_ns = query.now_ns if reply.date_ns is None else reply.date_ns
        told = _told(reply, query)
        trades = {int(trade.id): trade for _, trade in told if isinstance(trade, Trade)}
        bad |= {(row.open_ns, row.close_ns): row for row in _bad_rows(told, query.since_ns, end_ns)}
        news = trades.keys() - found.keys()
        found |= trades
        oldest_ns = min((trade.time_ns for trade in trades.values()), default=query.since_ns)
        if len(told) < _MAY_BE_CUT or oldest_ns < query.since_ns:
            reached_ns = query.since_ns
            break
        reached_ns = oldest_ns - oldest_ns % SECOND_NS + SECOND_NS  # that second may be half there
        if not news or reached_ns >= end_ns:
            break
        end_ns = reached_ns
    since_ns = max(query.since_ns, min(reached_ns, query.until_ns))
    until_ns = max(since_ns, min(query.until_ns, query.now_ns if now_ns is None else now_ns))
    wanted = [found[number] for number in sorted(found)]
    return TradePage(
        trades=[trade for trade in wanted if query.since_ns <= trade.time_ns < query.until_ns],
        covered=(since_ns, until_ns),
        stopped=Stopped.UNTIL if since_ns == query.since_ns else Stopped.VENUE_LIMIT,
        bad_rows=[bad[span] for span in sorted(bad)],
    )


def _request(query: TradeQuery, end_ns: int) -> HttpRequest:
    product = quote(to_venue(query.symbol), safe="")
    params = {
        "limit": _LIMIT,
        "start": str(max(0, query.since_ns // SECOND_NS)),
        "end": str(-(-end_ns // SECOND_NS)),  # up to the second that holds it
    }
    return HttpRequest(url=f"{PRODUCTS_URL}/{product}/ticker", params=params)


def _told(reply: HttpReply, query: TradeQuery) -> list[Told]:
    """Return what each row of *reply* says, newest first.

    Raises:
        VenueError: The reply says no, or is not Coinbase's.
        WireError: It is not what Coinbase documents, or none of its rows is right.
    """
    no = refused(reply, f"trades of {query.symbol}", query.now_ns if reply.date_ns is None else reply.date_ns)
    if no is not None:
        raise no
    try:
        reply.body.decode()  # the decoder does not look into strings that it skips
        raws = _reply(reply.body).trades
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, reply.body) from exc
    told = [_judged(raw, query.symbol, f"$.trades[{place}]") for place, raw in enumerate(raws)]
    wrong = [trade for _, trade in told if isinstance(trade, WireError)]
    if wrong and len(wrong) == len(told):
        raise wrong[0]
    return told


def _judged(raw: msgspec.Raw, symbol: str, at: str) -> Told:
    try:
        trade = _trade(symbol, _row(raw), at)
    except (ValueError, RecursionError) as exc:
        return _time_of(raw), wire_error(exc, bytes(raw), at)
    except WireError as exc:
        return _time_of(raw), exc
    return trade.time_ns, trade


def _time_of(raw: msgspec.Raw) -> int | None:
    """Return when a trade happened of which something is wrong; None where that cannot be read either."""
    try:
        return instant(_time(raw).time, {}, "")
    except (ValueError, RecursionError, WireError):
        return None


def _bad_rows(told: Sequence[Told], since_ns: int, until_ns: int) -> list[BadRow]:
    """Return the instant of each row that is wrong, or the span between its neighbours."""
    bad_rows = []
    last_ns, ends = until_ns - 1, list[int]()
    for time_ns, _ in told:
        last_ns = last_ns if time_ns is None else time_ns
        ends.append(last_ns)
    first_ns = since_ns
    for (time_ns, trade), last_ns in zip(reversed(told), reversed(ends), strict=True):
        first_ns = first_ns if time_ns is None else time_ns
        if isinstance(trade, WireError):
            bad_rows.append(BadRow(first_ns, max(first_ns, last_ns) + 1, str(trade)))
    return bad_rows


def _trade(symbol: str, row: TradeRow, at: str) -> Trade:
    numbers: Sequence[Decimal] = (row.price, row.size)
    if not all(number.is_finite() for number in numbers):
        raise WireError(f"coinbase: expected finite numbers, got {row}", at=at)
    if row.side not in TAKER_SIDES or trade_number(row) < 0:
        raise WireError(f"coinbase: expected a side and a number, got {row}", at=at)
    time_ns = instant(row.time, {}, f"{at}.time")
    return Trade(symbol, row.trade_id, row.price, row.size, TAKER_SIDES[row.side], time_ns)
