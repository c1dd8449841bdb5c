"""The object that collectors call `ExchangeQueue`: it makes handlers, keeps them, and ends them."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self

from wickwire import (
    Account,
    Clock,
    Collector,
    ConfigError,
    Health,
    Registry,
    Retention,
    StatusSink,
    SystemClock,
    UsageError,
    Watchdog,
)
from wickwire_fullon.exchanges import SYMBOLS, CredentialProvider, Exchange, Spelling, account_of
from wickwire_fullon.handler import FullonHandler
from wickwire_fullon.life import Life
from wickwire_fullon.processes import HostProcesses
from wickwire_fullon.settings import Settings
from wickwire_fullon.shapes import FullonTick, FullonTrade
from wickwire_fullon.told_store import ToldStore

__all__ = ["FullonQueue"]

KEPT: Final = Retention(candles="2d")
"""A host keeps candles itself; these are for what heals after an outage."""


class FullonQueue:
    """What a host puts in the place of `ExchangeQueue`. One is enough for a process; several do not meet.

    ```python
    ExchangeQueue = FullonQueue()
    handler = await ExchangeQueue.get_websocket_handler(exchange)
    ```

    It starts with the first handler that is asked for. Connecting happens in the background, so a handler of
    an exchange that is down is there at once, and joins when that is back. `shutdown_factory` ends all; so
    does leaving `async with`, the end of the event loop's `asyncio.run`, or of the interpreter.
    """

    def __init__(
        self,
        *,
        adapters: Registry | Mapping[str, object] | None = None,
        streaming: Literal["auto", "native-only"] = "auto",
        credentials: CredentialProvider | None = None,
        trade_factory: Callable[[FullonTrade], Any] | None = None,
        tick_factory: Callable[[FullonTick], Any] | None = None,
        status: StatusSink | None = None,
        clock: Clock | None = None,
        venues: Mapping[str, str] | None = None,
        symbols: Mapping[str, Mapping[str, str]] | None = None,
        needs_trades: Iterable[str] = (),
        history_patience_s: float = 60.0,
        order_patience_s: float = 600.0,
        collector: Callable[..., Collector] = Collector,
    ) -> None:
        """Make a facade; nothing starts before a handler is asked for.

        Args:
            adapters: Where adapters are found: a Registry, or adapters by name; by default all installed.
            streaming: "auto" polls behind `subscribe_ohlcv` where a venue streams no such candles.
                "native-only" says so in every way a host looks for it, and leaves polling to the host.
            credentials: Given the host's exchange object, returns `(key, secret)`, plain or async; `("", "")`
                is public data only, as is None.
            trade_factory: Makes the host's model of a trade of a `FullonTrade`, which it gets by default.
            tick_factory: The same of a `FullonTick`.
            status: Told how each `exchange:symbol` is doing, whenever that changes and once a minute; its
                params are `exchange`, `symbol` and `type` ("live", "live_trade" or "live_ticker").
            clock: What stamps; by default the system's.
            venues: The host's name of an exchange to that of the adapter, with the variant where one is
                wanted, such as `{"alpaca_pro": "alpaca.sip"}`; by default the name in lower case.
            symbols: By venue, symbols that the host calls otherwise, such as `{"yahoo": {"SPX": "^GSPC"}}`,
                beside those that are known.
            needs_trades: Names of exchanges of which the host makes candles itself, of trades.
            history_patience_s: How long a reading of history waits for a venue that does not answer.
            order_patience_s: How long a candle waits at most for older ones that are missing.
            collector: Makes a `Collector` of keywords: `functools.partial(Collector, redirects=...)`.

        Raises:
            UsageError: There is no such *streaming*.
        """
        if streaming not in {"auto", "native-only"}:
            raise UsageError(f'streaming is "auto" or "native-only", got {streaming!r:.40}')
        self._registry = (
            adapters
            if isinstance(adapters, Registry)
            else Registry(adapters=adapters, installed=adapters is None)
        )
        self._credentials = credentials
        self._venues = dict(venues or {})
        self._clock = clock or SystemClock()
        self._status = status
        self._make = collector
        self._settings = Settings(
            native_only=streaming == "native-only",
            symbols={
                venue: {**SYMBOLS.get(venue, {}), **(symbols or {}).get(venue, {})}
                for venue in (*SYMBOLS, *(symbols or {}))
            },
            trades_first=frozenset(needs_trades),
            trade_factory=trade_factory or _itself,
            tick_factory=tick_factory or _itself,
            history_patience_s=history_patience_s,
            order_patience_s=order_patience_s,
            clock=self._clock,
        )
        self._watchdog = Watchdog(self._registry)
        self._life: Life | None = None
        self._handlers: dict[Exchange, FullonHandler] = {}
        self._callers: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._stragglers: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    # ------------------------------------------------------------------------------------------- lifetime

    async def initialize_factory(self) -> None:
        """Start, also after a shutdown; safe to repeat, and to leave out.

        Raises:
            UsageError: It runs on another event loop.
        """
        self._stragglers.clear()
        self._alive()

    async def shutdown_factory(self) -> None:
        """End everything: when it returns, nothing is called back any more, and no task or socket is left.

        A second call does nothing. Handlers that were given out raise from then on. Who asks for one again
        begins anew, but not a task that was asking while another one shut down: it would open sockets after
        the end, and has to call `initialize_factory` first. Called from within a callback, it returns at
        once, and the end follows that callback's.
        """
        ending = asyncio.current_task()
        self._stragglers = weakref.WeakSet(task for task in self._callers if task is not ending)
        self._callers.clear()
        for handler in self._handlers.values():
            handler.close()
        if self._life is not None:
            await self._life.stop()
        self._handlers.clear()
        atexit.unregister(self._end_at_exit)

    shutdown_all = shutdown_factory

    async def __aenter__(self) -> Self:
        await self.initialize_factory()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shutdown_factory()

    def _alive(self) -> Life:
        """Return the life of the running loop, begun if need be."""
        loop = asyncio.get_running_loop()
        life, caller = self._life, asyncio.current_task()
        if life is not None and life.is_over:
            if caller in self._stragglers:
                raise UsageError("this facade was shut down meanwhile; call initialize_factory() first")
            life = None
        if life is not None and life.loop is not loop:
            raise UsageError("this facade runs on another event loop; make one for each, or shut it down")
        if caller is not None:
            self._callers.add(caller)
        if life is None:
            self._handlers.clear()
            life = self._life = Life()
            atexit.unregister(self._end_at_exit)  # that of a loop which has ended
            atexit.register(self._end_at_exit)
        return life

    def _end_at_exit(self) -> None:
        """Close connections of a host that forgot to, where its loop can still run."""
        life = self._life
        if life is not None and not life.is_over and not life.loop.is_running():
            life.loop.run_until_complete(self.shutdown_factory())

    # ------------------------------------------------------------------------------------------- handlers

    async def get_rest_handler(
        self, exchange_obj: Any, credential_provider: CredentialProvider | None = None
    ) -> FullonHandler:
        """Return the handler of an exchange; the same as `get_websocket_handler`, which see."""
        return await self._handler(exchange_obj, credential_provider)

    async def get_websocket_handler(
        self, exchange_obj: Any, credential_provider: CredentialProvider | None = None
    ) -> FullonHandler:
        """Return the handler of an exchange and account: the same one each time, whoever asks, and at once.

        Args:
            exchange_obj: Of which `cat_exchange.name` is read, and `ex_id` and `test` where they are there.
            credential_provider: Used in place of the facade's own, where the handler is made by this call.

        Raises:
            UsageError: It names no exchange, there is no adapter for it, or another task shut the facade down
                meanwhile.
            PluginError: Its adapter is broken.
        """
        return await self._handler(exchange_obj, credential_provider)

    async def get_handler(
        self, exchange_obj: Any, credential_provider: CredentialProvider | None = None
    ) -> FullonHandler:
        """Return the same, under the name of September 2025."""
        return await self._handler(exchange_obj, credential_provider)

    async def _handler(self, given: Any, provider: CredentialProvider | None) -> FullonHandler:
        exchange, life = Exchange.of(given, self._venues), self._alive()
        async with life.lock(exchange):
            known = self._handlers.get(exchange)
            if known is not None and known.connected:
                return known
            adapter, problem = self._registry.load(exchange.venue), ""
            public = Account(feed=exchange.variant)
            try:
                description = adapter.description_for(public)
                account = await account_of(exchange, given, description, provider or self._credentials)
            except ConfigError as exc:  # told by whatever is asked of the handler: others are to start
                account, problem = public, str(exc)
            store, spelling = ToldStore(), Spelling()
            status = None if self._status is None else HostProcesses(self._status, exchange.name, spelling.of)
            collector = self._make(
                store=store,
                registry=self._registry,
                accounts={exchange.venue: account},
                retention=KEPT,
                clock=self._clock,
                watchdog=self._watchdog,
                status=status,
            )
            handler = FullonHandler(
                exchange, adapter, collector, store, life, self._settings, spelling, problem
            )
            if life.is_over:  # meanwhile
                raise UsageError("this facade is shut down; call initialize_factory() first")
            self._handlers[exchange] = handler
            try:
                await handler.open()
            except BaseException:
                handler.close()
                self._handlers.pop(exchange, None)
                raise
            return handler

    def health(self) -> Mapping[str, Health]:
        """Say how each exchange is doing, by `name`, or `name#account` where the host told an account."""
        return {
            f"{exchange.name}#{exchange.account}" if exchange.account else exchange.name: handler.health()
            for exchange, handler in self._handlers.items()
            if handler.connected
        }


def _itself(value: Any) -> Any:
    return value
