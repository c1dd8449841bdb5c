"""What each step costs between the transport and the ledger, in memory: no socket, no store, no waiting.

What a step costs alone and what it costs inside differ a little, so two of them are told as what is left:
of parsing (checks, fields, lists) and of the whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from tests.benchmarks.paths import LONGEST_S, SERIES, decode, since
from tests.benchmarks.server import payloads
from wickwire import Candle, Endpoint, Finality, HttpReply, HttpRequest, Side, Timeframe, Trade, TradeAction
from wickwire.collector import Collector
from wickwire.errors import TransportError
from wickwire.registry import Registry
from wickwire_kraken import parse
from wickwire_kraken.dialogue import Dialogue
from wickwire_kraken.rows import instant

STEPS: Final = ("parse call", "decode", "instant", "event", "rest of parse", "session and ledger")
_ONE: Final = (0.05, 0.7, 0.35, 0.3, None, None, 2.4)
_FIFTY: Final = (0.0, 0.6, 0.3, 0.3, None, None, 1.5)
BUDGET: Final = {"ohlc1": _ONE, "trade1": _ONE, "trade50": _FIFTY}
"""What was allowed to each and to all, in µs an event; None where the design cuts the steps otherwise."""

YIELD_FRAMES: Final = 256
"""A socket runs dry now and then; a loop that is never left would be what the watchdog looks for."""

_MINUTE: Final = Timeframe.parse("1m")
_UNSAID: Final = Finality.UNSAID
_BUY: Final = Side.BUY
_NEW: Final = TradeAction.NEW
_PRICE: Final = Decimal("95025.5")
_SIZE: Final = Decimal("0.1")


def _nothing(_frame: bytes, _memory: object) -> tuple[()]:
    return ()


def _candle() -> Candle:
    return Candle(
        "BTC/USD",
        _MINUTE,
        1,
        2,
        _PRICE,
        _PRICE,
        _PRICE,
        _PRICE,
        _SIZE,
        1,
        _PRICE,
        _UNSAID,
        False,  # noqa: FBT003 - by position, as adapters do it
    )


def _trade() -> Trade:
    return Trade("BTC/USD", "1", _PRICE, _SIZE, _BUY, 1, _NEW, None, False)  # noqa: FBT003 - the same


def _spent(call: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> float:
    """Return what calling *call* with each of *arguments* takes, less the loop around it."""
    started = time.process_time()
    for one in arguments:
        call(*one)
    between = time.process_time()
    for _one in arguments:
        pass
    return (between - started) - (time.process_time() - between)


@attrs.define
class _Memory:
    """A transport whose one stream holds all frames already, and notes when the last was taken."""

    frames: Sequence[bytes]
    asked: asyncio.Event = attrs.field(factory=asyncio.Event)
    started: float = 0.0
    spent: float | None = None
    _taken: int = 0

    async def open(self, endpoint: Endpoint) -> _Memory:
        return self

    async def request(self, _: HttpRequest) -> HttpReply:
        raise TransportError("the benchmark has no REST")

    async def receive(self) -> bytes:
        taken = self._taken
        if taken == 0:
            await self.asked.wait()
            self.started = time.process_time()
        if taken < len(self.frames):
            self._taken = taken + 1
            if taken % YIELD_FRAMES == 0:
                await asyncio.sleep(0)
            return self.frames[taken]
        if self.spent is None:
            self.spent = time.process_time() - self.started
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends it")

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        if "subscribe" in str(frame):
            self.asked.set()

    async def ping(self) -> None:
        """Need no answer."""

    async def aclose(self, _: int = 1000) -> None:
        """Have nothing to close."""


async def _dropped(frames: Sequence[bytes]) -> float:
    memory = _Memory(frames)
    memory.asked.set()
    for _ in frames:
        await memory.receive()
    return time.process_time() - memory.started


async def _collected(kind: str, frames: Sequence[bytes]) -> float:
    memory = _Memory(frames)
    async with asyncio.timeout(LONGEST_S), Collector(registry=Registry(), transport=memory) as collector:
        await collector.add(SERIES[kind], since=since(kind, len(frames)))
        while memory.spent is None:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
    return memory.spent


def measure(kind: str, events: int, count: int) -> list[float]:
    """Return what each of `STEPS` costs, and the sum, in µs an event."""
    frames = payloads(kind, count)
    memory = Dialogue()
    parse(frames[0], memory)  # fills the memory of seconds, as a first frame does
    texts = [
        row.interval_begin if kind == "ohlc1" else row.timestamp for f in frames for row in decode(f).data
    ]
    once = [(frame, memory) for frame in frames]
    call = _spent(_nothing, once)
    decoded = _spent(decode, [(frame,) for frame in frames])
    if kind == "ohlc1":  # found as it is: one text for all rows of a bucket
        instants = _spent(memory.seconds.get, [(text,) for text in texts])
    else:
        instants = _spent(instant, [(text, memory.seconds, "") for text in texts])
    built = _spent(_candle if kind == "ohlc1" else _trade, [()] * len(texts))
    parsed = _spent(parse, once)
    whole = asyncio.run(_collected(kind, frames)) - asyncio.run(_dropped(frames))
    steps = [
        call,
        decoded,
        instants,
        built,
        parsed - call - decoded - instants - built,
        whole - parsed,
        whole,
    ]
    return [seconds / count / events * 1e6 for seconds in steps]
