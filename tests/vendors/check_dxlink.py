"""The SDK tastytrade against the simulated tastytrade: what it parses is compared with the truth.

It asks for a type of event per channel, and decodes by the order that it asked for, whatever is confirmed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
from checks import Truth, check, main, same, until
from tastytrade import DXLinkStreamer, Session
from tastytrade.dxfeed import Candle, Quote, Summary, TimeAndSale, Trade
from tastytrade.utils import TastytradeError

MINUTE_NS = 60 * 10**9
PRODUCTION = "api.tastyworks.com"
COIN = "BTC/USD:CXTALP"
HEARD: dict[str, list[Any]] = {}
"""What one streamer brought, by type of event: one listening serves several checks."""


def session_of(truth: Truth, secret: str = "secret") -> Session:
    """Return a session whose requests go to loopback, by a hook that its constructor takes."""
    there = httpx2.URL(truth.rest)

    async def redirect(request: Any) -> None:
        if request.url.host == PRODUCTION:
            request.url = request.url.copy_with(scheme=there.scheme, host=there.host, port=there.port)
            request.headers["host"] = f"{there.host}:{there.port}"

    return Session(secret, "refresh", event_hooks={"request": [redirect]}, trust_env=False)


@asynccontextmanager
async def streamer(truth: Truth) -> AsyncIterator[DXLinkStreamer]:
    async with session_of(truth) as session, DXLinkStreamer(session) as opened:
        yield opened


async def listen(told: DXLinkStreamer, kind: type, kept: list[Any], done: Callable[[], bool]) -> None:
    """Keep events until *done* says yes."""
    async with asyncio.timeout(130):
        async for event in told.listen(kind):
            kept.append(event)
            if done():
                return


def when(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC)


def told_row(candle: Any) -> tuple[object, ...]:
    numbers = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return (*numbers, candle.count, float(candle.vwap))


def true_row(row: dict[str, Any]) -> tuple[object, ...]:
    numbers = (row["open"], row["high"], row["low"], row["close"], row["volume"])
    return (*numbers, row["trade_count"], float(row["vwap"]))


def by_time(candles: list[Any]) -> dict[int, Any]:
    """Return the last word on each candle, by its second; removed rows have no values."""
    rows: dict[int, Any] = {}
    for candle in candles:
        if not candle.remove:
            rows[candle.time // 1000] = candle
    return rows


def check_closed(truth: Truth, rows: dict[int, Any], symbol: str, timeframe: str = "1m") -> int:
    """Fail unless all rows but the newest, which still forms, are those of the market; return how many."""
    *over, forming = sorted(rows)
    true = truth.candles(symbol, timeframe, over[0] * 10**9, forming * 10**9)
    told = {at_s: told_row(rows[at_s]) for at_s in over}
    same(told, {at_s: true_row(row) for at_s, row in true.items()}, symbol)
    return len(over)


def text_of(error: BaseException) -> str:
    """Return what the first error of a group says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


# ------------------------------------------------------------------------------------------------ the way in


@check("Session: logs in with a refresh token, is valid, and gets a token for quotes with its address")
async def login(truth: Truth) -> None:
    async with session_of(truth) as session:
        assert not await session.validate(), "before the login"
        await session.refresh()
        assert await session.validate(), "after the login"
        granted = await session._get("/api-quote-tokens")
    same(granted["dxlink-url"], f"{truth.stream}/realtime", "address")
    assert granted["token"]


@check("Session: a refused login, an error and a page of HTML are told as the SDK tells them")
async def refused(truth: Truth) -> None:
    async def complaint(secret: str = "secret") -> str:
        try:
            async with session_of(truth, secret) as session:
                await session._get("/api-quote-tokens")
        except TastytradeError as error:
            return str(error).strip()
        raise AssertionError("nothing was refused")

    async def with_fault(fault: str, **details: object) -> str:
        await asyncio.to_thread(truth.inject, fault, **details)
        try:
            return await complaint()
        finally:
            await asyncio.to_thread(truth.inject, fault, on=False)

    assert "Couldn't parse response" in await complaint("wrong"), "the flat shape of OAuth"
    told = await with_fault("rest_error", status=403, code="not_permitted", text="User not permitted access")
    same(told, "not_permitted: User not permitted access", "an error inside an object")
    assert "Couldn't parse response" in await with_fault("rest_html"), "a page"


# --------------------------------------------------------------------------------------------------- stream


@check("DXLinkStreamer: candles of two instruments, quotes, sales, last prices and a summary, all at once")
async def listening(truth: Truth) -> None:
    start_ns = truth.now_ns() // MINUTE_NS * MINUTE_NS
    kinds = (Candle, Quote, TimeAndSale, Trade, Summary)
    kept = {kind: HEARD.setdefault(kind.__name__, []) for kind in kinds}

    def two_minutes_later() -> bool:
        names = ("AAPL{=m}", f"{COIN}{{=m}}")
        last = [
            max((each.time for each in kept[Candle] if each.event_symbol == name), default=0)
            for name in names
        ]
        return min(last) * 10**6 >= start_ns + 2 * MINUTE_NS

    async with streamer(truth) as told:
        await told.subscribe_candle(
            ["AAPL", COIN], "1m", when(start_ns - 30 * MINUTE_NS), extended_trading_hours=True
        )
        await told.subscribe(Quote, ["AAPL", COIN])
        await told.subscribe(TimeAndSale, ["AAPL"])
        await told.subscribe(Trade, ["AAPL"])
        await told.subscribe(Summary, ["AAPL"])
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(listen(told, kind, kept[kind], lambda: False)) for kind in kinds[1:]]
            await listen(told, Candle, kept[Candle], two_minutes_later)
            for other in others:
                other.cancel()
    assert all(kept.values()), {kind.__name__: len(rows) for kind, rows in kept.items()}


@check("DXLinkStreamer: the snapshot is newest first, from the minute that was asked for, between its flags")
def snapshot(truth: Truth) -> None:
    for name in ("AAPL{=m}", f"{COIN}{{=m}}"):
        rows = [each for each in HEARD["Candle"] if each.event_symbol == name]
        ends = [place for place, each in enumerate(rows) if each.snapshot_end]
        same((rows[0].snapshot_begin, len(ends)), (True, 1), f"flags of {name}")
        times = [each.time for each in rows[: ends[0] + 1]]
        same(times, sorted(times, reverse=True), f"order of {name}")
        assert len(times) > 25, len(times)
        assert rows[ends[0]].remove or rows[ends[0]].close > 0, "the end is a removed row or a candle"


@check("DXLinkStreamer: candles are the minutes of the market, in the snapshot and live")
def candles(truth: Truth) -> None:
    for symbol, name in (("AAPL", "AAPL{=m}"), ("BTC/USD", f"{COIN}{{=m}}")):
        rows = by_time([each for each in HEARD["Candle"] if each.event_symbol == name])
        assert check_closed(truth, rows, symbol) > 25, name


@check("DXLinkStreamer: an index is more than a double can hold, and says its candle's time")
def indices(truth: Truth) -> None:
    for each in (*HEARD["Candle"], *HEARD["TimeAndSale"]):
        assert each.index > 2**53
        same((each.index >> 32) * 1000 + (each.index >> 22 & 0x3FF), each.time, "time in the index")
        same(each.index & 0x3FFFFF, each.sequence, "sequence in the index")


@check("DXLinkStreamer: sales are the trades of the market, with nine digits of time and the taker's side")
def sales(truth: Truth) -> None:
    told = [
        (each.time * 10**6 + each.time_nano_part, each.price, Decimal(each.size), each.aggressor_side.lower())
        for each in HEARD["TimeAndSale"]
        if each.valid_tick
    ]
    true = truth.trades("AAPL", told[0][0], told[-1][0] + 1)
    same(told, [(row["time_ns"], row["price"], row["size"], row["side"]) for row in true], "trades")
    same({each.type for each in HEARD["TimeAndSale"]}, {"NEW"}, "types")


@check("DXLinkStreamer: quotes are those of the market, and tell no times; last prices were traded")
def quotes(truth: Truth) -> None:
    now_ns = truth.now_ns()
    for symbol, name in (("AAPL", "AAPL"), ("BTC/USD", COIN)):
        known = set(truth.quotes(symbol, now_ns - 30 * MINUTE_NS, now_ns))
        told = [each for each in HEARD["Quote"] if each.event_symbol == name]
        assert told
        strange = {(each.bid_price, each.bid_size, each.ask_price, each.ask_size) for each in told} - known
        same(strange, set(), f"quotes of {name}")
        same({(each.bid_time, each.ask_time) for each in told}, {(0, 0)}, "times")
    traded = {(row["price"], row["size"]) for row in truth.trades("AAPL", now_ns - 30 * MINUTE_NS, now_ns)}
    same({(each.price, Decimal(each.size)) for each in HEARD["Trade"]} - traded, set(), "last prices")


@check("DXLinkStreamer: the summary holds the day so far and yesterday's close")
def summary(truth: Truth) -> None:
    day_ns = 86_400 * 10**9
    now_ns = truth.now_ns()
    days = truth.candles("AAPL", "1d", now_ns - 2 * day_ns, now_ns, grid="session")
    before, today = [days[at_s] for at_s in sorted(days)][-2:]
    last = HEARD["Summary"][-1]
    same(
        (last.day_open_price, last.prev_day_close_price), (today["open"], before["close"]), "open, last close"
    )
    assert last.day_low_price <= last.day_open_price <= last.day_high_price


@check("DXLinkStreamer: hours of the session alone come under their own, canonical symbol")
async def session_only(truth: Truth) -> None:
    rows: list[Any] = []
    since_ns = truth.now_ns() // MINUTE_NS * MINUTE_NS - 20 * MINUTE_NS
    async with streamer(truth) as told:
        await told.subscribe_candle(["AAPL"], "5m", when(since_ns))
        await told.subscribe_candle(["AAPL"], "1h", when(since_ns - 120 * MINUTE_NS))
        both = {"AAPL{=5m,tho=true}", "AAPL{=h,tho=true}"}
        await listen(
            told, Candle, rows, lambda: {each.event_symbol for each in rows if each.snapshot_end} == both
        )
    for name, length in (("AAPL{=5m,tho=true}", "5m"), ("AAPL{=h,tho=true}", "1h")):
        found = by_time([each for each in rows if each.event_symbol == name])
        assert check_closed(truth, found, "AAPL", length) > 0, name


@check("DXLinkStreamer: objects where arrays were agreed on are the same candles")
async def full(truth: Truth) -> None:
    rows: list[Any] = []
    since_ns = truth.now_ns() // MINUTE_NS * MINUTE_NS - 10 * MINUTE_NS
    await asyncio.to_thread(truth.inject, "force_full")
    try:
        async with streamer(truth) as told:
            await told.subscribe_candle([COIN], "1m", when(since_ns), extended_trading_hours=True)
            await listen(told, Candle, rows, lambda: rows[-1].snapshot_end or len(rows) > 12)
    finally:
        await asyncio.to_thread(truth.inject, "force_full", on=False)
    assert check_closed(truth, by_time(rows), "BTC/USD") > 8, "rows"


@check("DXLinkStreamer: what is left is told no more, and a channel can be given up")
async def leaving(truth: Truth) -> None:
    rows: list[Any] = []
    async with streamer(truth) as told:
        await told.subscribe(Quote, [COIN, "ETH/USD:CXTALP"])
        await listen(told, Quote, rows, lambda: len({each.event_symbol for each in rows}) == 2)
        await told.unsubscribe(Quote, [COIN])
        await asyncio.sleep(1)
        while told.get_event_nowait(Quote) is not None:
            pass
        rows.clear()
        await listen(told, Quote, rows, lambda: len(rows) > 2)
        same({each.event_symbol for each in rows}, {"ETH/USD:CXTALP"}, "who is left")
        await told.unsubscribe_all(Quote)
        await until(lambda: "Quote" not in told._subscription_state, 10, "CHANNEL_CLOSED")


async def failure(playing: Awaitable[None]) -> str:
    """Return what ends *playing*; it is an error when nothing does."""
    try:
        async with asyncio.timeout(25):
            await playing
    except (TastytradeError, httpx2.HTTPError, BaseExceptionGroup) as error:
        return text_of(error)
    raise AssertionError("nothing failed")


@check("DXLinkStreamer: an ERROR ends it with the server's words; a frame that is too long is called that")
async def errors(truth: Truth) -> None:
    async def until_an_error() -> None:
        async with streamer(truth) as told:
            await told.subscribe(Quote, [COIN])
            await told.get_event(Quote)
            await asyncio.to_thread(
                truth.inject, "error", error="TIMEOUT", text="The timeout has been reached."
            )
            await asyncio.sleep(20)

    async def with_a_long_frame() -> None:
        async with streamer(truth) as told:
            await told.subscribe(Quote, [f"SYM{number}" for number in range(200)])
            await asyncio.sleep(20)

    told = await failure(until_an_error())
    same(told, "Fatal streamer error: The timeout has been reached.", "words")
    await asyncio.to_thread(truth.inject, "largest_frame", bytes=2_000)
    try:
        told = await failure(with_a_long_frame())
    finally:
        await asyncio.to_thread(truth.inject, "largest_frame", bytes=65_536)
    assert "Subscription message too long" in told, told


@check("DXLinkStreamer: a refused token never becomes a stream")
async def bad_token(truth: Truth) -> None:
    async def let_in() -> None:
        async with streamer(truth):
            pass

    await asyncio.to_thread(truth.inject, "reject_token")
    try:
        told = await failure(let_in())
    finally:
        await asyncio.to_thread(truth.inject, "reject_token", on=False)
    # the close, or that its second AUTH met it
    assert "unauthorized" in told or "REMOTE_CLOSING" in told, told


if __name__ == "__main__":
    main()
