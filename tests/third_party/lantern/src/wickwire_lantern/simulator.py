"""The simulated Lantern: the server's side of the protocol over the shared market, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import attrs

from wickwire import SECOND_NS, Candle, Grid, Side, Timeframe, Utc
from wickwire.simulate.server import Answer, Connection, Incoming, Market, MarketTrade, Outgoing, VenueServer

LAMPS: Final = {"glow-usd": "ETH/USD", "ember-usd": "XMR/USD"}
"""Lantern trades invented things: each burns like something that the market knows."""
BEAT_NS: Final = 5 * SECOND_NS
MOST_ROWS: Final = 200
MOST_TICKS: Final = 100
SHORT_ROWS: Final = 5
GRID: Final = Utc()
TIMEFRAMES: Final = {"60": Timeframe.parse("1m"), "300": Timeframe.parse("5m"), "3600": Timeframe.parse("1h")}
TICK: Final = "TICK"
FAULTS: Final = {
    "mute": "Subscribed lamps stay dark: no more bars and ticks, heartbeats go on.",
    "expire": "Every open stream is told once that its evening is over.",
    "lose_trades": "The next trade of every lamp is missing.",
    "throttle": "Every request is one too many: status 420, as whoever serves it has it.",
    "short_pages": "Replies hold 5 bars at most, and say where the next one begins.",
}


class LanternServer:
    """A `VenueServer`."""

    stream_origins: Sequence[str] = ("wss://stream.lantern.example",)
    rest_origins: Sequence[str] = ("https://api.lantern.example",)

    def __init__(self, market: Market) -> None:
        self.market = market
        self.muted = False
        self.throttled = False
        self.evenings = self.lost = 0
        self.most_rows = MOST_ROWS

    @property
    def faults(self) -> Mapping[str, str]:
        return FAULTS

    def inject(self, fault: str, **details: object) -> None:
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        match fault:
            case "expire":
                self.evenings += 1
            case "lose_trades":
                self.lost += 1
            case "short_pages":
                self.most_rows = SHORT_ROWS
            case "throttle":
                self.throttled = bool(details.get("on", True))
            case _:
                self.muted = bool(details.get("on", True))

    def candles(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, *, grid: Grid
    ) -> Sequence[Candle]:
        """Tell the truth, by the lamp's own name: this makes the server a `Truth`."""
        true = self.market.candles(_known(symbol), timeframe, since_ns, until_ns, grid=grid)
        return [attrs.evolve(cast("Any", one), symbol=symbol) for one in true]

    def trades(self, symbol: str, since_ns: int, until_ns: int) -> Sequence[MarketTrade]:
        """Tell the truth of trades."""
        return self.market.trades(_known(symbol), since_ns, until_ns)

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        if incoming.path != "/v1":
            return Answer(status=404, body=b"no such door")
        return _Wire(self, now_ns)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        asked = incoming.query
        if self.throttled:
            return Answer(status=420, headers={"Retry-After": "5"}, body=b"not so fast")
        if incoming.path == "/ticks":
            return self._ticks(asked, now_ns)
        if incoming.path != "/bars":
            return Answer(status=404, body=b"no such door")
        lamp, timeframe = LAMPS.get(asked.get("lamp", "")), TIMEFRAMES.get(asked.get("seconds", ""))
        if lamp is None or timeframe is None:
            return Answer(status=404, body=b"no such lamp")
        since_ns, until_ns = (int(asked[key]) * SECOND_NS for key in ("from", "to"))
        # a bar that opens in the range is told whole, also where the range ends inside of it
        whole_ns = timeframe.close_of(timeframe.open_at(until_ns - 1, GRID), GRID)
        candles = self.market.candles(lamp, timeframe, since_ns, min(whole_ns, now_ns), grid=GRID)
        lines = [",".join(_fields(one, now_ns)) for one in candles[: self.most_rows]]
        lines += [f"more,{one.open_ns // SECOND_NS}" for one in candles[self.most_rows :][:1]]
        return Answer(body="\n".join(lines).encode(), content_type="text/plain")

    def _ticks(self, asked: Mapping[str, str], now_ns: int) -> Answer:
        lamp = LAMPS.get(asked.get("lamp", ""))
        if lamp is None:
            return Answer(status=404, body=b"no such lamp")
        trades = self.market.trades(lamp, int(asked["from"]), min(int(asked["to"]), now_ns))
        lines = [",".join(_tick(one)) for one in trades[:MOST_TICKS]]
        return Answer(body="\n".join(lines).encode(), content_type="text/plain")


def _known(symbol: str) -> str:
    return LAMPS[symbol.replace("/", "-").lower()]


class _Lamp:
    """One subscription: which bars are not over yet, and what was said of them last."""

    def __init__(self, native: str, seconds: str, now_ns: int) -> None:
        self.native, self.seconds, self.timeframe = native, seconds, TIMEFRAMES[seconds]
        # the snapshot begins with the bar before the running one
        self.open_ns = self.timeframe.open_at(self.timeframe.open_at(now_ns, GRID) - 1, GRID)
        self.said = ""

    def news(self, market: Market, now_ns: int, mark: str = "") -> list[str]:
        lines: list[str] = []
        for candle in market.candles(LAMPS[self.native], self.timeframe, self.open_ns, now_ns, grid=GRID):
            line = "|".join(("BAR", self.native, self.seconds, *_fields(candle, now_ns)))
            if line != self.said:
                lines.append(line + mark)
                self.said = line
        self.open_ns = self.timeframe.open_at(now_ns, GRID)
        return lines


class _Ticks:
    """One subscription: what was told so far."""

    def __init__(self, native: str, now_ns: int, lost: int) -> None:
        self.native, self.told_ns, self.lost = native, now_ns, lost

    def news(self, server: LanternServer, now_ns: int) -> list[str]:
        lines: list[str] = []
        for trade in server.market.trades(LAMPS[self.native], self.told_ns, now_ns):
            if self.lost < server.lost:
                self.lost += 1
                continue
            lines.append("|".join((TICK, self.native, *_tick(trade))))
        self.told_ns = now_ns
        return lines


class _Wire:
    """A `Connection`."""

    def __init__(self, server: LanternServer, now_ns: int) -> None:
        self.server = server
        self.lamps: dict[tuple[str, str], _Lamp] = {}
        self.ticks: dict[tuple[str, str], _Ticks] = {}
        self.evenings = server.evenings
        self.beat_ns = now_ns + BEAT_NS

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        return ["HELLO|lantern 1"]

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        match str(frame).split("|"):
            case ["SUB", number, native, seconds] if native in LAMPS and seconds in TIMEFRAMES:
                lamp = self.lamps[native, seconds] = _Lamp(native, seconds, now_ns)
                news = lamp.news(self.server.market, now_ns, "|S")
                return [f"OK|{number}", *news, f"END|{native}|{seconds}"]
            case ["SUB", number, native, "TICK"] if native in LAMPS:
                self.ticks[native, TICK] = _Ticks(native, now_ns, self.server.lost)
                return [f"OK|{number}"]
            case ["OFF", number, native, what] if (native, what) in {**self.lamps, **self.ticks}:
                self.lamps.pop((native, what), None)
                self.ticks.pop((native, what), None)
                return [f"OK|{number}"]
            case [_, number, *_]:
                return [f"NO|{number}|no such lamp"]
            case _:
                return []

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        said: list[Outgoing] = []
        if now_ns >= self.beat_ns:
            said.append(f"BEAT|{now_ns // SECOND_NS}")
            self.beat_ns = now_ns + BEAT_NS
        if not self.server.muted:
            for lamp in self.lamps.values():
                said += lamp.news(self.server.market, now_ns)
            for ticks in self.ticks.values():
                said += ticks.news(self.server, now_ns)
        if self.evenings < self.server.evenings:
            self.evenings = self.server.evenings
            said.append("BYE|this evening is over")
        return said

    def next_ns(self, now_ns: int) -> int:
        return now_ns - now_ns % SECOND_NS + SECOND_NS


def _tick(trade: MarketTrade) -> tuple[str, ...]:
    side = "B" if trade.side is Side.BUY else "S"
    return str(trade.number), str(trade.time_ns), f"{trade.price:f}", f"{trade.size:f}", side


def _fields(candle: Candle, now_ns: int) -> tuple[str, ...]:
    return (
        str(candle.open_ns // SECOND_NS),
        *(f"{number:f}" for number in (candle.open, candle.high, candle.low, candle.close, candle.volume)),
        str(candle.trade_count),
        "C" if candle.close_ns <= now_ns else "F",
    )


_: type[VenueServer] = LanternServer
