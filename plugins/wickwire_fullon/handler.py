"""One exchange on one account, as fullon collectors call it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from wickwire import SECOND_NS, Adapter, Collector, ConfigError, Feed, Health, Series, Timeframe, UsageError
from wickwire_fullon.exchanges import Exchange, Spelling
from wickwire_fullon.life import Life
from wickwire_fullon.past import Past
from wickwire_fullon.settings import Settings
from wickwire_fullon.shapes import as_dict, row_of
from wickwire_fullon.subscriptions import Callback, Subscriptions
from wickwire_fullon.told_store import ToldStore

__all__ = ["FullonHandler"]

log = logging.getLogger(__name__)

MINUTE: Final = "1m"
MOST_SINCE_S: Final = 100_000_000_000


class FullonHandler:
    """An exchange that is connected for as long as its facade lives.

    Symbols are spelled as the host does, stamps are milliseconds (seconds before 2001-09-09), prices floats.
    Everything that a venue or the host's symbol is at fault for raises a `wickwire.WickwireError`.

    Attributes:
        has: What it can do, by the names that collectors ask for: "ws", "watchOHLCV", "fetchOHLCV",
            "watchTrades", "watchTicker" and "fetchTrades".
        name: Of the exchange, as the host spells it.
    """

    def __init__(
        self,
        exchange: Exchange,
        adapter: Adapter,
        collector: Collector,
        store: ToldStore,
        life: Life,
        settings: Settings,
        spelling: Spelling,
        problem: str = "",
    ) -> None:
        """Prepare; `FullonQueue` opens it.

        Args:
            exchange: Which.
            adapter: Of its venue.
            collector: What collects, for this exchange and account alone.
            store: Where it keeps candles.
            life: In which it runs.
            settings: See there.
            spelling: Told how the host spells its symbols.
            problem: Why nothing can be collected; empty where something can.
        """
        self.name = exchange.name
        self._exchange = exchange
        self._adapter = adapter
        self._collector = collector
        self._life = life
        self._settings = settings
        self._spelling = spelling
        self._problem = problem
        self._past = Past(collector, settings.clock, settings.history_patience_s)
        self._subscriptions = Subscriptions(self.name, collector, store, self._past, life, settings)
        self._connects = 0
        self._opened = asyncio.Event()
        self._end = asyncio.Event()
        self._failure: BaseException | None = None
        feeds = adapter.description.feeds
        streams = adapter.streams or not settings.native_only
        self.has: Mapping[str, bool] = MappingProxyType(
            {
                "ws": streams,
                "watchOHLCV": streams,
                "fetchOHLCV": adapter.serves_history,
                "watchTrades": adapter.streams and (feeds is None or Feed.TRADES in feeds),
                "watchTicker": adapter.streams and (feeds is None or bool(feeds)),
                "fetchTrades": adapter.fetch_trades is not None,
            }
        )

    def __repr__(self) -> str:
        """Say which exchange it is, and whether it is open."""
        return f"<FullonHandler {self.name} {'open' if self.connected else 'closed'}>"

    # ------------------------------------------------------------------------------------------- lifetime

    async def open(self) -> None:
        """Start; raises what the collector raises when it starts."""
        task = await self._life.start(self._keep, f"fullon {self.name}")
        task.add_done_callback(lambda _: self._opened.set())
        await self._opened.wait()
        if self._failure is not None:
            raise self._failure

    async def _keep(self) -> None:
        try:
            async with self._collector, asyncio.TaskGroup() as tasks:
                self._subscriptions.start(tasks)
                self._opened.set()
                await self._end.wait()
                self._subscriptions.stop()
                await self._subscriptions.stopped()
                await self._past.stopped()
        except Exception as exc:  # one exchange must not end the others
            if self._opened.is_set():
                log.exception("exchange failed", extra={"exchange": self.name})
            else:
                self._failure = exc
        finally:
            self.close()

    def close(self) -> None:
        """Let it end: nothing is called back from now on, and connections close."""
        self._end.set()
        self._subscriptions.stop()
        self._past.stop()

    @property
    def connected(self) -> bool:
        """Whether it collects, or tries to: reconnecting is no reason to go elsewhere."""
        return self._opened.is_set() and not self._end.is_set()

    def is_connected(self) -> bool:
        """Say whether a stream may be subscribed to; a plain function, as collectors do not await it."""
        return self.connected and self.has["ws"]

    async def connect(self) -> bool:
        """Do nothing but count: it is connected already."""
        self._connects += 1
        return self.is_connected()

    async def disconnect(self) -> None:
        """End all subscriptions, once as many have disconnected as had connected.

        The candles, trades and ticks of a host share one handler.
        """
        self._connects = max(self._connects - 1, 0)
        if not self._connects:
            await self._subscriptions.end_all()

    def health(self) -> Health:
        """Say how it is doing, series by series."""
        return self._collector.health()

    # --------------------------------------------------------------------------------------- capabilities

    def supports_capability(self, name: str) -> bool:
        """Say whether something is streamed ("ohlcv", "trades", "ticker"), or what `has` says of *name*."""
        known = {"ohlcv": "watchOHLCV", "trades": "watchTrades", "ticker": "watchTicker"}
        return self.has.get(known.get(name, name), False)

    def supports_ohlcv(self) -> bool:
        """Say whether candles can be had."""
        return self.has["watchOHLCV"] or self.has["fetchOHLCV"]

    def supports_1m_ohlcv(self) -> bool:
        """Say whether candles of a minute can be had."""
        return self.supports_ohlcv() and (MINUTE in self.get_supported_timeframes() or self._adapter.streams)

    def needs_trades_for_ohlcv(self) -> bool:
        """Say whether the host should make candles of trades itself: not unless it was told to."""
        return self.name in self._settings.trades_first

    def get_supported_timeframes(self) -> list[str]:
        """Return the timeframes that the venue knows; others are made of them."""
        return [str(timeframe) for timeframe in self._adapter.description.timeframes]

    # ------------------------------------------------------------------------------------------ the past

    async def get_ohlcv(
        self, symbol: str, timeframe: str = MINUTE, since: float | None = None, limit: int = 100
    ) -> list[list[float]]:
        """Return rows `[stamp, open, high, low, close, volume]`, oldest first.

        Args:
            symbol: As the host spells it.
            timeframe: Such as "1m", "1h", "1d", "1w".
            since: Milliseconds: the first *limit* closed candles from there on, and fewer only where history
                ends. None: the newest *limit*, of which the last is not closed yet.
            limit: How many rows at most.

        Raises:
            UsageError: No such timeframe, or the facade is shut down.
            PlanError: The venue serves no history for it.
            TransportError: The venue did not answer in time.
            VenueError: The venue refuses.
        """
        series = self._series(symbol, _timeframe(timeframe))
        if limit < 1:
            return []
        if since is None:
            return await self._past.newest(series, limit)
        return await self._past.candles(series, round(since * 1_000_000), limit)

    async def get_public_trades(
        self, symbol: str, since: float | None = None, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Return trades, oldest first, with `timestamp`, `price`, `amount`, `side` and more.

        Args:
            symbol: As the host spells it.
            since: Seconds: the first *limit* trades from there on. What would be beyond the year 5000 is
                milliseconds, as the first collectors had it. Where it is a second after the last trade that
                was read before, what comes after that trade, as collectors go on so. None: the newest.
            limit: See *since*.

        Raises:
            UsageError: The facade is shut down.
            PlanError: The venue serves no trades of the past.
            TransportError: The venue did not answer in time.
            VenueError: The venue refuses.
        """
        series = self._series(symbol, Feed.TRADES)
        if since is None:
            recent_ns = self._settings.clock.now_ns() - 300 * SECOND_NS
            return (await self._past.trades(series, recent_ns, 10**9, symbol))[-limit:]
        unit_ns = 1_000_000 if since > MOST_SINCE_S else SECOND_NS
        return await self._past.trades(series, round(since * unit_ns), limit, symbol)

    async def get_trades(
        self, symbol: str, since: float | None = None, limit: int = 1_000
    ) -> list[dict[str, Any]]:
        """Return the same as `get_public_trades`; here *since* is in milliseconds."""
        return await self.get_public_trades(symbol, None if since is None else since / 1_000, limit)

    # -------------------------------------------------------------------------------------- subscriptions

    async def subscribe_ohlcv(
        self,
        symbol: str,
        *args: Any,
        interval: str | None = None,
        callback: Callback | None = None,
    ) -> str:
        """Call back with `[[stamp, open, high, low, close, volume]]`: each candle once, after its close.

        In order, and without a gap, whatever the connection does; where the venue streams no such candles,
        they are polled. Called as `(symbol, interval, callback)`, or as `(symbol, callback, interval=...)`:
        then the payload is a dict.

        Returns:
            What `unsubscribe` takes.

        Raises:
            NotImplementedError: The venue streams none, and the facade is for native streams only.
            PlanError: They cannot be had.
            UsageError: No such timeframe, no function, or the facade is shut down.
        """
        is_old = bool(args) and callable(args[0])
        words = [arg for arg in args if isinstance(arg, str)]
        functions = [arg for arg in (*args, callback) if callable(arg)]
        if len(functions) != 1 or len(words) > 1:
            raise UsageError(f"{self.name}: subscribe_ohlcv takes a symbol, an interval and one callback")
        shape = _dict_of if is_old else _rows_of
        series = self._series(symbol, _timeframe(words[0] if words else interval or MINUTE))
        return await self._subscriptions.candles(symbol, series, functions[0], shape)

    async def subscribe_trades(self, symbol: str, callback: Callback) -> str:
        """Call back with each trade, as `trade_factory` makes it, once.

        Returns:
            What `unsubscribe` takes.

        Raises:
            PlanError: The venue streams none.
            UsageError: No function, or the facade is shut down.
        """
        return await self._subscriptions.trades(symbol, self._series(symbol, Feed.TRADES), callback)

    async def subscribe_ticker(self, symbol: str, callback: Callback) -> str:
        """Call back with the newest price whenever a quote or a trade comes, as `tick_factory` makes it.

        Returns:
            What `unsubscribe` takes.

        Raises:
            PlanError: The venue streams neither.
            UsageError: No function, or the facade is shut down.
        """
        quotes, trades = (self._series(symbol, feed) for feed in (Feed.QUOTES, Feed.TRADES))
        return await self._subscriptions.ticks(symbol, quotes, trades, callback)

    async def unsubscribe(self, sub_id: str) -> bool:
        """End one subscription; return whether there was one."""
        return await self._subscriptions.end(sub_id)

    async def unsubscribe_ohlcv(self, symbol: str) -> bool:
        """End all candle subscriptions of a symbol; return whether there was one."""
        return await self._subscriptions.end_candles(symbol)

    # --------------------------------------------------------------------------------------------- within

    def _series(self, symbol: str, what: Timeframe | Feed) -> Series:
        if self._problem:
            raise ConfigError(self._problem)
        if not self.connected:
            raise UsageError(f"{self.name} is shut down; get a handler again")
        native = self._settings.symbols.get(self._exchange.venue, {}).get(symbol, symbol)
        [plan] = self._collector.plan(Series.parse(f"{self._exchange.scope}:{native}@{_written(what)}"))
        self._spelling.note(plan.series, symbol)
        return plan.series


def _timeframe(text: str) -> Timeframe:
    return Timeframe.parse(text.removesuffix("M") + "mo" if text.endswith("M") else text)


def _written(what: Timeframe | Feed) -> str:
    return what.value if isinstance(what, Feed) else str(what)


def _rows_of(candle: Any) -> list[list[float]]:
    return [row_of(candle)]


def _dict_of(candle: Any) -> dict[str, float]:
    return as_dict(row_of(candle))
