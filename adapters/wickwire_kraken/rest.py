"""Kraken's REST: candles, trades, pairs.

Reference: Kraken API Center, "Get OHLC Data", "Get Recent Trades", "Get Tradable Asset Pairs", read 2026-11;
replies that public projects recorded where they disagree.

Prices are strings, times are seconds, the cursor of Trades is nanoseconds in a string.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

from wickwire import (
    MINUTE_NS,
    SECOND_NS,
    BadRow,
    Conversation,
    FaultKind,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Side,
    Stopped,
    Trade,
    TradePage,
    TradeQuery,
    VenueError,
    WireError,
    hookimpl,
)
from wickwire_kraken.buckets import candle, covered_by, is_wanted, opens_of, rows_of
from wickwire_kraken.replies import REST_URL, Result, decoded, only_pair, request, result_of
from wickwire_kraken.symbols import MINUTES, from_venue

__all__ = ["fetch_ohlcv", "fetch_trades", "list_instruments"]

_TRADES_A_REPLY: Final = 1_000
_LAST_SECOND: Final = 10**11  # some 3,000 years: larger ones are milliseconds or junk
_SIDES: Final = {"b": Side.BUY, "s": Side.SELL}
_TRADED: Final = frozenset({"online", "cancel_only", "post_only", "limit_only", "reduce_only"})


class TradeRow(msgspec.Struct, array_like=True, gc=False):
    """One trade, its time in seconds with decimals; `side` is the taker's. Very old rows have no id."""

    price: Decimal
    volume: Decimal
    time_s: Decimal
    side: Literal["b", "s"]
    order: str = ""
    misc: str = ""
    trade_id: int | None = None


class Pair(msgspec.Struct):
    """What AssetPairs says of one pair, as far as we ask."""

    altname: str
    wsname: str = ""
    status: str = "online"


_trade_rows: Final = msgspec.json.Decoder(list[TradeRow]).decode
_cursor: Final = msgspec.json.Decoder(str).decode
_pair: Final = msgspec.json.Decoder(Pair).decode


# --------------------------------------------------------------------------------------------------- hooks


@hookimpl
def fetch_ohlcv(query: OhlcvQuery) -> Conversation:
    """Bring candles with one request: Kraken answers from `since` on up to the running bucket."""
    minutes = MINUTES.get(query.timeframe)
    if minutes is None:
        known = " ".join(map(str, MINUTES))
        raise VenueError(FaultKind.REQUEST, f"kraken: no {query.timeframe} candles; there are {known}")
    length_ns = minutes * MINUTE_NS
    after_s = max(0, (query.since_ns - length_ns) // SECOND_NS)  # `since` is exclusive
    reply = yield request("OHLC", query.symbol, interval=str(minutes), since=str(after_s))
    assert isinstance(reply, HttpReply)
    result = result_of(reply, f"OHLC of {query.symbol}", query.now_ns)
    at, raw = only_pair(result, query.symbol, reply)
    rows, bad = rows_of(raw, length_ns, at)
    opens = opens_of([*(row.open_s * SECOND_NS for row in rows), *bad], length_ns, reply)
    covered, stopped = covered_by(query, opens, length_ns)
    last_words = {row.open_s: row for row in rows if is_wanted(query, row)}  # of a bucket that is there twice
    return Page(
        candles=[candle(query, row, length_ns, opens[-1]) for row in last_words.values()],
        covered=covered,
        stopped=stopped,
        bad_rows=[
            BadRow(open_ns, open_ns + length_ns, why)
            for open_ns, why in bad.items()
            if query.since_ns <= open_ns < query.until_ns
        ],
    )


@hookimpl
def fetch_trades(query: TradeQuery) -> Generator[HttpRequest, HttpReply, TradePage]:
    """Bring trades, with one request unless a whole reply happened at one instant."""
    found: list[Trade] = []
    cursor = max(0, query.since_ns - 1)  # whether `since` is exclusive is nowhere written
    while True:
        reply = yield request("Trades", query.symbol, since=str(cursor), count=str(_TRADES_A_REPLY))
        result = result_of(reply, f"Trades of {query.symbol}", query.now_ns)
        at, raw = only_pair(result, query.symbol, reply)
        trades = [_trade(query.symbol, row) for row in decoded(_trade_rows, raw, at)]
        found += (trade for trade in trades if query.since_ns <= trade.time_ns < query.until_ns)
        if len(trades) < _TRADES_A_REPLY:
            reached_ns = query.now_ns if reply.date_ns is None else reply.date_ns
            break
        reached_ns = trades[-1].time_ns  # the next reply may begin at the same instant
        if reached_ns > query.since_ns:
            break
        cursor, before = _last(result, reply), cursor
        if cursor <= before:
            raise WireError("kraken: the cursor of Trades stands still", frame=reply.body, at="$.result.last")
    reached_ns = min(max(reached_ns, query.since_ns), query.until_ns)
    whole = reached_ns == query.until_ns or len(trades) < _TRADES_A_REPLY
    return TradePage(
        trades=found,
        covered=(query.since_ns, reached_ns),
        stopped=Stopped.UNTIL if whole else Stopped.VENUE_LIMIT,
    )


@hookimpl
def list_instruments(query: str) -> Generator[HttpRequest, HttpReply, Sequence[str]]:
    """Bring the pairs that may be traded and whose name, in any of its spellings, holds *query*."""
    reply = yield HttpRequest(url=f"{REST_URL}/AssetPairs")
    wanted, symbols = query.upper(), set()
    for key, raw in result_of(reply, "AssetPairs", None).items():
        pair = decoded(_pair, raw, f"$.result.{key}")
        symbol = from_venue(pair.wsname)
        names = (symbol, key, pair.altname, pair.wsname)
        dark = key.endswith(".d")
        if dark or not pair.wsname or pair.status not in _TRADED:
            continue
        if any(wanted in name.upper() for name in names):
            symbols.add(symbol)
    return sorted(symbols)


# -------------------------------------------------------------------------------------------------- trades


def _trade(symbol: str, row: TradeRow) -> Trade:
    numbers = (row.price, row.volume, row.time_s)
    if not (all(number.is_finite() for number in numbers) and 0 <= row.time_s < _LAST_SECOND):
        raise WireError(f"kraken: expected finite numbers and a time in seconds, got {row}")
    number = "" if row.trade_id is None else str(row.trade_id)
    return Trade(symbol, number, row.price, row.volume, _SIDES[row.side], int(row.time_s * SECOND_NS))


def _last(result: Result, reply: HttpReply) -> int:
    """Return the cursor that asks for what comes after this reply."""
    text = decoded(_cursor, result.get("last", msgspec.Raw(b"null")), "$.result.last")
    if not (text.isascii() and text.isdigit()):
        raise WireError("kraken: expected nanoseconds", frame=reply.body, at="$.result.last")
    return int(text)
