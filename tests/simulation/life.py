"""One life of the collector within a simulated run: from its start until it is stopped, or killed."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from tests.simulation.dawdling import Dawdler
from tests.simulation.journal import Journal
from tests.simulation.passage import Passage
from tests.simulation.shelf import Shelf
from wickwire import Account, Limits, SeriesCandle, StoreError, Trade
from wickwire.closer import Switch
from wickwire.collector import Collector
from wickwire.logs import told
from wickwire.registry import Registry

__all__ = ["ACCOUNTS", "SECRETS", "Heard", "Life", "Listening", "accounts_of", "made"]

SECRETS: Final = ("PKTEST", "hush-hush-alpaca", "invented-client", "invented-refresh")
"""What must never be seen again, in no log line and in no store."""

ACCOUNTS: Final = {
    "alpaca": Account(secrets={"key": SECRETS[0], "secret": SECRETS[1]}),
    "dxlink": Account(secrets={"client_secret": SECRETS[2], "refresh_token": SECRETS[3]}),
}


def accounts_of(narrow: Mapping[str, int], berths: Mapping[str, int]) -> Mapping[str, Account]:
    """Return the accounts, those of some venues cut down to so many topics on each of so many connections."""
    narrowed = {
        venue: attrs.evolve(
            ACCOUNTS.get(venue, Account()),
            limits=Limits(topics_per_connection=topics, connections=berths.get(venue)),
        )
        for venue, topics in narrow.items()
    }
    return {**ACCOUNTS, **narrowed}


_life: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)

MOST_LINES: Final = 100_000


@attrs.define(eq=False)
class Heard:
    """What all lives together handed out.

    Attributes:
        now_ns: The true time.
        candles: What the reader with a durable cursor got: when, and the candle.
        pushed: What listeners got: life, and the candle.
        trades: Trades, by series; not those of snapshots, which were before.
        switches: When which series changed to which route.
        lines: Log lines from warnings on: when, level and text.
        cursor: The `seq` of the last candle that the reader got.
        raises: A listener raises now.
        pause_s: How long the reader takes for a candle now.
    """

    now_ns: Callable[[], int]
    candles: list[tuple[int, SeriesCandle]] = attrs.field(factory=list)
    pushed: list[tuple[int, SeriesCandle]] = attrs.field(factory=list)
    trades: dict[str, list[Trade]] = attrs.field(factory=dict)
    switches: list[tuple[int, str, str]] = attrs.field(factory=list)
    lines: list[tuple[int, str, str]] = attrs.field(factory=list)
    cursor: int = 0
    raises: bool = False
    pause_s: float = 0.0


class Listening(logging.Handler):
    """Keeps what is logged by whoever lives."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(logging.INFO)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        life = _life.get()
        if (life is not None and life.dead) or len(self._heard.lines) >= MOST_LINES:
            return
        if record.levelno >= logging.WARNING:
            line = told(record)
            if record.exc_info and record.exc_info[1] is not None:
                line += f" {record.exc_info[1]!r}"
            self._heard.lines.append((self._heard.now_ns(), record.levelname, line))


class HostError(Exception):
    """A listener of the host's own fails."""


@attrs.define(eq=False)
class Life:
    """One collector, its way to the venues and to the store.

    Attributes:
        number: Counted from 1.
        series: What it shall collect.
        feeds: Trades that are read as they come, also those that it collects only later.
        ways: How, where that is not the usual way: what `Collector.add` takes.
        collector: The one that is tried.
        begun: Everything was added.
        leave: Set when it shall stop in order.
        dead: It was killed.
        dawdler: Who reads the first of its feeds too slowly.
    """

    number: int
    series: dict[str, None]
    feeds: Sequence[str]
    shelf: Shelf
    passage: Passage
    heard: Heard
    journal: Journal
    collector: Collector
    ways: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    begun: asyncio.Event = attrs.field(factory=asyncio.Event)
    leave: asyncio.Event = attrs.field(factory=asyncio.Event)
    dead: bool = False
    dawdler: Dawdler = attrs.field(factory=Dawdler)
    task: asyncio.Task[None] | None = None
    _tasks: asyncio.TaskGroup | None = None
    _reading: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)

    async def live(self) -> None:
        """Collect until told to leave, or killed."""
        _life.set(self)
        try:
            async with self.collector, asyncio.TaskGroup() as tasks:
                self.collector.on_switch(self._switched)
                self.collector.on_candle(self._pushed)
                self._tasks = tasks
                self._reading[""] = tasks.create_task(self._read(), name="reader")
                for name in list(self.series):
                    await self.add(name)
                self.begun.set()
                await self.leave.wait()
                for task in self._reading.values():
                    task.cancel()
        finally:
            self._tasks = None
            self.begun.set()

    async def add(self, name: str) -> None:
        """Add a series, as often as it takes."""
        while name in self.series:
            try:
                await self.collector.add(name, **self.ways.get(name, {}))
            except StoreError:
                await asyncio.sleep(5.0)
            else:
                self._listen(name)
                return

    def _listen(self, name: str) -> None:
        """Read a feed from when it is collected first."""
        if name not in self.feeds or name in self._reading or self._tasks is None or self.leave.is_set():
            return
        self._reading[name] = self._tasks.create_task(self._hear(name), name=f"reader of {name}")
        if name == self.feeds[0]:
            dawdling = self.dawdler.run(self.collector, name)
            self._reading["dawdler"] = self._tasks.create_task(dawdling, name="dawdler")

    async def kill(self) -> None:
        """End it as SIGKILL would: nothing of it is done or heard any more."""
        self.dead = self.shelf.dead = True
        await self.passage.die()
        assert self.task is not None
        self.task.cancel()

    def _switched(self, switch: Switch) -> None:
        if not self.dead:
            self.journal.note("switch", switch.series, switch.rung.value)
            self.heard.switches.append((self.heard.now_ns(), str(switch.series), switch.rung.value))

    def _pushed(self, candle: SeriesCandle) -> None:
        if self.dead:
            return
        self.heard.pushed.append((self.number, candle))
        if self.heard.raises:
            raise HostError("this listener always fails")

    async def _read(self) -> None:
        """Read candles with a cursor that outlives the process, as a sink does."""
        while True:
            try:
                async for candle in self.collector.candles(after_seq=self.heard.cursor):
                    if self.dead:
                        return
                    self.heard.cursor = candle.seq
                    self.heard.candles.append((self.heard.now_ns(), candle))
                    self.journal.note(
                        "candle",
                        candle.series,
                        candle.open_ns,
                        *(candle.open, candle.high, candle.low, candle.close, candle.volume),
                        candle.trade_count,
                        candle.evidence,
                        candle.revision,
                    )
                    if self.heard.pause_s:
                        await asyncio.sleep(self.heard.pause_s)
            except StoreError:
                await asyncio.sleep(1.0)
            else:
                return

    async def _hear(self, name: str) -> None:
        told = self.heard.trades.setdefault(name, [])
        async for trade in self.collector.trades(name):
            if not self.dead and not trade.snapshot:
                told.append(trade)


def made(
    number: int,
    series: dict[str, None],
    shelf: Shelf,
    passage: Passage,
    heard: Heard,
    registry: Registry,
    clock: Any,
    rng: random.Random,
    *,
    feeds: Sequence[str],
    ways: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> Life:
    """Return a life that has not begun; its collector is given *more*."""
    collector = Collector(
        shelf,
        registry=registry,
        transport=passage,
        clock=clock,
        rng=rng,
        world="a simulated run",
        **more,
    )
    return Life(
        number=number,
        series=series,
        feeds=feeds,
        shelf=shelf,
        passage=passage,
        heard=heard,
        journal=shelf.journal,
        collector=collector,
        ways=ways,
    )
