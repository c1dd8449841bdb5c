"""Kraken's REST: candles, trades, pairs.

Reference: Kraken API Center, "Get OHLC Data", "Get Recent Trades", "Get Tradable Asset Pairs", read 2026-11;
replies that public projects recorded where they disagree.

Every reply has a list of errors, whatever its HTTP status; entries that begin with W are warnings beside a
usable result. Prices are strings, times are seconds, the cursor of Trades is nanoseconds in a string.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, Literal, TypeVar

import msgspec

from wickwire import (
    MINUTE_NS,
    SECOND_NS,
    BadRow,
    Candle,
    Conversation,
    Finality,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Side,
    Stopped,
    Trade,
    TradePage,
    TradeQuery,
    WireError,
    hookimpl,
)
from wickwire_kraken.refusals import refused_body, refused_request, wire_error
from wickwire_kraken.symbols import MINUTES, from_venue, is_another, is_tokenized

__all__ = ["DEPTH_ROWS", "fetch_ohlcv", "fetch_trades", "list_instruments"]

REST_URL: Final = "https://api.kraken.com/0/public"

DEPTH_ROWS: Final = 720
"""How many closed buckets OHLC reaches back. A reply holds at most these and the running one."""

_TRADES_A_REPLY: Final = 1_000
_LAST_SECOND: Final = 10**11  # some 3,000 years: larger ones are milliseconds or junk
_SIDES: Final = {"b": Side.BUY, "s": Side.SELL}
_TRADED: Final = frozenset({"online", "cancel_only", "post_only", "limit_only", "reduce_only"})

T = TypeVar("T")
Result = dict[str, msgspec.Raw]


class OhlcRow(msgspec.Struct, array_like=True, gc=False):
    """One bucket; those without trades are there too, flat at the previous close."""

    open_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    count: int


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


class Envelope(msgspec.Struct):
    """What every reply is; there is no result beside an error."""

    error: list[str]
    result: Result | None = None


_envelope: Final = msgspec.json.Decoder(Envelope).decode
_ohlc_rows: Final = msgspec.json.Decoder(list[OhlcRow]).decode
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ohlc_row: Final = msgspec.json.Decoder(OhlcRow).decode
_open_s: Final = msgspec.json.Decoder(int).decode
_trade_rows: Final = msgspec.json.Decoder(list[TradeRow]).decode
_cursor: Final = msgspec.json.Decoder(str).decode
_pair: Final = msgspec.json.Decoder(Pair).decode


# --------------------------------------------------------------------------------------------------- hooks


@hookimpl
def fetch_ohlcv(query: OhlcvQuery) -> Conversation:
    """Bring candles with one request: Kraken answers from `since` on up to the running bucket."""
    minutes = MINUTES[query.timeframe]
    length_ns = minutes * MINUTE_NS
    after_s = max(0, (query.since_ns - length_ns) // SECOND_NS)  # `since` is exclusive
    reply = yield _request("OHLC", query.symbol, interval=str(minutes), since=str(after_s))
    assert isinstance(reply, HttpReply)
    result = _result(reply, f"OHLC of {query.symbol}", query.now_ns)
    at, raw = _only_pair(result, query.symbol, reply)
    rows, bad = _ohlc(raw, length_ns, at)
    opens = _opens([*(row.open_s * SECOND_NS for row in rows), *bad], length_ns, reply)
    covered, stopped = _covered(query, opens, length_ns)
    return Page(
        candles=[_candle(query, row, length_ns, opens[-1]) for row in rows if _wanted(query, row)],
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
        reply = yield _request("Trades", query.symbol, since=str(cursor), count=str(_TRADES_A_REPLY))
        result = _result(reply, f"Trades of {query.symbol}", query.now_ns)
        at, raw = _only_pair(result, query.symbol, reply)
        trades = [_trade(query.symbol, row) for row in _decoded(_trade_rows, raw, at)]
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
    for key, raw in _result(reply, "AssetPairs", None).items():
        pair = _decoded(_pair, raw, f"$.result.{key}")
        symbol = from_venue(pair.wsname)
        names = (symbol, key, pair.altname, pair.wsname)
        dark = key.endswith(".d")
        if dark or not pair.wsname or pair.status not in _TRADED:
            continue
        if any(wanted in name.upper() for name in names):
            symbols.add(symbol)
    return sorted(symbols)


# ------------------------------------------------------------------------------------------------- candles


def _wanted(query: OhlcvQuery, row: OhlcRow) -> bool:
    """Say whether *row* was asked for and holds a trade; the stream leaves out those that hold none."""
    asked = query.since_ns <= row.open_s * SECOND_NS < query.until_ns
    return asked and bool(row.count or row.volume)


def _candle(query: OhlcvQuery, row: OhlcRow, length_ns: int, running_ns: int) -> Candle:
    open_ns = row.open_s * SECOND_NS
    return Candle(
        query.symbol,
        query.timeframe,
        open_ns,
        open_ns + length_ns,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.count,
        row.vwap,
        Finality.FORMING if open_ns >= running_ns else Finality.UNSAID,
    )


def _ohlc(raw: msgspec.Raw, length_ns: int, at: str) -> tuple[list[OhlcRow], dict[int, str]]:
    """Return the rows that are right, and what is wrong with each of the others, by its open time.

    Raises:
        WireError: No row is right, or nobody can say which bucket a wrong one is about.
    """
    try:
        rows = _ohlc_rows(raw)
        if all(map(_is_finite, rows)):
            return rows, {}
    except (ValueError, RecursionError):
        pass  # the good rows are still wanted
    pieces = _decoded(_raw_list, raw, at)
    judged = [_judged(piece, f"{at}[{place}]") for place, piece in enumerate(pieces)]
    rows = [row for row in judged if isinstance(row, OhlcRow)]
    wrong = {place: row for place, row in enumerate(judged) if isinstance(row, WireError)}
    if not rows:
        raise wrong[0]
    return rows, {_place_ns(place, judged, pieces, length_ns): str(why) for place, why in wrong.items()}


def _judged(piece: msgspec.Raw, at: str) -> OhlcRow | WireError:
    try:
        row = _ohlc_row(piece)
    except (ValueError, RecursionError) as exc:
        return wire_error(exc, bytes(piece), at)
    if _is_finite(row):
        return row
    return WireError("kraken: expected finite numbers", frame=bytes(piece), at=at)


def _is_finite(row: OhlcRow) -> bool:
    numbers = (row.open, row.high, row.low, row.close, row.vwap, row.volume)
    return all(number.is_finite() for number in numbers)


def _place_ns(
    place: int, judged: Sequence[OhlcRow | WireError], pieces: Sequence[msgspec.Raw], length_ns: int
) -> int:
    """Return when the bucket of a wrong row opens: as it says itself, or as its neighbours say.

    Raises:
        WireError: What it says does not fit between its neighbours.
    """
    good = [(at, row.open_s * SECOND_NS) for at, row in enumerate(judged) if isinstance(row, OhlcRow)]
    before = next(((at, ns) for at, ns in reversed(good) if at < place), None)
    after = next(((at, ns) for at, ns in good if at > place), None)
    near_at, near_ns = before or after or good[0]
    try:
        open_ns = _open_s(_raw_list(pieces[place])[0]) * SECOND_NS
    except (ValueError, RecursionError, IndexError):
        open_ns = near_ns + (place - near_at) * length_ns  # every bucket has a row
    wrong = judged[place]
    assert isinstance(wrong, WireError)
    if (before is not None and open_ns <= before[1]) or (after is not None and open_ns >= after[1]):
        raise wrong
    return open_ns


def _opens(opens: Iterable[int], length_ns: int, reply: HttpReply) -> list[int]:
    """Return when the rows open, in order.

    Raises:
        WireError: They are apart by something else than the interval asked for; since a bucket without
            trades has a row too, neighbours are apart by exactly that.
    """
    opens = sorted(set(opens))
    apart_ns = min((later - open_ns for open_ns, later in pairwise(opens)), default=length_ns)
    if apart_ns != length_ns:
        apart, asked = (f"{ns // MINUTE_NS} min" for ns in (apart_ns, length_ns))
        raise WireError(f"kraken: the rows are {apart} apart, asked for were {asked}", frame=reply.body)
    return opens


def _covered(query: OhlcvQuery, opens: Sequence[int], length_ns: int) -> tuple[tuple[int, int], Stopped]:
    """Return the range that a reply with rows at *opens* proves, and why it begins there.

    A bucket without trades has a row too, so a missing row proves nothing: the newest run of rows counts.
    """
    if not opens:
        return (query.since_ns, query.since_ns), Stopped.VENUE_LIMIT
    start_ns = end_ns = opens[0]
    for open_ns in opens:
        if open_ns >= query.until_ns:
            break
        if open_ns > end_ns:
            start_ns = open_ns
        end_ns = open_ns + length_ns
    if start_ns < query.since_ns + length_ns:
        start_ns = query.since_ns  # no bucket opens in between
    start_ns = min(start_ns, query.until_ns)
    end_ns = max(start_ns, min(end_ns, query.until_ns, opens[-1]))
    if start_ns == query.since_ns:
        return (start_ns, end_ns), Stopped.UNTIL
    youngest = len(opens) < DEPTH_ROWS and start_ns <= opens[0]
    return (start_ns, end_ns), Stopped.VENUE_START if youngest else Stopped.VENUE_LIMIT


# -------------------------------------------------------------------------------------------------- trades


def _trade(symbol: str, row: TradeRow) -> Trade:
    numbers = (row.price, row.volume, row.time_s)
    if not (all(number.is_finite() for number in numbers) and 0 <= row.time_s < _LAST_SECOND):
        raise WireError(f"kraken: expected finite numbers and a time in seconds, got {row}")
    number = "" if row.trade_id is None else str(row.trade_id)
    return Trade(symbol, number, row.price, row.volume, _SIDES[row.side], int(row.time_s * SECOND_NS))


def _last(result: Result, reply: HttpReply) -> int:
    """Return the cursor that asks for what comes after this reply."""
    text = _decoded(_cursor, result.get("last", msgspec.Raw(b"null")), "$.result.last")
    if not (text.isascii() and text.isdigit()):
        raise WireError("kraken: expected nanoseconds", frame=reply.body, at="$.result.last")
    return int(text)


# ------------------------------------------------------------------------------------------------- replies


def _request(method: str, symbol: str, **params: str) -> HttpRequest:
    if is_tokenized(symbol):
        params["asset_class"] = "tokenized_asset"
    return HttpRequest(url=f"{REST_URL}/{method}", params={"pair": symbol, **params})


def _result(reply: HttpReply, subject: str, now_ns: int | None) -> Result:
    """Return the result of *reply*.

    Raises:
        VenueError: The reply says no, or is not Kraken's.
        WireError: It is not what Kraken documents.
    """
    now_ns = now_ns if reply.date_ns is None else reply.date_ns
    refused = refused_body(reply, subject, now_ns)
    try:
        reply.body.decode()  # the decoder does not look into strings that it skips
        envelope = _envelope(reply.body)
    except (ValueError, RecursionError) as exc:
        raise refused or wire_error(exc, reply.body) from exc
    for text in envelope.error:
        if not text.startswith("W"):
            raise refused_request(text, subject, now_ns)
    if refused is not None:
        raise refused
    if envelope.result is None:
        raise WireError("kraken: neither an error nor a result", frame=reply.body)
    return envelope.result


def _only_pair(result: Result, symbol: str, reply: HttpReply) -> tuple[str, msgspec.Raw]:
    """Return where the rows stand and the rows themselves: the venue calls the pair as it likes."""
    names = [name for name in result if name != "last"]
    if len(names) != 1:
        raise WireError(f"kraken: expected one pair, got {names[:5]}", frame=reply.body, at="$.result")
    if is_another(names[0], symbol):
        raise WireError(f"kraken: asked for {symbol}, got {names[0][:40]!r}", frame=reply.body, at="$.result")
    return f"$.result.{names[0]}", result[names[0]]


def _decoded(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, at: str) -> T:
    try:
        return decode(raw)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, bytes(raw), at) from exc
