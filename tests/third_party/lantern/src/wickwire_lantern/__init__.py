"""Lantern, an invented venue: a WebSocket that speaks in `|` of candles and trades, history as lines of text.

<  HELLO|lantern 1
 > SUB|1|glow-usd|60
<  OK|1
<  BAR|glow-usd|60|1795237080|95.1|95.4|95.0|95.2|3.25|41|F|S      F forming, C closed; S of the snapshot
<  END|glow-usd|60
<  BAR|glow-usd|60|1795237080|95.1|95.4|95.0|95.3|3.50|42|C
 > SUB|2|gloom-usd|60
<  NO|2|no such lamp
<  BEAT|1795237085
 > SUB|3|glow-usd|TICK
<  OK|3
<  TICK|glow-usd|1041|1795237085123456000|95.3|0.25|B             numbered one by one; B or S, who took
<  BYE|this evening is over                                       nothing more comes: open another stream
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Any, Final

from wickwire import (
    SECOND_NS,
    Accepted,
    Account,
    Ask,
    Candle,
    Conversation,
    Description,
    Endpoint,
    Event,
    Fault,
    FaultKind,
    Feed,
    Finality,
    Heartbeat,
    HttpReply,
    HttpRequest,
    Keepalive,
    Limits,
    OhlcvQuery,
    OhlcvSupport,
    Page,
    Rate,
    Readiness,
    Ready,
    Refused,
    Released,
    Send,
    Side,
    SnapshotDone,
    Stopped,
    StreamHistory,
    Timeframe,
    Topic,
    Trade,
    TradePage,
    TradeQuery,
    Utc,
    VenueError,
    WireError,
    hookimpl,
    retry_after_s,
)
from wickwire.simulate.server import Market, VenueServer

API_LEVEL: Final = 1
STREAM_URL: Final = "wss://stream.lantern.example/v1"
BARS_URL: Final = "https://api.lantern.example/bars"
TICKS_URL: Final = "https://api.lantern.example/ticks"
SECONDS: Final = {Timeframe.parse("1m"): 60, Timeframe.parse("5m"): 300, Timeframe.parse("1h"): 3_600}
TIMEFRAMES: Final = {seconds: timeframe for timeframe, seconds in SECONDS.items()}
STREAMED: Final = (Timeframe.parse("1m"), Timeframe.parse("5m"))
PAGE_ROWS: Final = 200
PAGE_TICKS: Final = 100
FLAGS: Final = {"F": Finality.FORMING, "C": Finality.CLOSED}
SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
TICK: Final = "TICK"
REFUSALS: Final = {404: FaultKind.SYMBOL, 420: FaultKind.WAIT, 429: FaultKind.WAIT}
OK: Final = 200
SERVER_ERROR: Final = 500
LAST_NS: Final = 2**63


# ------------------------------------------------------------------------------------------- what there is


@hookimpl
def describe() -> Description:
    return Description(
        title="Lantern",
        documents=("Lantern protocol 1 (invented)",),
        channels=("BAR", TICK),
        timeframes=tuple(SECONDS),
        limits=Limits(connections=2, topics_per_connection=20, connects=Rate(5, 10.0), rest=Rate(5)),
        feeds=(Feed.TRADES,),
    )


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe) -> OhlcvSupport:
    if symbol.count("/") != 1:
        return OhlcvSupport(why_not=f"{symbol} is no lamp; write BASE/QUOTE, such as GLOW/USD")
    if timeframe not in SECONDS:
        known = ", ".join(map(str, SECONDS))
        return OhlcvSupport(why_not=f"there are no {timeframe} candles; there are {known}")
    return OhlcvSupport(
        stream=timeframe in STREAMED,
        rest=True,
        page_rows=PAGE_ROWS,
        marks_closed=True,
        settle_s=2.0,
        grace_s=2.0,
        grid=Utc(),
    )


@hookimpl
def to_venue(symbol: str) -> str:
    return symbol.replace("/", "-").lower()


@hookimpl
def from_venue(text: str) -> str:
    return text.replace("-", "/").upper()


# ---------------------------------------------------------------------------------------------- the stream


@hookimpl
def connect() -> Endpoint:
    return Endpoint(
        url=STREAM_URL,
        ready=Readiness.ON_EVENT,
        keepalive=Keepalive(every_s=20.0),
        silence_limit_s=15.0,
        topics_per_frame=1,
        memory=dict,
    )


@hookimpl
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic], memory: dict[str, Any]) -> Sequence[Send]:
    changes = [("OFF", topic) for topic in removed] + [("SUB", ask.topic) for ask in asks]
    return [Send(_question(word, topic, memory)) for word, topic in changes]


def _question(word: str, topic: Topic, memory: dict[str, Any]) -> str:
    """Return one question, and remember it by its number, since the answer says nothing else."""
    what = SECONDS[topic.what] if isinstance(topic.what, Timeframe) else TICK
    number = str(memory.get("last", 0) + 1)
    memory["last"] = int(number)
    memory[number] = (word, topic)
    return f"{word}|{number}|{to_venue(topic.symbol)}|{what}"


@hookimpl
def parse(frame: bytes, memory: dict[str, Any]) -> Sequence[Event]:
    try:
        return _meaning(frame.decode("ascii").split("|"), memory)
    except (ValueError, KeyError, ArithmeticError) as exc:
        raise WireError(f"lantern: {type(exc).__name__}: {exc}", frame=frame) from exc


def _meaning(fields: list[str], memory: dict[str, Any]) -> Sequence[Event]:
    match fields:
        case ["BAR", lamp, seconds, *numbers, flag, "S"]:
            return (_candle(from_venue(lamp), TIMEFRAMES[int(seconds)], numbers, flag, snapshot=True),)
        case ["BAR", lamp, seconds, *numbers, flag]:
            return (_candle(from_venue(lamp), TIMEFRAMES[int(seconds)], numbers, flag),)
        case ["TICK", lamp, number, *said]:
            return _ticks(lamp, int(number), said, memory)
        case ["BEAT", seconds]:
            return (Heartbeat(_instant(int(seconds) * SECOND_NS)),)
        case ["HELLO", _]:
            return (Ready(),)
        case ["OK", number]:
            word, topic = memory.pop(number)
            return (Accepted((topic,)),) if word == "SUB" else (Released((topic,)),)
        case ["NO", number, text]:
            word, topic = memory.pop(number)
            return (Refused((topic,), FaultKind.SYMBOL, text),) if word == "SUB" else (Released((topic,)),)
        case ["END", lamp, seconds]:
            return (SnapshotDone(Topic(from_venue(lamp), TIMEFRAMES[int(seconds)])),)
        case ["BYE", text]:
            return (Fault(FaultKind.RESTART, text),)
        case _:
            raise ValueError("unknown message")


def _ticks(lamp: str, number: int, said: Sequence[str], memory: dict[str, Any]) -> Sequence[Event]:
    """Return the trade, unless it was there already, and what its number says of those before it."""
    at, price, size, side = said
    trade = _trade(from_venue(lamp), str(number), at, price, size, side)
    first, last = memory.get(lamp, (number, number - 1))
    if number < first:  # it was overtaken by the first one that came, so nobody waits for it
        return (Fault(FaultKind.GAP, f"lantern: trade {number} of {trade.symbol} came too late"),)
    if number <= last:
        return ()
    memory[lamp] = first, number
    lost = number - last - 1
    gap = [Fault(FaultKind.GAP, f"lantern: {lost} trades of {trade.symbol} are missing")] if lost else []
    return (*gap, trade)


def _candle(
    symbol: str, timeframe: Timeframe, numbers: Sequence[str], flag: str, *, snapshot: bool = False
) -> Candle:
    opens, *prices, count = numbers
    open_, high, low, close, volume = map(_number, prices)
    open_ns = int(opens) * SECOND_NS
    return Candle(
        symbol,
        timeframe,
        open_ns,
        open_ns + SECONDS[timeframe] * SECOND_NS,
        open_,
        high,
        low,
        close,
        volume,
        trade_count=int(count),
        finality=FLAGS[flag],
        snapshot=snapshot,
    )


def _instant(ns: int) -> int:
    if not 0 <= ns < LAST_NS:
        raise ValueError(f"not an instant: {ns} ns")
    return ns


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"not a finite number: {text!r}")
    return number


# --------------------------------------------------------------------------------------------- the history


@hookimpl
def fetch_ohlcv(query: OhlcvQuery, account: Account) -> Conversation:
    if query.timeframe not in SECONDS:
        raise VenueError(FaultKind.REQUEST, f"lantern: there are no {query.timeframe} candles")
    candles: dict[int, Candle] = {}
    from_s, to_s = (-(-ns // SECOND_NS) for ns in (query.since_ns, query.until_ns))
    while from_s < to_s:
        reply = yield HttpRequest(
            url=BARS_URL,
            params={
                "lamp": to_venue(query.symbol),
                "seconds": str(SECONDS[query.timeframe]),
                "from": str(from_s),
                "to": str(to_s),
            },
        )
        assert not isinstance(reply, StreamHistory)
        rows, more_s = _rows(query, _body(reply, query.now_ns))
        candles |= {row.open_ns: row for row in rows}
        if more_s is None:
            break
        if more_s <= from_s:
            raise WireError(
                f"lantern: the page from {from_s} is continued by one from {more_s}", frame=reply.body
            )
        from_s = more_s
    return Page(
        candles=list(candles.values()), covered=(query.since_ns, query.until_ns), stopped=Stopped.UNTIL
    )


@hookimpl
def fetch_trades(query: TradeQuery) -> Generator[HttpRequest, HttpReply, TradePage]:
    params = {"lamp": to_venue(query.symbol), "from": str(query.since_ns), "to": str(query.until_ns)}
    reply = yield HttpRequest(url=TICKS_URL, params=params)
    body = _body(reply, query.now_ns)
    try:
        trades = [_trade(query.symbol, *line.split(",")) for line in body.splitlines()]
    except (ValueError, KeyError, ArithmeticError, TypeError) as exc:
        raise WireError(f"lantern: {type(exc).__name__}: {exc}", frame=reply.body) from exc
    if len(trades) < PAGE_TICKS:
        until_ns, stopped = max(query.since_ns, min(query.until_ns, query.now_ns)), Stopped.UNTIL
    else:  # it may be cut within the last instant
        until_ns, stopped = trades[-1].time_ns, Stopped.VENUE_LIMIT
    covered = query.since_ns, max(query.since_ns, min(until_ns, query.until_ns))
    return TradePage(
        trades=[one for one in trades if covered[0] <= one.time_ns < covered[1]],
        covered=covered,
        stopped=stopped,
    )


def _trade(symbol: str, number: str, at: str, price: str, size: str, side: str) -> Trade:
    return Trade(symbol, str(int(number)), _number(price), _number(size), SIDES[side], _instant(int(at)))


def _rows(query: OhlcvQuery, body: str) -> tuple[list[Candle], int | None]:
    """Return the rows, and from which second on there are more."""
    try:
        rows = [line.split(",") for line in body.splitlines()]
        more_s = int(rows.pop()[1]) if rows and rows[-1][0] == "more" else None
        return [_candle(query.symbol, query.timeframe, numbers, flag) for *numbers, flag in rows], more_s
    except (ValueError, KeyError, ArithmeticError, IndexError) as exc:
        raise WireError(f"lantern: {type(exc).__name__}: {exc}", frame=body.encode()) from exc


def _body(reply: HttpReply, now_ns: int) -> str:
    text = reply.body.decode("utf-8", "replace")
    if reply.status == OK:
        return text
    kind = FaultKind.OUTAGE if reply.status >= SERVER_ERROR else REFUSALS.get(reply.status, FaultKind.REQUEST)
    raise VenueError(
        kind, f"{reply.status}: {text[:100]}", retry_after_s=retry_after_s(reply.headers, now_ns)
    )


# ------------------------------------------------------------------------------------------ the simulation


@hookimpl
def simulate(market: Market) -> VenueServer:
    from wickwire_lantern.simulator import LanternServer  # noqa: PLC0415 - only simulations pay for it

    return LanternServer(market)
