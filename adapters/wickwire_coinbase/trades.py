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
    trades: list[TradeRow]


_reply: Final = msgspec.json.Decoder(_Reply).decode


@hookimpl
def fetch_trades(query: TradeQuery) -> Generator[HttpRequest, HttpReply, TradePage]:
    """Bring trades, newest first by the venue, oldest first here; what it could not reach is not covered."""
    found: dict[int, Trade] = {}
    reached_ns, end_ns, now_ns = query.until_ns, query.until_ns, None
    for _ in range(_REQUESTS):
        reply = yield _request(query, end_ns)
        if now_ns is None:
            now_ns = query.now_ns if reply.date_ns is None else reply.date_ns
        trades = _trades(reply, query)
        news = trades.keys() - found.keys()
        found |= trades
        oldest_ns = min((trade.time_ns for trade in trades.values()), default=query.since_ns)
        if len(trades) < _MAY_BE_CUT or oldest_ns < query.since_ns:
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
    )


def _request(query: TradeQuery, end_ns: int) -> HttpRequest:
    product = quote(to_venue(query.symbol), safe="")
    params = {
        "limit": _LIMIT,
        "start": str(max(0, query.since_ns // SECOND_NS)),
        "end": str(-(-end_ns // SECOND_NS)),  # up to the second that holds it
    }
    return HttpRequest(url=f"{PRODUCTS_URL}/{product}/ticker", params=params)


def _trades(reply: HttpReply, query: TradeQuery) -> dict[int, Trade]:
    """Return the trades of *reply* by number; raises as `fetch_ohlcv` does."""
    no = refused(reply, f"trades of {query.symbol}", query.now_ns if reply.date_ns is None else reply.date_ns)
    if no is not None:
        raise no
    try:
        reply.body.decode()  # the decoder does not look into strings that it skips
        rows = _reply(reply.body).trades
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, reply.body) from exc
    return {
        trade_number(row): _trade(query.symbol, row, f"$.trades[{place}]") for place, row in enumerate(rows)
    }


def _trade(symbol: str, row: TradeRow, at: str) -> Trade:
    numbers: Sequence[Decimal] = (row.price, row.size)
    if not all(number.is_finite() for number in numbers):
        raise WireError(f"coinbase: expected finite numbers, got {row}", at=at)
    if row.side not in TAKER_SIDES or trade_number(row) < 0:
        raise WireError(f"coinbase: expected a side and a number, got {row}", at=at)
    time_ns = instant(row.time, {}, f"{at}.time")
    return Trade(symbol, row.trade_id, row.price, row.size, TAKER_SIDES[row.side], time_ns)
