"""The simulated server of Harbour; what it is like is said in `harbour`."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from wickwire import SECOND_NS, Candle, Grid, Timeframe, Utc
from wickwire.simulate.server import Answer, Connection, Hangup, Incoming, Market, Outgoing, VenueServer

__all__ = ["GRID", "HABITS", "PAGE_ROWS", "SECONDS", "TIMEFRAMES", "HarbourServer"]

SECONDS: Final = {Timeframe.parse("1m"): 60, Timeframe.parse("5m"): 300}
TIMEFRAMES: Final = {seconds: timeframe for timeframe, seconds in SECONDS.items()}
GRID: Final = Utc()
PAGE_ROWS: Final = 10

BEAT_NS: Final = 5 * SECOND_NS
LAG_NS: Final = 4 * SECOND_NS
"""How far history is behind: less than the adapter waits for it to settle."""
LIVES_S: Final = (45, 170, 320, 610, 95)
"""How long one connection after the other lives."""
SHORT_LIVES_S: Final = (45, 70, 95, 60)
MOODY_LIFE_S: Final = 3_600
"""While it lies at times they live on: of a bucket that two of them shared nobody knew that it was a lie."""
DOUBLING_NS: Final = 120 * SECOND_NS
VOLUME: Final = 7
LATE_EVERY: Final = 5
LATE_NS: Final = 5 * SECOND_NS
BUSY_EVERY: Final = 11
"""Each so many-th request is answered by an error."""

BUSY_OFTEN: Final = 4
PEACE_S: Final = "25"
"""For how long it wants no questions where there were too many: longer than anybody would wait unasked."""

HABITS: Final = ("short lives", "late bars", "recalls", "busy")
"""What it may be like all the time: connections live for little more than a minute; every fifth bar comes
late, after newer ones, though before its bucket is over; a subscription begins with the bar before, as it
once was; every fourth request is answered by an error."""

FAULTS: Final = {
    "mute": "nothing but beats comes on streams",
    "hush": "nothing comes of *symbol*",
    "lose": "the next *count* bars are lost, and their numbers show it",
    "doubles": "no stream is opened for two minutes, and then bars tell twice the volume",
    "moody": "as doubles, but of every second bucket alone, which is told wrongly, or not at all: *how*",
    "stale": "the bar before the running one comes once more, as it was in the middle",
    "hangup": "all streams end with *code*",
    "refuse_connections": "no stream is opened",
    "silent_ack": "subscriptions are neither confirmed nor served",
    "refuse": "subscriptions are refused for now",
    "down": "history answers 503",
    "limited": "history answers 429",
    "late_trade": "a trade of *size* at *price* appears in history *ago_s* later, and no bar tells it",
    "bad_rows": "the newest row of a page cannot be read, and the one before breaks a law",
}


class HarbourServer:
    """A `VenueServer`, and the `Truth`: trades that were told late are none of the market's."""

    stream_origins: Sequence[str] = ("wss://stream.harbour.example",)
    rest_origins: Sequence[str] = ("https://api.harbour.example",)

    def __init__(self, market: Market) -> None:
        self.market = market
        self.on: dict[str, Mapping[str, object]] = {}
        self.lost = 0
        self.late: list[tuple[str, int, Decimal, Decimal]] = []
        self.quays: list[_Quay] = []
        self.habits: frozenset[str] = frozenset()
        self._opened = 0
        self._asked = 0
        self._now_ns = 0

    @property
    def faults(self) -> Mapping[str, str]:
        return FAULTS

    def inject(self, fault: str, **details: object) -> None:
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        match fault:
            case "hangup":
                for quay in self.quays:
                    quay.code = int(str(details.get("code", 1006)))
            case "lose":
                self.lost += int(str(details.get("count", 1)))
            case "late_trade":
                self.late.append((str(details["symbol"]), self._now_ns - _ago_ns(details), *_deal(details)))
            case "stale":
                for quay in self.quays:
                    quay.stale = True
            case "doubles" | "moody" if details.get("on", True):
                self.on[fault] = {**details, "until_ns": self._now_ns + DOUBLING_NS}
                self.inject("hangup")
            case _ if details.get("on", True):
                self.on[fault] = details
            case _:
                self.on.pop(fault, None)

    def candles(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, *, grid: Grid
    ) -> Sequence[Candle]:
        market = self.market.candles(symbol, timeframe, since_ns, until_ns, grid=grid)
        told = {one.open_ns: one for one in market}
        for name, at_ns, price, size in self.late:
            open_ns = timeframe.open_at(at_ns, grid)
            if name == symbol and since_ns <= open_ns and at_ns < until_ns:
                told[open_ns] = _with(told.get(open_ns), symbol, timeframe, open_ns, price, size)
        return [told[open_ns] for open_ns in sorted(told)]

    def mood_of(self, bar: Candle) -> str:
        """Say what streams make of a bar: nothing, or how they lie."""
        if "doubles" in self.on:
            return "doubles"
        is_second = bar.open_ns // bar.timeframe.nominal_ns % 2
        return str(self.on["moody"]["how"]) if "moody" in self.on and is_second else ""

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        lies = (self.on.get(fault, {}).get("until_ns", 0) for fault in ("doubles", "moody"))
        closed = "refuse_connections" in self.on or now_ns < max(int(str(until_ns)) for until_ns in lies)
        if incoming.path != "/v1" or closed:
            return Answer(status=503, body=b"the harbour is closed")
        lives_s = SHORT_LIVES_S if "short lives" in self.habits else LIVES_S
        life_s = MOODY_LIFE_S if "moody" in self.on else lives_s[self._opened % len(lives_s)]
        self._opened += 1
        quay = _Quay(self, now_ns, now_ns + life_s * SECOND_NS)
        self.quays = [*self.quays[-20:], quay]
        return quay

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        self._now_ns = now_ns
        if incoming.path != "/bars":
            return Answer(status=404, body=b"no such quay")
        self._asked += 1
        if "down" in self.on or self._asked % (BUSY_OFTEN if "busy" in self.habits else BUSY_EVERY) == 0:
            return Answer(status=503, body=b"busy")
        if "limited" in self.on:
            return Answer(status=429, body=b"too many questions", headers={"Retry-After": PEACE_S})
        asked = incoming.query
        timeframe = TIMEFRAMES[int(asked["seconds"])]
        since_ns, until_ns = (int(asked[name]) * SECOND_NS for name in ("from", "to"))
        candles = [
            one
            for one in self.candles(
                asked["symbol"],
                timeframe,
                since_ns,
                min(until_ns + timeframe.nominal_ns, now_ns - LAG_NS),
                grid=GRID,
            )
            if one.open_ns < until_ns
        ]
        rows = [_row(one) for one in reversed(candles[-PAGE_ROWS:])]
        if "bad_rows" in self.on and rows:
            rows[0][1] = "NaN"
            if len(rows) > 1:
                rows[1][2], rows[1][3] = "1", rows[1][2]
        return Answer(body=json.dumps(rows).encode())  # its length, spaces included, stands in the log


class _Quay:
    """A `Connection`."""

    def __init__(self, server: HarbourServer, now_ns: int, ends_ns: int) -> None:
        self.code = 0
        self.stale = False
        self._server, self._ends_ns = server, ends_ns
        self._told_ns: dict[tuple[str, int], int] = {}
        self._late: list[tuple[int, str, int, list[Any]]] = []
        self._bars = 0
        self._beat_ns = now_ns + BEAT_NS
        self._number = 0

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        return [(str(seconds), symbol) for symbol, seconds in self._told_ns]

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        return []

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        asked, on = msgspec.json.decode(frame), self._server.on
        pairs = [(str(symbol), int(seconds)) for symbol, seconds in asked["topics"]]
        if asked["op"] == "unsub":
            for pair in pairs:
                self._told_ns.pop(pair, None)
            return [self._said(released=pairs)]
        if "silent_ack" in on:
            return []
        if "refuse" in on:
            return [self._said(refused=pairs, why="the harbour is full")]
        self._told_ns.update(dict.fromkeys(pairs, now_ns))
        out: list[Outgoing] = [self._said(subscribed=pairs)]
        if "recalls" in self._server.habits:
            out += [self._said(bar=bar) for pair in pairs for bar in self._halves(*pair, now_ns)]
        return out

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        out: list[Outgoing] = []
        on = self._server.on
        while self._late and self._late[0][0] <= now_ns:
            _, symbol, seconds, bar = heapq.heappop(self._late)
            if (symbol, seconds) in self._told_ns:
                out.append(self._said(bar=bar))
        for (symbol, seconds), told_ns in list(self._told_ns.items()):
            if not on or ("mute" not in on and on.get("hush", {}).get("symbol") != symbol):
                out += self._news(symbol, seconds, told_ns, now_ns)
                self._told_ns[symbol, seconds] = now_ns
        if now_ns >= self._beat_ns:
            out.append(self._said(beat=now_ns // SECOND_NS))
            self._beat_ns = now_ns + BEAT_NS
        if self.code or now_ns >= self._ends_ns:
            out.append(Hangup(self.code or 1006))
        return out

    def _news(self, symbol: str, seconds: int, told_ns: int, now_ns: int) -> list[Outgoing]:
        timeframe, market = TIMEFRAMES[seconds], self._server.market
        out: list[Outgoing] = []
        if self.stale:
            self.stale = False
            out += [self._said(bar=bar) for bar in self._halves(symbol, seconds, now_ns)]
        if market.next_trade_ns(symbol, told_ns) > now_ns:
            return out
        for one in market.candles(symbol, timeframe, timeframe.open_at(told_ns, GRID), now_ns + 1, grid=GRID):
            if not market.trades(symbol, max(told_ns + 1, one.open_ns), min(one.close_ns, now_ns + 1)):
                continue
            bar = self._in_mood(symbol, seconds, one)
            if bar is None:
                continue
            self._bars += 1
            if self._server.lost:
                self._server.lost -= 1
                self._number += 1
            elif "late bars" in self._server.habits and self._bars % LATE_EVERY == 0:
                late_ns = min(now_ns + LATE_NS, one.close_ns - 1)
                heapq.heappush(self._late, (late_ns, symbol, seconds, bar))
            else:
                out.append(self._said(bar=bar))
        return out

    def _halves(self, symbol: str, seconds: int, now_ns: int) -> list[list[Any]]:
        """Return the bar before the running one, as it was in the middle."""
        timeframe = TIMEFRAMES[seconds]
        before_ns = timeframe.open_at(now_ns, GRID) - timeframe.nominal_ns
        half_ns = before_ns + timeframe.nominal_ns // 2
        candles = self._server.market.candles(symbol, timeframe, before_ns, half_ns, grid=GRID)
        bars = [self._in_mood(symbol, seconds, one) for one in candles]
        return [bar for bar in bars if bar is not None]

    def _in_mood(self, symbol: str, seconds: int, one: Candle) -> list[Any] | None:
        """Return what is said of a bar, also when it is recalled; None where it is hidden."""
        mood = self._server.mood_of(one)
        if mood == "hides":
            return None
        bar = [symbol, seconds, *_row(one)]
        if mood == "doubles":
            bar[VOLUME] = f"{2 * one.volume:f}"
        return bar

    def next_ns(self, now_ns: int) -> int:
        symbols = {symbol for symbol, _ in self._told_ns}
        trades = [self._server.market.next_trade_ns(symbol, now_ns) for symbol in symbols]
        late_ns = self._late[0][0] if self._late else self._ends_ns
        return min(self._beat_ns, self._ends_ns, late_ns, now_ns + SECOND_NS, *trades)

    def _said(self, **what: object) -> str:
        self._number += 1
        return msgspec.json.encode({"n": self._number, **what}).decode()


def _ago_ns(details: Mapping[str, object]) -> int:
    return round(float(str(details["ago_s"])) * SECOND_NS)


def _deal(details: Mapping[str, object]) -> tuple[Decimal, Decimal]:
    return Decimal(str(details["price"])), Decimal(str(details["size"]))


def _with(
    known: Candle | None, symbol: str, timeframe: Timeframe, open_ns: int, price: Decimal, size: Decimal
) -> Candle:
    """Return a bar with a trade that was told late; the first and the last of it stay."""
    close_ns = open_ns + timeframe.nominal_ns
    if known is None:
        return Candle(symbol, timeframe, open_ns, close_ns, *(price,) * 4, size, trade_count=1)
    high, low = max(known.high, price), min(known.low, price)
    count = (known.trade_count or 0) + 1
    values = known.open, high, low, known.close, known.volume + size
    return Candle(symbol, timeframe, open_ns, close_ns, *values, trade_count=count)


def _row(candle: Candle) -> list[Any]:
    values = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return [candle.open_ns // SECOND_NS, *(f"{value:f}" for value in values), candle.trade_count]


_: type[VenueServer] = HarbourServer
