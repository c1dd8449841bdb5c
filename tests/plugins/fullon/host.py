"""A collector of candles, trades and ticks that calls `ExchangeQueue` as the real ones do, step by step.

Its bugs are kept: it takes the first message of each stamp, looks at the first row of a batch, takes a tuple
for an object, ends history at a short page, and polls by sleeping one whole timeframe.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, cast

import attrs

__all__ = [
    "CatExchange",
    "Exchange",
    "HistoricOHLCVCollector",
    "HistoricTradeCollector",
    "LiveOHLCVCollector",
    "LiveTradeCollector",
    "Processes",
    "Repository",
    "Symbol",
    "TickerService",
]

PAGE = 1_000


@attrs.frozen
class CatExchange:
    name: str


@attrs.frozen
class Exchange:
    """A row of the host's database."""

    cat_exchange: CatExchange
    ex_id: int = 1
    test: bool = False

    @classmethod
    def named(cls, name: str, **more: Any) -> Exchange:
        return cls(CatExchange(name), **more)


@attrs.frozen
class Symbol:
    """Another."""

    symbol: str
    cat_exchange: CatExchange
    updateframe: str = "1m"
    backtest: int = 1

    @classmethod
    def named(cls, exchange: str, symbol: str, **more: Any) -> Symbol:
        return cls(symbol, CatExchange(exchange), **more)

    @property
    def key(self) -> str:
        return f"{self.cat_exchange.name}:{self.symbol}"


@attrs.define
class Repository:
    """What was saved, by symbol: each call in order."""

    saved: dict[str, list[tuple[datetime, tuple[float, ...]]]] = attrs.field(factory=dict)
    trades: dict[str, list[dict[str, Any]]] = attrs.field(factory=dict)
    closed: bool = False

    async def save_candles(self, key: str, rows: Iterable[tuple[datetime, tuple[float, ...]]]) -> bool:
        assert not self.closed, "saved after the shutdown"
        self.saved.setdefault(key, []).extend(rows)
        return True

    async def save_trades(self, key: str, rows: Iterable[dict[str, Any]]) -> bool:
        assert not self.closed, "saved after the shutdown"
        self.trades.setdefault(key, []).extend(rows)
        return True

    async def get_latest_timestamp(self, key: str) -> datetime | None:
        return max((stamp for stamp, _ in self.saved.get(key, [])), default=None)


@attrs.define
class Processes:
    """What the process cache was told: last status by key, and all of them in order."""

    statuses: dict[str, str] = attrs.field(factory=dict)
    messages: list[tuple[str, str, str]] = attrs.field(factory=list)

    def update(self, key: str, status: str, message: str = "") -> None:
        self.statuses[key] = status
        self.messages.append((key, status, message))


def read_stamp(stamp: float) -> datetime:
    """As the collectors do: larger than 1e12 is milliseconds."""
    return datetime.fromtimestamp(stamp / 1_000 if stamp > 1e12 else stamp, UTC)


def read_row(row: Any) -> tuple[datetime, tuple[float, ...]]:
    """A list is read by position, a dict by key, and all else, a tuple too, by attributes."""
    if isinstance(row, list):
        stamp, *values = row
        return read_stamp(stamp), (*values,)
    if isinstance(row, dict):
        return read_stamp(row["timestamp"]), tuple(
            row[name] for name in ("open", "high", "low", "close", "volume")
        )
    values = [getattr(row, name, 0.0) for name in ("open", "high", "low", "close", "volume")]
    return read_stamp(getattr(row, "timestamp", 0)), (*values,)


def timeframe_s(text: str) -> int:
    return int(text[:-1]) * {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}.get(text[-1], 60)


@attrs.define(eq=False)
class LiveOHLCVCollector:
    """As of version 1.2.2."""

    queue: Any
    exchanges: Sequence[Exchange]
    symbols: Sequence[Symbol]
    repository: Repository
    processes: Processes = attrs.field(factory=Processes)
    running: bool = False
    handlers: dict[str, Any] = attrs.field(factory=dict)
    polls: list[asyncio.Task[None]] = attrs.field(factory=list)
    last: dict[str, datetime] = attrs.field(factory=dict)

    def _exchange(self, name: str) -> Exchange:
        return next(one for one in self.exchanges if one.cat_exchange.name == name)

    async def start_collection(self) -> None:
        self.running = True
        ordered = sorted(self.symbols, key=lambda one: one.cat_exchange.name)
        for name, symbols in groupby(ordered, key=lambda one: one.cat_exchange.name):
            await self._start_exchange(name, list(symbols))

    async def _start_exchange(self, name: str, symbols: Sequence[Symbol]) -> None:
        handler = await self.queue.get_websocket_handler(self._exchange(name))
        if hasattr(handler, "needs_trades_for_ohlcv") and handler.needs_trades_for_ohlcv():
            return
        self.handlers[name] = handler
        for symbol in symbols:
            await self._subscribe(handler, symbol)

    async def _subscribe(self, handler: Any, symbol: Symbol) -> None:
        self.processes.update(symbol.key, "starting")
        try:
            await handler.subscribe_ohlcv(symbol.symbol, "1m", self._callback(symbol))
        except Exception as exc:  # noqa: BLE001 - as it does: a warning, and on
            self.processes.messages.append((symbol.key, "warning", f"{type(exc).__name__}: {exc}"))

    def _callback(self, symbol: Symbol) -> Callable[[Any], Any]:
        async def callback(payload: Any) -> None:
            try:
                row = payload[0] if isinstance(payload[0], list) else payload
                stamp, opened, high, low, close, volume = row
                at = read_stamp(stamp)
                if self.last.get(symbol.key) == at:
                    return
                self.last[symbol.key] = at
                await self.repository.save_candles(symbol.key, [(at, (opened, high, low, close, volume))])
                self.processes.update(symbol.key, "running")
            except Exception as exc:  # noqa: BLE001 - as it does
                self.processes.update(symbol.key, "error", f"Error: {exc}")

        return callback

    async def add_symbol(self, symbol: Symbol) -> None:
        if not self.running:
            raise RuntimeError("collector not running")
        name = symbol.cat_exchange.name
        if name in self.handlers:
            await self._subscribe(self.handlers[name], symbol)
        else:
            await self._start_exchange(name, [symbol])

    async def start_symbol(self, symbol: Symbol) -> None:
        exchange = self._exchange(symbol.cat_exchange.name)
        try:
            handler = await self.queue.get_websocket_handler(exchange)
        except Exception as exc:
            self.processes.update(symbol.key, "error", str(exc))
            raise
        if await self._has_stream(handler):
            handler = await self.queue.get_websocket_handler(exchange)
            self.handlers[symbol.cat_exchange.name] = handler
            await self._subscribe(handler, symbol)
            return
        rest = await self.queue.get_rest_handler(exchange)
        self.processes.update(symbol.key, "starting")
        # the real one has no owner for it either
        self.polls.append(asyncio.get_running_loop().create_task(self._poll(rest, symbol)))

    async def _has_stream(self, handler: Any) -> bool:
        if not hasattr(handler, "subscribe_ohlcv"):
            return False
        if hasattr(handler, "has") and not (handler.has.get("ws") and handler.has.get("watchOHLCV")):
            return False
        return not (hasattr(handler, "is_connected") and not handler.is_connected())

    async def _poll(self, handler: Any, symbol: Symbol) -> None:
        while self.running:
            try:
                rows = await handler.get_ohlcv(symbol.symbol, timeframe=symbol.updateframe, limit=2)
                if len(rows) >= 2:
                    row = read_row(rows[-2])
                    if self.last.get(symbol.key) != row[0]:
                        self.last[symbol.key] = row[0]
                        await self.repository.save_candles(symbol.key, [row])
                    self.processes.update(symbol.key, "running")
            except Exception as exc:  # noqa: BLE001 - as it does: once per interval, and on
                self.processes.update(symbol.key, "error", str(exc))
            await asyncio.sleep(timeframe_s(symbol.updateframe))

    async def stop_collection(self) -> None:
        self.running = False


@attrs.define(eq=False)
class HistoricOHLCVCollector:
    """As of version 1.2.2: pages of a thousand, from the latest that is stored."""

    queue: Any
    exchanges: Sequence[Exchange]
    repository: Repository
    processes: Processes = attrs.field(factory=Processes)

    async def collect(self, symbol: Symbol, now: datetime) -> int:
        exchange = next(one for one in self.exchanges if one.cat_exchange == symbol.cat_exchange)
        handler = await self.queue.get_rest_handler(exchange)
        if handler.needs_trades_for_ohlcv():
            return 0
        latest = await self.repository.get_latest_timestamp(symbol.key)
        since = now.timestamp() - symbol.backtest * 86_400 if latest is None else latest.timestamp() + 1
        count = 0
        while True:
            rows = await handler.get_ohlcv(
                symbol.symbol, timeframe=symbol.updateframe, since=int(since * 1_000), limit=PAGE
            )
            read = [read_row(row) for row in rows if row is not None]
            if read and (now - read[-1][0]).total_seconds() < 60 and not read[-1][1][-1]:
                read.pop()
            await self.repository.save_candles(symbol.key, read)
            count += len(read)
            if len(rows) < PAGE:
                return count
            since = read[-1][0].timestamp() + 1
            await asyncio.sleep(0.1)


@attrs.define(eq=False)
class HistoricTradeCollector:
    """Where an exchange wants trades for its candles: it goes on a second after the last."""

    queue: Any
    exchanges: Sequence[Exchange]
    repository: Repository

    async def collect(self, symbol: Symbol, since: float, now: float) -> int:
        exchange = next(one for one in self.exchanges if one.cat_exchange == symbol.cat_exchange)
        handler = await self.queue.get_rest_handler(exchange)
        if not getattr(handler, "needs_trades_for_ohlcv", lambda: True)():
            return 0
        count = 0
        while since < now:
            rows = await handler.get_public_trades(symbol.symbol, since=since, limit=PAGE)
            if not rows:
                break
            await self.repository.save_trades(symbol.key, rows)
            count += len(rows)
            since = int((read_stamp(rows[-1]["timestamp"]).timestamp() + 1) * 1_000) / 1_000
            await asyncio.sleep(0.1)
        return count


@attrs.define(eq=False)
class LiveTradeCollector:
    """One callback for all symbols of an exchange; what it pushes has to be JSON."""

    queue: Any
    exchanges: Sequence[Exchange]
    pushed: list[dict[str, Any]] = attrs.field(factory=list)

    async def start(self, symbols: Sequence[Symbol]) -> None:
        for exchange in self.exchanges:
            handler = await self.queue.get_websocket_handler(exchange)
            for symbol in symbols:
                if symbol.cat_exchange == exchange.cat_exchange:
                    await handler.subscribe_trades(symbol.symbol, self.callback)

    async def callback(self, trade: Any) -> None:
        assert trade.time
        pushed = json.loads(json.dumps(trade.to_dict()))
        assert pushed["symbol"] == trade.symbol
        self.pushed.append(cast("dict[str, Any]", pushed))


@attrs.define(eq=False)
class TickerService:
    """As since 14 October 2025."""

    queue: Any
    exchanges: Sequence[Exchange]
    ticks: list[dict[str, Any]] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)

    async def start(self, symbols: Sequence[Symbol]) -> None:
        for exchange in self.exchanges:
            handler = await self.queue.get_websocket_handler(exchange)
            name = exchange.cat_exchange.name

            async def callback(tick: Any, name: str = name) -> None:
                tick.exchange = name
                tick.received = True  # whatever a model of the host's own would take
                assert tick.price > 0
                self.ticks.append(json.loads(json.dumps(tick.to_dict())))

            for symbol in symbols:
                if symbol.cat_exchange == exchange.cat_exchange:
                    try:
                        await handler.subscribe_ticker(symbol.symbol, callback)
                    except Exception as exc:  # noqa: BLE001 - as it does
                        self.warnings.append(str(exc))
