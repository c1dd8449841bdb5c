"""Every hook of an adapter with arguments of every kind, one call after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from wickwire.endpoint import Endpoint, Topic
from wickwire.testing.material import Material
from wickwire.testing.sitting import Asked

__all__ = ["Call", "hook_calls"]

Call = tuple[str, Callable[[], Any], str]
"""The hook's name, the call, and what is given, for people."""

MOST_STEPS = 40


def hook_calls(material: Material) -> Iterator[Call]:
    """Yield the calls; each is to be made once, in order, since some change a memory."""
    yield from _told(material)
    yield from _streamed(material)
    for fetched in material.fetched:
        talk = material.adapter.fetch_ohlcv(fetched.query, fetched.account)
        yield "fetch_ohlcv()", partial(next, talk), repr(fetched.query)
        for exchange in fetched.exchanges:
            yield "fetch_ohlcv()", partial(talk.send, exchange.reply), repr(exchange.reply)[:300]


def _told(material: Material) -> Iterator[Call]:
    adapter = material.adapter
    for account in material.accounts:
        yield "describe()", partial(adapter.describe, account), repr(account)
        if adapter.streams:
            opened = partial(adapter.connect, account, (), material.playing.now_ns)
            yield "connect()", partial(_first_of, opened), repr(account)
    for symbol in material.symbols[:2] or ("BTC/USD",):
        yield "to_venue()", partial(adapter.to_venue, symbol), repr(symbol)
        yield "from_venue()", partial(adapter.from_venue, symbol), repr(symbol)
        for timeframe in material.described(material.account).timeframes[:3]:
            topic = Topic(symbol, timeframe)
            yield (
                "supports_ohlcv()",
                partial(adapter.supports_ohlcv, symbol, timeframe, material.account),
                str(topic),
            )
            yield "lane()", partial(adapter.lane, topic), str(topic)


def _streamed(material: Material) -> Iterator[Call]:
    adapter = material.adapter
    for dialogue in (*material.dialogues, *material.recorded[:3]):
        memory: Any = dialogue.endpoint.memory()
        for step in dialogue.steps[:MOST_STEPS]:
            if isinstance(step, Asked):
                asked = ", ".join(str(ask.topic) for ask in step.asks)
                yield "subscribe()", partial(adapter.subscribe, step.asks, step.removed, memory), asked
            else:
                yield "parse()", partial(adapter.parse, step.frame, memory), repr(step.frame)
    for stage in material.stages:
        for frame in (stage.step.frame, stage.step.frame[:-1], b"{}", b"[null]"):
            yield "parse()", partial(adapter.parse, frame, stage.memory(adapter)), repr(frame)


def _first_of(call: Callable[[], Any]) -> object:
    """Return an endpoint, or the first request of the conversation that leads to one."""
    answer = call()
    return answer if isinstance(answer, Endpoint) else next(answer)
