"""REST of the simulated Kraken: `/0/public/<Method>`, where errors come with HTTP 200 too."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from wickwire import SECOND_NS, Side, Timeframe, when
from wickwire.simulate.server import Answer, Incoming
from wickwire_kraken.simulator_book import book_at
from wickwire_kraken.simulator_exchange import GRID, INTERVALS, Exchange
from wickwire_kraken.simulator_frames import last_day
from wickwire_kraken.simulator_history import last_trades, newest_buckets, trades_after
from wickwire_kraken.simulator_pairs import Pair, amount, asset_names

__all__ = ["answer"]

TRADES_A_CALL: Final = 1000
LEVELS_A_CALL: Final = 500
SECONDS_BELOW: Final = 10**11
"""A `since` of Trades below this counts seconds, as clients send it; else nanoseconds."""
TAKER_FEES: Final = [[0, 0.4], [10000, 0.35], [50000, 0.24]]
MAKER_FEES: Final = [[0, 0.25], [10000, 0.2], [50000, 0.14]]
OUTAGE_PAGE: Final = (
    b"<!DOCTYPE html><html><head><title>520: Web server is returning an unknown error</title></head></html>"
)


class _Refusal(Exception):
    """Carries one text for the error array."""


def answer(exchange: Exchange, incoming: Incoming, now_ns: int) -> Answer:
    """Answer one request."""
    exchange.tell(now_ns)
    page = exchange.faults.on("html_520")
    if page is not None:
        return Answer(status=int(page.get("status", 520)), body=OUTAGE_PAGE, content_type="text/html")
    try:
        result = _result(exchange, incoming, now_ns)
    except _Refusal as refusal:
        return _said({"error": [str(refusal)]})
    return _said({"error": [], "result": result})


def _result(exchange: Exchange, incoming: Incoming, now_ns: int) -> object:
    trouble = exchange.faults.on("rest_error")
    if trouble is not None:
        raise _Refusal(trouble.get("text", "EService:Unavailable"))
    if exchange.faults.on("throttle") is not None or not exchange.takes_request(now_ns):
        raise _Refusal("EGeneral:Too many requests")
    prefix, _, method = incoming.path.rstrip("/").rpartition("/")
    ask = METHODS.get(method) if prefix == "/0/public" else None
    if ask is None:
        raise _Refusal("EGeneral:Unknown method")
    if exchange.system == "maintenance" and method not in ("Time", "SystemStatus"):
        raise _Refusal("EService:Unavailable")
    return ask(exchange, incoming.query, now_ns)


def _said(whole: Mapping[str, object]) -> Answer:
    return Answer(body=json.dumps(whole, separators=(",", ":")).encode())


# ------------------------------------------------------------------------------------------------ methods


def _time(_exchange: Exchange, _query: Mapping[str, str], now_ns: int) -> object:
    seconds = now_ns // SECOND_NS
    return {"unixtime": seconds, "rfc1123": when(now_ns).strftime("%a, %d %b %y %H:%M:%S +0000")}


def _system_status(exchange: Exchange, _query: Mapping[str, str], now_ns: int) -> object:
    return {"status": exchange.system, "timestamp": when(now_ns).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _assets(exchange: Exchange, query: Mapping[str, str], _now_ns: int) -> object:
    wanted = [name for name in query.get("asset", "").split(",") if name]
    known = {
        name: {
            "aclass": "currency",
            "altname": altname,
            "decimals": 4 if name.startswith("Z") else 10,
            "display_decimals": 2 if name.startswith("Z") else 5,
            "collateral_value": 1.0,
            "status": "enabled",
        }
        for name, altname in asset_names(exchange.pairs)
    }
    found = {
        name: asset for name, asset in known.items() if not wanted or {name, asset["altname"]} & {*wanted}
    }
    if wanted and len(found) < len(wanted):
        raise _Refusal("EQuery:Unknown asset")
    return found


def _asset_pairs(exchange: Exchange, query: Mapping[str, str], _now_ns: int) -> object:
    return {key: _described(pair) for key, pair in _wanted(exchange, query)}


def _ticker(exchange: Exchange, query: Mapping[str, str], now_ns: int) -> object:
    return {key: _figures(exchange, pair, now_ns) for key, pair in _wanted(exchange, query)}


def _depth(exchange: Exchange, query: Mapping[str, str], now_ns: int) -> object:
    key, pair = _one(exchange, query)
    count = min(LEVELS_A_CALL, max(1, _int(query, "count", 100)))
    book = book_at(pair, exchange.market.quote(pair.symbol, now_ns), count)
    stamped = now_ns // SECOND_NS
    sides = {
        name: [[pair.long_price(price), amount(size, 3), stamped] for price, size in side.items()]
        for name, side in (("asks", book.asks), ("bids", book.bids))
    }
    return {key: sides}


def _ohlc(exchange: Exchange, query: Mapping[str, str], now_ns: int) -> object:
    key, pair = _one(exchange, query)
    timeframe = INTERVALS.get(_int(query, "interval", 1))
    if timeframe is None:
        raise _Refusal("EGeneral:Invalid arguments:interval")
    since_s = _int(query, "since", 0)
    rows = [
        [
            row.open_ns // SECOND_NS,
            *(pair.price(price) for price in (row.open, row.high, row.low, row.close)),
            pair.price(row.vwap) if row.trade_count and row.vwap is not None else "0.0",
            pair.size(row.volume),
            row.trade_count,
        ]
        for row in newest_buckets(exchange, pair, timeframe, now_ns, since_s)
    ]
    running_ns = timeframe.open_at(now_ns, GRID)
    last_ns = timeframe.open_at(running_ns - 1, GRID)
    shown = rows[:-1]
    if exchange.faults.on("bad_rows") is not None:
        shown = [[row[0], "n/a", *row[2:]] if int(str(row[0])) // 60 % 2 else row for row in shown]
    return {key: [*shown, *rows[-1:]], "last": last_ns // SECOND_NS}


def _trades(exchange: Exchange, query: Mapping[str, str], now_ns: int) -> object:
    key, pair = _one(exchange, query)
    count = min(TRADES_A_CALL, max(1, _int(query, "count", TRADES_A_CALL)))
    if "since" in query:
        since = _int(query, "since", 0)
        since_ns = since * SECOND_NS if since < SECONDS_BELOW else since
        trades = trades_after(exchange, pair.symbol, since_ns, now_ns, count)
    else:
        since_ns = now_ns
        trades = last_trades(exchange, pair.symbol, now_ns, count)
    rows = [
        [
            pair.long_price(trade.price),
            amount(trade.size, 8),
            trade.time_ns / SECOND_NS,
            "b" if trade.side is Side.BUY else "s",
            "l" if trade.number % 3 else "m",
            "",
            trade.number,
        ]
        for trade in trades
    ]
    return {key: rows, "last": str(trades[-1].time_ns if trades else since_ns)}


Method = Callable[[Exchange, Mapping[str, str], int], object]
METHODS: Final[Mapping[str, Method]] = {
    "AssetPairs": _asset_pairs,
    "Assets": _assets,
    "Depth": _depth,
    "OHLC": _ohlc,
    "SystemStatus": _system_status,
    "Ticker": _ticker,
    "Time": _time,
    "Trades": _trades,
}


# ------------------------------------------------------------------------------------------------- inside


def _int(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise _Refusal(f"EGeneral:Invalid arguments:{name}") from None


def _wanted(exchange: Exchange, query: Mapping[str, str]) -> Sequence[tuple[str, Pair]]:
    """Return the pairs asked for, each under the key that the venue prefers; all when none is named."""
    if "pair" not in query:
        return [(pair.key, pair) for pair in exchange.pairs.values()]
    display = query.get("assetVersion") == "1"
    found = []
    for name in query["pair"].split(","):
        pair = next(
            (
                pair
                for pair in exchange.pairs.values()
                if name in (pair.altname, pair.key, pair.symbol, pair.wsname)
            ),
            None,
        )
        if pair is None:
            raise _Refusal("EQuery:Unknown asset pair")
        found.append((pair.symbol if display or "/" in name else pair.key, pair))
    return found


def _one(exchange: Exchange, query: Mapping[str, str]) -> tuple[str, Pair]:
    if not query.get("pair"):
        raise _Refusal("EGeneral:Invalid arguments")
    found = _wanted(exchange, query)
    if len(found) > 1:
        raise _Refusal("EQuery:Unknown asset pair")
    return found[0]


def _described(pair: Pair) -> Mapping[str, object]:
    return {
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": pair.base,
        "aclass_quote": "currency",
        "quote": pair.quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": pair.price_decimals,
        "lot_decimals": pair.size_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3, 4, 5],
        "leverage_sell": [2, 3, 4, 5],
        "fees": TAKER_FEES,
        "fees_maker": MAKER_FEES,
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.00005",
        "costmin": "0.5",
        "tick_size": amount(Decimal(1).scaleb(-pair.price_decimals), pair.price_decimals),
        "status": "online",
        "long_position_limit": 300,
        "short_position_limit": 240,
    }


def _figures(exchange: Exchange, pair: Pair, now_ns: int) -> Mapping[str, object]:
    quote = exchange.market.quote(pair.symbol, now_ns)
    day = last_day(exchange, pair.symbol, now_ns)
    midnight = Timeframe.of_minutes(1440).open_at(now_ns, GRID)
    today = exchange.candles(pair.symbol, INTERVALS[1440], midnight, now_ns + 1)
    price, size = pair.long_price, pair.size
    now = today[0] if today else None
    pick = [
        ("v", size, now.volume if now else Decimal(0), day["volume"]),
        ("p", price, (now.vwap if now else None) or day["vwap"], day["vwap"]),
        ("l", price, now.low if now else day["low"], day["low"]),
        ("h", price, now.high if now else day["high"], day["high"]),
    ]
    last = last_trades(exchange, pair.symbol, now_ns, 1)
    return {
        "a": [price(quote.ask), "1", amount(quote.ask_size, 3)],
        "b": [price(quote.bid), "1", amount(quote.bid_size, 3)],
        "c": [price(day["last"]), size(last[-1].size if last else Decimal(0))],
        **{name: [show(of_today), show(of_day)] for name, show, of_today, of_day in pick},
        "t": [(now.trade_count if now else 0) or 0, day["trades"]],
        "o": price(now.open if now else day["open"]),
    }
